/* SPDX-License-Identifier: Apache-2.0
 * packet: how block bytes travel. Fixed binary, no msgpack. All integers little-endian.
 *
 *   packet   0  u32 magic "QPK1"          12  u64 seq       0, 1, 2 ... within one block
 *            4  u32 data_len              20  u64 offset    of the first byte in the block
 *            8  u16 flags  10 u16 sums    28  u32 crc32c of bytes 0..27
 *           32  u32 sums[sums]            CRC32C of each 512 bytes of data, the last may be short
 *               data[data_len]            (not sent when PACKET_RING: it lies in the ring)
 *
 * A packet with data begins at a multiple of 512. One that continues a partial chunk begins at that
 * chunk's start and repeats its bytes, so that every checksum covers a whole chunk. A PACKET_RING
 * packet carries no sums: the datanode computes them from the ring, where the byte at `offset` of
 * the block lies at offset % ring_bytes. The ring's bytes are the datanode's until the packet's ack
 * came; then they may be overwritten (a partial chunk's own must stay as long as it is partial).
 *
 * seq is consecutive within one connection's WRITE and may begin anywhere. Every packet is acked,
 * in order, also PACKET_BEAT (which is an ordinary packet without data) and PACKET_LAST. An ack
 * whose statuses are all 0 says: every byte up to this packet's end is in every replica's block
 * file (in the OS cache; PACKET_SYNC: on disk; PACKET_LAST: on disk, finalized and in its
 * directory). A node that could not go on says so in its status and closes behind that ack.
 *
 * A reader's stream ends with the packet flagged PACKET_LAST, or with PACKET_FAILED: its data is an
 * i32 enum err_code and a line of text; the connection closes behind it.
 *
 * A writer that asked for reports (data_write.reports_ms) gets them among the acks, also while no
 * ack is due: what each node lately took for a step of its own work. By them a slow member is
 * found.
 *
 *   report   0  u32 magic "QRP1"   4 u16 count   6 u16 zero
 *            8  {u8 disk, u8 link} x PIPELINE_MAX   this node first, then down the chain
 *           40  u64 zero   48  u32 crc32c of bytes 0..47   52 u32 zero
 *      disk: ms per write or fsync of the node itself; link: ms per 256 KiB or packet on the way to
 * it, as its sender saw it (unknown for the first). A byte v stands for v < 4: v, else (4 + v % 4)
 * << (v / 4 - 1): a quarter is as near as it gets; 255: it had no step to take.
 *
 *   ack      0  u32 magic "QAK1"   4 u16 count   6 u16 flags (PACKET_SYNC: synced)   8 u64 seq
 *           16  i16 status[PIPELINE_MAX]   0 or enum err_code, this node first, then down the chain
 *           48  u32 crc32c of bytes 0..47   52 u32 zero */
#ifndef QUERN_PROTO_DATA_PACKET_H
#define QUERN_PROTO_DATA_PACKET_H

#include "libcommon/base/slice.h"

#define PACKET_HEADER_BYTES 32
#define PACKET_DATA_MAX     (1U << 20)
#define PACKET_CHUNK        512
#define PACKET_SUMS_MAX     (PACKET_DATA_MAX / PACKET_CHUNK)
#define PACKET_ACK_BYTES    56
#define PIPELINE_MAX        16

enum packet_flag {
    PACKET_LAST = 1,    /* the block ends behind this packet (data_len may be 0) */
    PACKET_FLUSH = 2,   /* hflush: ack when every replica has it in its OS cache */
    PACKET_SYNC = 4,    /* hsync: ack when every replica has fsynced */
    PACKET_BEAT = 8,    /* keeps an idle pipeline alive; no data */
    PACKET_RING = 16,   /* bytes are in the ring */
    PACKET_FAILED = 32, /* to readers only: why there will be no more packets; no sums */
};

struct packet_header {
    uint32_t data_len;
    uint16_t flags;
    uint16_t sums;
    uint64_t seq;
    uint64_t offset;
};

struct packet_ack {
    uint64_t seq;
    uint16_t count; /* statuses: this node and those behind it */
    uint16_t flags;
    int16_t status[PIPELINE_MAX];
};

/* What a node took for a step, lately. */
struct packet_lag {
    uint32_t disk_ms, link_ms;
};
#define PACKET_LAG_NONE UINT32_MAX /* it had none to take */
struct packet_report {
    uint16_t count;
    struct packet_lag lag[PIPELINE_MAX];
};
#define PACKET_REPORT_BYTES PACKET_ACK_BYTES /* so that acks and reports are read alike */

/* How long whoever has so many nodes behind it waits for an answer or an ack of the next one: each
 * a little longer than those behind it, so that the one next to a silent node is the first to
 * notice, and is not blamed itself. The client has the whole chain behind it. */
uint64_t pipeline_patience_ms(uint64_t timeout_ms, size_t behind);

void packet_header_encode(const struct packet_header *header, uint8_t out[PACKET_HEADER_BYTES]);
/* ERR_PROTO for a wrong magic or crc, unknown flags, or sizes beyond the limits or at odds with
 * each other. After 0: data_len <= PACKET_DATA_MAX, sums is what data_len wants, offset fits. */
int packet_header_decode(const uint8_t in[PACKET_HEADER_BYTES], struct packet_header *ret);
void packet_ack_encode(const struct packet_ack *ack, uint8_t out[PACKET_ACK_BYTES]);
int packet_ack_decode(const uint8_t in[PACKET_ACK_BYTES], struct packet_ack *ret);

void packet_report_encode(const struct packet_report *report, uint8_t out[PACKET_REPORT_BYTES]);
bool packet_is_report(const uint8_t in[PACKET_REPORT_BYTES]);
int packet_report_decode(const uint8_t in[PACKET_REPORT_BYTES], struct packet_report *ret);

#endif
