# SPDX-License-Identifier: Apache-2.0
# namenode: names -> blocks -> places; everything but main.c is one archive
namenode_src := $(sort $(filter-out namenode/main.c,$(wildcard namenode/*.c namenode/*/*.c)))
namenode_src := $(filter-out namenode/tools/%,$(namenode_src))
$(eval $(call archive,namenode,$(namenode_src)))
$(eval $(call program,quern-namenode,namenode/main.c,namenode libcommon))
$(eval $(call program,quern-editdump,namenode/tools/editdump.c namenode/tools/jsonxml.c,namenode libcommon))
$(eval $(call program,quern-imagedump,namenode/tools/imagedump.c namenode/tools/imagetext.c namenode/tools/imageforms.c namenode/tools/jsonxml.c,namenode libcommon))
