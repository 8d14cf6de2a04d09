/* SPDX-License-Identifier: Apache-2.0
 * A runner is one conversation: connect, hello, READ, its answer, packets. Each phase waits for one
 * thing; step() takes what has come of it and never blocks. A connection that waited among the idle
 * ones begins at READ. */
#include "client/lib/block_race.h"

#include <poll.h>
#include <stdatomic.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"
#include "libcommon/codec/chunksum.h"
#include "libcommon/event/sock.h"

#define LANES           2
#define CALL            1 /* nothing else is under way on a connection that is ours alone */
#define FAILED_TEXT_MAX 2048
#define NO_ROOM_MS      50 /* until it is looked again whether another may be hedged */

enum phase { CONNECTING, GREETING, ASKING, HEADER, SUMS, DATA, REASON, DONE };

struct runner {
    const struct cl_race *race;
    const struct msg_node *node;
    char address[512];
    struct cl_peer *peer; /* whose fd it is; NULL: a new connection, ours */
    int fd;               /* -1 = not running */
    enum phase phase;
    uint64_t heard_ms; /* when it began, or last gave a byte */
    size_t part;       /* bytes that have come of what is awaited */
    struct buf in;     /* a frame, or the reason of a failure */
    uint8_t raw[PACKET_HEADER_BYTES];
    struct packet_header header;
    uint32_t sums[PACKET_SUMS_MAX];
    uint8_t *data; /* [start, start + size) of the block, `got` of it verified */
    uint64_t start;
    size_t size, got;
};

/* --- pieces ----------------------------------------------------------------------------------- */

void cl_piece_release(struct cl_piece *piece)
{
    mem_free(piece->memory);
    *piece = (struct cl_piece){0};
}

size_t cl_piece_take(const struct cl_piece *piece, uint64_t id, uint64_t off, void *buffer,
                     size_t size)
{
    if (piece->id != id || off < piece->off || off - piece->off >= piece->len)
        return 0;
    size_t at = (size_t)(off - piece->off);
    size_t n = piece->len - at < size ? piece->len - at : size;
    memcpy(buffer, piece->memory + piece->skip + at, n);
    return n;
}

/* --- asking ----------------------------------------------------------------------------------- */

static int fail(const struct runner *r, int rc, struct err *err)
{
    return err_set(err, rc, "%s: %s", r->address, err_text(rc));
}

/* A question is a few hundred bytes on a connection where nothing else is under way: what the
 * kernel does not take at once it never will. */
static int send_now(struct runner *r, int rc, struct buf *out, enum phase next, struct err *err)
{
    if (rc == 0)
        rc = sock_send_all(r->fd, out->data, out->len, 0);
    buf_release(out);
    r->phase = next;
    return rc == 0 ? 0 : fail(r, rc, err);
}

static int send_hello(struct runner *r, struct err *err)
{
    struct buf out = BUF_INIT;
    return send_now(r, hello_put(&out, r->race->fs->peers.self, 0), &out, GREETING, err);
}

static int send_read(struct runner *r, struct err *err)
{
    const struct cl_block *block = r->race->block;
    const struct msg_method *method = &DATA_methods[DATA_AT_READ];
    const struct frame frame = {
        .type = method->type, .call = CALL, .deadline_ms = r->race->fs->timeout_ms};
    const struct data_read ask = {
        .block = {.id = block->id, .gs = block->gs, .len = block->len},
        .offset = r->race->off,
        .length = r->race->len,
    };
    struct buf out = BUF_INIT;
    return send_now(r, frame_put(&out, &frame, method->ask, &ask), &out, ASKING, err);
}

