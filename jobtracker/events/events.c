/* SPDX-License-Identifier: Apache-2.0
 * events of jobs and attempts, and of time. One function per event; each ends in jt_settle(), so
 * that no caller can forget what follows from it. */
#include "jobtracker/events/events.h"

#include <inttypes.h>

#include "jobtracker/events/settle.h"
#include "jobtracker/jobs/attempts.h"
#include "jobtracker/jobs/outputs.h"
#include "jobtracker/schedule/exclude.h"
#include "jobtracker/schedule/pick.h"
#include "jobtracker/schedule/preempt.h"
#include "jobtracker/schedule/reclaim.h"
#include "jobtracker/schedule/row.h"
#include "jobtracker/schedule/speculate.h"
#include "libcommon/base/str.h"

static struct jt_job *add_job(struct jt_core *core, uint64_t number, const struct jt_submit *submit)
{
    if (number == 0)
        number = core->next_job;
    struct jt_job *job = jt_job_new(number, submit, core->now_ms);
    if (!job || jt_core_activate(core, job, submit->queue) != 0) {
        jt_job_free(job);
        return NULL;
    }
    if (hmap_add(&core->jobs, &job->by_number, hash_u64(number)) != 0) {
        jt_core_deactivate(core, job);
        jt_job_free(job);
        return NULL;
    }
    if (number >= core->next_job)
        core->next_job = number + 1;
    list_push_back(&core->all, &job->all);
    return job;
}

struct jt_job *jt_on_submit(struct jt_core *core, uint64_t number, const struct jt_submit *submit,
                            uint64_t now_ms)
{
    core->now_ms = now_ms;
    struct jt_job *job = add_job(core, number, submit);
    if (job)
        jt_settle(core, job);
    return job;
}

void jt_on_kill(struct jt_core *core, struct jt_job *job, const char *why, uint64_t now_ms)
{
    core->now_ms = now_ms;
    /* Once PUBLISH is on its way the output may already be there: its answer decides. */
    if (jt_job_is_over(job) || job->has_published)
        return;
    jt_job_end(core, job, JT_JOB_KILLED, why);
    jt_settle(core, job);
}

void jt_on_priority(struct jt_core *core, struct jt_job *job, uint32_t priority, uint64_t now_ms)
{
    core->now_ms = now_ms;
    job->priority = priority;
    job->version++;
    jt_claim_update(job, &core->fleet, now_ms);
}

void jt_on_published(struct jt_core *core, struct jt_job *job, int code, const char *why,
                     uint64_t now_ms)
{
    core->now_ms = now_ms;
    if (jt_job_is_over(job) || job->state != JT_JOB_COMMITTING)
        return;
    jt_job_end(core, job, code == 0 ? JT_JOB_SUCCEEDED : JT_JOB_FAILED, why);
    jt_settle(core, job);
}

/* What is in hand of it is from before; some of its results may be gone meanwhile. */
void jt_on_packed(struct jt_core *core, struct jt_stage *stage, const struct slice *inputs,
                  uint32_t tasks, uint64_t now_ms)
{
    struct jt_job *job = stage->job;
    core->now_ms = now_ms;
    if (stage->has_packing || jt_job_is_over(job))
        return;
    if (tasks == 0) {
        stage->has_asked = false;
        return;
    }
    if (tasks != stage->count && jt_stage_make_tasks(stage, tasks) != 0) {
        core->out_of_memory = true;
        return;
    }
    for (uint32_t i = 0; i < tasks; i++) {
        stage->tasks[i].input = slice_keep(inputs[i], &job->arena);
        if (!stage->tasks[i].input.data) {
            core->out_of_memory = true;
            return;
        }
    }
    stage->has_packing = true;
    job->version++;
    jt_settle(core, job);
}

static struct jt_attempt *find_running(const struct jt_core *core, const struct jt_worker *worker,
                                       const struct attempt_id *id)
{
    struct jt_attempt *attempt = jt_core_attempt(core, id);
    bool ok = attempt && attempt->worker == worker && attempt->state == JT_ATTEMPT_RUNNING;
    return ok ? attempt : NULL;
}

bool jt_is_running(const struct jt_core *core, const struct jt_worker *worker,
                   const struct attempt_id *id)
{
    return find_running(core, worker, id) != NULL;
}

