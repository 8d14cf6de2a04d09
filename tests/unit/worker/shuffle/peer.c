/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/worker/shuffle/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/event/listen.h"
#include "worker/run/record.h"

#define LONG_MS 30000U

int peer_read_frame(int fd, struct buf *in, struct frame *frame)
{
    size_t used = 0;
    buf_clear(in);
    for (;;) {
        int rc = frame_parse(buf_slice(in), FRAME_MAX_BYTES, frame, &used, NULL);
        if (rc != ERR_RETRY)
            return rc;
        size_t n = used - in->len;
        uint8_t *room = buf_reserve(in, n);
        rc = sock_recv_exact(fd, room, n, clock_mono_ms() + LONG_MS);
        if (rc != 0)
            return rc;
        in->len += n;
    }
}

static int send_out(int fd, struct buf *out, int rc)
{
    if (rc == 0)
        rc = sock_send_all(fd, out->data, out->len, clock_mono_ms() + LONG_MS);
    buf_release(out);
    return rc;
}

int peer_answer_hello(int fd, const struct identity *self, struct buf *in)
{
    struct buf out = BUF_INIT;
    struct frame frame;
    struct identity me = *self;
    me.role = WIRE_WORKER;
    int rc = peer_read_frame(fd, in, &frame);
    if (rc == 0)
        rc = hello_put(&out, &me, FRAME_ANSWER);
    return send_out(fd, &out, rc);
}

int peer_answer_fetch(int fd, const struct frame *fetch)
{
    struct buf out = BUF_INIT;
    struct frame answer = {.type = fetch->type, .flags = FRAME_ANSWER, .call = fetch->call};
    struct msg_void nothing = {0};
    return send_out(fd, &out, frame_put(&out, &answer, &msg_void_desc, &nothing));
}

static int answer_both(struct peer *p, int fd)
{
    struct arena arena = ARENA_INIT;
    struct buf in = BUF_INIT;
    struct frame frame;
    struct shuffle_fetch ask;
    int rc = peer_answer_hello(fd, p->self, &in);
    if (rc == 0)
        rc = peer_read_frame(fd, &in, &frame);
    if (rc == 0)
        rc = msg_decode(&shuffle_fetch_desc, frame.body, &arena, &ask, NULL);
    if (rc == 0) {
        atomic_store(&p->had, (unsigned)ask.have.n);
        atomic_store(&p->was_asked_for_fds, ask.pass_fds);
        p->cluster_ms = ask.cluster_ms;
        p->job = ask.job;
        p->stage = ask.stage;
        rc = peer_answer_fetch(fd, &frame);
    }
    buf_release(&in);
    arena_release(&arena);
    return rc;
}

static bool has_hung_up(int fd)
{
    uint8_t byte;
    int rc = sock_recv_exact(fd, &byte, 1, clock_mono_ms() + 20);
    return rc != 0 && rc != ERR_TIMEOUT;
}

/* For the gate, or until they hang up: they may have lost patience. */
static int wait_at_gate(struct peer *p, int fd)
{
    atomic_fetch_add(&p->waiting, 1);
    while (!atomic_load(&p->gate)) {
        if (atomic_load(&p->stop))
            return ERR_CLOSED;
        if (has_hung_up(fd)) {
            atomic_fetch_add(&p->hang_ups, 1);
            return ERR_CLOSED;
        }
    }
    return 0;
}

static int say(struct peer *p, int fd, const struct said *s)
{
    uint8_t head[SHUFFLE_HEADER_BYTES];
    size_t first = s->waits ? s->len / 2 : s->len;
    int rc = s->waits && !s->len ? wait_at_gate(p, fd) : 0;
    if (rc != 0)
        return rc;
    uint64_t deadline = clock_mono_ms() + LONG_MS;
    shuffle_header_encode(&s->header, head);
    head[5] ^= s->is_garbled;
    const int fds[] = {s->fd, s->fd};
    rc = s->has_fd ? sock_send_fds(fd, slice_of(head, sizeof(head)), fds, 1 + s->has_two, deadline)
                   : sock_send_all(fd, head, sizeof(head), deadline);
    if (rc == 0 && first)
        rc = sock_send_all(fd, s->bytes, first, deadline);
    if (rc == 0 && first < s->len)
        rc = wait_at_gate(p, fd);
    if (rc == 0 && first < s->len)
        rc = sock_send_all(fd, (const uint8_t *)s->bytes + first, s->len - first, deadline);
    return rc;
}

