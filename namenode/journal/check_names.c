/* SPDX-License-Identifier: Apache-2.0
 * check_names: requests that change names and attributes. */
#include "namenode/journal/check.h"

void nn_limits_init(struct nn_limits *limits)
{
    *limits = (struct nn_limits){
        .default_replication = 3,
        .min_replication = 1,
        .max_replication = 512,
        .default_block_size = 128ULL << 20,
        .min_block_size = 1ULL << 20,
        .max_name = NAME_MAX_BYTES,
        .max_items = 1U << 20,
        .max_blocks = 10000,
        .lease_soft_ms = 60 * 1000,
        .atime_precision_ms = 3600 * 1000,
    };
}

/* ---- paths ---- */

static int name_too_long(struct slice path, struct slice name, uint32_t limit, struct err *err)
{
    size_t before = (size_t)(name.data - path.data);
    struct slice parent = slice_of(path.data, before > 1 ? before - 1 : before);
    return err_set(err, ERR_TOOBIG,
                   "The maximum path component name limit of " SLICE_FMT " in directory " SLICE_FMT
                   " is exceeded: limit=%u length=%zu",
                   SLICE_ARG(name), SLICE_ARG(parent), limit, name.len);
}

static int is_nowhere(struct slice path, struct err *err)
{
    return err_set(err, ERR_NOENT, "File does not exist: " SLICE_FMT, SLICE_ARG(path));
}

static int is_no_path(struct slice path, struct err *err)
{
    return err_set(err, ERR_INVAL, "Invalid path name: " SLICE_FMT, SLICE_ARG(path));
}

int nn_check_path(struct slice path, struct err *err)
{
    if (path_is_normal(path))
        return 0;
    return path_is_formed(path) ? is_nowhere(path, err) : is_no_path(path, err);
}

int nn_check_new_path(struct slice path, const char *verb, struct err *err)
{
    struct slice rest = path, name;
    size_t depth = 0;
    if (!path_is_formed(path))
        return is_no_path(path, err);
    while (path_next(&rest, &name))
        depth++;
    if (path.len <= PATH_MAX_BYTES && depth <= PATH_MAX_DEPTH)
        return 0;
    return err_set(err, ERR_TOOBIG, "%s: Pathname too long.  Limit %d characters, %d levels.", verb,
                   PATH_MAX_BYTES, PATH_MAX_DEPTH);
}

int nn_check_reach(const struct nn_view *view, struct slice path, struct nn_walk *ret,
                   struct err *err)
{
    int rc = nn_check_path(path, err);
    if (rc != 0)
        return rc;
    nn_tree_walk(&view->state->tree, path, ret);
    rc = nn_access_traverse(&view->state->tree, ret, view->caller, err);
    return rc == 0 && !nn_walk_is_whole(ret) ? is_nowhere(path, err) : rc;
}

int nn_check_is_file(const struct nn_view *view, const struct nn_walk *walk, struct slice path,
                     struct err *err)
{
    if (!nn_inode(&view->state->tree.store, nn_walk_last(walk))->is_dir)
        return 0;
    return err_set(err, ERR_ISDIR, "Path is not a file: " SLICE_FMT, SLICE_ARG(path));
}

/* What exists may be longer: the limit was another then. */
static int check_new_names(const struct nn_view *view, const struct nn_walk *walk, struct err *err)
{
    for (uint32_t i = walk->found; i < walk->depth; i++) {
        if (slice_is(walk->names[i], ".snapshot"))
            return err_set(err, ERR_INVAL, "\".snapshot\" is a reserved name.");
        if (i == 0 && slice_is(walk->names[i], ".reserved"))
            return err_set(err, ERR_INVAL,
                           "File name \".reserved\" is reserved and cannot be created. If this is "
                           "during upgrade change the name of the existing file or directory to "
                           "another name before upgrading to the new release.");
        struct slice path = slice_of(walk->names[0].data - 1, 1); /* only its beginning matters */
        if (walk->names[i].len > view->limits->max_name)
            return name_too_long(path, walk->names[i], view->limits->max_name, err);
    }
    return 0;
}

int nn_check_room(const struct nn_view *view, const struct nn_walk *walk, struct err *err)
{
    const struct nn_tree *tree = &view->state->tree;
    uint32_t parent = nn_walk_last(walk);
    uint32_t items = nn_dir(&tree->store, parent)->children.count;
    int rc = check_new_names(view, walk, err);
    if (rc != 0)
        return rc;
    if (items < view->limits->max_items)
        return 0;
    struct buf path = BUF_INIT;
    nn_tree_path(tree, parent, &path);
    rc = err_set(err, ERR_LIMIT,
                 "The directory item limit of " SLICE_FMT " is exceeded: limit=%u items=%u",
                 SLICE_ARG(buf_slice(&path)), view->limits->max_items, items + 1);
    buf_release(&path);
    return rc;
}

