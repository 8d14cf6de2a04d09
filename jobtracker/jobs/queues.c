/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/jobs/queues.h"

#include "libcommon/base/mem.h"

/* Each step of priority is four times the share. */
static const uint32_t weights[] = {1, 4, 16, 64, 256};

/* --- the queues themselves ------------------------------------------------------------------- */

struct jt_queue *jt_queue_find(const struct jt_queues *queues, struct slice name)
{
    for (uint32_t i = 0; i < queues->count; i++)
        if (slice_is(name, queues->items[i]->name))
            return queues->items[i];
    return NULL;
}

static struct jt_queue *add(struct jt_queues *queues, struct slice name)
{
    struct jt_queue *queue = queues->count < JT_QUEUES_MAX ? mem_calloc(1, sizeof(*queue)) : NULL;
    char *copy = queue ? slice_dup(name) : NULL;
    if (!copy) {
        mem_free(queue);
        return NULL;
    }
    queue->name = copy;
    list_init(&queue->jobs);
    queues->items[queues->count++] = queue;
    return queue;
}

static int configure(struct jt_queues *queues, const struct jt_queue_conf *conf)
{
    struct jt_queue *queue = jt_queue_find(queues, conf->name);
    if (!queue)
        queue = add(queues, conf->name);
    if (!queue)
        return ERR_NOMEM;
    queue->conf = *conf;
    queue->conf.name = slice_str(queue->name);
    queue->is_closed = false;
    return 0;
}

int jt_queues_configure(struct jt_queues *queues, const struct jt_queue_conf *confs, size_t count)
{
    struct jt_queue_conf usual = {.name = slice_str(JT_QUEUE_DEFAULT), .weight = 1};
    for (uint32_t i = 0; i < queues->count; i++)
        queues->items[i]->is_closed = true;
    int rc = configure(queues, &usual);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = configure(queues, &confs[i]);
    return rc;
}

void jt_queues_release(struct jt_queues *queues)
{
    for (uint32_t i = 0; i < queues->count; i++) {
        struct jt_queue *queue = queues->items[i];
        heap_release(&queue->poor);
        heap_release(&queue->rich);
        heap_release(&queue->waits);
        mem_free(queue->name);
        mem_free(queue);
    }
    queues->count = 0;
}

/* --- what a job has and wants ---------------------------------------------------------------- */

uint64_t jt_units(const struct jt_fleet *fleet, struct jt_need need)
{
    uint64_t cores = (uint64_t)need.cores * JT_UNITS;
    uint64_t of_a_core = fleet->cores ? fleet->memory / fleet->cores : 0;
    uint64_t memory =
        of_a_core ? (uint64_t)((double)need.memory / (double)of_a_core * JT_UNITS) : 0;
    return memory > cores ? memory : cores;
}

static bool is_held_back(const struct jt_stage *stage)
{
    return stage->reads_from != JT_NO_STAGE && stage->job->stages[stage->reads_from].waiting > 0;
}

/* What it reads from still looks for cores: it would only hold one that is needed there. */
uint32_t jt_stage_wants(const struct jt_stage *stage)
{
    const struct jt_claim *claim = &stage->job->claim;
    uint32_t most = stage->most_running;
    if (stage->waiting == 0 || !claim->is_admitted || is_held_back(stage) ||
        (claim->most_memory && claim->used.memory >= claim->most_memory))
        return 0;
    if (most == 0)
        return stage->waiting;
    uint32_t left = stage->running < most ? most - stage->running : 0;
    return left < stage->waiting ? left : stage->waiting;
}

static void set(struct heap *heap, struct heap_node *node, uint64_t key)
{
    int rc = heap_set(heap, node, key);
    BUG_ON(rc != 0); /* room was made when the job entered */
}

/* Who has as much for his weight as somebody else comes behind him if he got or gave something
 * later: the heap puts whoever comes anew behind his equals. */
static uint64_t turn(const struct jt_job *job, uint64_t units)
{
    return units * 256 / job->claim.weight;
}

