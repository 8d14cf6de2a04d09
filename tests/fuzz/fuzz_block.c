/* SPDX-License-Identifier: Apache-2.0
 * fuzz_block: all that a block's bytes pass on their way. The first byte of an input chooses:
 *
 *   0 packet header   1 ack               what decodes encodes to the same bytes
 *   2 file name       3 node file         what is read is what would be written
 *   4 block files     a checksum file and a block of any content: verified, read, cut, never
 *                     believed beyond what agrees
 *   5 pipeline of a datanode   6 of a client    events in any order: acknowledged <= written <=
 *                     received <= the block, and no event takes an acknowledgement back */
#include "client/lib/pipeline.h"
#include "datanode/storage/identity.h"
#include "datanode/storage/pipeline.h"
#include "datanode/storage/settle.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/slice.h"
#include "libcommon/codec/chunksum.h"
#include "libcommon/proto/data/packet.h"
#include "libcommon/store/fsutil.h"
#include "tests/fuzz/fuzz.h"
#include "tests/sim/disk.h"

#define KINDS     7
#define BLOCK_MAX 8192U

/* ---- valid inputs ---- */

static void seed_header(struct rand *rand, struct buf *out)
{
    uint8_t bytes[PACKET_HEADER_BYTES];
    struct packet_header h = {.seq = rand_u64(rand), .offset = rand_u64(rand) >> 20 << 9};
    h.data_len = (uint32_t)(rand_u64(rand) % (PACKET_DATA_MAX + 1));
    h.sums = (uint16_t)((h.data_len + 511) / 512);
    packet_header_encode(&h, bytes);
    buf_append(out, bytes, sizeof(bytes));
}

static void seed_ack(struct rand *rand, struct buf *out)
{
    uint8_t bytes[PACKET_ACK_BYTES];
    struct packet_ack ack = {.seq = rand_u64(rand), .count = (uint16_t)(1 + rand_u64(rand) % 16)};
    ack.status[ack.count - 1] = -3;
    packet_ack_encode(&ack, bytes);
    buf_append(out, bytes, sizeof(bytes));
}

/* A checksum file, its length before it, and the block behind it. */
static void seed_files(struct rand *rand, struct buf *out)
{
    uint8_t data[BLOCK_MAX], head[DN_SUM_OFF], sums[BLOCK_MAX / DN_SUM_CHUNK * DN_SUM_BYTES];
    size_t len = rand_u64(rand) % sizeof(data), count = chunksum_count(len, DN_SUM_CHUNK);
    memset(data, (int)rand_u64(rand), len);
    chunksum_compute(slice_of(data, len), DN_SUM_CHUNK, sums);
    dn_sum_head_encode(42, 7, head);
    struct dn_sum_mark mark = {.len = len / 2, .number = 1, .tail_sum = get_u32(sums)};
    dn_sum_mark_encode(&mark, head + DN_SUM_MARK_OFF(0));
    buf_append_u16(out, (uint16_t)(sizeof(head) + count * DN_SUM_BYTES));
    buf_append(out, head, sizeof(head));
    buf_append(out, sums, count * DN_SUM_BYTES);
    buf_append(out, data, len);
}

void fuzz_seed(struct rand *rand, struct buf *out)
{
    uint8_t kind = (uint8_t)(rand_u64(rand) % KINDS);
    buf_append_byte(out, kind);
    if (kind == 0)
        seed_header(rand, out);
    else if (kind == 1)
        seed_ack(rand, out);
    else if (kind == 2)
        buf_printf(out, "blk_%llu_%llu.meta", (unsigned long long)rand_u64(rand) >> 8,
                   (unsigned long long)rand_u64(rand) >> 40);
    else if (kind == 3)
        buf_append_str(out, "node=b7cfedab2f0f4c97\nterm=1\ncheck=e103da43\n");
    else if (kind == 4)
        seed_files(rand, out);
    for (int i = 0; kind > 4 && i < 400; i++)
        buf_append_byte(out, (uint8_t)rand_u64(rand));
}

/* ---- what is read alone ---- */

static void try_header(struct slice in)
{
    uint8_t again[PACKET_HEADER_BYTES];
    struct packet_header h;
    if (in.len < sizeof(again) || packet_header_decode(in.data, &h) != 0)
        return;
    if (h.data_len > PACKET_DATA_MAX || h.sums > PACKET_SUMS_MAX ||
        h.offset + h.data_len < h.offset)
        BUG("a packet beyond all limits was let in");
    packet_header_encode(&h, again);
    if (memcmp(again, in.data, sizeof(again)) != 0)
        BUG("a header was read as another one");
}

