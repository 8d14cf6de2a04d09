/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/schedule/exclude.h"

static void exclude_until(struct jt_core *core, struct jt_worker *worker, uint64_t until_ms)
{
    jt_worker_exclude(&core->fleet, worker, until_ms);
    if (worker->reserved_for)
        jt_reserve(core, worker->reserved_for, NULL);
    jt_effect_add(core, JT_SAY_EXCLUDED, NULL)->worker = worker;
}

static void exclude(struct jt_core *core, struct jt_worker *worker)
{
    uint64_t times = worker->exclusions < 3 ? 1ULL << worker->exclusions : EXCLUDE_TIMES;
    if (core->config.exclude_ms == 0 || (core->fleet.excluded_count + 1) * 3 > core->fleet.live)
        return;
    worker->exclusions++;
    exclude_until(core, worker, core->now_ms + times * core->config.exclude_ms);
}

void jt_exclude_for_good(struct jt_core *core, struct jt_worker *worker)
{
    if (worker->is_live && !worker->excluded_until_ms &&
        core->fleet.excluded_count + 1 < core->fleet.live)
        exclude_until(core, worker, JT_FOR_GOOD);
}

static void doubt(struct jt_core *core, struct jt_worker *worker, uint64_t job)
{
    if (!worker->is_live || worker->excluded_until_ms || worker->doubted_by == job)
        return;
    worker->doubted_by = job;
    if (++worker->doubts >= EXCLUDE_JOBS)
        exclude(core, worker);
}

void jt_exclude_note(struct jt_core *core, const struct jt_task *task)
{
    struct jt_worker *good = task->winner->worker;
    good->doubts = good->exclusions = 0;
    good->doubted_by = 0;
    list_each (&task->attempts, it) {
        const struct jt_attempt *attempt = list_entry(it, struct jt_attempt, of_task);
        if (attempt->is_doubtful && attempt->worker != good)
            doubt(core, attempt->worker, task->stage->job->number);
    }
}

void jt_exclude_end(struct jt_core *core)
{
    list_each_safe (&core->fleet.excluded, it) {
        struct jt_worker *worker = list_entry(it, struct jt_worker, excluded);
        if (worker->excluded_until_ms > core->now_ms)
            continue;
        jt_worker_include(&core->fleet, worker);
        worker->doubts = EXCLUDE_JOBS - 1;
        jt_effect_add(core, JT_SAY_EXCLUDED, NULL)->worker = worker;
    }
}
