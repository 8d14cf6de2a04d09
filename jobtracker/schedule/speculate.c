/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/schedule/speculate.h"

#include "jobtracker/jobs/attempts.h"
#include "jobtracker/schedule/preempt.h"

#define YOUNGEST_MS 200 /* below this age a rate means nothing */
/* Looked at in one call, at most: stages, attempts of each, free workers for one. */
#define LOOKS_STAGES   32
#define LOOKS_ATTEMPTS 256
#define LOOKS_WORKERS  32

/* Bytes per second, times 1000 so that slow tasks do not round to nothing. */
static uint64_t rate_of(const struct jt_attempt *attempt, uint64_t until_ms)
{
    uint64_t ms = until_ms > attempt->start_ms ? until_ms - attempt->start_ms : 1;
    uint64_t work = attempt->bytes_in ? attempt->bytes_in : 1;
    return (uint64_t)((__uint128_t)work * 1000000 / ms);
}

void jt_speculate_note(struct jt_stage *stage, const struct jt_attempt *attempt)
{
    uint64_t rate = rate_of(attempt, attempt->end_ms);
    jt_middle_add(&stage->rates, rate);
    if (attempt->worker->slow_tasks && rate * 3 >= jt_middle_get(&stage->rates) * 2)
        attempt->worker->slow_tasks--;
}

/* How old an attempt is when it should have ended: the mean, or what a task with so much input
 * takes at the median rate. */
static uint64_t age_due_ms(const struct jt_stage *stage, const struct jt_task *task)
{
    uint64_t mean = jt_stage_mean_ms(stage), rate = jt_middle_get(&stage->rates);
    uint64_t by_bytes = rate ? (uint64_t)((__uint128_t)task->bytes * 1000000 / rate) : 0;
    return by_bytes > mean ? by_bytes : mean;
}

/* Half as old again, it is slow if its rate is; with two thirds of its work before it, at once.
 * With no byte counted yet, its age is all there is: a third more, for with the copy's own time and
 * the looks in between half more would cost more than a task time and a half. */
bool jt_attempt_is_slow(const struct jt_attempt *attempt, uint64_t now_ms)
{
    const struct jt_stage *stage = attempt->task->stage;
    if (stage->run_ms.seen == 0 || now_ms < attempt->start_ms + YOUNGEST_MS)
        return false;
    uint64_t age = now_ms - attempt->start_ms, due = age_due_ms(stage, attempt->task);
    uint64_t rate = rate_of(attempt, now_ms), median = jt_middle_get(&stage->rates);
    if (age < due)
        return false; /* it may be slow, but nothing is lost yet */
    if (attempt->bytes_in == 0)
        return age >= due + due / 3;
    return rate * 3 < (age < due + due / 2 ? median : median * 2);
}

static struct jt_worker *other_free_worker(struct jt_core *core, const struct jt_task *task,
                                           const struct jt_worker *not_here)
{
    for (int looks = 0; looks < LOOKS_WORKERS && !list_is_empty(&core->fleet.free); looks++) {
        struct jt_worker *worker = list_first(&core->fleet.free, struct jt_worker, free);
        core->steps++;
        list_remove(&worker->free); /* whoever comes next meets another */
        list_push_back(&core->fleet.free, &worker->free);
        if (worker != not_here && !worker->reserved_for && !jt_worker_is_slow(worker) &&
            !jt_task_failed_on(task, worker) && jt_worker_fits(worker, jt_task_need(task, worker)))
            return worker;
    }
    return NULL;
}

static void consider(struct jt_core *core, struct jt_attempt *attempt, bool is_late,
                     uint32_t *budget)
{
    struct jt_task *task = attempt->task;
    if (task->running > 1 || attempt->taken.cores == 0 ||
        !jt_attempt_is_slow(attempt, core->now_ms))
        return;
    if (!jt_worker_is_slow(attempt->worker) && (!is_late || *budget == 0))
        return;
    struct jt_worker *worker = other_free_worker(core, task, attempt->worker);
    if (worker && !jt_claim_has_room(task->stage->job, &core->fleet, jt_task_need(task, worker),
                                     (struct jt_need){0}))
        return;
    if (!worker)
        worker = jt_preempt_for_copy(core, attempt);
    if (!worker || !jt_launch(core, task, worker, JT_REMOTE, true))
        return;
    attempt->worker->slow_tasks++;
    if (*budget)
        --*budget;
}

/* Of a few tasks the share is never reached while one is left: the last one is always late. */
static bool is_nearly_done(const struct jt_core *core, const struct jt_stage *stage)
{
    return stage->count - stage->done == 1 ||
           (uint64_t)stage->done * 100 >=
               (uint64_t)stage->count * core->config.speculate_after_percent;
}

/* Is it old enough that it, or one as old, may be a straggler? */
static bool is_old(const struct jt_stage *stage, const struct jt_attempt *attempt, uint64_t now_ms)
{
    return now_ms >= attempt->start_ms + YOUNGEST_MS &&
           now_ms >= attempt->start_ms + jt_stage_mean_ms(stage);
}

/* The oldest first: behind the first that is young there are only younger ones. */
static void look_at(struct jt_core *core, struct jt_stage *stage)
{
    bool is_late = is_nearly_done(core, stage);
    uint32_t most = stage->count * core->config.speculate_percent / 100;
    uint32_t budget = most > 1 ? most : 1;
    budget = budget > stage->copies ? budget - stage->copies : 0;
    int looks = 0;
    list_each_safe (&stage->attempts, it) {
        struct jt_attempt *attempt = list_entry(it, struct jt_attempt, of_stage);
        if (!is_old(stage, attempt, core->now_ms) || looks++ == LOOKS_ATTEMPTS)
            return;
        core->steps++;
        consider(core, attempt, is_late, &budget);
    }
}

void jt_speculate(struct jt_core *core)
{
    struct heap_node *first;
    for (int looks = 0; looks < LOOKS_STAGES && (first = heap_min(&core->checks)); looks++) {
        struct jt_stage *stage = CONTAINER_OF(first, struct jt_stage, check);
        if (first->key > core->now_ms)
            return;
        heap_remove(&core->checks, first);
        if (stage->running == 0 || stage->waiting > 0)
            continue; /* it comes back when it is handed out again */
        look_at(core, stage);
        jt_check_later(core, stage);
    }
}