static uint64_t wanted(const struct jt_job *job, const struct jt_fleet *fleet, uint64_t *ret_next)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < job->stage_count; i++) {
        const struct jt_stage *stage = &job->stages[i];
        uint32_t tasks = jt_stage_wants(stage);
        uint64_t each = jt_units(fleet, (struct jt_need){stage->asks.cores, stage->asks.memory});
        if (tasks && sum == 0)
            *ret_next = each;
        sum += tasks * each;
    }
    return sum;
}

static void count(struct jt_queue *queue, const struct jt_claim *claim, bool in)
{
    uint64_t weight = claim->wanted || claim->used.cores ? claim->weight : 0;
    queue->wanted += in ? claim->wanted : -claim->wanted;
    queue->weights += in ? weight : -weight;
}

void jt_claim_take(struct jt_job *job, struct jt_need need)
{
    struct jt_queue *queue = job->claim.queue;
    count(queue, &job->claim, false);
    job->claim.used.cores += need.cores;
    job->claim.used.memory += need.memory;
    queue->used.cores += need.cores;
    queue->used.memory += need.memory;
    count(queue, &job->claim, true);
}

void jt_claim_give_back(struct jt_job *job, struct jt_need need)
{
    struct jt_queue *queue = job->claim.queue;
    BUG_ON(job->claim.used.cores < need.cores || job->claim.used.memory < need.memory);
    count(queue, &job->claim, false);
    job->claim.used.cores -= need.cores;
    job->claim.used.memory -= need.memory;
    queue->used.cores -= need.cores;
    queue->used.memory -= need.memory;
    count(queue, &job->claim, true);
}

uint64_t jt_claim_share(const struct jt_job *job)
{
    const struct jt_queue *queue = job->claim.queue;
    return queue->weights ? queue->fair * job->claim.weight / queue->weights : queue->fair;
}

void jt_claim_update(struct jt_job *job, const struct jt_fleet *fleet, uint64_t now_ms)
{
    struct jt_claim *claim = &job->claim;
    struct jt_queue *queue = claim->queue;
    uint64_t next = JT_UNITS, has = jt_units(fleet, claim->used);
    if (list_is_empty(&claim->of_queue))
        return; /* it is over */
    count(queue, claim, false);
    claim->weight = weights[job->priority < ARRAY_LEN(weights) ? job->priority : 0];
    claim->wanted = wanted(job, fleet, &next);
    count(queue, claim, true);
    if (claim->wanted && list_is_empty(&job->aside))
        set(&queue->poor, &claim->poor, turn(job, has + JT_UNITS));
    else
        heap_remove(&queue->poor, &claim->poor);
    if (has)
        set(&queue->rich, &claim->rich, UINT64_MAX - turn(job, has));
    else
        heap_remove(&queue->rich, &claim->rich);
    if (!claim->wanted || (has > 0 && has + next > jt_claim_share(job)))
        claim->below_since_ms = 0;
    else if (claim->below_since_ms == 0)
        claim->below_since_ms = now_ms;
    if (!claim->is_admitted)
        set(&queue->waits, &claim->waits,
            (uint64_t)(255 - (uint8_t)job->priority) << 56 | job->number);
}

/* --- coming and going ------------------------------------------------------------------------ */

static int make_room(struct jt_queue *queue)
{
    int rc = heap_reserve(&queue->poor, queue->job_count + 1);
    if (rc == 0)
        rc = heap_reserve(&queue->rich, queue->job_count + 1);
    return rc == 0 ? heap_reserve(&queue->waits, queue->job_count + 1) : rc;
}

static bool may_admit(const struct jt_queue *queue)
{
    return queue->conf.most_running == 0 || queue->admitted < queue->conf.most_running;
}

int jt_queue_enter(struct jt_queues *queues, struct jt_job *job, struct slice name)
{
    struct jt_queue *queue = jt_queue_find(queues, name);
    if (!queue)
        queue = jt_queue_find(queues, slice_str(JT_QUEUE_DEFAULT));
    int rc = make_room(queue);
    if (rc != 0)
        return rc;
    list_push_back(&queue->jobs, &job->claim.of_queue);
    queue->job_count++;
    job->claim.queue = queue;
    job->claim.weight = 1;
    job->claim.is_admitted = may_admit(queue);
    queue->admitted += job->claim.is_admitted;
    return 0;
}

