/* SPDX-License-Identifier: Apache-2.0
 * Attempts begin and end here and nowhere else, so that what a worker offers and what its tasks
 * hold always agree. */
#include "jobtracker/jobs/attempts.h"

#include "jobtracker/jobs/locality.h"
#include "jobtracker/jobs/outputs.h"
#include "libcommon/base/str.h"

static void wait(struct jt_core *core, struct jt_task *task)
{
    jt_task_move(task, JT_TASK_WAITING);
    task->waiting_since_ms = core->now_ms;
    if (jt_locality_add(task->stage, task, &core->fleet) != 0)
        core->out_of_memory = true;
}

static void has_waiting(struct jt_core *core, struct jt_stage *stage)
{
    jt_match(core, stage);
    jt_corner(core, stage);
    jt_claim_update(stage->job, &core->fleet, core->now_ms);
}

void jt_task_wait(struct jt_core *core, struct jt_task *task)
{
    wait(core, task);
    has_waiting(core, task->stage);
}

void jt_stage_unblock(struct jt_core *core, struct jt_stage *stage)
{
    for (uint32_t i = 0; i < stage->count; i++)
        if (stage->tasks[i].state == JT_TASK_BLOCKED)
            wait(core, &stage->tasks[i]);
    has_waiting(core, stage);
}

void jt_task_wait_if_idle(struct jt_core *core, struct jt_task *task)
{
    if (task->state == JT_TASK_RUNNING && task->running == 0 && !jt_job_is_over(task->stage->job))
        jt_task_wait(core, task);
}

struct jt_need jt_task_need(const struct jt_task *task, const struct jt_worker *worker)
{
    struct jt_need need = jt_demand_of(&task->stage->asks, worker);
    if (task->memory > need.memory && worker->memory > need.memory)
        need.memory = task->memory < worker->memory ? task->memory : worker->memory;
    return need;
}

bool jt_tell_job(struct jt_core *core, struct jt_link *link)
{
    if (!link)
        return false;
    if (!link->told_job) {
        jt_effect_add(core, JT_TELL_JOB, link->job)->worker = link->worker;
        link->told_job = true;
        link->outputs_told = 0;
        link->told_complete = 0;
    }
    return true;
}

/* The link's attempts that fetch: it is in the job's list while there are some. */
static void count_fetching(struct jt_link *link, const struct jt_stage *stage, int more)
{
    link->running += (uint32_t)more;
    if (stage->kind != JT_STAGE_REDUCE)
        return;
    link->reducing += (uint32_t)more;
    link->job->reducing += (uint32_t)more;
    list_remove(&link->fetching);
    if (link->reducing > 0)
        list_push_back(&link->job->fetching, &link->fetching);
}

/* What reads from the stage may get cores now, and stragglers be told from the others. */
static void is_handed_out(struct jt_core *core, struct jt_stage *stage)
{
    if (list_is_empty(&stage->job->changed))
        list_push_back(&core->changed, &stage->job->changed);
    jt_check_later(core, stage);
}

/* All that follows from there being a new attempt, but for what it takes and who is told. */
static struct jt_attempt *begin(struct jt_core *core, struct jt_task *task, struct jt_link *link,
                                enum jt_locality locality, bool is_speculative)
{
    struct jt_stage *stage = task->stage;
    struct jt_worker *worker = link->worker;
    struct jt_attempt *attempt = jt_attempt_new(task, worker, core->now_ms);
    if (!attempt)
        return NULL;
    attempt->is_speculative = is_speculative;
    attempt->locality = locality;
    if (task->state == JT_TASK_WAITING)
        attempt->queue_ms = core->now_ms - task->waiting_since_ms;
    list_push_back(&worker->attempts, &attempt->on_worker);
    list_push_back(&stage->attempts, &attempt->of_stage);
    if (++task->running == 2)
        stage->copies++;
    count_fetching(link, stage, 1);
    if (task->state == JT_TASK_WAITING)
        jt_task_move(task, JT_TASK_RUNNING);
    if (stage->waiting == 0)
        is_handed_out(core, stage);
    if (stage->started_ms == 0)
        stage->started_ms = core->now_ms;
    stage->speculative += is_speculative;
    if (!is_speculative)
        stage->locality[locality]++;
    if (stage->job->state == JT_JOB_WAITING)
        sm_move(&jt_job_states, &stage->job->state, JT_JOB_RUNNING);
    stage->job->version++;
    return attempt;
}

static void tell_run(struct jt_core *core, struct jt_attempt *attempt, bool is_behind)
{
    struct jt_effect *effect = jt_effect_add(core, JT_TELL_RUN, attempt->task->stage->job);
    effect->worker = attempt->worker;
    effect->attempt = attempt;
    effect->is_behind = is_behind;
}

