/* SPDX-License-Identifier: Apache-2.0
 * check_quota: setting quotas, and what every other request would add to them. */
#include <inttypes.h>

#include "namenode/blocks/blocks.h"
#include "namenode/journal/check.h"
#include "namenode/namespace/quota.h"
#include "namenode/namespace/xattr.h"

#define QUOTA_TEXT_MAX 24

/* ---- setting ---- */

static int check_values(const struct cl2nn_set_quota *ask, struct err *err)
{
    if ((ask->names > 0 || ask->names == CL2NN_QUOTA_NONE) &&
        (ask->space >= 0 || ask->space == CL2NN_QUOTA_NONE))
        return 0;
    return err_set(err, ERR_INVAL, "Invalid values for quota : %" PRId64 " and %" PRId64,
                   ask->names, ask->space);
}

static int64_t merged(int64_t asked, uint64_t present)
{
    if (asked != CL2NN_QUOTA_KEEP)
        return asked;
    return present == NN_NO_QUOTA ? CL2NN_QUOTA_NONE : (int64_t)present;
}

/* As Hadoop names them in its refusals and its audit log. */
static const char *operation(const struct cl2nn_set_quota *ask)
{
    if (ask->names == CL2NN_QUOTA_KEEP)
        return ask->space == CL2NN_QUOTA_NONE ? "clearSpaceQuota" : "setSpaceQuota";
    return ask->names == CL2NN_QUOTA_NONE ? "clearQuota" : "setQuota";
}

static int reach_dir(const struct nn_view *view, struct slice path, struct nn_walk *walk,
                     struct err *err)
{
    int rc = nn_check_path(path, err);
    if (rc == ERR_INVAL)
        return rc;
    if (rc == 0)
        nn_tree_walk(&view->state->tree, path, walk);
    if (rc != 0 || !nn_walk_is_whole(walk))
        return err_set(err, ERR_NOENT, "Directory does not exist: " SLICE_FMT, SLICE_ARG(path));
    if (!nn_inode(&view->state->tree.store, nn_walk_last(walk))->is_dir)
        return err_set(err, ERR_NOTDIR, "`" SLICE_FMT "': Is not a directory", SLICE_ARG(path));
    return 0;
}

int nn_check_set_quota(const struct nn_view *view, const struct cl2nn_set_quota *ask,
                       struct op_set_quota *ret, struct err *err)
{
    struct nn_walk walk;
    int rc = nn_access_super(view->caller, operation(ask), err);
    if (rc == 0)
        rc = check_values(ask, err);
    if (rc == 0)
        rc = reach_dir(view, ask->path, &walk, err);
    if (rc != 0)
        return rc;
    struct nn_quota now = nn_quota_get(&view->state->tree, nn_walk_last(&walk));
    *ret = (struct op_set_quota){ask->origin, view->wall_ms, ask->path,
                                 merged(ask->names, now.names), merged(ask->space, now.space)};
    if (ret->names == merged(CL2NN_QUOTA_KEEP, now.names) &&
        ret->space == merged(CL2NN_QUOTA_KEEP, now.space))
        return NN_CHECK_NOTHING;
    return 0;
}

/* A text in an attribute, so that images and dumps need not know of it. */
int nn_check_set_type_quota(const struct nn_view *view, const struct cl2nn_set_type_quota *ask,
                            struct arena *arena, union nn_op_xattr *ret, struct err *err)
{
    const struct nn_tree *tree = &view->state->tree;
    enum nn_storage_type type = nn_storage_type_parse(ask->type);
    bool is_clear = ask->space == CL2NN_QUOTA_NONE;
    struct nn_walk walk;
    size_t count = 0;
    int rc = nn_access_super(view->caller, is_clear ? "clearSpaceQuota" : "setSpaceQuota", err);
    if (rc == 0 && type == NN_STORAGE_TYPES)
        rc = err_set(err, ERR_INVAL, "Don't support Quota for storage type : " SLICE_FMT,
                     SLICE_ARG(ask->type));
    if (rc == 0 && !is_clear && ask->space < 0)
        rc = err_set(err, ERR_INVAL, "Invalid values for quota : %" PRId64, ask->space);
    if (rc == 0)
        rc = reach_dir(view, ask->path, &walk, err);
    if (rc != 0)
        return rc;
    struct slice name = nn_quota_type_attr(type);
    bool is_there = nn_quota_of_type(tree, nn_walk_last(&walk), type) != NN_NO_QUOTA;
    if (is_clear) {
        ret->remove =
            (struct op_remove_xattr){ask->origin, view->wall_ms, ask->path, NN_XATTR_SYSTEM, name};
        return is_there ? 0 : NN_CHECK_NOTHING;
    }
    (void)nn_xattr_all(tree, nn_walk_last(&walk), &count);
    char *text = arena_alloc(arena, QUOTA_TEXT_MAX);
    if (!text)
        return err_set(err, ERR_NOMEM, "out of memory");
    snprintf(text, QUOTA_TEXT_MAX, "%" PRId64, ask->space);
    ret->set = (struct op_set_xattr){ask->origin,     view->wall_ms, ask->path,
                                     NN_XATTR_SYSTEM, name,          slice_str(text)};
    return is_there || count < NN_XATTR_MAX
               ? 0
               : err_set(err, ERR_LIMIT,
                         "Cannot add additional XAttr to inode, would exceed limit of %d",
                         NN_XATTR_MAX);
}

