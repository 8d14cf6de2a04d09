/* SPDX-License-Identifier: Apache-2.0
 * sim_conn: what sim.c asks of sim_net.c. */
#ifndef QUERN_TESTS_SIM_SIM_CONN_H
#define QUERN_TESTS_SIM_SIM_CONN_H

#include "tests/sim/sim.h"

void sim_conns_release(struct sim *sim);
void sim_conns_of_dead(struct sim_host *host); /* its connections are cut */

#endif
