/* SPDX-License-Identifier: Apache-2.0
 * fuzz_codec: small decoders of bytes from disks and other machines, chosen by the first byte: lz4
 * blocks, gzip and zstd streams, chunk sums, packet and shuffle headers, checksum files and their
 * names. What one of them takes must be encoded to the same again, where that is a promise. */
#include "datanode/storage/sumfile.h"
#include "libcommon/base/mem.h"
#include "libcommon/codec/chunksum.h"
#include "libcommon/codec/crc32c.h"
#include "libcommon/codec/lz4.h"
#include "libcommon/codec/unpack.h"
#include "libcommon/proto/data/packet.h"
#include "libcommon/proto/shuffle/messages.h"
#include "tests/fuzz/fuzz.h"
#include "worker/run/record.h"

#define OUT_MAX 65536U

enum kind {
    KIND_LZ4,
    KIND_GZIP,
    KIND_ZSTD,
    KIND_LZ4_FRAME,
    KIND_SUMS,
    KIND_PACKET,
    KIND_ACK,
    KIND_SHUFFLE,
    KIND_SUMFILE,
    KIND_BLOCK_NAME,
    KIND_RECORDS,
    KIND_COUNT
};

/* ---- seeds ---- */

static const uint8_t gzip_hello[] = {0x1f, 0x8b, 8,    0,    0,    0,    0,    0,    0,
                                     3,    0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x86,
                                     0xa6, 0x10, 0x36, 5,    0,    0,    0};
static const uint8_t zstd_hello[] = {0x28, 0xb5, 0x2f, 0xfd, 0x20, 5,   0x29,
                                     0,    0,    'h',  'e',  'l',  'l', 'o'};
static const uint8_t lz4_hello[] = {4,    0x22, 0x4d, 0x18, 0x60, 0x40, 0x82, 5, 0, 0,
                                    0x80, 'h',  'e',  'l',  'l',  'o',  0,    0, 0, 0};

static void seed_headers(enum kind kind, struct rand *rand, struct buf *out)
{
    uint8_t bytes[DN_SUM_OFF];
    struct packet_header packet = {.seq = rand_u64(rand), .data_len = 1024, .sums = 2};
    struct packet_ack ack = {.seq = rand_u64(rand), .count = 3};
    struct shuffle_header shuffle = {0};
    struct dn_sum_mark mark = {rand_u64(rand), 7, 9};
    switch (kind) {
    case KIND_PACKET:
        packet_header_encode(&packet, bytes);
        buf_append(out, bytes, PACKET_HEADER_BYTES);
        break;
    case KIND_ACK:
        packet_ack_encode(&ack, bytes);
        buf_append(out, bytes, PACKET_ACK_BYTES);
        break;
    case KIND_SHUFFLE:
        shuffle_header_encode(&shuffle, bytes);
        buf_append(out, bytes, SHUFFLE_HEADER_BYTES);
        break;
    default:
        dn_sum_head_encode(7, 1001, bytes);
        dn_sum_mark_encode(&mark, bytes + DN_SUM_MARK_OFF(0));
        buf_append(out, bytes, DN_SUM_OFF);
    }
}

static void seed_records(struct rand *rand, struct buf *out)
{
    uint8_t head[RECORD_HEAD_MAX];
    for (int i = 0; i < 4; i++) {
        size_t key = rand_below(rand, 200), value = rand_below(rand, 20);
        buf_append(out, head, record_head(head, key, value));
        for (size_t n = 0; n < key + value; n++)
            buf_append_byte(out, (uint8_t)n);
    }
}

void fuzz_seed(struct rand *rand, struct buf *out)
{
    static const char text[] = "to be or not to be or not to be, that is the question";
    enum kind kind = (enum kind)rand_below(rand, KIND_COUNT);
    buf_append_byte(out, (uint8_t)kind);
    switch (kind) {
    case KIND_LZ4:
        BUG_ON(lz4_encode(slice_str(text), out) != 0);
        break;
    case KIND_GZIP:
        buf_append(out, gzip_hello, sizeof(gzip_hello));
        break;
    case KIND_ZSTD:
        buf_append(out, zstd_hello, sizeof(zstd_hello));
        break;
    case KIND_LZ4_FRAME:
        buf_append(out, lz4_hello, sizeof(lz4_hello));
        break;
    case KIND_SUMS:
        buf_append_str(out, text);
        break;
    case KIND_BLOCK_NAME:
        buf_append_str(out, rand_chance(rand, 2) ? "blk_1073741825" : "blk_1073741825_1001.meta");
        break;
    case KIND_RECORDS:
        seed_records(rand, out);
        break;
    default:
        seed_headers(kind, rand, out);
    }
}

/* ---- decoding ---- */

