/* SPDX-License-Identifier: Apache-2.0
 * unpack: compressed files as streams: gzip and bzip2 (also several in a row), zstd and lz4 frames,
 * told apart by their first bytes. The caller feeds what it read and takes what comes out. */
#ifndef QUERN_CODEC_UNPACK_H
#define QUERN_CODEC_UNPACK_H

#include "libcommon/base/slice.h"

enum unpack_kind {
    UNPACK_PLAIN,
    UNPACK_GZIP,
    UNPACK_ZSTD,
    UNPACK_LZ4,
    UNPACK_BZIP2,
    UNPACK_ZLIB,    /* has no first bytes of its own: never detected */
    UNPACK_DEFLATE, /* the same without any header */
};

#define UNPACK_HEAD 8
/* By the first bytes of a file (UNPACK_HEAD suffice). */
enum unpack_kind unpack_detect(struct slice head);

struct unpack;
/* 0, ERR_NOMEM, or ERR_UNSUPPORTED for UNPACK_PLAIN. Give back with unpack_close (NULL is fine). */
int unpack_open(enum unpack_kind kind, struct unpack **ret);
/* From a block in the middle of an lz4 frame on, whose blocks are independent: `head` is how the
 * frame begins. Its checksum cannot be verified, those of its blocks are. As unpack_open, or
 * ERR_CORRUPT. */
int unpack_open_inside(struct slice head, struct unpack **ret);
/* Frames of zstd that need a window of more than these bytes of memory are refused by unpack_step:
 * ERR_TOOBIG. Without it 128 MiB are the most. */
void unpack_limit(struct unpack *unpack, uint64_t window);
/* How large a window the frame wants that unpack_step has refused with ERR_TOOBIG. */
uint64_t unpack_window(const struct unpack *unpack);
void unpack_close(struct unpack *unpack);

/* Take bytes from *in (which moves on) and write up to `cap` bytes to `out`; *ret_len says how
 * many. Call again with the same *in until it is empty and nothing more comes. ERR_CORRUPT,
 * ERR_TOOBIG. */
int unpack_step(struct unpack *unpack, struct slice *in, void *out, size_t cap, size_t *ret_len);
/* After the last byte of the file: did the stream end where it should? Else it was cut short. */
bool unpack_is_complete(const struct unpack *unpack);

#endif
