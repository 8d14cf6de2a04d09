/* SPDX-License-Identifier: Apache-2.0
 * The fake cluster's datanodes: what they are told, told wrong, or not told at all. */
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/chunksum.h"
#include "libcommon/proto/data/messages.h"
#include "libcommon/proto/data/packet.h"
#include "tests/unit/client/lib/fake_conn.h"

static struct fake_node *fake_find(struct slice name)
{
    for (size_t i = 0; i < FAKE_ALL; i++)
        if (slice_is(name, fake.nodes[i].name))
            return &fake.nodes[i];
    return NULL;
}

struct fake_replica *fake_replica_of(struct fake_node *node, uint64_t id, bool make)
{
    for (size_t i = 0; i < FAKE_BLOCKS; i++)
        if (node->replicas[i].is_there && node->replicas[i].id == id)
            return &node->replicas[i];
    for (size_t i = 0; make && i < FAKE_BLOCKS; i++) {
        if (!node->replicas[i].is_there) {
            node->replicas[i] =
                (struct fake_replica){.is_there = true, .id = id, .damaged = UINT64_MAX};
            return &node->replicas[i];
        }
    }
    return NULL;
}

struct fake_chain {
    struct fake_node *nodes[FAKE_ALL];
    uint32_t count;
    uint64_t id;
    const uint8_t *ring;
    uint64_t ring_bytes;
};

/* Who of the chain cannot begin, and why; NULL = all can. */
static struct fake_node *fake_begin(struct fake_chain *chain, const struct data_write *ask,
                                    const char **ret_why)
{
    for (uint32_t i = 0; i < chain->count; i++) {
        struct fake_node *n = chain->nodes[i];
        *ret_why = n->is_down ? "it is down" : "it does not want to";
        if (n->refuses || n->is_down)
            return n;
    }
    for (uint32_t i = 0; i < chain->count; i++) {
        struct fake_replica *r =
            fake_replica_of(chain->nodes[i], ask->block.id, ask->stage == DATA_WRITE_CREATE);
        *ret_why = "it does not hold the bytes";
        if (!r || r->data.len < ask->block.len || r->damaged < ask->block.len)
            return chain->nodes[i];
        r->damaged = UINT64_MAX;
        r->gs = ask->stage == DATA_WRITE_CREATE ? ask->block.gs : ask->new_gs;
        r->data.len = ask->block.len;
        r->acked = ask->block.len;
        r->is_final = false;
    }
    return NULL;
}

/* The place of the node that fails with this packet, and its code; -1 = none. */
static int fake_trouble(struct fake_chain *chain, bool has_data, int *ret_code, bool *ret_cut)
{
    *ret_cut = false;
    for (uint32_t i = 0; i < chain->count; i++) {
        struct fake_node *n = chain->nodes[i];
        if (i == 0 && n->close_packet && --n->close_packet == 0)
            *ret_cut = true;
        if (has_data && n->fail_packet && --n->fail_packet == 0) {
            *ret_code = n->fail_code;
            return (int)i;
        }
    }
    return -1;
}

static bool fake_is_damaged(struct fake_node *node, const struct data_write *ask)
{
    struct fake_replica *r = fake_replica_of(node, ask->block.id, false);
    return r && r->damaged < ask->block.len;
}

static void fake_store(struct fake_chain *chain, const struct packet_header *h, const uint8_t *data,
                       bool good)
{
    for (uint32_t i = 0; i < chain->count; i++) {
        struct fake_replica *r = fake_replica_of(chain->nodes[i], chain->id, false);
        assert_true(h->data_len == 0 || h->offset <= r->data.len);
        if (h->data_len) {
            r->data.len = h->offset;
            buf_append(&r->data, data, h->data_len);
        }
        if (h->data_len && chain->nodes[i]->has_bad_memory) {
            r->data.data[r->data.len - 1] ^= 4;
            r->damaged = r->damaged < r->data.len - 1 ? r->damaged : r->data.len - 1;
        }
        if (good)
            r->acked = r->data.len;
        if (good && (h->flags & PACKET_LAST))
            r->is_final = true;
    }
}

