/* SPDX-License-Identifier: Apache-2.0
 * A stream is a queue of pieces (segment, partition) and a cursor in the first. The socket is
 * non-blocking; what it does not take now goes when it is writable again, so a slow reducer costs a
 * queue entry and no thread. */
#include "worker/serve/outputs.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcommon/base/fault.h"
#include "libcommon/base/log.h"
#include "libcommon/base/str.h"
#include "libcommon/daemon/address.h"
#include "libcommon/event/sock.h"
#include "libcommon/proto/shuffle/messages.h"
#include "worker/task/jobs.h"

#define PIECE_BYTES (256U << 10)
/* Bytes one stream may send before others get their turn. */
#define TURN_BYTES (4U << 20)

/* Headers wait for company up to here, so that many small ones are one packet. */
#define HEADERS_MAX (16U << 10)

/* How far before what is sent the disk is asked to read, and of the next partition. */
#define AHEAD ((uint64_t)1 << 20)

/* What a stream has to send of one segment: its partitions, one after another. */
struct piece {
    struct list link;
    struct segment *segment; /* a reference is held; NULL = the end */
    size_t at;               /* which of the stream's partitions is being sent */
    bool header_sent, fd_sent;
    uint64_t sent, asked; /* bytes of the partition; so far the disk was asked to read it */
};

struct out_stream {
    struct list link;
    struct worker *worker;
    struct rpc_peer *peer; /* whose connection we have: ends with the stream, or counts for ever */
    uint64_t cluster_ms, job;
    uint32_t stage;
    uint64_t *partitions;
    size_t partition_count;
    int fd;
    bool pass_fds, is_ending;
    struct loop_watch *watch;
    struct buf unsent; /* of the answer and of headers */
    struct list queue;
    uint8_t *buffer;
    size_t buffered, buffer_at;
};

static void drop_piece(struct out_stream *stream, struct piece *piece)
{
    list_remove(&piece->link);
    if (piece->segment)
        segment_unref(&stream->worker->segments, piece->segment);
    mem_free(piece);
}

static void stream_free(struct out_stream *stream)
{
    loop_unwatch(stream->watch);
    list_each_safe (&stream->queue, it)
        drop_piece(stream, list_entry(it, struct piece, link));
    list_remove(&stream->link);
    if (stream->fd >= 0)
        close(stream->fd);
    if (stream->peer)
        rpc_peer_close(stream->peer);
    buf_release(&stream->unsent);
    mem_free(stream->buffer);
    mem_free(stream->partitions);
    mem_free(stream);
}

/* --- sending --------------------------------------------------------------------------------- */

