/* SPDX-License-Identifier: Apache-2.0
 * jobs_tracker: the jobtracker of the simulated engine: what its daemon does around the core, on a
 * log of which a crash keeps any prefix that has all that was synced. */
#include <inttypes.h>

#include "libcommon/base/mem.h"
#include "tests/sim/scenarios/jobs_world.h"

#define TICK_MS       100
#define WORKER_MEMORY (2U << 20)

/* ---- the journal: a prefix survives, all that was synced for sure ---- */

/* The rule that one attempt per task is committed: a second commit must follow the loss of the
 * first. It stands over restarts: what the log has lost was never committed. */
static void note_commit(struct jobs_world *w, const struct log_record *r)
{
    const struct attempt_id *id = &r->id;
    if (r->type != LOG_DONE && r->type != LOG_LOST)
        return;
    uint32_t *now = &w->committed[id->job.number][id->stage][id->task];
    if (r->type == LOG_DONE && *now)
        sim_fail(w->sim,
                 "task %u of stage %u of job %" PRIu64
                 " is committed twice: by attempt %u, then %u",
                 id->task, id->stage, id->job.number, *now - 1, id->attempt);
    *now = r->type == LOG_DONE ? id->attempt + 1 : 0;
}

static void write_log(struct jobs_world *w, struct log_record record, bool sync)
{
    static const char *const names[] = {"submit", "done", "lost", "end"};
    note_commit(w, &record);
    sim_trace(w->sim, "log: %s %" PRIu64 " stage %u task %u attempt %u%s", names[record.type],
              record.id.job.number, record.id.stage, record.id.task, record.id.attempt,
              sync ? "" : ", not synced");
    BUG_ON(mem_grow(&w->log, &w->log_cap, w->log_count, sizeof(record)) != 0);
    w->log[w->log_count++] = record;
    if (sync)
        w->durable = w->log_count;
}

/* ---- the namenode's side of PUBLISH ---- */

