# SPDX-License-Identifier: Apache-2.0
# worker: map -> shuffle -> reduce; everything but the mains is one archive
worker_mains := worker/main.c worker/runner/main.c
worker_src := $(filter-out $(worker_mains),$(sort $(wildcard worker/*.c worker/*/*.c)))
$(eval $(call archive,worker,$(worker_src)))
$(eval $(call program,quern-worker,worker/main.c,worker libcommon))
$(eval $(call program,quern-task,worker/runner/main.c,worker client libcommon))
