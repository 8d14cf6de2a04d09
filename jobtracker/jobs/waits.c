/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/jobs/waits.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "jobtracker/jobs/queues.h"
#include "libcommon/base/str.h"

struct answer {
    char *out;
    size_t cap;
};

static const char *say(const struct answer *to, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static const char *say(const struct answer *to, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(to->out, to->cap, fmt, args);
    va_end(args);
    return to->out;
}

static const char *word_of(const struct jt_demand *asks)
{
    return asks->is_reduce ? "reduce" : "map";
}

/* What a task of it would take of one of the workers that are large enough. */
static struct jt_need need_of(const struct jt_core *core, const struct jt_demand *asks)
{
    struct jt_need need = {asks->cores, asks->memory};
    list_each (&core->fleet.all, it) {
        const struct jt_worker *worker = list_entry(it, struct jt_worker, all);
        need = jt_demand_of(asks, worker);
        if (jt_worker_could_fit(worker, need))
            break;
    }
    return need;
}

static bool is_room(const struct jt_core *core, const struct jt_demand *asks)
{
    list_each (&core->fleet.free, it) {
        const struct jt_worker *worker = list_entry(it, struct jt_worker, free);
        if (jt_worker_fits(worker, jt_demand_of(asks, worker)))
            return true;
    }
    return false;
}

/* Its own limit, or its queue's. */
static const char *limit(const struct jt_core *core, const struct jt_job *job,
                         const struct jt_demand *asks, const struct answer *to)
{
    const struct jt_claim *claim = &job->claim;
    const struct jt_need need = need_of(core, asks);
    const uint64_t most = jt_queue_most(claim->queue, &core->fleet);
    char takes[32], may[32];
    if (claim->most_memory && need.memory > claim->most_memory)
        return say(to,
                   "a %s task takes %s of memory, and all of the job together may have %s "
                   "(mapreduce.job.running.memory.limit)",
                   word_of(asks), str_human(need.memory, takes, sizeof(takes)),
                   str_human(claim->most_memory, may, sizeof(may)));
    if (jt_units(&core->fleet, need) > most)
        return say(to,
                   "a %s task takes %" PRIu32 " of the cores and %s of memory, more than queue %s "
                   "may have in all: ask for less, or another queue (`quern queue -list`)",
                   word_of(asks), need.cores, str_human(need.memory, takes, sizeof(takes)),
                   claim->queue->name);
    if (!jt_claim_has_room(job, &core->fleet, need, (struct jt_need){0}))
        return say(to, "queue %s has as much of the cluster as it may have", claim->queue->name);
    return NULL;
}

static const char *room(const struct jt_core *core, const struct jt_demand *asks,
                        const struct answer *to)
{
    const struct jt_need need = need_of(core, asks);
    char takes[32];
    if (is_room(core, asks))
        return NULL;
    if (list_is_empty(&core->fleet.free))
        return say(to, "every core is taken by other jobs");
    return say(to, "no worker has %" PRIu32 " core%s and %s of memory free at a time", need.cores,
               need.cores == 1 ? "" : "s", str_human(need.memory, takes, sizeof(takes)));
}

static bool is_running(const struct jt_job *job)
{
    for (uint32_t s = 0; s < job->stage_count; s++)
        if (job->stages[s].running > 0)
            return true;
    return false;
}

const char *jt_waits_for(const struct jt_core *core, const struct jt_job *job, char *out,
                         size_t cap)
{
    const struct answer to = {out, cap};
    const struct jt_queue *queue = job->claim.queue;
    if (jt_job_is_over(job) || job->state == JT_JOB_COMMITTING || is_running(job))
        return NULL;
    if (core->fleet.live == 0)
        return say(&to, "no worker is registered");
    if (!job->claim.is_admitted)
        return say(&to, "queue %s runs %" PRIu32 " job%s at a time", queue->name,
                   queue->conf.most_running, queue->conf.most_running == 1 ? "" : "s");
    for (uint32_t s = 0; s < job->stage_count; s++) {
        const struct jt_demand *asks = &job->stages[s].asks;
        if (job->stages[s].waiting == 0)
            continue;
        if (jt_demand_too_large(asks, &core->fleet, false, out, cap))
            return out;
        const char *why = limit(core, job, asks, &to);
        return why ? why : room(core, asks, &to);
    }
    return NULL;
}
