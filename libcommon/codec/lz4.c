/* SPDX-License-Identifier: Apache-2.0
 * The lz4 block format, fast level. LZ4_decompress_safe never writes beyond the room it is told and
 * never reads beyond the block, whatever the block says. */
#include "libcommon/codec/lz4.h"

#include <lz4.h>

size_t lz4_bound(size_t len)
{
    BUG_ON(len > LZ4_BLOCK_MAX);
    return (size_t)LZ4_compressBound((int)len);
}

int64_t lz4_encode_to(struct slice data, void *out, size_t cap)
{
    if (data.len > LZ4_BLOCK_MAX)
        return ERR_TOOBIG;
    BUG_ON(cap < lz4_bound(data.len));
    int room = cap > (size_t)INT32_MAX ? INT32_MAX : (int)cap;
    int n = LZ4_compress_default(data.len ? (const char *)data.data : "", out, (int)data.len, room);
    return n > 0 ? n : ERR_FAILED;
}

int lz4_encode(struct slice data, struct buf *out)
{
    if (data.len > LZ4_BLOCK_MAX)
        return ERR_TOOBIG;
    size_t bound = lz4_bound(data.len);
    uint8_t *to = buf_reserve(out, bound);
    if (!to)
        return ERR_NOMEM;
    int64_t n = lz4_encode_to(data, to, bound);
    if (n < 0)
        return (int)n;
    out->len += (size_t)n;
    return 0;
}

int lz4_decode(struct slice block, void *out, size_t len)
{
    if (len > LZ4_BLOCK_MAX)
        return ERR_TOOBIG;
    if (block.len == 0 || block.len > lz4_bound(LZ4_BLOCK_MAX))
        return ERR_CORRUPT;
    int n = LZ4_decompress_safe((const char *)block.data, out, (int)block.len, (int)len);
    return n >= 0 && (size_t)n == len ? 0 : ERR_CORRUPT;
}

/* One compressed byte stands for at most 255 plain ones: a length beyond that is a lie, and is
 * found out before memory is asked for. */
#define LZ4_RATIO_MAX 255

int lz4_decode_buf(struct slice block, size_t len, struct buf *out)
{
    if (len > LZ4_BLOCK_MAX)
        return ERR_TOOBIG;
    if (len > block.len * LZ4_RATIO_MAX)
        return ERR_CORRUPT;
    uint8_t *to = buf_reserve(out, len ? len : 1);
    if (!to)
        return ERR_NOMEM;
    int rc = lz4_decode(block, to, len);
    if (rc == 0)
        out->len += len;
    return rc;
}
