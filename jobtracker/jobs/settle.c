/* SPDX-License-Identifier: Apache-2.0
 * What follows from any event: stages begin, jobs end, free cores are handed out. */
#include "jobtracker/jobs/settle.h"

#include "jobtracker/jobs/attempts.h"
#include "jobtracker/schedule/pick.h"
#include "libcommon/base/str.h"

static void unblock(struct jt_core *core, struct jt_stage *stage)
{
    for (uint32_t i = 0; i < stage->count; i++)
        if (stage->tasks[i].state == JT_TASK_BLOCKED)
            jt_task_wait(core, &stage->tasks[i]);
}

/* Before all is there that a packed stage reads, nobody can say what its tasks are to fetch. */
static bool is_packed_up(struct jt_core *core, struct jt_stage *stage,
                         const struct jt_stage *before)
{
    if (!stage->is_packed || stage->has_packing)
        return true;
    if (jt_stage_is_done(before) && !stage->has_asked) {
        stage->has_asked = true;
        jt_effect_add(core, JT_PACK, stage->job)->stage = stage;
    }
    return false;
}

/* A fetching stage gets workers once what it reads is wholly handed out and begun to be done. */
static bool may_begin(struct jt_core *core, struct jt_stage *stage)
{
    const struct jt_job *job = stage->job;
    if (stage->kind == JT_STAGE_COMMIT) {
        for (uint32_t i = 0; i < job->stage_count; i++)
            if (&job->stages[i] != stage && !jt_stage_is_done(&job->stages[i]))
                return false;
        return true;
    }
    if (stage->reads_from == JT_NO_STAGE)
        return true;
    const struct jt_stage *before = &job->stages[stage->reads_from];
    if (!is_packed_up(core, stage, before))
        return false;
    uint64_t share =
        stage->has_slowstart ? stage->slowstart_percent : core->config.slowstart_percent;
    return before->waiting == 0 && before->blocked == 0 &&
           (uint64_t)before->done * 100 >= before->count * share;
}

void jt_advance(struct jt_core *core, struct jt_job *job)
{
    bool all_done = true;
    for (uint32_t i = 0; i < job->stage_count; i++) {
        struct jt_stage *stage = &job->stages[i];
        if (stage->blocked > 0 && may_begin(core, stage))
            unblock(core, stage);
        if (jt_stage_is_done(stage) && stage->ended_ms == 0)
            stage->ended_ms = core->now_ms;
        all_done = all_done && jt_stage_is_done(stage);
    }
    if (all_done && !job->has_published) {
        if (job->state == JT_JOB_WAITING)
            sm_move(&jt_job_states, &job->state, JT_JOB_RUNNING);
        sm_move(&jt_job_states, &job->state, JT_JOB_COMMITTING);
        job->has_published = true;
        job->version++;
        jt_effect_add(core, JT_PUBLISH, job);
    }
}

void jt_settle(struct jt_core *core, struct jt_job *job)
{
    if (core->is_resuming)
        return;
    if (job && !jt_job_is_over(job))
        jt_advance(core, job);
    if (!core->must_schedule)
        return;
    core->must_schedule = false;
    jt_schedule(core);
    /* Handing a stage out wholly may let the next one begin. */
    list_each_safe (&core->active, it)
        jt_advance(core, list_entry(it, struct jt_job, active));
    if (core->must_schedule) {
        core->must_schedule = false;
        jt_schedule(core);
    }
}

void jt_job_end(struct jt_core *core, struct jt_job *job, enum jt_job_state state, const char *why)
{
    sm_move(&jt_job_states, &job->state, state);
    job->ended_ms = core->now_ms;
    job->version++;
    if (why && !job->why)
        job->why = str_dup(why);
    for (uint32_t i = 0; i < job->stage_count; i++)
        for (uint32_t t = 0; t < job->stages[i].count; t++)
            jt_task_kill_attempts(core, &job->stages[i].tasks[t], "the job is over");
    list_remove(&job->active);
    jt_effect_add(core, JT_WRITE_END, job);
    if (state != JT_JOB_SUCCEEDED)
        jt_effect_add(core, JT_CLEAN_UP, job);
    list_each_safe (&job->links, it) {
        struct jt_link *link = list_entry(it, struct jt_link, of_job);
        if (link->told_job && link->worker->is_live)
            jt_effect_add(core, JT_TELL_END, job)->worker = link->worker;
        list_remove(&link->of_worker);
        list_remove(&link->of_job);
        mem_free(link);
    }
}