static int connect_new(struct runner *r, struct err *err)
{
    struct sock_addr addr;
    if (fault_hit("client.connect") != FAULT_NONE)
        return err_set(err, ERR_REFUSED, "cannot reach %s: fault", r->address);
    int rc = sock_resolve(r->address, false, &addr, err);
    if (rc != 0)
        return rc;
    rc = sock_connect_start(&addr, &r->fd);
    r->phase = CONNECTING;
    if (rc == ERR_RETRY)
        return 0;
    if (rc == 0)
        return send_hello(r, err);
    r->fd = -1;
    return hello_unreachable(err, rc, r->address, HELLO_ROLE(WIRE_DATANODE));
}

static int start(struct runner *r, const struct cl_race *race, const struct msg_node *node,
                 struct err *err)
{
    *r = (struct runner){
        .race = race, .node = node, .fd = -1, .in = BUF_INIT, .heard_ms = clock_mono_ms()};
    cl_node_address(node, r->address, sizeof(r->address));
    r->peer = cl_peer_get_idle(&race->fs->peers, r->address);
    if (!r->peer)
        return connect_new(r, err);
    int rc = cl_peer_begin_packets(r->peer);
    if (rc != 0)
        return fail(r, rc, err);
    r->fd = r->peer->fd;
    return send_read(r, err);
}

/* Its connection is kept when all it was asked for has come. */
static void stop(struct runner *r)
{
    bool is_usable = r->phase == DONE;
    if (r->peer && is_usable)
        cl_peer_put(r->peer);
    else if (r->peer)
        cl_peer_drop(r->peer);
    else if (r->fd >= 0 && is_usable)
        cl_peer_adopt(&r->race->fs->peers, r->address, r->fd);
    else if (r->fd >= 0)
        close(r->fd);
    buf_release(&r->in);
    mem_free(r->data);
    r->data = NULL;
    r->peer = NULL;
    r->fd = -1;
}

/* --- what comes ------------------------------------------------------------------------------- */

/* `size` bytes of what is awaited, as they come; ERR_RETRY: not all yet. */
static int take(struct runner *r, void *into, size_t size, struct err *err)
{
    while (r->part < size) {
        ssize_t n = sock_recv_some(r->fd, (uint8_t *)into + r->part, size - r->part, 0);
        if (n == ERR_TIMEOUT)
            return ERR_RETRY;
        if (n < 0)
            return fail(r, n == ERR_EOF ? ERR_CLOSED : (int)n, err);
        r->part += (size_t)n;
        r->heard_ms = clock_mono_ms();
    }
    r->part = 0;
    return 0;
}

static int take_frame(struct runner *r, size_t max_bytes, struct frame *ret, struct err *err)
{
    size_t need = 0;
    int rc;
    while ((rc = frame_parse(buf_slice(&r->in), max_bytes, ret, &need, err)) == ERR_RETRY) {
        uint8_t *at = buf_reserve(&r->in, need - r->in.len);
        if (!at)
            return fail(r, ERR_NOMEM, err);
        r->part = 0;
        ssize_t n = sock_recv_some(r->fd, at, need - r->in.len, 0);
        if (n == ERR_TIMEOUT)
            return ERR_RETRY;
        if (n < 0)
            return fail(r, n == ERR_EOF ? ERR_CLOSED : (int)n, err);
        r->in.len += (size_t)n;
        r->heard_ms = clock_mono_ms();
    }
    return rc;
}

static int take_hello(struct runner *r, struct err *err)
{
    struct frame frame;
    struct hello hello;
    struct arena arena = ARENA_INIT;
    const struct hello_want want = {r->race->fs->peers.self, HELLO_ROLE(WIRE_DATANODE), r->address};
    int rc = take_frame(r, FRAME_HELLO_MAX_BYTES, &frame, err);
    if (rc == 0)
        rc = hello_check(&frame, &want, &arena, &hello, err);
    arena_release(&arena);
    if (rc != 0)
        return rc;
    buf_clear(&r->in);
    return send_read(r, err);
}

static int take_error(const struct frame *frame, struct arena *arena, struct err *err)
{
    struct frame_error error = {0};
    int rc = msg_decode(&frame_error_desc, frame->body, arena, &error, err);
    if (rc != 0)
        return rc;
    int code = error.code < 0 && error.code > -1000 ? (int)error.code : ERR_FAILED;
    return err_set(err, code, SLICE_FMT, SLICE_ARG(error.text));
}