static void publish(struct jobs_world *w, struct jt_job *job)
{
    uint64_t hash = 0;
    for (uint32_t s = 0; s < job->stage_count; s++) {
        enum jt_stage_kind kind = job->stages[s].kind;
        bool is_output = kind == JT_STAGE_REDUCE || kind == JT_STAGE_MAP_OUT;
        for (uint32_t t = 0; t < job->stages[s].count; t++) {
            const struct jt_task *task = &job->stages[s].tasks[t];
            if (task->state != JT_TASK_DONE)
                sim_fail(w->sim, "job %" PRIu64 " is published with task %u of stage %u not done",
                         job->number, t, s);
            if (is_output && task->winner)
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
    struct jobs_world *world;
    uint64_t job;
    int code;
};

static void on_published(void *arg)
{
    struct answer *a = arg;
    struct jt_job *job = a->world->is_live ? jt_core_job(&a->world->core, a->job) : NULL;
    if (job)
        jt_on_published(&a->world->core, job, a->code, a->code ? "it exists" : NULL,
                        a->world->sim->now_ms);
    jobs_tracker_carry_out(a->world);
    mem_free(a);
}

static void ask_publish(struct jobs_world *w, struct jt_job *job)
{
    struct answer *a = mem_calloc(1, sizeof(*a));
    BUG_ON(!a);
    w->durable = w->log_count; /* winners are on disk before they are published */
    bool may_refuse = w->refuse_one_in && !w->published[job->number].is_there;
    *a = (struct answer){w, job->number, 0};
    if (may_refuse && rand_chance(&w->sim->rand, w->refuse_one_in))
        a->code = ERR_EXIST;
    else
        publish(w, job);
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

static void send_to(struct jobs_world *w, const struct jt_worker *worker, struct job_msg *m)
{
    struct sim_conn *conn = w->conns[index_of(worker)];
    m->epoch = w->epoch;
    if (conn && sim_conn_is_up(conn))
        sim_send(conn, &w->jt, &m->head);
    else
        m->head.release(&m->head);
}

static void tell_run(struct jobs_world *w, const struct jt_effect *e)
{
    struct job_msg *m = job_msg_new(RUN);
    m->id = id_of(e->attempt);
    m->flag = e->attempt->task->stage->kind == JT_STAGE_REDUCE;
    m->is_behind = e->is_behind;
    m->head.name = m->is_behind ? "run behind it" : m->head.name;
    m->is_brief = hash_u64(e->job->number ^ w->sim->seed << 8) % w->brief_one_in == 0;
    m->is_kept = e->attempt->task->stage->kind == JT_STAGE_MAP;
    m->other = m->flag ? e->job->stages[0].count : 0;
    send_to(w, e->worker, m);
}

static void tell_outputs(struct jobs_world *w, const struct jt_effect *e)
{
    for (size_t i = e->from; i < e->to; i++) {
        struct job_msg *m = job_msg_new(OUTPUT);
        m->id.job.number = e->job->number;
        m->map = e->job->outputs[i].task;
        m->id.attempt = e->job->outputs[i].attempt;
        m->other = index_of(e->job->outputs[i].worker);
        send_to(w, e->worker, m);
    }
}

static void end_job(struct jobs_world *w, struct jt_job *job)
{
    struct log_record record = {.type = LOG_END, .id = {.job = {0, job->number}}};
    if (w->ended[job->number] && job->state != JT_JOB_SUCCEEDED)
        sim_fail(w->sim, "job %" PRIu64 " ends twice", job->number);
    if (w->published[job->number].is_there != (job->state == JT_JOB_SUCCEEDED))
        sim_fail(w->sim, "job %" PRIu64 " is %s, and its output is %s", job->number,
                 sm_name(&jt_job_states, job->state),
                 w->published[job->number].is_there ? "there" : "not there");
    sim_trace(w->sim, "job %" PRIu64 " is %s", job->number, sm_name(&jt_job_states, job->state));
    write_log(w, record, true);
    w->ended[job->number] = true;
}

static void carry_one(struct jobs_world *w, const struct jt_effect *e)
{
    struct log_record record = {0};
    struct job_msg *m;
    switch (e->kind) {
    case JT_TELL_RUN:
        tell_run(w, e);
        break;
    case JT_TELL_KILL:
        m = job_msg_new(KILL);
        m->id = id_of(e->attempt);
        send_to(w, e->worker, m);
        break;
    case JT_TELL_OUTPUTS:
        tell_outputs(w, e);
        break;
    case JT_TELL_END:
        m = job_msg_new(END);
        m->id.job.number = e->job->number;
        send_to(w, e->worker, m);
        break;
    case JT_WRITE_DONE:
    case JT_WRITE_LOST:
        record.type = e->kind == JT_WRITE_DONE ? LOG_DONE : LOG_LOST;
        record.id = id_of(e->attempt);
        record.worker = index_of(e->attempt->worker);
        record.bytes = e->attempt->bytes_in;
        record.ran_ms = e->attempt->end_ms - e->attempt->start_ms;
        write_log(w, record, rand_chance(&w->sim->rand, w->sync_one_in));
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

void jobs_tracker_carry_out(struct jobs_world *w)
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

static struct jt_worker *find(struct jobs_world *w, uint32_t i)
{
    return jt_fleet_find(&w->core.fleet, slice_str(w->workers[i].host.name));
}

static void on_register(struct jobs_world *w, struct worker *from, struct sim_conn *conn,
                        const struct job_msg *m)
{
    uint32_t i = (uint32_t)(from - w->workers);
    struct jt_worker_offer offer = {
        .name = slice_str(from->host.name),
        .rack = slice_str(i % 2 ? "/a" : "/b"),
        .incarnation = m->incarnation,
        .cores = w->cores,
        .memory = WORKER_MEMORY,
        .takes_rows = true,
    };
    struct job_msg *answer = job_msg_new(REGISTERED);
    w->conns[i] = conn;
    struct jt_worker *worker = jt_on_register(&w->core, &offer, w->sim->now_ms);
    BUG_ON(!worker);
    for (size_t k = 0; k < m->count; k++)
        if (!jt_on_held(&w->core, worker, &m->ids[k], w->sim->now_ms))
            job_msg_name(answer, &m->ids[k]);
    send_to(w, worker, answer);
    jt_on_held_all(&w->core, worker, w->sim->now_ms);
    jt_on_beat(&w->core, worker, w->sim->now_ms);
}

static void on_done(struct jobs_world *w, struct jt_worker *worker, const struct job_msg *m)
{
    struct jt_progress p = {MAP_BYTES, MAP_BYTES, 1, 1, 0};
    p.may_follow = m->is_brief;
    p.took_us = 50;
    struct job_msg *answer = job_msg_new(ACCEPTED);
    answer->id = m->id;
    answer->flag = jt_on_done(&w->core, worker, &m->id, &p, slice_str("result"), w->sim->now_ms);
    send_to(w, worker, answer);
}

static void on_beat(struct jobs_world *w, struct jt_worker *worker, const struct job_msg *m)
{
    for (size_t i = 0; i < m->count; i++) {
        struct jt_progress p = {m->bytes_in[i], MAP_BYTES, m->bytes_in[i], 0, 0};
        jt_on_progress(&w->core, worker, &m->ids[i], &p, w->sim->now_ms);
    }
    jt_on_beat(&w->core, worker, w->sim->now_ms);
}

static enum jt_fault fault_of(const struct job_msg *m)
{
    return m->is_behind ? JT_FAULT_NONE : m->flag ? JT_FAULT_TASK : JT_FAULT_NODE;
}

static void jt_message(struct sim_host *host, struct sim_host *from, struct sim_conn *conn,
                       struct sim_msg *head)
{
    struct jobs_world *w = CONTAINER_OF(host, struct jobs_world, jt);
    struct worker *worker = CONTAINER_OF(from, struct worker, host);
    uint32_t i = (uint32_t)(worker - w->workers);
    const struct job_msg *m = CONTAINER_OF(head, struct job_msg, head);
    struct jt_worker *known = find(w, i);
    uint64_t maps[1] = {m->map};
    if (!w->is_live)
        return;
    if (m->kind == REGISTER)
        on_register(w, worker, conn, m);
    else if (!known || !known->is_live || w->conns[i] != conn)
        sim_conn_close(conn, host);
    else if (m->kind == BEAT)
        on_beat(w, known, m);
    else if (m->kind == DONE)
        on_done(w, known, m);
    else if (m->kind == FAILED)
        jt_on_failed(&w->core, known, &m->id, fault_of(m), "failed", w->sim->now_ms);
    else if (m->kind == FETCH_FAILED)
        jt_on_fetch_failed(&w->core, &m->id, slice_str(w->workers[m->other].host.name), maps, 1,
                           w->sim->now_ms);
    jobs_tracker_carry_out(w);
}

static void jt_cut(struct sim_host *host, struct sim_conn *conn)
{
    struct jobs_world *w = CONTAINER_OF(host, struct jobs_world, jt);
    for (uint32_t i = 0; i < WORKERS; i++) {
        if (w->conns[i] != conn)
            continue;
        w->conns[i] = NULL;
        if (w->is_live && find(w, i))
            jt_on_disconnect(&w->core, find(w, i), w->sim->now_ms);
    }
    jobs_tracker_carry_out(w);
}

const struct sim_host_ops jobs_tracker_ops = {jt_message, jt_cut};

static void jt_tick(void *arg)
{
    struct jobs_world *w = arg;
    jt_on_tick(&w->core, w->sim->now_ms);
    jobs_tracker_carry_out(w);
    sim_after(w->sim, &w->jt, TICK_MS, jt_tick, w);
}

/* ---- submitting, and living again ---- */

static struct jt_job *begin(struct jobs_world *w, uint64_t number, uint32_t maps, uint32_t reduces)
{
    struct jt_split splits[MAPS_MAX] = {0};
    struct slice nodes[MAPS_MAX];
    for (uint32_t i = 0; i < maps; i++) {
        nodes[i] = slice_str(w->workers[(number + i) % WORKERS].host.name);
        splits[i] = (struct jt_split){.bytes = MAP_BYTES, .nodes = &nodes[i], .node_count = 1};
    }
    uint64_t lot = hash_u64(number ^ w->sim->seed); /* the same in every life */
    struct jt_submit submit = {
        .name = slice_str("job"),
        .user = slice_str("u"),
        .priority = (uint32_t)(number % 5),
        .partitions = reduces,
        .map.memory = lot % 3 == 0 ? WORKER_MEMORY / 3 * 2 : 0,
        .reduce.memory = lot % 5 == 0 ? WORKER_MEMORY : 0,
        .map.cores = lot % 7 == 0 ? w->cores : 1,
        .map_no_copies = lot % 11 == 0,
        .splits = splits,
        .split_count = maps,
    };
    struct jt_job *job = jt_on_submit(&w->core, number, &submit, w->sim->now_ms);
    BUG_ON(!job);
    return job;
}

void jobs_submit(void *arg)
{
    struct jobs_world *w = arg;
    if (w->is_live && w->submitted < JOBS_MAX && w->faults) {
        uint64_t number = ++w->submitted;
        struct log_record record = {.type = LOG_SUBMIT, .id = {.job = {0, number}}};
        record.maps = (uint32_t)rand_below(&w->sim->rand, MAPS_MAX);
        record.reduces = (uint32_t)rand_below(&w->sim->rand, 5);
        write_log(w, record, true);
        w->accepted[number] = true;
        sim_trace(w->sim, "submit %" PRIu64 ": %u maps, %u reduces", number, record.maps,
                  record.reduces);
        begin(w, number, record.maps, record.reduces);
        jobs_tracker_carry_out(w);
    }
    sim_after(w->sim, NULL, 200 + rand_below(&w->sim->rand, w->submit_ms), jobs_submit, w);
}

/* Their users think again. */
void jobs_meddle(void *arg)
{
    struct jobs_world *w = arg;
    list_each (&w->core.active, it) {
        struct jt_job *job = list_entry(it, struct jt_job, active);
        if (!w->is_live || !w->faults || !rand_chance(&w->sim->rand, 6))
            continue;
        if (w->kill_one_in && rand_chance(&w->sim->rand, w->kill_one_in)) {
            sim_trace(w->sim, "job %" PRIu64 " is killed", job->number);
            jt_on_kill(&w->core, job, "killed by its user", w->sim->now_ms);
        } else {
            jt_on_priority(&w->core, job, (uint32_t)rand_below(&w->sim->rand, 5), w->sim->now_ms);
        }
        break; /* the list is another now */
    }
    jobs_tracker_carry_out(w);
    sim_after(w->sim, NULL, 1 + rand_below(&w->sim->rand, 3000), jobs_meddle, w);
}

static bool has_ended(const struct jobs_world *w, uint64_t number)
{
    for (size_t i = 0; i < w->log_count; i++)
        if (w->log[i].type == LOG_END && w->log[i].id.job.number == number)
            return true;
    return false;
}

void jobs_tracker_live(struct jobs_world *w)
{
    struct jt_config config = jt_config_default;
    config.worker_timeout_ms = 5000;
    config.reconnect_ms = 2000;
    config.resume_grace_ms = 4000;
    jt_core_init(&w->core, &config, w->sim->now_ms);
    jt_on_resume_begin(&w->core);
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
            const struct jt_resumed was = {r->id,
                                           slice_str(w->workers[r->worker].host.name),
                                           slice_str("result"),
                                           {.bytes_in = r->bytes, .took_us = r->ran_ms * 1000}};
            jt_on_resumed(&w->core, job, &was, w->sim->now_ms);
        } else if (r->type == LOG_LOST) {
            jt_on_resumed_lost(&w->core, jt_core_job(&w->core, number), &r->id);
        }
    }
    jt_effects_clear(&w->core);
    w->is_live = true;
    w->epoch++;
    jt_on_resume_end(&w->core, (uint32_t)w->epoch, w->sim->now_ms);
    jobs_tracker_carry_out(w);
    jt_tick(w);
}

void jobs_tracker_die(struct jobs_world *w)
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
    memset(w->committed, 0, sizeof(w->committed));
    for (size_t i = 0; i < w->log_count; i++)
        note_commit(w, &w->log[i]);
    sim_host_crash(&w->jt);
}

void jobs_tracker_return(void *arg)
{
    struct jobs_world *w = arg;
    if (w->is_live)
        return;
    sim_host_start(&w->jt);
    jobs_tracker_live(w);
}
