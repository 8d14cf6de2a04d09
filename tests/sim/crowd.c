/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/crowd.h"

#include "libcommon/base/mem.h"

#define SPLIT_BYTES 1000000

struct run {
    struct hmap_node by_attempt;
    struct heap_node due;
    struct jt_attempt *attempt;
    uint64_t start_ms, ms;
};

/* ---- attempts ---- */

static uint64_t hash_of(const struct jt_attempt *a)
{
    return hash_u64(a->task->stage->job->number ^
                    hash_u64((uint64_t)a->task->stage->index << 56 ^ (uint64_t)a->number << 32 ^
                             a->task->index));
}

static struct run *find(const struct crowd *crowd, const struct jt_attempt *attempt)
{
    struct hmap_node *n = hmap_find(&crowd->runs, hash_of(attempt));
    for (; n; n = hmap_find_next(n)) {
        struct run *run = CONTAINER_OF(n, struct run, by_attempt);
        if (run->attempt == attempt)
            return run;
    }
    return NULL;
}

static void forget(struct crowd *crowd, struct run *run)
{
    hmap_remove(&crowd->runs, &run->by_attempt);
    heap_remove(&crowd->due, &run->due);
    mem_free(run);
}

static void begin(struct crowd *crowd, struct jt_attempt *attempt)
{
    struct run *run = mem_calloc(1, sizeof(*run));
    BUG_ON(!run);
    const struct crowd_conf *conf = &crowd->conf;
    uint64_t ms = conf->work_ms ? conf->work_ms(crowd, attempt) : conf->task_ms;
    run->attempt = attempt;
    run->start_ms = crowd->now;
    run->ms = ms * crowd->slow_by[attempt->worker->number] / 100;
    run->due = HEAP_NODE_INIT;
    int rc = heap_add(&crowd->due, &run->due, crowd->now + run->ms);
    if (rc == 0)
        rc = hmap_add(&crowd->runs, &run->by_attempt, hash_of(attempt));
    BUG_ON(rc != 0);
    struct crowd_job *job = &crowd->jobs[attempt->task->stage->job->number];
    job->begun_ms = job->begun_ms ? job->begun_ms : crowd->now;
    crowd->starts++;
}

/* ---- effects ---- */

static void job_ended(struct crowd *crowd, const struct jt_job *job)
{
    struct crowd_job *over = &crowd->jobs[job->number];
    over->ended_ms = crowd->now;
    over->state = job->state;
    for (uint32_t s = 0; s < job->stage_count; s++) {
        for (uint32_t i = 0; i < 4 && s == 0; i++)
            over->locality[i] += job->stages[s].locality[i];
        over->copies += job->stages[s].speculative;
        over->killed += job->stages[s].killed_attempts;
    }
}

static void carry_one(struct crowd *crowd, const struct jt_effect *e)
{
    if (e->kind == JT_TELL_RUN) {
        begin(crowd, e->attempt);
    } else if (e->kind == JT_TELL_KILL) {
        struct run *run = find(crowd, e->attempt);
        BUG_ON(!run);
        forget(crowd, run);
        crowd->kills++;
    } else if (e->kind == JT_PUBLISH) {
        jt_on_published(&crowd->core, e->job, 0, NULL, crowd->now);
    } else if (e->kind == JT_WRITE_END) {
        job_ended(crowd, e->job);
    }
}

static void settle(struct crowd *crowd, uint64_t steps_before, bool is_tick)
{
    BUG_ON(crowd->core.out_of_memory);
    for (size_t i = 0; i < crowd->core.effect_count; i++) {
        struct jt_effect e = crowd->core.effects[i]; /* the array may move meanwhile */
        carry_one(crowd, &e);
    }
    jt_effects_clear(&crowd->core);
    uint64_t steps = crowd->core.steps - steps_before;
    crowd->event_steps += is_tick ? 0 : steps;
    crowd->events += !is_tick;
    crowd->most_steps = steps > crowd->most_steps ? steps : crowd->most_steps;
    if (crowd->conf.watch)
        crowd->conf.watch(crowd);
}

/* ---- time ---- */

static void done(struct crowd *crowd, struct run *run)
{
    struct jt_attempt *a = run->attempt;
    struct attempt_id id = {
        {0, a->task->stage->job->number}, a->task->stage->index, a->task->index, a->number};
    struct jt_progress p = {a->task->bytes, a->task->bytes, 1, 1, 0};
    uint64_t steps = crowd->core.steps;
    struct jt_worker *worker = a->worker;
    struct jt_job *job = a->task->stage->job;
    forget(crowd, run);
    jt_on_done(&crowd->core, worker, &id, &p, crowd->conf.result, crowd->now);
    crowd->dones++;
    settle(crowd, steps, false);
    if (jt_job_is_over(job))
        jt_core_forget(&crowd->core, job);
}

static void tell_progress(struct crowd *crowd)
{
    hmap_each (&crowd->runs, n) {
        const struct run *run = CONTAINER_OF(n, struct run, by_attempt);
        const struct jt_attempt *a = run->attempt;
        struct attempt_id id = {
            {0, a->task->stage->job->number}, a->task->stage->index, a->task->index, a->number};
        uint64_t bytes = run->ms ? a->task->bytes * (crowd->now - run->start_ms) / run->ms : 0;
        struct jt_progress p = {bytes, a->task->bytes, 1, 1, 0};
        jt_on_progress(&crowd->core, a->worker, &id, &p, crowd->now);
    }
}