/* Room for what it will send, which is what was asked for, in whole chunks. */
static int begin_data(struct runner *r, const struct data_reading *answer, struct err *err)
{
    uint64_t off = r->race->off, len = r->race->len;
    if (answer->start > off || answer->length < off - answer->start + len)
        return err_set(err, ERR_EOF, "%s: the replica ends at %llu", r->address,
                       (unsigned long long)answer->visible_len);
    if (off - answer->start >= CHUNKSUM_CHUNK || answer->length > len + 2UL * CHUNKSUM_CHUNK)
        return err_set(err, ERR_PROTO, "%s: an answer to another question", r->address);
    r->start = answer->start;
    r->size = (size_t)answer->length;
    r->data = mem_alloc(r->size);
    r->phase = HEADER;
    return r->data ? 0 : fail(r, ERR_NOMEM, err);
}

static int take_answer(struct runner *r, struct err *err)
{
    const struct msg_method *method = &DATA_methods[DATA_AT_READ];
    struct data_reading answer = {0};
    struct arena arena = ARENA_INIT;
    struct frame frame;
    int rc = take_frame(r, FRAME_MAX_BYTES, &frame, err);
    if (rc != 0)
        return rc;
    if (!(frame.flags & FRAME_ANSWER) || frame.call != CALL || frame.type != method->type)
        rc = err_set(err, ERR_PROTO, "%s: an answer to another question", r->address);
    else if (frame.flags & FRAME_ERROR)
        rc = take_error(&frame, &arena, err);
    else
        rc = msg_decode(method->answer, frame.body, &arena, &answer, err);
    if (rc == 0)
        rc = begin_data(r, &answer, err);
    arena_release(&arena);
    buf_clear(&r->in);
    return rc;
}

static int take_header(struct runner *r, struct err *err)
{
    int rc = take(r, r->raw, sizeof(r->raw), err);
    if (rc != 0)
        return rc;
    if (packet_header_decode(r->raw, &r->header) != 0)
        return fail(r, ERR_PROTO, err);
    const struct packet_header *h = &r->header;
    if (h->flags & PACKET_FAILED) {
        r->phase = REASON;
        return h->data_len >= 4 && h->data_len <= FAILED_TEXT_MAX ? 0 : fail(r, ERR_PROTO, err);
    }
    if (h->data_len > r->size - r->got || (h->data_len && h->offset != r->start + r->got) ||
        h->sums != chunksum_count(h->data_len, CHUNKSUM_CHUNK))
        return err_set(err, ERR_PROTO, "%s: a packet out of order", r->address);
    r->phase = SUMS;
    return 0;
}

static int take_sums(struct runner *r, struct err *err)
{
    int rc = take(r, r->sums, r->header.sums * sizeof(*r->sums), err);
    if (rc == 0)
        r->phase = DATA;
    return rc;
}

static int take_data(struct runner *r, struct err *err)
{
    uint8_t *data = r->data + r->got;
    size_t len = r->header.data_len;
    int rc = take(r, data, len, err);
    if (rc != 0)
        return rc;
    size_t bad = fault_hit("client.read.verify") == FAULT_CORRUPT
                     ? 0
                     : chunksum_verify(slice_of(data, len), CHUNKSUM_CHUNK,
                                       slice_of(r->sums, r->header.sums * sizeof(*r->sums)));
    if (bad != CHUNKSUM_GOOD)
        return err_set(err, ERR_CHECKSUM, "checksum mismatch at offset %llu of block %llu on %s",
                       (unsigned long long)(r->start + r->got + bad * CHUNKSUM_CHUNK),
                       (unsigned long long)r->race->block->id, r->address);
    r->got += len;
    if (!(r->header.flags & PACKET_LAST))
        r->phase = HEADER;
    else if (r->got == r->size)
        r->phase = DONE;
    else
        return err_set(err, ERR_EOF, "%s: the answer ends too early", r->address);
    return 0;
}

