/* SPDX-License-Identifier: Apache-2.0
 * quota: how many names and how many bytes (with all replicas) may be in a directory and below it.
 *
 * The sums are kept by tree, so asking costs a step per directory above. A directory counts itself
 * among its names: a quota of 1 keeps it empty. A block being written counts as a full one from the
 * moment it is given out (nn_tree_reserve), so writers together cannot pass a quota either. A quota
 * may be set below what is there; then nothing can be added, and removing is always allowed. The
 * root always has a quota of names, which without another is as good as none. */
#ifndef QUERN_NAMENODE_NAMESPACE_QUOTA_H
#define QUERN_NAMENODE_NAMESPACE_QUOTA_H

#include "namenode/namespace/extra.h"
#include "namenode/namespace/tree.h"

struct nn_quota {
    uint64_t names, space; /* NN_NO_QUOTA = none */
};

/* What a change would add; negative when it takes away. */
struct nn_growth {
    int64_t names, space;
};

struct nn_quota nn_quota_get(const struct nn_tree *tree, uint32_t dir);
int nn_quota_set(struct nn_tree *tree, uint32_t dir, struct nn_quota quota); /* ERR_NOMEM */

/* Quotas of space by type of storage. Every replica is on DISK; those of the others are kept for
 * who asks. They are attributes of the directory ("system.quota.DISK"), which no request can reach
 * otherwise. */
enum nn_storage_type { NN_SSD, NN_DISK, NN_ARCHIVE, NN_PROVIDED, NN_NVDIMM, NN_STORAGE_TYPES };
/* NN_STORAGE_TYPES: no such type (in any case of letters). */
enum nn_storage_type nn_storage_type_parse(struct slice name);
/* Name of the attribute, without its space. */
struct slice nn_quota_type_attr(enum nn_storage_type type);
/* NN_NO_QUOTA = none. */
uint64_t nn_quota_of_type(const struct nn_tree *tree, uint32_t dir, enum nn_storage_type type);

/* May that be added in `dir`? Asks it and every directory above, but from `common` on upwards (a
 * move changes nothing there; 0 = up to the root). ERR_QUOTA in Hadoop's words: "The NameSpace
 * quota (directories and files) of directory /d is exceeded: quota=1 file count=2", "The DiskSpace
 * quota of /d is exceeded: quota = 1024 B = 1 KB but diskspace consumed = 402653184 B = 384 MB". */
int nn_quota_check(const struct nn_tree *tree, uint32_t dir, uint32_t common, struct nn_growth by,
                   struct err *err);

#endif
