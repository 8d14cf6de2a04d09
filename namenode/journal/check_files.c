/* SPDX-License-Identifier: Apache-2.0
 * check_files: requests of those who write files. */
#include <inttypes.h>

#include "namenode/blocks/blocks.h"
#include "namenode/journal/check.h"

/* ---- create ---- */

static int check_shape(const struct nn_limits *limits, const struct cl2nn_create *ask,
                       const struct op_create *op, struct err *err)
{
    if (op->replication > limits->max_replication)
        return err_set(err, ERR_INVAL,
                       "Requested replication factor of %u exceeds maximum of %u for " SLICE_FMT,
                       op->replication, limits->max_replication, SLICE_ARG(ask->path));
    if (op->replication < limits->min_replication)
        return err_set(err, ERR_INVAL,
                       "Requested replication factor of %u is less than the required minimum of "
                       "%u for " SLICE_FMT,
                       op->replication, limits->min_replication, SLICE_ARG(ask->path));
    if (op->block_size < limits->min_block_size)
        return err_set(err, ERR_INVAL,
                       "Specified block size is less than configured minimum value "
                       "(dfs.namenode.fs-limits.min-block-size): %" PRIu64 " < %" PRIu64,
                       op->block_size, limits->min_block_size);
    if (op->block_size % NN_BLOCK_SIZE_UNIT != 0)
        return err_set(err, ERR_INVAL,
                       "Invalid values: dfs.bytes-per-checksum (=%u) must divide block size "
                       "(=%" PRIu64 ").",
                       NN_BLOCK_SIZE_UNIT, op->block_size);
    if (op->block_size > NN_BLOCK_SIZE_MAX)
        return err_set(err, ERR_INVAL, "block size %" PRIu64 " is over the maximum of %" PRIu64,
                       op->block_size, NN_BLOCK_SIZE_MAX);
    return 0;
}

int nn_check_held(const struct nn_view *view, const struct nn_opening *what, uint32_t *ret_takeover,
                  struct err *err)
{
    uint64_t id = nn_inode(&view->state->tree.store, what->slot)->id;
    const struct nn_lease *lease = nn_leases_find(&view->state->leases, id);
    uint64_t holder = lease ? lease->holder->client : NN_LEASE_NAMENODE;
    if (holder == NN_LEASE_NAMENODE)
        return err_set(err, ERR_RETRY,
                       "Failed to %s " SLICE_FMT " for client_%016" PRIx64
                       " on %s because the file is under recovery",
                       what->verb, SLICE_ARG(what->path), what->client, view->address);
    if (holder == what->client)
        return err_set(err, ERR_LEASE,
                       "Failed to %s " SLICE_FMT " for client_%016" PRIx64
                       " on %s because client_%016" PRIx64 " is already the current lease holder.",
                       what->verb, SLICE_ARG(what->path), what->client, view->address, holder);
    if (nn_lease_is_over(lease, view->limits->lease_soft_ms, view->mono_ms)) {
        *ret_takeover = what->slot;
        return err_set(err, ERR_RETRY,
                       "Failed to %s " SLICE_FMT " for client_%016" PRIx64
                       " on %s because lease recovery is in progress. Try again later.",
                       what->verb, SLICE_ARG(what->path), what->client, view->address);
    }
    return err_set(err, ERR_LEASE,
                   "Failed to %s " SLICE_FMT " for client_%016" PRIx64
                   " on %s because this file lease is currently owned by client_%016" PRIx64,
                   what->verb, SLICE_ARG(what->path), what->client, view->address, holder);
}

static int create_over(const struct nn_view *view, const struct cl2nn_create *ask,
                       const struct nn_walk *walk, uint32_t *ret_takeover, struct err *err)
{
    uint32_t slot = nn_walk_last(walk);
    const struct nn_inode *inode = nn_inode(&view->state->tree.store, slot);
    if (inode->is_dir)
        return err_set(err, ERR_ISDIR, SLICE_FMT " already exists as a directory",
                       SLICE_ARG(ask->path));
    if (ask->overwrite) {
        int rc = nn_access_path(&view->state->tree, walk, view->caller, NN_W, err);
        return rc != 0 ? rc : nn_access_parent(&view->state->tree, walk, view->caller, NN_W, err);
    }
    const struct nn_opening what = {"CREATE_FILE", ask->path, ask->origin.client, slot};
    if (inode->is_open)
        return nn_check_held(view, &what, ret_takeover, err);
    return err_set(err, ERR_EXIST, SLICE_FMT " for client %s already exists", SLICE_ARG(ask->path),
                   view->address);
}

