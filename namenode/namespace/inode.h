/* SPDX-License-Identifier: Apache-2.0
 * inode: what the namenode keeps of a file or a directory, and the store they live in.
 *
 * An inode is one cache line, known inside the process by its slot (u32) and to everybody else by
 * its id (u64, never used again). A file costs these 64 bytes, 4 + 2 in the two hash tables, 4 to 6
 * in its directory's order, and its name: under 96 for a name of 12 bytes. A directory has 80 bytes
 * more, among them sums over all that is below it, kept up with every change: so the summary of a
 * tree of a hundred million files is read, not counted.
 *
 * This module stores, links and finds; sums, times and deletion are tree's affair, and who may do
 * what access's. Slots differ from one run to the next: nothing outside the process may hold one.
 */
#ifndef QUERN_NAMENODE_NAMESPACE_INODE_H
#define QUERN_NAMENODE_NAMESPACE_INODE_H

#include "libcommon/base/hmap.h"
#include "libcommon/base/lhash.h"
#include "libcommon/base/slab.h"
#include "namenode/namespace/children.h"
#include "namenode/namespace/intern.h"
#include "namenode/namespace/names.h"

#define NN_ROOT            1U /* slot of "/" */
#define NN_ROOT_ID         1U

#define NN_TIME_MASK       ((1ULL << 48) - 1)
#define NN_MODE_MASK       01777U
#define NN_BLOCK_SIZE_UNIT 512U /* of block_units */
#define NN_BLOCK_SIZE_MAX  ((uint64_t)NN_BLOCK_SIZE_UNIT * 0xFFFFFF)
#define NN_FILE_LEN_MAX    ((1ULL << 48) - 1)

struct nn_inode {
    uint64_t id : 48;
    uint64_t mode : 12; /* permission bits and sticky: 01777 */
    uint64_t is_dir : 1;
    uint64_t is_open : 1;   /* a file somebody writes: a lease has it */
    uint64_t is_doomed : 1; /* top of a tree that was deleted and waits for the reaper */
    uint64_t has_extra : 1; /* quotas and the like: extra.h */
    uint64_t mtime_ms : 48;
    uint64_t owner : 16; /* intern numbers */
    uint64_t atime_ms : 48;
    uint64_t group : 16;
    uint64_t len : 48; /* files: what readers may count on */
    uint64_t replication : 16;
    union {
        struct {
            uint32_t first_block; /* files: block map indexes; chained there */
            uint32_t last_block;
        };
        uint32_t dir; /* directories: index in dirs */
    };
    uint64_t block_units : 24; /* files: block size in NN_BLOCK_SIZE_UNIT */
    uint64_t block_count : 24;
    uint64_t spare_file : 16;
    uint32_t name;           /* in names */
    uint32_t parent;         /* slot; of the root and of a doomed top: 0 */
    uint32_t by_name, by_id; /* chains of the two hash tables */
};
_Static_assert(sizeof(struct nn_inode) == 64, "an inode is one cache line");

/* Sums over a directory and everything below it. A directory counts itself. */
struct nn_sums {
    uint64_t dirs, files;
    uint64_t len;   /* bytes of files */
    uint64_t space; /* bytes times replication */
};

/* What only directories have. */
struct nn_dir {
    struct nn_children children;
    struct nn_sums sums;
    uint32_t first_subdir, next_subdir, prev_subdir; /* slots: subdirectories, in no order */
    uint32_t in_use;                                 /* 0 in a freed one */
};

struct nn_inodes {
    struct slab inodes; /* struct nn_inode */
    struct slab dirs;   /* struct nn_dir */
    struct lhash by_name, by_id;
    struct nn_names names;
    struct nn_intern people; /* users and groups */
    struct hmap extras;      /* struct nn_extra */
};

int nn_inodes_init(struct nn_inodes *store); /* empty: not even a root. ERR_NOMEM */
void nn_inodes_release(struct nn_inodes *store);

/* A new inode, to be found by id, with no name or place yet. ERR_NOMEM, ERR_LIMIT. */
int nn_inodes_add(struct nn_inodes *store, uint64_t id, bool is_dir, uint32_t *ret_slot);
/* Must be unlinked, a directory empty. */
void nn_inodes_remove(struct nn_inodes *store, uint32_t slot);

/* While an image is loaded, in order: names and ids are entered into the hashes at the end, all at
 * once; until then none is found. ERR_EXIST: an id was there twice. */
void nn_inodes_defer(struct nn_inodes *store);
int nn_inodes_build(struct nn_inodes *store);

/* Give it a name in a directory where no such name is. ERR_NOMEM, ERR_LIMIT: nothing changed. */
int nn_inodes_link(struct nn_inodes *store, uint32_t slot, uint32_t parent, struct slice name);
void nn_inodes_unlink(struct nn_inodes *store, uint32_t slot);
/* The last entry of a directory, unlinked; 0 when there is none. No searching: for the reaper. */
uint32_t nn_inodes_unlink_last(struct nn_inodes *store, uint32_t parent);

/* 0 = there is none. `parent` must be a directory. */
uint32_t nn_inodes_child(const struct nn_inodes *store, uint32_t parent, struct slice name);
uint32_t nn_inodes_by_id(const struct nn_inodes *store, uint64_t id);
struct nn_naming nn_inodes_naming(const struct nn_inodes *store); /* borrows the store */
size_t nn_inodes_bytes(const struct nn_inodes *store); /* directories' orders not counted */

static inline struct nn_inode *nn_inode(const struct nn_inodes *store, uint32_t slot)
{
    return slab_at(&store->inodes, slot);
}
static inline struct nn_dir *nn_dir(const struct nn_inodes *store, uint32_t slot)
{
    return slab_at(&store->dirs, nn_inode(store, slot)->dir);
}
static inline struct slice nn_inode_name(const struct nn_inodes *store, uint32_t slot)
{
    return nn_names_get(&store->names, nn_inode(store, slot)->name);
}
static inline uint64_t nn_inode_block_size(const struct nn_inode *inode)
{
    return (uint64_t)inode->block_units * NN_BLOCK_SIZE_UNIT;
}

#endif
