/* SPDX-License-Identifier: Apache-2.0
 * pieces: the map outputs a reduce attempt has got hold of, wherever they lie.
 *
 *     memory   received into a fixed stretch; when the next one does not fit, all of it moves to a
 *              scratch file as it is, and the stretch is free again (receivers wait for that: the
 *              back-pressure)
 *     disk     there, or received straight into it when larger than a quarter of the stretch
 *     passed   a descriptor of the worker's (or of a local file), read in place
 *
 * Of those that hold nothing nothing is kept. Pieces are kept as they came and never merged on
 * arrival: so they can be put in order of map at the end, whatever the order of arrival. Received
 * bytes were checked against their sum before they count; from disk and descriptors they are read
 * through chunk sums again.
 *
 * Any thread; a slot belongs to the thread that began it. */
#ifndef QUERN_WORKER_SHUFFLE_PIECES_H
#define QUERN_WORKER_SHUFFLE_PIECES_H

#include "libcommon/event/thread.h"
#include "worker/run/reader.h"
#include "worker/run/scratch.h"

struct piece {
    struct run_piece run;
    uint32_t map, partition;
    uint32_t *sums; /* owned; what run.sums points to */
    int own_fd; /* -1, or a descriptor that is closed with it: of pieces of one run the first's */
    bool is_passed;
};

struct pieces {
    struct mutex lock;
    struct cond changed;
    uint8_t *space; /* borrowed */
    size_t size, used;
    unsigned receiving; /* slots in memory under way */
    bool is_spilling;
    struct scratch *scratch;    /* borrowed */
    struct scratch_file *files; /* the last one is being written */
    size_t file_count, file_cap;
    uint64_t file_len;
    struct piece *all;
    size_t count, cap;
    uint64_t spilled_bytes, disk_bytes;
};

void pieces_open(struct pieces *pieces, void *space, size_t size, struct scratch *scratch);
void pieces_close(struct pieces *pieces);

/* Where the bytes of a piece go while they are received. */
struct pieces_slot {
    uint8_t *memory; /* len bytes, or NULL: */
    int fd;          /* write with pieces_write */
    uint64_t offset;
    uint64_t len, done;
    size_t file;
    struct buf sums;    /* of what was written, chunk by chunk */
    uint32_t chunk_crc; /* of the chunk in hand */
    uint32_t crc;       /* of the chunks before it: of all, in the end */
};
/* May wait for room. */
int pieces_begin(struct pieces *pieces, uint64_t len, struct pieces_slot *ret, struct err *err);
/* The next bytes of a slot on disk. */
int pieces_write(struct pieces *pieces, struct pieces_slot *slot, struct slice bytes,
                 struct err *err);
/* All bytes are there, and good: keep it. */
int pieces_commit(struct pieces *pieces, struct pieces_slot *slot, const struct piece *what);
/* Or drop it. */
void pieces_cancel(struct pieces *pieces, struct pieces_slot *slot);

/* A piece in a descriptor, what->run.fd: takes what->own_fd (closed on failure too; -1 when a piece
 * here has that descriptor already, or it is of no length) and what->sums. */
int pieces_add_passed(struct pieces *pieces, const struct piece *what);

/* Read a passed piece whole, where it lies: do its bytes fail their sums, or to be read? false for
 * pieces that were received: whatever became of those is this node's affair. */
bool pieces_is_damaged(const struct piece *piece);

/* In order of (partition, map). Nothing may be received any more. */
void pieces_sort(struct pieces *pieces);

#endif
