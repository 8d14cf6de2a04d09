# SPDX-License-Identifier: Apache-2.0
# datanode: blocks on disks; everything but main.c and the tools is one archive
datanode_src := $(sort $(filter-out datanode/main.c,$(wildcard datanode/*.c datanode/*/*.c)))
datanode_src := $(filter-out datanode/tools/%,$(datanode_src))
$(eval $(call archive,datanode,$(datanode_src)))
$(eval $(call program,quern-datanode,datanode/main.c,datanode libcommon))
$(eval $(call program,quern-blockdump,datanode/tools/blockdump.c,datanode libcommon))
