/* SPDX-License-Identifier: Apache-2.0
 * scenario: what is simulated, and what must always hold in it.
 *
 * A run: setup · `steps` steps, with the scenario's own faults among them, check after every one ·
 * heal (all faults end, nothing new begins) · on until is_settled, at most heal_ms of virtual time
 * (liveness: what is possible must happen) · finish (last checks) · teardown. Then the same seed
 * once more: the traces' hashes must be equal.
 *
 * To add one: a file in scenarios/, a row in scenarios.c. */
#ifndef QUERN_TESTS_SIM_SCENARIO_H
#define QUERN_TESTS_SIM_SCENARIO_H

#include "tests/sim/sim.h"

struct sim_scenario {
    const char *name;
    const char *about;                   /* one line for --list */
    uint64_t steps;                      /* of a usual run */
    uint64_t heal_ms;                    /* virtual time within which all must settle */
    void (*setup)(struct sim *sim);      /* sets sim->scenario */
    void (*check)(struct sim *sim);      /* after every step; sim_fail when something is wrong */
    void (*heal)(struct sim *sim);       /* after sim_heal: start what is down, stop the faults */
    bool (*is_settled)(struct sim *sim); /* asked again and again while healing */
    void (*finish)(struct sim *sim);     /* may be NULL */
    void (*explain)(struct sim *sim, struct buf *out); /* why it is not settled; may be NULL */
    void (*teardown)(struct sim *sim);                 /* also after a failure */
};

extern const struct sim_scenario *const sim_scenarios[];
extern const size_t sim_scenario_count;
const struct sim_scenario *sim_scenario_find(const char *name); /* or NULL */

struct sim_outcome {
    bool has_failed;
    char failure[512];
    uint64_t hash, steps, end_ms;
};
/* One run of one seed; `steps` 0 = the scenario's own number. */
struct sim_outcome sim_run(const struct sim_scenario *scenario, uint64_t seed, uint64_t steps,
                           bool is_traced);
/* Twice; fails also when the hashes differ. */
struct sim_outcome sim_run_twice(const struct sim_scenario *scenario, uint64_t seed,
                                 uint64_t steps);

#endif