/* ---- what others add ---- */

/* All or nothing is made; the refusal tells of the first one that would be too much. */
int nn_check_quota_new(const struct nn_view *view, const struct nn_walk *walk, struct err *err)
{
    int64_t missing = (int64_t)walk->depth - walk->found;
    struct nn_growth by = {.names = missing};
    int rc = nn_quota_check(&view->state->tree, nn_walk_last(walk), 0, by, err);
    for (by.names = 1; rc == ERR_QUOTA && by.names < missing; by.names++)
        if (nn_quota_check(&view->state->tree, nn_walk_last(walk), 0, by, err) != 0)
            break;
    return rc;
}

int nn_check_quota_move(const struct nn_view *view, const struct nn_walk *from,
                        const struct nn_walk *to, struct err *err)
{
    const struct nn_tree *tree = &view->state->tree;
    struct nn_sums moved = nn_tree_sums(tree, nn_walk_last(from)), over = {0};
    uint32_t common = 0;
    while (common + 1 < to->depth && common + 1 <= from->found &&
           from->slots[common + 1] == to->slots[common + 1])
        common++;
    if (nn_walk_is_whole(to))
        over = nn_tree_sums(tree, nn_walk_last(to));
    struct nn_growth by = {.names = (int64_t)(moved.dirs + moved.files) -
                                    (int64_t)(over.dirs + over.files),
                           .space = (int64_t)(moved.space - over.space)};
    return nn_quota_check(tree, to->slots[to->depth - 1], to->slots[common], by, err);
}

int nn_check_quota_block(const struct nn_view *view, uint32_t slot, uint64_t previous_len,
                         struct err *err)
{
    const struct nn_tree *tree = &view->state->tree;
    const struct nn_inode *inode = nn_inode(&tree->store, slot);
    uint64_t len = inode->len;
    if (inode->last_block)
        len += previous_len - nn_blockmap_get(view->state->blocks->map, inode->last_block).len;
    uint64_t space = (len + nn_inode_block_size(inode)) * inode->replication;
    struct nn_growth by = {.space = (int64_t)(space - nn_tree_sums(tree, slot).space)};
    return nn_quota_check(tree, inode->parent, 0, by, err);
}

int nn_check_quota_append(const struct nn_view *view, uint32_t slot, struct err *err)
{
    const struct nn_tree *tree = &view->state->tree;
    const struct nn_inode *inode = nn_inode(&tree->store, slot);
    uint64_t size = nn_inode_block_size(inode);
    uint64_t len = nn_blockmap_get(view->state->blocks->map, inode->last_block).len;
    if (len >= size)
        return 0;
    struct nn_growth by = {.space = (int64_t)((size - len) * inode->replication)};
    return nn_quota_check(tree, inode->parent, 0, by, err);
}

int nn_check_quota_cut(const struct nn_view *view, uint32_t slot, uint64_t off, struct err *err)
{
    const struct nn_tree *tree = &view->state->tree;
    const struct nn_inode *inode = nn_inode(&tree->store, slot);
    int64_t by = (int64_t)(nn_inode_block_size(inode) + off) - (int64_t)inode->len;
    struct nn_growth growth = {.space = by * inode->replication};
    return nn_quota_check(tree, inode->parent, 0, growth, err);
}

int nn_check_quota_concat(const struct nn_view *view, uint32_t target, const uint32_t *sources,
                          size_t count, struct err *err)
{
    const struct nn_tree *tree = &view->state->tree;
    const struct nn_inode *inode = nn_inode(&tree->store, target);
    struct nn_growth by = {.names = -(int64_t)count};
    for (size_t i = 0; i < count; i++) {
        const struct nn_inode *source = nn_inode(&tree->store, sources[i]);
        by.space += (int64_t)source->len * ((int64_t)inode->replication - source->replication);
    }
    return nn_quota_check(tree, inode->parent, 0, by, err);
}

int nn_check_quota_replication(const struct nn_view *view, uint32_t slot, uint32_t replication,
                               struct err *err)
{
    const struct nn_tree *tree = &view->state->tree;
    const struct nn_inode *inode = nn_inode(&tree->store, slot);
    uint64_t space = nn_tree_sums(tree, slot).space;
    struct nn_growth by = {.space = (int64_t)(space / inode->replication * replication - space)};
    return nn_quota_check(tree, inode->parent, 0, by, err);
}