/* The other side gave up in the middle and says why. */
static int take_reason(struct runner *r, struct err *err)
{
    size_t len = r->header.data_len;
    uint8_t *text = buf_reserve(&r->in, len);
    int rc = text ? take(r, text, len, err) : fail(r, ERR_NOMEM, err);
    if (rc != 0)
        return rc;
    int32_t code = (int32_t)get_u32(text);
    if (code >= 0 || code < -1000)
        code = ERR_FAILED;
    return err_set(err, code, "%.*s", (int)(len - 4), (const char *)text + 4);
}

static int take_connection(struct runner *r, struct err *err)
{
    int rc = sock_connected(r->fd);
    if (rc != 0)
        return hello_unreachable(err, rc, r->address, HELLO_ROLE(WIRE_DATANODE));
    sock_set_keepalive(r->fd);
    return send_hello(r, err);
}

/* All that can be done without waiting: 0 it is done, ERR_RETRY it waits, else it failed. */
static int step(struct runner *r, struct err *err)
{
    static int (*const phases[])(struct runner * r, struct err * err) = {
        [CONNECTING] = take_connection, [GREETING] = take_hello, [ASKING] = take_answer,
        [HEADER] = take_header,         [SUMS] = take_sums,      [DATA] = take_data,
        [REASON] = take_reason,
    };
    int rc = 0;
    while (rc == 0 && r->phase != DONE)
        rc = phases[r->phase](r, err);
    return rc;
}

/* --- the race --------------------------------------------------------------------------------- */

struct lanes {
    const struct cl_race *race;
    struct runner runner[LANES];
    uint32_t next;       /* of race->nodes */
    uint64_t no_room_ms; /* until then nobody else is asked: too many are */
    bool has_ticket;     /* one of fs->hedge_max */
    int rc;              /* of the last that failed */
};

static void give_up(struct lanes *l, struct runner *r, int rc, const struct err *why)
{
    stop(r);
    l->rc = rc;
    l->race->on_failed(l->race->arg, r->node, rc, why);
}

static void start_next(struct lanes *l, struct runner *r)
{
    struct err why;
    int rc = start(r, l->race, l->race->nodes[l->next++], &why);
    if (rc != 0)
        give_up(l, r, rc, &why);
}

static unsigned running(const struct lanes *l, unsigned *ret_lane)
{
    unsigned count = 0;
    for (unsigned i = 0; i < LANES; i++) {
        if (l->runner[i].fd < 0)
            continue;
        *ret_lane = i;
        count++;
    }
    return count;
}

static bool take_ticket(struct lanes *l, uint64_t now_ms)
{
    struct qn_fs *fs = l->race->fs;
    if (l->has_ticket)
        return true;
    l->has_ticket = atomic_fetch_add(&fs->hedges, 1) < fs->hedge_max;
    if (l->has_ticket)
        return true;
    atomic_fetch_sub(&fs->hedges, 1);
    l->no_room_ms = now_ms + NO_ROOM_MS;
    return false;
}

/* When the one that runs alone has been silent for too long. */
static uint64_t hedge_at(const struct lanes *l, const struct runner *alone)
{
    uint64_t at_ms = alone->heard_ms + l->race->fs->hedge_after_ms;
    return at_ms > l->no_room_ms ? at_ms : l->no_room_ms;
}