static void try_ack(struct slice in)
{
    struct packet_ack ack;
    if (in.len < PACKET_ACK_BYTES || packet_ack_decode(in.data, &ack) != 0)
        return;
    if (ack.count == 0 || ack.count > PIPELINE_MAX)
        BUG("an ack of %u nodes was let in", ack.count);
    for (size_t i = 0; i < PIPELINE_MAX; i++)
        if (ack.status[i] > 0 || (i >= ack.count && ack.status[i] != 0))
            BUG("an ack with a strange status was let in");
}

static void try_name(struct slice in)
{
    struct dn_block_paths paths;
    enum dn_name_kind kind;
    uint64_t id = 0, gs = 0;
    char name[64] = "";
    memcpy(name, in.data, in.len < sizeof(name) ? in.len : sizeof(name) - 1);
    if (!dn_block_name_parse(name, &kind, &id, &gs) || kind == DN_NAME_UNFINISHED)
        return;
    if (dn_block_paths_make("d", id, gs, &paths) != 0)
        return;
    if (strcmp((kind == DN_NAME_DATA ? paths.data : paths.sums) + 2, name) != 0)
        BUG("%s is read as block %llu stamp %llu", name, (unsigned long long)id,
            (unsigned long long)gs);
    dn_block_paths_release(&paths);
}

/* ---- files ---- */

static struct sim_disk *new_disk(void)
{
    struct sim_disk *sim = sim_disk_new();
    if (!sim || fsutil_mkdirs(sim_disk(sim), "/d", NULL) != 0)
        BUG("no disk");
    return sim;
}

static void put_file(struct disk *disk, const char *path, struct slice bytes)
{
    int fd = -1;
    if (disk_open(disk, path, DISK_WRITE | DISK_CREATE, &fd) != 0 ||
        disk_pwrite(disk, fd, bytes.data, bytes.len, 0) != 0)
        BUG("%s: cannot be written", path);
    disk_close(disk, fd);
}

static void try_node(struct slice in)
{
    struct sim_disk *sim = new_disk();
    struct dn_identity identity;
    struct err err = {0};
    put_file(sim_disk(sim), "/d/node", in);
    int rc = dn_identity_read(sim_disk(sim), "/d", &identity, &err);
    if (rc != 0 && err.msg[0] == '\0')
        BUG("a node file was refused without a word");
    sim_disk_free(sim);
}

/* After a verify all of it can be read; and cut to any length it can again. */
static void try_open_block(struct dn_blockfile *f, struct slice in)
{
    uint8_t data[BLOCK_MAX * 8], sums[sizeof(data) / DN_SUM_CHUNK * DN_SUM_BYTES];
    if (dn_settle_verify(f, sizeof(data), NULL) != 0)
        return;
    struct dn_visible visible = {.len = f->len, .tail_sum = f->tail_sum, .has_tail_sum = true};
    struct dn_extent all = {.off = 0, .len = (uint32_t)f->len};
    if (dn_blockfile_read(f, all, &visible, data, sums) != 0)
        BUG("what was verified cannot be read");
    uint64_t cut = in.len ? f->len * in.data[in.len - 1] / 255 : 0;
    if (dn_settle_restamp(f, 8, cut, NULL) != 0)
        BUG("what was verified cannot be cut");
    if (dn_settle_verify(f, sizeof(data), NULL) != 0 || f->len != cut)
        BUG("what was cut is not as long as it was cut");
}

static void try_files(struct slice in)
{
    struct dn_blockfile *f = NULL;
    struct err err = {0};
    if (in.len < 2)
        return;
    size_t split = get_u16(in.data);
    in = slice_of(in.data + 2, in.len - 2);
    split = split < in.len ? split : in.len;
    if (in.len - split > BLOCK_MAX * 8)
        return;
    struct sim_disk *sim = new_disk();
    put_file(sim_disk(sim), "/d/blk_42_7.meta", slice_of(in.data, split));
    put_file(sim_disk(sim), "/d/blk_42", slice_of(in.data + split, in.len - split));
    struct dn_blockfile_new what = {.dir = "/d", .id = 42, .gs = 7, .max_len = BLOCK_MAX};
    int rc = dn_blockfile_open(sim_disk(sim), &what, DISK_READ | DISK_WRITE, &f, &err);
    if (rc == 0)
        try_open_block(f, in);
    else if (err.msg[0] == '\0')
        BUG("block files were refused without a word");
    dn_blockfile_close(f);
    sim_disk_free(sim);
}

/* ---- events ---- */

static uint8_t next_byte(struct slice *in)
{
    if (in->len == 0)
        return 0;
    uint8_t byte = in->data[0];
    *in = slice_of(in->data + 1, in->len - 1);
    return byte;
}

static void feed_packet(struct dn_pipeline *p, struct slice *in, uint64_t now)
{
    uint8_t how = next_byte(in);
    struct dn_packet packet = {
        .seq = p->next_seq + (how % 16 == 0),
        .offset = p->received - p->received % DN_PIPELINE_CHUNK + (how % 32 == 1 ? 512U : 0U),
        .len = (uint32_t)next_byte(in) * 7,
        .flags = (how & 32 ? DN_PACKET_SYNC : 0U) | (how > 250 ? DN_PACKET_LAST : 0U)};
    (void)dn_pipeline_accept(p, &packet, now);
}

