/* SPDX-License-Identifier: Apache-2.0
 * clients_names: requests about names and attributes. */
#include "namenode/namespace/acl.h"
#include "namenode/namespace/quota.h"
#include "namenode/serve/turn.h"

/* ---- changes ---- */

void nn_on_MKDIR(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_mkdir *ask = message;
    struct nn_turn turn;
    struct op_mkdir op;
    nn_turn_begin(&turn, call, arg, "mkdirs", ask->path);
    struct nn_wish change = {&ask->origin, NN_OP_MKDIR, "create directory ", NULL, ask};
    if (!nn_turn_may_change(&turn, &change))
        return;
    int rc = nn_check_mkdir(&turn.view, ask, &op, &turn.err);
    nn_turn_end(&turn, nn_turn_commit(&turn, rc, NN_OP_MKDIR, &op, NULL), NULL);
}

void nn_on_RENAME(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_rename *ask = message;
    struct nn_turn turn;
    struct op_rename op;
    nn_turn_begin(&turn, call, arg, "rename", ask->from);
    turn.target = ask->to;
    struct nn_wish change = {&ask->origin, NN_OP_RENAME, "rename ", NULL, ask};
    if (!nn_turn_may_change(&turn, &change))
        return;
    int rc = nn_check_rename(&turn.view, ask, &op, &turn.err);
    nn_turn_end(&turn, nn_turn_commit(&turn, rc, NN_OP_RENAME, &op, NULL), NULL);
}

void nn_on_DELETE(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_delete *ask = message;
    struct nn_turn turn;
    struct op_delete op;
    nn_turn_begin(&turn, call, arg, "delete", ask->path);
    struct nn_wish change = {&ask->origin, NN_OP_DELETE, "delete ", nn_turn_repeat_yes, ask};
    struct nn_look look = {"delete", ask->path, NN_RWX, true, nn_on_DELETE, ask};
    if (!nn_turn_may_change(&turn, &change) ||
        (ask->recursive && nn_turn_look_below(&turn, arg, &look)))
        return;
    int rc = nn_check_delete(&turn.view, ask, &op, &turn.err);
    struct cl2nn_yes yes = {rc == 0};
    nn_turn_end(&turn, nn_turn_commit(&turn, rc, NN_OP_DELETE, &op, NULL), &yes);
}

void nn_on_SET_TIMES(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_set_times *ask = message;
    struct nn_turn turn;
    struct op_set_times op;
    nn_turn_begin(&turn, call, arg, "setTimes", ask->path);
    struct nn_wish change = {&ask->origin, NN_OP_SET_TIMES, "set times ", NULL, ask};
    if (!nn_turn_may_change(&turn, &change))
        return;
    int rc = nn_check_set_times(&turn.view, ask, &op, &turn.err);
    nn_turn_end(&turn, nn_turn_commit(&turn, rc, NN_OP_SET_TIMES, &op, NULL), NULL);
}

void nn_on_SET_REPLICATION(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_set_replication *ask = message;
    struct nn_turn turn;
    struct op_set_replication op;
    nn_turn_begin(&turn, call, arg, "setReplication", ask->path);
    struct nn_wish change = {&ask->origin, NN_OP_SET_REPLICATION, "set replication for ", NULL,
                             ask};
    if (!nn_turn_may_change(&turn, &change))
        return;
    int rc = nn_check_set_replication(&turn.view, ask, &op, &turn.err);
    nn_turn_end(&turn, nn_turn_commit(&turn, rc, NN_OP_SET_REPLICATION, &op, NULL), NULL);
}

void nn_on_SET_MODE(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_set_mode *ask = message;
    struct nn_turn turn;
    struct op_set_mode op;
    nn_turn_begin(&turn, call, arg, "setPermission", ask->path);
    struct nn_wish change = {&ask->origin, NN_OP_SET_MODE, "set permission for ", NULL, ask};
    if (!nn_turn_may_change(&turn, &change))
        return;
    int rc = nn_check_set_mode(&turn.view, ask, &op, &turn.err);
    nn_turn_end(&turn, nn_turn_commit(&turn, rc, NN_OP_SET_MODE, &op, NULL), NULL);
}