static int create_new(const struct nn_view *view, const struct cl2nn_create *ask,
                      const struct nn_walk *walk, struct err *err)
{
    if (!ask->create_parents && walk->found + 1 < walk->depth)
        return err_set(err, ERR_NOENT, "Parent directory doesn't exist: " SLICE_FMT,
                       SLICE_ARG(path_parent(ask->path)));
    int rc = nn_check_room(view, walk, err);
    return rc != 0 ? rc : nn_check_quota_new(view, walk, err);
}

int nn_check_create(const struct nn_view *view, const struct cl2nn_create *ask,
                    struct op_create *ret, uint32_t *ret_takeover, struct err *err)
{
    const struct nn_tree *tree = &view->state->tree;
    const struct nn_limits *limits = view->limits;
    struct nn_walk walk;
    int rc = nn_check_new_path(ask->path, "create", err);
    if (rc != 0)
        return rc;
    if (ask->origin.client == NN_LEASE_NAMENODE)
        return err_set(err, ERR_INVAL, "a writer has a client id other than %u", NN_LEASE_NAMENODE);
    nn_tree_walk(tree, ask->path, &walk);
    rc = nn_access_ancestor(tree, &walk, view->caller, NN_W, err);
    if (rc == 0 && nn_walk_is_whole(&walk))
        rc = create_over(view, ask, &walk, ret_takeover, err);
    else if (rc == 0)
        rc = create_new(view, ask, &walk, err);
    if (rc != 0)
        return rc;
    uint32_t above = walk.slots[walk.found < walk.depth ? walk.found : walk.depth - 1];
    *ret = (struct op_create){
        .origin = ask->origin,
        .at_ms = view->wall_ms,
        .path = ask->path,
        .first_id = tree->next_id,
        .mode = nn_check_mode(view, above, ask->mode, ask->full_mode) & 0777U,
        .parent_mode = (uint32_t)nn_inode(&tree->store, above)->mode | 0300U,
        .owner = view->caller->user,
        .replication = ask->replication ? ask->replication : limits->default_replication,
        .block_size = ask->block_size ? ask->block_size : limits->default_block_size,
    };
    return check_shape(limits, ask, ret, err);
}

/* ---- writing ---- */

int nn_check_writer(const struct nn_view *view, uint64_t file_id, uint64_t client,
                    uint32_t *ret_slot, struct err *err)
{
    const struct nn_tree *tree = &view->state->tree;
    uint32_t slot = nn_tree_find_id(tree, file_id);
    if (!slot || nn_inode(&tree->store, slot)->is_dir)
        return err_set(err, ERR_NOENT,
                       "File does not exist: inode %" PRIu64 ": it was deleted or replaced while "
                       "client_%016" PRIx64 " was writing it",
                       file_id, client);
    const struct nn_lease *lease = nn_leases_find(&view->state->leases, file_id);
    *ret_slot = slot;
    if (lease && lease->holder->client == client && client != NN_LEASE_NAMENODE)
        return 0;
    struct buf path = BUF_INIT;
    nn_tree_path(tree, slot, &path);
    int rc = lease ? err_set(err, ERR_LEASE,
                             SLICE_FMT " is not client_%016" PRIx64 "'s to write any more: it is "
                                       "owned by client_%016" PRIx64,
                             SLICE_ARG(buf_slice(&path)), client, lease->holder->client)
                   : err_set(err, ERR_LEASE,
                             "File is not open for writing: " SLICE_FMT
                             ": its writer was silent too long, and it was closed",
                             SLICE_ARG(buf_slice(&path)));
    buf_release(&path);
    return rc;
}

