/* SPDX-License-Identifier: Apache-2.0
 * apply_files: operations on files being written, their blocks, and who may hold these.
 *
 * A file's length is the sum of what the block map says of its blocks: whoever changes one changes
 * the other (resize). */
#include "namenode/blocks/blocks.h"
#include "namenode/journal/apply.h"
#include "namenode/namespace/acl.h"

int nn_apply_DATANODE(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_datanode *op = record;
    (void)answer;
    if (op->name.len == 0 || op->uuid.len == 0)
        return ERR_CORRUPT;
    return nn_members_add(&state->blocks->members, op->name, op->uuid);
}

/* ---- shared by the operations below ---- */

static struct nn_block block_at(const struct nn_state *state, uint32_t block)
{
    return nn_blockmap_get(state->blocks->map, block);
}

/* The open file of that id; 0 when there is none, which only a wrong journal can bring about. */
static uint32_t open_file(const struct nn_state *state, uint64_t id)
{
    uint32_t slot = nn_inodes_by_id(&state->tree.store, id);
    return slot && nn_inode(&state->tree.store, slot)->is_open ? slot : 0;
}

/* ... and its last block, which must be that one. */
static int open_block(const struct nn_state *state, uint64_t file_id, uint64_t block_id,
                      uint32_t *ret_slot, uint32_t *ret_block)
{
    *ret_slot = open_file(state, file_id);
    *ret_block = *ret_slot ? nn_inode(&state->tree.store, *ret_slot)->last_block : 0;
    if (!*ret_block || block_at(state, *ret_block).id != block_id)
        return ERR_CORRUPT;
    return 0;
}

/* The block has another length than `before`: so has the file. */
static void resize(struct nn_state *state, uint32_t slot, uint32_t block, uint64_t before)
{
    uint64_t len = nn_inode(&state->tree.store, slot)->len;
    nn_tree_set_len(&state->tree, slot, len - before + block_at(state, block).len);
}

int nn_apply_reserve(struct nn_state *state, uint32_t slot)
{
    const struct nn_inode *inode = nn_inode(&state->tree.store, slot);
    uint64_t size = nn_inode_block_size(inode), room = 0;
    if (inode->is_open && inode->last_block) {
        struct nn_block last = block_at(state, inode->last_block);
        bool grows =
            last.state == NN_BLOCK_UNDER_CONSTRUCTION || last.state == NN_BLOCK_UNDER_RECOVERY;
        const struct nn_prepared *prepared = nn_prepareds_find(&state->prepared, inode->id);
        grows = grows || (prepared && prepared->kind == NN_PREPARED_APPEND);
        room = grows && last.len < size ? size - last.len : 0;
    }
    return nn_tree_reserve(&state->tree, slot, room);
}

/* The last word on a block, the writer's or a recovery's. */
static int settle(struct nn_state *state, uint32_t slot, uint32_t block, const struct msg_block *to)
{
    uint64_t before = block_at(state, block).len;
    int rc = nn_blocks_commit(state->blocks, block, to->gs, to->len);
    if (rc != 0)
        return rc == ERR_NOMEM ? rc : ERR_CORRUPT;
    resize(state, slot, block, before);
    return nn_apply_reserve(state, slot);
}

static void raise_stamp(struct nn_state *state, uint64_t gs)
{
    if (gs >= state->next_gs)
        state->next_gs = gs + 1;
}

/* Take the last block out of the file. */
static void drop_last(struct nn_state *state, uint32_t slot)
{
    struct nn_inode *inode = nn_inode(&state->tree.store, slot);
    uint32_t last = inode->last_block, before = 0;
    for (uint32_t b = inode->first_block; b != last; b = block_at(state, b).next)
        before = b;
    nn_tree_set_len(&state->tree, slot, inode->len - block_at(state, last).len);
    if (before) {
        struct nn_block block = block_at(state, before);
        block.next = NN_BLOCK_NONE;
        nn_blockmap_set(state->blocks->map, before, &block);
    } else {
        inode->first_block = NN_BLOCK_NONE;
    }
    inode->last_block = before;
    inode->block_count--;
    nn_blocks_remove(state->blocks, last);
    (void)nn_apply_reserve(state, slot); /* gives back, which cannot fail */
}

/* ---- create ---- */

int nn_apply_CREATE(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_create *op = record;
    struct nn_parents parents = {op->path, op->owner, op->parent_mode, op->at_ms};
    uint64_t id = op->first_id;
    uint32_t parent = 0, slot = 0;
    struct slice name;
    int rc = nn_apply_parents(state, &parents, &id, &parent, &name);
    if (rc != 0)
        return rc;
    uint32_t over = nn_inodes_child(&state->tree.store, parent, name);
    if (over && nn_inode(&state->tree.store, over)->is_dir)
        return ERR_CORRUPT;
    rc = over ? nn_apply_doom(state, over, op->at_ms) : 0;
    if (rc != 0)
        return rc;
    struct nn_birth birth = {
        .id = id,
        .mode = op->mode,
        .owner = op->owner,
        .group =
            nn_intern_get(&state->tree.store.people, nn_inode(&state->tree.store, parent)->group),
        .now_ms = op->at_ms,
        .replication = op->replication,
        .block_size = op->block_size,
    };
    rc = nn_tree_add(&state->tree, parent, name, &birth, &slot);
    if (rc == 0)
        rc = nn_acl_inherit(&state->tree, slot);
    if (rc == 0)
        rc = nn_leases_add(&state->leases, id, op->origin.client, state->mono_ms);
    if (rc != 0)
        return rc;
    nn_inode(&state->tree.store, slot)->is_open = 1;
    answer[0] = id;
    answer[1] = op->replication | op->block_size << 16;
    return 0;
}

