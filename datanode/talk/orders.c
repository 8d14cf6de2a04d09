/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/talk/orders.h"

#include <inttypes.h>
#include <stdatomic.h>

#include "datanode/storage/clone.h"
#include "datanode/talk/copy.h"
#include "datanode/talk/primary.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/proto/data/packet.h"

struct dn_orders {
    struct dn_orders_conf conf;
    struct list jobs;
    unsigned copies;
    _Atomic bool is_stopping;
    struct dn_copy_pace pace;
};

/* A copy or a recovery under way: a mover's thread, and a message at its end. */
struct job {
    struct list link;
    struct dn_orders *orders;
    struct dn_move move;
    struct arena arena; /* the nodes */
    bool is_copy;
    struct dn_copy copy;
    struct dn_primary primary;
    /* the thread's */
    struct dn_primary_result result;
    struct dn_copy_fault fault;
    int code;
    struct err err;
};

struct dn_orders *dn_orders_new(const struct dn_orders_conf *conf)
{
    struct dn_orders *o = mem_calloc(1, sizeof(*o));
    if (!o)
        return NULL;
    o->conf = *conf;
    list_init(&o->jobs);
    dn_copy_pace_init(&o->pace, conf->copy_bytes_per_s);
    return o;
}

void dn_orders_free(struct dn_orders *orders)
{
    if (!orders)
        return;
    dn_copy_pace_release(&orders->pace);
    mem_free(orders);
}

void dn_orders_stop(struct dn_orders *orders)
{
    atomic_store(&orders->is_stopping, true);
}

void dn_orders_set_copy_rate(struct dn_orders *orders, uint64_t bytes_per_s)
{
    orders->conf.copy_bytes_per_s = bytes_per_s;
    dn_copy_pace_set(&orders->pace, bytes_per_s);
}

uint64_t dn_orders_copy_rate(const struct dn_orders *orders)
{
    return orders->conf.copy_bytes_per_s;
}

bool dn_orders_is_busy(const struct dn_orders *orders)
{
    return !list_is_empty(&orders->jobs);
}

unsigned dn_orders_copies(const struct dn_orders *orders)
{
    return orders->copies;
}

/* ---- whom to obey ---- */

static bool is_to_be_obeyed(const struct dn_orders *o, struct rpc_call *call, uint64_t term)
{
    uint64_t known = o->conf.storage->volumes->identity.term;
    if (term == known)
        return true;
    if (term < known)
        log_warn("dn.orders",
                 "an order of term %" PRIu64 " is refused: term %" PRIu64 " has been obeyed", term,
                 known);
    /* A greater one must be durable here before it is obeyed: registering does that. */
    rpc_fail(call, term < known ? ERR_STALE : ERR_RETRY,
             "an order of term %" PRIu64 ", term %" PRIu64 " is the highest known here", term,
             known);
    return false;
}

/* ---- jobs ---- */

/* The order's nodes outlive the order. */
static int copy_nodes(struct arena *arena, const struct msg_node_list *from,
                      struct msg_node_list *ret)
{
    ret->n = from->n;
    ret->v = arena_calloc(arena, from->n + 1, sizeof(*ret->v));
    if (!ret->v)
        return ERR_NOMEM;
    for (size_t i = 0; i < from->n; i++) {
        struct msg_node *n = &ret->v[i];
        *n = from->v[i];
        struct slice *texts[] = {&n->name, &n->host, &n->rack, &n->socket, &n->boot_id};
        for (size_t t = 0; t < ARRAY_LEN(texts); t++) {
            *texts[t] = slice_keep(*texts[t], arena);
            if (!texts[t]->data)
                return ERR_NOMEM;
        }
    }
    return 0;
}

static void job_free(struct job *job)
{
    list_remove(&job->link);
    job->orders->copies -= job->is_copy;
    arena_release(&job->arena);
    mem_free(job);
}

static struct job *job_new(struct dn_orders *o, bool is_copy)
{
    struct job *job = mem_calloc(1, sizeof(*job));
    if (!job)
        return NULL;
    job->orders = o;
    job->is_copy = is_copy;
    o->copies += is_copy;
    list_push_back(&o->jobs, &job->link);
    return job;
}

