/* SPDX-License-Identifier: Apache-2.0
 * jobs: the jobtracker's core among virtual workers that crash, stall, lose connections and map
 * outputs, and a jobtracker that is killed and reads its journal again.
 *
 * Invariants: one attempt per task is committed; a job is published once, with every task done, and
 * always with the same result; every job that was accepted ends; what a finished job used is given
 * back. */
#include <inttypes.h>

#include "jobtracker/jobs/events.h"
#include "libcommon/base/mem.h"
#include "tests/sim/scenario.h"

#define WORKERS  6
#define JOBS_MAX 40
#define RUN_MAX  16
#define HELD_MAX 512
#define TICK_MS  100
#define BEAT_MS  1000

enum kind {
    REGISTER,
    REGISTERED,
    BEAT,
    DONE,
    ACCEPTED,
    FAILED,
    FETCH_FAILED,
    RUN,
    KILL,
    OUTPUT,
    END
};

struct msg {
    struct sim_msg head;
    enum kind kind;
    struct attempt_id id;
    uint64_t epoch, incarnation;
    bool flag;      /* ACCEPTED: yes; OUTPUT: complete; FAILED: counts; RUN: a reduce */
    uint32_t other; /* OUTPUT: worker index; RUN: maps of the job; FETCH_FAILED: worker index */
    uint32_t map;
    size_t count;
    struct attempt_id ids[HELD_MAX / 8];
};

struct running {
    struct attempt_id id;
    bool is_used, is_reduce, is_reported;
    uint32_t maps;
    uint64_t done_at_ms;
    uint8_t fetched[64];
};

struct source {
    uint64_t job;
    uint32_t map, attempt, worker;
};

struct worker {
    struct sim_host host;
    struct world *world;
    struct sim_conn *conn;
    uint64_t incarnation, epoch, speed;
    struct running running[RUN_MAX];
    struct attempt_id held[HELD_MAX];
    bool accepted[HELD_MAX];
    size_t held_count;
    struct source sources[HELD_MAX * 4];
    size_t source_count;
};

enum { LOG_SUBMIT, LOG_DONE, LOG_LOST, LOG_END };
struct log_record {
    int type;
    struct attempt_id id; /* job in id.job.number */
    uint32_t worker, maps, reduces;
};

struct published {
    bool is_there;
    uint64_t winners; /* hash of who won what */
};

struct world {
    struct sim *sim;
    struct sim_host jt;
    struct jt_core core;
    bool is_live;
    uint64_t epoch;
    struct sim_conn *conns[WORKERS];
    struct worker workers[WORKERS];
    struct log_record *log;
    size_t log_count, log_cap, durable;
    struct published published[JOBS_MAX + 1];
    bool accepted[JOBS_MAX + 1], ended[JOBS_MAX + 1];
    uint64_t submitted;
    uint32_t worker_count, cores; /* of each worker */
    bool faults;
};

static struct world *world_of(struct sim *sim)
{
    return sim->scenario;
}

static struct msg *msg_new(enum kind kind)
{
    struct msg *m = mem_calloc(1, sizeof(*m));
    BUG_ON(!m);
    m->head.name = "job message";
    m->kind = kind;
    return m;
}

/* ---- the journal: a prefix survives, all that was synced for sure ---- */

static void write_log(struct world *w, struct log_record record, bool sync)
{
    BUG_ON(mem_grow(&w->log, &w->log_cap, w->log_count, sizeof(record)) != 0);
    w->log[w->log_count++] = record;
    if (sync)
        w->durable = w->log_count;
}

/* ---- the namenode's side of PUBLISH ---- */

static void publish(struct world *w, struct jt_job *job)
{
    uint64_t hash = 0;
    for (uint32_t s = 0; s < job->stage_count; s++) {
        for (uint32_t t = 0; t < job->stages[s].count; t++) {
            const struct jt_task *task = &job->stages[s].tasks[t];
            if (task->state != JT_TASK_DONE)
                sim_fail(w->sim, "job %" PRIu64 " is published with task %u of stage %u not done",
                         job->number, t, s);
            if (job->stages[s].kind == JT_STAGE_REDUCE && task->winner)
                hash = hash_u64(hash ^ (task->winner->number * 31ULL + t));
        }
    }
    struct published *p = &w->published[job->number];
    if (p->is_there && p->winners != hash)
        sim_fail(w->sim, "job %" PRIu64 " is published twice, with different winners", job->number);
    p->is_there = true;
    p->winners = hash;
}