/* 0 all gone, ERR_RETRY the socket is full, else the stream is broken. */
static int send_some(int fd, const uint8_t *data, size_t len, size_t *ret_sent)
{
    *ret_sent = 0;
    while (*ret_sent < len) {
        ssize_t n = send(fd, data + *ret_sent, len - *ret_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            *ret_sent += (size_t)n;
        else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return ERR_RETRY;
        else if (n < 0 && errno != EINTR)
            return err_from_errno(errno);
    }
    return 0;
}

static int send_unsent(struct out_stream *stream)
{
    size_t sent;
    int rc = send_some(stream->fd, stream->unsent.data, stream->unsent.len, &sent);
    buf_consume(&stream->unsent, sent);
    return rc;
}

/* The partition in hand; one that the run does not have holds nothing. */
static struct task_part part_of(const struct out_stream *stream, const struct piece *piece)
{
    uint64_t partition = stream->partitions[piece->at];
    return partition < piece->segment->part_count ? piece->segment->parts[partition]
                                                  : (struct task_part){0};
}

/* How many of the partitions in hand and behind it hold nothing. */
static size_t count_empty(const struct out_stream *stream, const struct piece *piece)
{
    struct piece look = *piece;
    while (look.at < stream->partition_count && part_of(stream, &look).records == 0)
        look.at++;
    return look.at - piece->at;
}

static void encode_header(const struct out_stream *stream, const struct piece *piece,
                          uint32_t flags, uint8_t out[SHUFFLE_HEADER_BYTES])
{
    struct shuffle_header header = {.flags = flags};
    if (piece->segment) {
        const struct task_part part = part_of(stream, piece);
        header.map_task = piece->segment->id.task;
        header.map_attempt = piece->segment->id.attempt;
        header.partition = (uint32_t)stream->partitions[piece->at];
        header.crc = header.partition < piece->segment->part_count
                         ? piece->segment->crcs[header.partition]
                         : 0;
        header.len = part.len;
        header.records = part.records;
        header.offset = part.offset;
    }
    if (flags & SHUFFLE_EMPTY)
        header.records = count_empty(stream, piece);
    shuffle_header_encode(&header, out);
}

/* The header goes with the descriptor as one message: a stream socket may take it in part, but the
 * descriptor is with the first byte. Everything else before it has to be gone. */
static int send_fd(struct out_stream *stream, struct piece *piece,
                   const uint8_t header[SHUFFLE_HEADER_BYTES])
{
    int rc = send_unsent(stream);
    if (rc == 0)
        rc = sock_send_fds(stream->fd, slice_of(header, 1), &piece->segment->fd, 1, 0);
    if (rc != 0)
        return rc == ERR_TIMEOUT ? ERR_RETRY : rc; /* full: try the same again */
    buf_append(&stream->unsent, header + 1, SHUFFLE_HEADER_BYTES - 1);
    piece->fd_sent = true;
    return 0;
}

static int send_header(struct out_stream *stream, struct piece *piece)
{
    uint8_t header[SHUFFLE_HEADER_BYTES];
    bool with_fd = stream->pass_fds && piece->segment && piece->segment->fd >= 0;
    size_t empty = piece->segment ? count_empty(stream, piece) : 0;
    uint32_t flags = !piece->segment             ? SHUFFLE_END
                     : empty > 1                 ? SHUFFLE_EMPTY
                     : with_fd                   ? SHUFFLE_FD | (piece->fd_sent ? SHUFFLE_SAME : 0)
                     : piece->segment->is_packed ? SHUFFLE_PACKED
                                                 : 0;
    encode_header(stream, piece, flags, header);
    if (flags == SHUFFLE_FD) {
        int rc = send_fd(stream, piece, header);
        if (rc != 0)
            return rc;
    } else {
        buf_append(&stream->unsent, header, sizeof(header));
    }
    if (flags & SHUFFLE_EMPTY)
        piece->at += empty - 1;
    else if (flags & SHUFFLE_FD)
        piece->sent = part_of(stream, piece).len; /* no bytes follow */
    piece->header_sent = true;
    return buf_failed(&stream->unsent) ? ERR_NOMEM : 0;
}

/* Asked for what is not in memory, the disk has most of it when it is read here, on the thread that
 * serves everybody; left to the kernel, it would also read far beyond the partition's end. */
static void read_ahead(const struct out_stream *stream, struct piece *piece)
{
    const struct task_part part = part_of(stream, piece);
    if (piece->segment->data || piece->asked >= part.len || piece->asked > piece->sent + AHEAD / 2)
        return;
    uint64_t end = piece->sent + AHEAD < part.len ? piece->sent + AHEAD : part.len;
    disk_read_soon(stream->worker->disk, piece->segment->fd, part.offset + piece->asked,
                   end - piece->asked);
    piece->asked = end;
}

/* The beginning of the partition that comes after this one. */
static void read_ahead_next(const struct out_stream *stream, const struct piece *piece)
{
    struct piece next = *piece;
    bool is_last = piece->at + 1 == stream->partition_count;
    if (is_last && piece->link.next != &stream->queue)
        next = *list_entry(piece->link.next, struct piece, link);
    else
        next.at++;
    next.sent = next.asked = 0;
    if (next.segment && next.at < stream->partition_count)
        read_ahead(stream, &next);
}

static int fill_buffer(struct out_stream *stream, struct piece *piece)
{
    const struct task_part own = part_of(stream, piece), *part = &own;
    uint64_t left = part->len - piece->sent;
    size_t want = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
    if (!stream->buffer)
        stream->buffer = mem_alloc(PIECE_BYTES);
    if (!stream->buffer)
        return ERR_NOMEM;
    uint64_t from = part->offset + piece->sent;
    if (piece->sent == 0)
        read_ahead_next(stream, piece);
    read_ahead(stream, piece);
    int64_t n = (int64_t)want;
    if (piece->segment->data) /* the index was checked: a part ends before the run does */
        memcpy(stream->buffer, piece->segment->data + from, want);
    else
        n = disk_pread(stream->worker->disk, piece->segment->fd, stream->buffer, want, from);
    if (n != (int64_t)want)
        return n < 0 ? (int)n : ERR_CORRUPT;
    if (fault_hit("wk.outputs.send") == FAULT_CORRUPT)
        stream->buffer[0] ^= 1;
    stream->buffered = want;
    stream->buffer_at = 0;
    return 0;
}

static int send_bytes(struct out_stream *stream, struct piece *piece, size_t *budget)
{
    uint64_t len = piece->segment ? part_of(stream, piece).len : 0;
    while (piece->sent < len) {
        size_t sent;
        int rc = send_unsent(stream);
        if (rc == 0 && stream->buffer_at == stream->buffered)
            rc = fill_buffer(stream, piece);
        if (rc != 0)
            return rc;
        rc = send_some(stream->fd, stream->buffer + stream->buffer_at,
                       stream->buffered - stream->buffer_at, &sent);
        stream->buffer_at += sent;
        piece->sent += sent;
        if (rc != 0)
            return rc;
        *budget = *budget > sent ? *budget - sent : 0;
        if (*budget == 0 && piece->sent < len)
            return ERR_RETRY;
    }
    return 0;
}

/* What is in hand is sent: the next partition, or *ret_over. */
static void go_on(struct out_stream *stream, struct piece *piece, bool *ret_over)
{
    bool is_end = !piece->segment;
    piece->at++;
    piece->header_sent = false;
    piece->sent = piece->asked = 0;
    if (is_end || piece->at >= stream->partition_count)
        drop_piece(stream, piece);
    *ret_over = is_end;
}

/* 0 = nothing left to send now. */
static int pump(struct out_stream *stream)
{
    size_t budget = TURN_BYTES;
    int rc = send_unsent(stream);
    while (rc == 0 && !list_is_empty(&stream->queue)) {
        struct piece *piece = list_first(&stream->queue, struct piece, link);
        bool is_over = false;
        if (!piece->header_sent)
            rc = send_header(stream, piece);
        if (rc == 0)
            rc = send_bytes(stream, piece, &budget);
        if (rc == 0)
            go_on(stream, piece, &is_over);
        if (rc == 0 && (is_over || stream->unsent.len >= HEADERS_MAX))
            rc = send_unsent(stream);
        if (is_over)
            return rc == 0 ? ERR_EOF : rc;
    }
    return rc == 0 ? send_unsent(stream) : rc;
}

/* False: the stream is gone. */
static bool serve(struct out_stream *stream)
{
    int rc = pump(stream);
    if (rc != 0 && rc != ERR_RETRY) {
        if (rc != ERR_EOF && rc != ERR_CLOSED)
            log_warn("wk.outputs", "a stream of map outputs broke: %s", err_text(rc));
        stream_free(stream);
        return false;
    }
    if (loop_watch_change(stream->watch, rc == ERR_RETRY ? LOOP_READ | LOOP_WRITE : LOOP_READ) == 0)
        return true;
    stream_free(stream);
    return false;
}

static void on_ready(int fd, unsigned ready, void *arg)
{
    struct out_stream *stream = arg;
    uint8_t byte;
    if (ready & LOOP_READ) {
        ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
        if (n >= 0 || (errno != EAGAIN && errno != EINTR)) { /* it has nothing more to say */
            stream_free(stream);
            return;
        }
    }
    serve(stream);
}

/* --- queueing -------------------------------------------------------------------------------- */

static int queue_segment(struct out_stream *stream, struct segment *segment)
{
    if (segment && stream->partition_count == 0)
        return 0;
    struct piece *piece = mem_calloc(1, sizeof(*piece));
    if (!piece)
        return ERR_NOMEM;
    piece->segment = segment;
    if (segment)
        segment_ref(segment);
    list_push_back(&stream->queue, &piece->link);
    return 0;
}

static int queue_end(struct out_stream *stream)
{
    if (stream->is_ending)
        return 0;
    stream->is_ending = true;
    return queue_segment(stream, NULL);
}

static bool is_of(const struct out_stream *stream, uint64_t cluster_ms, uint64_t job)
{
    return stream->job == job && stream->cluster_ms == cluster_ms;
}

static bool wants(const struct out_stream *stream, const struct segment *segment)
{
    return is_of(stream, segment->id.cluster_ms, segment->id.job) &&
           stream->stage == segment->id.stage;
}

/* All that its stage makes is placed. */
static bool is_complete(const struct out_stream *stream, const struct wk_job *job)
{
    return stream->stage < 64 && (job->complete >> stream->stage & 1);
}

static void send_accepted(void *arg, struct segment *segment)
{
    struct worker *worker = arg;
    list_each_safe (&worker->streams, it) {
        struct out_stream *stream = list_entry(it, struct out_stream, link);
        if (!wants(stream, segment))
            continue;
        if (queue_segment(stream, segment) == 0)
            serve(stream);
        else
            stream_free(stream);
    }
}

void outputs_complete(struct worker *worker, const struct wk_job *job)
{
    list_each_safe (&worker->streams, it) {
        struct out_stream *stream = list_entry(it, struct out_stream, link);
        if (!is_of(stream, job->spec.cluster_ms, job->spec.job) || !is_complete(stream, job))
            continue;
        if (queue_end(stream) == 0)
            serve(stream);
        else
            stream_free(stream);
    }
}

void outputs_end_job(struct worker *worker, uint64_t cluster_ms, uint64_t job)
{
    list_each_safe (&worker->streams, it) {
        struct out_stream *stream = list_entry(it, struct out_stream, link);
        if (is_of(stream, cluster_ms, job))
            stream_free(stream);
    }
}

/* --- a reducer asks -------------------------------------------------------------------------- */

static bool has(const struct shuffle_fetch *ask, uint32_t task)
{
    for (size_t i = 0; i < ask->have.n; i++)
        if (ask->have.v[i] == task)
            return true;
    return false;
}

static struct out_stream *stream_new(struct worker *worker, const struct shuffle_fetch *ask)
{
    struct out_stream *stream = mem_calloc(1, sizeof(*stream));
    uint64_t *partitions = mem_calloc(ask->partitions.n + 1, sizeof(*partitions));
    if (!stream || !partitions) {
        mem_free(stream);
        mem_free(partitions);
        return NULL;
    }
    for (size_t i = 0; i < ask->partitions.n; i++)
        partitions[i] = ask->partitions.v[i];
    *stream = (struct out_stream){
        .worker = worker,
        .cluster_ms = ask->cluster_ms,
        .job = ask->job,
        .stage = ask->stage,
        .partitions = partitions,
        .partition_count = ask->partitions.n,
        .fd = -1,
        .pass_fds = ask->pass_fds,
    };
    list_init(&stream->queue);
    list_push_back(&worker->streams, &stream->link);
    return stream;
}

static int queue_what_is_here(struct out_stream *stream, const struct shuffle_fetch *ask)
{
    struct worker *worker = stream->worker;
    const struct wk_job *job = jobs_find(worker, ask->cluster_ms, ask->job);
    int rc = 0;
    list_each (&worker->segments.all, it) {
        struct segment *segment = list_entry(it, struct segment, link);
        if (rc == 0 && segment->is_accepted && wants(stream, segment) &&
            !has(ask, segment->id.task))
            rc = queue_segment(stream, segment);
    }
    if (rc == 0 && job && is_complete(stream, job))
        rc = queue_end(stream);
    return rc;
}

static void on_fetch(struct rpc_call *call, const void *msg, void *arg)
{
    struct worker *worker = arg;
    const struct shuffle_fetch *ask = msg;
    struct conn_parts parts;
    if (!jobs_find(worker, ask->cluster_ms, ask->job))
        return rpc_fail(call, ERR_NOENT, "this worker has nothing of job %llu",
                        (unsigned long long)ask->job);
    struct rpc_peer *peer = rpc_call_peer(call);
    struct out_stream *stream = stream_new(worker, ask);
    if (!stream || queue_what_is_here(stream, ask) != 0) {
        if (stream)
            stream_free(stream);
        return rpc_fail(call, ERR_NOMEM, "out of memory");
    }
    if (rpc_answer_detach(call, NULL, &parts) != 0) {
        stream_free(stream);
        return;
    }
    stream->peer = peer;
    stream->fd = parts.fd;
    stream->unsent = parts.unsent;
    buf_release(&parts.unread);
    stream->watch = loop_watch(worker->loop, stream->fd, LOOP_READ, on_ready, stream);
    if (stream->watch)
        serve(stream);
    else
        stream_free(stream);
}

/* --- listening ------------------------------------------------------------------------------- */

static rpc_handler *const handlers[SHUFFLE_METHOD_COUNT] = {[SHUFFLE_AT_FETCH] = on_fetch};

static int listen_unix(struct worker *worker, const struct rpc_conf *rpc, struct err *err)
{
    for (size_t i = 0; i < worker->dir_count && !worker->socket; i++)
        if (!worker->dirs[i].is_bad)
            worker->socket = str_printf("%s/outputs.sock", worker->dirs[i].path);
    if (!worker->socket)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (strlen(worker->socket) >= 100 || worker->socket[0] != '/') { /* no room in sockaddr_un */
        worker->socket[0] = 0;
        return 0;
    }
    return rpc_server_open(worker->loop, worker->socket, rpc, &worker->unix_server, err);
}

int outputs_listen(struct worker *worker, struct err *err)
{
    worker->shuffle =
        (struct rpc_service){SHUFFLE_methods, handlers, SHUFFLE_METHOD_COUNT, 0, worker};
    struct rpc_conf rpc = {.self = &worker->self, .services = &worker->shuffle, .service_count = 1};
    const struct conf *conf = daemon_conf(worker->daemon);
    char address[ADDRESS_TEXT_MAX], advertised[ADDRESS_TEXT_MAX];
    int rc = address_listen(conf, "worker.address", address, err);
    if (rc == 0)
        rc = rpc_server_open(worker->loop, address, &rpc, &worker->tcp_server, err);
    if (rc == 0)
        rc = listen_unix(worker, &rpc, err);
    if (rc != 0)
        return rc;
    worker->segments.on_accepted = send_accepted;
    worker->segments.arg = worker;
    const char *bound = rpc_server_address(worker->tcp_server);
    uint64_t port = 0;
    str_to_u64(strrchr(bound, ':') + 1, &port);
    worker->data_port = (uint16_t)port;
    address_advertise(conf, "worker.address", worker->data_port, advertised);
    char *colon = strrchr(advertised, ':');
    if (colon)
        *colon = 0;
    worker->data_address = str_dup(advertised);
    return worker->data_address ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

void outputs_close(struct worker *worker)
{
    list_each_safe (&worker->streams, it)
        stream_free(list_entry(it, struct out_stream, link));
    if (worker->tcp_server)
        rpc_server_close(worker->tcp_server);
    if (worker->unix_server)
        rpc_server_close(worker->unix_server);
    worker->tcp_server = worker->unix_server = NULL;
}

void outputs_release(struct worker *worker)
{
    mem_free(worker->socket);
    mem_free(worker->data_address);
}
