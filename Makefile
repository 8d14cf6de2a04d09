# SPDX-License-Identifier: Apache-2.0
# quern: the only entry point of the build.
#
# Targets
#   all (default)   every program, library and bundled job, in build/$(FLAVOUR)/
#   check           unit + sim + fuzz (briefly) + cluster; ends with "N passed, N failed"
#   unit sim fuzz cluster          one kind of test; see tests/README.md
#   soak            random faults on real processes; MINUTES=10, SEED=N plays that one again
#   races           a cluster under ThreadSanitizer (its own build, build/tsan), in a minute
#   bench           ours beside others' programs, in a table; BENCH="--size 64m --runs 3", PEERS=DIR;
#                   BENCH=--fs: the filesystem's figures beside their goals; BENCH=--tasks: those
#                   of jobs and tasks without work
#   lint            layout, include layers, clang-tidy, size guides
#   format          let clang-format decide the layout of every source file
#   install         DESTDIR= PREFIX=/usr/local: programs, library, headers, jobs, manual, units, samples
#   clean help
#
# Knobs
#   FLAVOUR=release|debug|tsan   -O2 | ASan+UBSan | TSan; each has its own build/<flavour>/
#   CC=gcc|clang                 both must build without a warning
#   V=1                          print whole commands
#   WERROR=                      do not turn warnings into errors (for packagers on new compilers)
#   T=pattern                    unit, cluster: only tests whose path matches

FLAVOUR ?= release
PREFIX  ?= /usr/local
DESTDIR ?=
WERROR  ?= -Werror
V       ?= 0
T       ?=

VERSION := 0.1.0
B       := build/$(FLAVOUR)
Q       := $(if $(filter 1,$(V)),,@)
say      = $(if $(filter 1,$(V)),,@printf '  %-5s %s\n' "$(1)" "$(2)")

PKGS := libevent libevent_pthreads msgpack liblz4 libcrypto libisal zlib libzstd inih jansson
MSGPACK_PC := $(shell pkg-config --exists msgpack && echo msgpack || echo msgpack-c)
PKGS := $(patsubst msgpack,$(MSGPACK_PC),$(PKGS))
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS))
PKG_LIBS   := $(shell pkg-config --libs $(PKGS)) -lbz2 -lpthread -ldl -lm

WARN := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
        -Wpointer-arith -Wwrite-strings -Wundef -Wformat=2 -Wvla -Wimplicit-fallthrough \
        -Wno-missing-field-initializers $(WERROR)

FLAVOUR_release := -O2 -g -D_FORTIFY_SOURCE=2
FLAVOUR_debug   := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined \
                   -fno-omit-frame-pointer -DQUERN_DEBUG=1
FLAVOUR_tsan    := -O1 -g -fsanitize=thread -fno-omit-frame-pointer -DQUERN_DEBUG=1
ifeq ($(FLAVOUR_$(FLAVOUR)),)
$(error FLAVOUR=$(FLAVOUR): choose release, debug or tsan)
endif

CFLAGS_ALL := -std=gnu17 -fPIC -fvisibility=hidden $(WARN) $(FLAVOUR_$(FLAVOUR)) $(CFLAGS) \
              -I. -Iinclude $(PKG_CFLAGS) -D_GNU_SOURCE -DQUERN_VERSION='"$(VERSION)"' -MMD -MP
LDFLAGS_ALL := $(filter -fsanitize%,$(FLAVOUR_$(FLAVOUR))) -Wl,--build-id $(LDFLAGS)

.PHONY: all check unit sim cluster fuzz soak races bench lint format install clean help
.SUFFIXES:
.SECONDARY:
.DELETE_ON_ERROR:
all:

# archive NAME,SOURCES: build/<flavour>/NAME.a. Every folder is one archive; main.c stays outside.
define archive
$(B)/$(1).a: $(patsubst %.c,$(B)/%.o,$(2))
	$$(call say,AR,$$@)
	$(Q)rm -f $$@ && ar rcs $$@ $$^
