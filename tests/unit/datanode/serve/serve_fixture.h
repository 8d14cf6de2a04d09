/* SPDX-License-Identifier: Apache-2.0
 * serve_fixture: whole datanodes without their namenode, each with its own loop on its own thread
 * and its own data directory on a real disk, and a small blocking client that speaks the data
 * protocol packet by packet. The byte at offset i of block b is pattern(b, i).
 *
 * BOTH_WAYS(test) runs a test twice: with a client that sends packets over TCP, and with one on the
 * same node that passes a ring. */
#ifndef QUERN_TESTS_SERVE_FIXTURE_H
#define QUERN_TESTS_SERVE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "datanode/serve/blocks.h"
#include "datanode/serve/write.h"
#include "datanode/storage/settle.h"
#include "datanode/talk/namenode.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/chunksum.h"
#include "libcommon/event/sock.h"
#include "libcommon/event/thread.h"
#include "libcommon/proto/dn_nn/messages.h"
#include "libcommon/store/fsutil.h"
#include "libcommon/wire/chan.h"

#define BLOCK_BYTES (4U << 20)
#define TIMEOUT_MS  4000U
#define NEWS_MAX    64

static inline uint8_t pattern(uint64_t block, uint64_t i)
{
    return (uint8_t)(block * 17 + i * 31 + i / 251);
}

/* ---- datanodes ---- */

struct news {
    enum dn_change change;
    uint64_t id, gs, len;
};

struct node {
    char name[16];
    char *dir, *unix_path;
    struct identity identity;
    struct loop *loop;
    struct workq *work;
    struct dn_storage *storage;
    struct dn_serve *serve;
    struct dn_namenode *namenode; /* NULL: it does without */
    struct err fatal;
    struct thread thread;
    struct mutex lock;
    struct news news[NEWS_MAX];
    size_t news_count;
    char address[SOCK_TEXT_MAX];
    /* what on_loop hands over */
    struct loop_task task;
    void (*fn)(struct node *node, void *arg);
    void *arg;
    _Atomic bool is_done;
};

static inline void note_news(void *arg, enum dn_change change, const struct dn_replica *replica)
{
    struct node *n = arg;
    mutex_lock(&n->lock);
    if (n->news_count < NEWS_MAX)
        n->news[n->news_count++] = (struct news){change, replica->id, replica->gs, replica->len};
    mutex_unlock(&n->lock);
    if (n->namenode)
        dn_namenode_change(n->namenode, change, replica);
}

static inline void run_node(void *arg)
{
    struct node *n = arg;
    loop_run(n->loop);
}

struct node_options {
    uint64_t timeout_ms;
    unsigned threads;
    uint32_t direct_min;
    size_t ring_bytes;
    const char *namenode; /* address; NULL = none, and it belongs to cluster c1 */
};

static inline void now_registered(void *arg)
{
    struct node *n = arg;
    dn_serve_registered(n->serve);
}

static inline void now_fatal(void *arg, const struct err *err)
{
    struct node *n = arg;
    mutex_lock(&n->lock);
    n->fatal = *err;
    mutex_unlock(&n->lock);
}

static inline void node_open_namenode(struct node *n, const char *address)
{
    struct err err = {0};
    struct dn_namenode_conf conf = {
        .loop = n->loop,
        .address = address,
        .self = &n->identity,
        .node = {.name = slice_str(n->name),
                 .host = slice_str("127.0.0.1"),
                 .data_port = dn_serve_port(n->serve),
                 .socket = slice_str(n->unix_path)},
        .storage = n->storage,
        .movers = n->serve->movers,
        .pieces = n->serve->pieces,
        .piece_bytes = n->serve->conf.piece_bytes,
        .disk_work = n->work,
        .timeout_ms = TIMEOUT_MS,
        .on_registered = now_registered,
        .on_fatal = now_fatal,
        .arg = n,
    };
    if (dn_namenode_open(&conf, &n->namenode, &err) != 0)
        fail_msg("%s", err.msg);
}

