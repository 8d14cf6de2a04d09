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
    } else if (rand_chance(&sim->rand, 2) && worker->host.is_up) {
        sim_trace(sim, "%s dies", worker->host.name);
        sim_host_crash(&worker->host);
        sim_after(sim, NULL, back, jobs_worker_return, worker);
    } else if (worker->conn && sim_conn_is_up(worker->conn) && worker->host.is_up) {
        sim_conn_close(worker->conn, &worker->host);
        worker->conn = NULL;
    }
    sim_after(sim, NULL, 500 + rand_below(&sim->rand, 4000), fault, w);
}

/* ---- the scenario ---- */

static void setup(struct sim *sim)
{
    struct jobs_world *w = mem_calloc(1, sizeof(*w));
    BUG_ON(!w);
    sim->scenario = w;
    w->sim = sim;
    w->faults = true;
    /* Every third world is so small that what waits holds every core. */
    bool is_small = sim->seed % 3 == 0;
    w->worker_count = is_small ? 1 + (uint32_t)(sim->seed / 3 % 2) : WORKERS;
    w->cores = is_small ? 1 : 2;
    sim->net.delay_min_ms = 1;
    sim->net.delay_max_ms = 20;
    sim->net.cut_one_in = 2000;
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
        if (worker->cores_used > worker->cores)
            sim_fail(sim, "%s has more tasks than cores", worker->name);
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

static bool is_settled(struct sim *sim)
{
    const struct jobs_world *w = world_of(sim);
    for (uint64_t i = 1; i <= w->submitted; i++)
        if (w->accepted[i] && !w->ended[i])
            return false;
    return true;
}

static void finish(struct sim *sim)
{
    const struct jobs_world *w = world_of(sim);
    if (w->core.jobs.count != 0)
        sim_fail(sim, "%zu finished jobs are still in memory", w->core.jobs.count);
    list_each (&w->core.fleet.all, it)
        if (list_entry(it, struct jt_worker, all)->cores_used != 0)
            sim_fail(sim, "a core is still taken though no job runs");
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
    .steps = 40000,
    .heal_ms = 600000,
    .setup = setup,
    .check = check,
    .heal = heal,
    .is_settled = is_settled,
    .finish = finish,
    .explain = explain,
    .teardown = teardown,
};
