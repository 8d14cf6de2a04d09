/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/schedule/reclaim.h"

#include "jobtracker/jobs/attempts.h"
#include "jobtracker/jobs/locality.h"
#include "jobtracker/schedule/row.h"

/* Tasks begun in one call for one queue, and attempts looked at for each. */
#define AT_ONCE 32
#define LOOKS   32

static struct jt_stage *first_wanting(struct jt_job *job)
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

/* Who is to be ended on a worker, all of them or none. */
struct victims {
    struct jt_attempt *of[LOOKS];
    size_t count;
};

/* What those give already, of its job alone or of all its queue. */
static struct jt_need given_with(const struct victims *victims, const struct jt_attempt *attempt,
                                 bool of_job)
{
    const struct jt_job *job = attempt->task->stage->job;
    struct jt_need sum = {0};
    for (size_t i = 0; i < victims->count; i++) {
        const struct jt_attempt *other = victims->of[i];
        const struct jt_job *giver = other->task->stage->job;
        if (of_job ? giver != job : giver->claim.queue != job->claim.queue)
            continue;
        sum.cores += other->taken.cores;
        sum.memory += other->taken.memory;
    }
    return sum;
}

static uint64_t units_without(const struct jt_core *core, struct jt_need used, struct jt_need given)
{
    return jt_units(&core->fleet,
                    (struct jt_need){used.cores - given.cores, used.memory - given.memory});
}

/* May so much be taken from its job, and its queue if that is another, beside what others give? */
static bool may_give(const struct jt_core *core, const struct jt_attempt *attempt,
                     const struct jt_job *taker, const struct victims *others)
{
    const struct jt_job *job = attempt->task->stage->job;
    const struct jt_claim *claim = &job->claim;
    bool of_job = claim->queue == taker->claim.queue;
    struct jt_need given = given_with(others, attempt, of_job);
    uint64_t gives = jt_units(&core->fleet, attempt->taken);
    if (job == taker || attempt->task->stage->kind == JT_STAGE_COMMIT)
        return false;
    if (of_job)
        return may_part(units_without(core, claim->used, given), jt_claim_share(job), gives,
                        taker->claim.used.cores == 0);
    return may_part(units_without(core, claim->queue->used, given), claim->queue->fair, gives,
                    taker->claim.queue->used.cores == 0);
}

/* --- taking ---------------------------------------------------------------------------------- */

/* Its worker's youngest that may give, until the task fits there. false: it would not, and whoever
 * was ended for it would begin again and be ended again. */
static bool choose(struct jt_core *core, const struct jt_worker *worker, const struct jt_task *task,
                   struct victims *victims)
{
    struct jt_worker after = *worker;
    struct jt_need need = jt_task_need(task, worker);
    int looks = 0;
    for (const struct list *it = worker->attempts.prev;
         it != &worker->attempts && looks < LOOKS && !jt_worker_fits(&after, need); it = it->prev) {
        struct jt_attempt *attempt = list_entry(it, struct jt_attempt, on_worker);
        core->steps++;
        if (attempt->taken.cores == 0)
            continue;
        looks++;
        if (!may_give(core, attempt, task->stage->job, victims))
            continue;
        victims->of[victims->count++] = attempt;
        after.cores_used -= attempt->taken.cores;
        after.memory_used -= attempt->taken.memory;
    }
    return jt_worker_fits(&after, need);
}

/* Room on one worker, for the first task that would run there. */
static bool take_on(struct jt_core *core, struct jt_stage *stage, struct jt_worker *worker,
                    const struct jt_queue *from, struct jt_need gives)
{
    enum jt_locality level;
    struct jt_job *job = stage->job;
    struct victims victims = {.count = 0};
    struct jt_task *task = jt_locality_find(stage, worker, JT_REMOTE, false, &level);
    struct jt_need need = task ? jt_task_need(task, worker) : (struct jt_need){0};
    if (!task || !jt_worker_could_fit(worker, need) ||
        !jt_claim_has_room(job, &core->fleet, need, gives) || !choose(core, worker, task, &victims))
        return false;
    const char *why = from == job->claim.queue
                          ? "made room for a job of its queue that was below its share"
                          : "made room for a queue that was below its share";
    for (size_t i = 0; i < victims.count; i++)
        jt_kill_row(core, victims.of[i], why);
    return jt_launch(core, task, worker, level, false);
}

/* Where the youngest of who has most runs; a task too large for what may be ended there fits where
 * an older one does. */
static bool take_one(struct jt_core *core, struct jt_job *job, struct jt_queue *from)
{
    struct jt_job *giver = richest_job(from);
    struct jt_attempt *youngest = giver && giver != job ? youngest_of(core, giver) : NULL;
    struct jt_stage *stage = first_wanting(job);
    if (!youngest || !stage || !may_give(core, youngest, job, &(struct victims){.count = 0}))
        return false;
    struct jt_need gives = from == job->claim.queue ? youngest->taken : (struct jt_need){0};
    const struct list *all = &youngest->task->stage->attempts, *it = all->prev;
    const struct jt_worker *last = NULL;
    for (int looks = 0; looks < LOOKS && it != all; looks++, it = it->prev) {
        struct jt_worker *worker = list_entry(it, struct jt_attempt, of_stage)->worker;
        if (worker != last && take_on(core, stage, worker, from, gives))
            return true;
        last = worker;
    }
    return false;
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
