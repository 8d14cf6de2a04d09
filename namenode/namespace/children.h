/* SPDX-License-Identifier: Apache-2.0
 * children: the entries of one directory in byte order of their names, always.
 *
 * A two-level tree: leaves of up to 256 slots under one array. Adding, removing and finding a
 * place cost a binary search; a page of a listing costs what the page is long, in a directory of a
 * million as in one of ten. Nothing is sorted when somebody lists, and the first listing of a huge
 * directory is as quick as the others. Names that arrive in order fill the leaves completely (4
 * bytes an entry, random ones about 6); a small directory is one allocation of the size it needs.
 */
#ifndef QUERN_NAMENODE_NAMESPACE_CHILDREN_H
#define QUERN_NAMENODE_NAMESPACE_CHILDREN_H

#include "libcommon/base/slice.h"

#define NN_LEAF_MAX 256

struct nn_leaf {
    uint32_t *slots;
    uint16_t count, cap;
};

struct nn_children {
    union {
        struct nn_leaf one; /* leaf_cap == 0: the only leaf */
        struct nn_leaf *many;
    } at;
    uint32_t leaf_count, leaf_cap; /* of `many` */
    uint32_t count;                /* entries */
};

/* How a slot is called. */
struct nn_naming {
    struct slice (*name)(const void *arg, uint32_t slot);
    const void *arg;
};

/* A place between entries; good until the next change. */
struct nn_cursor {
    uint32_t leaf, at;
};

void nn_children_release(struct nn_children *children); /* all zero again, which is "empty" */
/* No entry of that name is there yet. ERR_NOMEM: nothing changed. */
int nn_children_add(struct nn_children *children, const struct nn_naming *naming, uint32_t slot);
void nn_children_remove(struct nn_children *children, const struct nn_naming *naming,
                        uint32_t slot); /* must be there */

/* The last entry, 0 when empty: whoever takes all away begins at the end, where it is cheapest. */
uint32_t nn_children_last(const struct nn_children *children);
void nn_children_drop_last(struct nn_children *children);

/* Before the first entry whose name is greater than `name` (the first of all for ""). */
struct nn_cursor nn_children_after(const struct nn_children *children,
                                   const struct nn_naming *naming, struct slice name);
/* The entry there, and one step on; 0 at the end. */
uint32_t nn_children_next(const struct nn_children *children, struct nn_cursor *cursor);
/* Entries from there to the end. */
uint32_t nn_children_left(const struct nn_children *children, struct nn_cursor cursor);

size_t nn_children_bytes(const struct nn_children *children);

#endif
