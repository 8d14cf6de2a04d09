# client: the library, the shell and the administration commands, one archive
client_src := $(sort $(wildcard client/*/*.c))
$(eval $(call archive,client,$(client_src)))

$(eval $(call program,quern,client/main.c,client libcommon))

# libquern.so: what client programs link with. Everything is compiled hidden; QN_PUBLIC is what
# shows. The soname changes when a program built against it would break.
QUERN_SO_VERSION := 0
libquern_obj := $(patsubst %.c,$(B)/%.o,$(wildcard client/lib/*.c client/talk/*.c))

$(B)/libquern.so.$(QUERN_SO_VERSION): $(libquern_obj) $(B)/libcommon.a
	$(call say,LINK,$@)
	$(Q)$(CC) -shared $(LDFLAGS_ALL) -Wl,-soname,libquern.so.$(QUERN_SO_VERSION) -Wl,--as-needed \
		-o $@ $^ $(PKG_LIBS)
$(B)/libquern.so: $(B)/libquern.so.$(QUERN_SO_VERSION)
	$(Q)ln -sf $(<F) $@
EXTRA += $(B)/libquern.so

# The example is built as a stranger would: public headers and the library, nothing else.
$(B)/docs/examples/fs: docs/examples/fs.c include/quern/fs.h $(B)/libquern.so
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D) && $(CC) -std=c11 -Wall -Wextra -Wpedantic -Werror -Iinclude \
		$(filter -fsanitize%,$(FLAVOUR_$(FLAVOUR))) -o $@ $< -L$(B) -lquern -Wl,-rpath,$(abspath $(B))
TEST_EXTRA += $(B)/docs/examples/fs

# The prefix is asked for when it is installed, not when it is built.
.PHONY: install-client
install: install-client
install-client: $(B)/libquern.so
	$(Q)install -d $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include/quern
	$(Q)install -m 755 $(B)/libquern.so.$(QUERN_SO_VERSION) $(DESTDIR)$(PREFIX)/lib/
	$(Q)ln -sf libquern.so.$(QUERN_SO_VERSION) $(DESTDIR)$(PREFIX)/lib/libquern.so
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' client/lib/quern.pc.in \
		>$(DESTDIR)$(PREFIX)/lib/pkgconfig/quern.pc
	$(Q)install -m 644 include/quern/*.h include/quern/*.rs $(DESTDIR)$(PREFIX)/include/quern/