void jt_on_progress(struct jt_core *core, struct jt_worker *worker, const struct attempt_id *id,
                    const struct jt_progress *progress, uint64_t now_ms)
{
    core->now_ms = now_ms;
    struct jt_attempt *attempt = find_running(core, worker, id);
    if (!attempt)
        return;
    jt_attempt_take_progress(attempt, progress);
    attempt->task->stage->job->version++;
}

bool jt_on_done(struct jt_core *core, struct jt_worker *worker, const struct attempt_id *id,
                const struct jt_progress *progress, struct slice result, uint64_t now_ms)
{
    core->now_ms = now_ms;
    struct jt_attempt *attempt = jt_core_attempt(core, id);
    if (attempt && attempt->worker == worker && attempt->task->winner == attempt)
        return true; /* said again, because the first answer was lost */
    attempt = find_running(core, worker, id);
    if (!attempt)
        return false;
    if (jt_task_keep_result(attempt->task, result) != 0) {
        core->out_of_memory = true; /* not "drop it": nobody else would make it */
        return false;
    }
    struct jt_task *task = attempt->task;
    struct jt_stage *stage = task->stage;
    jt_attempt_take_progress(attempt, progress);
    attempt->is_empty = progress->is_empty;
    task->winner = attempt;
    /* Before its end: what the job may have more is asked there. */
    jt_task_move(task, JT_TASK_DONE);
    jt_attempt_end(core, attempt, JT_ATTEMPT_DONE);
    jt_task_kill_attempts(core, task, "another attempt was first");
    jt_stage_note_run(stage, attempt->end_ms - attempt->start_ms);
    jt_row_note(stage, progress);
    jt_speculate_note(stage, attempt);
    jt_exclude_note(core, task);
    jt_effect_add(core, JT_WRITE_DONE, stage->job)->attempt = attempt;
    if (stage->feeds)
        jt_output_place(core, attempt);
    jt_settle(core, stage->job);
    return true;
}

static uint32_t most_attempts(const struct jt_core *core, const struct jt_stage *stage)
{
    return stage->max_attempts ? stage->max_attempts : core->config.max_attempts;
}

static void fail_job(struct jt_core *core, struct jt_task *task)
{
    struct jt_job *job = task->stage->job;
    static const char *const words[] = {"map", "map", "reduce", "commit"};
    char why[160], where[40] = "";
    if (task->stage->kind == JT_STAGE_REDUCE && task->stage->index > 1)
        snprintf(where, sizeof(where), " of reduce stage %" PRIu32, task->stage->index);
    if (task->failures >= most_attempts(core, task->stage))
        snprintf(why, sizeof(why), "%s %" PRIu32 "%s failed %" PRIu32 " time%s",
                 words[task->stage->kind], task->index, where, task->failures,
                 task->failures == 1 ? "" : "s");
    else
        snprintf(why, sizeof(why), "no node could run %s %" PRIu32 "%s in %" PRIu32 " attempts",
                 words[task->stage->kind], task->index, where, task->node_failures);
    job->culprit = task;
    jt_job_end(core, job, JT_JOB_FAILED, why);
}

/* What is a node's own fault does not count against a task. But when every node has refused it
 * twice over, it is no node's own. */
static bool is_hopeless(const struct jt_core *core, const struct jt_task *task)
{
    return task->node_failures >= JT_NODE_FAILURES && task->node_failures >= 2 * core->fleet.live;
}

/* It stood in a row, and was not begun. */
static void take_back(struct jt_core *core, struct jt_attempt *attempt)
{
    struct jt_job *job = attempt->task->stage->job;
    jt_row_note(attempt->task->stage, NULL);
    jt_attempt_end(core, attempt, JT_ATTEMPT_KILLED);
    jt_task_wait_if_idle(core, attempt->task);
    jt_settle(core, job);
}

