/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/schedule/preempt.h"

#include "jobtracker/jobs/attempts.h"
#include "jobtracker/jobs/locality.h"
#include "jobtracker/schedule/pick.h"

/* So many times preempt_ms a map waits for a node on which it has not failed yet; then any does. */
#define PATIENCE 10
/* Jobs, maps and reduces looked at, at most, in one call. */
#define LOOKS 64

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

static bool may_run_on(const struct jt_task *task, const struct jt_worker *worker, bool any_node)
{
    return worker->is_live && (any_node || !jt_task_failed_on(task, worker)) &&
           could_make_room(worker, task->stage, jt_task_need(task, worker));
}

/* Where the youngest of those reduces runs that stand in the way of `task`. */
static struct jt_worker *find_room(struct jt_core *core, const struct jt_task *task,
                                   const struct jt_worker *not_here, bool any_node)
{
    struct jt_job *job = task->stage->job;
    const struct jt_attempt *youngest = NULL;
    for (uint32_t s = 0; s < job->stage_count; s++) {
        struct list *running = &job->stages[s].attempts;
        int looks = job->stages[s].reads_from == task->stage->index ? LOOKS : 0;
        for (struct list *it = running->prev; it != running && looks > 0; it = it->prev, looks--) {
            const struct jt_attempt *attempt = list_entry(it, struct jt_attempt, of_stage);
            core->steps++;
            if (attempt->worker == not_here || !may_run_on(task, attempt->worker, any_node))
                continue;
            if (!youngest || attempt->start_ms > youngest->start_ms)
                youngest = attempt;
            break; /* the others of this stage are older */
        }
    }
    return youngest ? youngest->worker : NULL;
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
    struct jt_worker *worker = find_room(core, task, NULL, any_node);
    if (!worker)
        return false;
    make_room(core, task, worker, "makes room for a map that runs again");
    return jt_launch(core, task, worker, JT_REMOTE, false);
}

static bool preempt_stage(struct jt_core *core, struct jt_stage *stage)
{
    const struct jt_place *all = &stage->anywhere;
    jt_locality_trim(stage, &stage->anywhere); /* what waits is found however often others did */
    for (size_t i = all->next, looks = 0; i < all->count && looks < LOOKS; i++, looks++) {
        struct jt_task *task = &stage->tasks[all->tasks[i]];
        core->steps++;
        if (task->state == JT_TASK_WAITING && !is_patient(core, task, 1) && relieve(core, task))
            return true;
    }
    return false;
}

/* Is it still so? Then it comes back to the end of the line. */
static void preempt_job(struct jt_core *core, struct jt_job *job)
{
    bool has_relieved = false;
    for (uint32_t s = 0; s < job->stage_count && !has_relieved; s++) {
        struct jt_stage *stage = &job->stages[s];
        if (!stage->feeds || stage->waiting == 0)
            continue;
        has_relieved = preempt_stage(core, stage);
        jt_corner(core, stage);
    }
}

void jt_preempt_cornered(struct jt_core *core)
{
    const struct list *last = core->cornered.prev;
    bool is_last = list_is_empty(&core->cornered);
    for (int i = 0; i < LOOKS && !is_last; i++) {
        struct jt_job *job = list_first(&core->cornered, struct jt_job, cornered);
        is_last = &job->cornered == last;
        list_remove(&job->cornered);
        preempt_job(core, job);
    }
}

struct jt_worker *jt_preempt_for_copy(struct jt_core *core, const struct jt_attempt *straggler)
{
    const struct jt_task *task = straggler->task;
    struct jt_worker *worker =
        task->stage->feeds ? find_room(core, task, straggler->worker, false) : NULL;
    if (worker && jt_worker_is_slow(worker))
        worker = NULL;
    if (worker)
        make_room(core, task, worker, "makes room for a second copy of a slow map");
    return worker;
}
