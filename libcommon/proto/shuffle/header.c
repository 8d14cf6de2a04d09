/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/buf.h"
#include "libcommon/codec/crc32c.h"
#include "libcommon/proto/shuffle/messages.h"

#define CRC_AT 48

void shuffle_header_encode(const struct shuffle_header *header, uint8_t out[SHUFFLE_HEADER_BYTES])
{
    memset(out, 0, SHUFFLE_HEADER_BYTES);
    put_u32(out, SHUFFLE_MAGIC);
    put_u32(out + 4, header->map_task);
    put_u32(out + 8, header->map_attempt);
    put_u32(out + 12, header->partition);
    put_u32(out + 16, header->flags);
    put_u32(out + 20, header->crc);
    put_u64(out + 24, header->len);
    put_u64(out + 32, header->records);
    put_u64(out + 40, header->offset);
    put_u32(out + CRC_AT, crc32c(0, out, CRC_AT));
}

int shuffle_header_decode(const uint8_t in[SHUFFLE_HEADER_BYTES], struct shuffle_header *ret)
{
    if (get_u32(in) != SHUFFLE_MAGIC || get_u32(in + CRC_AT) != crc32c(0, in, CRC_AT))
        return ERR_PROTO;
    *ret = (struct shuffle_header){
        .map_task = get_u32(in + 4),
        .map_attempt = get_u32(in + 8),
        .partition = get_u32(in + 12),
        .flags = get_u32(in + 16),
        .crc = get_u32(in + 20),
        .len = get_u64(in + 24),
        .records = get_u64(in + 32),
        .offset = get_u64(in + 40),
    };
    return 0;
}
