/* SPDX-License-Identifier: Apache-2.0
 * jobs: the jobtracker's core among virtual workers that crash, stall, lose connections and map
 * outputs, and a jobtracker that is killed and reads its journal again.
 *
 * Invariants: one attempt per task is committed; a job is published once, with every task done, and
 * always with the same result; every job that was accepted ends; what a finished job used is given
 * back. */
#include <inttypes.h>

#include "libcommon/base/mem.h"
#include "tests/sim/scenarios/jobs_world.h"

static struct jobs_world *world_of(struct sim *sim)
{
    return sim->scenario;
}

/* ---- faults ---- */

struct parted {
    struct sim_host *a, *b;
    bool both;
};

static void join(void *arg)
{
    struct parted *p = arg;
    sim_unpart(p->a->sim, p->a, p->b);
    if (p->both)
        sim_unpart(p->a->sim, p->b, p->a);
    mem_free(p);
}

/* A worker and another, or the jobtracker; one way, or both. */
static void part(struct jobs_world *w, struct worker *worker, uint64_t ms)
{
    struct rand *rand = &w->sim->rand;
    struct worker *other = &w->workers[rand_below(rand, w->worker_count)];
    struct parted *p = mem_alloc(sizeof(*p));
    BUG_ON(!p);
    *p = (struct parted){&worker->host, rand_below(rand, 2) ? &w->jt : &other->host,
                         rand_below(rand, 2) == 0};
    sim_part(w->sim, p->a, p->b);
    if (p->both)
        sim_part(w->sim, p->b, p->a);
    sim_after_owned(w->sim, NULL, ms, &(struct sim_call){join, mem_free, p});
}

static void fault(void *arg)
{
    struct jobs_world *w = arg;
    struct sim *sim = w->sim;
    struct worker *worker = &w->workers[rand_below(&sim->rand, w->worker_count)];
    uint64_t back = 100 + rand_below(&sim->rand, 8000);
    if (!w->faults)
        return;
    if (rand_chance(&sim->rand, 4)) {
        jobs_tracker_die(w);
        sim_after(sim, NULL, back, jobs_tracker_return, w);
    } else if (rand_chance(&sim->rand, 4)) {
        part(w, worker, back);
    } else if (rand_chance(&sim->rand, 2) && worker->host.is_up) {
        sim_host_crash(&worker->host);
        sim_after(sim, NULL, back, jobs_worker_return, worker);
    } else if (worker->conn && sim_conn_is_up(worker->conn) && worker->host.is_up) {
        sim_conn_close(worker->conn, &worker->host);
        worker->conn = NULL;
    }
    sim_after(sim, NULL, w->pause_ms / 8 + rand_below(&sim->rand, w->pause_ms), fault, w);
}

/* ---- the scenario ---- */

/* One of two: a seed is mostly of the usual kind in some ways, and extreme in others. */
static uint32_t either(struct sim *sim, uint32_t usual, uint32_t extreme)
{
    return rand_below(&sim->rand, 3) ? usual : extreme;
}

static void draw_conditions(struct jobs_world *w)
{
    struct sim *sim = w->sim;
    /* Every third world is so small that what waits holds every core. */
    bool is_small = sim->seed % 3 == 0;
    w->worker_count = is_small ? 1 + (uint32_t)(sim->seed / 3 % 2) : WORKERS;
    w->cores = is_small ? 1 : 2;
    w->fail_one_in = either(sim, 30, 6);
    w->counts_one_in = either(sim, 4, 2);
    w->refuse_one_in = either(sim, 0, 5);
    w->kill_one_in = either(sim, 10, 2);
    w->sync_one_in = either(sim, 3, 50);
    w->slow_one_in = either(sim, 5, 2);
    w->brief_one_in = either(sim, 2, 1);
    w->long_one_in = either(sim, 30, 4);
    w->pause_ms = either(sim, 4000, 800);
    w->submit_ms = either(sim, 5000, 200);
    sim->net = (struct sim_net){
        .delay_min_ms = 1,
        .delay_max_ms = either(sim, 20, 700),
        .cut_one_in = either(sim, 2000, 100),
    };
    sim_trace(sim, "%u workers of %u cores, a fault each %u ms, a job each %u ms", w->worker_count,
              w->cores, w->pause_ms / 2, w->submit_ms / 2);
    sim_trace(sim, "delay up to %u ms, 1 message in %u cuts its connection", sim->net.delay_max_ms,
              sim->net.cut_one_in);
    sim_trace(sim, "1 attempt in %u fails, 1 failure in %u by itself; 1 record in %u is synced",
              w->fail_one_in, w->counts_one_in, w->sync_one_in);
    sim_trace(sim,
              "1 worker in %u is slow; 1 change of mind in %u is a kill; 1 publish in %u is "
              "refused (0: none)",
              w->slow_one_in, w->kill_one_in, w->refuse_one_in);
    sim_trace(sim, "1 job in %u is of short tasks, 1 in %u of which is long", w->brief_one_in,
              w->long_one_in);
}