void jt_on_failed(struct jt_core *core, struct jt_worker *worker, const struct attempt_id *id,
                  enum jt_fault fault, const char *why, uint64_t now_ms)
{
    bool counts = fault == JT_FAULT_TASK || fault == JT_FAULT_MEMORY;
    core->now_ms = now_ms;
    struct jt_attempt *attempt = find_running(core, worker, id);
    if (!attempt)
        return;
    struct jt_task *task = attempt->task;
    struct jt_job *job = task->stage->job;
    attempt->why = why ? str_dup(why) : NULL;
    if (fault == JT_FAULT_NONE) {
        take_back(core, attempt);
        return;
    }
    attempt->is_doubtful = fault != JT_FAULT_MEMORY;
    if (fault == JT_FAULT_MEMORY &&
        task->memory == 0) /* once: what twice is not enough for leaks */
        task->memory = 2 * attempt->taken.memory;
    jt_attempt_end(core, attempt, counts ? JT_ATTEMPT_FAILED : JT_ATTEMPT_KILLED);
    jt_task_blame(task, worker);
    worker->failures++;
    if (fault == JT_FAULT_NODE_SPENT)
        jt_exclude_for_good(core, worker);
    if (counts) {
        jt_shun(core, job, worker);
        task->failures++;
    } else
        task->node_failures++;
    if (task->failures >= most_attempts(core, task->stage) || is_hopeless(core, task))
        fail_job(core, task);
    else
        jt_task_wait_if_idle(core, task);
    jt_settle(core, job);
}

bool jt_on_stop(struct jt_core *core, struct jt_attempt *attempt, bool fails, const char *why,
                uint64_t now_ms)
{
    struct jt_task *task = attempt->task;
    core->now_ms = now_ms;
    if (attempt->state != JT_ATTEMPT_RUNNING)
        return false;
    task->failures += fails;
    jt_stop_attempt(core, attempt, fails ? JT_ATTEMPT_FAILED : JT_ATTEMPT_KILLED, why);
    if (fails && task->failures >= most_attempts(core, task->stage))
        fail_job(core, task);
    jt_settle(core, task->stage->job);
    return true;
}

static void lose_outputs(struct jt_core *core, const struct attempt_id *reduce, struct slice source,
                         const uint64_t *maps, size_t count, bool is_certain)
{
    struct jt_attempt *attempt = jt_core_attempt(core, reduce);
    struct jt_worker *worker = jt_fleet_find(&core->fleet, source);
    if (!attempt || attempt->state != JT_ATTEMPT_RUNNING || !worker)
        return;
    struct jt_job *job = attempt->task->stage->job;
    uint32_t from = attempt->task->stage->reads_from, fetchers = job->reducing;
    for (size_t i = 0; i < count; i++) {
        struct jt_task *task =
            maps[i] <= UINT32_MAX ? jt_job_task(job, from, (uint32_t)maps[i]) : NULL;
        if (!task || !task->winner || task->winner->worker != worker)
            continue;
        task->fetch_reports++;
        if (is_certain || task->fetch_reports >= 3 || task->fetch_reports * 2 >= fetchers) {
            task->winner->is_doubtful = true;
            jt_task_blame(task, worker);
            jt_output_lose(core, task);
        }
    }
    jt_settle(core, job);
}

/* One reduce alone may be the one at fault; three reports, or half of those that fetch, are not. */
void jt_on_fetch_failed(struct jt_core *core, const struct attempt_id *reduce, struct slice source,
                        const uint64_t *maps, size_t count, uint64_t now_ms)
{
    core->now_ms = now_ms;
    lose_outputs(core, reduce, source, maps, count, false);
}

void jt_on_output_damaged(struct jt_core *core, const struct attempt_id *reduce,
                          struct slice source, const uint64_t *maps, size_t count, uint64_t now_ms)
{
    core->now_ms = now_ms;
    lose_outputs(core, reduce, source, maps, count, true);
}

void jt_on_queues_changed(struct jt_core *core, uint64_t now_ms)
{
    core->now_ms = now_ms;
    for (uint32_t i = 0; i < core->queues.count; i++)
        jt_admit(core, core->queues.items[i]);
    list_each (&core->fleet.free, it)
        jt_worker_offer_again(&core->fleet, list_entry(it, struct jt_worker, free));
    jt_settle(core, NULL);
}

void jt_on_tick(struct jt_core *core, uint64_t now_ms)
{
    core->now_ms = now_ms;
    jt_lose_silent_workers(core);
    jt_end_probation(core);
    jt_exclude_end(core);
    jt_outputs_tell_untold(core);
    jt_preempt_cornered(core);
    jt_queues_share(&core->queues, &core->fleet);
    jt_reclaim(core);
    jt_schedule_again(core);
    jt_settle(core, NULL);
    jt_speculate(core);
    jt_settle(core, NULL);
}
