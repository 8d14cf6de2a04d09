/* SPDX-License-Identifier: Apache-2.0
 * transfer: what this node holds of a block that is being written, to nodes that join its pipeline.
 *
 * The pipeline is broken when its client asks, but its end here may not have been noticed yet: a
 * write under way is told to end, and the block is ours when it has. Then all of it is verified,
 * sent, and durable at the targets before the client hears of it. It moves the pipeline to a new
 * stamp afterwards, which cuts everybody, the new ones too, to what it knows as acknowledged.
 *
 * A recovery that comes meanwhile goes first: the transfer ends between two packets. */
#include <inttypes.h>
#include <stdatomic.h>

#include "datanode/serve/blocks.h"
#include "datanode/talk/copy.h"
#include "libcommon/base/fault.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"

struct transfer {
    struct list link; /* in serve->transfers */
    struct dn_claim claim;
    struct dn_move move;
    struct dn_serve *serve;
    struct dn_session *session;
    const struct data_transfer *ask; /* the session's, until it is answered */
    struct dn_copy copy;
    struct dn_copy_fault fault;
    _Atomic bool stop;
    struct err err;
};

static void end(struct transfer *t)
{
    struct dn_claims *claims = &t->serve->conf.storage->claims;
    list_remove(&t->link);
    dn_claims_drop(claims, &t->claim);
    mem_free(t);
}

static void answer(struct transfer *t)
{
    const char *self = t->serve->conf.node;
    struct data_writing said = {.node = slice_str(self)};
    if (t->err.code != 0) {
        bool is_ours = t->fault.is_ours || t->fault.node[0] == '\0';
        said.bad_node = slice_str(is_ours ? self : t->fault.node);
        said.code = t->err.code;
        said.why = slice_str(t->err.msg);
        log_warn("dn.transfer", "blk_%" PRIu64 " to another pipeline member: %s", t->ask->block.id,
                 t->err.msg);
    }
    dn_session_answer(t->session, &said);
    end(t);
}

static void run_transfer(struct dn_move *move)
{
    struct transfer *t = CONTAINER_OF(move, struct transfer, move);
    fault_hit("dn.transfer.begin");
    t->err.code = dn_copy_run(&t->copy, &t->fault, &t->err);
}

static void transfer_done(struct dn_move *move)
{
    struct transfer *t = CONTAINER_OF(move, struct transfer, move);
    if (move->was_refused)
        err_set(&t->err, ERR_BUSY, "busy: no thread was free to move bytes");
    answer(t);
}

/* May what is here go to others as the block of this pipeline? */
static int check(const struct transfer *t, const struct dn_replica *replica)
{
    enum dn_replica_state to;
    if (!replica)
        return ERR_NOENT;
    int rc = dn_replica_next(replica->state, replica->before, DN_EVENT_RESUME, &to);
    return rc == 0 && replica->gs < t->ask->block.gs ? ERR_STALE : rc;
}

static void granted(struct dn_claim *claim)
{
    struct transfer *t = CONTAINER_OF(claim, struct transfer, claim);
    struct dn_serve *serve = t->serve;
    const struct dn_replica *replica = dn_storage_find(serve->conf.storage, t->ask->block.id);
    int rc = check(t, replica);
    if (rc == 0) {
        t->copy = (struct dn_copy){.self = serve->conf.self,
                                   .volume = dn_storage_volume(serve->conf.storage, replica),
                                   .replica = *replica,
                                   .stage = DATA_WRITE_JOIN,
                                   .least = t->ask->block.len,
                                   .gs = t->ask->block.gs,
                                   .block_size = t->ask->block_size,
                                   .targets = t->ask->targets,
                                   .pieces = serve->pieces,
                                   .piece_bytes = serve->conf.piece_bytes,
                                   .timeout_ms = serve->conf.timeout_ms,
                                   .stop = &t->stop};
        rc = dn_movers_submit(serve->movers, &t->move, &t->err);
    } else {
        err_set(&t->err, rc, "blk_%" PRIu64 ": %s", t->ask->block.id, err_text(rc));
    }
    if (rc != 0)
        answer(t);
}

static void preempted(struct dn_claim *claim)
{
    atomic_store(&CONTAINER_OF(claim, struct transfer, claim)->stop, true);
}

void dn_transfer_cancel_all(struct dn_serve *serve)
{
    list_each (&serve->transfers, it)
        atomic_store(&list_entry(it, struct transfer, link)->stop, true);
}

void dn_serve_transfer(struct dn_serve *serve, struct dn_session *session, const void *message)
{
    const struct data_transfer *ask = message;
    if (ask->targets.n == 0 || ask->targets.n >= PIPELINE_MAX || ask->block.id == 0 ||
        ask->block_size == 0 || ask->block.len > ask->block_size) {
        dn_session_fail(session, ERR_INVAL, "blk_%" PRIu64 ": no such transfer", ask->block.id);
        return;
    }
    struct transfer *t = mem_calloc(1, sizeof(*t));
    if (!t) {
        dn_session_fail(session, ERR_NOMEM, "%s: out of memory", serve->conf.node);
        return;
    }
    t->serve = serve;
    t->session = session;
    t->ask = ask;
    t->claim.granted = granted;
    t->claim.preempted = preempted;
    t->move.run = run_transfer;
    t->move.done = transfer_done;
    list_push_back(&serve->transfers, &t->link);
    int rc = check(t, dn_storage_find(serve->conf.storage, ask->block.id)); /* or stop no writer */
    if (rc == 0)
        rc = dn_claims_ask(&serve->conf.storage->claims, &t->claim, ask->block.id, true);
    if (rc != 0) {
        err_set(&t->err, rc, "blk_%" PRIu64 ": %s", ask->block.id, err_text(rc));
        answer(t);
    }
}
