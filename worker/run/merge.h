/* SPDX-License-Identifier: Apache-2.0
 * merge: many sorted cursors as one, by a tournament tree of losers.
 *
 *                 winner
 *                   |            each inner node holds the loser of its match: after the winner
 *                [ 2 ]           moved on, only the matches on its path to the root are played
 *               /     \          again, one comparison per level
 *            [ 0 ]   [ 3 ]
 *            /  \     /  \
 *           0    1   2    3      leaves: cursors, each with its record's prefix
 *
 * A match is decided by the prefixes (eight bytes of key, kept in the nodes), seldom by the whole
 * keys; equal keys by the cursors' numbers. So with cursors in order of (map, spill) the records
 * come out in order of (key, map, sequence), always the same. */
#ifndef QUERN_WORKER_RUN_MERGE_H
#define QUERN_WORKER_RUN_MERGE_H

#include "worker/run/key.h"
#include "worker/run/reader.h"

struct merge_node {
    uint64_t prefix;
    uint32_t cursor;
    uint32_t ended;
};

struct merge {
    struct run_cursor **cursors;
    struct merge_node *nodes; /* [0] the winner, [1 ..] losers */
    uint32_t count;
    bool started;
    struct key_order order;
};

/* Borrows the cursors (and the array) for its life. 0 or ERR_NOMEM. */
int merge_open(struct merge *merge, struct run_cursor **cursors, size_t count,
               const struct key_order *order);
/* The next record in order: 1 with *ret_cursor at it (valid until the following call), 0 when all
 * have ended, or the code a cursor failed with. */
int merge_next(struct merge *merge, struct run_cursor **ret_cursor);
void merge_close(struct merge *merge);

#endif
