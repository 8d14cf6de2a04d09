/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/serve/workers.h"
#include "jobtracker/account.h"

#include "jobtracker/record.h"
#include "libcommon/base/log.h"

#define BLOB_PIECE_MAX (4U << 20)

/* The worker this connection registered as; NULL before that, or when a newer one took its name. */
static struct jt_worker *registered(struct rpc_call *call)
{
    struct rpc_peer *peer = rpc_call_peer(call);
    struct jt_worker *worker = peer ? rpc_peer_data(peer) : NULL;
    return worker && worker->edge == peer && worker->is_live ? worker : NULL;
}

void workers_peer_down(struct jobtracker *jt, struct rpc_peer *peer)
{
    struct jt_worker *worker = rpc_peer_data(peer);
    if (!worker || worker->edge != peer)
        return;
    worker->edge = NULL;
    log_warn("jt.workers", "lost the connection to %s", worker->name);
    jt_on_disconnect(&jt->core, worker, jobtracker_now(jt));
    jobtracker_carry_out(jt);
}

/* What the worker holds or runs of jobs we know is kept; the rest it is told to drop. */
static int sort_out(struct jobtracker *jt, struct jt_worker *worker,
                    const struct wk2jt_register *ask, struct arena *arena,
                    struct task_attempt_list *ret)
{
    size_t held = ask->held.n, total = held + ask->running.n;
    ret->v = arena_calloc(arena, total + 1, sizeof(struct task_attempt));
    if (!ret->v)
        return ERR_NOMEM;
    for (size_t i = 0; i < total; i++) {
        const struct task_attempt *one = i < held ? &ask->held.v[i].id : &ask->running.v[i - held];
        struct attempt_id id = jobtracker_core_id(one);
        if (one->cluster_ms != jt->cluster_ms ||
            !jt_on_held(&jt->core, worker, &id, jobtracker_now(jt)))
            ret->v[ret->n++] = *one;
    }
    return 0;
}

static struct jt_worker_offer offer_of(const struct wk2jt_register *ask, struct slice rack)
{
    return (struct jt_worker_offer){
        .name = ask->name,
        .rack = rack,
        .host = ask->host,
        .socket = ask->socket,
        .boot_id = ask->boot_id,
        .netns = ask->netns,
        .incarnation = ask->incarnation,
        .memory = ask->memory,
        .port = ask->port,
        .http_port = ask->http_port,
        .cores = ask->cores,
        .takes_rows = ask->takes_rows,
    };
}

static void take_connection(struct jt_worker *worker, struct rpc_peer *peer)
{
    struct rpc_peer *old = worker->edge;
    worker->edge = peer;
    rpc_peer_set_data(peer, worker);
    if (old && old != peer)
        rpc_peer_close(old);
}

static void register_in(struct jobtracker *jt, struct rpc_call *call,
                        const struct wk2jt_register *ask, struct slice rack)
{
    struct rpc_peer *peer = rpc_call_peer(call);
    struct jt_worker_offer offer = offer_of(ask, rack);
    struct wk2jt_registered answer = {
        .cluster_id = slice_str(jt->self.cluster ? jt->self.cluster : ""),
        .epoch = jt->epoch,
        .heartbeat_ms = conf_ms(daemon_conf(jt->daemon), "worker.heartbeat.interval"),
    };
    if (!peer)
        return rpc_fail(call, ERR_CLOSED, "connection closed");
    struct jt_worker *worker = jt_on_register(&jt->core, &offer, jobtracker_now(jt));
    if (!worker)
        return rpc_fail(call, ERR_NOMEM, "out of memory");
    take_connection(worker, peer);
    int rc = sort_out(jt, worker, ask, rpc_call_arena(call), &answer.unwanted);
    if (rc != 0)
        return rpc_fail(call, rc, "out of memory");
    log_info("jt.workers", "%s registered: %u cores, %zu outputs held, %zu attempts running",
             worker->name, ask->cores, ask->held.n, ask->running.n);
    rpc_answer(call, &answer); /* orders go out only behind the answer */
    jt_on_held_all(&jt->core, worker, jobtracker_now(jt));
    jt_on_beat(&jt->core, worker, jobtracker_now(jt));
    jobtracker_carry_out(jt);
}

