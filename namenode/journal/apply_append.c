/* SPDX-License-Identifier: Apache-2.0
 * apply_append: operations on files that were closed: append, truncate, concat. What is finalized
 * never changes: another block is prepared, and takes its place (namespace/prepared.h). */
#include "namenode/blocks/blocks.h"
#include "namenode/journal/apply.h"

static struct nn_block block_at(const struct nn_state *state, uint32_t block)
{
    return nn_blockmap_get(state->blocks->map, block);
}

/* The file of that id, if it is closed; else 0. */
static uint32_t closed_file(const struct nn_state *state, uint64_t id)
{
    uint32_t slot = nn_tree_find_id(&state->tree, id);
    if (!slot)
        return 0;
    const struct nn_inode *inode = nn_inode(&state->tree.store, slot);
    return inode->is_dir || inode->is_open ? 0 : slot;
}

/* ---- prepared blocks ---- */

void nn_apply_find_cut(const struct nn_state *state, uint32_t slot, uint64_t len,
                       struct nn_cut *ret)
{
    *ret = (struct nn_cut){.block = nn_inode(&state->tree.store, slot)->first_block};
    while (ret->block) {
        struct nn_block block = block_at(state, ret->block);
        if (ret->off + block.len > len)
            return;
        ret->off += block.len;
        ret->before = ret->block;
        ret->block = block.next;
    }
}

int nn_apply_prepare(struct nn_state *state, uint32_t slot, const struct nn_prepared *what,
                     const struct msg_block *id)
{
    const struct nn_inode *inode = nn_inode(&state->tree.store, slot);
    struct nn_prepared prepared = *what;
    struct nn_block fresh = {.id = id->id,
                             .gs = id->gs,
                             .len = what->len,
                             .file = slot,
                             .want = (uint16_t)inode->replication,
                             .state = NN_BLOCK_UNDER_CONSTRUCTION};
    if (what->kind == NN_PREPARED_TRUNCATE) {
        struct nn_cut cut;
        nn_apply_find_cut(state, slot, what->len, &cut);
        if (!cut.block || cut.off >= what->len)
            return ERR_CORRUPT;
        fresh.len = what->len - cut.off;
        fresh.state = NN_BLOCK_COMMITTED;
    }
    int rc = nn_blocks_add(state->blocks, &fresh, NN_BLOCK_NONE, &prepared.block);
    if (rc != 0)
        return rc == ERR_NOMEM ? rc : ERR_CORRUPT;
    if (id->id >= state->next_block_id)
        state->next_block_id = id->id + 1;
    if (id->gs >= state->next_gs)
        state->next_gs = id->gs + 1;
    prepared.file = inode->id;
    prepared.after = state->blocks->applied;
    rc = nn_prepareds_add(&state->prepared, &prepared);
    return rc == 0 ? nn_apply_reserve(state, slot) : rc;
}

void nn_apply_unprepare(struct nn_state *state, uint64_t file)
{
    struct nn_prepared *prepared = nn_prepareds_find(&state->prepared, file);
    if (!prepared)
        return;
    if (prepared->kind != NN_PREPARED_BASE)
        nn_blocks_remove(state->blocks, prepared->block);
    nn_prepareds_remove(&state->prepared, prepared);
}

int nn_apply_PREPARE(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_prepare *op = record;
    uint32_t slot = nn_tree_find_id(&state->tree, op->file_id);
    const struct nn_prepared *old = nn_prepareds_find(&state->prepared, op->file_id);
    if (!slot || !old || old->kind == NN_PREPARED_BASE)
        return ERR_CORRUPT;
    struct nn_prepared what = *old;
    struct msg_block id = {.id = op->block_id, .gs = op->gs};
    nn_apply_unprepare(state, op->file_id);
    answer[0] = op->block_id;
    return nn_apply_prepare(state, slot, &what, &id);
}

/* ---- append ---- */

int nn_apply_APPEND(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_append *op = record;
    uint32_t slot = closed_file(state, op->file_id);
    if (!slot)
        return ERR_CORRUPT;
    struct nn_inode *inode = nn_inode(&state->tree.store, slot);
    if (op->block_id && !inode->last_block)
        return ERR_CORRUPT;
    int rc = nn_leases_add(&state->leases, op->file_id, op->origin.client, state->mono_ms);
    if (rc != 0)
        return rc;
    inode->is_open = 1;
    answer[0] = op->file_id;
    answer[1] = op->block_id;
    if (!op->block_id)
        return 0;
    struct nn_prepared what = {.kind = NN_PREPARED_APPEND,
                               .len = block_at(state, inode->last_block).len};
    return nn_apply_prepare(state, slot, &what,
                            &(struct msg_block){.id = op->block_id, .gs = op->gs});
}

/* ---- chains ---- */

/* The block behind `before` (NONE: the first) is `block` from now on; the old ones go with it. */
static void cut_off(struct nn_state *state, uint32_t slot, uint32_t before, uint32_t block)
{
    struct nn_inode *inode = nn_inode(&state->tree.store, slot);
    uint32_t old = before ? block_at(state, before).next : inode->first_block;
    uint64_t gone = 0;
    if (before) {
        struct nn_block b = block_at(state, before);
        b.next = block;
        nn_blockmap_set(state->blocks->map, before, &b);
    } else {
        inode->first_block = block;
    }
    inode->last_block = block ? block : before;
    if (block)
        inode->block_count++;
    while (old) {
        struct nn_block b = block_at(state, old);
        gone += b.len;
        inode->block_count--;
        nn_blocks_remove(state->blocks, old);
        old = b.next;
    }
    uint64_t came = block ? block_at(state, block).len : 0;
    nn_tree_set_len(&state->tree, slot, inode->len - gone + came);
}