OBJS += $(patsubst %.c,$(B)/%.o,$(2))
endef

# test_program NAME,MAIN.c...,ARCHIVES: build/<flavour>/NAME, built when tests want it
define test_program
$(B)/$(1): $(patsubst %.c,$(B)/%.o,$(2)) $(patsubst %,$(B)/%.a,$(3))
	$$(call say,LINK,$$@)
	$(Q)mkdir -p $$(@D) && $$(CC) $$(LDFLAGS_ALL) $$(PROG_LDFLAGS) -o $$@ $$^ $$(PKG_LIBS)
OBJS += $(patsubst %.c,$(B)/%.o,$(2))
TEST_EXTRA += $(B)/$(1)
endef

# program NAME,MAIN.c...,ARCHIVES: the same, as a part of `all` that is installed into bin/
define program
$(test_program)
PROGRAMS += $(B)/$(1)
endef

# Archives in link order: who stands on whom.
include $(wildcard libcommon/module.mk namenode/module.mk datanode/module.mk jobtracker/module.mk \
                   client/module.mk worker/module.mk jobs/module.mk web/module.mk tests/module.mk)

all: $(PROGRAMS) $(EXTRA)

$(B)/%.o: %.c Makefile
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) -c -o $@ $<

# Beside bin/, lib/ and include/ (each folder's module.mk adds its own): the sample configuration, the
# units with this PREFIX in them, the manual page. /etc is left to who runs the machine.
share := $(DESTDIR)$(PREFIX)/share
.PHONY: install-programs install-etc
install: install-programs install-etc
install-programs: $(PROGRAMS)
	$(Q)install -d $(DESTDIR)$(PREFIX)/bin && install -m 755 $^ $(DESTDIR)$(PREFIX)/bin/
install-etc: $(B)/quern
	$(Q)install -d $(share)/doc/quern $(share)/man/man1 $(DESTDIR)$(PREFIX)/lib/systemd/system \
		$(DESTDIR)$(PREFIX)/lib/sysusers.d $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
	$(Q)install -m 644 etc/quern.conf README.md LICENSE docs/*.md $(share)/doc/quern/
	$(Q)scripts/manual $(B)/quern $(B)/man
	$(Q)install -d $(share)/man/man5 && install -m 644 $(B)/man/*.5 $(share)/man/man5/
	$(Q)install -m 644 docs/quern.1 $(B)/man/*.1 $(share)/man/man1/
	$(Q)install -d $(share)/bash-completion/completions
	$(Q)install -m 644 etc/completion/quern.bash $(share)/bash-completion/completions/quern
	$(Q)install -d $(share)/zsh/site-functions
	$(Q)install -m 644 etc/completion/_quern $(share)/zsh/site-functions/_quern
	$(Q)install -d $(share)/quern/compat && install -m 755 scripts/compat/hadoop $(share)/quern/compat/ && install -m 644 scripts/compat/jar.bash $(share)/quern/compat/
	$(Q)for name in hdfs mapred yarn; do ln -sf hadoop $(share)/quern/compat/$$name || exit 1; done
	$(Q)install -m 644 etc/systemd/quern.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/quern.conf
	$(Q)install -m 644 etc/systemd/quern.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/quern.conf
	$(Q)for unit in etc/systemd/*.service; do \
		sed 's|=/usr/bin/|=$(PREFIX)/bin/|' $$unit >$(DESTDIR)$(PREFIX)/lib/systemd/system/$${unit##*/} || exit 1; done

lint:
	$(Q)scripts/lint
format:
	$(Q)git ls-files '*.c' '*.h' | xargs clang-format -i
clean:
	$(Q)rm -rf build
help:
	@sed -n '2,24s/^# \{0,1\}//p' Makefile

-include $(OBJS:.o=.d)