/* A registration that waits for its rack. */
struct registering {
    struct list link;
    struct jobtracker *jt;
    struct rpc_call *call;
    const struct wk2jt_register *ask;
    struct racks_wait wait;
};

static void on_rack(void *arg, struct slice rack)
{
    struct registering *r = arg;
    struct registering was = *r;
    list_remove(&r->link);
    mem_free(r);
    register_in(was.jt, was.call, was.ask, rack);
}

static void on_register(struct rpc_call *call, const void *msg, void *arg)
{
    struct jobtracker *jt = arg;
    const struct wk2jt_register *ask = msg;
    if (ask->name.len == 0 || ask->cores == 0)
        return rpc_fail(call, ERR_INVAL, "a worker needs a name and at least one core");
    struct registering *r = mem_calloc(1, sizeof(*r));
    if (!r)
        return rpc_fail(call, ERR_NOMEM, "out of memory");
    *r = (struct registering){.jt = jt, .call = call, .ask = ask};
    r->wait.done = on_rack;
    r->wait.arg = r;
    list_push_back(&jt->registering, &r->link);
    racks_ask(jt->racks, ask->name, ask->host, ask->rack, &r->wait);
}

void workers_release(struct jobtracker *jt)
{
    list_each_safe (&jt->registering, it) {
        struct registering *r = list_entry(it, struct registering, link);
        racks_cancel(&r->wait);
        rpc_fail(r->call, ERR_CLOSED, "the jobtracker is stopping");
        mem_free(r);
    }
}

static void on_beat(struct rpc_call *call, const void *msg, void *arg)
{
    struct jobtracker *jt = arg;
    const struct wk2jt_beat *ask = msg;
    struct jt_worker *worker = registered(call);
    struct wk2jt_heard answer = {.epoch = jt->epoch, .register_again = !worker};
    for (size_t i = 0; worker && i < ask->running.n; i++) {
        const struct wk2jt_progress *p = &ask->running.v[i];
        struct attempt_id id = jobtracker_core_id(&p->id);
        struct jt_progress progress = {p->bytes_in, p->bytes_total, p->records_in, p->records_out,
                                       p->idle_ms};
        jt_on_progress(&jt->core, worker, &id, &progress, jobtracker_now(jt));
    }
    if (worker)
        jt_on_beat(&jt->core, worker, jobtracker_now(jt));
    rpc_answer(call, &answer);
    jobtracker_carry_out(jt);
}

static void take_keys(const struct jt_job *job, const struct task_done *done)
{
    struct record *record = record_of(job);
    if (done->id.stage == 0 && job->stages[0].feeds)
        keys_take(&record->keys, job->stages[1].partitions, job->stages[0].count, done);
}

/* They are put together at once: each by itself is of no use. */
static struct slice without_sketches(const struct rpc_call *call, const struct task_done *done,
                                     struct buf *room)
{
    struct task_done kept = *done;
    if (done->sketches.n == 0)
        return rpc_call_bytes(call);
    kept.sketches.n = 0;
    msg_encode(&task_done_desc, &kept, room);
    return buf_slice(room);
}

static void on_done(struct rpc_call *call, const void *msg, void *arg)
{
    struct jobtracker *jt = arg;
    const struct task_done *done = msg;
    struct jt_worker *worker = registered(call);
    struct wk2jt_accepted answer = {false};
    if (!worker)
        return rpc_fail(call, ERR_STALE, "register first");
    struct attempt_id id = jobtracker_core_id(&done->id);
    struct jt_progress progress = account_progress(jt_core_job(&jt->core, done->id.job), done);
    struct buf room = BUF_INIT;
    struct slice result = without_sketches(call, done, &room);
    if (!buf_failed(&room) && done->id.cluster_ms == jt->cluster_ms)
        answer.accepted = jt_on_done(&jt->core, worker, &id, &progress, result, jobtracker_now(jt));
    buf_release(&room);
    struct jt_job *job = answer.accepted ? jt_core_job(&jt->core, done->id.job) : NULL;
    if (job && done->files.n)
        record_of(job)->has_map_files = true;
    if (job && done->sketches.n)
        take_keys(job, done);
    rpc_answer(call, &answer);
    jobtracker_carry_out(jt);
}