static inline void node_open(struct node *n, const struct node_options *options)
{
    struct err err = {0};
    const char *paths[1] = {n->dir};
    n->loop = loop_new(&err);
    n->work = workq_new(n->loop, "disk", 2, &err);
    struct dn_storage_conf storage = {.disk = disk_real(),
                                      .volumes = {.paths = paths, .count = 1},
                                      .disk_work = n->work,
                                      .on_change = note_news,
                                      .arg = n};
    const char *namenode = options ? options->namenode : NULL;
    if (dn_storage_open(&storage, &n->storage, &err) != 0 ||
        (!namenode && dn_volumes_join(n->storage->volumes, "c1", "test", 1000, &err) != 0))
        fail_msg("%s", err.msg);
    struct dn_serve_conf conf = {
        .loop = n->loop,
        .storage = n->storage,
        .disk_work = n->work,
        .self = &n->identity,
        .node = n->name,
        .tcp_address = "127.0.0.1:0",
        .unix_address = n->unix_path,
        .threads_max = options && options->threads ? options->threads : 16,
        .ring_bytes = options && options->ring_bytes ? options->ring_bytes : 1U << 20,
        .piece_bytes = 64U << 10,
        .direct_min = options ? options->direct_min : 0,
        .timeout_ms = options && options->timeout_ms ? options->timeout_ms : TIMEOUT_MS,
    };
    if (dn_serve_open(&conf, &n->serve, &err) != 0)
        fail_msg("%s", err.msg);
    if (namenode)
        node_open_namenode(n, namenode);
    else
        dn_serve_registered(n->serve);
    snprintf(n->address, sizeof(n->address), "127.0.0.1:%u", dn_serve_port(n->serve));
    assert_int_equal(thread_start(&n->thread, n->name, run_node, n, NULL), 0);
}

static inline void node_close(struct node *n)
{
    loop_stop(n->loop);
    thread_join(&n->thread);
    dn_namenode_close(n->namenode);
    n->namenode = NULL;
    dn_serve_close(n->serve);
    workq_free(n->work);
    dn_storage_close(n->storage);
    loop_free(n->loop);
}

static inline void node_init(struct node *n, const char *base, int number)
{
    memset(n, 0, sizeof(*n));
    snprintf(n->name, sizeof(n->name), "dn%d", number);
    n->dir = fsutil_join(base, n->name);
    n->unix_path = str_printf("%s/%s.sock", base, n->name);
    n->identity = (struct identity){.role = WIRE_DATANODE, .cluster = "c1", .node = n->name};
    mutex_init(&n->lock);
}

static inline void node_release(struct node *n)
{
    mem_free(n->dir);
    mem_free(n->unix_path);
    mutex_release(&n->lock);
}

static inline void call_node(void *arg)
{
    struct node *n = arg;
    n->fn(n, n->arg);
    atomic_store(&n->is_done, true);
}

/* Look at a node's insides, on its own thread. */
static inline void on_loop(struct node *n, void (*fn)(struct node *node, void *arg), void *arg)
{
    n->fn = fn;
    n->arg = arg;
    atomic_store(&n->is_done, false);
    loop_post(n->loop, &n->task, call_node, n);
    while (!atomic_load(&n->is_done))
        usleep(200);
}

static inline void look_up(struct node *n, void *arg)
{
    struct dn_replica *out = arg;
    const struct dn_replica *r = dn_storage_find(n->storage, out->id);
    *out = r ? *r : (struct dn_replica){0};
}

/* As the map has it; id 0 when it has none. */
static inline struct dn_replica replica_of(struct node *n, uint64_t id)
{
    struct dn_replica r = {.id = id};
    on_loop(n, look_up, &r);
    return r;
}

static inline void expect_state(struct node *n, uint64_t id, enum dn_replica_state state,
                                uint64_t gs, uint64_t len)
{
    struct dn_replica r = {0};
    for (int i = 0; i < 500; i++) { /* the loop may hear of it a moment later */
        r = replica_of(n, id);
        if (r.id == id && r.state == state && r.gs == gs && r.len == len)
            return;
        usleep(10000);
    }
    fail_msg("%s: blk_%u is %s stamp %u len %u", n->name, (unsigned)id,
             r.id ? dn_replica_state_name(r.state) : "nowhere", (unsigned)r.gs, (unsigned)r.len);
}

