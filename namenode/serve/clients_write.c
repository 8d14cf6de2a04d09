/* SPDX-License-Identifier: Apache-2.0
 * clients_write: requests of those who write files. */
#include "namenode/serve/turn.h"

/* ---- blocks ---- */

/* Where a new block of this file goes; `have` nodes have it already. */
static int place(struct nn_turn *turn, uint32_t slot, struct nn_place_ask *ask,
                 struct nn_placed *ret)
{
    const struct nn_inode *inode = nn_inode(&turn->nn->state.tree.store, slot);
    struct buf path = BUF_INIT;
    nn_tree_path(&turn->nn->state.tree, slot, &path);
    ask->block_size = nn_inode_block_size(inode);
    int rc = nn_blocks_place(&turn->nn->blocks, ask, buf_slice(&path), ret, &turn->err);
    buf_release(&path);
    return rc;
}

/* Of a new block. Who comes so early after a start that datanodes of before are not back (without
 * any block there is no safe mode to wait in), or when all have just been cut off, is told to come
 * again. */
static int place_first(struct nn_turn *turn, uint32_t slot, struct nn_place_ask *ask,
                       struct nn_placed *ret)
{
    int rc = place(turn, slot, ask, ret);
    if (rc != ERR_NONODE || !nn_blocks_awaits_nodes(&turn->nn->blocks))
        return rc;
    err_wrap(&turn->err, "datanodes that were there before are not back yet");
    turn->err.code = ERR_RETRY;
    return ERR_RETRY;
}

/* The block is there already; its pipeline is remembered only until a restart. */
static int tell_again(struct nn_turn *turn, const struct cl2nn_add_block *ask,
                      const uint64_t values[2], struct msg_located_block *ret)
{
    struct nn_placed nodes = {.count = 0};
    uint32_t slot = 0, index = nn_blockmap_find(turn->nn->blocks.map, values[0]);
    int rc = nn_check_writer(&turn->view, ask->file_id, ask->origin.client, &slot, &turn->err);
    if (rc == 0 && !index)
        rc = err_set(&turn->err, ERR_STALE, "the block was abandoned since");
    const struct nn_writing *writing =
        rc == 0 ? nn_writings_find(&turn->nn->blocks.writings, index) : NULL;
    if (writing && writing->pipeline_count && writing->pipeline_count <= NN_PLACE_MAX) {
        nodes.count = writing->pipeline_count;
        memcpy(nodes.nodes, writing->pipeline, nodes.count * sizeof(*nodes.nodes));
    } else if (rc == 0) {
        struct nn_place_ask where = {.writer = ask->writer_node,
                                     .count = nn_blockmap_get(turn->nn->blocks.map, index).want,
                                     .exclude = ask->exclude.v,
                                     .exclude_count = ask->exclude.n};
        rc = place_first(turn, slot, &where, &nodes);
    }
    return rc == 0 ? nn_turn_tell_block(turn, index, values[1], &nodes, ret) : rc;
}

static void repeat_add_block(struct nn_turn *turn, const void *message,
                             const struct nn_answer *answer)
{
    struct msg_located_block block = {0};
    int rc = tell_again(turn, message, answer->values, &block);
    nn_turn_end(turn, rc, &block);
}

/* A new block at the file's end. `values` say whether it is there, also after a failure. */
static int add_block(struct nn_turn *turn, const struct cl2nn_add_block *ask, uint64_t values[2],
                     struct msg_located_block *ret)
{
    struct op_add_block op;
    struct nn_placed nodes = {.count = 0};
    int rc = nn_check_add_block(&turn->view, ask, &op, &turn->err);
    if (rc == 0) {
        uint32_t slot = nn_tree_find_id(&turn->nn->state.tree, ask->file_id);
        struct nn_place_ask where = {
            .writer = ask->writer_node,
            .count = (uint32_t)nn_inode(&turn->nn->state.tree.store, slot)->replication,
            .exclude = ask->exclude.v,
            .exclude_count = ask->exclude.n};
        rc = place_first(turn, slot, &where, &nodes);
    }
    rc = nn_turn_commit(turn, rc, NN_OP_ADD_BLOCK, &op, values);
    if (rc != 0)
        return rc;
    return nn_turn_tell_block(turn, nn_blockmap_find(turn->nn->blocks.map, values[0]), values[1],
                              &nodes, ret);
}