static void feed_ack(struct dn_pipeline *p, struct slice *in, uint64_t now)
{
    struct dn_ack ack = {.seq = p->next_seq - next_byte(in) % 8, .count = next_byte(in) % 18};
    ack.status[next_byte(in) % DN_PIPELINE_CHAIN] = next_byte(in) > 240 ? -5 : 0;
    if (dn_pipeline_mirror_ack(p, &ack, now) != 0 && next_byte(in) % 4 == 0)
        dn_pipeline_mirror_failed(p, ERR_PROTO);
}

static void do_duty(struct dn_pipeline *p, struct slice *in)
{
    enum dn_pipeline_need need = dn_pipeline_need(p);
    if (need == DN_NEED_SYNC)
        dn_pipeline_synced(p);
    else if (need == DN_NEED_FINALIZE)
        dn_pipeline_finalized(p);
    else if (next_byte(in) > 250)
        dn_pipeline_local_failed(p, ERR_IO);
}

static void try_datanode(struct slice in)
{
    static struct dn_pipeline p;
    struct dn_pipeline_conf conf = {
        .max_len = 16384, .has_mirror = next_byte(&in) % 2, .idle_ms = 1000, .ack_ms = 300};
    uint64_t now = 1000, acked = 0;
    struct dn_ack ack;
    dn_pipeline_init(&p, &conf, now);
    while (in.len > 0) {
        switch (next_byte(&in) % 6) {
        case 0:
        case 1:
            feed_packet(&p, &in, now);
            break;
        case 2:
            feed_ack(&p, &in, now);
            break;
        case 3:
            dn_pipeline_written(&p, p.written + (p.received - p.written) * next_byte(&in) / 255);
            break;
        case 4:
            do_duty(&p, &in);
            break;
        case 5:
            now += next_byte(&in);
            (void)dn_pipeline_expire(&p, now);
            break;
        }
        while (dn_pipeline_pop_ack(&p, &ack))
            continue;
        if (p.acked_len < acked || p.acked_len > p.written || p.written > p.received ||
            p.received > conf.max_len || p.mirrored > p.count || p.count > DN_PIPELINE_SLOTS)
            BUG("acknowledged %llu of %llu written of %llu", (unsigned long long)p.acked_len,
                (unsigned long long)p.written, (unsigned long long)p.received);
        acked = p.acked_len;
    }
}

static void feed_client_ack(struct cl_pipeline *p, struct slice *in)
{
    int16_t status[CL_PIPELINE_NODES + 2] = {0};
    uint32_t bad = 0, dropped = 0;
    struct cl_ack ack = {.seq = p->flights[p->head].seq + (next_byte(in) > 240),
                         .count = p->count + (next_byte(in) > 240),
                         .status = status};
    status[next_byte(in) % 4] = next_byte(in) > 230 ? ERR_CHECKSUM : 0;
    int rc = cl_pipeline_ack(p, &ack, &bad);
    if (rc == 0 || p->is_finished)
        return;
    if (cl_pipeline_break(p, bad, rc, &dropped) == 0)
        cl_pipeline_resume(p);
    else
        (void)cl_pipeline_restart(p);
}

static void try_client(struct slice in)
{
    static struct cl_pipeline p;
    static const uint32_t nodes[] = {0, 1, 2};
    struct cl_packet packet;
    cl_pipeline_init(&p, 8192, 1024, 30000);
    cl_pipeline_set_nodes(&p, nodes, 3);
    while (in.len > 0 && !p.is_finished) {
        uint8_t byte = next_byte(&in);
        if (byte % 3 == 0)
            cl_pipeline_fill(&p, cl_pipeline_room(&p) * next_byte(&in) / 255);
        else if (byte % 3 == 1)
            (void)cl_pipeline_next(&p,
                                   byte > 250 ? CL_PACKET_LAST
                                   : byte & 8 ? CL_PACKET_SYNC
                                              : 0,
                                   &packet);
        else
            feed_client_ack(&p, &in);
        if (p.acked > p.sent || p.sent > p.filled || p.filled > p.block_bytes ||
            p.synced > p.acked || p.in_flight > CL_PIPELINE_FLIGHTS)
            BUG("acknowledged %llu of %llu sent of %llu", (unsigned long long)p.acked,
                (unsigned long long)p.sent, (unsigned long long)p.filled);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const kinds[KINDS])(struct slice) = {
        try_header, try_ack, try_name, try_node, try_files, try_datanode, try_client};
    if (size > 0)
        kinds[data[0] % KINDS](slice_of(data + 1, size - 1));
    return 0;
}
