/* SPDX-License-Identifier: Apache-2.0
 * fake_cluster: a namenode and datanodes in one process, on real sockets, small enough to misbehave
 * on purpose. Blocks live in memory; a chain of datanodes is the first one writing into all of
 * them. Everything is guarded by one lock; each connection has a thread. */
#ifndef QUERN_TEST_FAKE_CLUSTER_H
#define QUERN_TEST_FAKE_CLUSTER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/lib/handle.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/chunksum.h"
#include "libcommon/event/listen.h"
#include "libcommon/event/sock.h"
#include "libcommon/event/thread.h"
#include "libcommon/proto/cl_nn/messages.h"
#include "libcommon/wire/frame.h"

#define FAKE_NODES   3
#define FAKE_ALL     5 /* with those that only replace others */
#define FAKE_BLOCKS  64
#define FAKE_THREADS 4096
#define FAKE_WAIT    (clock_mono_ms() + 20000)

struct fake_replica {
    bool is_there, is_final;
    uint64_t id, gs, acked;
    struct buf data;
};
struct fake_node {
    char name[16], tcp[SOCK_TEXT_MAX], sock[64];
    uint32_t port;
    int listeners[2];
    struct fake_replica replicas[FAKE_BLOCKS];
    /* how it misbehaves */
    bool is_down;    /* accepts and hangs up */
    bool is_mute;    /* accepts and says nothing */
    int mute_packet; /* says nothing any more from the middle of the n-th packet it is to send */
    bool refuses;    /* answers every WRITE with a reason */
    int fail_packet; /* the n-th packet with data from now on gets this node's bad status */
    int fail_code;
    int close_packet; /* the connection is cut at the n-th packet from now on */
    bool corrupts;    /* flips a bit in what it reads */
    bool loses;       /* what it has of a block is wrong when it is to go elsewhere */
    unsigned reads, local_reads, writes, ring_writes, transfers;
};
struct fake_block {
    uint64_t id, gs, len;
    bool is_abandoned;
    char nodes[FAKE_ALL][16];
    uint32_t node_count;
};
static struct {
    struct mutex lock;
    struct fake_node nodes[FAKE_ALL];
    struct fake_block blocks[FAKE_BLOCKS];
    uint32_t block_count;
    uint32_t replication;
    uint64_t block_size, next_gs, file_len;
    bool exists, is_complete, same_host;
    unsigned renews, bad_reports, stamps, flushes, deletes, extras;
    unsigned spares; /* further nodes, to replace others */
    char last_bad[16];
    int nn_listener;
    char nn_address[SOCK_TEXT_MAX];
    struct thread threads[FAKE_THREADS];
    unsigned thread_count;
    _Atomic bool is_ending;
    unsigned generation; /* of tests: a conversation begun in an earlier one is over */
    struct identity self;
    char self_node[64], self_user[64], self_boot[64]; /* every client writes identity_init's own */
} fake;

/* --- conversations ---------------------------------------------------------------------------- */

struct fake_conn {
    int fd;
    struct fake_node *node; /* NULL = the namenode */
    struct buf in;
    struct arena arena;
    struct frame frame;
};

static int fake_recv(struct fake_conn *c)
{
    buf_clear(&c->in);
    uint8_t *p = buf_reserve(&c->in, FRAME_HEADER_BYTES);
    int rc = sock_recv_exact(c->fd, p, FRAME_HEADER_BYTES, FAKE_WAIT);
    if (rc != 0)
        return rc;
    size_t len = get_u32(p);
    p = buf_reserve(&c->in, len);
    c->in.len = len;
    rc = sock_recv_exact(c->fd, p + FRAME_HEADER_BYTES, len - FRAME_HEADER_BYTES, FAKE_WAIT);
    size_t used = 0;
    return rc ? rc : frame_parse(buf_slice(&c->in), FRAME_MAX_BYTES, &c->frame, &used, NULL);
}

static void fake_send(struct fake_conn *c, struct buf *out)
{
    (void)sock_send_all(c->fd, out->data, out->len, FAKE_WAIT);
    buf_release(out);
}