void nn_on_SET_OWNER(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_set_owner *ask = message;
    struct nn_turn turn;
    struct op_set_owner op;
    nn_turn_begin(&turn, call, arg, "setOwner", ask->path);
    struct nn_wish change = {&ask->origin, NN_OP_SET_OWNER, "set owner for ", NULL, ask};
    if (!nn_turn_may_change(&turn, &change))
        return;
    int rc = nn_check_set_owner(&turn.view, ask, &op, &turn.err);
    nn_turn_end(&turn, nn_turn_commit(&turn, rc, NN_OP_SET_OWNER, &op, NULL), NULL);
}

void nn_on_SET_QUOTA(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_set_quota *ask = message;
    struct nn_turn turn;
    struct op_set_quota op;
    nn_turn_begin(&turn, call, arg, "setQuota", ask->path);
    struct nn_wish change = {&ask->origin, NN_OP_SET_QUOTA, "set quota on ", NULL, ask};
    if (!nn_turn_may_change(&turn, &change))
        return;
    int rc = nn_check_set_quota(&turn.view, ask, &op, &turn.err);
    nn_turn_end(&turn, nn_turn_commit(&turn, rc, NN_OP_SET_QUOTA, &op, NULL), NULL);
}

void nn_on_SET_TYPE_QUOTA(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_set_type_quota *ask = message;
    struct nn_turn turn;
    union nn_op_xattr op;
    enum nn_op number = ask->space == CL2NN_QUOTA_NONE ? NN_OP_REMOVE_XATTR : NN_OP_SET_XATTR;
    nn_turn_begin(&turn, call, arg, "setSpaceQuota", ask->path);
    struct nn_wish change = {&ask->origin, number, "set quota on ", NULL, ask};
    if (!nn_turn_may_change(&turn, &change))
        return;
    int rc = nn_check_set_type_quota(&turn.view, ask, rpc_call_arena(call), &op, &turn.err);
    nn_turn_end(&turn, nn_turn_commit(&turn, rc, number, &op, NULL), NULL);
}

/* ---- questions ---- */

static void fill_file(struct nn_turn *turn, uint32_t slot, struct slice name, struct msg_file *ret)
{
    const struct nn_inodes *store = &turn->nn->state.tree.store;
    const struct nn_inode *inode = nn_inode(store, slot);
    *ret = (struct msg_file){
        .name = name,
        .id = inode->id,
        .is_dir = inode->is_dir,
        .mtime_ms = inode->mtime_ms,
        .mode = (uint32_t)inode->mode,
        .owner = nn_intern_get(&store->people, inode->owner),
        .group = nn_intern_get(&store->people, inode->group),
        .has_acl = nn_acl_has_any(&turn->nn->state.tree, slot),
    };
    ret->atime_ms = inode->atime_ms;
    if (inode->is_dir) {
        ret->children = nn_dir(store, slot)->children.count;
        return;
    }
    ret->len = inode->len;
    ret->replication = (uint32_t)inode->replication;
    ret->block_size = nn_inode_block_size(inode);
    ret->is_open = inode->is_open;
    ret->blocks = inode->block_count;
}

void nn_on_STAT(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_stat *ask = message;
    struct nn_turn turn;
    struct nn_walk walk;
    struct msg_file file = {0};
    nn_turn_begin(&turn, call, arg, ask->want ? "checkAccess" : "getfileinfo", ask->path);
    int rc = nn_check_reach(&turn.view, ask->path, &walk, &turn.err);
    if (rc == 0 && ask->want)
        rc = nn_access_path(&turn.nn->state.tree, &walk, &turn.caller,
                            (enum nn_access)(ask->want & NN_RWX), &turn.err);
    if (rc == 0)
        fill_file(&turn, nn_walk_last(&walk), ask->path, &file);
    nn_turn_end(&turn, rc, &file);
}