static int switch_append(struct nn_state *state, uint32_t slot, struct nn_prepared *prepared)
{
    const struct nn_inode *inode = nn_inode(&state->tree.store, slot);
    uint32_t before = NN_BLOCK_NONE;
    if (!inode->last_block || block_at(state, inode->last_block).len != prepared->len)
        return ERR_CORRUPT;
    for (uint32_t b = inode->first_block; b != inode->last_block; b = block_at(state, b).next)
        before = b;
    cut_off(state, slot, before, prepared->block);
    nn_blocks_set_want(state->blocks, prepared->block, (uint16_t)inode->replication);
    prepared->kind = NN_PREPARED_BASE;
    return nn_apply_reserve(state, slot);
}

static int switch_truncate(struct nn_state *state, uint32_t slot, struct nn_prepared *prepared,
                           uint64_t at_ms)
{
    struct nn_inode *inode = nn_inode(&state->tree.store, slot);
    uint32_t block = prepared->block;
    struct nn_cut cut;
    nn_apply_find_cut(state, slot, prepared->len, &cut);
    if (!cut.block || cut.off + block_at(state, block).len != prepared->len)
        return ERR_CORRUPT;
    cut_off(state, slot, cut.before, block);
    nn_prepareds_remove(&state->prepared, prepared);
    nn_blocks_complete(state->blocks, block);
    nn_blocks_set_want(state->blocks, block, (uint16_t)inode->replication);
    inode->is_open = 0;
    inode->mtime_ms = at_ms & NN_TIME_MASK;
    nn_leases_remove(&state->leases, inode->id);
    return nn_apply_reserve(state, slot);
}

int nn_apply_SWITCH(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_switch *op = record;
    uint32_t slot = nn_tree_find_id(&state->tree, op->file_id);
    struct nn_prepared *prepared = nn_prepareds_find(&state->prepared, op->file_id);
    (void)answer;
    if (!slot || !prepared || prepared->kind == NN_PREPARED_BASE ||
        block_at(state, prepared->block).id != op->block_id)
        return ERR_CORRUPT;
    return prepared->kind == NN_PREPARED_APPEND ? switch_append(state, slot, prepared)
                                                : switch_truncate(state, slot, prepared, op->at_ms);
}

/* ---- truncate ---- */

int nn_apply_TRUNCATE(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_truncate *op = record;
    uint32_t slot = closed_file(state, op->file_id);
    struct nn_cut cut;
    if (!slot || op->len >= nn_inode(&state->tree.store, slot)->len)
        return ERR_CORRUPT;
    struct nn_inode *inode = nn_inode(&state->tree.store, slot);
    if (!op->block_id) {
        nn_apply_find_cut(state, slot, op->len, &cut);
        if (cut.off != op->len)
            return ERR_CORRUPT;
        cut_off(state, slot, cut.before, NN_BLOCK_NONE);
        inode->mtime_ms = op->at_ms & NN_TIME_MASK;
        answer[0] = 1;
        return 0;
    }
    int rc = nn_leases_add(&state->leases, op->file_id, NN_LEASE_NAMENODE, state->mono_ms);
    if (rc != 0)
        return rc;
    inode->is_open = 1;
    struct nn_prepared what = {.kind = NN_PREPARED_TRUNCATE, .len = op->len};
    return nn_apply_prepare(state, slot, &what,
                            &(struct msg_block){.id = op->block_id, .gs = op->gs});
}

/* ---- concat ---- */

/* The blocks of `from` go to the end of `to`. */
static void hand_over(struct nn_state *state, uint32_t from, uint32_t to)
{
    struct nn_inode *source = nn_inode(&state->tree.store, from);
    struct nn_inode *target = nn_inode(&state->tree.store, to);
    struct nn_blockmap *map = state->blocks->map;
    for (uint32_t b = source->first_block; b; b = block_at(state, b).next) {
        struct nn_block block = block_at(state, b);
        block.file = to;
        nn_blockmap_set(map, b, &block);
        if (block.want != target->replication)
            nn_blocks_set_want(state->blocks, b, (uint16_t)target->replication);
    }
    if (target->last_block) {
        struct nn_block last = block_at(state, target->last_block);
        last.next = source->first_block;
        nn_blockmap_set(map, target->last_block, &last);
    } else {
        target->first_block = source->first_block;
    }
    target->last_block = source->last_block;
    target->block_count += source->block_count;
    uint64_t len = source->len;
    source->first_block = source->last_block = NN_BLOCK_NONE;
    source->block_count = 0;
    nn_tree_set_len(&state->tree, from, 0);
    nn_tree_set_len(&state->tree, to, target->len + len);
}

int nn_apply_CONCAT(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_concat *op = record;
    uint32_t target = closed_file(state, op->file_id);
    int rc = target ? 0 : ERR_CORRUPT;
    (void)answer;
    for (size_t i = 0; rc == 0 && i < op->sources.n; i++) {
        uint32_t source = closed_file(state, op->sources.v[i]);
        if (!source || source == target || !nn_inode(&state->tree.store, source)->first_block)
            return ERR_CORRUPT;
        hand_over(state, source, target);
        rc = nn_apply_doom(state, source, op->at_ms);
    }
    if (rc == 0)
        nn_inode(&state->tree.store, target)->mtime_ms = op->at_ms & NN_TIME_MASK;
    return rc;
}
