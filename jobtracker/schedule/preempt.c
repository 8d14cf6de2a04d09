/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/schedule/preempt.h"

#include "jobtracker/jobs/attempts.h"
#include "jobtracker/schedule/pick.h"

/* So many times preempt_ms a map waits for a node on which it has not failed yet; then any does. */
#define PATIENCE 10

/* Does it hold a core only until `stage` is done? */
static bool waits_for(const struct jt_attempt *attempt, const struct jt_stage *stage)
{
    const struct jt_stage *own = attempt->task->stage;
    return own->job == stage->job && own->index > stage->index;
}

static struct jt_attempt *youngest_there(const struct jt_worker *worker,
                                         const struct jt_stage *stage)
{
    struct jt_attempt *youngest = NULL;
    list_each (&worker->attempts, it) {
        struct jt_attempt *attempt = list_entry(it, struct jt_attempt, on_worker);
        if (waits_for(attempt, stage) && (!youngest || attempt->start_ms > youngest->start_ms))
            youngest = attempt;
    }
    return youngest;
}

/* Would it fit if every reduce that waits for `stage` were gone from there? */
static bool could_make_room(const struct jt_worker *worker, const struct jt_stage *stage,
                            struct jt_need need)
{
    struct jt_worker after = *worker;
    list_each (&worker->attempts, it) {
        const struct jt_attempt *attempt = list_entry(it, struct jt_attempt, on_worker);
        if (waits_for(attempt, stage)) {
            after.cores_used -= attempt->taken.cores;
            after.memory_used -= attempt->taken.memory;
        }
    }
    return jt_worker_fits(&after, need);
}

/* Where the youngest of those reduces runs that stand in the way of `task`. */
static struct jt_worker *find_room(const struct jt_task *task, const struct jt_worker *not_here,
                                   bool any_node)
{
    struct jt_worker *best = NULL;
    uint64_t youngest_ms = 0;
    list_each (&task->stage->job->links, it) {
        const struct jt_link *link = list_entry(it, struct jt_link, of_job);
        struct jt_worker *worker = link->worker;
        if (link->reducing == 0 || worker == not_here || !worker->is_live ||
            (!any_node && jt_task_failed_on(task, worker)) ||
            !could_make_room(worker, task->stage, jt_task_need(task, worker)))
            continue;
        const struct jt_attempt *youngest = youngest_there(worker, task->stage);
        if (youngest && (!best || youngest->start_ms > youngest_ms)) {
            best = worker;
            youngest_ms = youngest->start_ms;
        }
    }
    return best;
}

static void make_room(struct jt_core *core, const struct jt_task *task, struct jt_worker *worker,
                      const char *why)
{
    struct jt_attempt *victim;
    while (!jt_worker_fits(worker, jt_task_need(task, worker)) &&
           (victim = youngest_there(worker, task->stage)) != NULL)
        jt_kill_attempt(core, victim, why);
}

static bool is_patient(const struct jt_core *core, const struct jt_task *task, uint64_t times)
{
    return core->now_ms < task->waiting_since_ms + times * core->config.preempt_ms;
}

static bool relieve(struct jt_core *core, struct jt_task *task)
{
    bool any_node = !is_patient(core, task, PATIENCE) || !jt_has_elsewhere(core, task);
    struct jt_worker *worker = find_room(task, NULL, any_node);
    if (!worker)
        return false;
    make_room(core, task, worker, "makes room for a map that runs again");
    return jt_launch(core, task, worker, JT_REMOTE, false);
}

void jt_preempt(struct jt_core *core, struct jt_job *job)
{
    for (uint32_t s = 0; s < job->stage_count; s++) {
        struct jt_stage *stage = &job->stages[s];
        if (!stage->feeds || stage->waiting == 0)
            continue;
        for (uint32_t t = 0; t < stage->count; t++) {
            struct jt_task *task = &stage->tasks[t];
            if (task->state == JT_TASK_WAITING && !is_patient(core, task, 1) && relieve(core, task))
                return;
        }
    }
}

struct jt_worker *jt_preempt_for_copy(struct jt_core *core, const struct jt_attempt *straggler)
{
    const struct jt_task *task = straggler->task;
    struct jt_worker *worker =
        task->stage->feeds ? find_room(task, straggler->worker, false) : NULL;
    if (worker && jt_worker_is_slow(worker))
        worker = NULL;
    if (worker)
        make_room(core, task, worker, "makes room for a second copy of a slow map");
    return worker;
}
