/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/shuffle/stream.h"

#include <poll.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/codec/crc32c.h"
#include "libcommon/event/sock.h"
#include "libcommon/store/disk.h"
#include "libcommon/wire/chan.h"

#define CONNECT_MS 10000U
#define LOOK_MS    200 /* between looks at whether something is overdue */
#define MOVE       ((size_t)256 << 10)

struct stream {
    const struct stream_conf *conf;
    int fd;
    uint8_t *room; /* MOVE bytes */
    struct shuffle_header header;
    int passed;        /* the last descriptor that came with a header, -1 = none */
    bool is_given;     /* a piece has it now */
    uint32_t told_map; /* whose run it holds */
    struct err *err;
};

static int broken(struct stream *s, int code, const char *what)
{
    return err_set(s->err, code, "%s: %s: %s", s->conf->address, what, err_text(code));
}

static int connect_and_ask(struct stream *s)
{
    struct chan *chan = NULL;
    struct arena arena = ARENA_INIT;
    struct chan_conf conf = {.address = s->conf->address,
                             .self = s->conf->self,
                             .role = WIRE_WORKER,
                             .timeout_ms = CONNECT_MS,
                             .shown = s->conf->fd};
    int rc = chan_open(&conf, &chan, s->err);
    if (rc == 0)
        rc = chan_call(chan, &SHUFFLE_methods[SHUFFLE_AT_FETCH], s->conf->ask, &arena, NULL,
                       CONNECT_MS, s->err);
    if (rc == 0) {
        rc = chan_steal_fd(chan, &s->fd);
        if (rc == 0)
            chan = NULL;
        else
            broken(s, rc, "connection");
    }
    chan_close(chan);
    arena_release(&arena);
    return rc;
}

/* Until there is a byte. ERR_TIMEOUT when one has been overdue for stall_ms. */
static int wait_for_segment(struct stream *s)
{
    uint64_t idle_since = clock_mono_ms();
    for (;;) {
        struct pollfd p = {.fd = s->fd, .events = POLLIN};
        if (poll(&p, 1, LOOK_MS) > 0)
            return 0;
        uint64_t now = clock_mono_ms();
        if (!s->conf->expects(s->conf->arg))
            idle_since = now;
        else if (now - idle_since >= s->conf->stall_ms)
            return broken(s, ERR_TIMEOUT, "sends nothing of what it has");
    }
}

static void let_go(struct stream *s)
{
    if (s->passed >= 0 && !s->is_given)
        close(s->passed);
    s->passed = -1;
    s->is_given = false;
}

static uint64_t deadline(const struct stream *s)
{
    return clock_mono_ms() + s->conf->stall_ms;
}

static int read_header(struct stream *s)
{
    uint8_t bytes[SHUFFLE_HEADER_BYTES];
    struct sock_fds fds = {.count = 0};
    int rc = s->conf->ask->pass_fds ? sock_recv_fds(s->fd, bytes, sizeof(bytes), &fds, deadline(s))
                                    : sock_recv_exact(s->fd, bytes, sizeof(bytes), deadline(s));
    if (rc != 0)
        return broken(s, rc, "reading a segment's header");
    if (fds.count) {
        let_go(s);
        s->passed = fds.fd[0];
    }
    for (size_t i = 1; i < fds.count; i++)
        close(fds.fd[i]);
    rc = shuffle_header_decode(bytes, &s->header);
    bool is_same = rc == 0 && (s->header.flags & SHUFFLE_SAME);
    if (rc == 0 && (s->header.flags & SHUFFLE_FD) &&
        (s->passed < 0 || is_same != (fds.count == 0) ||
         (is_same && s->header.map_task != s->told_map)))
        rc = ERR_PROTO;
    s->told_map = s->header.map_task;
    return rc == 0 ? 0 : broken(s, rc, "a segment's header");
}

static int receive_to_memory(struct stream *s, struct pieces_slot *slot)
{
    uint32_t crc = 0;
    for (uint64_t at = 0; at < slot->len;) {
        size_t n = slot->len - at < MOVE ? (size_t)(slot->len - at) : MOVE;
        int rc = sock_recv_exact(s->fd, slot->memory + at, n, deadline(s));
        if (rc != 0)
            return broken(s, rc, "reading a segment");
        crc = crc32c(crc, slot->memory + at, n);
        at += n;
    }
    return crc == s->header.crc ? 0 : broken(s, ERR_CHECKSUM, "reading a segment");
}