/* Who is to run now, runs. *ret_wake_ms: when to look again. false = nobody is left. */
static bool man_lanes(struct lanes *l, uint64_t *ret_wake_ms)
{
    unsigned lane = 0, count;
    while ((count = running(l, &lane)) == 0 && l->next < l->race->count)
        start_next(l, &l->runner[0]);
    uint64_t now_ms = clock_mono_ms();
    while (count == 1 && l->next < l->race->count && now_ms >= hedge_at(l, &l->runner[lane]) &&
           take_ticket(l, now_ms)) {
        start_next(l, &l->runner[1 - lane]);
        count = running(l, &lane);
    }
    *ret_wake_ms = UINT64_MAX;
    if (count == 1 && l->next < l->race->count)
        *ret_wake_ms = hedge_at(l, &l->runner[lane]);
    for (unsigned i = 0; i < LANES; i++) {
        uint64_t end_ms = l->runner[i].heard_ms + l->race->fs->timeout_ms;
        if (l->runner[i].fd >= 0 && end_ms < *ret_wake_ms)
            *ret_wake_ms = end_ms;
    }
    return count > 0;
}

/* Sleep until a socket is ready or it is time; true for those that are. */
static void wait_lanes(const struct lanes *l, uint64_t wake_ms, bool ret_ready[LANES])
{
    struct pollfd fds[LANES];
    uint64_t now_ms = clock_mono_ms();
    uint64_t left_ms = wake_ms > now_ms ? wake_ms - now_ms : 0;
    for (unsigned i = 0; i < LANES; i++)
        fds[i] = (struct pollfd){.fd = l->runner[i].fd,
                                 .events = l->runner[i].phase == CONNECTING ? POLLOUT : POLLIN};
    int n = poll(fds, LANES, left_ms < INT32_MAX ? (int)left_ms : INT32_MAX);
    for (unsigned i = 0; i < LANES; i++)
        ret_ready[i] = n > 0 && fds[i].fd >= 0 && fds[i].revents != 0;
}

/* The winner, if there is one now. */
static struct runner *step_lanes(struct lanes *l, const bool ready[LANES])
{
    for (unsigned i = 0; i < LANES; i++) {
        struct runner *r = &l->runner[i];
        struct err why;
        if (r->fd < 0)
            continue;
        int rc = ready[i] ? step(r, &why) : ERR_RETRY;
        if (rc == 0)
            return r;
        if (rc == ERR_RETRY && clock_mono_ms() >= r->heard_ms + l->race->fs->timeout_ms)
            rc = err_set(&why, ERR_TIMEOUT, "%s: silent for %u ms", r->address,
                         l->race->fs->timeout_ms);
        if (rc != ERR_RETRY)
            give_up(l, r, rc, &why);
    }
    return NULL;
}

static void hand_out(struct runner *winner, struct cl_piece *ret)
{
    const struct cl_race *race = winner->race;
    *ret = (struct cl_piece){.id = race->block->id,
                             .off = race->off,
                             .len = race->len,
                             .memory = winner->data,
                             .skip = (size_t)(race->off - winner->start)};
    winner->data = NULL;
}

/* Who was silent while another gave all: not to be waited for by every read to come. */
static void drop_loser(struct lanes *l, struct runner *loser)
{
    struct qn_fs *fs = l->race->fs;
    if (loser->fd >= 0 && clock_mono_ms() >= loser->heard_ms + fs->hedge_after_ms)
        cl_mark_dead(fs, loser->node->name);
    stop(loser);
}

int cl_race(const struct cl_race *race, struct cl_piece *ret)
{
    struct lanes l = {.race = race, .rc = ERR_NONODE};
    struct runner *winner = NULL;
    uint64_t wake_ms = 0;
    bool ready[LANES];
    cl_piece_release(ret);
    for (unsigned i = 0; i < LANES; i++)
        l.runner[i] = (struct runner){.race = race, .fd = -1, .in = BUF_INIT};
    while (!winner && man_lanes(&l, &wake_ms)) {
        wait_lanes(&l, wake_ms, ready);
        winner = step_lanes(&l, ready);
    }
    if (winner) {
        hand_out(winner, ret);
        stop(winner);
        drop_loser(&l, &l.runner[winner == &l.runner[0]]);
    }
    if (l.has_ticket)
        atomic_fetch_sub(&race->fs->hedges, 1);
    return winner ? 0 : l.rc;
}