/* ---- mkdir ---- */

static int mkdir_target(const struct nn_view *view, const struct cl2nn_mkdir *ask,
                        const struct nn_walk *walk, struct err *err)
{
    const struct nn_tree *tree = &view->state->tree;
    if (!nn_walk_is_whole(walk)) {
        if (!ask->parents && walk->found + 1 < walk->depth)
            return err_set(err, ERR_NOENT, "Parent directory doesn't exist: " SLICE_FMT,
                           SLICE_ARG(path_parent(ask->path)));
        int rc = nn_access_ancestor(tree, walk, view->caller, NN_W, err);
        if (rc == 0)
            rc = nn_check_room(view, walk, err);
        return rc != 0 ? rc : nn_check_quota_new(view, walk, err);
    }
    if (nn_inode(&tree->store, nn_walk_last(walk))->is_dir && ask->parents)
        return NN_CHECK_NOTHING;
    return err_set(err, ERR_EXIST, SLICE_FMT " already exists", SLICE_ARG(ask->path));
}

int nn_check_mkdir(const struct nn_view *view, const struct cl2nn_mkdir *ask, struct op_mkdir *ret,
                   struct err *err)
{
    struct nn_walk walk;
    int rc = nn_check_new_path(ask->path, "mkdirs", err);
    if (rc != 0)
        return rc;
    nn_tree_walk(&view->state->tree, ask->path, &walk);
    rc = nn_access_traverse(&view->state->tree, &walk, view->caller, err);
    if (rc == 0)
        rc = mkdir_target(view, ask, &walk, err);
    if (rc != 0)
        return rc;
    uint32_t mode = nn_check_mode(view, nn_walk_last(&walk), ask->mode, ask->full_mode);
    *ret = (struct op_mkdir){
        ask->origin,       view->wall_ms, ask->path, view->state->tree.next_id, mode,
        mode | 0300U, /* who makes a path must be able to go on along it */
        view->caller->user};
    return 0;
}

/* ---- rename ---- */

static int rename_paths(const struct cl2nn_rename *ask, struct err *err)
{
    int rc = nn_check_new_path(ask->from, "rename", err);
    if (rc == 0)
        rc = nn_check_new_path(ask->to, "rename", err);
    if (rc != 0)
        return rc;
    if (nn_tree_is_raw(ask->from) != nn_tree_is_raw(ask->to))
        return err_set(err, ERR_INVAL,
                       "rename between " SLICE_FMT " and " SLICE_FMT
                       ": one name is below /.reserved/raw, the other is not",
                       SLICE_ARG(ask->from), SLICE_ARG(ask->to));
    if (nn_tree_is_root(ask->from))
        return err_set(err, ERR_INVAL, "rename source cannot be the root");
    if (nn_tree_is_root(ask->to))
        return err_set(err, ERR_EXIST, "rename destination cannot be the root");
    if (slice_eq(ask->from, ask->to))
        return err_set(err, ERR_EXIST,
                       "The source " SLICE_FMT " and destination " SLICE_FMT " are the same",
                       SLICE_ARG(ask->from), SLICE_ARG(ask->to));
    if (path_is_under(ask->to, ask->from))
        return err_set(err, ERR_INVAL,
                       "Rename destination " SLICE_FMT
                       " is a directory or file under source " SLICE_FMT,
                       SLICE_ARG(ask->to), SLICE_ARG(ask->from));
    return 0;
}

/* Something is at the destination already. */
static int rename_over(const struct nn_view *view, const struct cl2nn_rename *ask,
                       const struct nn_walk *from, const struct nn_walk *to, struct err *err)
{
    const struct nn_inodes *store = &view->state->tree.store;
    const struct nn_inode *source = nn_inode(store, nn_walk_last(from));
    const struct nn_inode *target = nn_inode(store, nn_walk_last(to));
    if (!ask->overwrite)
        return err_set(err, ERR_EXIST, "rename destination " SLICE_FMT " already exists",
                       SLICE_ARG(ask->to));
    if (source->is_dir != target->is_dir)
        return err_set(err, target->is_dir ? ERR_ISDIR : ERR_NOTDIR,
                       "Source " SLICE_FMT " and destination " SLICE_FMT
                       " must both be directories",
                       SLICE_ARG(ask->from), SLICE_ARG(ask->to));
    if (target->is_dir && nn_dir(store, nn_walk_last(to))->children.count)
        return err_set(err, ERR_NOTEMPTY, "rename destination directory is not empty: " SLICE_FMT,
                       SLICE_ARG(ask->to));
    return nn_access_parent(&view->state->tree, to, view->caller, NN_W, err);
}

