/* SPDX-License-Identifier: Apache-2.0
 * chunksum: one CRC32C per chunk of a byte range, as blocks and packets carry them.
 *
 * A range is cut into chunks of `chunk` bytes (512 in block files) from its first byte; the last
 * chunk may be shorter and is summed over the bytes it has. The sums of a range that does not begin
 * at a chunk border cannot be computed from it: callers align first (chunksum_first,
 * chunksum_last). Sums are plain uint32_t in host order, which is little-endian: an array of them
 * is what goes to disk and wire, and may be unaligned there. */
#ifndef QUERN_CODEC_CHUNKSUM_H
#define QUERN_CODEC_CHUNKSUM_H

#include "libcommon/base/slice.h"

#define CHUNKSUM_CHUNK 512U
#define CHUNKSUM_SIZE  4U
/* What chunksum_verify answers when every chunk is good. */
#define CHUNKSUM_GOOD SIZE_MAX

/* How many chunks (and sums) `len` bytes have; 0 for none. */
static inline uint64_t chunksum_count(uint64_t len, uint32_t chunk)
{
    return len / chunk + (len % chunk != 0);
}

/* The chunk-aligned range around [off, off + len): start of its first chunk, and the end of its
 * last one, which is cut at `end` (the length of the whole block). */
static inline uint64_t chunksum_first(uint64_t off, uint32_t chunk)
{
    return off - off % chunk;
}
static inline uint64_t chunksum_last(uint64_t off, uint64_t len, uint64_t end, uint32_t chunk)
{
    uint64_t last = (off + len + chunk - 1) / chunk * chunk;
    return last < end ? last : end;
}

/* Write chunksum_count(data.len, chunk) sums to `ret_sums` (4 bytes each, any alignment). */
void chunksum_compute(struct slice data, uint32_t chunk, void *ret_sums);

/* Index of the first chunk whose sum is not the one given, or CHUNKSUM_GOOD. `sums` must hold
 * chunksum_count(data.len, chunk) * 4 bytes; fewer is a BUG (check what the wire claims before). */
size_t chunksum_verify(struct slice data, uint32_t chunk, struct slice sums);

#endif