struct answer {
    struct world *world;
    uint64_t job;
};

static void carry_out(struct world *w);

static void on_published(void *arg)
{
    struct answer *a = arg;
    struct jt_job *job = a->world->is_live ? jt_core_job(&a->world->core, a->job) : NULL;
    if (job)
        jt_on_published(&a->world->core, job, 0, NULL, a->world->sim->now_ms);
    carry_out(a->world);
    mem_free(a);
}

static void ask_publish(struct world *w, struct jt_job *job)
{
    struct answer *a = mem_calloc(1, sizeof(*a));
    BUG_ON(!a);
    w->durable = w->log_count; /* winners are on disk before they are published */
    publish(w, job);
    *a = (struct answer){w, job->number};
    struct sim_call call = {on_published, mem_free, a};
    sim_after_owned(w->sim, &w->jt, 1 + rand_below(&w->sim->rand, 50), &call);
}

/* ---- effects ---- */

static uint32_t index_of(const struct jt_worker *worker)
{
    return (uint32_t)(worker->name[1] - '0');
}

static struct attempt_id id_of(const struct jt_attempt *a)
{
    return (struct attempt_id){
        {0, a->task->stage->job->number}, a->task->stage->index, a->task->index, a->number};
}

static void send_to(struct world *w, const struct jt_worker *worker, struct msg *m)
{
    struct sim_conn *conn = w->conns[index_of(worker)];
    m->epoch = w->epoch;
    if (conn && sim_conn_is_up(conn))
        sim_send(conn, &w->jt, &m->head);
    else
        mem_free(m);
}

static void tell_run(struct world *w, const struct jt_effect *e)
{
    struct msg *m = msg_new(RUN);
    m->id = id_of(e->attempt);
    m->flag = e->attempt->task->stage->kind == JT_STAGE_REDUCE;
    m->other = m->flag ? e->job->stages[0].count : 0;
    send_to(w, e->worker, m);
}

static void tell_outputs(struct world *w, const struct jt_effect *e)
{
    for (size_t i = e->from; i < e->to; i++) {
        struct msg *m = msg_new(OUTPUT);
        m->id.job.number = e->job->number;
        m->map = e->job->outputs[i].task;
        m->id.attempt = e->job->outputs[i].attempt;
        m->other = index_of(e->job->outputs[i].worker);
        send_to(w, e->worker, m);
    }
}

static void end_job(struct world *w, struct jt_job *job)
{
    struct log_record record = {.type = LOG_END, .id = {.job = {0, job->number}}};
    if (w->ended[job->number] && job->state != JT_JOB_SUCCEEDED)
        sim_fail(w->sim, "job %" PRIu64 " ends twice", job->number);
    write_log(w, record, true);
    w->ended[job->number] = true;
}

static void carry_one(struct world *w, const struct jt_effect *e)
{
    struct log_record record = {0};
    struct msg *m;
    switch (e->kind) {
    case JT_TELL_RUN:
        tell_run(w, e);
        break;
    case JT_TELL_KILL:
        m = msg_new(KILL);
        m->id = id_of(e->attempt);
        send_to(w, e->worker, m);
        break;
    case JT_TELL_OUTPUTS:
        tell_outputs(w, e);
        break;
    case JT_TELL_END:
        m = msg_new(END);
        m->id.job.number = e->job->number;
        send_to(w, e->worker, m);
        break;
    case JT_WRITE_DONE:
    case JT_WRITE_LOST:
        record.type = e->kind == JT_WRITE_DONE ? LOG_DONE : LOG_LOST;
        record.id = id_of(e->attempt);
        record.worker = index_of(e->attempt->worker);
        write_log(w, record, rand_chance(&w->sim->rand, 3));
        break;
    case JT_WRITE_END:
        end_job(w, e->job);
        break;
    case JT_PUBLISH:
        ask_publish(w, e->job);
        break;
    default:
        break;
    }
}

