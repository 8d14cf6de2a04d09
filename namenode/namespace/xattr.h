/* SPDX-License-Identifier: Apache-2.0
 * xattr: what users and programs attach to files and directories: named values in five spaces.
 * "user." is for whoever may read and write the inode, "trusted." for superusers, "raw." for
 * superusers who name the inode below /.reserved/raw; "security." and "system." are the
 * filesystem's own and cannot be set by a request, but for one that closes a file to superusers.
 * Kept in order of (space, name), at most NN_XATTR_MAX of an inode and NN_XATTR_BYTES for a name
 * with its value. */
#ifndef QUERN_NAMENODE_NAMESPACE_XATTR_H
#define QUERN_NAMENODE_NAMESPACE_XATTR_H

#include "namenode/namespace/extra.h"
#include "namenode/namespace/tree.h"

#define NN_XATTR_UNREADABLE "hdfs.unreadable.by.superuser" /* of "security.": closes a file */

#define NN_XATTR_MAX        32
#define NN_XATTR_BYTES      16384

enum nn_xattr_space {
    NN_XATTR_USER,
    NN_XATTR_TRUSTED,
    NN_XATTR_SECURITY,
    NN_XATTR_SYSTEM,
    NN_XATTR_RAW,
    NN_XATTR_SPACES
};
const char *nn_xattr_space_name(enum nn_xattr_space space); /* "user" */

struct nn_xattr {
    uint8_t *bytes; /* name, value */
    uint16_t name_len;
    uint16_t value_len;
    uint8_t space;
};
static inline struct slice nn_xattr_name(const struct nn_xattr *x)
{
    return slice_of(x->bytes, x->name_len);
}
static inline struct slice nn_xattr_value(const struct nn_xattr *x)
{
    return slice_of(x->bytes + x->name_len, x->value_len);
}

/* "user.color" taken apart; the space in any case. ERR_INVAL in Hadoop's words. */
int nn_xattr_parse(struct slice full, enum nn_xattr_space *ret_space, struct slice *ret_name,
                   struct err *err);

/* All of an inode, *ret_count of them; NULL when there are none. */
const struct nn_xattr *nn_xattr_all(const struct nn_tree *tree, uint32_t slot, size_t *ret_count);
const struct nn_xattr *nn_xattr_find(const struct nn_tree *tree, uint32_t slot,
                                     enum nn_xattr_space space, struct slice name); /* or NULL */
/* New or replaced; within the limits. ERR_NOMEM. */
int nn_xattr_set(struct nn_tree *tree, uint32_t slot, enum nn_xattr_space space, struct slice name,
                 struct slice value);
/* False: there is none of that name. */
bool nn_xattr_remove(struct nn_tree *tree, uint32_t slot, enum nn_xattr_space space,
                     struct slice name);

#endif
