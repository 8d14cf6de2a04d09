/* SPDX-License-Identifier: Apache-2.0
 * demand: what tasks ask of a worker, and whether there is one that could give it. Pure.
 *
 * What a job says itself is kept to the byte: a task that no worker is large enough for is not
 * begun, and such a job is refused when it is submitted. What a job has left to the default bends
 * to the worker: there a task takes all the memory there is. */
#ifndef QUERN_JOBTRACKER_JOBS_DEMAND_H
#define QUERN_JOBTRACKER_JOBS_DEMAND_H

#include "jobtracker/fleet/workers.h"

struct jt_demand {
    uint32_t cores;
    uint64_t memory; /* bytes per task; 0 = the worker's share of its cores */
    bool bends;      /* a worker that has less memory gives what it has */
    bool is_reduce;
};

/* What a task of it takes of this worker. */
struct jt_need jt_demand_of(const struct jt_demand *demand, const struct jt_worker *worker);

/* NULL: a worker could run it, were it idle (with_lost: a lost one could, too). Else one line that
 * says what is asked for, what there is, and which setting would do. */
const char *jt_demand_too_large(const struct jt_demand *demand, const struct jt_fleet *fleet,
                                bool with_lost, char *out, size_t cap);

#endif