static void fake_answer(struct fake_conn *c, const struct msg_desc *desc, const void *answer)
{
    struct buf out = BUF_INIT;
    const struct frame head = {.type = c->frame.type, .flags = FRAME_ANSWER, .call = c->frame.call};
    frame_put(&out, &head, desc, answer);
    fake_send(c, &out);
}

static void fake_fail(struct fake_conn *c, int code, const char *text)
{
    struct buf out = BUF_INIT;
    frame_put_error(&out, c->frame.type, c->frame.call, code, text);
    fake_send(c, &out);
}

#define FAKE_DECODE(c, type, var)                                                \
    struct type var = {0};                                                       \
    if (msg_decode(&type##_desc, (c)->frame.body, &(c)->arena, &var, NULL) != 0) \
    return false

/* --- the namenode ----------------------------------------------------------------------------- */

static struct msg_node fake_msg_node(const char *name)
{
    for (size_t i = 0; i < FAKE_ALL; i++) {
        struct fake_node *n = &fake.nodes[i];
        if (strcmp(n->name, name) == 0)
            return (struct msg_node){.name = slice_str(n->name),
                                     .host = slice_str("127.0.0.1"),
                                     .data_port = n->port,
                                     .socket = slice_str(fake.same_host ? n->sock : ""),
                                     .boot_id = slice_str(fake.self.boot),
                                     .netns = fake.self.netns};
    }
    return (struct msg_node){0};
}

static struct msg_located_block fake_locate(struct fake_conn *c, const struct fake_block *b,
                                            uint64_t offset)
{
    struct msg_node *nodes = arena_calloc(&c->arena, FAKE_ALL, sizeof(*nodes));
    for (uint32_t i = 0; i < b->node_count; i++)
        nodes[i] = fake_msg_node(b->nodes[i]);
    return (struct msg_located_block){
        .block = {b->id, b->gs, b->len}, .offset = offset, .nodes = {nodes, b->node_count}};
}

static bool fake_is_among(const struct msg_strs *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (slice_is(names->v[i], name))
            return true;
    return false;
}

static bool fake_extra_node(struct fake_conn *c)
{
    FAKE_DECODE(c, cl2nn_extra_node, ask);
    struct msg_node node = {0};
    fake.extras++;
    for (size_t i = 0; i < FAKE_NODES + fake.spares && node.name.len == 0; i++)
        if (!fake_is_among(&ask.have, fake.nodes[i].name) &&
            !fake_is_among(&ask.exclude, fake.nodes[i].name))
            node = fake_msg_node(fake.nodes[i].name);
    const struct cl2nn_nodes answer = {{&node, 1}};
    if (node.name.len)
        fake_answer(c, &cl2nn_nodes_desc, &answer);
    else
        fake_fail(c, ERR_NONODE, "no further datanode");
    return true;
}

static struct fake_block *fake_block_of(uint64_t id)
{
    for (uint32_t i = 0; i < fake.block_count; i++)
        if (fake.blocks[i].id == id)
            return &fake.blocks[i];
    return NULL;
}

static void fake_commit(const struct msg_block *last)
{
    struct fake_block *b = last->id ? fake_block_of(last->id) : NULL;
    if (b && b->gs == last->gs)
        b->len = last->len;
}

static bool fake_add_block(struct fake_conn *c)
{
    FAKE_DECODE(c, cl2nn_add_block, ask);
    fake_commit(&ask.previous);
    struct fake_block *b = &fake.blocks[fake.block_count];
    *b = (struct fake_block){.id = 1000 + fake.block_count, .gs = fake.next_gs++};
    for (size_t i = 0; i < FAKE_NODES && b->node_count < fake.replication; i++)
        if (!fake_is_among(&ask.exclude, fake.nodes[i].name))
            snprintf(b->nodes[b->node_count++], 16, "%s", fake.nodes[i].name);
    if (b->node_count == 0) {
        fake_fail(c, ERR_NONODE, "File could only be written to 0 of the 1 minReplication nodes.");
        return true;
    }
    fake.block_count++;
    struct msg_located_block answer = fake_locate(c, b, 0);
    fake_answer(c, &msg_located_block_desc, &answer);
    return true;
}

static bool fake_update_pipeline(struct fake_conn *c)
{
    FAKE_DECODE(c, cl2nn_update_pipeline, ask);
    struct fake_block *b = fake_block_of(ask.block.id);
    if (!b || b->gs != ask.block.gs) {
        fake_fail(c, ERR_STALE, "not the stamp of this block");
        return true;
    }
    b->gs = ask.new_gs;
    b->node_count = 0;
    for (size_t i = 0; i < ask.nodes.n; i++)
        snprintf(b->nodes[b->node_count++], 16, SLICE_FMT, SLICE_ARG(ask.nodes.v[i]));
    fake_answer(c, &msg_void_desc, &(struct msg_void){0});
    return true;
}

static bool fake_on_locate(struct fake_conn *c)
{
    FAKE_DECODE(c, cl2nn_locate, ask);
    if (!fake.exists) {
        fake_fail(c, ERR_NOENT, "File does not exist: /f");
        return true;
    }
    struct cl2nn_located answer = {.is_open = !fake.is_complete, .file_id = 7};
    answer.blocks.v = arena_calloc(&c->arena, FAKE_BLOCKS, sizeof(*answer.blocks.v));
    uint64_t offset = 0;
    for (uint32_t i = 0; i < fake.block_count; i++) {
        const struct fake_block *b = &fake.blocks[i];
        if (b->is_abandoned)
            continue;
        if (offset + b->len > ask.offset || !fake.is_complete)
            answer.blocks.v[answer.blocks.n++] = fake_locate(c, b, offset);
        offset += b->len;
    }
    answer.file_len = offset;
    fake_answer(c, &cl2nn_located_desc, &answer);
    return true;
}

static bool fake_namenode(struct fake_conn *c)
{
    const struct msg_void nothing = {0};
    switch (c->frame.type) {
    case CL2NN_CREATE: {
        const struct cl2nn_created answer = {7, fake.replication, fake.block_size};
        fake.exists = true;
        fake_answer(c, &cl2nn_created_desc, &answer);
        return true;
    }
    case CL2NN_ADD_BLOCK:
        return fake_add_block(c);
    case CL2NN_ABANDON_BLOCK: {
        FAKE_DECODE(c, cl2nn_abandon_block, ask);
        fake_block_of(ask.block.id)->is_abandoned = true;
        break;
    }
    case CL2NN_NEW_STAMP: {
        fake.stamps++;
        const struct cl2nn_stamped answer = {fake.next_gs++};
        fake_answer(c, &cl2nn_stamped_desc, &answer);
        return true;
    }
    case CL2NN_EXTRA_NODE:
        return fake_extra_node(c);
    case CL2NN_UPDATE_PIPELINE:
        return fake_update_pipeline(c);
    case CL2NN_FLUSHED: {
        FAKE_DECODE(c, cl2nn_flushed, ask);
        fake.flushes++;
        fake_commit(&ask.last);
        break;
    }
    case CL2NN_COMPLETE: {
        FAKE_DECODE(c, cl2nn_complete, ask);
        fake_commit(&ask.last);
        fake.is_complete = true;
        break;
    }
    case CL2NN_LOCATE:
        return fake_on_locate(c);
    case CL2NN_STAT: {
        const struct msg_file answer = {.id = 7, .owner = slice_str("o"), .group = slice_str("g")};
        if (fake.exists)
            fake_answer(c, &msg_file_desc, &answer);
        else
            fake_fail(c, ERR_NOENT, "File does not exist: /f");
        return true;
    }
    case CL2NN_DELETE: {
        const struct cl2nn_yes answer = {fake.exists};
        fake.exists = false;
        fake.deletes++;
        fake_answer(c, &cl2nn_yes_desc, &answer);
        return true;
    }
    case CL2NN_RENEW:
        fake.renews++;
        break;
    case CL2NN_BAD_BLOCK: {
        FAKE_DECODE(c, cl2nn_bad_block, ask);
        fake.bad_reports++;
        snprintf(fake.last_bad, sizeof(fake.last_bad), SLICE_FMT, SLICE_ARG(ask.nodes.v[0]));
        break;
    }
    default:
        fake_fail(c, ERR_UNSUPPORTED, "not here");
        return true;
    }
    fake_answer(c, &msg_void_desc, &nothing);
    return true;
}

/* --- datanodes -------------------------------------------------------------------------------- */

static struct fake_node *fake_find(struct slice name)
{
    for (size_t i = 0; i < FAKE_ALL; i++)
        if (slice_is(name, fake.nodes[i].name))
            return &fake.nodes[i];
    return NULL;
}

static struct fake_replica *fake_replica_of(struct fake_node *node, uint64_t id, bool make)
{
    for (size_t i = 0; i < FAKE_BLOCKS; i++)
        if (node->replicas[i].is_there && node->replicas[i].id == id)
            return &node->replicas[i];
    for (size_t i = 0; make && i < FAKE_BLOCKS; i++) {
        if (!node->replicas[i].is_there) {
            node->replicas[i] = (struct fake_replica){.is_there = true, .id = id};
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
        if (!r || r->data.len < ask->block.len)
            return chain->nodes[i];
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
        answer.bad_node = slice_str(bad->name);
        answer.code = ERR_NOSPC;
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
    mutex_unlock(&fake.lock);
    (void)sock_writev_all(c->fd, iov, 3, FAKE_WAIT);
    mutex_lock(&fake.lock);
    mem_free(copy);
}

/* Until the client hangs up, the node finds its voice, or the test is over. Lock held. */
static void fake_be_silent(struct fake_conn *c)
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

static bool fake_datanode(struct fake_conn *c)
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

/* --- life ------------------------------------------------------------------------------------- */

static void fake_start_thread(void (*fn)(void *arg), void *arg)
{
    assert_true(fake.thread_count < FAKE_THREADS);
    assert_int_equal(thread_start(&fake.threads[fake.thread_count++], "fake", fn, arg, NULL), 0);
}

static void fake_serve(void *arg)
{
    struct fake_conn *c = arg;
    struct buf out = BUF_INIT;
    struct identity self = fake.self;
    self.role = c->node ? WIRE_DATANODE : WIRE_NAMENODE;
    bool goes_on = fake_recv(c) == 0 && c->frame.type == FRAME_HELLO;
    mutex_lock(&fake.lock);
    if (goes_on && c->node)
        fake_be_silent(c);
    mutex_unlock(&fake.lock);
    if (goes_on) {
        hello_put(&out, &self, FRAME_ANSWER);
        fake_send(c, &out);
    }
    while (goes_on && fake_recv(c) == 0) {
        mutex_lock(&fake.lock);
        if (c->node)
            fake_be_silent(c);
        if (c->node && c->node->is_down)
            goes_on = false;
        else
            goes_on = c->node ? fake_datanode(c) : fake_namenode(c);
        mutex_unlock(&fake.lock);
        arena_reset(&c->arena);
    }
    close(c->fd);
    buf_release(&c->in);
    arena_release(&c->arena);
    mem_free(c);
}

struct fake_door {
    int listener;
    struct fake_node *node;
};

static void fake_accept(void *arg)
{
    struct fake_door *door = arg;
    for (;;) {
        struct pollfd ready = {.fd = door->listener, .events = POLLIN};
        (void)poll(&ready, 1, 50);
        int fd = accept4(door->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && !fake.is_ending)
            continue;
        if (fd < 0)
            break;
        int one = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        struct fake_conn *c = mem_calloc(1, sizeof(*c));
        *c = (struct fake_conn){.fd = fd, .node = door->node};
        mutex_lock(&fake.lock);
        if (door->node && door->node->is_down) {
            close(fd);
            mem_free(c);
        } else {
            fake_start_thread(fake_serve, c);
        }
        mutex_unlock(&fake.lock);
    }
    mem_free(door);
}

static int fake_open_door(const char *address, struct fake_node *node, char bound[SOCK_TEXT_MAX])
{
    struct err err = {0};
    struct fake_door *door = mem_calloc(1, sizeof(*door));
    int fd = -1;
    assert_int_equal(listen_socket(address, 0600, &fd, bound, &err), 0);
    *door = (struct fake_door){fd, node};
    fake_start_thread(fake_accept, door);
    return fd;
}

/* Everything as new, all nodes well. */
static void fake_reset(void)
{
    mutex_lock(&fake.lock);
    for (size_t i = 0; i < FAKE_ALL; i++) {
        struct fake_node *n = &fake.nodes[i];
        for (size_t b = 0; b < FAKE_BLOCKS; b++)
            buf_release(&n->replicas[b].data);
        memset(n->replicas, 0, sizeof(n->replicas));
        n->is_down = n->is_mute = n->refuses = n->corrupts = n->loses = false;
        n->fail_packet = n->close_packet = n->mute_packet = 0;
        n->reads = n->local_reads = n->writes = n->ring_writes = n->transfers = 0;
    }
    fake.generation++;
    memset(fake.blocks, 0, sizeof(fake.blocks));
    fake.block_count = 0;
    fake.replication = FAKE_NODES;
    fake.block_size = 1U << 20;
    fake.next_gs = 1000;
    fake.exists = fake.is_complete = fake.same_host = false;
    fake.renews = fake.bad_reports = fake.stamps = fake.flushes = fake.deletes = 0;
    fake.extras = fake.spares = 0;
    fake.last_bad[0] = '\0';
    mutex_unlock(&fake.lock);
}

static void fake_start(void)
{
    memset(&fake, 0, sizeof(fake));
    mutex_init(&fake.lock);
    identity_init(&fake.self, WIRE_NAMENODE, "fake");
    snprintf(fake.self_node, sizeof(fake.self_node), "%s", fake.self.node);
    snprintf(fake.self_user, sizeof(fake.self_user), "%s", fake.self.user);
    snprintf(fake.self_boot, sizeof(fake.self_boot), "%s", fake.self.boot);
    fake.self.node = fake.self_node;
    fake.self.user = fake.self_user;
    fake.self.boot = fake.self_boot;
    fake.nn_listener = fake_open_door("127.0.0.1:0", NULL, fake.nn_address);
    for (size_t i = 0; i < FAKE_ALL; i++) {
        struct fake_node *n = &fake.nodes[i];
        char bound[SOCK_TEXT_MAX];
        snprintf(n->name, sizeof(n->name), "n%zu", i);
        snprintf(n->sock, sizeof(n->sock), "/tmp/quern-fake-%d-%zu.sock", (int)getpid(), i);
        n->listeners[0] = fake_open_door("127.0.0.1:0", n, n->tcp);
        n->listeners[1] = fake_open_door(n->sock, n, bound);
        n->port = (uint32_t)strtoul(strrchr(n->tcp, ':') + 1, NULL, 10);
    }
    fake_reset();
}

/* All clients must have hung up. */
static void fake_stop(void)
{
    fake_reset();
    fake.is_ending = true;
    for (unsigned i = 0; i < fake.thread_count; i++)
        thread_join(&fake.threads[i]);
    close(fake.nn_listener);
    for (size_t i = 0; i < FAKE_ALL; i++) {
        close(fake.nodes[i].listeners[0]);
        close(fake.nodes[i].listeners[1]);
        unlink(fake.nodes[i].sock);
    }
}

/* A handle on it, as node `node` (NULL = elsewhere). */
static struct qn_fs *fake_connect_with(const char *node, const char *key, const char *value)
{
    char uri[SOCK_TEXT_MAX + 16];
    struct qn_error error;
    snprintf(uri, sizeof(uri), "quern://%s", fake.nn_address);
    const struct qn_option set[] = {{"node.name", node             ? node
                                                  : fake.same_host ? "n0"
                                                                   : "elsewhere"},
                                    {"dfs.client.socket-timeout", "5s"},
                                    {key, value},
                                    {NULL, NULL}};
    const struct qn_fs_options options = {.user = "tester", .options = set};
    struct qn_fs *fs = qn_fs_open(uri, &options, &error);
    if (!fs)
        fail_msg("%s", error.message);
    return fs;
}

static struct qn_fs *fake_connect(const char *node)
{
    return fake_connect_with(node, NULL, NULL);
}

#endif
