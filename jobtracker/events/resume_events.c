/* SPDX-License-Identifier: Apache-2.0
 * events: a jobtracker's next life. The journal is told again; what it says of map outputs counts
 * once their workers come back and hold them. */
#include "jobtracker/events/events.h"
#include "jobtracker/events/settle.h"
#include "jobtracker/jobs/attempts.h"
#include "jobtracker/jobs/outputs.h"
#include "jobtracker/schedule/speculate.h"

/* Attempts of a jobtracker's n-th life are numbered from n * this: none is ever used twice. */
#define ATTEMPTS_PER_LIFE 1000

static struct jt_worker *expect_worker(struct jt_core *core, struct slice name)
{
    struct jt_worker *worker = jt_fleet_find(&core->fleet, name);
    if (worker)
        return worker;
    struct jt_worker_offer offer = {.name = name};
    worker = jt_fleet_put(&core->fleet, &offer, core->now_ms);
    if (worker)
        jt_worker_lose(&core->fleet, worker);
    return worker;
}

void jt_on_resume_begin(struct jt_core *core)
{
    core->is_resuming = true;
}

/* It was done in another life, whose clock is not ours: how long it took is what counts. */
static void place_in_time(struct jt_attempt *attempt, const struct jt_progress *progress)
{
    struct jt_stage *stage = attempt->task->stage;
    uint64_t took = progress->took_us / 1000;
    attempt->end_ms = attempt->start_ms;
    attempt->start_ms -= took < attempt->end_ms ? took : attempt->end_ms;
    jt_attempt_take_progress(attempt, progress);
    jt_stage_note_run(stage, took);
    jt_speculate_note(stage, attempt);
}

void jt_on_resumed(struct jt_core *core, struct jt_job *job, const struct jt_resumed *was,
                   uint64_t now_ms)
{
    core->now_ms = now_ms;
    struct jt_task *task = jt_job_task(job, was->id.stage, was->id.task);
    if (!task || jt_job_is_over(job) || task->state == JT_TASK_DONE)
        return;
    struct jt_worker *worker = expect_worker(core, was->worker);
    struct jt_attempt *attempt = worker ? jt_attempt_new(task, worker, now_ms) : NULL;
    if (!attempt || jt_task_keep_result(task, was->result) != 0) {
        core->out_of_memory = true;
        return;
    }
    attempt->number = was->id.attempt;
    place_in_time(attempt, &was->progress);
    sm_move(&jt_attempt_states, &attempt->state, JT_ATTEMPT_DONE);
    attempt->is_probation = task->stage->feeds;
    if (attempt->is_probation)
        list_push_back(&worker->held, &attempt->on_worker);
    task->winner = attempt;
    jt_task_move(task, JT_TASK_DONE);
    jt_claim_update(job, &core->fleet, now_ms);
    job->is_resumed = true;
}

void jt_on_resumed_lost(struct jt_core *core, struct jt_job *job, const struct attempt_id *id)
{
    struct jt_task *task = jt_job_task(job, id->stage, id->task);
    if (task && task->winner && task->winner->number == id->attempt)
        jt_output_lose(core, task);
}

void jt_on_resume_end(struct jt_core *core, uint32_t epoch, uint64_t now_ms)
{
    core->now_ms = core->start_ms = now_ms;
    core->is_resuming = false;
    core->is_on_probation = true;
    list_each_safe (&core->active, it) {
        struct jt_job *job = list_entry(it, struct jt_job, active);
        for (uint32_t s = 0; s < job->stage_count; s++)
            for (uint32_t t = 0; t < job->stages[s].count; t++)
                job->stages[s].tasks[t].next_attempt = epoch * ATTEMPTS_PER_LIFE;
        jt_advance(core, job);
    }
    jt_settle(core, NULL);
}

/* While nobody knew which workers there are, jobs were taken unseen. */
static void refuse_what_is_too_large(struct jt_core *core, struct jt_job *job)
{
    char why[256];
    if (job->submitted_ms <= core->start_ms || core->fleet.live == 0)
        return; /* it was let in when all were there */
    for (uint32_t s = 0; s < job->stage_count; s++) {
        const struct jt_stage *stage = &job->stages[s];
        if (stage->kind == JT_STAGE_COMMIT ||
            !jt_demand_too_large(&stage->asks, &core->fleet, true, why, sizeof(why)))
            continue;
        jt_job_end(core, job, JT_JOB_FAILED, why);
        return;
    }
}

void jt_end_probation(struct jt_core *core)
{
    if (!core->is_on_probation || core->now_ms < core->start_ms + core->config.resume_grace_ms)
        return;
    core->is_on_probation = false;
    list_each_safe (&core->active, it) {
        struct jt_job *job = list_entry(it, struct jt_job, active);
        for (uint32_t s = job->stage_count; job->is_resumed && s-- > 0;)
            for (uint32_t t = 0; t < job->stages[s].count; t++) {
                struct jt_task *task = &job->stages[s].tasks[t];
                if (task->winner && task->winner->is_probation)
                    jt_output_lose(core, task);
            }
        job->is_resumed = false;
        refuse_what_is_too_large(core, job);
    }
}

void jt_on_resumed_end(struct jt_core *core, struct jt_job *job, enum jt_job_state state,
                       const char *why)
{
    if (jt_job_is_over(job))
        return;
    if (job->state == JT_JOB_WAITING && state == JT_JOB_SUCCEEDED)
        sm_move(&jt_job_states, &job->state, JT_JOB_RUNNING);
    if (state == JT_JOB_SUCCEEDED)
        sm_move(&jt_job_states, &job->state, JT_JOB_COMMITTING);
    else if (state != JT_JOB_KILLED)
        state = JT_JOB_FAILED;
    jt_job_end(core, job, state, why);
}
