/* SPDX-License-Identifier: Apache-2.0
 * The public calls on what is attached to files and directories. */
#include "client/lib/handle.h"
#include "libcommon/base/mem.h"

/* ---- extended attributes ---- */

static int change_xattr(struct qn_fs *fs, const char *path, struct cl2nn_set_xattr *wish,
                        struct qn_error *error)
{
    struct err err = {0};
    struct arena arena = ARENA_INIT;
    struct buf normal = BUF_INIT;
    int rc = cl_path(fs, path, &normal, &err);
    if (rc == 0)
        rc = cl_need(wish->name.data, "name", &err);
    if (rc == 0 && wish->value.len)
        rc = cl_need(wish->value.data, "value", &err);
    wish->origin = cl_origin(fs);
    wish->path = buf_slice(&normal);
    if (rc == 0)
        rc = cl_ask(fs, CL2NN_AT_SET_XATTR, wish, &arena, NULL, &err);
    arena_release(&arena);
    buf_release(&normal);
    return (int)cl_edge(rc, &err, error);
}

int qn_set_xattr(struct qn_fs *fs, const char *path, const char *name, const void *value,
                 size_t size, int flags, struct qn_error *error)
{
    struct cl2nn_set_xattr wish = {.name = slice_of(name, name ? strlen(name) : 0),
                                   .value = slice_of(value, size),
                                   .flags = (uint32_t)flags &
                                            (CL2NN_XATTR_CREATE | CL2NN_XATTR_REPLACE)};
    return change_xattr(fs, path, &wish, error);
}

int qn_remove_xattr(struct qn_fs *fs, const char *path, const char *name, struct qn_error *error)
{
    struct cl2nn_set_xattr wish = {.name = slice_of(name, name ? strlen(name) : 0),
                                   .flags = CL2NN_XATTR_REMOVE};
    return change_xattr(fs, path, &wish, error);
}

void qn_xattrs_release(struct qn_xattrs *xattrs)
{
    if (!xattrs)
        return;
    mem_free(xattrs->xattrs);
    *xattrs = (struct qn_xattrs){0};
}

/* All in one piece of memory: the rows, then names and values. */
static int copy_xattrs(const struct cl2nn_xattrs *from, struct qn_xattrs *ret)
{
    size_t bytes = from->xattrs.n * sizeof(*ret->xattrs);
    for (size_t i = 0; i < from->xattrs.n; i++)
        bytes += from->xattrs.v[i].name.len + from->xattrs.v[i].value.len + 1;
    uint8_t *all = mem_calloc(1, bytes + 1);
    if (!all)
        return ERR_NOMEM;
    *ret = (struct qn_xattrs){from->xattrs.n, (struct qn_xattr *)(void *)all};
    uint8_t *at = all + from->xattrs.n * sizeof(*ret->xattrs);
    for (size_t i = 0; i < from->xattrs.n; i++) {
        const struct cl2nn_xattr *x = &from->xattrs.v[i];
        memcpy(at, x->name.data, x->name.len);
        ret->xattrs[i].name = (const char *)at;
        at += x->name.len + 1;
        if (x->value.len)
            memcpy(at, x->value.data, x->value.len);
        ret->xattrs[i].value = at;
        ret->xattrs[i].size = x->value.len;
        at += x->value.len;
    }
    return 0;
}

int qn_get_xattrs(struct qn_fs *fs, const char *path, const char *name, struct qn_xattrs *ret,
                  struct qn_error *error)
{
    struct err err = {0};
    struct arena arena = ARENA_INIT;
    struct buf normal = BUF_INIT;
    struct slice one = slice_str(name ? name : "");
    struct cl2nn_xattrs answer = {0};
    int rc = cl_path(fs, path, &normal, &err);
    if (rc == 0)
        rc = cl_need(ret, "place for the answer", &err);
    const struct cl2nn_get_xattrs question = {buf_slice(&normal), {&one, name ? 1 : 0}};
    if (rc == 0)
        rc = cl_ask(fs, CL2NN_AT_GET_XATTRS, &question, &arena, &answer, &err);
    if (rc == 0 && (rc = copy_xattrs(&answer, ret)) != 0)
        err_set(&err, rc, "%s", err_text(rc));
    arena_release(&arena);
    buf_release(&normal);
    return (int)cl_edge(rc, &err, error);
}