static void carry_out(struct world *w)
{
    if (!w->is_live)
        return;
    for (size_t i = 0; i < w->core.effect_count; i++) {
        struct jt_effect e = w->core.effects[i];
        carry_one(w, &e);
    }
    jt_effects_clear(&w->core);
    /* a finished job's memory is given back at once here */
    list_each_safe (&w->core.all, it) {
        struct jt_job *job = list_entry(it, struct jt_job, all);
        if (jt_job_is_over(job) && w->ended[job->number])
            jt_core_forget(&w->core, job);
    }
}

/* ---- the jobtracker hears ---- */

static struct jt_worker *find(struct world *w, uint32_t i)
{
    return jt_fleet_find(&w->core.fleet, slice_str(w->workers[i].host.name));
}

static void on_register(struct world *w, struct worker *from, struct sim_conn *conn,
                        const struct msg *m)
{
    uint32_t i = (uint32_t)(from - w->workers);
    struct jt_worker_offer offer = {
        .name = slice_str(from->host.name),
        .rack = slice_str(i % 2 ? "/a" : "/b"),
        .incarnation = m->incarnation,
        .cores = w->cores,
        .memory = 2 << 20,
    };
    struct msg *answer = msg_new(REGISTERED);
    w->conns[i] = conn;
    struct jt_worker *worker = jt_on_register(&w->core, &offer, w->sim->now_ms);
    BUG_ON(!worker);
    for (size_t k = 0; k < m->count; k++)
        if (!jt_on_held(&w->core, worker, &m->ids[k], w->sim->now_ms))
            answer->ids[answer->count++] = m->ids[k];
    send_to(w, worker, answer);
    jt_on_held_all(&w->core, worker, w->sim->now_ms);
    jt_on_beat(&w->core, worker, w->sim->now_ms);
}

static void on_done(struct world *w, struct jt_worker *worker, const struct msg *m)
{
    struct jt_progress p = {1000, 1000, 1, 1, 0};
    struct msg *answer = msg_new(ACCEPTED);
    answer->id = m->id;
    answer->flag = jt_on_done(&w->core, worker, &m->id, &p, slice_str("result"), w->sim->now_ms);
    send_to(w, worker, answer);
}

static void jt_message(struct sim_host *host, struct sim_host *from, struct sim_conn *conn,
                       struct sim_msg *head)
{
    struct world *w = CONTAINER_OF(host, struct world, jt);
    struct worker *worker = CONTAINER_OF(from, struct worker, host);
    uint32_t i = (uint32_t)(worker - w->workers);
    const struct msg *m = CONTAINER_OF(head, struct msg, head);
    struct jt_worker *known = find(w, i);
    uint64_t maps[1] = {m->map};
    if (!w->is_live)
        return;
    if (m->kind == REGISTER)
        on_register(w, worker, conn, m);
    else if (!known || !known->is_live || w->conns[i] != conn)
        sim_conn_close(conn, host);
    else if (m->kind == BEAT)
        jt_on_beat(&w->core, known, w->sim->now_ms);
    else if (m->kind == DONE)
        on_done(w, known, m);
    else if (m->kind == FAILED)
        jt_on_failed(&w->core, known, &m->id, m->flag, "failed", w->sim->now_ms);
    else if (m->kind == FETCH_FAILED)
        jt_on_fetch_failed(&w->core, &m->id, slice_str(w->workers[m->other].host.name), maps, 1,
                           w->sim->now_ms);
    carry_out(w);
}

static void jt_cut(struct sim_host *host, struct sim_conn *conn)
{
    struct world *w = CONTAINER_OF(host, struct world, jt);
    for (uint32_t i = 0; i < WORKERS; i++) {
        if (w->conns[i] != conn)
            continue;
        w->conns[i] = NULL;
        if (w->is_live && find(w, i))
            jt_on_disconnect(&w->core, find(w, i), w->sim->now_ms);
    }
    carry_out(w);
}

