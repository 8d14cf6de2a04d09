/* SPDX-License-Identifier: Apache-2.0
 * clients_append: going on with a file that is closed: append, truncate, concat. */
#include "namenode/serve/turn.h"

static struct nn_block block_at(const struct nn_turn *turn, uint32_t block)
{
    return nn_blockmap_get(turn->nn->blocks.map, block);
}

/* ---- append ---- */

static bool is_named(const struct msg_strs *names, struct slice name)
{
    for (size_t i = 0; i < names->n; i++)
        if (slice_eq(names->v[i], name))
            return true;
    return false;
}

/* Who has the last block, nearest to the writer first: only they can begin with a copy of it. Safe
 * mode does not wait for the last block of an open file: soon after a start its writer, who asks
 * again, does. */
static int pick_holders(struct nn_turn *turn, uint32_t slot, struct slice writer,
                        const struct msg_strs *exclude, struct nn_placed *ret)
{
    struct nn_blocks *blocks = &turn->nn->blocks;
    const struct nn_inode *inode = nn_inode(&turn->nn->state.tree.store, slot);
    uint32_t nodes[NN_PLACE_MAX];
    bool is_corrupt = false;
    size_t count =
        nn_blocks_locate(blocks, inode->last_block, writer, nodes, NN_PLACE_MAX, &is_corrupt);
    ret->count = 0;
    for (size_t i = 0; i < count && !is_corrupt && ret->count < inode->replication; i++) {
        const struct nn_node *node = nn_nodes_get(&blocks->nodes, nodes[i]);
        if (node->is_connected && node->state == NN_NODE_LIVE &&
            !is_named(exclude, node->address.name))
            ret->nodes[ret->count++] = nodes[i];
    }
    if (ret->count > 0)
        return 0;
    struct nn_block last = block_at(turn, inode->last_block);
    if (count == 0 || is_corrupt)
        return err_set(
            &turn->err, !is_corrupt && nn_blocks_is_young(blocks) ? ERR_RETRY : ERR_NONODE,
            "append: lastBlock=blk_%llu_%llu of src=" SLICE_FMT
            " is not sufficiently replicated yet.",
            (unsigned long long)last.id, (unsigned long long)last.gs, SLICE_ARG(turn->source));
    return err_set(&turn->err, ERR_NONODE,
                   "none of the %zu datanodes that hold blk_%llu_%llu can go on with it (%zu were "
                   "refused by the writer)",
                   count, (unsigned long long)last.id, (unsigned long long)last.gs, exclude->n);
}

/* Each of them needs room for the block. */
static void promise_room(struct nn_turn *turn, const struct nn_placed *nodes)
{
    for (size_t i = 0; i < nodes->count; i++)
        nn_nodes_scheduled(&turn->nn->blocks.nodes, nodes->nodes[i]);
}

/* The prepared block as its writer is told, and where it is to be made. */
static int tell_prepared(struct nn_turn *turn, uint32_t slot, const struct nn_placed *nodes,
                         struct msg_located_block *ret)
{
    const struct nn_inode *inode = nn_inode(&turn->nn->state.tree.store, slot);
    const struct nn_prepared *prepared = nn_prepareds_find(&turn->nn->state.prepared, inode->id);
    uint64_t offset = inode->len - block_at(turn, prepared->block).len;
    return nn_turn_tell_block(turn, prepared->block, offset, nodes, ret);
}

static int tell_appended(struct nn_turn *turn, uint32_t slot, const struct nn_placed *nodes,
                         struct cl2nn_appended *ret)
{
    const struct nn_inode *inode = nn_inode(&turn->nn->state.tree.store, slot);
    *ret = (struct cl2nn_appended){.file_id = inode->id,
                                   .replication = (uint32_t)inode->replication,
                                   .block_size = nn_inode_block_size(inode),
                                   .file_len = inode->len};
    if (inode->last_block) {
        struct nn_block last = block_at(turn, inode->last_block);
        ret->last = (struct msg_block){last.id, last.gs, last.len};
    }
    return nodes->count ? tell_prepared(turn, slot, nodes, &ret->next) : 0;
}

/* He has it still: as he was told the first time, from whoever holds the block now. */
static void repeat_append(struct nn_turn *turn, const void *message, const struct nn_answer *answer)
{
    const struct cl2nn_append *ask = message;
    const struct msg_strs none = {0};
    struct cl2nn_appended appended = {0};
    struct nn_placed nodes = {.count = 0};
    uint32_t slot = 0;
    int rc = nn_check_writer(&turn->view, answer->values[0], ask->origin.client, &slot, &turn->err);
    const struct nn_prepared *prepared =
        nn_prepareds_find(&turn->nn->state.prepared, answer->values[0]);
    if (rc == 0 && prepared && prepared->kind == NN_PREPARED_APPEND)
        rc = pick_holders(turn, slot, ask->writer_node, &none, &nodes);
    if (rc == 0)
        rc = tell_appended(turn, slot, &nodes, &appended);
    nn_turn_end(turn, rc, &appended);
}

void nn_on_APPEND(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_append *ask = message;
    const struct msg_strs none = {0};
    struct nn_turn turn;
    struct op_append op;
    struct nn_placed nodes = {.count = 0};
    struct cl2nn_appended appended = {0};
    uint32_t takeover = 0;
    nn_turn_begin(&turn, call, arg, "append", ask->path);
    struct nn_wish change = {&ask->origin, NN_OP_APPEND, "append to file", repeat_append, ask};
    if (!nn_turn_may_change(&turn, &change))
        return;
    int rc = nn_check_append(&turn.view, ask, &op, &takeover, &turn.err);
    if (takeover)
        nn_recovery_begin(&turn.nn->recovery, takeover);
    uint32_t slot = rc == 0 ? nn_tree_find_id(&turn.nn->state.tree, op.file_id) : 0;
    if (rc == 0 && op.block_id)
        rc = pick_holders(&turn, slot, ask->writer_node, &none, &nodes);
    rc = nn_turn_commit(&turn, rc, NN_OP_APPEND, &op, NULL);
    if (rc == 0)
        promise_room(&turn, &nodes);
    if (rc == 0)
        rc = tell_appended(&turn, slot, &nodes, &appended);
    nn_turn_end(&turn, rc, &appended);
}

