/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/chunksum.h"

#include "libcommon/base/buf.h"
#include "libcommon/codec/crc32c.h"

static uint32_t sum_at(struct slice data, uint32_t chunk, size_t index)
{
    size_t at = index * chunk;
    size_t len = data.len - at < chunk ? data.len - at : chunk;
    return crc32c(0, data.data + at, len);
}

void chunksum_compute(struct slice data, uint32_t chunk, void *ret_sums)
{
    uint8_t *to = ret_sums;
    size_t count = chunksum_count(data.len, chunk);
    for (size_t i = 0; i < count; i++)
        put_u32(to + i * CHUNKSUM_SIZE, sum_at(data, chunk, i));
}

size_t chunksum_verify(struct slice data, uint32_t chunk, struct slice sums)
{
    size_t count = chunksum_count(data.len, chunk);
    BUG_ON(sums.len / CHUNKSUM_SIZE < count);
    for (size_t i = 0; i < count; i++)
        if (sum_at(data, chunk, i) != get_u32(sums.data + i * CHUNKSUM_SIZE))
            return i;
    return CHUNKSUM_GOOD;
}
