/* SPDX-License-Identifier: Apache-2.0
 * check_xattr: setting and removing extended attributes. */
#include "namenode/journal/check.h"
#include "namenode/namespace/xattr.h"

bool nn_xattr_is_closing(uint32_t space, struct slice name)
{
    return space == NN_XATTR_SECURITY && slice_is(name, NN_XATTR_UNREADABLE);
}

bool nn_xattr_is_for(const struct nn_caller *caller, struct slice path, uint32_t space,
                     struct slice name)
{
    return space == NN_XATTR_USER || (space == NN_XATTR_TRUSTED && caller->is_super) ||
           (space == NN_XATTR_RAW && caller->is_super && nn_tree_is_raw(path)) ||
           nn_xattr_is_closing(space, name);
}

/* Once a file is closed to superusers it stays so, and there are no shades of it. */
static int check_closing(const struct cl2nn_set_xattr *ask, bool is_dir, struct err *err)
{
    if (ask->flags & CL2NN_XATTR_REMOVE)
        return err_set(err, ERR_ACCESS,
                       "The xattr 'security." NN_XATTR_UNREADABLE "' can not be deleted.");
    if (ask->value.len)
        return err_set(err, ERR_ACCESS,
                       "Attempt to set a value for 'security." NN_XATTR_UNREADABLE
                       "'. Values are not allowed for this xattr.");
    if (is_dir)
        return err_set(err, ERR_INVAL,
                       "Can only set 'security." NN_XATTR_UNREADABLE "' on a file.");
    return 0;
}

int nn_xattr_refuse(uint32_t space, struct slice name, struct err *err)
{
    return err_set(err, ERR_ACCESS, "User doesn't have permission for xattr: %s." SLICE_FMT,
                   nn_xattr_space_name((enum nn_xattr_space)space), SLICE_ARG(name));
}

/* In a sticky directory's own attributes only its owner writes: others may write to it to add. */
static int check_write(const struct nn_view *view, const struct nn_walk *walk, struct err *err)
{
    const struct nn_tree *tree = &view->state->tree;
    const struct nn_inode *inode = nn_inode(&tree->store, nn_walk_last(walk));
    if (inode->is_dir && (inode->mode & 01000U))
        return nn_access_owner(tree, walk, view->caller, err);
    return nn_access_path(tree, walk, view->caller, NN_W, err);
}

static int check_set(const struct nn_view *view, const struct cl2nn_set_xattr *ask, uint32_t slot,
                     const struct op_set_xattr *op, struct err *err)
{
    size_t count = 0;
    bool is_there = nn_xattr_find(&view->state->tree, slot, op->space, op->name) != NULL;
    (void)nn_xattr_all(&view->state->tree, slot, &count);
    if (is_there && !(ask->flags & CL2NN_XATTR_REPLACE))
        return err_set(err, ERR_EXIST,
                       "XAttr: " SLICE_FMT " already exists. The REPLACE flag must be specified.",
                       SLICE_ARG(op->name));
    if (!is_there && !(ask->flags & CL2NN_XATTR_CREATE))
        return err_set(err, ERR_NOENT,
                       "XAttr: " SLICE_FMT " does not exist. The CREATE flag must be specified.",
                       SLICE_ARG(op->name));
    if (!is_there && count >= NN_XATTR_MAX)
        return err_set(err, ERR_LIMIT,
                       "Cannot add additional XAttr to inode, would exceed limit of %d",
                       NN_XATTR_MAX);
    return 0;
}

static int check_name(const struct nn_view *view, const struct cl2nn_set_xattr *ask,
                      struct op_set_xattr *op, struct err *err)
{
    enum nn_xattr_space space = NN_XATTR_USER;
    int rc = nn_xattr_parse(ask->name, &space, &op->name, err);
    if (rc != 0)
        return rc;
    op->space = space;
    size_t size = op->name.len + ask->value.len;
    if (size > NN_XATTR_BYTES)
        return err_set(err, ERR_TOOBIG,
                       "The XAttr is too big. The maximum combined size of the name and value is "
                       "%d, but the total size is %zu",
                       NN_XATTR_BYTES, size);
    return nn_xattr_is_for(view->caller, ask->path, space, op->name)
               ? 0
               : nn_xattr_refuse(space, op->name, err);
}

int nn_check_set_xattr(const struct nn_view *view, const struct cl2nn_set_xattr *ask,
                       enum nn_op *ret_op, union nn_op_xattr *ret, struct err *err)
{
    struct op_set_xattr op = {
        .origin = ask->origin, .at_ms = view->wall_ms, .path = ask->path, .value = ask->value};
    struct nn_walk walk;
    bool is_remove = ask->flags & CL2NN_XATTR_REMOVE;
    int rc = check_name(view, ask, &op, err);
    if (rc == 0)
        rc = nn_check_reach(view, ask->path, &walk, err);
    if (rc == 0)
        rc = check_write(view, &walk, err);
    if (rc == 0 && nn_xattr_is_closing(op.space, op.name))
        rc = check_closing(ask, nn_inode(&view->state->tree.store, nn_walk_last(&walk))->is_dir,
                           err);
    if (rc == 0 && is_remove &&
        !nn_xattr_find(&view->state->tree, nn_walk_last(&walk), op.space, op.name))
        rc = err_set(err, ERR_FAILED, "No matching attributes found for remove operation");
    if (rc == 0 && !is_remove)
        rc = check_set(view, ask, nn_walk_last(&walk), &op, err);
    *ret_op = is_remove ? NN_OP_REMOVE_XATTR : NN_OP_SET_XATTR;
    if (is_remove)
        ret->remove = (struct op_remove_xattr){op.origin, op.at_ms, op.path, op.space, op.name};
    else
        ret->set = op;
    return rc;
}
