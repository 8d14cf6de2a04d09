/* SPDX-License-Identifier: Apache-2.0
 * The public calls on what is attached to files and directories. */
#include "client/lib/handle.h"
#include "client/talk/namenode.h"
#include "libcommon/base/mem.h"

/* ---- extended attributes ---- */

static int change_xattr(struct qn_fs *fs, const char *path, struct cl2nn_set_xattr *wish,
                        struct qn_error *error)
{
    struct err err = {0};
    struct arena arena = ARENA_INIT;
    struct buf normal = BUF_INIT;
    int rc = cl_path(fs, path, &normal, &err);
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
    struct cl2nn_set_xattr wish = {.name = slice_str(name),
                                   .value = slice_of(value, size),
                                   .flags = (uint32_t)flags &
                                            (CL2NN_XATTR_CREATE | CL2NN_XATTR_REPLACE)};
    return change_xattr(fs, path, &wish, error);
}

int qn_remove_xattr(struct qn_fs *fs, const char *path, const char *name, struct qn_error *error)
{
    struct cl2nn_set_xattr wish = {.name = slice_str(name), .flags = CL2NN_XATTR_REMOVE};
    return change_xattr(fs, path, &wish, error);
}

void qn_xattrs_release(struct qn_xattrs *xattrs)
{
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
    const struct cl2nn_get_xattrs question = {buf_slice(&normal), {&one, name ? 1 : 0}};
    if (rc == 0)
        rc = cl_ask(fs, CL2NN_AT_GET_XATTRS, &question, &arena, &answer, &err);
    if (rc == 0 && (rc = copy_xattrs(&answer, ret)) != 0)
        err_set(&err, rc, "%s", err_text(rc));
    arena_release(&arena);
    buf_release(&normal);
    return (int)cl_edge(rc, &err, error);
}
