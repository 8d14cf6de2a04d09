/* SPDX-License-Identifier: Apache-2.0
 * find_expr: the expression of `find`: a chain of tests and actions, all joined by "and". Pure. */
#ifndef QUERN_FS_FIND_EXPR_H
#define QUERN_FS_FIND_EXPR_H

#include "client/fs/glob.h"

#define FS_FIND_STEPS_MAX 64

enum fs_find_kind { FS_FIND_NAME, FS_FIND_INAME, FS_FIND_PRINT, FS_FIND_PRINT0 };
struct fs_find_step {
    enum fs_find_kind kind;
    struct fs_words patterns; /* NAME and INAME: one of them must match (braces written out) */
};
struct fs_find_expr {
    size_t count;
    struct fs_find_step steps[FS_FIND_STEPS_MAX];
};

/* Without an action, -print is added. ERR_INVAL: "Unexpected argument: x";
 * ERR_USAGE: what is there is not whole. Release *ret in either case. */
int fs_find_parse(char *const *words, size_t count, struct fs_find_expr *ret, struct err *err);

void fs_find_release(struct fs_find_expr *expr);

/* What to print for a file of this name, in order: each '\n' or '\0' stands for the path with that
 * end. Returns how many. */
size_t fs_find_apply(const struct fs_find_expr *expr, struct slice name,
                     int ret_ends[FS_FIND_STEPS_MAX]);

#endif
