/* SPDX-License-Identifier: Apache-2.0
 * job->outputs only grows: a lost output stays in it, and the one of the attempt that ran again
 * comes behind it and counts instead. */
#include "jobtracker/jobs/outputs.h"

#include "jobtracker/jobs/attempts.h"
#include "libcommon/base/str.h"

uint32_t jt_outputs_complete(const struct jt_job *job)
{
    uint32_t stages = 0;
    for (uint32_t i = 0; i < job->stage_count; i++)
        if (job->stages[i].feeds && job->stages[i].outputs_missing == 0)
            stages |= UINT32_C(1) << i;
    return stages;
}

void jt_outputs_tell(struct jt_core *core, struct jt_link *link)
{
    struct jt_job *job = link->job;
    uint32_t complete = jt_outputs_complete(job);
    if (link->outputs_told == job->output_count && link->told_complete == complete)
        return;
    struct jt_effect *effect = jt_effect_add(core, JT_TELL_OUTPUTS, job);
    effect->worker = link->worker;
    effect->from = link->outputs_told;
    effect->to = job->output_count;
    effect->complete = complete;
    link->outputs_told = job->output_count;
    link->told_complete = complete;
}

/* So many are told of an output at once; more of them hear at the next tick of all there are. */
#define TOLD_AT_ONCE 4

static void tell_fetching(struct jt_core *core, struct jt_job *job, uint32_t most)
{
    uint32_t told = 0;
    list_each (&job->fetching, it) {
        struct jt_link *link = list_entry(it, struct jt_link, fetching);
        if (told++ == most)
            break;
        if (link->worker->is_live && link->told_job)
            jt_outputs_tell(core, link);
    }
    if (told > most && list_is_empty(&job->untold))
        list_push_back(&core->untold, &job->untold);
}

void jt_outputs_tell_untold(struct jt_core *core)
{
    list_each_safe (&core->untold, it) {
        struct jt_job *job = list_entry(it, struct jt_job, untold);
        list_remove(&job->untold);
        tell_fetching(core, job, UINT32_MAX);
    }
}

/* Reducing workers want the places of outputs; holding workers want to know that all maps are done
 * and their streams may end. */
static void tell_all(struct jt_core *core, struct jt_job *job)
{
    list_each (&job->links, it) {
        struct jt_link *link = list_entry(it, struct jt_link, of_job);
        if (link->worker->is_live && link->told_job &&
            (link->reducing > 0 || link->told_complete != jt_outputs_complete(job)))
            jt_outputs_tell(core, link);
    }
}

/* Which stages are complete has changed, or has not. */
static void outputs_changed(struct jt_core *core, struct jt_job *job, uint32_t was_complete)
{
    if (was_complete != jt_outputs_complete(job))
        tell_all(core, job);
    else
        tell_fetching(core, job, TOLD_AT_ONCE);
}

int jt_output_place(struct jt_core *core, struct jt_attempt *attempt)
{
    struct jt_job *job = attempt->task->stage->job;
    if (mem_grow(&job->outputs, &job->output_cap, job->output_count, sizeof(struct jt_output)) !=
        0) {
        core->out_of_memory = true;
        return ERR_NOMEM;
    }
    job->outputs[job->output_count++] =
        (struct jt_output){attempt->task->stage->index, attempt->task->index, attempt->number,
                           attempt->is_empty, attempt->worker};
    struct jt_stage *stage = attempt->task->stage;
    uint32_t was_complete = jt_outputs_complete(job);
    BUG_ON(stage->outputs_missing == 0);
    stage->outputs_missing--;
    list_remove(&attempt->on_worker);
    list_push_back(&attempt->worker->held, &attempt->on_worker);
    outputs_changed(core, job, was_complete);
    return 0;
}

/* Nobody holds it, or said so in time after a restart. */
static bool is_gone(const struct jt_attempt *winner)
{
    if (winner->is_probation)
        return !winner->task->stage->job->is_resumed;
    return list_is_empty(&winner->on_worker); /* its worker was lost, even if it has come back */
}

/* A stage has to run again whose own input nobody has kept an eye on since it was done. */
static void lose_what_it_reads(struct jt_core *core, const struct jt_stage *stage)
{
    if (stage->reads_from == JT_NO_STAGE)
        return;
    struct jt_stage *before = &stage->job->stages[stage->reads_from];
    for (uint32_t i = 0; i < before->count; i++)
        if (before->tasks[i].winner && is_gone(before->tasks[i].winner))
            jt_output_lose(core, &before->tasks[i]);
}

/* A done task whose output is gone runs again, if somebody still needs it. */
void jt_output_lose(struct jt_core *core, struct jt_task *task)
{
    bool was_done = jt_stage_is_done(task->stage);
    struct jt_job *job = task->stage->job;
    struct jt_attempt *winner = task->winner;
    uint32_t was_complete = jt_outputs_complete(job);
    if (task->state != JT_TASK_DONE || !winner || !jt_stage_is_needed(task->stage))
        return;
    sm_move(&jt_attempt_states, &winner->state, JT_ATTEMPT_KILLED);
    list_remove(&winner->on_worker);
    winner->is_lost = true;
    if (!winner->why) /* for the history; it may go without */
        winner->why = str_dup(winner->is_doubtful ? "its output could not be read any more"
                                                  : "its output was lost with its worker");
    task->stage->killed_attempts++;
    jt_effect_add(core, JT_WRITE_LOST, job)->attempt = winner;
    task->winner = NULL;
    task->fetch_reports = 0;
    if (!winner->is_probation)
        task->stage->outputs_missing++;
    winner->is_probation = false;
    mem_free((void *)(uintptr_t)task->result.data);
    task->result = slice_of(NULL, 0);
    job->version++;
    task->stage->ended_ms = 0;
    jt_task_wait(core, task);
    outputs_changed(core, job, was_complete);
    if (was_done)
        lose_what_it_reads(core, task->stage);
}
