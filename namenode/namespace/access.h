/* SPDX-License-Identifier: Apache-2.0
 * access: who may do what, as Hadoop decides it and in Hadoop's words.
 *
 * POSIX bits of owner, group and others; x to pass through a directory; w and x on the directory to
 * add, rename or remove in it, and its sticky bit; a new inode's group is its parent's. The
 * superuser (who runs the namenode, and the members of the supergroup) may do everything. All
 * functions answer 0 or ERR_ACCESS with the line the user sees, such as Permission denied:
 * user=bob, access=WRITE, inode="/p":alice:supergroup:drwxr-xr-x */
#ifndef QUERN_NAMENODE_NAMESPACE_ACCESS_H
#define QUERN_NAMENODE_NAMESPACE_ACCESS_H

#include "namenode/namespace/tree.h"

struct nn_caller {
    struct slice user;
    const struct slice *groups;
    size_t group_count;
    bool is_super;
};

enum nn_access { NN_X = 1, NN_W = 2, NN_WX = 3, NN_R = 4, NN_RX = 5, NN_RW = 6, NN_RWX = 7 };

/* Pass through all directories of the walk but the last one found, when that is what is asked for
 * (the whole path exists). ERR_NOTDIR: a file is in the way, "/a/f (is not a directory)". */
int nn_access_traverse(const struct nn_tree *tree, const struct nn_walk *walk,
                       const struct nn_caller *caller, struct err *err);
/* Traverse, and `want` on what the whole path leads to. */
int nn_access_path(const struct nn_tree *tree, const struct nn_walk *walk,
                   const struct nn_caller *caller, enum nn_access want, struct err *err);
/* Traverse, and `want` on the directory that holds the last component, which exists; with the
 * sticky bit's rule when `want` has NN_W (rename, remove). */
int nn_access_parent(const struct nn_tree *tree, const struct nn_walk *walk,
                     const struct nn_caller *caller, enum nn_access want, struct err *err);
/* Traverse, and `want` on the deepest directory that exists above the last component (create). */
int nn_access_ancestor(const struct nn_tree *tree, const struct nn_walk *walk,
                       const struct nn_caller *caller, enum nn_access want, struct err *err);
/* `want` on every directory of the tree at the end of the path; with `skip_empty` empty ones do not
 * count (removing them needs nothing). With NN_W the sticky bit's rule holds too, for what lies in
 * each of them. Visits directories only, and what lies in sticky ones. */
int nn_access_below(const struct nn_tree *tree, const struct nn_walk *walk,
                    const struct nn_caller *caller, enum nn_access want, bool skip_empty,
                    struct err *err);
/* The same in steps, for trees so large that nobody should wait for all of it: where it stands.
 * When that place is gone it begins anew, a few times; then the rest is done in one step. */
#define NN_BELOW_RESTARTS 3
struct nn_below {
    uint64_t top, at; /* ids; at 0 = the top */
    uint64_t entry;   /* of a sticky `at`, seen last; 0 = none yet */
    unsigned restarts;
};
/* About `limit` directories, and entries of sticky ones, more. 1: there is more to look at; 0:
 * allowed, or the top is gone. */
int nn_access_below_step(const struct nn_tree *tree, struct nn_below *below,
                         const struct nn_caller *caller, enum nn_access want, bool skip_empty,
                         uint32_t limit, struct err *err);
/* Traverse, and be the owner. */
int nn_access_owner(const struct nn_tree *tree, const struct nn_walk *walk,
                    const struct nn_caller *caller, struct err *err);
int nn_access_super(const struct nn_caller *caller, const char *operation, struct err *err);

bool nn_caller_in_group(const struct nn_caller *caller, struct slice group);
/* "drwxr-xr-t" */
char *nn_access_bits(bool is_dir, uint32_t mode, char out[11]);

#endif