/* As a datanode does: it says no more, and reads on until the client has gone. A connection that is
 * closed with bytes unread is reset, and the ack that tells of the failure may be lost with it. */
static void fake_see_off(int fd)
{
    uint8_t dropped[4096];
    (void)shutdown(fd, SHUT_WR);
    while (sock_recv_exact(fd, dropped, 1, FAKE_WAIT) == 0)
        while (recv(fd, dropped, sizeof(dropped), MSG_DONTWAIT) > 0)
            continue;
}

/* Packets until the last one; false = the connection is over. */
static bool fake_packets(struct fake_conn *c, struct fake_chain *chain)
{
    static const size_t room = PACKET_DATA_MAX + PACKET_SUMS_MAX * 4;
    uint8_t raw[PACKET_HEADER_BYTES], *bytes = mem_alloc(room);
    struct packet_header h = {0};
    bool goes_on = true;
    unsigned generation = fake.generation;
    while (goes_on && !(h.flags & PACKET_LAST)) {
        mutex_unlock(&fake.lock);
        int rc = sock_recv_exact(c->fd, raw, sizeof(raw), FAKE_WAIT);
        if (rc == 0)
            rc = packet_header_decode(raw, &h);
        bool in_ring = h.flags & PACKET_RING;
        size_t sums = h.sums * 4U;
        if (rc == 0 && !in_ring)
            rc = sock_recv_exact(c->fd, bytes, sums + h.data_len, FAKE_WAIT);
        mutex_lock(&fake.lock);
        if (rc != 0 || generation != fake.generation)
            return mem_free(bytes), false;
        const uint8_t *data = bytes + sums;
        if (in_ring) {
            assert_true(h.offset % chain->ring_bytes + h.data_len <= chain->ring_bytes);
            data = chain->ring + h.offset % chain->ring_bytes;
        } else if (h.data_len) {
            assert_true(chunksum_verify(slice_of(data, h.data_len), 512, slice_of(bytes, sums)) ==
                        CHUNKSUM_GOOD);
        }
        int code = 0;
        bool cut = false;
        int bad = fake_trouble(chain, h.data_len > 0, &code, &cut);
        fake_store(chain, &h, data, bad < 0 && !cut);
        struct packet_ack ack = {.seq = h.seq,
                                 .count = (uint16_t)(bad < 0 ? (int)chain->count : bad + 1)};
        if (bad >= 0)
            ack.status[bad] = (int16_t)code;
        uint8_t out[PACKET_ACK_BYTES];
        packet_ack_encode(&ack, out);
        if (!cut)
            (void)sock_send_all(c->fd, out, sizeof(out), FAKE_WAIT);
        goes_on = bad < 0 && !cut;
        if (bad >= 0 && !cut) {
            mutex_unlock(&fake.lock);
            fake_see_off(c->fd);
            mutex_lock(&fake.lock);
        }
    }
    mem_free(bytes);
    return goes_on && (h.flags & PACKET_LAST);
}

