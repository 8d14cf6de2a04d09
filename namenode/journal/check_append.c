/* SPDX-License-Identifier: Apache-2.0
 * check_append: may a file that is closed be written on, cut, or joined with others? */
#include <inttypes.h>
#include <stdlib.h>

#include "namenode/blocks/blocks.h"
#include "namenode/journal/apply.h"
#include "namenode/journal/check.h"

static struct nn_block block_at(const struct nn_view *view, uint32_t block)
{
    return nn_blockmap_get(view->state->blocks->map, block);
}

/* ---- append ---- */

static int append_target(const struct nn_view *view, const struct cl2nn_append *ask,
                         uint32_t *ret_slot, struct err *err)
{
    const struct nn_tree *tree = &view->state->tree;
    struct nn_walk walk;
    int rc = nn_check_path(ask->path, err);
    if (rc != 0)
        return rc;
    nn_tree_walk(tree, ask->path, &walk);
    rc = nn_access_traverse(tree, &walk, view->caller, err);
    if (rc != 0)
        return rc;
    *ret_slot = nn_walk_last(&walk);
    if (nn_walk_is_whole(&walk) && nn_inode(&tree->store, *ret_slot)->is_dir)
        return err_set(err, ERR_ISDIR,
                       "Cannot append to directory " SLICE_FMT "; already exists as a directory.",
                       SLICE_ARG(ask->path));
    if (!nn_walk_is_whole(&walk))
        return err_set(err, ERR_NOENT,
                       "Failed to append to non-existent file " SLICE_FMT " for client %s",
                       SLICE_ARG(ask->path), view->address);
    return nn_access_path(tree, &walk, view->caller, NN_W, err);
}

int nn_check_append(const struct nn_view *view, const struct cl2nn_append *ask,
                    struct op_append *ret, uint32_t *ret_takeover, struct err *err)
{
    uint32_t slot = 0;
    if (ask->origin.client == NN_LEASE_NAMENODE)
        return err_set(err, ERR_INVAL, "a writer has a client id other than %u", NN_LEASE_NAMENODE);
    int rc = append_target(view, ask, &slot, err);
    if (rc != 0)
        return rc;
    const struct nn_inode *inode = nn_inode(&view->state->tree.store, slot);
    const struct nn_opening what = {"APPEND_FILE", ask->path, ask->origin.client, slot};
    if (inode->is_open)
        return nn_check_held(view, &what, ret_takeover, err);
    *ret = (struct op_append){ask->origin, view->wall_ms, inode->id, 0, 0};
    if (!inode->last_block || ask->new_block)
        return 0;
    struct nn_block last = block_at(view, inode->last_block);
    if (last.len == 0 || last.len >= nn_inode_block_size(inode))
        return 0;
    rc = nn_check_quota_append(view, slot, err);
    ret->block_id = view->state->next_block_id;
    ret->gs = view->state->next_gs;
    return rc;
}

/* The file of this writer, with a block prepared for his append: that one. */
static int check_prepared(const struct nn_view *view, uint64_t file_id, uint64_t client,
                          const struct msg_block *said, struct err *err)
{
    uint32_t slot = 0;
    int rc = nn_check_writer(view, file_id, client, &slot, err);
    if (rc != 0)
        return rc;
    const struct nn_prepared *prepared = nn_prepareds_find(&view->state->prepared, file_id);
    if (!prepared || prepared->kind != NN_PREPARED_APPEND)
        return err_set(err, ERR_STALE, "no block is prepared for file %" PRIu64, file_id);
    struct nn_block block = block_at(view, prepared->block);
    if (block.id == said->id && block.gs == said->gs && said->len == prepared->len)
        return 0;
    return err_set(err, ERR_STALE,
                   "blk_%" PRIu64 "_%" PRIu64 " with %" PRIu64
                   " bytes is not the one prepared for file %" PRIu64 ": blk_%" PRIu64 "_%" PRIu64
                   " with %" PRIu64 " is",
                   said->id, said->gs, said->len, file_id, block.id, block.gs, prepared->len);
}

int nn_check_append_again(const struct nn_view *view, const struct cl2nn_again *ask,
                          struct op_prepare *ret, struct err *err)
{
    int rc = check_prepared(view, ask->file_id, ask->origin.client, &ask->block, err);
    if (rc == 0)
        *ret = (struct op_prepare){ask->origin, view->wall_ms, ask->file_id,
                                   view->state->next_block_id, view->state->next_gs};
    return rc;
}

