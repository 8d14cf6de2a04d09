/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/schedule/speculate.h"

#include "jobtracker/jobs/attempts.h"
#include "jobtracker/schedule/preempt.h"

#define YOUNGEST_MS 200 /* below this age a rate means nothing */

/* Bytes per second, times 1000 so that slow tasks do not round to nothing. */
static uint64_t rate_of(const struct jt_attempt *attempt, uint64_t until_ms)
{
    uint64_t ms = until_ms > attempt->start_ms ? until_ms - attempt->start_ms : 1;
    uint64_t work = attempt->bytes_in ? attempt->bytes_in : 1;
    return (uint64_t)((__uint128_t)work * 1000000 / ms);
}

static size_t place_for(const struct jt_stage *stage, uint64_t rate)
{
    size_t low = 0, high = stage->rate_count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (stage->rates[mid] < rate)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static uint64_t median(const struct jt_stage *stage)
{
    return stage->rate_count ? stage->rates[stage->rate_count / 2] : 0;
}

void jt_speculate_note(struct jt_stage *stage, const struct jt_attempt *attempt)
{
    if (mem_grow(&stage->rates, &stage->rate_cap, stage->rate_count, sizeof(uint64_t)) != 0)
        return; /* a median over fewer tasks */
    uint64_t rate = rate_of(attempt, attempt->end_ms);
    size_t at = place_for(stage, rate);
    memmove(&stage->rates[at + 1], &stage->rates[at], (stage->rate_count - at) * sizeof(uint64_t));
    stage->rates[at] = rate;
    stage->rate_count++;
    if (attempt->worker->slow_tasks && rate * 3 >= median(stage) * 2)
        attempt->worker->slow_tasks--;
}

/* With no byte counted yet, the age of the attempt against the mean time is all there is. */
bool jt_attempt_is_slow(const struct jt_attempt *attempt, uint64_t now_ms)
{
    const struct jt_stage *stage = attempt->task->stage;
    if (stage->done == 0 || now_ms < attempt->start_ms + YOUNGEST_MS)
        return false;
    uint64_t age = now_ms - attempt->start_ms, mean = stage->done_ms_total / stage->done;
    if (age < mean + mean / 2)
        return false; /* it may be slow, but nothing is lost yet */
    if (attempt->bytes_in == 0 && attempt->bytes_total == 0)
        return true;
    return rate_of(attempt, now_ms) * 3 < median(stage) * 2;
}

static struct jt_worker *other_free_worker(struct jt_core *core, const struct jt_task *task,
                                           const struct jt_worker *not_here)
{
    list_each (&core->fleet.free, it) {
        struct jt_worker *worker = list_entry(it, struct jt_worker, free);
        if (worker != not_here && !jt_worker_is_slow(worker) && !jt_task_failed_on(task, worker) &&
            jt_worker_fits(worker, jt_task_need(task, worker)))
            return worker;
    }
    return NULL;
}

static struct jt_attempt *only_running(struct jt_task *task)
{
    struct jt_attempt *found = NULL;
    list_each (&task->attempts, it) {
        struct jt_attempt *attempt = list_entry(it, struct jt_attempt, of_task);
        if (attempt->state == JT_ATTEMPT_RUNNING) {
            if (found)
                return NULL;
            found = attempt;
        }
    }
    return found;
}

static uint32_t copies_running(const struct jt_stage *stage)
{
    uint32_t copies = 0;
    for (uint32_t i = 0; i < stage->count; i++)
        copies += stage->tasks[i].state == JT_TASK_RUNNING && stage->tasks[i].running > 1;
    return copies;
}

static void consider(struct jt_core *core, struct jt_task *task, bool is_late, uint32_t *budget)
{
    struct jt_attempt *attempt = task->state == JT_TASK_RUNNING ? only_running(task) : NULL;
    if (!attempt || !jt_attempt_is_slow(attempt, core->now_ms))
        return;
    if (!jt_worker_is_slow(attempt->worker) && (!is_late || *budget == 0))
        return;
    struct jt_worker *worker = other_free_worker(core, task, attempt->worker);
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

static void look_at(struct jt_core *core, struct jt_stage *stage)
{
    if (stage->kind == JT_STAGE_COMMIT || stage->running == 0 || stage->waiting > 0 ||
        stage->no_copies)
        return;
    bool is_late = is_nearly_done(core, stage);
    uint32_t most = stage->count * core->config.speculate_percent / 100;
    uint32_t copies = copies_running(stage), budget = most > 1 ? most : 1;
    budget = budget > copies ? budget - copies : 0;
    for (uint32_t i = 0; i < stage->count; i++)
        consider(core, &stage->tasks[i], is_late, &budget);
}

void jt_speculate(struct jt_core *core)
{
    list_each_safe (&core->active, it) {
        struct jt_job *job = list_entry(it, struct jt_job, active);
        for (uint32_t i = 0; i < job->stage_count; i++)
            look_at(core, &job->stages[i]);
    }
}
