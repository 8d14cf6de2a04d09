/* SPDX-License-Identifier: Apache-2.0
 * clients_attrs: requests about what is attached to files and directories. */
#include "namenode/namespace/acl.h"
#include "namenode/namespace/xattr.h"
#include "namenode/serve/turn.h"

void nn_on_SET_XATTR(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_set_xattr *ask = message;
    struct nn_turn turn;
    union nn_op_xattr op;
    bool is_remove = ask->flags & CL2NN_XATTR_REMOVE;
    enum nn_op number = is_remove ? NN_OP_REMOVE_XATTR : NN_OP_SET_XATTR;
    nn_turn_begin(&turn, call, arg, is_remove ? "removeXAttr" : "setXAttr", ask->path);
    struct nn_wish change = {&ask->origin, number,
                             is_remove ? "remove XAttr entry on " : "set XAttr on ", NULL, ask};
    if (!nn_turn_may_change(&turn, &change))
        return;
    int rc = nn_check_set_xattr(&turn.view, ask, &number, &op, &turn.err);
    nn_turn_end(&turn, nn_turn_commit(&turn, rc, number, &op, NULL), NULL);
}

static int fill_xattr(struct nn_turn *turn, const struct nn_xattr *x, struct cl2nn_xattr *ret)
{
    const char *space = nn_xattr_space_name(x->space);
    size_t before = strlen(space) + 1;
    uint8_t *name = arena_alloc(rpc_call_arena(turn->call), before + x->name_len);
    if (!name)
        return err_set(&turn->err, ERR_NOMEM, "out of memory");
    memcpy(name, space, before - 1);
    name[before - 1] = '.';
    memcpy(name + before, x->bytes, x->name_len);
    ret->name = slice_of(name, before + x->name_len);
    ret->value = nn_turn_keep(turn, nn_xattr_value(x));
    return 0;
}

static int all_xattrs(struct nn_turn *turn, struct slice path, uint32_t slot,
                      struct cl2nn_xattrs *ret)
{
    size_t count = 0;
    int rc = 0;
    const struct nn_xattr *all = nn_xattr_all(&turn->nn->state.tree, slot, &count);
    for (size_t i = 0; rc == 0 && i < count; i++)
        if (nn_xattr_is_for(&turn->caller, path, all[i].space, nn_xattr_name(&all[i])))
            rc = fill_xattr(turn, &all[i], &ret->xattrs.v[ret->xattrs.n++]);
    return rc;
}

static int some_xattrs(struct nn_turn *turn, uint32_t slot, const struct cl2nn_get_xattrs *ask,
                       struct cl2nn_xattrs *ret)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < ask->names.n; i++) {
        enum nn_xattr_space space = NN_XATTR_USER;
        struct slice name;
        rc = nn_xattr_parse(ask->names.v[i], &space, &name, &turn->err);
        if (rc == 0 && !nn_xattr_is_for(&turn->caller, ask->path, space, name))
            rc = nn_xattr_refuse(space, name, &turn->err);
        if (rc != 0)
            break;
        const struct nn_xattr *x = nn_xattr_find(&turn->nn->state.tree, slot, space, name);
        rc = x ? fill_xattr(turn, x, &ret->xattrs.v[ret->xattrs.n++])
               : err_set(&turn->err, ERR_FAILED,
                         "At least one of the attributes provided was not found.");
    }
    return rc;
}

void nn_on_GET_XATTRS(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_get_xattrs *ask = message;
    struct cl2nn_xattrs answer = {0};
    struct nn_turn turn;
    struct nn_walk walk;
    nn_turn_begin(&turn, call, arg, "getXAttrs", ask->path);
    int rc = nn_check_reach(&turn.view, ask->path, &walk, &turn.err);
    if (rc == 0)
        rc = nn_access_path(&turn.nn->state.tree, &walk, &turn.caller, NN_R, &turn.err);
    if (rc == 0) {
        size_t room = ask->names.n ? ask->names.n : NN_XATTR_MAX;
        answer.xattrs.v = arena_calloc(rpc_call_arena(call), room, sizeof(*answer.xattrs.v));
        rc = answer.xattrs.v ? 0 : err_set(&turn.err, ERR_NOMEM, "out of memory");
    }
    if (rc == 0)
        rc = ask->names.n ? some_xattrs(&turn, nn_walk_last(&walk), ask, &answer)
                          : all_xattrs(&turn, ask->path, nn_walk_last(&walk), &answer);
    nn_turn_end(&turn, rc, &answer);
}

/* ---- access control lists ---- */

void nn_on_SET_ACL(struct rpc_call *call, const void *message, void *arg)
{
    static const char *const commands[] = {"modifyAclEntries", "removeAclEntries",
                                           "removeDefaultAcl", "removeAcl", "setAcl"};
    static const char *const wishes[] = {"modify ACL entries on ", "remove ACL entries on ",
                                         "remove default ACL entries on ", "remove ACL on ",
                                         "set ACL on "};
    const struct cl2nn_set_acl *ask = message;
    struct nn_turn turn;
    struct op_set_acl op;
    size_t action = ask->action % ARRAY_LEN(commands);
    nn_turn_begin(&turn, call, arg, commands[action], ask->path);
    struct nn_wish change = {&ask->origin, NN_OP_SET_ACL, wishes[action], NULL, ask};
    if (!nn_turn_may_change(&turn, &change))
        return;
    int rc = nn_check_set_acl(&turn.view, ask, rpc_call_arena(call), &op, &turn.err);
    nn_turn_end(&turn, nn_turn_commit(&turn, rc, NN_OP_SET_ACL, &op, NULL), NULL);
}

static int fill_acl(struct nn_turn *turn, uint32_t slot, struct cl2nn_acl *ret)
{
    const struct nn_inodes *store = &turn->nn->state.tree.store;
    const struct nn_inode *inode = nn_inode(store, slot);
    struct nn_acl_list stored;
    nn_acl_stored(&turn->nn->state.tree, slot, &stored);
    ret->entries.v =
        arena_calloc(rpc_call_arena(turn->call), stored.n + 1, sizeof(*ret->entries.v));
    if (!ret->entries.v)
        return err_set(&turn->err, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < stored.n; i++)
        ret->entries.v[ret->entries.n++] =
            (struct cl2nn_acl_entry){stored.v[i].is_default, stored.v[i].type, stored.v[i].perm,
                                     nn_turn_keep(turn, stored.v[i].name)};
    ret->owner = nn_intern_get(&store->people, inode->owner);
    ret->group = nn_intern_get(&store->people, inode->group);
    ret->mode = (uint32_t)inode->mode;
    ret->is_dir = inode->is_dir;
    return 0;
}

void nn_on_GET_ACL(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_path *ask = message;
    struct cl2nn_acl answer = {0};
    struct nn_turn turn;
    struct nn_walk walk;
    nn_turn_begin(&turn, call, arg, "getAclStatus", ask->path);
    int rc = nn_check_reach(&turn.view, ask->path, &walk, &turn.err);
    if (rc == 0)
        rc = fill_acl(&turn, nn_walk_last(&walk), &answer);
    nn_turn_end(&turn, rc, &answer);
}