static int list_dir(struct nn_turn *turn, uint32_t slot, struct slice after, uint32_t limit,
                    struct cl2nn_listing *ret)
{
    const struct nn_inodes *store = &turn->nn->state.tree.store;
    const struct nn_children *children = &nn_dir(store, slot)->children;
    struct nn_naming naming = nn_inodes_naming(store);
    struct nn_cursor at = nn_children_after(children, &naming, after);
    uint32_t left = nn_children_left(children, at), count = left < limit ? left : limit;
    ret->files.v = arena_alloc(rpc_call_arena(turn->call), count * sizeof(struct msg_file));
    if (!ret->files.v)
        return err_set(&turn->err, ERR_NOMEM, "out of memory");
    for (ret->files.n = 0; ret->files.n < count; ret->files.n++) {
        uint32_t child = nn_children_next(children, &at);
        struct slice name = nn_turn_keep(turn, nn_inode_name(store, child));
        fill_file(turn, child, name, &ret->files.v[ret->files.n]);
    }
    ret->remaining = left - count;
    return 0;
}

/* A file lists itself. */
static int list_file(struct nn_turn *turn, uint32_t slot, struct slice after,
                     struct cl2nn_listing *ret)
{
    ret->files.v = arena_alloc(rpc_call_arena(turn->call), sizeof(struct msg_file));
    if (!ret->files.v)
        return err_set(&turn->err, ERR_NOMEM, "out of memory");
    ret->files.n = after.len == 0;
    fill_file(turn, slot, slice_of(NULL, 0), ret->files.v);
    return 0;
}

void nn_on_LIST(struct rpc_call *call, const void *message, void *arg)
{
    const struct nn_clients *clients = arg;
    const struct cl2nn_list *ask = message;
    struct nn_turn turn;
    struct nn_walk walk;
    struct cl2nn_listing listing = {0};
    nn_turn_begin(&turn, call, arg, "listStatus", ask->path);
    const struct nn_tree *tree = &turn.nn->state.tree;
    uint32_t limit = ask->limit && ask->limit < clients->ls_limit ? ask->limit : clients->ls_limit;
    int rc = nn_check_reach(&turn.view, ask->path, &walk, &turn.err);
    if (rc == 0 && !nn_inode(&tree->store, nn_walk_last(&walk))->is_dir)
        rc = list_file(&turn, nn_walk_last(&walk), ask->start_after, &listing);
    else if (rc == 0) {
        rc = nn_access_path(tree, &walk, &turn.caller, NN_RX, &turn.err);
        if (rc == 0)
            rc = list_dir(&turn, nn_walk_last(&walk), ask->start_after, limit, &listing);
    }
    nn_turn_end(&turn, rc, &listing);
}

void nn_on_SUMMARY(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_path *ask = message;
    struct nn_turn turn;
    struct nn_walk walk;
    uint64_t *types = arena_calloc(rpc_call_arena(call), NN_STORAGE_TYPES, sizeof(*types));
    struct cl2nn_summary summary = {
        .quota = -1, .space_quota = -1, .type_quotas = {types, types ? NN_STORAGE_TYPES : 0}};
    nn_turn_begin(&turn, call, arg, "contentSummary", ask->path);
    struct nn_look look = {"contentSummary", ask->path, NN_RX, false, nn_on_SUMMARY, ask};
    if (nn_turn_look_below(&turn, arg, &look))
        return;
    const struct nn_tree *tree = &turn.nn->state.tree;
    int rc = nn_check_reach(&turn.view, ask->path, &walk, &turn.err);
    if (rc == 0 && !types)
        rc = err_set(&turn.err, ERR_NOMEM, "out of memory");
    if (rc == 0 && turn.view.below != nn_inode(&tree->store, nn_walk_last(&walk))->id)
        rc = nn_access_below(tree, &walk, &turn.caller, NN_RX, false, &turn.err);
    if (rc == 0) {
        struct nn_sums sums = nn_tree_sums(tree, nn_walk_last(&walk));
        summary.dirs = sums.dirs;
        summary.files = sums.files;
        summary.length = sums.len;
        summary.space = sums.space;
        struct nn_quota quota = nn_quota_get(tree, nn_walk_last(&walk));
        summary.quota = quota.names == NN_NO_QUOTA ? -1 : (int64_t)quota.names;
        summary.space_quota = quota.space == NN_NO_QUOTA ? -1 : (int64_t)quota.space;
        for (unsigned t = 0; t < NN_STORAGE_TYPES; t++)
            types[t] = nn_quota_of_type(tree, nn_walk_last(&walk), (enum nn_storage_type)t);
    }
    nn_turn_end(&turn, rc, &summary);
}
