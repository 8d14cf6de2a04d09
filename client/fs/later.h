/* SPDX-License-Identifier: Apache-2.0
 * later: one request about one thing, sent while those before it are still under way, so that
 * 300,000 of them do not each wait for an fsync. What is said of them is said in their order, and
 * each finds the filesystem as if it had been alone:
 *
 *   a directory that the walk will enter is asked about at once;
 *   operands go side by side only while each is a sibling of the one before and comes behind it in
 *   the order of names (as a pattern gives them): no two of these are or contain the same;
 *   whatever else is said (fs_fail, fs_warn) waits until all before it has been said.
 *
 * The walk's thread alone calls what is here; `ask` runs on any. */
#ifndef QUERN_FS_LATER_H
#define QUERN_FS_LATER_H

#include "client/fs/fs.h"
#include "client/fs/pool.h"

struct fs_later;
struct fs_answer {
    int rc; /* negative: it failed, see err */
    struct qn_error err;
    char *text; /* for tell; freed behind it */
};

struct fs_request {
    /* The request itself. */
    void (*ask)(struct fs_run *run, struct fs_item *item, struct fs_answer *ret);
    /* In order, on the walk's thread: 0, or FS_STOP when a failure was told. */
    int (*tell)(struct fs_run *run, struct fs_item *item, const struct fs_answer *answer);
};

/* Has it asked and told, now or later; of what is told at once the outcome, else 0. `item` is
 * borrowed until the return. */
int fs_later(struct fs_run *run, struct fs_item *item, const struct fs_request *request);
/* Until all has been told. */
void fs_later_settle(struct fs_run *run);
/* The same, and the end of it. */
void fs_later_release(struct fs_run *run);

#endif
