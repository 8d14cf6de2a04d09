/* SPDX-License-Identifier: Apache-2.0
 * frames: what a packed file consists of, found by its own headers and without unpacking anything.
 *
 *     zstd (RFC 8878)   frames; each can be unpacked without the others
 *     lz4 (frame format 1.6)   frames, too; and where a frame says that its blocks are independent
 *                       (as `lz4` makes them unless told -BD), each block with the frame's header
 *     both              between frames skippable ones, which hold no text (pzstd begins with one,
 *                       the seekable format of zstd ends with one)
 *
 * Places come from walking the headers from the file's beginning, block by block, never from
 * looking for magic numbers: a packed file may hold another one as it is. */
#ifndef QUERN_CODEC_FRAMES_H
#define QUERN_CODEC_FRAMES_H

#include "libcommon/base/err.h"
#include "libcommon/codec/unpack.h"

/* A file to be looked at. */
struct frames_file {
    /* Bytes read: `len`, or fewer at the file's end; negative: `err` (which may be NULL) says why.
     */
    int64_t (*read)(void *arg, void *data, size_t len, uint64_t off, struct err *err);
    void *arg;
    uint64_t len;
};

/* What the file is packed with; skippable frames in front are looked behind. What read failed with,
 * or 0. */
int frames_detect(const struct frames_file *file, enum unpack_kind *ret, struct err *err);

/* Unpacking can begin at `offset`, with the header that stands at `frame` (the same place, but for
 * a block of lz4). */
struct frames_place {
    uint64_t offset, frame;
};

struct frames {
    const struct frames_file *file; /* borrowed */
    enum unpack_kind kind;
    uint64_t at;
    uint64_t frame;   /* of the blocks we are at */
    uint8_t flags;    /* of its header */
    bool is_inside;   /* a frame */
    bool is_lz4_free; /* its blocks are independent */
    struct err *err;
};

/* UNPACK_ZSTD or UNPACK_LZ4. */
void frames_open(struct frames *frames, const struct frames_file *file, enum unpack_kind kind,
                 struct err *err);
/* The next place behind the last one: 1; 0 at the end of the file, or of what can be understood of
 * it, or behind `until`, if no place is found up to there; or what read failed with. */
int frames_next(struct frames *frames, uint64_t until, struct frames_place *ret);

#define FRAMES_LZ4_HEAD 19 /* the longest header of lz4: magic, flags, sizes, checksum */

#endif
