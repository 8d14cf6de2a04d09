/* SPDX-License-Identifier: Apache-2.0
 * extra: what only few inodes have, outside of them: quotas, access lists, attributes users
 * attach, room held for
 * a block being written. An inode that has something here says so with a bit (has_extra), so that
 * the others cost no search and no memory. The entry lives as long as the inode, or until nothing
 * is in it. */
#ifndef QUERN_NAMENODE_NAMESPACE_EXTRA_H
#define QUERN_NAMENODE_NAMESPACE_EXTRA_H

#include "namenode/namespace/inode.h"

#define NN_NO_QUOTA UINT64_MAX

struct nn_xattr;
struct nn_acl_entry;

struct nn_extra {
    struct hmap_node by_slot;
    uint32_t slot;
    uint64_t names_quota, space_quota; /* directories; NN_NO_QUOTA = none */
    struct nn_xattr *xattrs;           /* in order; xattr.h */
    struct nn_acl_entry *acl;          /* in order; acl.h */
    uint32_t xattr_count, acl_count;
    uint64_t reserved; /* files: bytes the last block may still grow by; not in the image */
};

struct nn_extra *nn_extra_find_entry(const struct nn_inodes *store, uint32_t slot);
/* NULL for the many that have none. */
static inline struct nn_extra *nn_extra_find(const struct nn_inodes *store, uint32_t slot)
{
    return nn_inode(store, slot)->has_extra ? nn_extra_find_entry(store, slot) : NULL;
}
/* The entry, made if there is none. ERR_NOMEM. */
int nn_extra_need(struct nn_inodes *store, uint32_t slot, struct nn_extra **ret);
/* Something was taken out of it: it goes when nothing is left. */
void nn_extra_trim(struct nn_inodes *store, struct nn_extra *extra);
/* The inode goes. */
void nn_extra_drop(struct nn_inodes *store, uint32_t slot);
void nn_extra_release(struct nn_inodes *store);

#endif
