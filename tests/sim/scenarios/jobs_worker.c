/* SPDX-License-Identifier: Apache-2.0
 * jobs_worker: workers of the simulated engine. Those of a row of attempts are begun one after
 * another, and given back when one of them takes long, fails or is killed. A map's output is held
 * until its job ends or it is told to drop it; a reduce is done when it has fetched every map from
 * where it was last told it lies, and complains of a place that has nothing or cannot be reached.
 */
#include "libcommon/base/mem.h"
#include "tests/sim/scenarios/jobs_world.h"

#define BEAT_MS 1000

static void release(struct sim_msg *head)
{
    struct job_msg *m = CONTAINER_OF(head, struct job_msg, head);
    mem_free(m->ids);
    mem_free(m);
}

struct job_msg *job_msg_new(enum job_msg_kind kind)
{
    static const char *const names[JOB_MSG_KINDS] = {
        [REGISTER] = "register",
        [BEAT] = "beat",
        [DONE] = "done",
        [FAILED] = "failed",
        [FETCH_FAILED] = "no fetch",
        [REGISTERED] = "registered",
        [ACCEPTED] = "accepted",
        [RUN] = "run",
        [KILL] = "kill",
        [OUTPUT] = "output",
        [END] = "end",
    };
    struct job_msg *m = mem_calloc(1, sizeof(*m));
    BUG_ON(!m);
    m->head.name = names[kind];
    m->head.release = release;
    m->kind = kind;
    return m;
}

void job_msg_name(struct job_msg *m, const struct attempt_id *id)
{
    BUG_ON(mem_grow(&m->ids, &m->cap, m->count, sizeof(*m->ids)) != 0);
    m->ids[m->count++] = *id;
}

static bool same(const struct attempt_id *a, const struct attempt_id *b)
{
    return a->job.number == b->job.number && a->stage == b->stage && a->task == b->task &&
           a->attempt == b->attempt;
}

static void say(struct worker *worker, struct job_msg *m)
{
    if (worker->conn && sim_conn_is_up(worker->conn))
        sim_send(worker->conn, &worker->host, &m->head);
    else
        release(&m->head);
}

/* Those of its row that have not begun. */
static void give_back_row(struct worker *worker, const struct running *of)
{
    for (size_t i = 0; i < RUN_MAX; i++) {
        struct running *r = &worker->running[i];
        if (!r->is_used || r->row != of->row || r->is_begun)
            continue;
        struct job_msg *m = job_msg_new(FAILED);
        m->id = r->id;
        m->is_behind = true;
        m->head.name = "not begun";
        r->is_used = false;
        say(worker, m);
    }
}

static void drop(struct worker *worker, const struct attempt_id *id)
{
    for (size_t i = 0; i < RUN_MAX; i++) {
        struct running *r = &worker->running[i];
        if (!r->is_used || !same(&r->id, id))
            continue;
        r->is_used = false;
        give_back_row(worker, r);
    }
    for (size_t i = 0; i < worker->held_count; i++) {
        if (!same(&worker->held[i], id))
            continue;
        worker->held_count--;
        worker->held[i] = worker->held[worker->held_count];
        worker->accepted[i] = worker->accepted[worker->held_count];
        break;
    }
}

static bool holds(const struct worker *worker, const struct source *s)
{
    for (size_t i = 0; i < worker->held_count; i++)
        if (worker->accepted[i] && worker->held[i].job.number == s->job &&
            worker->held[i].task == s->map && worker->held[i].attempt == s->attempt)
            return true;
    return false;
}

static void start(struct worker *worker, const struct job_msg *m)
{
    struct sim *sim = worker->world->sim;
    for (size_t i = 0; i < RUN_MAX; i++) {
        struct running *r = &worker->running[i];
        if (r->is_used)
            continue;
        *r = (struct running){
            .id = m->id, .is_used = true, .is_reduce = m->flag, .is_kept = m->is_kept};
        r->maps = m->other;
        r->is_brief = m->is_brief && !rand_chance(&sim->rand, worker->world->long_one_in);
        worker->rows += !m->is_behind;
        r->row = worker->rows;
        r->order = ++worker->orders;
        return;
    }
    BUG("a worker with two cores was given more than %d tasks", RUN_MAX);
}

static bool is_first_of_row(const struct worker *worker, const struct running *of)
{
    for (size_t i = 0; i < RUN_MAX; i++) {
        const struct running *r = &worker->running[i];
        if (r->is_used && !r->is_done && r->row == of->row && r->order < of->order)
            return false;
    }
    return true;
}

