/* SPDX-License-Identifier: Apache-2.0
 * The scenarios there are, in order of running. */
#include "tests/sim/scenario.h"

extern const struct sim_scenario sim_scenario_jobs, sim_scenario_namenode, sim_scenario_writer;

const struct sim_scenario *const sim_scenarios[] = {
    &sim_scenario_namenode,
    &sim_scenario_jobs,
    &sim_scenario_writer,
};
const size_t sim_scenario_count = ARRAY_LEN(sim_scenarios);
