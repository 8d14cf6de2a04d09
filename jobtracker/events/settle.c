/* SPDX-License-Identifier: Apache-2.0
 * What follows from any event: stages begin, jobs end, free cores are handed out. */
#include "jobtracker/events/settle.h"

#include "jobtracker/jobs/attempts.h"
#include "jobtracker/schedule/pick.h"
#include "libcommon/base/str.h"

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
        core->steps++;
        if (stage->blocked > 0 && may_begin(core, stage))
            jt_stage_unblock(core, stage);
        else if (stage->waiting > 0 && stage->reads_from != JT_NO_STAGE)
            jt_match(core, stage); /* it may have been held back until now */
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

static bool asks_to_pack(const struct jt_core *core, size_t from)
{
    for (size_t i = from; i < core->effect_count; i++)
        if (core->effects[i].kind == JT_PACK)
            return true;
    return false;
}

void jt_settle(struct jt_core *core, struct jt_job *job)
{
    size_t from = core->effect_count;
    if (core->is_resuming)
        return;
    if (job && !jt_job_is_over(job))
        jt_advance(core, job);
    if (asks_to_pack(core, from))
        return; /* the core its last map had is its own reduce's, if its turn: jt_on_packed */
    do {
        jt_schedule(core);
        /* Handing a stage out wholly may let the next one begin. */
        list_each_safe (&core->changed, it) {
            struct jt_job *changed = list_entry(it, struct jt_job, changed);
            list_remove(&changed->changed);
            jt_advance(core, changed);
        }
    } while (!list_is_empty(&core->matching) && !core->out_of_memory);
}

void jt_admit(struct jt_core *core, struct jt_queue *queue)
{
    struct jt_job *next;
    while ((next = jt_queue_admit(queue)) != NULL) {
        jt_claim_update(next, &core->fleet, core->now_ms);
        jt_match_all(core, next);
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
        while (!list_is_empty(&job->stages[i].attempts)) /* rows change it */
            jt_kill_attempt(core, list_first(&job->stages[i].attempts, struct jt_attempt, of_stage),
                            "the job is over");
    jt_core_deactivate(core, job);
    jt_admit(core, job->claim.queue); /* another may run in its stead */
    jt_effect_add(core, JT_WRITE_END, job);
    if (state != JT_JOB_SUCCEEDED)
        jt_effect_add(core, JT_CLEAN_UP, job);
    list_each_safe (&job->links, it) {
        struct jt_link *link = list_entry(it, struct jt_link, of_job);
        if (link->told_job && link->worker->is_live)
            jt_effect_add(core, JT_TELL_END, job)->worker = link->worker;
        jt_link_free(link);
    }
}
