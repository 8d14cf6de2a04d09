/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/schedule/pick.h"

#include "jobtracker/jobs/attempts.h"
#include "jobtracker/jobs/locality.h"
#include "jobtracker/schedule/row.h"

/* Whom one event asks at most: jobs that decline a worker, workers a stage declines, and at a tick
 * of each kind of those that are to be asked again. */
#define LOOKS       16
#define AGAIN_LOOKS 32
#define ASIDE_LOOKS 4
/* So long a job that no worker has room for stands in the way of those behind it. */
#define SHORT_MS 200

enum answer {
    TAKEN,
    WANTS_NOTHING,
    DECLINES, /* this worker, and for now: another, or a later moment, may do */
    UNFIT,    /* there is no room for it here, or it failed here */
};

/* --- places ---------------------------------------------------------------------------------- */

/* Half a mean task time, but no longer than configured: waiting longer for a local slot than the
 * remote read would cost is a loss. */
static uint64_t delay_ms(const struct jt_core *core, const struct jt_stage *stage)
{
    uint64_t most = core->config.locality_wait_ms;
    if (stage->run_ms.seen == 0)
        return most;
    uint64_t half = jt_stage_mean_ms(stage) / 2;
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

/* It declines somebody: it is asked again when it declines less. Also when it declined nobody any
 * more and now does, because its tasks have turned out longer. */
static void begin_delay(struct jt_core *core, struct jt_stage *stage)
{
    if (stage->delay_since_ms == 0)
        stage->delay_since_ms = core->now_ms;
    if (heap_has(&stage->delay) || worst_now(core, stage) == JT_REMOTE)
        return;
    int rc = heap_set(&core->delays, &stage->delay, core->now_ms + delay_ms(core, stage));
    BUG_ON(rc != 0); /* room was made when its job came */
}

static void end_delays(struct jt_core *core)
{
    struct heap_node *first;
    for (int i = 0; i < AGAIN_LOOKS && (first = heap_min(&core->delays)) != NULL; i++) {
        struct jt_stage *stage = CONTAINER_OF(first, struct jt_stage, delay);
        if (first->key > core->now_ms)
            break;
        heap_remove(&core->delays, first);
        if (stage->waiting == 0)
            stage->delay_since_ms = 0; /* who waits next waits anew, and is asked again */
        if (stage->delay_since_ms != 0)
            jt_match(core, stage); /* who is still declined begins the next */
    }
}

/* Does a core stand idle on another worker? Then a start where the input is does not make those
 * wait longer that hold out for it: else one node would do alone what lies there alone, one task
 * after another, each before the delay is over. */
static bool is_idle_elsewhere(const struct jt_core *core, const struct jt_worker *worker)
{
    const struct list *free = &core->fleet.free;
    return !list_is_empty(free) && !(free->next == free->prev && free->next == &worker->free);
}

/* --- who shuns whom -------------------------------------------------------------------------- */

void jt_shun(struct jt_core *core, struct jt_job *job, struct jt_worker *worker)
{
    struct jt_link *link = jt_link_find(job, worker);
    if (!link || ++link->failures < core->config.job_worker_failures || link->is_shunned)
        return;
    link->is_shunned = true;
    job->shunned++;
}

void jt_forgive(struct jt_worker *worker)
{
    list_each (&worker->links, it) {
        struct jt_link *link = list_entry(it, struct jt_link, of_worker);
        link->job->shunned -= link->is_shunned;
        link->is_shunned = false;
        link->failures = 0;
    }
}

/* A job shuns workers it failed on often. When those are more than a third of all, it is the job
 * that is at fault, and shunning them would leave it nowhere to end. */
static bool is_unwelcome(const struct jt_core *core, const struct jt_job *job,
                         const struct jt_worker *worker)
{
    if (job->shunned == 0 || job->shunned * 3 > core->fleet.live)
        return false;
    const struct jt_link *link = jt_link_find(job, worker);
    return link && link->is_shunned;
}

/* It failed on a few, and is shown many times as many: the largest, more or less in order. */
bool jt_has_elsewhere(struct jt_core *core, const struct jt_task *task)
{
    const struct heap *heap = &core->fleet.by_memory;
    for (size_t i = 0; i < heap->count && i < 4 * LOOKS; i++) {
        const struct jt_worker *worker = CONTAINER_OF(heap->nodes[i], struct jt_worker, by_memory);
        core->steps++;
        if (jt_worker_could_fit(worker, jt_task_need(task, worker)) &&
            !jt_task_failed_on(task, worker) && !is_unwelcome(core, task->stage->job, worker))
            return true;
    }
    return false;
}

/* --- one stage, one worker ------------------------------------------------------------------- */

/* No room: if there has been none anywhere for long, this worker makes some. */
static enum answer has_no_room(struct jt_core *core, struct jt_stage *stage,
                               const struct jt_task *task, struct jt_worker *worker)
{
    if (stage->short_since_ms == 0)
        stage->short_since_ms = core->now_ms;
    uint64_t ms = core->now_ms - stage->short_since_ms;
    if (ms >= core->config.reserve_ms && !stage->reserved && !worker->reserved_for &&
        jt_worker_could_fit(worker, jt_task_need(task, worker)))
        jt_reserve(core, stage, worker);
    return ms >= SHORT_MS ? UNFIT : DECLINES;
}

static enum answer launch(struct jt_core *core, struct jt_task *task, struct jt_worker *worker,
                          enum jt_locality level)
{
    struct jt_stage *stage = task->stage;
    struct jt_need need = jt_task_need(task, worker);
    if (!jt_claim_has_room(stage->job, &core->fleet, need, (struct jt_need){0}))
        return DECLINES;
    if (!jt_worker_fits(worker, need))
        return has_no_room(core, stage, task, worker);
    struct jt_attempt *attempt = jt_launch(core, task, worker, level, false);
    if (!attempt)
        return DECLINES;
    jt_row_extend(core, attempt, level);
    if ((level == JT_NODE_LOCAL || level == JT_NO_PREFERENCE) && !is_idle_elsewhere(core, worker))
        stage->delay_since_ms = 0;
    stage->short_since_ms = 0;
    if (stage->reserved)
        jt_reserve(core, stage, NULL);
    return TAKEN;
}

static enum answer offer_stage(struct jt_core *core, struct jt_stage *stage,
                               struct jt_worker *worker)
{
    core->steps++;
    if (jt_stage_wants(stage) == 0)
        return WANTS_NOTHING;
    if (is_unwelcome(core, stage->job, worker))
        return UNFIT;
    enum jt_locality level;
    struct jt_task *task = jt_locality_find(stage, worker, worst_now(core, stage), false, &level);
    if (!task) {
        begin_delay(core, stage);
        /* A task may have failed on every worker there is: then any will do. */
        if (core->fleet.live <= 1 || worst_now(core, stage) == JT_REMOTE)
            task = jt_locality_find(stage, worker, JT_REMOTE, true, &level);
        else
            return DECLINES;
        if (!task || (jt_task_failed_on(task, worker) && jt_has_elsewhere(core, task)))
            return UNFIT;
    }
    return launch(core, task, worker, level);
}

/* --- a worker among the jobs ----------------------------------------------------------------- */

static enum answer offer_job(struct jt_core *core, struct jt_job *job, struct jt_worker *worker)
{
    enum answer answer = WANTS_NOTHING;
    for (uint32_t i = 0; i < job->stage_count; i++) {
        enum answer one = offer_stage(core, &job->stages[i], worker);
        if (one == TAKEN)
            return TAKEN;
        if (one > answer)
            answer = one;
    }
    return answer;
}

static void set_aside(struct jt_core *core, struct jt_job *job)
{
    if (list_is_empty(&job->aside))
        list_push_back(&core->aside, &job->aside);
    jt_claim_update(job, &core->fleet, core->now_ms);
}

/* Jobs of the queue in their order, until one takes the worker, or has it kept free for what it has
 * no room for yet: what began behind that would be in the way. *looks: how many may still say no.
 */
static bool offer_queue(struct jt_core *core, struct jt_queue *queue, struct jt_worker *worker,
                        int *looks)
{
    struct jt_job *declined[LOOKS];
    struct heap_node *first;
    size_t n = 0;
    bool is_taken = false;
    while (!is_taken && !worker->reserved_for && *looks > 0 &&
           (first = heap_min(&queue->poor)) != NULL) {
        struct jt_job *job = CONTAINER_OF(first, struct jt_job, claim.poor);
        heap_remove(&queue->poor, first);
        enum answer answer = offer_job(core, job, worker);
        is_taken = answer == TAKEN; /* beginning has put it back in its place */
        if (is_taken)
            continue;
        --*looks;
        if (answer == UNFIT)
            set_aside(core, job);
        else
            declined[n++] = job;
    }
    for (size_t i = 0; i < n; i++)
        jt_claim_update(declined[i], &core->fleet, core->now_ms);
    return is_taken;
}

/* Nobody in line wants the worker: some of those who found no room elsewhere, in turn. */
static bool offer_aside(struct jt_core *core, struct jt_worker *worker)
{
    for (int i = 0; i < ASIDE_LOOKS && !worker->reserved_for && !list_is_empty(&core->aside); i++) {
        struct jt_job *job = list_first(&core->aside, struct jt_job, aside);
        list_remove(&job->aside);
        if (offer_job(core, job, worker) == TAKEN) {
            jt_claim_update(job, &core->fleet, core->now_ms);
            return true;
        }
        list_push_back(&core->aside, &job->aside);
        jt_claim_update(job, &core->fleet, core->now_ms);
    }
    return false;
}

/* A stage that does not take an idle worker will never do. */
static bool offer_reserved(struct jt_core *core, struct jt_worker *worker)
{
    struct jt_stage *stage = worker->reserved_for;
    enum answer answer = offer_stage(core, stage, worker);
    if (answer == WANTS_NOTHING || (answer != TAKEN && worker->cores_used == 0))
        jt_reserve(core, stage, NULL);
    return answer == TAKEN;
}

static bool offer(struct jt_core *core, struct jt_worker *worker)
{
    struct jt_queue *queue;
    uint64_t passed = 0;
    int looks = LOOKS;
    if (worker->reserved_for)
        return offer_reserved(core, worker);
    while ((queue = jt_queues_next(&core->queues, &core->fleet, &passed)) != NULL) {
        if (offer_queue(core, queue, worker, &looks))
            return true;
        if (looks == 0 && list_is_empty(&worker->offered)) /* others might take it: go on there */
            list_push_back(&core->again, &worker->offered);
        if (looks == 0)
            return false;
    }
    return offer_aside(core, worker);
}

static void offer_all(struct jt_core *core)
{
    while (!list_is_empty(&core->fleet.offers) && !core->out_of_memory) {
        struct jt_worker *worker = list_first(&core->fleet.offers, struct jt_worker, offered);
        list_remove(&worker->offered);
        if (offer(core, worker))
            jt_worker_offer_again(&core->fleet, worker);
    }
}

/* --- a stage among the free workers ---------------------------------------------------------- */

/* Of the free nodes that hold its input, the one with most cores to spare. */
static struct jt_worker *free_home(struct jt_core *core, const struct jt_task *task)
{
    struct jt_worker *best = NULL;
    for (uint32_t i = 0; i < task->node_count; i++) {
        struct jt_worker *worker = jt_fleet_find(&core->fleet, slice_str(task->nodes[i]));
        core->steps++;
        if (worker && !worker->reserved_for && !jt_task_failed_on(task, worker) &&
            !is_unwelcome(core, task->stage->job, worker) &&
            jt_worker_fits(worker, jt_task_need(task, worker)) &&
            (!best || worker->cores - worker->cores_used > best->cores - best->cores_used))
            best = worker;
    }
    return best;
}

/* Tasks nobody has looked at yet, to where their input is. Each is looked at once, ever. */
static void match_homes(struct jt_core *core, struct jt_stage *stage)
{
    const struct jt_place *all = &stage->anywhere;
    while (stage->fresh < all->count && !list_is_empty(&core->fleet.free) &&
           jt_stage_wants(stage) > 0 && !core->out_of_memory) {
        struct jt_task *task = &stage->tasks[all->tasks[stage->fresh++]];
        struct jt_worker *home = task->state == JT_TASK_WAITING ? free_home(core, task) : NULL;
        if (home)
            launch(core, task, home, JT_NODE_LOCAL);
    }
}

/* Free workers in turn, so that a small job spreads. */
static void match_any(struct jt_core *core, struct jt_stage *stage)
{
    const struct jt_worker *refused = NULL;
    enum answer answer = TAKEN;
    for (int looks = LOOKS; looks > 0 && !list_is_empty(&core->fleet.free);) {
        struct jt_worker *worker = list_first(&core->fleet.free, struct jt_worker, free);
        if (worker == refused || jt_stage_wants(stage) == 0 || core->out_of_memory)
            break;
        list_remove(&worker->free);
        list_push_back(&core->fleet.free, &worker->free);
        bool is_others = worker->reserved_for && worker->reserved_for != stage;
        answer = is_others ? DECLINES : offer_stage(core, stage, worker);
        if (answer == TAKEN) {
            refused = NULL;
            continue;
        }
        looks--;
        refused = refused ? refused : worker;
    }
    if (answer == UNFIT)
        set_aside(core, stage->job);
}

void jt_match_all(struct jt_core *core, struct jt_job *job)
{
    for (uint32_t i = 0; i < job->stage_count; i++)
        if (job->stages[i].waiting > 0)
            jt_match(core, &job->stages[i]);
}

void jt_schedule(struct jt_core *core)
{
    do {
        offer_all(core);
        list_each_safe (&core->matching, it) {
            struct jt_stage *stage = list_entry(it, struct jt_stage, matching);
            list_remove(&stage->matching);
            if (!list_is_empty(&core->fleet.free) && jt_stage_wants(stage) > 0) {
                match_homes(core, stage);
                match_any(core, stage);
            }
        }
    } while (!list_is_empty(&core->fleet.offers) && !core->out_of_memory);
}

void jt_schedule_again(struct jt_core *core)
{
    end_delays(core);
    for (int i = 0; i < AGAIN_LOOKS && !list_is_empty(&core->aside); i++) {
        struct jt_job *job = list_first(&core->aside, struct jt_job, aside);
        list_remove(&job->aside);
        jt_claim_update(job, &core->fleet, core->now_ms);
        jt_match_all(core, job);
    }
    for (int i = 0; i < AGAIN_LOOKS && !list_is_empty(&core->again); i++) {
        struct jt_worker *worker = list_first(&core->again, struct jt_worker, offered);
        list_remove(&worker->offered);
        jt_worker_offer_again(&core->fleet, worker);
    }
}