static const struct sim_host_ops jt_ops = {jt_message, jt_cut};

static void jt_tick(void *arg)
{
    struct world *w = arg;
    jt_on_tick(&w->core, w->sim->now_ms);
    carry_out(w);
    sim_after(w->sim, &w->jt, TICK_MS, jt_tick, w);
}

/* ---- submitting, and living again ---- */

static struct jt_job *begin(struct world *w, uint64_t number, uint32_t maps, uint32_t reduces)
{
    struct jt_split splits[64] = {0};
    struct slice nodes[64];
    for (uint32_t i = 0; i < maps; i++) {
        nodes[i] = slice_str(w->workers[(number + i) % WORKERS].host.name);
        splits[i] = (struct jt_split){.bytes = 1000, .nodes = &nodes[i], .node_count = 1};
    }
    struct jt_submit submit = {
        .name = slice_str("job"),
        .user = slice_str("u"),
        .priority = (uint32_t)(number % 5),
        .partitions = reduces,
        .splits = splits,
        .split_count = maps,
    };
    struct jt_job *job = jt_on_submit(&w->core, number, &submit, w->sim->now_ms);
    BUG_ON(!job);
    return job;
}

static void submit(void *arg)
{
    struct world *w = arg;
    if (w->is_live && w->submitted < JOBS_MAX && w->faults) {
        uint64_t number = ++w->submitted;
        struct log_record record = {.type = LOG_SUBMIT, .id = {.job = {0, number}}};
        record.maps = (uint32_t)rand_below(&w->sim->rand, 30);
        record.reduces = (uint32_t)rand_below(&w->sim->rand, 5);
        write_log(w, record, true);
        w->accepted[number] = true;
        sim_trace(w->sim, "submit %" PRIu64 ": %u maps, %u reduces", number, record.maps,
                  record.reduces);
        begin(w, number, record.maps, record.reduces);
        carry_out(w);
    }
    sim_after(w->sim, NULL, 200 + rand_below(&w->sim->rand, 2000), submit, w);
}

static bool has_ended(const struct world *w, uint64_t number)
{
    for (size_t i = 0; i < w->log_count; i++)
        if (w->log[i].type == LOG_END && w->log[i].id.job.number == number)
            return true;
    return false;
}

static void live(struct world *w)
{
    struct jt_config config = jt_config_default;
    config.worker_timeout_ms = 5000;
    config.reconnect_ms = 2000;
    config.resume_grace_ms = 4000;
    jt_core_init(&w->core, &config, w->sim->now_ms);
    for (size_t i = 0; i < w->log_count; i++) {
        const struct log_record *r = &w->log[i];
        uint64_t number = r->id.job.number;
        if (has_ended(w, number)) {
            w->core.next_job = number >= w->core.next_job ? number + 1 : w->core.next_job;
            continue;
        }
        if (r->type == LOG_SUBMIT) {
            begin(w, number, r->maps, r->reduces);
        } else if (r->type == LOG_DONE) {
            struct jt_job *job = jt_core_job(&w->core, number);
            jt_on_resumed(&w->core, job, &r->id, slice_str(w->workers[r->worker].host.name),
                          slice_str("result"), w->sim->now_ms);
        } else if (r->type == LOG_LOST) {
            jt_on_resumed_lost(&w->core, jt_core_job(&w->core, number), &r->id);
        }
    }
    jt_effects_clear(&w->core);
    w->is_live = true;
    w->epoch++;
    jt_on_resume_end(&w->core, (uint32_t)w->epoch, w->sim->now_ms);
    carry_out(w);
    jt_tick(w);
}

static void jt_die(struct world *w)
{
    if (!w->is_live)
        return;
    sim_trace(w->sim, "the jobtracker dies");
    w->is_live = false;
    jt_core_release(&w->core);
    memset(w->conns, 0, sizeof(w->conns));
    size_t lost = w->log_count - w->durable;
    w->log_count = w->durable + (size_t)rand_below(&w->sim->rand, lost + 1);
    w->durable = w->log_count;
    sim_host_crash(&w->jt);
}

