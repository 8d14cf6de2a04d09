/* SPDX-License-Identifier: Apache-2.0
 * check_acl: changing access control lists. */
#include "libcommon/base/mem.h"
#include "namenode/journal/check.h"
#include "namenode/namespace/acl.h"

uint32_t nn_check_mode(const struct nn_view *view, uint32_t dir, uint32_t mode, uint32_t full_mode)
{
    bool takes_full =
        full_mode && !view->limits->umask_always && nn_acl_has_default(&view->state->tree, dir);
    return (takes_full ? full_mode : mode) & NN_MODE_MASK;
}

static int read_spec(const struct cl2nn_set_acl *ask, struct nn_acl_list *ret, struct err *err)
{
    if (ask->entries.n > 2 * NN_ACL_MAX)
        return err_set(err, ERR_INVAL,
                       "Invalid ACL: ACL spec has %zu entries, which exceeds maximum of %d.",
                       ask->entries.n, 2 * NN_ACL_MAX);
    for (ret->n = 0; ret->n < ask->entries.n; ret->n++) {
        const struct cl2nn_acl_entry *e = &ask->entries.v[ret->n];
        if (e->type >= NN_ACL_TYPES || e->perm > 7 || e->name.len > NAME_MAX_BYTES ||
            (e->name.len && memchr(e->name.data, 0, e->name.len)))
            return err_set(err, ERR_INVAL, "Invalid ACL: an entry that makes no sense");
        ret->v[ret->n] =
            (struct nn_acl_item){e->is_default, (uint8_t)e->type, (uint8_t)e->perm, e->name};
    }
    return 0;
}

static int check_who(const struct nn_view *view, const struct cl2nn_set_acl *ask,
                     struct nn_walk *walk, struct err *err)
{
    int rc = nn_check_reach(view, ask->path, walk, err);
    return rc != 0 ? rc : nn_access_owner(&view->state->tree, walk, view->caller, err);
}

static int fill(const struct nn_acl_list *stored, struct arena *arena, struct op_set_acl *ret,
                struct err *err)
{
    ret->entries.v = arena_calloc(arena, stored->n + 1, sizeof(*ret->entries.v));
    if (!ret->entries.v)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < stored->n; i++)
        ret->entries.v[ret->entries.n++] = (struct op_acl_entry){
            stored->v[i].is_default, stored->v[i].type, stored->v[i].perm, stored->v[i].name};
    return 0;
}

int nn_check_set_acl(const struct nn_view *view, const struct cl2nn_set_acl *ask,
                     struct arena *arena, struct op_set_acl *ret, struct err *err)
{
    const struct nn_tree *tree = &view->state->tree;
    struct nn_acl_list now, spec, wanted, stored;
    struct nn_walk walk;
    int rc = read_spec(ask, &spec, err);
    if (rc == 0)
        rc = check_who(view, ask, &walk, err);
    if (rc != 0)
        return rc;
    uint32_t slot = nn_walk_last(&walk);
    const struct nn_inode *inode = nn_inode(&tree->store, slot);
    nn_acl_logical(tree, slot, &now);
    struct err why;
    rc = nn_acl_edit(&now, (enum nn_acl_action)ask->action, &spec, &wanted, &why);
    if (rc != 0)
        return err_set(err, rc, "%s Path: " SLICE_FMT, why.msg, SLICE_ARG(ask->path));
    if (!inode->is_dir && wanted.v[wanted.n - 1].is_default)
        return err_set(err, ERR_INVAL,
                       "Invalid ACL: only directories may have a default ACL. Path: " SLICE_FMT,
                       SLICE_ARG(ask->path));
    *ret = (struct op_set_acl){.origin = ask->origin, .at_ms = view->wall_ms, .path = ask->path};
    ret->mode = nn_acl_split(&wanted, (uint32_t)inode->mode, &stored);
    return fill(&stored, arena, ret, err);
}
