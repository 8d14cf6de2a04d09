/* SPDX-License-Identifier: Apache-2.0
 * lz4: blocks of bytes, compressed one by one. The caller keeps both lengths beside the block (run
 * files and shuffle frames do); nothing inside a block is trusted: decoding writes at most what the
 * caller made room for, and answers ERR_CORRUPT for anything that does not come out exactly. */
#ifndef QUERN_CODEC_LZ4_H
#define QUERN_CODEC_LZ4_H

#include "libcommon/base/buf.h"

/* The largest block taken by lz4_encode; a longer plain length is refused (ERR_TOOBIG). */
#define LZ4_BLOCK_MAX ((size_t)64 << 20)

/* Bytes that always suffice for the compressed form of `len` bytes (len <= LZ4_BLOCK_MAX). */
size_t lz4_bound(size_t len);

/* Append the compressed form of `data` to `out`. 0, ERR_TOOBIG or ERR_NOMEM (no byte added).
 * It may be longer than the data: the caller compares, and stores such a block plainly. */
int lz4_encode(struct slice data, struct buf *out);
/* The same into room of the caller's (at least lz4_bound(data.len)): bytes written, or an error. */
int64_t lz4_encode_to(struct slice data, void *out, size_t cap);

/* Exactly `len` bytes come out, at `out`, or it is ERR_CORRUPT (bytes at `out` are then garbage).
 */
int lz4_decode(struct slice block, void *out, size_t len);
/* Appends exactly `len` bytes. ERR_TOOBIG when len > LZ4_BLOCK_MAX, ERR_CORRUPT, ERR_NOMEM: `out`
 * is unchanged then, so a lying length costs nothing. */
int lz4_decode_buf(struct slice block, size_t len, struct buf *out);

#endif
