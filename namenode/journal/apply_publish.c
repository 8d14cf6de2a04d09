/* SPDX-License-Identifier: Apache-2.0
 * apply_publish: a job's output appears, in one operation. */
#include "libcommon/base/buf.h"
#include "namenode/journal/apply.h"
#include "namenode/namespace/acl.h"

#define TEMPORARY "_temporary"
#define MANIFEST  "_MANIFEST"

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

/* The files in a directory go, what is in directories below stays. */
static int clear_files(struct nn_state *state, uint32_t dir, bool is_out, uint64_t at_ms)
{
    const struct nn_children *children = &nn_dir(&state->tree.store, dir)->children;
    struct nn_naming naming = nn_inodes_naming(&state->tree.store);
    struct nn_cursor at = {0, 0};
    uint32_t slot;
    while ((slot = nn_children_next(children, &at)) != 0) {
        struct slice name = nn_inode_name(&state->tree.store, slot);
        uint8_t kept[NAME_MAX_BYTES];
        if (nn_inode(&state->tree.store, slot)->is_dir ||
            (is_out && slice_has_prefix(name, slice_str(MANIFEST))))
            continue;
        memcpy(kept, name.data, name.len);
        int rc = nn_apply_doom(state, slot, at_ms);
        if (rc != 0)
            return rc;
        at = nn_children_after(children, &naming, slice_of(kept, name.len));
    }
    return 0;
}

/* OUT/NAME, in `path`. */
static struct slice below(struct slice out, struct slice name, struct buf *path)
{
    buf_clear(path);
    buf_append_slice(path, out);
    buf_append_byte(path, '/');
    buf_append_slice(path, name);
    return buf_slice(path);
}

/* Before anything moves in: winners come in order of name, those of a directory together. */
static int clear_directories(struct nn_state *state, const struct op_publish *op)
{
    struct buf path = BUF_INIT;
    uint32_t out = nn_tree_find(&state->tree, op->out), last = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < op->winners.n; i++) {
        struct slice dir = path_parent(below(op->out, op->winners.v[i].name, &path));
        uint32_t slot = buf_failed(&path) ? 0 : nn_tree_find(&state->tree, dir);
        rc = buf_failed(&path) ? ERR_NOMEM : 0;
        if (rc == 0 && slot && slot != last && nn_inode(&state->tree.store, slot)->is_dir)
            rc = clear_files(state, slot, slot == out, op->at_ms);
        last = slot;
    }
    buf_release(&path);
    return rc;
}

/* A file without a byte. */
static int make_file(struct nn_state *state, const struct op_publish *op, uint64_t id, uint32_t dir,
                     struct slice name)
{
    uint32_t slot = 0;
    struct nn_birth birth = {
        .id = id,
        .mode = op->mode,
        .owner = op->owner,
        .group = nn_intern_get(&state->tree.store.people, nn_inode(&state->tree.store, dir)->group),
        .now_ms = op->at_ms,
        .replication = op->replication,
        .block_size = op->block_size,
    };
    int rc = nn_tree_add(&state->tree, dir, name, &birth, &slot);
    return rc == 0 ? nn_acl_inherit(&state->tree, slot) : rc;
}

/* Finds the directory of OUT/NAME, or makes it. */
static int find_dir(struct nn_state *state, const struct op_publish *op, struct slice name,
                    uint64_t *next_id, uint32_t *ret_dir, struct slice *ret_last)
{
    struct buf path = BUF_INIT;
    struct nn_parents parents = {below(op->out, name, &path), op->owner, 0755, op->at_ms};
    int rc = buf_failed(&path) ? ERR_NOMEM : 0;
    if (rc == 0)
        rc = nn_apply_parents(state, &parents, next_id, ret_dir, ret_last);
    if (rc == 0) /* `path` goes: of `name` the same is left */
        *ret_last = path_name(name);
    if (rc == 0 && (ret_last->len == 0 || ret_last->len > NAME_MAX_BYTES ||
                    nn_inodes_child(&state->tree.store, *ret_dir, *ret_last)))
        rc = ERR_CORRUPT;
    buf_release(&path);
    return rc;
}

/* From nowhere ("") comes a file without a byte. */
static int move_in(struct nn_state *state, const struct op_publish *op, struct slice from,
                   struct slice name, uint64_t *next_id)
{
    uint32_t slot = from.len ? nn_tree_find(&state->tree, from) : 0, dir = 0;
    struct slice last;
    int rc = find_dir(state, op, name, next_id, &dir, &last);
    if (rc == 0 && from.len == 0)
        return make_file(state, op, (*next_id)++, dir, last);
    if (rc == 0 && (!slot || nn_inode(&state->tree.store, slot)->is_dir))
        rc = ERR_CORRUPT;
    return rc == 0 ? nn_tree_move(&state->tree, slot, dir, last, op->at_ms) : rc;
}

/* What stands before the winners come: none of the old, or what stays. */
static int make_room(struct nn_state *state, uint32_t out, const struct op_publish *op)
{
    int rc = op->replace ? clear_out(state, out, op->at_ms) : 0;
    if (op->by_directory)
        rc = clear_directories(state, op);
    uint32_t success = nn_inodes_child(&state->tree.store, out, slice_str("_SUCCESS"));
    return rc == 0 && op->keeps && success ? nn_apply_doom(state, success, op->at_ms) : rc;
}

static int make_success(struct nn_state *state, uint32_t out, const struct op_publish *op)
{
    if (nn_inodes_child(&state->tree.store, out, slice_str("_SUCCESS")))
        return ERR_CORRUPT;
    return make_file(state, op, op->success_id, out, slice_str("_SUCCESS"));
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

/* The output directory, which may be missing where no attempt wrote anything. */
static int find_out(struct nn_state *state, const struct op_publish *op, uint64_t *next_id,
                    uint32_t *ret)
{
    struct slice last;
    *ret = nn_tree_find(&state->tree, op->out);
    int rc = *ret ? 0 : find_dir(state, op, slice_str("_SUCCESS"), next_id, ret, &last);
    return rc == 0 && !nn_inode(&state->tree.store, *ret)->is_dir ? ERR_CORRUPT : rc;
}

int nn_apply_PUBLISH(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_publish *op = record;
    uint64_t next_id = op->first_dir_id ? op->first_dir_id : op->success_id; /* older: none */
    uint32_t out = 0;
    (void)answer;
    if (!slice_eq(path_parent(path_parent(op->temporary)), op->out) ||
        op->success_id < state->tree.next_id)
        return ERR_CORRUPT;
    struct slice manifest = op->manifest_name.len ? op->manifest_name : slice_str(MANIFEST);
    int rc = find_out(state, op, &next_id, &out);
    if (rc == 0)
        rc = make_room(state, out, op);
    for (size_t i = 0; rc == 0 && i < op->winners.n; i++)
        rc = move_in(state, op, op->winners.v[i].from, op->winners.v[i].name, &next_id);
    if (rc == 0 && (op->manifest.len || op->has_empty_manifest))
        rc = move_in(state, op, op->manifest, manifest, &next_id);
    if (rc == 0)
        rc = make_success(state, out, op);
    if (rc == 0)
        rc = clear_temporary(state, out, op);
    return rc == 0 ? nn_jobs_put(&state->jobs, op->job, op->epoch) : rc;
}
