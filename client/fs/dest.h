/* SPDX-License-Identifier: Apache-2.0
 * dest: commands with a destination (put, get, cp, mv ...): sources go into it when it is a
 * directory, become it when it is not there. */
#ifndef QUERN_FS_DEST_H
#define QUERN_FS_DEST_H

#include "client/fs/fs.h"
#include "client/fs/pool.h"
#include "client/fs/progress.h"

#define FS_HEAVY_BYTES (1U << 20) /* a longer file is a heavy job */

struct fs_dest {
    struct fs_item dst; /* where sources go now; deeper while the walk is */
    bool dst_is_new;    /* made by us: nothing can be in it */
    bool overwrite;     /* -f */
    bool direct;        /* -d: no ._COPYING_ */
    bool appends;       /* what is there is kept when the source begins with it */
    bool keep_times, keep_owner, keep_mode, keep_acl, keep_xattrs;
    bool removes_source; /* moveFromLocal */
    bool write_crc;      /* get -crc */
    uint32_t replication;
    /* What is done with one source (not a directory, unless the walk does not enter them); the
     * target is taken. */
    int (*process)(struct fs_run *run, struct fs_item *src, struct fs_item *target);
    struct fs_pool pool;
    struct fs_progress progress;
};
/* Such a command's state begins with a struct fs_dest. */

/* The last operand is the destination; a pattern must match one thing. */
int fs_dest_remote(struct fs_run *run);
int fs_dest_local(struct fs_run *run);
/* -t and -q of a copying command, "" and nonsense refused; then the pool and progress begin. */
int fs_dest_begin_copy(struct fs_run *run);
/* The pool of those: 0 threads = as many as are good for most. */
void fs_dest_begin_pool(struct fs_dest *dest, uint64_t threads, uint64_t queue);
void fs_dest_end(struct fs_run *run);

/* Rows of the command table. */
void fs_dest_arguments(struct fs_run *run, struct fs_items *items);
void fs_dest_argument(struct fs_run *run, struct fs_item *item);
int fs_dest_path(struct fs_run *run, struct fs_item *item);
int fs_dest_children(struct fs_run *run, struct fs_item *item);

/* Where `src` goes now: the item is the caller's. Asks whether it exists when `ask`. */
int fs_dest_target(struct fs_run *run, const struct fs_item *src, bool ask, struct fs_item *ret);

/* copy.c: process() of the copying commands: on the pool, when it has threads. */
int fs_copy_process(struct fs_run *run, struct fs_item *src, struct fs_item *target);
/* stdin to the target, which is taken. */
void fs_copy_stdin(struct fs_run *run, struct fs_item *target);
int fs_copy_attributes(struct fs_run *run, const struct fs_item *src, const struct fs_item *target);

#endif