void jt_queue_leave(struct jt_job *job)
{
    struct jt_claim *claim = &job->claim;
    struct jt_queue *queue = claim->queue;
    if (list_is_empty(&claim->of_queue))
        return;
    count(queue, claim, false);
    claim->wanted = 0;
    heap_remove(&queue->poor, &claim->poor);
    heap_remove(&queue->rich, &claim->rich);
    heap_remove(&queue->waits, &claim->waits);
    list_remove(&claim->of_queue);
    queue->job_count--;
    queue->admitted -= claim->is_admitted;
    claim->is_admitted = false;
}

struct jt_job *jt_queue_admit(struct jt_queue *queue)
{
    struct heap_node *first = may_admit(queue) ? heap_min(&queue->waits) : NULL;
    if (!first)
        return NULL;
    struct jt_job *job = CONTAINER_OF(first, struct jt_job, claim.waits);
    heap_remove(&queue->waits, first);
    job->claim.is_admitted = true;
    queue->admitted++;
    return job;
}

/* --- whose turn ------------------------------------------------------------------------------ */

/* A few percent of a small cluster are no whole core: it has one nevertheless, or it would wait for
 * ever. */
uint64_t jt_queue_most(const struct jt_queue *queue, const struct jt_fleet *fleet)
{
    uint64_t all = fleet->cores * JT_UNITS, most = all;
    if (queue->conf.most_percent)
        most = all * queue->conf.most_percent / 100;
    if (most < JT_UNITS)
        most = JT_UNITS;
    if (queue->conf.most_cores && (uint64_t)queue->conf.most_cores * JT_UNITS < most)
        most = (uint64_t)queue->conf.most_cores * JT_UNITS;
    return most;
}

bool jt_claim_has_room(const struct jt_job *job, const struct jt_fleet *fleet, struct jt_need need,
                       struct jt_need gives)
{
    const struct jt_claim *claim = &job->claim;
    const struct jt_queue *queue = claim->queue;
    if (claim->most_memory && claim->used.memory + need.memory > claim->most_memory)
        return false;
    if (queue->conf.most_percent == 0 && queue->conf.most_cores == 0)
        return true;
    struct jt_need after = {queue->used.cores - gives.cores + need.cores,
                            queue->used.memory - gives.memory + need.memory};
    return jt_units(fleet, after) <= jt_queue_most(queue, fleet);
}

struct jt_queue *jt_queues_next(const struct jt_queues *queues, const struct jt_fleet *fleet,
                                uint64_t *passed)
{
    uint32_t best = JT_QUEUES_MAX;
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < queues->count; i++) {
        const struct jt_queue *queue = queues->items[i];
        if (*passed >> i & 1 || queue->poor.count == 0)
            continue;
        uint64_t has = (jt_units(fleet, queue->used) + JT_UNITS) * 64 / queue->conf.weight;
        if (has < least) {
            least = has;
            best = i;
        }
    }
    if (best == JT_QUEUES_MAX)
        return NULL;
    *passed |= (uint64_t)1 << best;
    return queues->items[best];
}

/* Queues that want less than their part get that, and leave the rest to be shared again. */
void jt_queues_share(struct jt_queues *queues, const struct jt_fleet *fleet)
{
    uint64_t left = fleet->cores * JT_UNITS, settled = 0, sum = 0;
    for (bool again = true; again;) {
        again = false;
        sum = 0;
        for (uint32_t i = 0; i < queues->count; i++)
            sum += settled >> i & 1 ? 0 : queues->items[i]->conf.weight;
        uint64_t share = left;
        for (uint32_t i = 0; i < queues->count; i++) {
            struct jt_queue *queue = queues->items[i];
            uint64_t most = jt_queue_most(queue, fleet);
            uint64_t wants = jt_units(fleet, queue->used) + queue->wanted;
            wants = wants < most ? wants : most;
            if (settled >> i & 1)
                continue;
            queue->fair = share * queue->conf.weight / sum;
            if (wants >= queue->fair)
                continue;
            queue->fair = wants;
            left -= wants;
            settled |= (uint64_t)1 << i;
            again = true;
        }
    }
}
