/* SPDX-License-Identifier: Apache-2.0
 * closing: COMPLETE. Answered when every block of the file has enough finalized, fsynced replicas
 * (nn_blocks_enough: min(2, wanted), one where there never was a second datanode); what waits is
 * asked again whenever one of the file's blocks gets there, and shortly before the caller's
 * patience ends he is told to come again (ERR_RETRY).
 *
 *             all replicas are there
 *   COMPLETE -------------------------------------------> CLOSE journaled -> answered
 *      |                                                      ^
 *      |  not yet: COMMIT journaled, so that the length is    |
 *      |  known and missing replicas can be made up for       |
 *      +----------> waiting ----- on_ready, or a tick --------+----> ERR_RETRY at the deadline
 *
 * A final name that came along is given right after CLOSE, with the same fsync. If it cannot be,
 * the file is closed under the name it had, and its writer asks for the new one himself. */
#include "libcommon/base/mem.h"
#include "namenode/serve/turn.h"

#define MARGIN_MS   200   /* the answer's way back */
#define PATIENCE_MS 30000 /* of a caller without a deadline */

struct closing {
    struct hmap_node by_file;
    struct nn_clients *clients;
    struct rpc_call *call;
    const struct cl2nn_complete *ask; /* lives as long as the call */
    struct loop_timer timer;          /* the deadline */
    struct loop_task task;            /* look again */
};

/* ---- are the replicas there? ---- */

/* Different nodes with a finalized replica of exactly this stamp and length, of a block whose end
 * the journal does not know yet. */
static bool has_replicas(const struct nn_blocks *blocks, uint32_t block,
                         const struct msg_block *said)
{
    const struct nn_writing *writing = nn_writings_find(&blocks->writings, block);
    unsigned enough = nn_blocks_enough(blocks, block);
    uint32_t first = 0;
    for (size_t i = 0; writing && i < writing->replica_count; i++) {
        const struct nn_open_replica *r = &writing->replicas[i];
        if (r->state != NN_REPLICA_FINALIZED || r->gs != said->gs || r->len != said->len ||
            !nn_nodes_is_serving(&blocks->nodes, r->storage))
            continue;
        uint32_t node = nn_nodes_of(&blocks->nodes, r->storage)->index;
        if (enough < 2 || (first && first != node))
            return true;
        first = node;
    }
    return false;
}

static bool is_ready(const struct namenode *nn, uint32_t slot, const struct msg_block *last)
{
    uint32_t block = nn_inode(&nn->state.tree.store, slot)->first_block;
    while (block) {
        struct nn_block b = nn_blockmap_get(nn->blocks.map, block);
        bool is_open_last = b.id == last->id && b.state == NN_BLOCK_UNDER_CONSTRUCTION;
        if (is_open_last ? !has_replicas(&nn->blocks, block, last)
                         : !nn_blocks_is_ready(&nn->blocks, block))
            return false;
        block = b.next;
    }
    return true;
}

/* The writer's length goes into the journal now, so that more replicas can be made of the block. */
static int commit_last(struct nn_turn *turn, uint32_t slot, const struct cl2nn_complete *ask)
{
    uint32_t block = nn_inode(&turn->nn->state.tree.store, slot)->last_block;
    if (!block || nn_blockmap_get(turn->nn->blocks.map, block).state != NN_BLOCK_UNDER_CONSTRUCTION)
        return 0;
    struct op_commit op = {.at_ms = turn->view.wall_ms, .file_id = ask->file_id, .last = ask->last};
    return nn_turn_commit(turn, 0, NN_OP_COMMIT, &op, NULL);
}

/* ---- the end ---- */

static const struct nn_answer *find_rename(const struct nn_turn *turn,
                                           const struct cl2nn_complete *ask)
{
    const struct msg_origin *origin = &ask->rename.origin;
    return nn_answers_find(&turn->nn->state.answers, origin->client, origin->seq);
}

static void end_closed(struct nn_turn *turn, const struct cl2nn_complete *ask)
{
    struct op_rename op;
    struct cl2nn_completed done = {.is_renamed = false};
    const struct cl2nn_rename *rename = &ask->rename;
    if (rename->origin.client && !find_rename(turn, ask)) {
        int rc = nn_check_rename(&turn->view, rename, &op, &turn->err);
        done.is_renamed = nn_turn_commit(turn, rc, NN_OP_RENAME, &op, NULL) == 0;
    }
    if (done.is_renamed) {
        turn->command = "rename";
        turn->source = rename->from;
        turn->target = rename->to;
    }
    nn_turn_end(turn, 0, &done);
}