/* ---- blocks ---- */

int nn_apply_ADD_BLOCK(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_add_block *op = record;
    uint32_t slot = open_file(state, op->file_id), block = 0;
    if (!slot)
        return ERR_CORRUPT;
    struct nn_inode *inode = nn_inode(&state->tree.store, slot);
    uint32_t last = inode->last_block;
    nn_apply_unprepare(state, op->file_id); /* the end it was prepared for is settled */
    if (op->previous.id) {
        if (!last || block_at(state, last).id != op->previous.id)
            return ERR_CORRUPT;
        int rc = settle(state, slot, last, &op->previous);
        if (rc != 0)
            return rc;
    }
    struct nn_block fresh = {.id = op->block_id,
                             .gs = op->gs,
                             .file = slot,
                             .want = (uint16_t)inode->replication,
                             .state = NN_BLOCK_UNDER_CONSTRUCTION};
    int rc = nn_blocks_add(state->blocks, &fresh, last, &block);
    if (rc != 0)
        return rc == ERR_NOMEM ? rc : ERR_CORRUPT;
    if (!inode->first_block)
        inode->first_block = block;
    inode->last_block = block;
    inode->block_count++;
    if (op->block_id >= state->next_block_id)
        state->next_block_id = op->block_id + 1;
    raise_stamp(state, op->gs);
    answer[0] = op->block_id;
    answer[1] = inode->len;
    return nn_apply_reserve(state, slot);
}

int nn_apply_ABANDON_BLOCK(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_abandon_block *op = record;
    uint32_t slot = 0, block = 0;
    (void)answer;
    int rc = open_block(state, op->file_id, op->block_id, &slot, &block);
    if (rc == 0)
        drop_last(state, slot);
    return rc;
}

int nn_apply_STAMP(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_stamp *op = record;
    raise_stamp(state, op->gs);
    answer[0] = op->gs;
    return 0;
}

int nn_apply_PIPELINE(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_pipeline *op = record;
    uint32_t slot = 0, block = 0;
    (void)answer;
    int rc = open_block(state, op->file_id, op->block_id, &slot, &block);
    if (rc != 0)
        return rc;
    uint64_t before = block_at(state, block).len;
    rc = nn_blocks_restamp(state->blocks, block, op->gs, op->len);
    if (rc != 0)
        return rc == ERR_NOMEM ? rc : ERR_CORRUPT;
    resize(state, slot, block, before);
    return nn_apply_reserve(state, slot);
}

int nn_apply_FLUSH(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_flush *op = record;
    uint32_t slot = 0, at = 0;
    (void)answer;
    int rc = open_block(state, op->file_id, op->block_id, &slot, &at);
    if (rc != 0)
        return rc;
    uint64_t before = block_at(state, at).len;
    rc = nn_blocks_flushed(state->blocks, at, op->len);
    if (rc != 0)
        return rc == ERR_NOMEM ? rc : ERR_CORRUPT;
    resize(state, slot, at, before);
    return nn_apply_reserve(state, slot);
}

int nn_apply_COMMIT(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_commit *op = record;
    uint32_t slot = 0, block = 0;
    (void)answer;
    int rc = open_block(state, op->file_id, op->last.id, &slot, &block);
    return rc != 0 ? rc : settle(state, slot, block, &op->last);
}

/* ---- the end ---- */

int nn_apply_CLOSE(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_close *op = record;
    uint32_t slot = 0, block = 0;
    (void)answer;
    int rc = 0;
    if (op->last.id)
        rc = open_block(state, op->file_id, op->last.id, &slot, &block);
    else if (!(slot = open_file(state, op->file_id)))
        rc = ERR_CORRUPT;
    if (rc == 0 && op->drop_last)
        drop_last(state, slot);
    else if (rc == 0 && op->last.id)
        rc = settle(state, slot, block, &op->last);
    if (rc != 0)
        return rc;
    struct nn_inode *inode = nn_inode(&state->tree.store, slot);
    for (uint32_t b = inode->first_block; b; b = block_at(state, b).next)
        if (block_at(state, b).state != NN_BLOCK_COMPLETE)
            nn_blocks_complete(state->blocks, b);
    nn_apply_unprepare(state, op->file_id);
    inode->is_open = 0;
    inode->mtime_ms = op->at_ms & NN_TIME_MASK;
    nn_leases_remove(&state->leases, op->file_id);
    return nn_apply_reserve(state, slot);
}

int nn_apply_RECOVER(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_recover *op = record;
    uint32_t slot = open_file(state, op->file_id), block = 0;
    (void)answer;
    if (!slot)
        return ERR_CORRUPT;
    raise_stamp(state, op->gs);
    int rc = nn_leases_move(&state->leases, op->file_id, NN_LEASE_NAMENODE, state->mono_ms);
    if (rc == 0 && op->block_id) {
        rc = open_block(state, op->file_id, op->block_id, &slot, &block);
        if (rc == 0)
            rc = nn_blocks_recover(state->blocks, block, op->gs);
        if (rc == 0)
            rc = nn_apply_reserve(state, slot);
    }
    return rc == 0 || rc == ERR_NOMEM ? rc : ERR_CORRUPT;
}