/* Whoever waits for nobody in its row. One that takes long sends the others away. */
static bool has_begun(struct worker *worker, struct running *r)
{
    struct sim *sim = worker->world->sim;
    if (r->is_begun || !is_first_of_row(worker, r))
        return r->is_begun;
    r->is_begun = true;
    r->start_ms = sim->now_ms;
    r->done_at_ms = sim->now_ms;
    r->done_at_ms += worker->speed *
                     (r->is_brief ? rand_below(&sim->rand, 3) : 20 + rand_below(&sim->rand, 300));
    if (!r->is_brief)
        give_back_row(worker, r);
    return true;
}

static bool can_reach(const struct worker *worker, const struct worker *from)
{
    return from->host.is_up && !sim_is_parted(&worker->host, &from->host) &&
           !sim_is_parted(&from->host, &worker->host);
}

/* Newest known place of every map still missing; a place that has nothing is complained of. */
static bool fetch(struct worker *worker, struct running *r)
{
    struct jobs_world *w = worker->world;
    uint32_t missing = 0;
    for (uint32_t map = 0; map < r->maps; map++) {
        const struct source *s = NULL;
        for (size_t i = 0; i < worker->source_count; i++)
            if (worker->sources[i].job == r->id.job.number && worker->sources[i].map == map)
                s = &worker->sources[i];
        if (r->fetched[map])
            continue;
        struct worker *from = s ? &w->workers[s->worker] : NULL;
        if (from && can_reach(worker, from) && holds(from, s)) {
            r->fetched[map] = 1;
            continue;
        }
        missing++;
        if (s && missing == 1) {
            struct job_msg *m = job_msg_new(FETCH_FAILED);
            m->id = r->id;
            m->map = map;
            m->other = s->worker;
            say(worker, m);
        }
    }
    return missing == 0;
}

/* It may be said again that it is done. */
static void hold(struct worker *worker, const struct attempt_id *id)
{
    for (size_t i = 0; i < worker->held_count; i++)
        if (same(&worker->held[i], id))
            return;
    BUG_ON(worker->held_count == HELD_MAX);
    worker->held[worker->held_count] = *id;
    worker->accepted[worker->held_count++] = false;
}

static void work(struct worker *worker, struct running *r)
{
    struct sim *sim = worker->world->sim;
    if (!has_begun(worker, r) || r->is_reported || sim->now_ms < r->done_at_ms ||
        (r->is_reduce && !fetch(worker, r)))
        return;
    bool fails =
        !r->is_done && worker->world->faults && rand_chance(&sim->rand, worker->world->fail_one_in);
    struct job_msg *m = job_msg_new(fails ? FAILED : DONE);
    m->id = r->id;
    m->flag = rand_chance(&sim->rand, worker->world->counts_one_in);
    m->is_brief = r->is_brief;
    if (fails) {
        r->is_used = false;
        give_back_row(worker, r);
    } else if (r->is_kept)
        hold(worker, &r->id);
    r->is_reported = true;
    r->is_done = !fails; /* and stays so, if it must be said again */
    say(worker, m);
}

static void register_here(struct worker *worker)
{
    struct jobs_world *w = worker->world;
    if (!worker->conn || !sim_conn_is_up(worker->conn))
        worker->conn = w->jt.is_up ? sim_connect(&worker->host, &w->jt) : NULL;
    if (!worker->conn)
        return;
    struct job_msg *m = job_msg_new(REGISTER);
    m->incarnation = worker->incarnation;
    for (size_t i = 0; i < worker->held_count; i++)
        if (worker->accepted[i])
            job_msg_name(m, &worker->held[i]);
    for (size_t i = 0; i < RUN_MAX; i++)
        if (worker->running[i].is_used)
            job_msg_name(m, &worker->running[i].id);
    say(worker, m);
}

static void worker_tick(void *arg)
{
    struct worker *worker = arg;
    for (size_t i = 0; i < RUN_MAX; i++)
        if (worker->running[i].is_used)
            work(worker, &worker->running[i]);
    sim_after(worker->world->sim, &worker->host, 50, worker_tick, worker);
}

static void tell_progress(struct worker *worker)
{
    uint64_t now_ms = worker->world->sim->now_ms;
    struct job_msg *m = job_msg_new(BEAT);
    for (size_t i = 0; i < RUN_MAX; i++) {
        const struct running *r = &worker->running[i];
        if (!r->is_used || !r->is_begun)
            continue;
        uint64_t all_ms = r->done_at_ms - r->start_ms, ms = now_ms - r->start_ms;
        m->bytes_in[m->count] = ms < all_ms ? MAP_BYTES * ms / all_ms : MAP_BYTES;
        job_msg_name(m, &r->id);
    }
    say(worker, m);
}