static void repeat_again(struct nn_turn *turn, const void *message, const struct nn_answer *answer)
{
    const struct cl2nn_again *ask = message;
    struct msg_located_block block = {0};
    struct nn_placed nodes = {.count = 0};
    uint32_t slot = 0;
    int rc = nn_check_writer(&turn->view, ask->file_id, ask->origin.client, &slot, &turn->err);
    const struct nn_prepared *prepared = nn_prepareds_find(&turn->nn->state.prepared, ask->file_id);
    if (rc == 0 && (!prepared || prepared->kind != NN_PREPARED_APPEND ||
                    block_at(turn, prepared->block).id != answer->values[0]))
        rc = err_set(&turn->err, ERR_STALE, "the block was given up since");
    if (rc == 0)
        rc = pick_holders(turn, slot, ask->writer_node, &ask->exclude, &nodes);
    if (rc == 0)
        rc = tell_prepared(turn, slot, &nodes, &block);
    nn_turn_end(turn, rc, &block);
}

void nn_on_APPEND_AGAIN(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_again *ask = message;
    struct nn_turn turn;
    struct op_prepare op;
    struct nn_placed nodes = {.count = 0};
    struct msg_located_block block = {0};
    nn_turn_begin(&turn, call, arg, NULL, slice_str("file"));
    struct nn_wish change = {&ask->origin, NN_OP_PREPARE, "append to ", repeat_again, ask};
    if (!nn_turn_may_change(&turn, &change))
        return;
    int rc = nn_check_append_again(&turn.view, ask, &op, &turn.err);
    uint32_t slot = nn_tree_find_id(&turn.nn->state.tree, ask->file_id);
    if (rc == 0)
        rc = pick_holders(&turn, slot, ask->writer_node, &ask->exclude, &nodes);
    rc = nn_turn_commit(&turn, rc, NN_OP_PREPARE, &op, NULL);
    if (rc == 0)
        promise_room(&turn, &nodes);
    if (rc == 0)
        rc = tell_prepared(&turn, slot, &nodes, &block);
    nn_turn_end(&turn, rc, &block);
}

void nn_on_SWITCH(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_switch *ask = message;
    struct nn_turn turn;
    struct op_switch op;
    nn_turn_begin(&turn, call, arg, NULL, slice_str("file"));
    struct nn_wish change = {&ask->origin, NN_OP_SWITCH, "append to ", NULL, ask};
    if (!nn_turn_may_change(&turn, &change))
        return;
    int rc = nn_check_switch(&turn.view, ask, &op, &turn.err);
    rc = nn_turn_commit(&turn, rc, NN_OP_SWITCH, &op, NULL);
    if (rc == 0)
        rc = nn_turn_set_pipeline(&turn, op.block_id, &ask->nodes);
    nn_turn_end(&turn, rc, NULL);
}

/* ---- truncate ---- */

void nn_on_TRUNCATE(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_truncate *ask = message;
    struct nn_turn turn;
    struct op_truncate op;
    struct cl2nn_yes done = {false};
    uint64_t answer[2] = {0};
    uint32_t takeover = 0;
    nn_turn_begin(&turn, call, arg, "truncate", ask->path);
    struct nn_wish change = {&ask->origin, NN_OP_TRUNCATE, "truncate for ", nn_turn_repeat_yes,
                             ask};
    if (!nn_turn_may_change(&turn, &change))
        return;
    int rc = nn_check_truncate(&turn.view, ask, &op, &done.yes, &takeover, &turn.err);
    if (takeover)
        nn_recovery_begin(&turn.nn->recovery, takeover);
    bool is_new = rc == 0;
    rc = nn_turn_commit(&turn, rc, NN_OP_TRUNCATE, &op, answer);
    if (rc == 0 && is_new) {
        done.yes = answer[0] != 0;
        turn.nn->has_truncation = turn.nn->has_truncation || !done.yes;
    }
    nn_turn_end(&turn, rc, &done);
}

/* ---- concat ---- */

/* "[/d/a, /d/b]", for the audit log. */
static struct slice sources_as_text(struct nn_turn *turn, const struct msg_strs *sources)
{
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < sources->n; i++)
        buf_printf(&text, "%s" SLICE_FMT, i ? ", " : "[", SLICE_ARG(sources->v[i]));
    buf_append_str(&text, "]");
    struct slice kept = nn_turn_copy(turn, buf_slice(&text));
    turn->lacks_memory |= buf_failed(&text);
    buf_release(&text);
    return kept;
}

void nn_on_CONCAT(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_concat *ask = message;
    struct nn_turn turn;
    struct op_concat op;
    nn_turn_begin(&turn, call, arg, "concat", ask->path);
    struct nn_wish change = {&ask->origin, NN_OP_CONCAT, "concat ", NULL, ask};
    if (!nn_turn_may_change(&turn, &change))
        return;
    turn.source = sources_as_text(&turn, &ask->sources);
    turn.target = ask->path;
    int rc = nn_check_concat(&turn.view, ask, rpc_call_arena(call), &op, &turn.err);
    nn_turn_end(&turn, nn_turn_commit(&turn, rc, NN_OP_CONCAT, &op, NULL), NULL);
}
