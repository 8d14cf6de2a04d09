/* SPDX-License-Identifier: Apache-2.0
 * apply_publish: a job's output appears, in one operation. */
#include "namenode/journal/apply.h"
#include "namenode/namespace/acl.h"

#define TEMPORARY "_temporary"

/* Everything in the directory but _temporary goes. */
static int clear_out(struct nn_state *state, uint32_t out, uint64_t at_ms)
{
    const struct nn_children *children = &nn_dir(&state->tree.store, out)->children;
    uint32_t keep = nn_inodes_child(&state->tree.store, out, slice_str(TEMPORARY));
    while (children->count > (keep ? 1U : 0U)) {
        struct nn_cursor first = {0, 0};
        uint32_t slot = nn_children_next(children, &first);
        if (slot == keep)
            slot = nn_children_next(children, &first);
        int rc = nn_apply_doom(state, slot, at_ms);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int move_in(struct nn_state *state, uint32_t out, struct slice from, struct slice name,
                   uint64_t at_ms)
{
    uint32_t slot = nn_tree_find(&state->tree, from);
    if (!slot || nn_inode(&state->tree.store, slot)->is_dir || name.len == 0 ||
        name.len > NAME_MAX_BYTES || nn_inodes_child(&state->tree.store, out, name))
        return ERR_CORRUPT;
    return nn_tree_move(&state->tree, slot, out, name, at_ms);
}

static int make_success(struct nn_state *state, uint32_t out, const struct op_publish *op)
{
    uint32_t slot = 0;
    if (nn_inodes_child(&state->tree.store, out, slice_str("_SUCCESS")))
        return ERR_CORRUPT;
    struct nn_birth birth = {
        .id = op->success_id,
        .mode = op->mode,
        .owner = op->owner,
        .group = nn_intern_get(&state->tree.store.people, nn_inode(&state->tree.store, out)->group),
        .now_ms = op->at_ms,
        .replication = op->replication,
        .block_size = op->block_size,
    };
    int rc = nn_tree_add(&state->tree, out, slice_str("_SUCCESS"), &birth, &slot);
    return rc == 0 ? nn_acl_inherit(&state->tree, slot) : rc;
}

/* The job's temporary directory goes, and _temporary itself when no other job uses it. */
static int clear_temporary(struct nn_state *state, uint32_t out, const struct op_publish *op)
{
    uint32_t job = nn_tree_find(&state->tree, op->temporary);
    int rc = job ? nn_apply_doom(state, job, op->at_ms) : 0;
    uint32_t above = nn_inodes_child(&state->tree.store, out, slice_str(TEMPORARY));
    if (rc == 0 && above && nn_inode(&state->tree.store, above)->is_dir &&
        nn_dir(&state->tree.store, above)->children.count == 0)
        rc = nn_apply_doom(state, above, op->at_ms);
    return rc;
}

int nn_apply_PUBLISH(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_publish *op = record;
    uint32_t out = nn_tree_find(&state->tree, op->out);
    (void)answer;
    if (!out || !nn_inode(&state->tree.store, out)->is_dir ||
        !slice_eq(path_parent(path_parent(op->temporary)), op->out) ||
        op->success_id < state->tree.next_id)
        return ERR_CORRUPT;
    int rc = op->replace ? clear_out(state, out, op->at_ms) : 0;
    for (size_t i = 0; rc == 0 && i < op->winners.n; i++)
        rc = move_in(state, out, op->winners.v[i].from, op->winners.v[i].name, op->at_ms);
    if (rc == 0 && op->manifest.len)
        rc = move_in(state, out, op->manifest, slice_str("_MANIFEST"), op->at_ms);
    if (rc == 0)
        rc = make_success(state, out, op);
    if (rc == 0)
        rc = clear_temporary(state, out, op);
    return rc == 0 ? nn_jobs_put(&state->jobs, op->job, op->epoch) : rc;
}
