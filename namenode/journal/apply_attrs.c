/* SPDX-License-Identifier: Apache-2.0
 * apply_attrs: operations on what is attached to inodes. */
#include "namenode/journal/apply.h"
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
