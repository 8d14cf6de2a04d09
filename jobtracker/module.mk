# jobtracker: jobs -> stages -> tasks -> workers
jobtracker_src := $(filter-out jobtracker/main.c,$(sort $(wildcard jobtracker/*.c jobtracker/*/*.c)))
$(eval $(call archive,jobtracker,$(jobtracker_src)))
$(eval $(call program,quern-jobtracker,jobtracker/main.c,jobtracker libcommon))