static void speak(struct peer *p, int fd, const struct talk *talk)
{
    static const struct said end = {.header = {.flags = SHUFFLE_END}};
    int rc = answer_both(p, fd);
    for (size_t i = 0; rc == 0 && i < talk->count; i++)
        rc = say(p, fd, &talk->said[i]);
    if (rc == 0 && talk->then == THEN_END)
        rc = say(p, fd, &end);
    if (rc != 0 || talk->then == THEN_HANG_UP)
        return;
    while (!atomic_load(&p->stop)) { /* what it is not to notice before it is there */
        if (!has_hung_up(fd))
            continue;
        atomic_fetch_add(&p->hang_ups, 1);
        return;
    }
}

static void on_thread(void *arg)
{
    struct peer *p = arg;
    while (!atomic_load(&p->stop)) {
        int fd = accept4(p->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            usleep(1000);
            continue;
        }
        size_t number = atomic_fetch_add(&p->connections, 1);
        speak(p, fd, &p->talks[number < p->talk_count ? number : p->talk_count - 1]);
        close(fd);
    }
}

void output_make(struct output *output, int fd, const uint32_t *records, uint32_t partitions)
{
    static uint8_t room[64 * 1024];
    struct output *o = output;
    struct run_writer w;
    struct err err;
    o->fd = fd;
    struct run_target target = {fd, UINT64_MAX, room, sizeof(room), NULL};
    assert_int_equal(run_writer_open(&w, &target, partitions, &err), 0);
    for (uint32_t p = 0; p < partitions; p++) {
        for (uint32_t i = 0; i < records[p]; i++) {
            uint8_t record[64];
            char key[32];
            size_t n = (size_t)snprintf(key, sizeof(key), "%08u of %u", i, p);
            size_t head = record_head(record, n, 0);
            memcpy(record + head, key, n);
            run_writer_add(&w, record, head + n);
        }
        run_writer_end_partition(&w, 0);
    }
    assert_int_equal(run_writer_close(&w, &o->parts, &o->len, &err), 0);
    o->bytes = mem_alloc(o->len);
    assert_int_equal(pread(fd, o->bytes, o->len, 0), o->len);
}

void output_release(struct output *output)
{
    mem_free(output->bytes);
    mem_free(output->parts);
    close(output->fd);
}

struct said output_bytes(const struct output *output, uint32_t map, uint32_t attempt, uint32_t p)
{
    const struct run_part *part = &output->parts[p];
    return (struct said){.header = {.map_task = map,
                                    .map_attempt = attempt,
                                    .partition = p,
                                    .crc = part->crc,
                                    .len = part->len,
                                    .records = part->records,
                                    .offset = part->offset},
                         .bytes = output->bytes + part->offset,
                         .len = part->len};
}

struct said output_passed(const struct output *output, uint32_t map, uint32_t p, bool is_first)
{
    struct said said = output_bytes(output, map, 0, p);
    said.len = 0;
    said.header.flags = is_first ? SHUFFLE_FD : SHUFFLE_FD | SHUFFLE_SAME;
    said.has_fd = is_first;
    said.fd = output->fd;
    return said;
}

void peer_start(struct peer *peer, const char *address, const struct talk *talks, size_t count)
{
    struct err err;
    peer->talks = talks;
    peer->talk_count = count;
    if (listen_socket(address, 0600, &peer->listen_fd, peer->address, &err) != 0)
        fail_msg("%s", err.msg);
    assert_int_equal(thread_start(&peer->thread, "peer", on_thread, peer, &err), 0);
}

void peer_stop(struct peer *peer)
{
    atomic_store(&peer->stop, true);
    thread_join(&peer->thread);
    close(peer->listen_fd);
}

bool peer_waits_for(atomic_uint *count, unsigned least)
{
    for (uint64_t until = clock_mono_ms() + LONG_MS; clock_mono_ms() < until; usleep(1000))
        if (atomic_load(count) >= least)
            return true;
    return false;
}