static int rename_target(const struct nn_view *view, const struct cl2nn_rename *ask,
                         const struct nn_walk *from, const struct nn_walk *to, struct err *err)
{
    int rc = nn_access_ancestor(&view->state->tree, to, view->caller, NN_W, err);
    if (rc != 0)
        return rc;
    if (nn_walk_is_whole(to))
        return rename_over(view, ask, from, to, err);
    if (to->found + 1 < to->depth)
        return err_set(err, ERR_NOENT, "rename destination parent " SLICE_FMT " not found.",
                       SLICE_ARG(ask->to));
    return to->slots[to->found] == from->slots[from->found - 1] ? check_new_names(view, to, err)
                                                                : nn_check_room(view, to, err);
}

/* A name may have become another inode's since the caller made his: with an id it is his or none.
 */
static bool is_meant(const struct nn_view *view, const struct nn_walk *walk, uint64_t id)
{
    return id == 0 || nn_inode(&view->state->tree.store, nn_walk_last(walk))->id == id;
}

int nn_check_rename(const struct nn_view *view, const struct cl2nn_rename *ask,
                    struct op_rename *ret, struct err *err)
{
    const struct nn_tree *tree = &view->state->tree;
    struct nn_walk from, to;
    int rc = rename_paths(ask, err);
    if (rc != 0)
        return rc;
    nn_tree_walk(tree, ask->from, &from);
    nn_tree_walk(tree, ask->to, &to);
    rc = nn_access_parent(tree, &from, view->caller, NN_W, err);
    if (rc != 0)
        return rc;
    if (!nn_walk_is_whole(&from))
        return err_set(err, ERR_NOENT, "rename source " SLICE_FMT " is not found.",
                       SLICE_ARG(ask->from));
    if (!is_meant(view, &from, ask->id))
        return err_set(err, ERR_LEASE,
                       "rename source " SLICE_FMT " was replaced by another writer's file.",
                       SLICE_ARG(ask->from));
    rc = rename_target(view, ask, &from, &to, err);
    if (rc == 0)
        rc = nn_check_quota_move(view, &from, &to, err);
    if (rc == 0)
        *ret = (struct op_rename){ask->origin, view->wall_ms, ask->from, ask->to};
    return rc;
}

/* ---- delete ---- */

int nn_check_delete(const struct nn_view *view, const struct cl2nn_delete *ask,
                    struct op_delete *ret, struct err *err)
{
    const struct nn_tree *tree = &view->state->tree;
    struct nn_walk walk;
    int rc = nn_check_path(ask->path, err);
    if (rc != 0)
        return rc == ERR_NOENT ? NN_CHECK_NOTHING : rc;
    if (nn_tree_is_root(ask->path))
        return err_set(err, ERR_NOTPERM, "The root directory cannot be deleted");
    nn_tree_walk(tree, ask->path, &walk);
    rc = nn_access_parent(tree, &walk, view->caller, NN_W, err);
    if (rc != 0)
        return rc;
    if (!nn_walk_is_whole(&walk) || !is_meant(view, &walk, ask->id))
        return NN_CHECK_NOTHING;
    uint32_t slot = nn_walk_last(&walk);
    if (nn_inode(&tree->store, slot)->is_dir && nn_dir(&tree->store, slot)->children.count) {
        if (!ask->recursive)
            return err_set(err, ERR_NOTEMPTY, SLICE_FMT " is non empty", SLICE_ARG(ask->path));
        if (view->below != nn_inode(&tree->store, slot)->id)
            rc = nn_access_below(tree, &walk, view->caller, NN_RWX, true, err);
        if (rc != 0)
            return rc;
    }
    *ret = (struct op_delete){ask->origin, view->wall_ms, ask->path};
    return 0;
}

/* ---- attributes ---- */