static void try_lz4(struct slice in)
{
    struct buf out = BUF_INIT, again = BUF_INIT, back = BUF_INIT;
    for (size_t len = 0; len <= 256; len += 53)
        if (lz4_decode_buf(in, len, &out) == 0) {
            BUG_ON(lz4_encode(slice_of(out.data, out.len), &again) != 0);
            BUG_ON(lz4_decode_buf(buf_slice(&again), out.len, &back) != 0);
            BUG_ON(!slice_eq(buf_slice(&back), buf_slice(&out)));
            break;
        }
    buf_release(&out);
    buf_release(&again);
    buf_release(&back);
}

static void try_unpack(enum unpack_kind kind, struct slice in)
{
    struct unpack *unpack = NULL;
    uint8_t *out = mem_alloc(OUT_MAX);
    BUG_ON(!out || unpack_open(kind, &unpack) != 0);
    for (unsigned steps = 0; steps < 64; steps++) {
        size_t len = 0, before = in.len;
        if (unpack_step(unpack, &in, out, 1000, &len) != 0 || (len == 0 && in.len == before))
            break;
        BUG_ON(len > 1000 || in.len > before);
    }
    (void)unpack_is_complete(unpack);
    unpack_close(unpack);
    mem_free(out);
}

/* Sums computed hold; and with any one bit changed they do not. */
static void try_sums(struct slice in)
{
    size_t chunks = (in.len + 511) / 512;
    uint8_t *sums = mem_alloc(chunks * 4 + 1);
    BUG_ON(!sums);
    chunksum_compute(in, 512, sums);
    BUG_ON(chunksum_verify(in, 512, slice_of(sums, chunks * 4)) != CHUNKSUM_GOOD);
    if (in.len) {
        sums[in.data[0] % (chunks * 4)] ^= 1;
        BUG_ON(chunksum_verify(in, 512, slice_of(sums, chunks * 4)) == CHUNKSUM_GOOD);
    }
    mem_free(sums);
}

static void try_headers(const uint8_t *p)
{
    struct packet_header header;
    struct packet_ack ack;
    struct shuffle_header shuffle;
    uint8_t again[SHUFFLE_HEADER_BYTES];
    if (packet_header_decode(p, &header) == 0) {
        packet_header_encode(&header, again);
        BUG_ON(memcmp(again, p, PACKET_HEADER_BYTES) != 0);
    }
    if (packet_ack_decode(p, &ack) == 0)
        BUG_ON(ack.count > PIPELINE_MAX);
    if (shuffle_header_decode(p, &shuffle) == 0) {
        shuffle_header_encode(&shuffle, again);
        BUG_ON(memcmp(again, p, 48) != 0);
    }
}

/* As it is; and with sums that fit, so that what is behind them is reached. */
static void try_packet(const uint8_t *p, size_t len)
{
    uint8_t head[64] = {0};
    memcpy(head, p, len < sizeof(head) ? len : sizeof(head));
    try_headers(head);
    put_u32(head + 28, crc32c(0, head, 28));
    try_headers(head);
    put_u32(head + 48, crc32c(0, head, 48));
    try_headers(head);
}

static void try_sumfile(const uint8_t *p, size_t len)
{
    uint32_t off;
    struct dn_sum_mark mark;
    if (dn_sum_head_check(p, len, 7, 1001, &off) == 0)
        BUG_ON(off < DN_SUM_OFF);
    if (len >= DN_SUM_MARK_BYTES)
        (void)dn_sum_mark_decode(p, &mark);
    if (len >= DN_SUM_OFF)
        (void)dn_sum_mark_decode(p + DN_SUM_MARK_OFF(0), &mark);
}

static void try_block_name(struct slice in)
{
    char *name = slice_dup(in);
    enum dn_name_kind kind;
    uint64_t id, gs;
    BUG_ON(!name);
    (void)dn_block_name_parse(name, &kind, &id, &gs);
    mem_free(name);
}

static void try_records(const uint8_t *p, const uint8_t *end)
{
    struct slice key, value;
    uint64_t need = 0;
    const uint8_t *after;
    while (p < end && (after = record_parse(p, end, &key, &value, &need))) {
        BUG_ON(after <= p || after > end || key.data + key.len > end ||
               value.data + value.len != after);
        p = after;
    }
    BUG_ON(p < end && need != 0 && need <= (uint64_t)(end - p));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct slice in = slice_of(data + 1, size - 1);
    switch (data[0] % KIND_COUNT) {
    case KIND_LZ4:
        try_lz4(in);
        break;
    case KIND_GZIP:
        try_unpack(UNPACK_GZIP, in);
        break;
    case KIND_ZSTD:
        try_unpack(UNPACK_ZSTD, in);
        break;
    case KIND_LZ4_FRAME:
        try_unpack(UNPACK_LZ4, in);
        break;
    case KIND_SUMS:
        try_sums(in);
        break;
    case KIND_SUMFILE:
        try_sumfile(in.data, in.len);
        break;
    case KIND_BLOCK_NAME:
        try_block_name(in);
        break;
    case KIND_RECORDS:
        try_records(in.data, in.data + in.len);
        break;
    default:
        try_packet(in.data, in.len);
    }
    return 0;
}