static void setup(struct sim *sim)
{
    struct jobs_world *w = mem_calloc(1, sizeof(*w));
    BUG_ON(!w);
    sim->scenario = w;
    w->sim = sim;
    w->faults = true;
    draw_conditions(w);
    sim_host_add(sim, &w->jt, "jt", &jobs_tracker_ops);
    for (uint32_t i = 0; i < WORKERS; i++) {
        char name[8];
        snprintf(name, sizeof(name), "w%u", i);
        w->workers[i].world = w;
        sim_host_add(sim, &w->workers[i].host, name, &jobs_worker_ops);
    }
    jobs_tracker_live(w);
    for (uint32_t i = 0; i < w->worker_count; i++)
        jobs_worker_live(&w->workers[i]);
    jobs_submit(w);
    jobs_meddle(w);
    sim_after(sim, NULL, 1000, fault, w);
}

static void check(struct sim *sim)
{
    struct jobs_world *w = world_of(sim);
    if (!w->is_live)
        return;
    if (w->core.out_of_memory)
        sim_fail(sim, "the core ran out of memory");
    list_each (&w->core.active, it) {
        const struct jt_job *job = list_entry(it, struct jt_job, active);
        for (uint32_t s = 0; s < job->stage_count; s++) {
            const struct jt_stage *stage = &job->stages[s];
            if (stage->blocked + stage->waiting + stage->running + stage->done != stage->count)
                sim_fail(sim, "stage counts of job %" PRIu64 " do not add up", job->number);
        }
    }
    list_each (&w->core.fleet.all, it) {
        const struct jt_worker *worker = list_entry(it, struct jt_worker, all);
        struct jt_need taken = {0};
        list_each (&worker->attempts, a) {
            const struct jt_need one = list_entry(a, struct jt_attempt, on_worker)->taken;
            taken.cores += one.cores;
            taken.memory += one.memory;
        }
        if (worker->cores_used > worker->cores || worker->memory_used > worker->memory)
            sim_fail(sim, "%s has more tasks than cores or memory", worker->name);
        if (worker->is_live &&
            (worker->cores_used != taken.cores || worker->memory_used != taken.memory))
            sim_fail(sim, "%s has other tasks than cores and memory taken", worker->name);
    }
}

static void heal(struct sim *sim)
{
    struct jobs_world *w = world_of(sim);
    w->faults = false;
    jobs_tracker_return(w);
    for (uint32_t i = 0; i < w->worker_count; i++) {
        jobs_worker_return(&w->workers[i]);
        w->workers[i].speed = 1;
    }
}

/* Nothing of an ended job is left at a worker. */
static bool is_free(const struct worker *worker)
{
    for (size_t i = 0; i < RUN_MAX; i++)
        if (worker->running[i].is_used)
            return false;
    return worker->held_count == 0 && worker->source_count == 0;
}

static bool is_settled(struct sim *sim)
{
    const struct jobs_world *w = world_of(sim);
    for (uint64_t i = 1; i <= w->submitted; i++)
        if (w->accepted[i] && !w->ended[i])
            return false;
    for (uint32_t i = 0; i < w->worker_count; i++)
        if (!is_free(&w->workers[i]))
            return false;
    return true;
}

static void finish(struct sim *sim)
{
    const struct jobs_world *w = world_of(sim);
    if (w->core.jobs.count != 0)
        sim_fail(sim, "%zu finished jobs are still in memory", w->core.jobs.count);
    list_each (&w->core.fleet.all, it) {
        const struct jt_worker *worker = list_entry(it, struct jt_worker, all);
        if (worker->is_live && (worker->cores_used || worker->memory_used))
            sim_fail(sim, "a core or memory of %s is still taken though no job runs", worker->name);
        if (!list_is_empty(&worker->attempts) || !list_is_empty(&worker->links))
            sim_fail(sim, "%s still has something of a job that is over", worker->name);
    }
}

static void explain(struct sim *sim, struct buf *out)
{
    const struct jobs_world *w = world_of(sim);
    list_each (&w->core.active, it) {
        const struct jt_job *job = list_entry(it, struct jt_job, active);
        buf_printf(out, "job %" PRIu64 " is %s:", job->number, sm_name(&jt_job_states, job->state));
        for (uint32_t s = 0; s < job->stage_count; s++)
            buf_printf(out, " [%u: %u blocked %u waiting %u running %u done]", s,
                       job->stages[s].blocked, job->stages[s].waiting, job->stages[s].running,
                       job->stages[s].done);
        buf_printf(out, "\n");
    }
    for (uint32_t i = 0; i < w->worker_count; i++) {
        const struct worker *worker = &w->workers[i];
        const struct attempt_id *id = worker->held_count ? &worker->held[0] : NULL;
        if (is_free(worker))
            continue;
        buf_printf(out, "%s still has %zu outputs and %zu places of others", worker->host.name,
                   worker->held_count, worker->source_count);
        if (id)
            buf_printf(out, ", of job %" PRIu64 ": stage %u task %u attempt %u, %s", id->job.number,
                       id->stage, id->task, id->attempt,
                       worker->accepted[0] ? "accepted" : "not accepted");
        buf_printf(out, "\n");
    }
}

static void teardown(struct sim *sim)
{
    struct jobs_world *w = world_of(sim);
    if (w->is_live)
        jt_core_release(&w->core);
    mem_free(w->log);
    mem_free(w);
}

const struct sim_scenario sim_scenario_jobs = {
    .name = "jobs",
    .about = "the jobtracker's core among workers that die, and its own deaths",
    .steps = 24000,
    .heal_ms = 600000,
    .setup = setup,
    .check = check,
    .heal = heal,
    .is_settled = is_settled,
    .finish = finish,
    .explain = explain,
    .teardown = teardown,
};