static enum jt_fault fault_of(uint32_t failure)
{
    if (failure == TASK_FAILED_MEMORY)
        return JT_FAULT_MEMORY;
    if (failure == TASK_FAILED_NOT_BEGUN)
        return JT_FAULT_NONE;
    if (failure == TASK_FAILED_NO_DIRECTORY)
        return JT_FAULT_NODE_SPENT;
    bool is_nodes = failure == TASK_FAILED_NODE || failure == TASK_FAILED_KILLED ||
                    failure == TASK_FAILED_FETCH || failure == TASK_FAILED_NODE_MEMORY;
    return is_nodes ? JT_FAULT_NODE : JT_FAULT_TASK;
}

static void on_failed(struct rpc_call *call, const void *msg, void *arg)
{
    struct jobtracker *jt = arg;
    const struct task_failed *failed = msg;
    struct jt_worker *worker = registered(call);
    if (!worker)
        return rpc_fail(call, ERR_STALE, "register first");
    struct attempt_id id = jobtracker_core_id(&failed->id);
    struct jt_job *job = jt_core_job(&jt->core, id.job.number);
    char *why = slice_dup(failed->why);
    if (job && failed->failure != TASK_FAILED_NOT_BEGUN && jt_is_running(&jt->core, worker, &id))
        record_note_failure(record_of(job), failed, worker->name);
    jt_on_failed(&jt->core, worker, &id, fault_of(failed->failure), why, jobtracker_now(jt));
    mem_free(why);
    rpc_answer(call, NULL);
    jobtracker_carry_out(jt);
}

static void on_fetch_failed(struct rpc_call *call, const void *msg, void *arg)
{
    struct jobtracker *jt = arg;
    const struct task_fetch_failed *failed = msg;
    struct attempt_id id = jobtracker_core_id(&failed->id);
    log_warn("jt.workers", "reduce %u cannot fetch from " SLICE_FMT ": " SLICE_FMT, id.task,
             SLICE_ARG(failed->worker), SLICE_ARG(failed->why));
    (failed->is_damaged ? jt_on_output_damaged
                        : jt_on_fetch_failed)(&jt->core, &id, failed->worker, failed->map_tasks.v,
                                              failed->map_tasks.n, jobtracker_now(jt));
    rpc_answer(call, NULL);
    jobtracker_carry_out(jt);
}

static void on_blob(struct rpc_call *call, const void *msg, void *arg)
{
    struct jobtracker *jt = arg;
    const struct wk2jt_blob *ask = msg;
    struct buf piece = BUF_INIT;
    struct wk2jt_blob_piece answer = {0};
    uint32_t max = ask->max && ask->max < BLOB_PIECE_MAX ? ask->max : BLOB_PIECE_MAX;
    int rc = blobs_read(&jt->blobs, ask->digest, ask->offset, max, &piece, &answer.total);
    answer.bytes = buf_slice(&piece);
    if (rc == 0)
        rpc_answer(call, &answer);
    else
        rpc_fail(call, rc, "no blob " SLICE_FMT ": %s", SLICE_ARG(ask->digest), err_text(rc));
    buf_release(&piece);
}

rpc_handler *const workers_handlers[WK2JT_METHOD_COUNT] = {
    [WK2JT_AT_REGISTER] = on_register,
    [WK2JT_AT_BEAT] = on_beat,
    [WK2JT_AT_DONE] = on_done,
    [WK2JT_AT_FAILED] = on_failed,
    [WK2JT_AT_FETCH_FAILED] = on_fetch_failed,
    [WK2JT_AT_BLOB] = on_blob,
};
