/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/jobs/demand.h"

#include <inttypes.h>
#include <stdio.h>

#include "libcommon/base/str.h"

#define MB ((uint64_t)1 << 20)

struct jt_need jt_demand_of(const struct jt_demand *demand, const struct jt_worker *worker)
{
    struct jt_need need = {demand->cores, demand->memory};
    if (need.memory == 0 && need.cores <= worker->cores)
        need.memory = worker->memory / worker->cores * need.cores;
    if (demand->bends && need.memory > worker->memory)
        need.memory = worker->memory;
    return need;
}

static bool could_run(const struct jt_demand *demand, const struct jt_fleet *fleet, bool with_lost)
{
    list_each (&fleet->all, it) {
        const struct jt_worker *worker = list_entry(it, struct jt_worker, all);
        struct jt_need need = jt_demand_of(demand, worker);
        if ((worker->is_live || with_lost) && need.cores <= worker->cores &&
            need.memory <= worker->memory)
            return true;
    }
    return false;
}

const char *jt_demand_too_large(const struct jt_demand *demand, const struct jt_fleet *fleet,
                                bool with_lost, char *out, size_t cap)
{
    const char *kind = demand->is_reduce ? "reduce" : "map";
    char asks[32], has[32];
    if (could_run(demand, fleet, with_lost))
        return NULL;
    str_human(demand->memory, asks, sizeof(asks));
    str_human(fleet->most_memory, has, sizeof(has));
    if (!demand->bends && demand->memory > fleet->most_memory)
        snprintf(out, cap,
                 "a %s task asks for %s of memory, the largest worker offers %s: "
                 "-D mapreduce.%s.memory.mb=%" PRIu64 " would do, or a larger worker.memory",
                 kind, asks, has, kind, fleet->most_memory / MB);
    else if (demand->cores > fleet->most_cores)
        snprintf(out, cap,
                 "a %s task asks for %" PRIu32 " cores, the largest worker offers %" PRIu32
                 ": -D mapreduce.%s.cpu.vcores=%" PRIu32 " would do, or more worker.cores",
                 kind, demand->cores, fleet->most_cores, kind, fleet->most_cores);
    else
        snprintf(out, cap,
                 "a %s task asks for %" PRIu32 " cores and %s of memory, and no worker offers "
                 "both: ask for less (mapreduce.%s.cpu.vcores, mapreduce.%s.memory.mb)",
                 kind, demand->cores, asks, kind, kind);
    return out;
}