/* The last block of a file that is being written must be the one the writer means. */
static int check_last(const struct nn_view *view, uint32_t slot, const struct msg_block *said,
                      struct nn_block *ret_block, struct err *err)
{
    const struct nn_inode *inode = nn_inode(&view->state->tree.store, slot);
    if (!inode->last_block)
        return err_set(err, ERR_STALE,
                       "blk_%" PRIu64 " is not in file %" PRIu64 ": it has no blocks", said->id,
                       (uint64_t)inode->id);
    *ret_block = nn_blockmap_get(view->state->blocks->map, inode->last_block);
    if (ret_block->id != said->id)
        return err_set(err, ERR_STALE,
                       "blk_%" PRIu64 " is not the last block of file %" PRIu64 ", blk_%" PRIu64
                       " is",
                       said->id, (uint64_t)inode->id, ret_block->id);
    if (ret_block->gs != said->gs)
        return err_set(err, ERR_STALE, "blk_%" PRIu64 " has stamp %" PRIu64 ", not %" PRIu64,
                       said->id, ret_block->gs, said->gs);
    return 0;
}

/* As check_last, for a writer who says that this is the block's final length. */
static int check_final(const struct nn_view *view, uint32_t slot, const struct msg_block *said,
                       struct err *err)
{
    struct nn_block block;
    int rc = check_last(view, slot, said, &block, err);
    if (rc != 0)
        return rc;
    uint64_t size = nn_inode_block_size(nn_inode(&view->state->tree.store, slot));
    bool is_settled = block.state == NN_BLOCK_COMMITTED || block.state == NN_BLOCK_COMPLETE;
    if (said->len > size || said->len < block.len || (is_settled && said->len != block.len))
        return err_set(err, ERR_INVAL,
                       "blk_%" PRIu64 " cannot have %" PRIu64 " bytes: it has %" PRIu64
                       ", and blocks of this file have at most %" PRIu64,
                       said->id, said->len, block.len, size);
    return 0;
}

int nn_check_add_block(const struct nn_view *view, const struct cl2nn_add_block *ask,
                       struct op_add_block *ret, struct err *err)
{
    uint32_t slot = 0;
    int rc = nn_check_writer(view, ask->file_id, ask->origin.client, &slot, err);
    if (rc != 0)
        return rc;
    const struct nn_inode *inode = nn_inode(&view->state->tree.store, slot);
    if (ask->previous.id)
        rc = check_final(view, slot, &ask->previous, err);
    else if (inode->last_block)
        rc = err_set(err, ERR_STALE, "file %" PRIu64 " has blocks, and its writer does not know it",
                     ask->file_id);
    if (rc != 0)
        return rc;
    if (inode->block_count >= view->limits->max_blocks)
        return err_set(err, ERR_LIMIT,
                       "File has reached the limit on maximum number of blocks "
                       "(dfs.namenode.fs-limits.max-blocks-per-file): %u >= %u",
                       (unsigned)inode->block_count, view->limits->max_blocks);
    rc = nn_check_quota_block(view, slot, ask->previous.len, err);
    if (rc != 0)
        return rc;
    *ret = (struct op_add_block){
        ask->origin,         view->wall_ms, ask->file_id, ask->previous, view->state->next_block_id,
        view->state->next_gs};
    return 0;
}

/* The last block, still being written. */
static int check_written(const struct nn_view *view, uint64_t file_id, uint64_t client,
                         const struct msg_block *said, struct nn_block *ret_block, struct err *err)
{
    uint32_t slot = 0;
    int rc = nn_check_writer(view, file_id, client, &slot, err);
    if (rc == 0)
        rc = check_last(view, slot, said, ret_block, err);
    if (rc == 0 && ret_block->state != NN_BLOCK_UNDER_CONSTRUCTION)
        rc = err_set(err, ERR_STALE, "blk_%" PRIu64 " is %s already", said->id,
                     nn_block_state_name(ret_block->state));
    return rc;
}