int nn_check_switch(const struct nn_view *view, const struct cl2nn_switch *ask,
                    struct op_switch *ret, struct err *err)
{
    int rc = check_prepared(view, ask->file_id, ask->origin.client, &ask->block, err);
    if (rc != 0)
        return rc;
    uint32_t slot = nn_tree_find_id(&view->state->tree, ask->file_id);
    struct nn_block last = block_at(view, nn_inode(&view->state->tree.store, slot)->last_block);
    if (last.id != ask->last.id || last.gs != ask->last.gs || last.len != ask->last.len)
        return err_set(err, ERR_STALE,
                       "file %" PRIu64 " ends with blk_%" PRIu64 "_%" PRIu64 " of %" PRIu64
                       " bytes, not with blk_%" PRIu64 "_%" PRIu64 " of %" PRIu64,
                       ask->file_id, last.id, last.gs, last.len, ask->last.id, ask->last.gs,
                       ask->last.len);
    *ret = (struct op_switch){ask->origin, view->wall_ms, ask->file_id, ask->block.id};
    return 0;
}

/* ---- truncate ---- */

/* A file that is there, with these rights on it. */
static int reach_file(const struct nn_view *view, struct slice path, enum nn_access want,
                      struct nn_walk *walk, struct err *err)
{
    int rc = nn_check_reach(view, path, walk, err);
    if (rc == 0)
        rc = nn_access_path(&view->state->tree, walk, view->caller, want, err);
    return rc != 0 ? rc : nn_check_is_file(view, walk, path, err);
}

/* Is it being cut already? NN_CHECK_NOTHING: to the same length. */
static int check_under_way(const struct nn_view *view, const struct cl2nn_truncate *ask,
                           uint32_t slot, struct err *err)
{
    const struct nn_prepared *prepared =
        nn_prepareds_find(&view->state->prepared, nn_inode(&view->state->tree.store, slot)->id);
    if (!prepared || prepared->kind != NN_PREPARED_TRUNCATE)
        return 0;
    if (prepared->len == ask->len)
        return NN_CHECK_NOTHING;
    return err_set(err, ERR_LEASE,
                   "Failed to TRUNCATE_FILE " SLICE_FMT " for client_%016" PRIx64
                   " on %s because " SLICE_FMT " is being truncated.",
                   SLICE_ARG(ask->path), ask->origin.client, view->address, SLICE_ARG(ask->path));
}

int nn_check_truncate(const struct nn_view *view, const struct cl2nn_truncate *ask,
                      struct op_truncate *ret, bool *ret_is_done, uint32_t *ret_takeover,
                      struct err *err)
{
    struct nn_walk walk;
    *ret_is_done = false;
    int rc = reach_file(view, ask->path, NN_W, &walk, err);
    uint32_t slot = rc == 0 ? nn_walk_last(&walk) : 0;
    if (rc == 0)
        rc = check_under_way(view, ask, slot, err);
    if (rc != 0)
        return rc;
    const struct nn_inode *inode = nn_inode(&view->state->tree.store, slot);
    const struct nn_opening what = {"TRUNCATE_FILE", ask->path, ask->origin.client, slot};
    if (inode->is_open)
        return nn_check_held(view, &what, ret_takeover, err);
    *ret_is_done = inode->len == ask->len;
    if (inode->len == ask->len)
        return NN_CHECK_NOTHING;
    if (inode->len < ask->len)
        return err_set(err, ERR_INVAL,
                       "Cannot truncate to a larger file size. Current size: %" PRIu64
                       ", truncate size: %" PRIu64 ".",
                       (uint64_t)inode->len, ask->len);
    *ret = (struct op_truncate){ask->origin, view->wall_ms, inode->id, ask->len, 0, 0};
    struct nn_cut cut;
    nn_apply_find_cut(view->state, slot, ask->len, &cut);
    if (cut.off == ask->len)
        return 0;
    ret->block_id = view->state->next_block_id;
    ret->gs = view->state->next_gs;
    return nn_check_quota_cut(view, slot, cut.off, err);
}

/* ---- concat ---- */

static int concat_target(const struct nn_view *view, const struct cl2nn_concat *ask,
                         uint32_t *ret_slot, struct err *err)
{
    if (ask->sources.n == 0)
        return err_set(err, ERR_INVAL, "No sources given");
    struct nn_walk walk;
    int rc = reach_file(view, ask->path, NN_W, &walk, err);
    if (rc != 0)
        return rc;
    *ret_slot = nn_walk_last(&walk);
    if (nn_inode(&view->state->tree.store, *ret_slot)->is_open)
        return err_set(err, ERR_INVAL, "concat: target file " SLICE_FMT " is under construction",
                       SLICE_ARG(ask->path));
    return 0;
}

/* What is read and then gone must be readable and removable. */
static int concat_source(const struct nn_view *view, struct slice path, uint32_t *ret_slot,
                         struct err *err)
{
    struct nn_walk walk;
    int rc = reach_file(view, path, NN_R, &walk, err);
    if (rc == 0)
        rc = nn_access_parent(&view->state->tree, &walk, view->caller, NN_W, err);
    if (rc == 0)
        *ret_slot = nn_walk_last(&walk);
    return rc;
}