/* Hand it to a thread and answer the order. */
static void start(struct job *job, struct rpc_call *call)
{
    struct err err = {0};
    if (dn_movers_submit(job->orders->conf.movers, &job->move, &err) != 0) {
        rpc_fail_err(call, &err);
        job_free(job);
        return;
    }
    rpc_answer(call, NULL);
}

/* ---- COPY ---- */

static void run_copy(struct dn_move *move)
{
    struct job *job = CONTAINER_OF(move, struct job, move);
    job->code = dn_copy_run(&job->copy, &job->fault, &job->err);
}

static void copy_done(struct dn_move *move)
{
    struct job *job = CONTAINER_OF(move, struct job, move);
    struct dn_orders *o = job->orders;
    const struct dn_replica *was = &job->copy.replica;
    if (move->was_refused)
        job->code = err_set(&job->err, ERR_BUSY, "no thread was free to move bytes");
    if (job->code != 0)
        log_warn("dn.orders", "blk_%" PRIu64 "_%" PRIu64 " could not be copied: %s", was->id,
                 was->gs, job->err.msg);
    if (job->fault.is_ours && dn_blockfile_is_damage(job->code) &&
        dn_storage_is_still(o->conf.storage, was))
        dn_storage_bad(o->conf.storage, was->id, was->gs);
    else if (job->code == ERR_CHECKSUM || (job->fault.is_ours && job->code == ERR_IO))
        /* it left here good, we think, or could not be had: how is it on the disk? */
        dn_storage_suspect(o->conf.storage, was->id);
    for (size_t i = 0; i < job->copy.targets.n; i++) {
        struct dn2nn_copied msg = {.block = {.id = was->id, .gs = was->gs, .len = was->len},
                                   .target = job->copy.targets.v[i].name,
                                   .code = job->code,
                                   .why = slice_str(job->err.msg)};
        dn_report_tell(o->conf.report, DN2NN_AT_COPIED, &msg);
    }
    job_free(job);
}

static void on_copy(struct rpc_call *call, const void *msg, void *arg)
{
    struct dn_orders *o = arg;
    const struct nn2dn_copy *order = msg;
    if (!is_to_be_obeyed(o, call, order->term))
        return;
    const struct dn_replica *replica = dn_storage_find(o->conf.storage, order->block.id);
    if (!replica || !dn_replica_is_whole(replica) || replica->gs != order->block.gs) {
        rpc_fail(call, ERR_NOENT, "blk_%" PRIu64 "_%" PRIu64 " is not here, or not whole",
                 order->block.id, order->block.gs);
        return;
    }
    if (order->targets.n == 0 || order->targets.n >= PIPELINE_MAX) {
        rpc_fail(call, ERR_INVAL, "%zu targets", order->targets.n);
        return;
    }
    struct job *job = job_new(o, true);
    if (!job || copy_nodes(&job->arena, &order->targets, &job->copy.targets) != 0) {
        rpc_fail(call, ERR_NOMEM, "out of memory");
        if (job)
            job_free(job);
        return;
    }
    job->copy.self = o->conf.self;
    job->copy.replica = *replica;
    job->copy.stage = DATA_WRITE_COPY;
    job->copy.volume = dn_storage_volume(o->conf.storage, replica);
    job->copy.pieces = o->conf.pieces;
    job->copy.piece_bytes = o->conf.piece_bytes;
    job->copy.timeout_ms = o->conf.timeout_ms;
    job->copy.pace = &o->pace;
    job->copy.stop = &o->is_stopping;
    job->move.run = run_copy;
    job->move.done = copy_done;
    start(job, call);
}

/* ---- RECOVER ---- */

static void run_primary(struct dn_move *move)
{
    struct job *job = CONTAINER_OF(move, struct job, move);
    job->code = dn_primary_run(&job->primary, &job->result, &job->err);
}

