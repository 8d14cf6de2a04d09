# libcommon: what every program stands on, one archive
common_src := $(sort $(wildcard libcommon/*/*.c libcommon/proto/*/*.c))
$(eval $(call archive,libcommon,$(common_src)))

# web/ is assembled into this object
$(B)/libcommon/daemon/pages.o: $(wildcard web/*)