/* ---- access control lists ---- */

void qn_acl_release(struct qn_acl *acl)
{
    if (!acl)
        return;
    mem_free(acl->entries);
    *acl = (struct qn_acl){0};
}

static char *put_word(char **at, struct slice word)
{
    char *start = *at;
    if (word.len)
        memcpy(start, word.data, word.len);
    *at += word.len + 1; /* the memory was zeroed */
    return start;
}

static int copy_acl(const struct cl2nn_acl *from, struct qn_acl *ret)
{
    size_t rows = (from->entries.n + 1) * sizeof(*ret->entries);
    size_t bytes = rows + from->owner.len + from->group.len + 2;
    for (size_t i = 0; i < from->entries.n; i++)
        bytes += from->entries.v[i].name.len + 1;
    struct qn_acl_entry *entries = mem_calloc(1, bytes);
    if (!entries)
        return ERR_NOMEM;
    char *at = (char *)entries + rows;
    *ret = (struct qn_acl){
        .mode = from->mode, .is_dir = from->is_dir, .count = from->entries.n, .entries = entries};
    ret->owner = put_word(&at, from->owner);
    ret->group = put_word(&at, from->group);
    for (size_t i = 0; i < from->entries.n; i++) {
        const struct cl2nn_acl_entry *e = &from->entries.v[i];
        entries[i] = (struct qn_acl_entry){put_word(&at, e->name), (enum qn_acl_type)e->type,
                                           e->perm, e->is_default};
    }
    return 0;
}

int qn_get_acl(struct qn_fs *fs, const char *path, struct qn_acl *ret, struct qn_error *error)
{
    struct err err = {0};
    struct arena arena = ARENA_INIT;
    struct buf normal = BUF_INIT;
    struct cl2nn_acl answer = {0};
    int rc = cl_path(fs, path, &normal, &err);
    if (rc == 0)
        rc = cl_need(ret, "place for the answer", &err);
    const struct cl2nn_path question = {buf_slice(&normal)};
    if (rc == 0)
        rc = cl_ask(fs, CL2NN_AT_GET_ACL, &question, &arena, &answer, &err);
    if (rc == 0 && (rc = copy_acl(&answer, ret)) != 0)
        err_set(&err, rc, "%s", err_text(rc));
    arena_release(&arena);
    buf_release(&normal);
    return (int)cl_edge(rc, &err, error);
}

int qn_set_acl(struct qn_fs *fs, const char *path, enum qn_acl_action action,
               const struct qn_acl_entry *entries, size_t count, struct qn_error *error)
{
    struct err err = {0};
    struct arena arena = ARENA_INIT;
    struct buf normal = BUF_INIT;
    struct cl2nn_set_acl wish = {.origin = cl_origin(fs), .action = (uint32_t)action};
    int rc = cl_path(fs, path, &normal, &err);
    if (rc == 0 && count)
        rc = cl_need(entries, "entries", &err);
    wish.path = buf_slice(&normal);
    wish.entries.v = mem_calloc(count + 1, sizeof(*wish.entries.v));
    if (rc == 0 && !wish.entries.v)
        rc = err_set(&err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = cl_need(entries[i].name, "name of an entry (\"\" = the owner's)", &err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        wish.entries.v[wish.entries.n++] =
            (struct cl2nn_acl_entry){entries[i].is_default, (uint32_t)entries[i].type,
                                     entries[i].perm, slice_str(entries[i].name)};
    if (rc == 0)
        rc = cl_ask(fs, CL2NN_AT_SET_ACL, &wish, &arena, NULL, &err);
    mem_free(wish.entries.v);
    arena_release(&arena);
    buf_release(&normal);
    return (int)cl_edge(rc, &err, error);
}