static bool fake_write(struct fake_conn *c, bool in_ring)
{
    FAKE_DECODE(c, data_write, ask);
    struct fake_chain chain = {.nodes = {c->node}, .count = 1, .id = ask.block.id};
    const char *why = "";
    for (size_t i = 0; i < ask.targets.n; i++)
        chain.nodes[chain.count++] = fake_find(ask.targets.v[i].name);
    struct fake_node *bad = fake_begin(&chain, &ask, &why);
    struct data_writing answer = {.node = slice_str(c->node->name)};
    if (bad) {
        c->node->refused++;
        answer.bad_node = slice_str(bad->name);
        answer.code = fake_is_damaged(bad, &ask) ? ERR_CHECKSUM
                      : bad->refuse_code         ? bad->refuse_code
                                                 : ERR_NOSPC;
        answer.why = slice_str(why);
    }
    fake_answer(c, &data_writing_desc, &answer);
    if (bad)
        return true;
    c->node->writes++;
    c->node->ring_writes += in_ring;
    void *ring = NULL;
    if (in_ring) {
        struct sock_fds fds;
        uint8_t byte;
        assert_int_equal(sock_recv_fds(c->fd, &byte, 1, &fds, FAKE_WAIT), 0);
        assert_int_equal(fds.count, 1);
        ring = mmap(NULL, ask.ring_bytes, PROT_READ, MAP_SHARED, fds.fd[0], 0);
        assert_true(ring != MAP_FAILED);
        close(fds.fd[0]);
        chain.ring = ring;
        chain.ring_bytes = ask.ring_bytes;
    }
    bool goes_on = fake_packets(c, &chain);
    if (ring)
        munmap(ring, ask.ring_bytes);
    return goes_on;
}

/* What it has of a block that is being written, to one that joins its chain. */
static bool fake_transfer(struct fake_conn *c)
{
    FAKE_DECODE(c, data_transfer, ask);
    struct fake_node *to = fake_find(ask.targets.v[0].name), *bad = NULL;
    struct fake_replica *r = fake_replica_of(c->node, ask.block.id, false);
    struct data_writing answer = {.node = slice_str(c->node->name)};
    c->node->transfers++;
    if (!r || r->data.len < ask.block.len || c->node->loses)
        bad = c->node;
    else if (to->refuses || to->is_down)
        bad = to;
    if (bad) {
        answer.bad_node = slice_str(bad->name);
        answer.code = bad == to ? ERR_NOSPC : ERR_CHECKSUM;
        answer.why = slice_str("it cannot");
    } else {
        struct fake_replica *copy = fake_replica_of(to, ask.block.id, true);
        buf_clear(&copy->data);
        buf_append(&copy->data, r->data.data, r->data.len);
        copy->gs = ask.block.gs;
        copy->acked = r->data.len;
    }
    fake_answer(c, &data_writing_desc, &answer);
    return true;
}

static void fake_send_packet(struct fake_conn *c, struct packet_header *h, const uint8_t *data)
{
    uint8_t raw[PACKET_HEADER_BYTES];
    uint32_t sums[PACKET_SUMS_MAX];
    uint8_t *copy = mem_alloc(h->data_len + 1);
    h->sums = (uint16_t)chunksum_count(h->data_len, 512);
    chunksum_compute(slice_of(data, h->data_len), 512, sums);
    packet_header_encode(h, raw);
    if (h->data_len)
        memcpy(copy, data, h->data_len);
    if (c->node->corrupts && h->data_len)
        copy[h->data_len / 2] ^= 1;
    struct iovec iov[] = {{raw, sizeof(raw)}, {sums, h->sums * 4U}, {copy, h->data_len}};
    uint32_t wait_ms = c->node->packet_ms;
    mutex_unlock(&fake.lock);
    usleep(wait_ms * 1000);
    (void)sock_writev_all(c->fd, iov, 3, FAKE_WAIT);
    mutex_lock(&fake.lock);
    mem_free(copy);
}

void fake_be_silent(struct fake_conn *c)
{
    unsigned generation = fake.generation;
    bool hung_up = false;
    while (!hung_up && c->node->is_mute && generation == fake.generation && !fake.is_ending) {
        mutex_unlock(&fake.lock);
        struct pollfd gone = {.fd = c->fd, .events = POLLRDHUP};
        hung_up = poll(&gone, 1, 20) > 0;
        mutex_lock(&fake.lock);
    }
}

/* Half a header, and no more. */
static bool fake_stop_in_packet(struct fake_conn *c, const struct packet_header *h)
{
    uint8_t raw[PACKET_HEADER_BYTES];
    packet_header_encode(h, raw);
    (void)sock_send_all(c->fd, raw, sizeof(raw) / 2, FAKE_WAIT);
    c->node->is_mute = true;
    fake_be_silent(c);
    return false;
}

