/* SPDX-License-Identifier: Apache-2.0
 * job->outputs only grows: a lost output stays in it, and the one of the attempt that ran again
 * comes behind it and counts instead. */
#include "jobtracker/jobs/outputs.h"

#include "jobtracker/jobs/attempts.h"

void jt_outputs_tell(struct jt_core *core, struct jt_link *link)
{
    struct jt_job *job = link->job;
    bool complete = job->outputs_missing == 0;
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

/* Reducing workers want the places of outputs; holding workers want to know that all maps are done
 * and their streams may end. */
void jt_outputs_tell_all(struct jt_core *core, struct jt_job *job)
{
    list_each (&job->links, it) {
        struct jt_link *link = list_entry(it, struct jt_link, of_job);
        if (link->worker->is_live && link->told_job &&
            (link->reducing > 0 || link->told_complete != (job->outputs_missing == 0)))
            jt_outputs_tell(core, link);
    }
}

int jt_output_place(struct jt_core *core, struct jt_attempt *attempt)
{
    struct jt_job *job = attempt->task->stage->job;
    if (mem_grow(&job->outputs, &job->output_cap, job->output_count, sizeof(struct jt_output)) !=
        0) {
        core->out_of_memory = true;
        return ERR_NOMEM;
    }
    job->outputs[job->output_count++] = (struct jt_output){
        attempt->task->stage->index, attempt->task->index, attempt->number, attempt->worker};
    BUG_ON(job->outputs_missing == 0);
    job->outputs_missing--;
    jt_outputs_tell_all(core, job);
    return 0;
}

/* A done task whose output is gone runs again, if somebody still needs it. */
void jt_output_lose(struct jt_core *core, struct jt_task *task)
{
    struct jt_job *job = task->stage->job;
    struct jt_attempt *winner = task->winner;
    if (task->state != JT_TASK_DONE || !winner || !jt_stage_is_needed(task->stage))
        return;
    sm_move(&jt_attempt_states, &winner->state, JT_ATTEMPT_KILLED);
    task->stage->killed_attempts++;
    jt_effect_add(core, JT_WRITE_LOST, job)->attempt = winner;
    task->winner = NULL;
    task->fetch_reports = 0;
    if (!winner->is_probation)
        job->outputs_missing++;
    winner->is_probation = false;
    mem_free((void *)(uintptr_t)task->result.data);
    task->result = slice_of(NULL, 0);
    job->version++;
    task->stage->ended_ms = 0;
    jt_task_wait(core, task);
    jt_outputs_tell_all(core, job);
}