static int receive_to_disk(struct stream *s, struct pieces_slot *slot)
{
    while (slot->done < slot->len) {
        size_t n = slot->len - slot->done < MOVE ? (size_t)(slot->len - slot->done) : MOVE;
        int rc = sock_recv_exact(s->fd, s->room, n, deadline(s));
        if (rc != 0)
            return broken(s, rc, "reading a segment");
        rc = pieces_write(s->conf->pieces, slot, slice_of(s->room, n), s->err);
        if (rc != 0)
            return rc;
    }
    return slot->crc == s->header.crc ? 0 : broken(s, ERR_CHECKSUM, "reading a segment");
}

static int pass_over(struct stream *s)
{
    for (uint64_t left = s->header.len; left;) {
        size_t n = left < MOVE ? (size_t)left : MOVE;
        int rc = sock_recv_exact(s->fd, s->room, n, deadline(s));
        if (rc != 0)
            return broken(s, rc, "reading a segment");
        left -= n;
    }
    return 0;
}

static struct piece piece_of(const struct stream *s)
{
    return (struct piece){.map = s->header.map_task,
                          .partition = s->header.partition,
                          .own_fd = -1,
                          .run = {.fd = -1,
                                  .len = s->header.len,
                                  .records = s->header.records,
                                  .crc = s->header.crc,
                                  .is_packed = s->header.flags & SHUFFLE_PACKED}};
}

static int take_bytes(struct stream *s)
{
    struct pieces *pieces = s->conf->pieces;
    struct piece piece = piece_of(s);
    struct pieces_slot slot;
    int rc = pieces_begin(pieces, s->header.len, &slot, s->err);
    if (rc != 0)
        return rc;
    rc = slot.memory ? receive_to_memory(s, &slot) : receive_to_disk(s, &slot);
    if (rc != 0) {
        pieces_cancel(pieces, &slot);
        return rc;
    }
    rc = s->conf->keep(s->conf->arg, &piece, &slot);
    if (rc == ERR_EXIST)
        pieces_cancel(pieces, &slot);
    return rc == 0 || rc == ERR_EXIST ? 0 : broken(s, rc, "keeping a segment");
}

/* The partition lies in a run whose descriptor was passed: its own sums are in there too. */
static int take_passed(struct stream *s)
{
    struct run_reader reader;
    struct disk_stat st;
    struct piece piece = piece_of(s);
    int rc = disk_stat_fd(disk_real(), s->passed, &st);
    if (rc == 0)
        rc = run_reader_open(&reader, s->passed, st.size_bytes, s->conf->address, s->err);
    else
        broken(s, rc, "a descriptor passed");
    if (rc == 0)
        rc = run_reader_piece(&reader, piece.partition, &piece.run, &piece.sums, s->err);
    if (rc == 0 && (piece.run.len != s->header.len || piece.run.offset != s->header.offset ||
                    piece.run.crc != s->header.crc))
        rc = broken(s, ERR_CORRUPT, "a run is not what its worker says");
    if (rc != 0) {
        mem_free(piece.sums);
        return rc;
    }
    bool gives_fd = !s->is_given && piece.run.len > 0;
    piece.own_fd = gives_fd ? s->passed : -1;
    rc = s->conf->keep(s->conf->arg, &piece, NULL);
    if (rc == ERR_EXIST) {
        mem_free(piece.sums);
        return 0;
    }
    s->is_given |= gives_fd;
    return rc == 0 ? 0 : broken(s, rc, "keeping a segment");
}

static int take_segment(struct stream *s)
{
    bool is_passed = s->header.flags & SHUFFLE_FD;
    if (s->header.flags & SHUFFLE_EMPTY) {
        s->conf->empty(s->conf->arg, s->header.map_task, s->header.partition, s->header.records);
        return 0;
    }
    if (!s->conf->wants(s->conf->arg, &s->header))
        return is_passed ? 0 : pass_over(s);
    return is_passed ? take_passed(s) : take_bytes(s);
}

static int take_all(struct stream *s)
{
    for (;;) {
        int rc = wait_for_segment(s);
        if (rc == 0)
            rc = read_header(s);
        bool is_end = rc == 0 && (s->header.flags & SHUFFLE_END);
        if (rc == 0 && !is_end)
            rc = take_segment(s);
        if (rc != 0 || is_end)
            return rc;
    }
}

int stream_run(const struct stream_conf *conf, struct err *err)
{
    struct stream s = {.conf = conf, .fd = -1, .passed = -1, .err = err, .room = mem_alloc(MOVE)};
    if (!s.room)
        return err_set(err, ERR_NOMEM, "out of memory");
    int rc = connect_and_ask(&s);
    if (rc == 0) {
        rc = take_all(&s);
        let_go(&s);
        atomic_store(conf->fd, -1);
        close(s.fd);
    }
    mem_free(s.room);
    return rc;
}
