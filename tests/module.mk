# tests: every tests/unit/**/test_*.c is one program, linked against all archives
ARCHIVES := $(foreach a,worker client jobtracker datanode namenode libcommon,$(if $(wildcard $(a)/module.mk),$(a)))
# The simulated world (tests/sim without its main) stands behind the unit tests too.
sim_src := $(sort $(filter-out tests/sim/main.c,$(wildcard tests/sim/*.c tests/sim/scenarios/*.c)))
$(eval $(call archive,sim,$(sim_src)))
unit_src := $(sort $(shell find tests/unit -name 'test_*.c' 2>/dev/null))
unit_bin := $(patsubst %.c,$(B)/%,$(unit_src))
unit_run := $(if $(T),$(foreach t,$(unit_bin),$(if $(findstring $(T),$(t)),$(t))),$(unit_bin))
ARCHIVE_FILES := $(patsubst %,$(B)/%.a,$(ARCHIVES) sim)
OBJS += $(patsubst %.c,$(B)/%.o,$(unit_src))

$(unit_bin): $(B)/%: $(B)/%.o $(ARCHIVE_FILES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) -Wl,--start-group $(ARCHIVE_FILES) -Wl,--end-group -lcmocka $(PKG_LIBS)

# What several of them share and that is more than a header: files beside them, without test_.
# fixture FILES,TESTS
define fixture
$(patsubst %,$(B)/tests/unit/%,$(2)): $(patsubst %,$(B)/tests/unit/%.o,$(1))
OBJS += $(patsubst %,$(B)/tests/unit/%.o,$(1))
endef
$(eval $(call fixture,$(addprefix client/lib/fake_,cluster namenode datanode),$(addprefix client/lib/test_,hedged join streams views)))
served_tests := $(addprefix namenode/serve/test_,append clients fsck listing short_of_memory short_of_memory_datanodes)
$(eval $(call fixture,namenode/serve/served,$(served_tests)))
$(eval $(call fixture,namenode/serve/shortage,$(filter %_memory %_memory_datanodes,$(served_tests))))
$(eval $(call fixture,worker/shuffle/peer,$(addprefix worker/shuffle/test_,fetch fetch_talks stream)))

sim_bin := $(B)/tests/sim/simulate
OBJS += $(B)/tests/sim/main.o
$(sim_bin): $(B)/tests/sim/main.o $(ARCHIVE_FILES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(ARCHIVE_FILES) -Wl,--end-group $(PKG_LIBS)

# Seeds that once found something, then SIM_SEEDS more from SIM_FIRST on: a check must say the same
# each time it is asked. Fresh ones: make sim SIM_FIRST=$$RANDOM SIM_SEEDS=1000.
SIM_SEEDS ?= 50
SIM_FIRST ?= 232769456
SIM_SECONDS ?= 100
sim: $(sim_bin)
	$(Q)$(sim_bin) --seeds tests/sim/seeds.txt --fresh $(SIM_SEEDS) --first $(SIM_FIRST) --seconds $(SIM_SECONDS)

unit: $(unit_run)
	$(Q)tests/run unit $(unit_run)

# tests/jobs: plugins that tests need, and the contract tried in C++20
test_jobs_so := $(patsubst tests/jobs/%.c,$(B)/tests/jobs/%.so,$(wildcard tests/jobs/*.c)) \
                $(patsubst tests/jobs/%.cpp,$(B)/tests/jobs/%.so,$(wildcard tests/jobs/*.cpp))
$(B)/tests/jobs/%.so: tests/jobs/%.c $(wildcard include/quern/*.h) Makefile
	$(call say,JOB,$@)
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu17 -O2 -g -Wall -Wextra -Wpedantic -Werror -shared -fPIC -Iinclude -o $@ $<
$(B)/tests/jobs/%.so: tests/jobs/%.cpp include/quern/job.h Makefile
	$(call say,JOB,$@)
	$(Q)mkdir -p $(@D) && $(CXX) -std=c++20 -O1 -g -Wall -Wextra -Wpedantic -Werror -shared -fPIC -Iinclude -o $@ $<
TEST_EXTRA += $(test_jobs_so)

# A client that knows every byte it wrote, for the tests that break things meanwhile.
$(eval $(call test_program,tests/cluster/model_client,tests/cluster/model_client.c tests/cluster/model_names.c,client libcommon))
$(eval $(call test_program,tests/cluster/library_use,tests/cluster/library_use.c,client libcommon))
$(eval $(call test_program,tests/cluster/library_contract,tests/cluster/library_contract.c,client libcommon))
$(eval $(call test_program,tests/cluster/slow_writer,tests/cluster/slow_writer.c,client libcommon))
$(eval $(call test_program,tests/cluster/names_crash,tests/cluster/names_crash.c,libcommon))
$(eval $(call test_program,tests/cluster/blocks_crash,tests/cluster/blocks_crash.c tests/cluster/crew.c,client libcommon))
$(eval $(call test_program,tests/cluster/memory_short,tests/cluster/memory_short.c tests/cluster/crew.c,client libcommon))
$(eval $(call test_program,tests/cluster/told_writer,tests/cluster/told_writer.c,client libcommon))

# Preloaded into a daemon whose clock is to jump.
$(B)/tests/cluster/clock_jump.so: tests/cluster/clock_jump.c Makefile
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu17 -D_GNU_SOURCE -O1 -g -Wall -Wextra $(WERROR) -shared -fPIC -o $@ $<
TEST_EXTRA += $(B)/tests/cluster/clock_jump.so

# Preloaded into a worker whose disk takes long to free what is removed.
$(B)/tests/cluster/slow_removal.so: tests/cluster/slow_removal.c Makefile
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu17 -D_GNU_SOURCE -O1 -g -Wall -Wextra $(WERROR) -shared -fPIC -o $@ $<
TEST_EXTRA += $(B)/tests/cluster/slow_removal.so

# cluster: real daemons, from build/$(FLAVOUR); pytest files named as sentences
.PHONY: cluster check
cluster: all $(TEST_EXTRA)
	$(Q)QUERN_BUILD=$(B) tests/pytest cluster tests/cluster $(if $(T),-k '$(T)')

# soak: random faults on real processes for so long. make soak MINUTES=60, make soak SEED=77 MINUTES=1.
MINUTES ?= 10
SEED ?=

soak: all $(TEST_EXTRA)
	$(Q)QUERN_BUILD=$(B) tests/soak/soak.py --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

# races: all daemons, tasks and clients built with ThreadSanitizer, at work.
races:
	$(Q)$(MAKE) FLAVOUR=tsan races-tsan
.PHONY: races-tsan
races-tsan: all $(B)/tests/cluster/model_client
	$(Q)QUERN_BUILD=$(B) tests/pytest races tests/races

# What ./scripts/check runs. Sanitized where code is tried, optimised where time is virtual.
CHECKS := unit:debug $(if $(wildcard tests/sim/main.c),sim:release) $(if $(wildcard tests/fuzz),fuzz:debug) cluster:debug
check:
	$(Q)MAKE="$(MAKE)" tests/check $(CHECKS)

# benchmarks: every tests/bench/*.c is a program of its own, built by `make bench-build`; `make bench`
# compares a release build with what others made. Options: make bench BENCH="--size 64m --runs 3".
BENCH ?=
bench_parts := tests/bench/nn_server.c tests/bench/many_files.c
$(eval $(call archive,bench,$(bench_parts)))
bench_src := $(sort $(filter-out $(bench_parts),$(wildcard tests/bench/*.c)))
bench_bin := $(patsubst %.c,$(B)/%,$(bench_src))
OBJS += $(patsubst %.c,$(B)/%.o,$(bench_src))
$(bench_bin): $(B)/%: $(B)/%.o $(B)/bench.a $(ARCHIVE_FILES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $< $(B)/bench.a -Wl,--start-group $(ARCHIVE_FILES) -Wl,--end-group $(PKG_LIBS)

.PHONY: bench-build
bench-build: $(bench_bin)
bench: all $(bench_bin) $(B)/tests/jobs/nothing.so $(B)/tests/jobs/ownwords.so
	$(Q)QUERN_BUILD=$(B) tests/bench/compare.py $(BENCH)

# fuzz: every tests/fuzz/fuzz_*.c is one program. All of libcommon and jobtracker (its journal) is linked
# in, so that every message defined anywhere is in the list that fuzz_msg walks.
fuzz_src := $(sort $(filter-out tests/fuzz/fuzz_main.c,$(wildcard tests/fuzz/fuzz_*.c)))
fuzz_bin := $(patsubst %.c,$(B)/%,$(fuzz_src))
fuzz_run := $(if $(T),$(foreach t,$(fuzz_bin),$(if $(findstring $(T),$(t)),$(t))),$(fuzz_bin))
OBJS += $(patsubst %.c,$(B)/%.o,$(fuzz_src) tests/fuzz/fuzz_main.c)
ifeq ($(LIBFUZZER),1)
fuzz_main := -fsanitize=fuzzer
else
fuzz_main := $(B)/tests/fuzz/fuzz_main.o
$(fuzz_bin): $(fuzz_main)
endif
$(fuzz_bin): $(B)/%: $(B)/%.o $(ARCHIVE_FILES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $< $(fuzz_main) -Wl,--start-group -Wl,--whole-archive $(B)/libcommon.a \
	    $(B)/jobtracker.a -Wl,--no-whole-archive $(filter-out $(B)/libcommon.a $(B)/jobtracker.a,$(ARCHIVE_FILES)) -Wl,--end-group $(PKG_LIBS)
fuzz: $(fuzz_run)
	$(Q)tests/run fuzz $(fuzz_run)