/* Closed before. */
static void repeat_complete(struct nn_turn *turn, const void *message,
                            const struct nn_answer *answer)
{
    const struct cl2nn_complete *ask = message;
    const struct nn_answer *rename = find_rename(turn, ask);
    const struct cl2nn_completed done = {.is_renamed = rename && rename->op == NN_OP_RENAME};
    (void)answer;
    nn_turn_end(turn, 0, &done);
}

/* ---- one look ---- */

/* True: answered. */
static bool try_close(struct nn_turn *turn, const struct cl2nn_complete *ask, bool is_late)
{
    struct op_close op;
    struct nn_wish change = {&ask->origin, NN_OP_CLOSE, "complete ", repeat_complete, ask};
    if (!nn_turn_may_change(turn, &change))
        return true;
    uint32_t slot = 0;
    int rc = nn_check_complete(&turn->view, ask, &op, &turn->err);
    if (rc == 0)
        rc = nn_check_writer(&turn->view, ask->file_id, ask->origin.client, &slot, &turn->err);
    if (rc == 0 && is_ready(turn->nn, slot, &ask->last)) {
        rc = nn_turn_commit(turn, rc, NN_OP_CLOSE, &op, NULL);
        if (rc == 0) {
            end_closed(turn, ask);
            return true;
        }
    } else if (rc == 0) {
        rc = commit_last(turn, slot, ask);
        if (rc == 0 && !is_late)
            return false;
        if (rc == 0)
            rc = err_set(&turn->err, ERR_RETRY,
                         "Unable to close file because the last block does not have enough number "
                         "of replicas.");
    }
    nn_turn_end(turn, rc, NULL);
    return true;
}

static void forget(struct closing *c)
{
    loop_timer_stop(&c->timer);
    loop_undefer(&c->task);
    hmap_remove(&c->clients->closing, &c->by_file);
    mem_free(c);
}

static void look_again(struct closing *c, bool is_late)
{
    struct nn_turn turn;
    nn_turn_begin(&turn, c->call, c->clients, NULL, slice_str("file"));
    if (try_close(&turn, c->ask, is_late))
        forget(c);
}

static void on_task(void *arg)
{
    look_again(arg, false);
}

static void on_deadline(void *arg)
{
    look_again(arg, true);
}

/* ---- waiting ---- */

static uint64_t patience(const struct nn_turn *turn)
{
    uint64_t deadline = rpc_call_deadline_ms(turn->call), now = namenode_now(turn->nn);
    if (deadline == UINT64_MAX)
        return PATIENCE_MS;
    uint64_t left = deadline > now ? deadline - now : 0;
    return left > 2 * MARGIN_MS ? left - MARGIN_MS : left / 2;
}

static int wait_for_replicas(struct nn_turn *turn, struct nn_clients *clients,
                             const struct cl2nn_complete *ask)
{
    struct closing *c = mem_calloc(1, sizeof(*c));
    if (!c)
        return ERR_NOMEM;
    c->clients = clients;
    c->call = turn->call;
    c->ask = ask;
    if (hmap_add(&clients->closing, &c->by_file, hash_u64(ask->file_id)) != 0) {
        mem_free(c);
        return ERR_NOMEM;
    }
    if (loop_after(turn->nn->loop, &c->timer, patience(turn), on_deadline, c) != 0) {
        forget(c);
        return ERR_NOMEM;
    }
    return 0;
}

void nn_on_COMPLETE(struct rpc_call *call, const void *message, void *arg)
{
    struct nn_turn turn;
    nn_turn_begin(&turn, call, arg, NULL, slice_str("file"));
    if (try_close(&turn, message, false))
        return;
    int rc = wait_for_replicas(&turn, arg, message);
    if (rc != 0)
        nn_turn_end(&turn, rc, NULL);
}

void nn_clients_on_ready(struct nn_clients *clients, uint32_t block)
{
    const struct namenode *nn = clients->nn;
    uint32_t slot = nn_blockmap_get(nn->blocks.map, block).file;
    uint64_t file = nn_inode(&nn->state.tree.store, slot)->id;
    for (struct hmap_node *n = hmap_find(&clients->closing, hash_u64(file)); n;
         n = hmap_find_next(n)) {
        struct closing *c = CONTAINER_OF(n, struct closing, by_file);
        if (c->ask->file_id == file)
            loop_defer(nn->loop, &c->task, on_task, c);
    }
}

void nn_clients_release(struct nn_clients *clients)
{
    hmap_each (&clients->closing, it) {
        struct closing *c = CONTAINER_OF(it, struct closing, by_file);
        rpc_fail(c->call, ERR_CLOSED, "the namenode is stopping");
        forget(c);
    }
    hmap_release(&clients->closing);
    nn_clients_release_below(clients);
    nn_clients_release_metasaves(clients);
}
