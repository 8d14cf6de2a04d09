/* SPDX-License-Identifier: Apache-2.0
 * block_race: a piece of a block from whichever replica gives it first (hedged reads). One datanode
 * is asked; when it has been silent for fs->hedge_after_ms a second one is asked as well, and the
 * first that has given all of it, verified, wins. One that fails makes room for the next. Never
 * more than two at a time, and never more than fs->hedge_max second ones of one handle.
 *
 * No thread: both conversations are steps taken when poll() says their socket is ready, so that
 * nothing outlives the call and the loser's connection is closed when it returns. Each asks into
 * memory of its own; what the caller gets is the winner's. */
#ifndef QUERN_CLIENT_BLOCK_RACE_H
#define QUERN_CLIENT_BLOCK_RACE_H

#include "client/lib/blocks.h"
#include "client/lib/handle.h"

#define CL_PIECE_MAX (4U << 20) /* asked for at a time */

/* Verified bytes [off, off + len) of a block; zeroed = none. */
struct cl_piece {
    uint64_t id, off;
    size_t len;
    uint8_t *memory; /* `skip` bytes before them are not wanted */
    size_t skip;
};
void cl_piece_release(struct cl_piece *piece);
/* Up to `size` bytes at `off` of this block, as many as it has there; 0 = none of them. */
size_t cl_piece_take(const struct cl_piece *piece, uint64_t id, uint64_t off, void *buffer,
                     size_t size);

struct cl_race {
    struct qn_fs *fs;
    const struct cl_block *block;
    const struct msg_node *const *nodes; /* in the order they are asked */
    uint32_t count;
    uint64_t off; /* in the block */
    size_t len;   /* 1 .. CL_PIECE_MAX, within the block */
    /* Told of each that failed, in the caller's thread, during the call. */
    void (*on_failed)(void *arg, const struct msg_node *node, int rc, const struct err *why);
    void *arg;
};
/* 0: *ret is replaced. Else the code of the last that failed, ERR_NONODE when there was none, and
 * *ret is empty. A loser that was silent until the end is asked last for a while (cl_mark_dead). */
int cl_race(const struct cl_race *race, struct cl_piece *ret);

#endif