static int concat_pair(const struct nn_view *view, const struct cl2nn_concat *ask,
                       struct slice path, const struct nn_inode *target, uint32_t slot,
                       struct err *err)
{
    const struct nn_inode *source = nn_inode(&view->state->tree.store, slot);
    if (source->parent != target->parent)
        return err_set(err, ERR_INVAL,
                       "Source file " SLICE_FMT
                       " is not in the same directory with the target " SLICE_FMT,
                       SLICE_ARG(path), SLICE_ARG(ask->path));
    if (source == target)
        return err_set(err, ERR_INVAL,
                       "concat: the src file " SLICE_FMT
                       " is the same with the target file " SLICE_FMT,
                       SLICE_ARG(path), SLICE_ARG(ask->path));
    if (source->is_open || source->block_count == 0)
        return err_set(err, ERR_INVAL,
                       "concat: source file " SLICE_FMT " is invalid or empty or underConstruction",
                       SLICE_ARG(path));
    if (source->block_units > target->block_units)
        return err_set(err, ERR_INVAL,
                       "concat: source file " SLICE_FMT " has preferred block size %" PRIu64
                       " which is greater than the target file's preferred block size %" PRIu64,
                       SLICE_ARG(path), nn_inode_block_size(source), nn_inode_block_size(target));
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int check_twice(const uint64_t *ids, size_t count, struct arena *arena, struct err *err)
{
    uint64_t *sorted = arena_alloc(arena, count * sizeof(*sorted));
    if (!sorted)
        return err_set(err, ERR_NOMEM, "out of memory");
    memcpy(sorted, ids, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare_ids);
    for (size_t i = 1; i < count; i++)
        if (sorted[i] == sorted[i - 1])
            return err_set(err, ERR_INVAL, "concat: at least two of the source files are the same");
    return 0;
}

static int too_many(const struct nn_view *view, uint64_t blocks, struct err *err)
{
    return err_set(err, ERR_LIMIT,
                   "File has reached the limit on maximum number of blocks "
                   "(dfs.namenode.fs-limits.max-blocks-per-file): %" PRIu64 " > %u",
                   blocks, view->limits->max_blocks);
}

/* All told few enough blocks and bytes? */
static int check_sources(const struct nn_view *view, const struct op_concat *op,
                         const struct nn_inode *target, struct err *err)
{
    uint64_t blocks = target->block_count, len = target->len;
    for (size_t i = 0; i < op->sources.n; i++) {
        uint32_t slot = nn_tree_find_id(&view->state->tree, op->sources.v[i]);
        blocks += nn_inode(&view->state->tree.store, slot)->block_count;
        len += nn_inode(&view->state->tree.store, slot)->len;
    }
    if (blocks > view->limits->max_blocks)
        return too_many(view, blocks, err);
    if (len > NN_FILE_LEN_MAX)
        return err_set(err, ERR_LIMIT, "a file of %" PRIu64 " bytes is too long", len);
    return 0;
}

int nn_check_concat(const struct nn_view *view, const struct cl2nn_concat *ask, struct arena *arena,
                    struct op_concat *ret, struct err *err)
{
    uint32_t target = 0;
    int rc = concat_target(view, ask, &target, err);
    if (rc != 0)
        return rc;
    uint64_t *ids = arena_calloc(arena, ask->sources.n, sizeof(*ids));
    uint32_t *slots = arena_calloc(arena, ask->sources.n, sizeof(*slots));
    if (!ids || !slots)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (ask->sources.n > view->limits->max_blocks) /* each has a block at least */
        return too_many(view, ask->sources.n, err);
    const struct nn_inode *inode = nn_inode(&view->state->tree.store, target);
    for (size_t i = 0; rc == 0 && i < ask->sources.n; i++) {
        rc = concat_source(view, ask->sources.v[i], &slots[i], err);
        if (rc == 0)
            rc = concat_pair(view, ask, ask->sources.v[i], inode, slots[i], err);
        if (rc == 0)
            ids[i] = nn_inode(&view->state->tree.store, slots[i])->id;
    }
    if (rc == 0)
        rc = check_twice(ids, ask->sources.n, arena, err);
    if (rc != 0)
        return rc;
    *ret = (struct op_concat){.origin = ask->origin, .at_ms = view->wall_ms, .file_id = inode->id};
    ret->sources = (struct msg_u64s){ids, ask->sources.n};
    rc = check_sources(view, ret, inode, err);
    return rc == 0 ? nn_check_quota_concat(view, target, slots, ask->sources.n, err) : rc;
}