int nn_check_set_times(const struct nn_view *view, const struct cl2nn_set_times *ask,
                       struct op_set_times *ret, struct err *err)
{
    struct nn_walk walk;
    int rc = nn_check_reach(view, ask->path, &walk, err);
    if (rc == 0 && ask->atime_ms >= 0 && view->limits->atime_precision_ms == 0)
        rc = err_set(err, ERR_UNSUPPORTED,
                     "Access time for hdfs is not configured.  Please set "
                     "dfs.namenode.accesstime.precision configuration parameter.");
    if (rc == 0)
        rc = nn_access_path(&view->state->tree, &walk, view->caller, NN_W, err);
    if (rc == 0)
        *ret = (struct op_set_times){ask->origin, view->wall_ms, ask->path, ask->mtime_ms,
                                     ask->atime_ms};
    return rc;
}

static int check_replication(const struct nn_limits *limits, uint32_t replication,
                             struct slice path, struct err *err)
{
    if (replication > limits->max_replication)
        return err_set(err, ERR_INVAL,
                       "Requested replication factor of %u exceeds maximum of %u for " SLICE_FMT,
                       replication, limits->max_replication, SLICE_ARG(path));
    if (replication < limits->min_replication)
        return err_set(err, ERR_INVAL,
                       "Requested replication factor of %u is less than the required minimum of "
                       "%u for " SLICE_FMT,
                       replication, limits->min_replication, SLICE_ARG(path));
    return 0;
}

int nn_check_set_replication(const struct nn_view *view, const struct cl2nn_set_replication *ask,
                             struct op_set_replication *ret, struct err *err)
{
    struct nn_walk walk;
    int rc = nn_check_reach(view, ask->path, &walk, err);
    if (rc == 0)
        rc = check_replication(view->limits, ask->replication, ask->path, err);
    if (rc == 0)
        rc = nn_access_path(&view->state->tree, &walk, view->caller, NN_W, err);
    if (rc == 0)
        rc = nn_check_is_file(view, &walk, ask->path, err);
    if (rc != 0)
        return rc;
    const struct nn_inode *inode = nn_inode(&view->state->tree.store, nn_walk_last(&walk));
    if (inode->replication == ask->replication)
        return NN_CHECK_NOTHING;
    rc = nn_check_quota_replication(view, nn_walk_last(&walk), ask->replication, err);
    if (rc != 0)
        return rc;
    *ret = (struct op_set_replication){ask->origin, view->wall_ms, ask->path, ask->replication};
    return 0;
}

int nn_check_set_mode(const struct nn_view *view, const struct cl2nn_set_mode *ask,
                      struct op_set_mode *ret, struct err *err)
{
    struct nn_walk walk;
    int rc = nn_check_reach(view, ask->path, &walk, err);
    if (rc == 0)
        rc = nn_access_owner(&view->state->tree, &walk, view->caller, err);
    if (rc == 0)
        *ret =
            (struct op_set_mode){ask->origin, view->wall_ms, ask->path, ask->mode & NN_MODE_MASK};
    return rc;
}

static int check_person(struct slice name, struct err *err)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] < 0x20 || name.data[i] == 0x7f)
            return err_set(err, ERR_INVAL, "a user's or group's name has no control characters");
    return name.len <= NAME_MAX_BYTES
               ? 0
               : err_set(err, ERR_INVAL, "a user's or group's name has at most %d bytes",
                         NAME_MAX_BYTES);
}

int nn_check_set_owner(const struct nn_view *view, const struct cl2nn_set_owner *ask,
                       struct op_set_owner *ret, struct err *err)
{
    const struct nn_caller *caller = view->caller;
    struct nn_walk walk;
    int rc = check_person(ask->owner, err);
    if (rc == 0)
        rc = check_person(ask->group, err);
    if (rc == 0)
        rc = nn_check_reach(view, ask->path, &walk, err);
    if (rc == 0)
        rc = nn_access_owner(&view->state->tree, &walk, caller, err);
    if (rc != 0)
        return rc;
    if (ask->owner.len && !caller->is_super && !slice_eq(ask->owner, caller->user))
        return err_set(err, ERR_ACCESS,
                       "User " SLICE_FMT " is not a super user (non-super user cannot change "
                       "owner).",
                       SLICE_ARG(caller->user));
    if (ask->group.len && !caller->is_super && !nn_caller_in_group(caller, ask->group))
        return err_set(err, ERR_ACCESS, "User " SLICE_FMT " does not belong to " SLICE_FMT,
                       SLICE_ARG(caller->user), SLICE_ARG(ask->group));
    *ret = (struct op_set_owner){ask->origin, view->wall_ms, ask->path, ask->owner, ask->group};
    return 0;
}
