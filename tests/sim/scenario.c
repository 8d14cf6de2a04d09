/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/scenario.h"

#include <stdio.h>

#define LOOK_MS 500 /* is it settled? asked so often while healing */

const struct sim_scenario *sim_scenario_find(const char *name)
{
    for (size_t i = 0; i < sim_scenario_count; i++)
        if (strcmp(sim_scenarios[i]->name, name) == 0)
            return sim_scenarios[i];
    return NULL;
}

static void not_settled(const struct sim_scenario *scenario, struct sim *sim)
{
    struct buf why = BUF_INIT;
    if (scenario->explain)
        scenario->explain(sim, &why);
    const char *text = buf_cstr(&why);
    sim_fail(sim, "not settled %llu s after all faults ended%s%s",
             (unsigned long long)scenario->heal_ms / 1000, text && text[0] ? ": " : "",
             text ? text : "");
    buf_release(&why);
}

static void run_faults(const struct sim_scenario *scenario, struct sim *sim, uint64_t steps)
{
    while (sim->steps < steps && !sim->has_failed && sim_step(sim))
        scenario->check(sim);
}

static void run_healing(const struct sim_scenario *scenario, struct sim *sim)
{
    uint64_t end_ms = sim->now_ms + scenario->heal_ms, look_ms = 0;
    sim_heal(sim);
    scenario->heal(sim);
    while (!sim->has_failed && sim->now_ms < end_ms) {
        if (sim->now_ms >= look_ms && scenario->is_settled(sim))
            return;
        if (sim->now_ms >= look_ms)
            look_ms = sim->now_ms + LOOK_MS;
        if (!sim_step(sim))
            break;
        scenario->check(sim);
    }
    if (!sim->has_failed && !scenario->is_settled(sim))
        not_settled(scenario, sim);
}

struct sim_outcome sim_run(const struct sim_scenario *scenario, uint64_t seed, uint64_t steps,
                           bool is_traced)
{
    struct sim sim;
    struct sim_outcome outcome = {0};
    sim_init(&sim, seed, is_traced);
    scenario->setup(&sim);
    run_faults(scenario, &sim, steps ? steps : scenario->steps);
    if (!sim.has_failed)
        run_healing(scenario, &sim);
    if (!sim.has_failed && scenario->finish)
        scenario->finish(&sim);
    outcome.has_failed = sim.has_failed;
    outcome.hash = sim.hash;
    outcome.steps = sim.steps;
    outcome.end_ms = sim.now_ms;
    snprintf(outcome.failure, sizeof(outcome.failure), "%s", sim.failure);
    scenario->teardown(&sim);
    sim_release(&sim);
    return outcome;
}

struct sim_outcome sim_run_twice(const struct sim_scenario *scenario, uint64_t seed, uint64_t steps)
{
    struct sim_outcome first = sim_run(scenario, seed, steps, false);
    if (first.has_failed)
        return first;
    struct sim_outcome second = sim_run(scenario, seed, steps, false);
    if (!second.has_failed && second.hash == first.hash && second.steps == first.steps)
        return first;
    second.has_failed = true;
    snprintf(second.failure, sizeof(second.failure),
             "two runs differ: %016llx after %llu steps, then %016llx after %llu",
             (unsigned long long)first.hash, (unsigned long long)first.steps,
             (unsigned long long)second.hash, (unsigned long long)second.steps);
    return second;
}