static bool fake_read(struct fake_conn *c)
{
    FAKE_DECODE(c, data_read, ask);
    struct fake_replica *r = fake_replica_of(c->node, ask.block.id, false);
    c->node->reads++;
    if (!r || (ask.block.gs && r->gs != ask.block.gs)) {
        fake_fail(c, ERR_NOENT, "no such replica");
        return true;
    }
    uint64_t start = ask.offset - ask.offset % 512, end = ask.offset + ask.length;
    uint64_t limit = r->is_final ? r->data.len : r->acked;
    end = chunksum_last(ask.offset, ask.length, limit, 512);
    const struct data_reading answer = {start, end - start, limit, r->gs};
    fake_answer(c, &data_reading_desc, &answer);
    struct packet_header h = {.offset = start};
    unsigned generation = fake.generation;
    for (; h.offset < end; h.offset += h.data_len, h.seq++) {
        if (generation != fake.generation)
            return false;
        uint64_t left = end - h.offset;
        h.data_len = left < 65536 ? (uint32_t)left : 65536;
        if (c->node->close_packet && --c->node->close_packet == 0)
            return false;
        if (c->node->mute_packet && --c->node->mute_packet == 0)
            return fake_stop_in_packet(c, &h);
        fake_send_packet(c, &h, r->data.data + h.offset);
    }
    h.data_len = 0;
    h.flags = PACKET_LAST;
    fake_send_packet(c, &h, r->data.data);
    return true;
}

static bool fake_local_read(struct fake_conn *c)
{
    FAKE_DECODE(c, data_local_read, ask);
    struct fake_replica *r = fake_replica_of(c->node, ask.block.id, false);
    if (!r || !r->is_final) {
        fake_fail(c, ERR_RETRY, "not finalized");
        return true;
    }
    c->node->local_reads++;
    size_t sum_bytes = (size_t)chunksum_count(r->data.len, 512) * 4;
    uint8_t *sums = mem_calloc(1, sum_bytes + 1);
    chunksum_compute(buf_slice(&r->data), 512, sums);
    int fds[2] = {memfd_create("data", 0), memfd_create("sums", 0)};
    assert_int_equal(write(fds[0], r->data.data, r->data.len), r->data.len);
    assert_int_equal(pwrite(fds[1], sums, sum_bytes, 100), sum_bytes);
    if (c->node->corrupts)
        assert_int_equal(pwrite(fds[0], "\x55\xaa", 2, (off_t)r->data.len / 2), 2);
    mem_free(sums);
    const struct data_local_reading answer = {{r->id, r->gs, r->data.len}, 100};
    fake_answer(c, &data_local_reading_desc, &answer);
    (void)sock_send_fds(c->fd, slice_str("f"), fds, 2, FAKE_WAIT);
    close(fds[0]);
    close(fds[1]);
    return true;
}

bool fake_datanode(struct fake_conn *c)
{
    switch (c->frame.type) {
    case DATA_WRITE:
        return fake_write(c, false);
    case DATA_LOCAL_WRITE:
        return fake_write(c, true);
    case DATA_TRANSFER:
        return fake_transfer(c);
    case DATA_READ:
        return fake_read(c);
    case DATA_LOCAL_READ:
        return fake_local_read(c);
    case DATA_REPLICA: {
        FAKE_DECODE(c, msg_block, ask);
        struct fake_replica *r = fake_replica_of(c->node, ask.id, false);
        const struct data_replica answer = {{ask.id, r ? r->gs : 0, 0}, 1, r ? r->acked : 0};
        if (r)
            fake_answer(c, &data_replica_desc, &answer);
        else
            fake_fail(c, ERR_NOENT, "no such replica");
        return true;
    }
    default:
        fake_fail(c, ERR_UNSUPPORTED, "not here");
        return true;
    }
}
