/* SPDX-License-Identifier: Apache-2.0
 * tree: the namespace as one tree, and the changes it can take. Pure: every time, id and name comes
 * from the caller, so that the journal's replay builds the same tree.
 *
 * Whoever changes it has checked before that the change is allowed (existence, kinds, permissions,
 * limits): here a violated rule is a BUG, and only memory can fail. After every call sums of all
 * ancestors are right.
 *
 * Deleting a directory of a million files must not hold the loop. nn_tree_doom takes the top out of
 * its parent, at once and for everybody; nn_tree_reap then frees what hangs below in slices, in the
 * background. What is doomed is in no listing, in no image and cannot be found by path or id. */
#ifndef QUERN_NAMENODE_NAMESPACE_TREE_H
#define QUERN_NAMENODE_NAMESPACE_TREE_H

#include "libcommon/base/path.h"
#include "namenode/namespace/inode.h"

struct nn_tree {
    struct nn_inodes store;
    uint64_t next_id; /* of the next inode; goes up only */
    uint64_t changes; /* goes up when a directory, or something in a sticky one, appears, when
                       * something moves, and when somebody's rights change */
    uint32_t *doomed; /* tops waiting for the reaper */
    size_t doomed_count, doomed_cap;
    uint32_t reaping; /* where in the last of them the reaper stands; 0 = at its top */
};

/* With a root directory of that owner, group and mode. ERR_NOMEM. */
int nn_tree_init(struct nn_tree *tree, struct slice owner, struct slice group, uint32_t mode);
void nn_tree_release(struct nn_tree *tree);

/* ---- finding ---- */

/* A path taken apart: slots[0] is the root, slots[i] what the first i components lead to. */
struct nn_walk {
    uint32_t depth;                     /* components in the path */
    uint32_t found;                     /* how many of them exist */
    uint32_t slots[PATH_MAX_DEPTH + 1]; /* slots[0..found] */
    struct slice names[PATH_MAX_DEPTH]; /* names[i] leads from slots[i]; borrow the path */
};
static inline bool nn_walk_is_whole(const struct nn_walk *walk)
{
    return walk->found == walk->depth;
}
static inline uint32_t nn_walk_last(const struct nn_walk *walk) /* deepest that exists */
{
    return walk->slots[walk->found];
}

/* "/.reserved/raw/a" is another name of "/a", under which superusers see its raw attributes. */
bool nn_tree_is_raw(struct slice path);
bool nn_tree_is_root(struct slice path); /* by either name */

/* `path` is normal (base/path.h). Stops where a name is missing or a file is in the way. */
void nn_tree_walk(const struct nn_tree *tree, struct slice path, struct nn_walk *ret_walk);
uint32_t nn_tree_find(const struct nn_tree *tree, struct slice path); /* slot, 0 = none */
uint32_t nn_tree_find_id(const struct nn_tree *tree, uint64_t id);    /* slot, 0 = none or doomed */
bool nn_tree_is_attached(const struct nn_tree *tree, uint32_t slot);  /* does "/" lead to it? */
void nn_tree_path(const struct nn_tree *tree, uint32_t slot, struct buf *out);
struct nn_sums nn_tree_sums(const struct nn_tree *tree, uint32_t slot); /* files too */

/* ---- changing ---- */

struct nn_birth {
    uint64_t id; /* next_id is raised beyond it */
    bool is_dir;
    uint32_t mode;
    struct slice owner, group;
    uint64_t now_ms;       /* mtime of it and of the parent; atime of a file */
    uint32_t replication;  /* files */
    uint64_t block_size;   /* files; a multiple of 512 up to NN_BLOCK_SIZE_MAX */
    bool keep_parent_time; /* an image is being loaded */
};
int nn_tree_add(struct nn_tree *tree, uint32_t parent, struct slice name,
                const struct nn_birth *birth, uint32_t *ret_slot);
/* To another name, another directory, or both; the target name is free. After ERR_NOMEM the tree is
 * broken and must not be used on. */
int nn_tree_move(struct nn_tree *tree, uint32_t slot, uint32_t parent, struct slice name,
                 uint64_t now_ms);
int nn_tree_doom(struct nn_tree *tree, uint32_t slot, uint64_t now_ms); /* not the root */
void nn_tree_set_len(struct nn_tree *tree, uint32_t file, uint64_t len);
/* So many bytes may the file's last block still grow by: they count as space from now on.
 * ERR_NOMEM; giving back never fails. */
int nn_tree_reserve(struct nn_tree *tree, uint32_t file, uint64_t bytes);
void nn_tree_set_replication(struct nn_tree *tree, uint32_t file, uint32_t replication);
/* Negative leaves that one alone. */
void nn_tree_set_times(struct nn_tree *tree, uint32_t slot, int64_t mtime_ms, int64_t atime_ms);
/* An empty slice leaves that one alone. */
int nn_tree_set_owner(struct nn_tree *tree, uint32_t slot, struct slice owner, struct slice group);

/* ---- reaping ---- */

/* Called for every file just before it goes; its blocks are to be dropped. */
typedef void nn_tree_gone_fn(void *arg, uint32_t slot);
/* Free up to `limit` doomed inodes. True while there are more. */
bool nn_tree_reap(struct nn_tree *tree, uint32_t limit, nn_tree_gone_fn *gone, void *arg);

#endif