static void jt_return(void *arg)
{
    struct world *w = arg;
    if (w->is_live)
        return;
    sim_host_start(&w->jt);
    live(w);
}

/* ---- workers ---- */

static bool same(const struct attempt_id *a, const struct attempt_id *b)
{
    return a->job.number == b->job.number && a->stage == b->stage && a->task == b->task &&
           a->attempt == b->attempt;
}

static void say(struct worker *worker, struct msg *m)
{
    if (worker->conn && sim_conn_is_up(worker->conn))
        sim_send(worker->conn, &worker->host, &m->head);
    else
        mem_free(m);
}

static void drop(struct worker *worker, const struct attempt_id *id)
{
    for (size_t i = 0; i < RUN_MAX; i++)
        if (worker->running[i].is_used && same(&worker->running[i].id, id))
            worker->running[i].is_used = false;
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

static void start(struct worker *worker, const struct msg *m)
{
    struct sim *sim = worker->world->sim;
    for (size_t i = 0; i < RUN_MAX; i++) {
        struct running *r = &worker->running[i];
        if (r->is_used)
            continue;
        *r = (struct running){.id = m->id, .is_used = true, .is_reduce = m->flag};
        r->maps = m->other;
        r->done_at_ms = sim->now_ms + worker->speed * (20 + rand_below(&sim->rand, 300));
        return;
    }
    BUG("a worker with two cores was given more than %d tasks", RUN_MAX);
}

/* Newest known place of every map still missing; a place that has nothing is complained of. */
static bool fetch(struct worker *worker, struct running *r)
{
    struct world *w = worker->world;
    uint32_t missing = 0;
    for (uint32_t map = 0; map < r->maps; map++) {
        const struct source *s = NULL;
        for (size_t i = 0; i < worker->source_count; i++)
            if (worker->sources[i].job == r->id.job.number && worker->sources[i].map == map)
                s = &worker->sources[i];
        if (r->fetched[map])
            continue;
        struct worker *from = s ? &w->workers[s->worker] : NULL;
        if (from && from->host.is_up && holds(from, s)) {
            r->fetched[map] = 1;
            continue;
        }
        missing++;
        if (s && missing == 1) {
            struct msg *m = msg_new(FETCH_FAILED);
            m->id = r->id;
            m->map = map;
            m->other = s->worker;
            say(worker, m);
        }
    }
    return missing == 0;
}

static void work(struct worker *worker, struct running *r)
{
    struct sim *sim = worker->world->sim;
    if (r->is_reported || sim->now_ms < r->done_at_ms || (r->is_reduce && !fetch(worker, r)))
        return;
    bool fails = worker->world->faults && rand_chance(&sim->rand, 30);
    struct msg *m = msg_new(fails ? FAILED : DONE);
    m->id = r->id;
    m->flag = rand_chance(&sim->rand, 4); /* most failures are the node's */
    if (fails)
        r->is_used = false;
    else if (r->id.stage == 0 && worker->held_count < HELD_MAX) {
        worker->held[worker->held_count] = r->id;
        worker->accepted[worker->held_count++] = false;
    }
    r->is_reported = true;
    say(worker, m);
}

static void register_here(struct worker *worker)
{
    struct world *w = worker->world;
    if (!worker->conn || !sim_conn_is_up(worker->conn))
        worker->conn = w->jt.is_up ? sim_connect(&worker->host, &w->jt) : NULL;
    if (!worker->conn)
        return;
    struct msg *m = msg_new(REGISTER);
    m->incarnation = worker->incarnation;
    for (size_t i = 0; i < worker->held_count && m->count < HELD_MAX / 8 - RUN_MAX; i++)
        if (worker->accepted[i])
            m->ids[m->count++] = worker->held[i];
    for (size_t i = 0; i < RUN_MAX; i++)
        if (worker->running[i].is_used)
            m->ids[m->count++] = worker->running[i].id;
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

static void beat(void *arg)
{
    struct worker *worker = arg;
    if (worker->conn && sim_conn_is_up(worker->conn)) {
        say(worker, msg_new(BEAT));
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

static void on_accepted(struct worker *worker, const struct msg *m)
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

static void worker_message(struct sim_host *host, struct sim_host *from, struct sim_conn *conn,
                           struct sim_msg *head)
{
    struct worker *worker = CONTAINER_OF(host, struct worker, host);
    const struct msg *m = CONTAINER_OF(head, struct msg, head);
    (void)from;
    if (m->epoch < worker->epoch || conn != worker->conn)
        return;
    worker->epoch = m->epoch;
    if (m->kind == REGISTERED)
        for (size_t i = 0; i < m->count; i++)
            drop(worker, &m->ids[i]);
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

static const struct sim_host_ops worker_ops = {worker_message, worker_cut};

static void worker_live(struct worker *worker)
{
    worker->incarnation = rand_u64(&worker->world->sim->rand);
    worker->epoch = 0;
    worker->held_count = worker->source_count = 0;
    memset(worker->running, 0, sizeof(worker->running));
    worker->conn = NULL;
    worker->speed = rand_chance(&worker->world->sim->rand, 5) ? 10 : 1;
    worker_tick(worker);
    beat(worker);
}

static void worker_return(void *arg)
{
    struct worker *worker = arg;
    if (worker->host.is_up)
        return;
    sim_host_start(&worker->host);
    worker_live(worker);
}

/* ---- faults ---- */

static void fault(void *arg)
{
    struct world *w = arg;
    struct sim *sim = w->sim;
    struct worker *worker = &w->workers[rand_below(&sim->rand, w->worker_count)];
    uint64_t back = 100 + rand_below(&sim->rand, 8000);
    if (!w->faults)
        return;
    if (rand_chance(&sim->rand, 4)) {
        jt_die(w);
        sim_after(sim, NULL, back, jt_return, w);
    } else if (rand_chance(&sim->rand, 2) && worker->host.is_up) {
        sim_trace(sim, "%s dies", worker->host.name);
        sim_host_crash(&worker->host);
        sim_after(sim, NULL, back, worker_return, worker);
    } else if (worker->conn && sim_conn_is_up(worker->conn) && worker->host.is_up) {
        sim_conn_close(worker->conn, &worker->host);
        worker->conn = NULL;
    }
    sim_after(sim, NULL, 500 + rand_below(&sim->rand, 4000), fault, w);
}

/* ---- the scenario ---- */

static void setup(struct sim *sim)
{
    struct world *w = mem_calloc(1, sizeof(*w));
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
    sim_host_add(sim, &w->jt, "jt", &jt_ops);
    for (uint32_t i = 0; i < WORKERS; i++) {
        char name[8];
        snprintf(name, sizeof(name), "w%u", i);
        w->workers[i].world = w;
        sim_host_add(sim, &w->workers[i].host, name, &worker_ops);
    }
    live(w);
    for (uint32_t i = 0; i < w->worker_count; i++)
        worker_live(&w->workers[i]);
    submit(w);
    sim_after(sim, NULL, 1000, fault, w);
}

static void check(struct sim *sim)
{
    struct world *w = world_of(sim);
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
    struct world *w = world_of(sim);
    w->faults = false;
    jt_return(w);
    for (uint32_t i = 0; i < w->worker_count; i++) {
        worker_return(&w->workers[i]);
        w->workers[i].speed = 1;
    }
}

static bool is_settled(struct sim *sim)
{
    const struct world *w = world_of(sim);
    for (uint64_t i = 1; i <= w->submitted; i++)
        if (w->accepted[i] && !w->ended[i])
            return false;
    return true;
}

static void finish(struct sim *sim)
{
    const struct world *w = world_of(sim);
    if (w->core.jobs.count != 0)
        sim_fail(sim, "%zu finished jobs are still in memory", w->core.jobs.count);
    list_each (&w->core.fleet.all, it)
        if (list_entry(it, struct jt_worker, all)->cores_used != 0)
            sim_fail(sim, "a core is still taken though no job runs");
}

static void explain(struct sim *sim, struct buf *out)
{
    const struct world *w = world_of(sim);
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
    struct world *w = world_of(sim);
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
