/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/schedule/pick.h"

#include "jobtracker/jobs/attempts.h"
#include "jobtracker/schedule/locality.h"

/* Half a mean task time, but no longer than configured: waiting longer for a local slot than the
 * remote read would cost is a loss. */
static uint64_t delay_ms(const struct jt_core *core, const struct jt_stage *stage)
{
    uint64_t most = core->config.locality_wait_ms;
    if (stage->done == 0)
        return most;
    uint64_t half = stage->done_ms_total / stage->done / 2;
    return half < most ? half : most;
}

static enum jt_locality worst_now(const struct jt_core *core, const struct jt_stage *stage)
{
    if (stage->delay_since_ms == 0)
        return JT_NODE_LOCAL;
    uint64_t waited = core->now_ms - stage->delay_since_ms, delay = delay_ms(core, stage);
    if (waited >= 2 * delay)
        return JT_REMOTE;
    return waited >= delay ? JT_RACK_LOCAL : JT_NODE_LOCAL;
}

static bool has_failed_much(const struct jt_core *core, const struct jt_link *link)
{
    return link && link->failures >= core->config.job_worker_failures;
}

/* A job shuns workers it failed on often. When those are more than a third of all, it is the job
 * that is at fault, and shunning them would leave it nowhere to end. */
static bool is_unwelcome(const struct jt_core *core, const struct jt_job *job,
                         const struct jt_worker *worker)
{
    uint32_t shunned = 0;
    if (!has_failed_much(core, jt_link_find(job, worker)))
        return false;
    list_each (&job->links, it) {
        const struct jt_link *link = list_entry(it, struct jt_link, of_job);
        shunned += link->worker->is_live && has_failed_much(core, link);
    }
    return shunned * 3 <= core->fleet.live;
}

bool jt_has_elsewhere(const struct jt_core *core, const struct jt_task *task)
{
    list_each (&core->fleet.all, it) {
        const struct jt_worker *worker = list_entry(it, struct jt_worker, all);
        if (jt_worker_could_fit(worker, jt_task_need(task, worker)) &&
            !jt_task_failed_on(task, worker) && !is_unwelcome(core, task->stage->job, worker))
            return true;
    }
    return false;
}

/* What it reads from still looks for cores: it would only hold one that is needed there. */
static bool must_hold_back(const struct jt_stage *stage)
{
    return stage->reads_from != JT_NO_STAGE && stage->job->stages[stage->reads_from].waiting > 0;
}

static bool launch_from(struct jt_core *core, struct jt_stage *stage, struct jt_worker *worker)
{
    if (stage->waiting == 0 || must_hold_back(stage))
        return false;
    enum jt_locality level;
    struct jt_task *task = jt_locality_find(stage, worker, worst_now(core, stage), false, &level);
    if (!task) {
        if (stage->delay_since_ms == 0)
            stage->delay_since_ms = core->now_ms;
        /* A task may have failed on every worker there is: then any will do. */
        if (core->fleet.live <= 1 || worst_now(core, stage) == JT_REMOTE)
            task = jt_locality_find(stage, worker, JT_REMOTE, true, &level);
        if (!task || (jt_task_failed_on(task, worker) && jt_has_elsewhere(core, task)))
            return false;
    }
    if (!jt_worker_fits(worker, jt_task_need(task, worker)))
        return false;
    if (!jt_launch(core, task, worker, level, false))
        return false;
    if (level == JT_NODE_LOCAL || level == JT_NO_PREFERENCE)
        stage->delay_since_ms = 0;
    return true;
}

static bool offer(struct jt_core *core, struct jt_worker *worker)
{
    list_each (&core->active, it) {
        struct jt_job *job = list_entry(it, struct jt_job, active);
        if (is_unwelcome(core, job, worker))
            continue;
        for (uint32_t i = 0; i < job->stage_count; i++)
            if (launch_from(core, &job->stages[i], worker))
                return true;
    }
    return false;
}

/* One task to each free worker in turn, so that a small job spreads. */
void jt_schedule(struct jt_core *core)
{
    bool launched = true;
    while (launched && !core->out_of_memory) {
        launched = false;
        list_each_safe (&core->fleet.free, it) {
            struct jt_worker *worker = list_entry(it, struct jt_worker, free);
            launched = offer(core, worker) || launched;
        }
    }
}