void nn_on_ADD_BLOCK(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_add_block *ask = message;
    struct nn_turn turn;
    struct msg_located_block block = {0};
    uint64_t values[2] = {0};
    nn_turn_begin(&turn, call, arg, NULL, slice_str("file"));
    struct nn_wish change = {&ask->origin, NN_OP_ADD_BLOCK, "add block to ", repeat_add_block, ask};
    if (!nn_turn_may_change(&turn, &change))
        return;
    int rc = add_block(&turn, ask, values, &block);
    nn_turn_end(&turn, rc, &block);
}

void nn_on_ABANDON_BLOCK(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_abandon_block *ask = message;
    struct nn_turn turn;
    struct op_abandon_block op;
    nn_turn_begin(&turn, call, arg, NULL, slice_str("file"));
    struct nn_wish change = {&ask->origin, NN_OP_ABANDON_BLOCK, "abandon block of ", NULL, ask};
    if (!nn_turn_may_change(&turn, &change))
        return;
    int rc = nn_check_abandon_block(&turn.view, ask, &op, &turn.err);
    nn_turn_end(&turn, nn_turn_commit(&turn, rc, NN_OP_ABANDON_BLOCK, &op, NULL), NULL);
}

/* ---- create ---- */

static struct cl2nn_add_block first_of(const struct cl2nn_create *ask, uint64_t file_id)
{
    return (struct cl2nn_add_block){
        .origin = ask->first, .file_id = file_id, .writer_node = ask->writer_node};
}

static void repeat_create(struct nn_turn *turn, const void *message, const struct nn_answer *answer)
{
    const struct cl2nn_create *ask = message;
    struct cl2nn_created created = {.file_id = answer->values[0],
                                    .replication = answer->values[1] & UINT16_MAX,
                                    .block_size = answer->values[1] >> 16};
    const struct cl2nn_add_block add = first_of(ask, created.file_id);
    const struct nn_answer *block =
        nn_answers_find(&turn->nn->state.answers, ask->first.client, ask->first.seq);
    int rc = 0;
    if (block && block->op == NN_OP_ADD_BLOCK)
        rc = tell_again(turn, &add, block->values, &created.first);
    nn_turn_end(turn, rc, &created);
}

/* The first block comes along, if there can be one: the file is there without it, too. A number
 * that was used before is no new request's. */
static int add_first(struct nn_turn *turn, const struct cl2nn_create *ask,
                     struct cl2nn_created *created)
{
    const struct cl2nn_add_block add = first_of(ask, created->file_id);
    uint64_t values[2] = {0};
    if (nn_answers_find(&turn->nn->state.answers, ask->first.client, ask->first.seq))
        return 0;
    int rc = add_block(turn, &add, values, &created->first);
    if (rc != 0 && values[0])
        return rc; /* who asks again is told of it */
    if (rc != 0)
        created->first = (struct msg_located_block){0};
    return 0;
}

void nn_on_CREATE(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_create *ask = message;
    struct nn_turn turn;
    struct op_create op;
    uint32_t takeover = 0;
    uint64_t answer[2] = {0};
    nn_turn_begin(&turn, call, arg, "create", ask->path);
    struct nn_wish change = {&ask->origin, NN_OP_CREATE, "create file", repeat_create, ask};
    if (!nn_turn_may_change(&turn, &change))
        return;
    int rc = nn_check_create(&turn.view, ask, &op, &takeover, &turn.err);
    if (takeover)
        nn_recovery_begin(&turn.nn->recovery, takeover);
    rc = nn_turn_commit(&turn, rc, NN_OP_CREATE, &op, answer);
    nn_leases_note_host(&turn.nn->state.leases, ask->origin.client, turn.view.address);
    struct cl2nn_created created = {
        .file_id = answer[0], .replication = op.replication, .block_size = op.block_size};
    if (rc == 0 && ask->first.client)
        rc = add_first(&turn, ask, &created);
    nn_turn_end(&turn, rc, &created);
}