static void beat(void *arg)
{
    struct worker *worker = arg;
    if (worker->conn && sim_conn_is_up(worker->conn)) {
        tell_progress(worker);
        for (size_t i = 0; i < RUN_MAX; i++) /* an answer may have been lost: say it again */
            worker->running[i].is_reported = false;
    } else {
        register_here(worker);
    }
    sim_after(worker->world->sim, &worker->host, BEAT_MS, beat, worker);
}

static void end_here(struct worker *worker, uint64_t job)
{
    for (size_t i = 0; i < RUN_MAX; i++)
        if (worker->running[i].is_used && worker->running[i].id.job.number == job)
            worker->running[i].is_used = false;
    for (size_t i = worker->held_count; i-- > 0;)
        if (worker->held[i].job.number == job)
            drop(worker, &worker->held[i]);
    size_t kept = 0;
    for (size_t i = 0; i < worker->source_count; i++)
        if (worker->sources[i].job != job)
            worker->sources[kept++] = worker->sources[i];
    worker->source_count = kept;
}

static void on_accepted(struct worker *worker, const struct job_msg *m)
{
    for (size_t i = 0; i < RUN_MAX; i++)
        if (worker->running[i].is_used && same(&worker->running[i].id, &m->id))
            worker->running[i].is_used = false;
    if (!m->flag) {
        drop(worker, &m->id);
        return;
    }
    for (size_t i = 0; i < worker->held_count; i++)
        if (same(&worker->held[i], &m->id))
            worker->accepted[i] = true;
}

static bool is_at(const struct worker *worker, uint64_t job)
{
    for (size_t i = 0; i < RUN_MAX; i++)
        if (worker->running[i].is_used && worker->running[i].id.job.number == job)
            return true;
    for (size_t i = 0; i < worker->held_count; i++)
        if (worker->held[i].job.number == job)
            return true;
    return false;
}

/* What is not wanted goes, and all of jobs of which nothing is here: their END may have been
 * missed. */
static void on_registered(struct worker *worker, const struct job_msg *m)
{
    for (size_t i = 0; i < m->count; i++)
        drop(worker, &m->ids[i]);
    for (size_t i = worker->source_count; i-- > 0;)
        if (i < worker->source_count && !is_at(worker, worker->sources[i].job))
            end_here(worker, worker->sources[i].job);
}

static void worker_message(struct sim_host *host, struct sim_host *from, struct sim_conn *conn,
                           struct sim_msg *head)
{
    struct worker *worker = CONTAINER_OF(host, struct worker, host);
    const struct job_msg *m = CONTAINER_OF(head, struct job_msg, head);
    (void)from;
    if (m->epoch < worker->epoch || conn != worker->conn)
        return;
    worker->epoch = m->epoch;
    if (m->kind == REGISTERED)
        on_registered(worker, m);
    else if (m->kind == RUN)
        start(worker, m);
    else if (m->kind == KILL)
        drop(worker, &m->id);
    else if (m->kind == ACCEPTED)
        on_accepted(worker, m);
    else if (m->kind == END)
        end_here(worker, m->id.job.number);
    else if (m->kind == OUTPUT && worker->source_count < ARRAY_LEN(worker->sources))
        worker->sources[worker->source_count++] =
            (struct source){m->id.job.number, m->map, m->id.attempt, m->other};
}

static void worker_cut(struct sim_host *host, struct sim_conn *conn)
{
    struct worker *worker = CONTAINER_OF(host, struct worker, host);
    if (worker->conn == conn)
        worker->conn = NULL;
}

const struct sim_host_ops jobs_worker_ops = {worker_message, worker_cut};

void jobs_worker_live(struct worker *worker)
{
    worker->incarnation = rand_u64(&worker->world->sim->rand);
    worker->epoch = 0;
    worker->held_count = worker->source_count = 0;
    memset(worker->running, 0, sizeof(worker->running));
    worker->conn = NULL;
    worker->speed = rand_chance(&worker->world->sim->rand, worker->world->slow_one_in) ? 10 : 1;
    worker_tick(worker);
    beat(worker);
}

void jobs_worker_return(void *arg)
{
    struct worker *worker = arg;
    if (worker->host.is_up)
        return;
    sim_host_start(&worker->host);
    jobs_worker_live(worker);
}
