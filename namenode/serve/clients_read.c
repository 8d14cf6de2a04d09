/* SPDX-License-Identifier: Apache-2.0
 * clients_read: where a file's blocks are, and replicas found to be bad. */
#include "namenode/namespace/xattr.h"
#include "namenode/serve/turn.h"

#define BLOCKS_MAX 1000 /* in one answer */
#define NODES_MAX  64   /* of one block */

static int locate_block(struct nn_turn *turn, const struct cl2nn_locate *ask, uint32_t index,
                        uint64_t offset, struct msg_located_block *ret)
{
    uint32_t nodes[NODES_MAX];
    struct nn_block block = nn_blockmap_get(turn->nn->blocks.map, index);
    size_t count = nn_blocks_locate(&turn->nn->blocks, index, ask->reader_node, nodes, NODES_MAX,
                                    &ret->is_corrupt);
    ret->block = (struct msg_block){block.id, block.gs, block.len};
    ret->offset = offset;
    return nn_turn_nodes(turn, nodes, count, &ret->nodes);
}

/* A block counts when it has a byte of [offset, end), or may have: the open end of a file being
 * written. */
static int locate_blocks(struct nn_turn *turn, const struct cl2nn_locate *ask, uint32_t slot,
                         struct cl2nn_located *ret)
{
    const struct nn_inode *inode = nn_inode(&turn->nn->state.tree.store, slot);
    uint64_t end = ask->length > UINT64_MAX - ask->offset ? UINT64_MAX : ask->offset + ask->length;
    uint64_t at = 0;
    size_t cap = inode->block_count < BLOCKS_MAX ? inode->block_count : BLOCKS_MAX;
    ret->blocks.v = arena_calloc(rpc_call_arena(turn->call), cap, sizeof(struct msg_located_block));
    if (!ret->blocks.v && cap)
        return err_set(&turn->err, ERR_NOMEM, "out of memory");
    for (uint32_t b = inode->first_block; b && ret->blocks.n < cap && at < end;) {
        struct nn_block block = nn_blockmap_get(turn->nn->blocks.map, b);
        bool is_open_end = inode->is_open && b == inode->last_block;
        if (at + block.len > ask->offset || is_open_end) {
            int rc = locate_block(turn, ask, b, at, &ret->blocks.v[ret->blocks.n++]);
            if (rc != 0)
                return rc;
        }
        at += block.len;
        b = block.next;
    }
    return 0;
}

/* Access times are kept to the hour: a reader costs a record at most that often. */
static void touch(struct nn_turn *turn, uint32_t slot)
{
    const struct nn_inode *inode = nn_inode(&turn->nn->state.tree.store, slot);
    uint64_t precision = turn->nn->limits.atime_precision_ms;
    if (precision == 0 || nn_safemode_is_on(&turn->nn->blocks.safemode) ||
        turn->view.wall_ms < inode->atime_ms + precision)
        return;
    struct op_set_times op = {.at_ms = turn->view.wall_ms,
                              .path = turn->source,
                              .mtime_ms = -1,
                              .atime_ms = (int64_t)turn->view.wall_ms};
    struct err ignored; /* no room in the log: the next reader tries again */
    uint64_t answer[2];
    (void)namenode_commit(turn->nn, NN_OP_SET_TIMES, &op, answer, &ignored);
}

static int open_for_reading(struct nn_turn *turn, struct slice path, uint32_t *ret_slot)
{
    const struct nn_tree *tree = &turn->nn->state.tree;
    struct nn_walk walk;
    int rc = nn_check_reach(&turn->view, path, &walk, &turn->err);
    if (rc == 0)
        rc = nn_check_is_file(&turn->view, &walk, path, &turn->err);
    if (rc != 0)
        return rc;
    *ret_slot = nn_walk_last(&walk);
    if (turn->caller.is_super &&
        nn_xattr_find(tree, *ret_slot, NN_XATTR_SECURITY, slice_str(NN_XATTR_UNREADABLE)))
        return err_set(&turn->err, ERR_ACCESS,
                       "Access is denied for " SLICE_FMT
                       " since the superuser is not allowed to perform this operation.",
                       SLICE_ARG(turn->caller.user));
    return nn_access_path(tree, &walk, &turn->caller, NN_R, &turn->err);
}

void nn_on_LOCATE(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_locate *ask = message;
    struct nn_turn turn;
    struct cl2nn_located located = {0};
    uint32_t slot = 0;
    nn_turn_begin(&turn, call, arg, "open", ask->path);
    int rc = open_for_reading(&turn, ask->path, &slot);
    if (rc == 0) {
        const struct nn_inode *inode = nn_inode(&turn.nn->state.tree.store, slot);
        touch(&turn, slot);
        located.file_len = inode->len;
        located.is_open = inode->is_open;
        located.file_id = inode->id;
        rc = locate_blocks(&turn, ask, slot, &located);
    }
    nn_turn_end(&turn, rc, &located);
}

void nn_on_BAD_BLOCK(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_bad_block *ask = message;
    struct nn_turn turn;
    nn_turn_begin(&turn, call, arg, NULL, slice_of(NULL, 0));
    struct nn_blocks *blocks = &turn.nn->blocks;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < ask->nodes.n; i++) {
        const struct nn_node *node = nn_nodes_find(&blocks->nodes, ask->nodes.v[i]);
        struct block_id id = {ask->block.id, ask->block.gs};
        rc = node ? nn_blocks_mark_bad(blocks, id, node->index) : ERR_NOENT;
        if (rc == ERR_NOENT)
            rc = 0; /* gone already: what the reader wanted */
    }
    nn_turn_end(&turn, rc, NULL);
}
