/* SPDX-License-Identifier: Apache-2.0
 * apply_attrs: operations on what is attached to inodes. */
#include "namenode/journal/apply.h"
#include "namenode/namespace/acl.h"
#include "namenode/namespace/xattr.h"

static bool is_xattr(uint32_t space, struct slice name, struct slice value)
{
    return space < NN_XATTR_SPACES && name.len > 0 && name.len + value.len <= NN_XATTR_BYTES;
}

int nn_apply_SET_XATTR(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_set_xattr *op = record;
    (void)answer;
    uint32_t slot = nn_tree_find(&state->tree, op->path);
    size_t count = 0;
    if (!slot || !is_xattr(op->space, op->name, op->value))
        return ERR_CORRUPT;
    (void)nn_xattr_all(&state->tree, slot, &count);
    if (count >= NN_XATTR_MAX && !nn_xattr_find(&state->tree, slot, op->space, op->name))
        return ERR_CORRUPT;
    return nn_xattr_set(&state->tree, slot, op->space, op->name, op->value);
}

int nn_apply_REMOVE_XATTR(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_remove_xattr *op = record;
    (void)answer;
    uint32_t slot = nn_tree_find(&state->tree, op->path);
    if (!slot || !is_xattr(op->space, op->name, slice_of(NULL, 0)) ||
        !nn_xattr_remove(&state->tree, slot, op->space, op->name))
        return ERR_CORRUPT;
    return 0;
}

int nn_apply_SET_ACL(struct nn_state *state, const void *record, uint64_t *answer)
{
    const struct op_set_acl *op = record;
    (void)answer;
    struct nn_acl_list stored = {.n = 0};
    uint32_t slot = nn_tree_find(&state->tree, op->path);
    if (!slot || op->entries.n > 2 * NN_ACL_MAX)
        return ERR_CORRUPT;
    for (size_t i = 0; i < op->entries.n; i++) {
        const struct op_acl_entry *e = &op->entries.v[i];
        if (e->type >= NN_ACL_TYPES || e->perm > 7 ||
            (e->name.len && memchr(e->name.data, 0, e->name.len)))
            return ERR_CORRUPT;
        stored.v[stored.n++] =
            (struct nn_acl_item){e->is_default, (uint8_t)e->type, (uint8_t)e->perm, e->name};
    }
    if (!nn_acl_is_sound(&stored, nn_inode(&state->tree.store, slot)->is_dir))
        return ERR_CORRUPT;
    nn_inode(&state->tree.store, slot)->mode = op->mode & NN_MODE_MASK;
    state->tree.changes++;
    return nn_acl_store(&state->tree, slot, &stored);
}
