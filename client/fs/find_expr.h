/* SPDX-License-Identifier: Apache-2.0
 * find_expr: the expression of `find`: a chain of tests and actions, all joined by "and". Pure. */
#ifndef QUERN_FS_FIND_EXPR_H
#define QUERN_FS_FIND_EXPR_H

#include "client/fs/glob.h" /* struct qn_stat through item.h */

#define FS_FIND_STEPS_MAX 64

enum fs_find_kind {
    FS_FIND_NAME,
    FS_FIND_INAME,
    FS_FIND_TYPE,  /* f, d */
    FS_FIND_SIZE,  /* [+-]N[ckMGTP]: bytes, or the unit, of which a part counts as one */
    FS_FIND_MTIME, /* [+-]N: whole days since the last change */
    FS_FIND_MMIN,  /* the same in minutes */
    FS_FIND_USER,
    FS_FIND_GROUP,
    FS_FIND_PRINT, /* from here on: what is done */
    FS_FIND_PRINT0,
    FS_FIND_JSON,
};
#define FS_FIND_AS_JSON (-1) /* among the ends: no path and no end, but an object */
struct fs_find_step {
    enum fs_find_kind kind;
    struct fs_words patterns; /* NAME and INAME: one of them must match (braces written out) */
    const char *word;         /* TYPE, USER, GROUP; borrowed from argv */
    int sign;                 /* numbers: -1 less than, 0 exactly, 1 more than */
    uint64_t number, unit;
};

/* What an expression asks about. */
struct fs_find_entry {
    struct slice name;
    const struct qn_stat *stat;
    uint64_t now_ms;
};
struct fs_find_expr {
    size_t count;
    struct fs_find_step steps[FS_FIND_STEPS_MAX];
};

/* Without an action, -print is added. ERR_INVAL: "Unexpected argument: x";
 * ERR_USAGE: what is there is not whole. Release *ret in either case. */
int fs_find_parse(char *const *words, size_t count, struct fs_find_expr *ret, struct err *err);

void fs_find_release(struct fs_find_expr *expr);

/* What to print for this entry, in order: each '\n' or '\0' stands for the path with that end.
 * Returns how many. */
size_t fs_find_apply(const struct fs_find_expr *expr, const struct fs_find_entry *entry,
                     int ret_ends[FS_FIND_STEPS_MAX]);

#endif
