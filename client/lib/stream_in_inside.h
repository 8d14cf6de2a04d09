/* SPDX-License-Identifier: Apache-2.0
 * Private to stream_in.c (reading, and the calls), in_places.c (which block, where it lies, how
 * long a file is that is being written), in_choice.c (which of its replicas is asked) and in_view.c
 * (bytes where they lie). */
#ifndef QUERN_CLIENT_STREAM_IN_INSIDE_H
#define QUERN_CLIENT_STREAM_IN_INSIDE_H

#include "client/lib/block_race.h"
#include "client/lib/locals.h"
#include "client/lib/stream_in.h"

#define IN_BAD_MAX        32
#define IN_ROUNDS         4   /* through all replicas, with fresh places in between */
#define IN_ROUND_PAUSE_MS 150 /* doubles */

/* A replica whose bytes were wrong: not to be read again by this stream. */
struct bad_replica {
    uint64_t block, node; /* id, hash of the name */
};

struct cl_in {
    struct qn_fs *fs;
    char *path;
    uint64_t id; /* of the file: a name may be another one's by the time its places are asked for */
    uint64_t length;
    bool is_open;

    struct mutex lock; /* of all up to the next */
    struct cl_blocks blocks;
    struct bad_replica bad[IN_BAD_MAX];
    unsigned bad_at;

    struct cl_locals locals;

    struct mutex sequence; /* of the long answer, and of where it stands */
    struct cl_remote remote;
    uint64_t sequence_end; /* file offset behind the last read that went on */
    uint64_t window;       /* how much is asked for when it goes on next */
    struct cl_piece ahead; /* with hedged reads, instead of the long answer */

    struct mutex place;
    uint64_t pos;
};

/* --- in_places.c --- */
/* Ask the namenode for the places of [offset, offset + length). With `opening`, take the length. */
int cl_in_locate(struct cl_in *in, uint64_t offset, uint64_t length, bool opening, struct err *err);
/* The block with this byte: is its place known, or else asked for? */
bool cl_in_known(struct cl_in *in, uint64_t offset, struct cl_block *ret);
int cl_in_find_block(struct cl_in *in, uint64_t offset, struct cl_block *ret, struct err *err);
int cl_in_find_length(struct cl_in *in, struct err *err);

/* --- in_choice.c --- */
/* Nodes are asked in this order; those of one rank, as the namenode named them. */
enum in_rank { IN_WELL, IN_SLOW, IN_DEAD, IN_RANKS };
enum in_rank cl_in_rank(struct cl_in *in, const struct cl_block *block,
                        const struct msg_node *node);
/* Have its bytes been wrong? */
bool cl_in_is_bad(struct cl_in *in, const struct cl_block *block, const struct msg_node *node);
/* Reading from it failed so. */
void cl_in_blame(struct cl_in *in, const struct cl_block *block, const struct msg_node *node,
                 int rc);
/* Enough has come of its answer, or been waited for, to tell how fast it is: is it to be left? */
bool cl_in_leaves(struct cl_in *in, const struct cl_block *block, struct cl_remote *remote);

#endif