static void primary_done(struct dn_move *move)
{
    struct job *job = CONTAINER_OF(move, struct job, move);
    struct slice names[DN_PRIMARY_NODES_MAX];
    if (move->was_refused)
        job->code = err_set(&job->err, ERR_BUSY, "no thread was free");
    for (size_t i = 0; i < job->result.count; i++)
        names[i] = job->primary.nodes.v[job->result.who[i]].name;
    struct dn2nn_recovered msg = {.block = job->primary.block,
                                  .new_gs = job->primary.new_gs,
                                  .new_len = job->result.len,
                                  .nodes = {names, job->result.count},
                                  .code = job->code};
    if (job->code != 0)
        log_warn("dn.orders", "blk_%" PRIu64 " could not be recovered under stamp %" PRIu64 ": %s",
                 msg.block.id, msg.new_gs, job->err.msg);
    else
        log_info("dn.orders",
                 "blk_%" PRIu64 " recovered under stamp %" PRIu64 ": %" PRIu64
                 " bytes on %zu nodes",
                 msg.block.id, msg.new_gs, msg.new_len, msg.nodes.n);
    dn_report_tell(job->orders->conf.report, DN2NN_AT_RECOVERED, &msg);
    job_free(job);
}

static void on_recover(struct rpc_call *call, const void *msg, void *arg)
{
    struct dn_orders *o = arg;
    const struct nn2dn_recover *order = msg;
    if (!is_to_be_obeyed(o, call, order->term))
        return;
    struct job *job = job_new(o, false);
    if (!job || copy_nodes(&job->arena, &order->nodes, &job->primary.nodes) != 0) {
        rpc_fail(call, ERR_NOMEM, "out of memory");
        if (job)
            job_free(job);
        return;
    }
    job->primary.self = o->conf.self;
    job->primary.block = order->block;
    job->primary.new_gs = order->new_gs;
    job->primary.timeout_ms = o->conf.timeout_ms;
    job->move.run = run_primary;
    job->move.done = primary_done;
    start(job, call);
}

/* ---- CLONE, DELETE, REPORT ---- */

static void on_clone(struct rpc_call *call, const void *msg, void *arg)
{
    struct dn_orders *o = arg;
    const struct nn2dn_clone *order = msg;
    struct err err = {0};
    if (!is_to_be_obeyed(o, call, order->term))
        return;
    struct dn_clone_ask ask = {.from = {order->from.id, order->from.gs},
                               .from_len = order->from.len,
                               .to = {order->block.id, order->block.gs},
                               .len = order->block.len};
    if (dn_clone_begin(o->conf.storage, &ask, &err) != 0)
        rpc_fail_err(call, &err);
    else
        rpc_answer(call, NULL);
}

static void on_delete(struct rpc_call *call, const void *msg, void *arg)
{
    struct dn_orders *o = arg;
    const struct nn2dn_delete *order = msg;
    int rc = 0;
    if (!is_to_be_obeyed(o, call, order->term))
        return;
    for (size_t i = 0; i < order->blocks.n && rc == 0; i++)
        rc = dn_storage_remove(o->conf.storage, order->blocks.v[i].id, order->blocks.v[i].gs);
    if (rc != 0)
        rpc_fail(call, rc, "%s", err_text(rc));
    else
        rpc_answer(call, NULL);
}

static void on_report(struct rpc_call *call, const void *msg, void *arg)
{
    struct dn_orders *o = arg;
    const struct nn2dn_report *order = msg;
    if (!is_to_be_obeyed(o, call, order->term))
        return;
    rpc_answer(call, NULL);
    dn_report_send_all(o->conf.report);
}

/* ---- BANDWIDTH ---- */

static void on_bandwidth(struct rpc_call *call, const void *msg, void *arg)
{
    struct dn_orders *o = arg;
    const struct nn2dn_bandwidth *order = msg;
    if (!is_to_be_obeyed(o, call, order->term))
        return;
    log_info("dn.orders", "copies may leave at %" PRIu64 " bytes a second%s", order->bytes_per_s,
             order->bytes_per_s ? "" : " (no limit)");
    dn_orders_set_copy_rate(o, order->bytes_per_s);
    rpc_answer(call, NULL);
}

struct rpc_service dn_orders_service(struct dn_orders *orders)
{
    static rpc_handler *const handlers[NN2DN_METHOD_COUNT] = {
        [NN2DN_AT_COPY] = on_copy,       [NN2DN_AT_DELETE] = on_delete,
        [NN2DN_AT_RECOVER] = on_recover, [NN2DN_AT_REPORT] = on_report,
        [NN2DN_AT_CLONE] = on_clone,     [NN2DN_AT_BANDWIDTH] = on_bandwidth,
    };
    return (struct rpc_service){NN2DN_methods, handlers, NN2DN_METHOD_COUNT,
                                HELLO_ROLE(WIRE_NAMENODE), orders};
}
