/* SPDX-License-Identifier: Apache-2.0
 * apply_names: operations on names and attributes. */
#include "namenode/blocks/blocks.h"
#include "namenode/journal/apply.h"
#include "namenode/namespace/acl.h"
#include "namenode/namespace/quota.h"

/* New inodes take the group of the directory they are made in. */
static struct slice group_of(const struct nn_tree *tree, uint32_t slot)
{
    return nn_intern_get(&tree->store.people, nn_inode(&tree->store, slot)->group);
}

static int make_dir(struct nn_state *state, const struct nn_parents *how, uint32_t parent,
                    struct slice name, uint64_t id, uint32_t *ret_slot)
{
    struct nn_birth birth = {.id = id,
                             .is_dir = true,
                             .mode = how->mode,
                             .owner = how->owner,
                             .group = group_of(&state->tree, parent),
                             .now_ms = how->at_ms};
    int rc = nn_tree_add(&state->tree, parent, name, &birth, ret_slot);
    return rc == 0 ? nn_acl_inherit(&state->tree, *ret_slot) : rc;
}

int nn_apply_parents(struct nn_state *state, const struct nn_parents *parents, uint64_t *id,
                     uint32_t *ret_parent, struct slice *ret_name)
{
    struct nn_walk walk;
    nn_tree_walk(&state->tree, parents->path, &walk);
    if (walk.depth == 0 || *id < state->tree.next_id)
        return ERR_CORRUPT;
    uint32_t at = walk.found < walk.depth ? nn_walk_last(&walk) : walk.slots[walk.depth - 1];
    for (uint32_t i = walk.found; i < walk.depth; i++) {
        if (!nn_inode(&state->tree.store, at)->is_dir)
            return ERR_CORRUPT;
        if (i + 1 == walk.depth)
            break;
        int rc = make_dir(state, parents, at, walk.names[i], (*id)++, &at);
        if (rc != 0)
            return rc;
    }
    *ret_parent = at;
    *ret_name = walk.names[walk.depth - 1];
    return 0;
}

int nn_apply_doom(struct nn_state *state, uint32_t slot, uint64_t at_ms)
{
    const struct nn_inode *inode = nn_inode(&state->tree.store, slot);
    if (inode->is_open)
        nn_leases_remove(&state->leases, inode->id);
    return nn_tree_doom(&state->tree, slot, at_ms);
}

int nn_apply_MKDIR(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_mkdir *op = record;
    (void)answer;
    struct nn_parents parents = {op->path, op->owner, op->parent_mode, op->at_ms};
    uint64_t id = op->first_id;
    uint32_t slot = 0;
    struct slice name;
    int rc = nn_apply_parents(state, &parents, &id, &slot, &name);
    if (rc != 0)
        return rc;
    if (nn_inodes_child(&state->tree.store, slot, name))
        return ERR_CORRUPT;
    parents.mode = op->mode;
    return make_dir(state, &parents, slot, name, id, &slot);
}

static bool is_full_dir(const struct nn_state *state, uint32_t slot)
{
    return slot && nn_inode(&state->tree.store, slot)->is_dir &&
           nn_dir(&state->tree.store, slot)->children.count;
}

int nn_apply_RENAME(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_rename *op = record;
    (void)answer;
    uint32_t slot = nn_tree_find(&state->tree, op->from);
    uint32_t over = nn_tree_find(&state->tree, op->to);
    uint32_t parent = nn_tree_find(&state->tree, path_parent(op->to));
    if (!slot || slot == NN_ROOT || !parent || !nn_inode(&state->tree.store, parent)->is_dir ||
        op->to.len == 1 || path_is_under(op->to, op->from) || is_full_dir(state, over))
        return ERR_CORRUPT;
    int rc = over ? nn_apply_doom(state, over, op->at_ms) : 0;
    if (rc == 0)
        rc = nn_tree_move(&state->tree, slot, parent, path_name(op->to), op->at_ms);
    return rc;
}

int nn_apply_DELETE(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_delete *op = record;
    uint32_t slot = nn_tree_find(&state->tree, op->path);
    if (!slot || slot == NN_ROOT)
        return ERR_CORRUPT;
    answer[0] = 1;
    return nn_apply_doom(state, slot, op->at_ms);
}

int nn_apply_SET_TIMES(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_set_times *op = record;
    (void)answer;
    uint32_t slot = nn_tree_find(&state->tree, op->path);
    if (!slot)
        return ERR_CORRUPT;
    nn_tree_set_times(&state->tree, slot, op->mtime_ms, op->atime_ms);
    return 0;
}

int nn_apply_SET_REPLICATION(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_set_replication *op = record;
    (void)answer;
    uint32_t slot = nn_tree_find(&state->tree, op->path);
    if (!slot || nn_inode(&state->tree.store, slot)->is_dir || op->replication == 0 ||
        op->replication > NN_BLOCK_WANT_MAX)
        return ERR_CORRUPT;
    nn_tree_set_replication(&state->tree, slot, op->replication);
    uint32_t block = nn_inode(&state->tree.store, slot)->first_block;
    while (block) {
        uint32_t next = nn_blockmap_get(state->blocks->map, block).next;
        nn_blocks_set_want(state->blocks, block, (uint16_t)op->replication);
        block = next;
    }
    return 0; /* a prepared block learns of it when it takes its place */
}

int nn_apply_SET_MODE(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_set_mode *op = record;
    (void)answer;
    uint32_t slot = nn_tree_find(&state->tree, op->path);
    if (!slot)
        return ERR_CORRUPT;
    nn_inode(&state->tree.store, slot)->mode = op->mode & NN_MODE_MASK;
    state->tree.changes++;
    return 0;
}

int nn_apply_SET_OWNER(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_set_owner *op = record;
    (void)answer;
    uint32_t slot = nn_tree_find(&state->tree, op->path);
    if (!slot)
        return ERR_CORRUPT;
    state->tree.changes++;
    return nn_tree_set_owner(&state->tree, slot, op->owner, op->group);
}

int nn_apply_SET_QUOTA(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_set_quota *op = record;
    (void)answer;
    uint32_t slot = nn_tree_find(&state->tree, op->path);
    if (!slot || !nn_inode(&state->tree.store, slot)->is_dir || op->names == 0 || op->names < -1 ||
        op->space < -1)
        return ERR_CORRUPT;
    struct nn_quota quota = {op->names < 0 ? NN_NO_QUOTA : (uint64_t)op->names,
                             op->space < 0 ? NN_NO_QUOTA : (uint64_t)op->space};
    return nn_quota_set(&state->tree, slot, quota);
}
