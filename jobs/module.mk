# SPDX-License-Identifier: Apache-2.0
# jobs: the bundled plugins, each one file that knows the headers in include/quern only, compiled as an author
# would: into build/<flavour>/jobs/NAME.so, installed to $(PREFIX)/lib/quern/jobs. Streaming has a folder, and two names.
jobs_src := $(sort $(wildcard jobs/*.c))
jobs_so  := $(patsubst jobs/%.c,$(B)/jobs/%.so,$(jobs_src))

$(B)/jobs/%.so: jobs/%.c $(wildcard include/quern/*.h) Makefile
	$(call say,JOB,$@)
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu17 -O2 -g $(WARN) -Wpedantic -shared -fPIC -Iinclude -o $@ $< -lm

stream_so := $(B)/jobs/stream.so $(B)/jobs/streamfields.so
$(B)/jobs/streamfields.so: stream_flags := -DSTREAM_BY_FIELDS
$(stream_so): $(wildcard jobs/stream/*.[ch]) $(wildcard include/quern/*.h) Makefile
	$(call say,JOB,$@)
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu17 -O2 -g $(WARN) -Wpedantic -shared -fPIC -fvisibility=hidden $(stream_flags) -I. -Iinclude -o $@ $(wildcard jobs/stream/*.c) -lm

jobs_so += $(stream_so)
EXTRA += $(jobs_so)

.PHONY: install-jobs
install-jobs: $(jobs_so)
	$(Q)install -d $(DESTDIR)$(PREFIX)/lib/quern/jobs
	$(Q)install -m 755 $^ $(DESTDIR)$(PREFIX)/lib/quern/jobs/
install: install-jobs
