# SPDX-License-Identifier: Apache-2.0
# jobs: the bundled plugins, each one file that knows include/quern/job.h, key.h and csv.h only, compiled as an author
# would: into build/<flavour>/jobs/NAME.so, installed to $(PREFIX)/lib/quern/jobs
jobs_src := $(sort $(wildcard jobs/*.c))
jobs_so  := $(patsubst jobs/%.c,$(B)/jobs/%.so,$(jobs_src))

$(B)/jobs/%.so: jobs/%.c include/quern/job.h include/quern/key.h include/quern/csv.h Makefile
	$(call say,JOB,$@)
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu17 -O2 -g $(WARN) -Wpedantic -shared -fPIC -Iinclude -o $@ $< -lm

EXTRA += $(jobs_so)

.PHONY: install-jobs
install-jobs: $(jobs_so)
	$(Q)install -d $(DESTDIR)$(PREFIX)/lib/quern/jobs
	$(Q)install -m 755 $^ $(DESTDIR)$(PREFIX)/lib/quern/jobs/
install: install-jobs