struct jt_attempt *jt_launch(struct jt_core *core, struct jt_task *task, struct jt_worker *worker,
                             enum jt_locality locality, bool is_speculative)
{
    struct jt_stage *stage = task->stage;
    struct jt_link *link = jt_link_get(stage->job, worker);
    struct jt_attempt *attempt = link ? begin(core, task, link, locality, is_speculative) : NULL;
    if (!attempt) {
        core->out_of_memory = true;
        return NULL;
    }
    attempt->taken = jt_task_need(task, worker);
    jt_worker_take(&core->fleet, worker, attempt->taken);
    jt_claim_take(stage->job, attempt->taken);
    jt_claim_update(stage->job, &core->fleet, core->now_ms);
    jt_tell_job(core, link);
    tell_run(core, attempt, false);
    if (stage->kind == JT_STAGE_REDUCE)
        jt_outputs_tell(core, link);
    return attempt;
}

struct jt_attempt *jt_launch_behind(struct jt_core *core, struct jt_task *task,
                                    struct jt_attempt *front, enum jt_locality locality)
{
    struct jt_job *job = task->stage->job;
    struct jt_link *link = jt_link_find(job, front->worker);
    struct jt_attempt *attempt = begin(core, task, link, locality, false);
    if (!attempt) {
        core->out_of_memory = true;
        return NULL;
    }
    list_push_back(&front->in_row, &attempt->in_row);
    jt_claim_update(job, &core->fleet, core->now_ms);
    tell_run(core, attempt, true);
    return attempt;
}

/* Whoever is next in the row has the core from now on, if it was this one's. false: nobody is. */
static bool pass_on(const struct jt_core *core, struct jt_attempt *attempt)
{
    if (list_is_empty(&attempt->in_row))
        return false;
    struct jt_attempt *next = list_entry(attempt->in_row.next, struct jt_attempt, in_row);
    list_remove(&attempt->in_row);
    if (attempt->taken.cores == 0)
        return true;
    next->taken = attempt->taken;
    next->start_ms = core->now_ms;
    list_remove(&next->of_stage); /* the oldest first */
    list_push_back(&next->task->stage->attempts, &next->of_stage);
    return true;
}

static void give_back(struct jt_core *core, struct jt_attempt *attempt)
{
    if (attempt->worker->is_live)
        jt_worker_give_back(&core->fleet, attempt->worker, attempt->taken);
    jt_claim_give_back(attempt->task->stage->job, attempt->taken);
}

/* The attempt stops running, whatever comes of it. */
void jt_attempt_end(struct jt_core *core, struct jt_attempt *attempt, enum jt_attempt_state to)
{
    struct jt_task *task = attempt->task;
    struct jt_link *link = jt_link_find(task->stage->job, attempt->worker);
    sm_move(&jt_attempt_states, &attempt->state, to);
    attempt->end_ms = core->now_ms;
    list_remove(&attempt->on_worker);
    list_remove(&attempt->of_stage);
    if (!pass_on(core, attempt))
        give_back(core, attempt);
    if (--task->running == 1)
        task->stage->copies--;
    if (link)
        count_fetching(link, task->stage, -1);
    task->stage->failed_attempts += to == JT_ATTEMPT_FAILED;
    task->stage->killed_attempts += to == JT_ATTEMPT_KILLED;
    task->stage->job->version++;
    jt_claim_update(task->stage->job, &core->fleet, core->now_ms);
}

void jt_stop_attempt(struct jt_core *core, struct jt_attempt *attempt, enum jt_attempt_state to,
                     const char *why)
{
    jt_attempt_end(core, attempt, to);
    if (!attempt->why)
        attempt->why = str_dup(why); /* for the history; it may go without */
    if (attempt->worker->is_live) {
        struct jt_effect *effect = jt_effect_add(core, JT_TELL_KILL, attempt->task->stage->job);
        effect->worker = attempt->worker;
        effect->attempt = attempt;
        effect->why = why;
    }
    jt_task_wait_if_idle(core, attempt->task);
}

void jt_kill_attempt(struct jt_core *core, struct jt_attempt *attempt, const char *why)
{
    jt_stop_attempt(core, attempt, JT_ATTEMPT_KILLED, why);
}

struct jt_attempt *jt_row_front(struct jt_attempt *attempt)
{
    struct jt_attempt *one = attempt;
    while (one->taken.cores == 0)
        one = list_entry(one->in_row.next, struct jt_attempt, in_row);
    return one;
}

void jt_kill_row(struct jt_core *core, struct jt_attempt *attempt, const char *why)
{
    struct jt_attempt *front = jt_row_front(attempt);
    while (!list_is_empty(&front->in_row))
        jt_kill_attempt(core, list_entry(front->in_row.prev, struct jt_attempt, in_row), why);
    jt_kill_attempt(core, front, why);
}

void jt_task_kill_attempts(struct jt_core *core, struct jt_task *task, const char *why)
{
    list_each_safe (&task->attempts, it) {
        struct jt_attempt *attempt = list_entry(it, struct jt_attempt, of_task);
        if (attempt->state == JT_ATTEMPT_RUNNING)
            jt_kill_attempt(core, attempt, why);
    }
}

/* 0, or ERR_NOMEM: then the attempt cannot be taken as the winner. */
int jt_task_keep_result(struct jt_task *task, struct slice result)
{
    uint8_t *copy = mem_alloc(result.len);
    if (!copy)
        return ERR_NOMEM;
    if (result.len)
        memcpy(copy, result.data, result.len);
    mem_free((void *)(uintptr_t)task->result.data);
    task->result = slice_of(copy, result.len);
    return 0;
}