int nn_check_abandon_block(const struct nn_view *view, const struct cl2nn_abandon_block *ask,
                           struct op_abandon_block *ret, struct err *err)
{
    struct nn_block block;
    uint32_t slot = 0;
    int rc = nn_check_writer(view, ask->file_id, ask->origin.client, &slot, err);
    if (rc != 0)
        return rc;
    if (!nn_blockmap_find(view->state->blocks->map, ask->block.id))
        return NN_CHECK_NOTHING;
    rc = check_written(view, ask->file_id, ask->origin.client, &ask->block, &block, err);
    const struct nn_prepared *prepared = nn_prepareds_find(&view->state->prepared, ask->file_id);
    if (rc == 0 && prepared && prepared->kind == NN_PREPARED_BASE &&
        prepared->block == nn_inode(&view->state->tree.store, slot)->last_block)
        rc = err_set(err, ERR_INVAL,
                     "blk_%" PRIu64 " begins with %" PRIu64
                     " bytes that were in the file before: it cannot be given up",
                     block.id, prepared->len);
    if (rc == 0)
        *ret = (struct op_abandon_block){ask->origin, view->wall_ms, ask->file_id, ask->block.id};
    return rc;
}

int nn_check_new_stamp(const struct nn_view *view, const struct cl2nn_new_stamp *ask,
                       struct op_stamp *ret, struct err *err)
{
    struct nn_block block;
    int rc = check_written(view, ask->file_id, ask->origin.client, &ask->block, &block, err);
    if (rc == 0)
        *ret = (struct op_stamp){ask->origin, view->wall_ms, ask->file_id, ask->block.id,
                                 view->state->next_gs};
    return rc;
}

int nn_check_update_pipeline(const struct nn_view *view, const struct cl2nn_update_pipeline *ask,
                             struct op_pipeline *ret, struct err *err)
{
    struct nn_block block;
    int rc = check_written(view, ask->file_id, ask->origin.client, &ask->block, &block, err);
    if (rc != 0)
        return rc;
    if (ask->new_gs <= block.gs || ask->new_gs >= view->state->next_gs)
        return err_set(err, ERR_STALE,
                       "blk_%" PRIu64 " has stamp %" PRIu64 "; %" PRIu64
                       " is not a newer one that was given out",
                       block.id, block.gs, ask->new_gs);
    if (ask->new_len < block.len || ask->new_len > NN_BLOCK_LEN_MAX)
        return err_set(err, ERR_STALE,
                       "blk_%" PRIu64 " had %" PRIu64 " bytes already, not %" PRIu64, block.id,
                       block.len, ask->new_len);
    *ret = (struct op_pipeline){ask->origin,   view->wall_ms, ask->file_id,
                                ask->block.id, ask->new_gs,   ask->new_len};
    return 0;
}

int nn_check_flushed(const struct nn_view *view, const struct cl2nn_flushed *ask,
                     struct op_flush *ret, struct err *err)
{
    struct nn_block block;
    int rc = check_written(view, ask->file_id, ask->origin.client, &ask->last, &block, err);
    if (rc != 0)
        return rc;
    if (ask->last.len <= block.len)
        return NN_CHECK_NOTHING;
    if (ask->last.len > NN_BLOCK_LEN_MAX)
        return err_set(err, ERR_INVAL, "blk_%" PRIu64 " cannot have %" PRIu64 " bytes", block.id,
                       ask->last.len);
    *ret = (struct op_flush){ask->origin, view->wall_ms, ask->file_id, ask->last.id, ask->last.len};
    return 0;
}

int nn_check_complete(const struct nn_view *view, const struct cl2nn_complete *ask,
                      struct op_close *ret, struct err *err)
{
    uint32_t slot = 0;
    int rc = nn_check_writer(view, ask->file_id, ask->origin.client, &slot, err);
    if (rc != 0)
        return rc;
    if (ask->last.id)
        rc = check_final(view, slot, &ask->last, err);
    else if (nn_inode(&view->state->tree.store, slot)->last_block)
        rc = err_set(err, ERR_STALE, "file %" PRIu64 " has blocks, and its writer does not know it",
                     ask->file_id);
    if (rc == 0)
        *ret = (struct op_close){ask->origin, view->wall_ms, ask->file_id, ask->last, false};
    return rc;
}
