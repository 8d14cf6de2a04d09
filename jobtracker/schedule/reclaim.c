/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/schedule/reclaim.h"

#include "jobtracker/jobs/attempts.h"
#include "jobtracker/jobs/locality.h"
#include "jobtracker/schedule/row.h"

/* Tasks begun in one call for one queue, and attempts looked at for each. */
#define AT_ONCE 32
#define LOOKS   32

static const struct jt_stage *first_wanting(const struct jt_job *job)
{
    for (uint32_t i = 0; i < job->stage_count; i++)
        if (jt_stage_wants(&job->stages[i]) > 0)
            return &job->stages[i];
    return NULL;
}

/* --- who gives ------------------------------------------------------------------------------- */

/* The queue that is furthest above its share. */
static struct jt_queue *richest_queue(const struct jt_core *core, const struct jt_queue *not_this)
{
    struct jt_queue *best = NULL;
    uint64_t most = 0;
    for (uint32_t i = 0; i < core->queues.count; i++) {
        struct jt_queue *queue = core->queues.items[i];
        uint64_t has = jt_units(&core->fleet, queue->used);
        if (queue == not_this || has <= queue->fair || has - queue->fair <= most)
            continue;
        most = has - queue->fair;
        best = queue;
    }
    return best;
}

static struct jt_job *richest_job(const struct jt_queue *queue)
{
    struct heap_node *first = heap_min(&queue->rich);
    return first ? CONTAINER_OF(first, struct jt_job, claim.rich) : NULL;
}

static struct jt_attempt *youngest_of(struct jt_core *core, struct jt_job *job)
{
    struct jt_attempt *youngest = NULL;
    for (uint32_t i = 0; i < job->stage_count; i++) {
        struct list *running = &job->stages[i].attempts;
        core->steps++;
        if (list_is_empty(running) || job->stages[i].kind == JT_STAGE_COMMIT)
            continue;
        struct jt_attempt *last =
            jt_row_front(list_entry(running->prev, struct jt_attempt, of_stage));
        if (!youngest || last->start_ms > youngest->start_ms)
            youngest = last;
    }
    return youngest;
}

/* Nobody is left below its share; save that who has nothing at all is given one, where shares are
 * no whole cores, by whoever keeps something and loses less than a core of what it should have. */
static bool may_part(uint64_t has, uint64_t share, uint64_t gives, bool to_have_not)
{
    if (has < gives)
        return false;
    uint64_t keeps = has - gives;
    return keeps >= share || (to_have_not && keeps > 0 && keeps + JT_UNITS > share);
}

/* May so much be taken from its job, and its queue if that is another? */
static bool may_give(const struct jt_core *core, const struct jt_attempt *attempt,
                     const struct jt_job *taker)
{
    const struct jt_job *job = attempt->task->stage->job;
    const struct jt_claim *claim = &job->claim;
    uint64_t has = jt_units(&core->fleet, claim->used);
    uint64_t gives = jt_units(&core->fleet, attempt->taken);
    if (job == taker || attempt->task->stage->kind == JT_STAGE_COMMIT)
        return false;
    if (claim->queue == taker->claim.queue)
        return may_part(has, jt_claim_share(job), gives, taker->claim.used.cores == 0);
    return may_part(jt_units(&core->fleet, claim->queue->used), claim->queue->fair, gives,
                    taker->claim.queue->used.cores == 0);
}

/* --- taking ---------------------------------------------------------------------------------- */

/* Its worker's youngest that may give, until the task fits there. */
static bool clear(struct jt_core *core, struct jt_worker *worker, const struct jt_task *task,
                  const char *why)
{
    while (!jt_worker_fits(worker, jt_task_need(task, worker))) {
        struct jt_attempt *victim = NULL;
        int looks = 0;
        for (struct list *it = worker->attempts.prev; it != &worker->attempts && looks < LOOKS;
             it = it->prev) {
            struct jt_attempt *attempt = list_entry(it, struct jt_attempt, on_worker);
            core->steps++;
            looks += attempt->taken.cores > 0;
            if (attempt->taken.cores > 0 && may_give(core, attempt, task->stage->job)) {
                victim = attempt;
                break;
            }
        }
        if (!victim)
            return false;
        jt_kill_row(core, victim, why);
    }
    return true;
}

static bool take_one(struct jt_core *core, struct jt_job *job, struct jt_queue *from)
{
    struct jt_job *giver = richest_job(from);
    struct jt_attempt *youngest = giver && giver != job ? youngest_of(core, giver) : NULL;
    const struct jt_stage *stage = first_wanting(job);
    if (!youngest || !stage || !may_give(core, youngest, job))
        return false;
    struct jt_worker *worker = youngest->worker;
    enum jt_locality level;
    struct jt_task *task =
        jt_locality_find((struct jt_stage *)(uintptr_t)stage, worker, JT_REMOTE, false, &level);
    struct jt_need need = task ? jt_task_need(task, worker) : (struct jt_need){0};
    struct jt_need gives = from == job->claim.queue ? youngest->taken : (struct jt_need){0};
    if (!task || !jt_worker_could_fit(worker, need) ||
        !jt_claim_has_room(job, &core->fleet, need, gives))
        return false;
    const char *why = from == job->claim.queue
                          ? "made room for a job of its queue that was below its share"
                          : "made room for a queue that was below its share";
    return clear(core, worker, task, why) && jt_launch(core, task, worker, level, false);
}

/* Above its own share a queue may only share out anew what it has. */
static struct jt_queue *giver_for(const struct jt_core *core, struct jt_queue *queue)
{
    uint64_t has = jt_units(&core->fleet, queue->used);
    bool is_below = has == 0 || has + JT_UNITS <= queue->fair;
    struct jt_queue *other = is_below ? richest_queue(core, queue) : NULL;
    return other ? other : queue;
}

static bool is_overdue(const struct jt_core *core, struct jt_job *job)
{
    jt_claim_update(job, &core->fleet, core->now_ms); /* shares have moved since it was asked */
    return job->claim.below_since_ms != 0 &&
           core->now_ms >= job->claim.below_since_ms + core->config.share_wait_ms;
}

static void reclaim_for(struct jt_core *core, struct jt_queue *queue)
{
    for (int i = 0; i < AT_ONCE; i++) {
        struct heap_node *first = heap_min(&queue->poor);
        struct jt_job *job = first ? CONTAINER_OF(first, struct jt_job, claim.poor) : NULL;
        if (!job || !is_overdue(core, job) || !take_one(core, job, giver_for(core, queue)))
            return;
    }
}

void jt_reclaim(struct jt_core *core)
{
    if (core->config.share_wait_ms == 0 || core->is_resuming)
        return;
    for (uint32_t i = 0; i < core->queues.count; i++)
        reclaim_for(core, core->queues.items[i]);
}
