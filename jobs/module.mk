# SPDX-License-Identifier: Apache-2.0
# jobs: the bundled plugins, each one file that knows include/quern/job.h only, compiled as an author
# would: into build/<flavour>/jobs/NAME.so, installed to $(PREFIX)/lib/quern/jobs
jobs_src := $(sort $(wildcard jobs/*.c))
jobs_so  := $(patsubst jobs/%.c,$(B)/jobs/%.so,$(jobs_src))

$(B)/jobs/%.so: jobs/%.c include/quern/job.h Makefile
	$(call say,JOB,$@)
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu17 -O2 -g $(WARN) -Wpedantic -shared -fPIC -Iinclude -o $@ $<

EXTRA += $(jobs_so)

.PHONY: install-jobs
install-jobs: $(jobs_so)
	$(Q)install -d $(DESTDIR)$(PREFIX)/lib/quern/jobs
	$(Q)install -m 755 $(jobs_so) $(DESTDIR)$(PREFIX)/lib/quern/jobs/
install: install-jobs

# tests/jobs: plugins that tests need, and the contract tried in C++20
test_jobs_so := $(patsubst tests/jobs/%.c,$(B)/tests/jobs/%.so,$(wildcard tests/jobs/*.c)) \
                $(patsubst tests/jobs/%.cpp,$(B)/tests/jobs/%.so,$(wildcard tests/jobs/*.cpp))
$(B)/tests/jobs/%.so: tests/jobs/%.c include/quern/job.h Makefile
	$(call say,JOB,$@)
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu17 -O1 -g -Wall -Wextra -Wpedantic -Werror -shared -fPIC -Iinclude -o $@ $<
$(B)/tests/jobs/%.so: tests/jobs/%.cpp include/quern/job.h Makefile
	$(call say,JOB,$@)
	$(Q)mkdir -p $(@D) && $(CXX) -std=c++20 -O1 -g -Wall -Wextra -Wpedantic -Werror -shared -fPIC -Iinclude -o $@ $<
EXTRA += $(test_jobs_so)
