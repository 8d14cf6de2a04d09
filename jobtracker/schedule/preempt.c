/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/schedule/preempt.h"

#include "jobtracker/jobs/attempts.h"

static struct jt_attempt *youngest_reduce(const struct jt_job *job)
{
    struct jt_attempt *youngest = NULL;
    list_each (&job->links, it) {
        const struct jt_link *link = list_entry(it, struct jt_link, of_job);
        if (link->reducing == 0)
            continue;
        list_each (&link->worker->attempts, a) {
            struct jt_attempt *attempt = list_entry(a, struct jt_attempt, on_worker);
            if (attempt->task->stage->job == job && attempt->task->stage->kind == JT_STAGE_REDUCE &&
                (!youngest || attempt->start_ms > youngest->start_ms))
                youngest = attempt;
        }
    }
    return youngest;
}

void jt_preempt(struct jt_core *core, struct jt_job *job)
{
    for (uint32_t s = 0; s < job->stage_count; s++) {
        struct jt_stage *stage = &job->stages[s];
        if (stage->kind != JT_STAGE_MAP || stage->waiting == 0)
            continue;
        for (uint32_t t = 0; t < stage->count; t++) {
            struct jt_task *task = &stage->tasks[t];
            if (task->state != JT_TASK_WAITING ||
                core->now_ms < task->waiting_since_ms + core->config.preempt_ms)
                continue;
            struct jt_attempt *victim = youngest_reduce(job);
            if (victim)
                jt_kill_attempt(core, victim, "makes room for a map that runs again");
            task->waiting_since_ms = core->now_ms;
            return;
        }
    }
}
