/* SPDX-License-Identifier: Apache-2.0
 * packet: the two fixed headers of block traffic, to bytes and back. Layout in packet.h.
 *
 * Both end in a CRC32C, so that a stream that lost its place is noticed at the next header instead
 * of being read as enormous packets; every size is checked here, once, before anybody allocates or
 * receives by it. */
#include "libcommon/proto/data/packet.h"

#include "libcommon/base/buf.h"
#include "libcommon/codec/crc32c.h"

#define PACKET_MAGIC         0x314b5051U /* "QPK1" */
#define ACK_MAGIC            0x314b4151U /* "QAK1" */
#define REPORT_MAGIC         0x31505251U /* "QRP1" */

#define PATIENCE_PER_NODE_MS 5000U

#define PACKET_FLAGS_KNOWN \
    (PACKET_LAST | PACKET_FLUSH | PACKET_SYNC | PACKET_BEAT | PACKET_RING | PACKET_FAILED)

uint64_t pipeline_patience_ms(uint64_t timeout_ms, size_t behind)
{
    uint64_t step = timeout_ms / 4 < PATIENCE_PER_NODE_MS ? timeout_ms / 4 : PATIENCE_PER_NODE_MS;
    return timeout_ms + behind * step;
}

void packet_header_encode(const struct packet_header *header, uint8_t out[PACKET_HEADER_BYTES])
{
    put_u32(out, PACKET_MAGIC);
    put_u32(out + 4, header->data_len);
    put_u16(out + 8, header->flags);
    put_u16(out + 10, header->sums);
    put_u64(out + 12, header->seq);
    put_u64(out + 20, header->offset);
    put_u32(out + 28, crc32c(0, out, 28));
}

/* How many checksums a packet of this length and kind carries. */
static uint32_t sums_wanted(const struct packet_header *h)
{
    if (h->flags & (PACKET_RING | PACKET_FAILED))
        return 0;
    return (h->data_len + PACKET_CHUNK - 1) / PACKET_CHUNK;
}

static bool header_makes_sense(const struct packet_header *h)
{
    if ((h->flags & ~PACKET_FLAGS_KNOWN) != 0 || h->data_len > PACKET_DATA_MAX)
        return false;
    if (h->offset > UINT64_MAX / 2 || h->sums != sums_wanted(h))
        return false;
    if ((h->flags & PACKET_BEAT) && h->data_len != 0)
        return false;
    return h->data_len == 0 || (h->flags & PACKET_FAILED) || h->offset % PACKET_CHUNK == 0;
}

int packet_header_decode(const uint8_t in[PACKET_HEADER_BYTES], struct packet_header *ret)
{
    if (get_u32(in) != PACKET_MAGIC || get_u32(in + 28) != crc32c(0, in, 28))
        return ERR_PROTO;
    struct packet_header h = {
        .data_len = get_u32(in + 4),
        .flags = get_u16(in + 8),
        .sums = get_u16(in + 10),
        .seq = get_u64(in + 12),
        .offset = get_u64(in + 20),
    };
    if (!header_makes_sense(&h))
        return ERR_PROTO;
    *ret = h;
    return 0;
}

void packet_ack_encode(const struct packet_ack *ack, uint8_t out[PACKET_ACK_BYTES])
{
    memset(out, 0, PACKET_ACK_BYTES);
    put_u32(out, ACK_MAGIC);
    put_u16(out + 4, ack->count);
    put_u16(out + 6, ack->flags);
    put_u64(out + 8, ack->seq);
    for (size_t i = 0; i < ack->count && i < PIPELINE_MAX; i++)
        put_u16(out + 16 + 2 * i, (uint16_t)ack->status[i]);
    put_u32(out + 48, crc32c(0, out, 48));
}

int packet_ack_decode(const uint8_t in[PACKET_ACK_BYTES], struct packet_ack *ret)
{
    if (get_u32(in) != ACK_MAGIC || get_u32(in + 48) != crc32c(0, in, 48))
        return ERR_PROTO;
    struct packet_ack ack = {
        .count = get_u16(in + 4),
        .flags = get_u16(in + 6),
        .seq = get_u64(in + 8),
    };
    if (ack.count == 0 || ack.count > PIPELINE_MAX || (ack.flags & ~PACKET_SYNC) != 0)
        return ERR_PROTO;
    for (size_t i = 0; i < PIPELINE_MAX; i++) {
        ack.status[i] = (int16_t)get_u16(in + 16 + 2 * i);
        if (ack.status[i] > 0 || (i >= ack.count && ack.status[i] != 0))
            return ERR_PROTO;
    }
    *ret = ack;
    return 0;
}

/* --- reports ---------------------------------------------------------------------------------- */

static uint8_t lag_code(uint32_t ms)
{
    unsigned shift = 0;
    if (ms == PACKET_LAG_NONE)
        return UINT8_MAX;
    if (ms < 4)
        return (uint8_t)ms;
    while (ms >> shift > 7)
        shift++;
    return (uint8_t)((shift + 1) * 4 + (ms >> shift) - 4);
}

static uint32_t lag_of(uint8_t code)
{
    unsigned shift = code / 4U;
    if (shift == 0)
        return code;
    return shift > 29 ? PACKET_LAG_NONE : (4U + code % 4U) << (shift - 1);
}

void packet_report_encode(const struct packet_report *report, uint8_t out[PACKET_REPORT_BYTES])
{
    memset(out, 0, PACKET_REPORT_BYTES);
    put_u32(out, REPORT_MAGIC);
    put_u16(out + 4, report->count);
    for (size_t i = 0; i < report->count && i < PIPELINE_MAX; i++) {
        out[8 + 2 * i] = lag_code(report->lag[i].disk_ms);
        out[9 + 2 * i] = lag_code(report->lag[i].link_ms);
    }
    put_u32(out + 48, crc32c(0, out, 48));
}

bool packet_is_report(const uint8_t in[PACKET_REPORT_BYTES])
{
    return get_u32(in) == REPORT_MAGIC;
}

int packet_report_decode(const uint8_t in[PACKET_REPORT_BYTES], struct packet_report *ret)
{
    if (!packet_is_report(in) || get_u32(in + 48) != crc32c(0, in, 48))
        return ERR_PROTO;
    struct packet_report report = {.count = get_u16(in + 4)};
    if (report.count == 0 || report.count > PIPELINE_MAX)
        return ERR_PROTO;
    for (size_t i = 0; i < report.count; i++)
        report.lag[i] = (struct packet_lag){lag_of(in[8 + 2 * i]), lag_of(in[9 + 2 * i])};
    *ret = report;
    return 0;
}