/* ---- pipelines ---- */

static void repeat_stamp(struct nn_turn *turn, const void *ask, const struct nn_answer *answer)
{
    struct cl2nn_stamped stamped = {answer->values[0]};
    (void)ask;
    nn_turn_end(turn, 0, &stamped);
}

void nn_on_NEW_STAMP(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_new_stamp *ask = message;
    struct nn_turn turn;
    struct op_stamp op;
    nn_turn_begin(&turn, call, arg, NULL, slice_str("block"));
    struct nn_wish change = {&ask->origin, NN_OP_STAMP, "get a new GS for ", repeat_stamp, ask};
    if (!nn_turn_may_change(&turn, &change))
        return;
    int rc = nn_check_new_stamp(&turn.view, ask, &op, &turn.err);
    struct cl2nn_stamped stamped = {rc == 0 ? op.gs : 0};
    nn_turn_end(&turn, nn_turn_commit(&turn, rc, NN_OP_STAMP, &op, NULL), &stamped);
}

void nn_on_UPDATE_PIPELINE(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_update_pipeline *ask = message;
    struct nn_turn turn;
    struct op_pipeline op;
    nn_turn_begin(&turn, call, arg, NULL, slice_str("block"));
    struct nn_wish change = {&ask->origin, NN_OP_PIPELINE, "update pipeline of ", NULL, ask};
    if (!nn_turn_may_change(&turn, &change))
        return;
    int rc = nn_check_update_pipeline(&turn.view, ask, &op, &turn.err);
    rc = nn_turn_commit(&turn, rc, NN_OP_PIPELINE, &op, NULL);
    if (rc == 0)
        rc = nn_turn_set_pipeline(&turn, op.block_id, &ask->nodes);
    nn_turn_end(&turn, rc, NULL);
}

void nn_on_EXTRA_NODE(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_extra_node *ask = message;
    struct nn_turn turn;
    struct cl2nn_nodes answer = {0};
    struct nn_placed nodes = {.count = 0};
    uint32_t have[NN_PLACE_MAX];
    nn_turn_begin(&turn, call, arg, NULL, slice_of(NULL, 0));
    uint32_t slot = nn_tree_find_id(&turn.nn->state.tree, ask->file_id);
    int rc = slot && nn_inode(&turn.nn->state.tree.store, slot)->is_open
                 ? 0
                 : err_set(&turn.err, ERR_NOENT, "the file is not being written any more");
    if (rc == 0) {
        struct nn_place_ask where = {.count = 1,
                                     .have = have,
                                     .have_count =
                                         nn_turn_numbers(&turn, &ask->have, have, NN_PLACE_MAX),
                                     .exclude = ask->exclude.v,
                                     .exclude_count = ask->exclude.n};
        rc = place(&turn, slot, &where, &nodes);
    }
    if (rc == 0)
        rc = nn_turn_nodes(&turn, nodes.nodes, nodes.count, &answer.nodes);
    nn_turn_end(&turn, rc, &answer);
}

void nn_on_FLUSHED(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_flushed *ask = message;
    struct nn_turn turn;
    struct op_flush op;
    nn_turn_begin(&turn, call, arg, NULL, slice_str("file"));
    struct nn_wish change = {&ask->origin, NN_OP_FLUSH, "fsync ", NULL, ask};
    if (!nn_turn_may_change(&turn, &change))
        return;
    int rc = nn_check_flushed(&turn.view, ask, &op, &turn.err);
    nn_turn_end(&turn, nn_turn_commit(&turn, rc, NN_OP_FLUSH, &op, NULL), NULL);
}

void nn_on_RENEW(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_renew *ask = message;
    struct nn_turn turn;
    nn_turn_begin(&turn, call, arg, NULL, slice_of(NULL, 0));
    (void)nn_leases_renew(&turn.nn->state.leases, ask->client, namenode_now(turn.nn));
    nn_leases_note_host(&turn.nn->state.leases, ask->client, turn.view.address);
    nn_turn_end(&turn, 0, NULL);
}