static inline bool has_news(struct node *n, enum dn_change change, uint64_t id)
{
    bool found = false;
    mutex_lock(&n->lock);
    for (size_t i = 0; i < n->news_count; i++)
        found |= n->news[i].change == change && n->news[i].id == id;
    mutex_unlock(&n->lock);
    return found;
}

static inline void expect_news(struct node *n, enum dn_change change, uint64_t id)
{
    for (int i = 0; i < 500 && !has_news(n, change, id); i++)
        usleep(10000);
    assert_true(has_news(n, change, id));
}

static inline void idle_on_loop(struct node *n, void *arg)
{
    *(bool *)arg = dn_movers_active(n->serve->movers) == 0;
}

/* Until no thread of the node moves bytes. */
static inline void wait_idle(struct node *n)
{
    bool is_idle = false;
    for (int i = 0; i < 1000 && !is_idle; i++) {
        on_loop(n, idle_on_loop, &is_idle);
        if (!is_idle)
            usleep(5000);
    }
    assert_true(is_idle);
}

/* ---- a cluster of them ---- */

#define NODES_MAX 3
struct cluster {
    char *base;
    struct node node[NODES_MAX];
    int count;
};

static inline struct cluster *cluster_open(int count, const struct node_options *options)
{
    static struct cluster c;
    const char *tmp = getenv("TMPDIR");
    memset(&c, 0, sizeof(c));
    c.base = str_printf("%s/quern-dn-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(c.base));
    c.count = count;
    for (int i = 0; i < count; i++) {
        node_init(&c.node[i], c.base, i + 1);
        node_open(&c.node[i], options);
    }
    return &c;
}

static inline void cluster_close(struct cluster *c)
{
    (void)fault_arm(NULL, NULL);
    for (int i = 0; i < c->count; i++) {
        node_close(&c->node[i]);
        node_release(&c->node[i]);
    }
    assert_int_equal(fsutil_remove_tree(disk_real(), c->base, NULL), 0);
    mem_free(c->base);
}

static inline struct msg_node msg_node_of(struct node *n)
{
    return (struct msg_node){.name = slice_str(n->name),
                             .host = slice_str("127.0.0.1"),
                             .data_port = dn_serve_port(n->serve)};
}

/* ---- the client ---- */

struct peer {
    int fd;
    uint64_t call;
    struct arena arena;
    struct buf in;
    uint64_t block, seq;
    uint8_t *ring; /* LOCAL_WRITE */
    size_t ring_bytes;
    int memfd;
};

static inline void peer_open(struct peer *p, const char *address)
{
    static const struct identity self = {.role = WIRE_CLIENT, .cluster = "c1", .node = "client"};
    struct err err = {0};
    struct chan *chan = NULL;
    memset(p, 0, sizeof(*p));
    struct chan_conf conf = {.address = address, .self = &self, .role = WIRE_DATANODE};
    if (chan_open(&conf, &chan, &err) != 0 || chan_steal_fd(chan, &p->fd) != 0)
        fail_msg("%s", err.msg);
    p->memfd = -1;
}

static inline void peer_close(struct peer *p)
{
    if (p->fd >= 0)
        close(p->fd);
    if (p->memfd >= 0)
        close(p->memfd);
    if (p->ring)
        munmap(p->ring, p->ring_bytes);
    p->fd = -1;
    arena_release(&p->arena);
    buf_release(&p->in);
}

static inline uint64_t soon(void)
{
    return clock_mono_ms() + 10000;
}

/* The code of an error answer (its text in err), or 0 and the answer. */
static inline int peer_ask(struct peer *p, unsigned at, const void *ask, void *ret_answer,
                           struct err *err)
{
    const struct msg_method *method = &DATA_methods[at];
    struct buf out = BUF_INIT;
    struct frame frame = {.type = method->type, .call = ++p->call};
    assert_int_equal(frame_put(&out, &frame, method->ask, ask), 0);
    assert_int_equal(sock_send_all(p->fd, out.data, out.len, soon()), 0);
    buf_release(&out);
    buf_clear(&p->in);
    arena_reset(&p->arena);
    size_t need = FRAME_HEADER_BYTES;
    int rc = 0;
    while ((rc = frame_parse(buf_slice(&p->in), FRAME_MAX_BYTES, &frame, &need, err)) ==
           ERR_RETRY) {
        size_t more = need - p->in.len;
        assert_int_equal(sock_recv_exact(p->fd, buf_reserve(&p->in, more), more, soon()), 0);
        p->in.len += more;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(frame.call, p->call);
    assert_true(frame.flags & FRAME_ANSWER);
    if (frame.flags & FRAME_ERROR) {
        struct frame_error error = {0};
        assert_int_equal(msg_decode(&frame_error_desc, frame.body, &p->arena, &error, NULL), 0);
        return err_set(err, (int)error.code, SLICE_FMT, SLICE_ARG(error.text));
    }
    assert_int_equal(msg_decode(method->answer, frame.body, &p->arena, ret_answer, err), 0);
    return 0;
}

/* ---- writing ---- */

/* A chain over the nodes from `first` to the cluster's last; the answer is returned. */
struct chain {
    struct cluster *cluster;
    int first, count;
    uint64_t id, gs, new_gs, len;
    uint32_t stage;
    bool is_local;
    size_t ring_bytes;
    struct msg_block base; /* begin with a copy of it */
};

static bool through_ring; /* every client's, not just those that ask for it */

static inline int choose_tcp(void **state)
{
    (void)state;
    through_ring = false;
    return 0;
}

static inline int choose_ring(void **state)
{
    (void)state;
    through_ring = true;
    return 0;
}

#define OVER_TCP(test) cmocka_unit_test_setup(test, choose_tcp)
#define BOTH_WAYS(test)                                \
    OVER_TCP(test),                                    \
    {                                                  \
#test " (ring)", test, choose_ring, NULL, NULL \
    }

/* Copies between nodes go over TCP always. */
static inline bool is_local(const struct chain *chain)
{
    return chain->is_local || (through_ring && chain->stage < DATA_WRITE_COPY);
}

static inline int ask_chain(struct peer *p, const struct chain *chain, struct data_writing *answer,
                            struct err *err)
{
    struct msg_node targets[NODES_MAX];
    struct node *first = &chain->cluster->node[chain->first];
    peer_open(p, is_local(chain) ? first->unix_path : first->address);
    p->block = chain->id;
    for (int i = 1; i < chain->count; i++)
        targets[i - 1] = msg_node_of(&chain->cluster->node[chain->first + i]);
    p->ring_bytes = chain->ring_bytes ? chain->ring_bytes : 2U << 20;
    struct data_write ask = {.block = {.id = chain->id, .gs = chain->gs, .len = chain->len},
                             .stage = chain->stage,
                             .new_gs = chain->new_gs,
                             .targets = {targets, (size_t)chain->count - 1},
                             .block_size = BLOCK_BYTES,
                             .ring_bytes = is_local(chain) ? p->ring_bytes : 0,
                             .base = chain->base};
    return peer_ask(p, is_local(chain) ? DATA_AT_LOCAL_WRITE : DATA_AT_WRITE, &ask, answer, err);
}

static inline void pass_ring(struct peer *p, int seals)
{
    p->memfd = memfd_create("ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(p->memfd, (off_t)p->ring_bytes), 0);
    assert_int_equal(fcntl(p->memfd, F_ADD_SEALS, seals), 0);
    p->ring = mmap(NULL, p->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, p->memfd, 0);
    uint8_t byte = 'M';
    assert_int_equal(sock_send_fds(p->fd, slice_of(&byte, 1), &p->memfd, 1, soon()), 0);
}

static inline void open_chain(struct peer *p, const struct chain *chain)
{
    struct data_writing answer = {0};
    struct err err = {0};
    int rc = ask_chain(p, chain, &answer, &err);
    if (rc != 0)
        fail_msg("%s", err.msg);
    if (answer.bad_node.len > 0)
        fail_msg(SLICE_FMT ": " SLICE_FMT, SLICE_ARG(answer.bad_node), SLICE_ARG(answer.why));
    if (is_local(chain))
        pass_ring(p, F_SEAL_SHRINK | F_SEAL_GROW);
}

/* Fill bytes, header and sums of a packet; to be spoilt by the test before it is sent. */
struct parcel {
    uint8_t header[PACKET_HEADER_BYTES];
    uint8_t *sums, *data;
    size_t sums_len, data_len;
};

static inline struct parcel make_parcel(struct peer *p, uint64_t off, size_t len, uint16_t flags)
{
    struct parcel c = {.data = mem_alloc(len + 1), .data_len = len};
    struct packet_header h = {
        .data_len = (uint32_t)len, .flags = flags, .seq = p->seq++, .offset = off};
    c.sums_len = chunksum_count(len, 512) * 4;
    c.sums = mem_alloc(c.sums_len + 1);
    for (size_t i = 0; i < len; i++)
        c.data[i] = pattern(p->block, off + i);
    chunksum_compute(slice_of(c.data, len), 512, c.sums);
    if (p->ring) {
        h.flags |= PACKET_RING;
        for (size_t i = 0; i < len; i++)
            p->ring[(off + i) % p->ring_bytes] = c.data[i];
    } else {
        h.sums = (uint16_t)(c.sums_len / 4);
    }
    packet_header_encode(&h, c.header);
    return c;
}

static inline int send_parcel(struct peer *p, struct parcel *c)
{
    struct iovec iov[3] = {
        {c->header, sizeof(c->header)}, {c->sums, c->sums_len}, {c->data, c->data_len}};
    int rc = sock_writev_all(p->fd, iov, p->ring ? 1 : 3, soon());
    mem_free(c->sums);
    mem_free(c->data);
    return rc;
}

static inline void send_packet(struct peer *p, uint64_t off, size_t len, uint16_t flags)
{
    struct parcel c = make_parcel(p, off, len, flags);
    assert_int_equal(send_parcel(p, &c), 0);
}

static inline struct packet_ack recv_ack(struct peer *p)
{
    uint8_t bytes[PACKET_ACK_BYTES];
    struct packet_ack ack = {0};
    int rc = sock_recv_exact(p->fd, bytes, sizeof(bytes), soon());
    if (rc != 0)
        fail_msg("no ack: %s", err_text(rc));
    assert_int_equal(packet_ack_decode(bytes, &ack), 0);
    return ack;
}

static inline void expect_acks(struct peer *p, uint64_t first, uint64_t last, unsigned count)
{
    for (uint64_t seq = first; seq <= last; seq++) {
        struct packet_ack ack = recv_ack(p);
        assert_int_equal(ack.seq, seq);
        assert_int_equal(ack.count, count);
        for (unsigned i = 0; i < count; i++)
            assert_int_equal(ack.status[i], 0);
    }
}

/* Bytes [from, len) in packets, the last one flagged; all acks are good. */
static inline void stream(struct peer *p, uint64_t from, uint64_t len, unsigned chain)
{
    uint64_t first = p->seq, acked = p->seq;
    for (uint64_t off = from - from % 512; off < len;) {
        size_t n = len - off < 60 * 512 ? (size_t)(len - off) : 60 * 512;
        bool is_last = off + n == len;
        if (p->ring && p->seq - acked >= 4)
            expect_acks(p, acked, acked, chain), acked++;
        send_packet(p, off, n, is_last ? PACKET_LAST : 0);
        off += n;
    }
    if (p->seq == first)
        send_packet(p, len, 0, PACKET_LAST);
    expect_acks(p, acked, p->seq - 1, chain);
}

/* A whole block over the first `count` nodes. */
static inline void write_block(struct cluster *c, uint64_t id, uint64_t gs, uint64_t len, int count)
{
    struct peer p;
    struct chain chain = {.cluster = c, .count = count, .id = id, .gs = gs};
    open_chain(&p, &chain);
    stream(&p, 0, len, (unsigned)count);
    peer_close(&p);
}

/* ---- reading ---- */

struct reading {
    struct data_reading answer;
    uint8_t *data; /* mem_free it */
    uint64_t len;  /* verified bytes, from answer.start */
    int failed;    /* of a PACKET_FAILED, or ERR_CHECKSUM found here, or how the stream ended */
};

static inline int recv_packet(struct peer *p, struct reading *r, bool *ret_is_last)
{
    uint8_t bytes[PACKET_HEADER_BYTES], sums[PACKET_SUMS_MAX * 4];
    struct packet_header h;
    int rc = sock_recv_exact(p->fd, bytes, sizeof(bytes), soon());
    if (rc != 0)
        return rc;
    assert_int_equal(packet_header_decode(bytes, &h), 0);
    uint8_t *at = mem_alloc(h.data_len + 1U);
    rc = sock_recv_exact(p->fd, sums, h.sums * 4U, soon());
    if (rc == 0)
        rc = sock_recv_exact(p->fd, at, h.data_len, soon());
    if (rc == 0 && (h.flags & PACKET_FAILED))
        rc = (int)get_u32(at);
    else if (rc == 0 && chunksum_verify(slice_of(at, h.data_len), 512,
                                        slice_of(sums, h.sums * 4U)) != CHUNKSUM_GOOD)
        rc = ERR_CHECKSUM;
    if (rc == 0) {
        assert_int_equal(h.offset, r->answer.start + r->len);
        r->data = mem_realloc(r->data, (size_t)r->len + h.data_len + 1);
        memcpy(r->data + r->len, at, h.data_len);
        r->len += h.data_len;
    }
    mem_free(at);
    *ret_is_last = h.flags & PACKET_LAST;
    return rc;
}

/* The code of an error answer, else 0 and what came. */
static inline int read_range(struct peer *p, const struct data_read *ask, struct reading *ret,
                             struct err *err)
{
    memset(ret, 0, sizeof(*ret));
    int rc = peer_ask(p, DATA_AT_READ, ask, &ret->answer, err);
    bool is_last = rc != 0;
    while (!is_last && ret->failed == 0)
        ret->failed = recv_packet(p, ret, &is_last);
    return rc;
}

static inline void expect_bytes(struct node *n, uint64_t id, uint64_t offset, uint64_t len)
{
    struct peer p;
    struct reading r;
    struct err err = {0};
    struct data_read ask = {.block = {.id = id}, .offset = offset, .length = len};
    peer_open(&p, n->address);
    if (read_range(&p, &ask, &r, &err) != 0)
        fail_msg("%s", err.msg);
    assert_int_equal(r.failed, 0);
    assert_true(r.answer.start <= offset);
    assert_int_equal(r.len, r.answer.length);
    assert_true(r.answer.start + r.len >= offset + len);
    for (uint64_t i = 0; i < r.len; i++)
        if (r.data[i] != pattern(id, r.answer.start + i))
            fail_msg("%s: blk_%u: byte %u is wrong", n->name, (unsigned)id,
                     (unsigned)(r.answer.start + i));
    mem_free(r.data);
    peer_close(&p);
}

/* ---- damage ---- */

static inline char *file_of(struct node *n, enum dn_dir dir, uint64_t id, uint64_t gs, bool sums)
{
    struct dn_block_paths paths;
    char *where = dn_volume_dir(n->storage->volumes->v[0], dir, id);
    assert_int_equal(dn_block_paths_make(where, id, gs, &paths), 0);
    mem_free(where);
    char *path = str_dup(sums ? paths.sums : paths.data);
    dn_block_paths_release(&paths);
    return path;
}

static inline void flip_byte(struct node *n, uint64_t id, uint64_t gs, bool sums, uint64_t at)
{
    char *path = file_of(n, DN_DIR_FINALIZED, id, gs, sums);
    uint8_t byte = 0;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
    mem_free(path);
}

#endif
