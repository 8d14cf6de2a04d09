# client: the library, the shell and the administration commands, one archive
client_src := $(sort $(wildcard client/*/*.c))
$(eval $(call archive,client,$(client_src)))

$(eval $(call program,quern,client/main.c,client libcommon))