static void tick(struct crowd *crowd)
{
    uint64_t steps = crowd->core.steps;
    crowd->next_tick_ms = crowd->now + CROWD_TICK_MS;
    if (crowd->now >= crowd->next_beat_ms) {
        crowd->next_beat_ms = crowd->now + CROWD_BEAT_MS;
        list_each (&crowd->core.fleet.all, it)
            jt_on_beat(&crowd->core, list_entry(it, struct jt_worker, all), crowd->now);
        if (crowd->conf.has_beats)
            tell_progress(crowd);
    }
    jt_on_tick(&crowd->core, crowd->now);
    settle(crowd, steps, true);
}

void crowd_run(struct crowd *crowd, uint64_t until_ms)
{
    while (crowd->now < until_ms && !list_is_empty(&crowd->core.active)) {
        struct heap_node *first = heap_min(&crowd->due);
        uint64_t next =
            first && first->key < crowd->next_tick_ms ? first->key : crowd->next_tick_ms;
        crowd->now = next > crowd->now ? next : crowd->now;
        if (first && first->key <= crowd->now)
            done(crowd, CONTAINER_OF(first, struct run, due));
        else
            tick(crowd);
    }
}

/* ---- the cluster ---- */

static void add_worker(struct crowd *crowd, uint32_t i)
{
    char name[16], rack[16];
    const struct crowd_conf *conf = &crowd->conf;
    snprintf(name, sizeof(name), "w%u", i);
    snprintf(rack, sizeof(rack), "/r%u", conf->racks ? i % conf->racks : 0);
    struct jt_worker_offer offer = {
        .name = slice_str(name),
        .rack = slice_str(rack),
        .cores = conf->cores,
        .memory = conf->memory ? conf->memory : (uint64_t)conf->cores << 30,
        .incarnation = 1,
    };
    struct jt_worker *worker = jt_on_register(&crowd->core, &offer, crowd->now);
    BUG_ON(!worker);
    jt_on_held_all(&crowd->core, worker, crowd->now);
    crowd->slow_by[i] = 100;
}

struct crowd *crowd_new(const struct crowd_conf *conf)
{
    struct crowd *crowd = mem_calloc(1, sizeof(*crowd));
    struct jt_config config = jt_config_default;
    BUG_ON(!crowd);
    crowd->conf = *conf;
    crowd->now = crowd->next_tick_ms = 1000;
    rand_init(&crowd->rand, conf->seed + 1);
    crowd->slow_by = mem_calloc(conf->workers, sizeof(*crowd->slow_by));
    BUG_ON(!crowd->slow_by);
    jt_core_init(&crowd->core, &config, crowd->now);
    for (uint32_t i = 0; i < conf->workers; i++)
        add_worker(crowd, i);
    return crowd;
}

void crowd_free(struct crowd *crowd)
{
    hmap_each (&crowd->runs, n)
        mem_free(CONTAINER_OF(n, struct run, by_attempt));
    hmap_release(&crowd->runs);
    heap_release(&crowd->due);
    jt_core_release(&crowd->core);
    mem_free(crowd->slow_by);
    mem_free(crowd);
}

void crowd_slow(struct crowd *crowd, uint32_t worker, uint32_t percent)
{
    crowd->slow_by[worker] = percent;
}

struct jt_job *crowd_submit(struct crowd *crowd, struct jt_submit like, uint32_t maps,
                            uint32_t replicas)
{
    struct jt_split *splits = mem_calloc(maps + 1, sizeof(*splits));
    struct slice *nodes = mem_calloc((size_t)maps * replicas + 1, sizeof(*nodes));
    char *names = mem_calloc(crowd->conf.workers, 16);
    uint64_t steps = crowd->core.steps;
    BUG_ON(!splits || !nodes || !names);
    for (uint32_t i = 0; i < crowd->conf.workers; i++)
        snprintf(names + (size_t)i * 16, 16, "w%u", i);
    for (uint32_t i = 0; i < maps; i++) {
        uint64_t first = rand_below(&crowd->rand, crowd->conf.workers);
        splits[i] = (struct jt_split){.input = crowd->conf.input,
                                      .bytes = SPLIT_BYTES,
                                      .nodes = &nodes[(size_t)i * replicas],
                                      .node_count = replicas};
        for (uint32_t r = 0; r < replicas; r++) { /* distinct, the first one anywhere */
            uint64_t at =
                r == 0 ? first : first + 1 + rand_below(&crowd->rand, crowd->conf.workers - 1);
            nodes[(size_t)i * replicas + r] = slice_str(names + at % crowd->conf.workers * 16);
        }
    }
    like.name = slice_str("job");
    like.user = slice_str("u");
    like.splits = splits;
    like.split_count = maps;
    struct jt_job *job = jt_on_submit(&crowd->core, 0, &like, crowd->now);
    BUG_ON(!job || job->number >= CROWD_JOBS_MAX);
    settle(crowd, steps, false);
    mem_free(splits);
    mem_free(nodes);
    mem_free(names);
    return job;
}

uint32_t crowd_running(const struct jt_job *job)
{
    uint32_t n = 0;
    for (uint32_t s = 0; s < job->stage_count; s++)
        n += job->stages[s].running;
    return n;
}
