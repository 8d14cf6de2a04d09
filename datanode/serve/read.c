/* SPDX-License-Identifier: Apache-2.0
 * read: READ and LOCAL_READ: block bytes go out.
 *
 *   loop     asked -> which replica, how much of it may be seen -> socket detached
 *   thread   files open -> answer -> pieces: read, verified, sent   (or: two descriptors passed)
 *   loop     damage is told -> socket attached
 *
 * A reader that stalls gives its thread and buffer back after a while, keeps its files open, and is
 * gone on with when it takes bytes again, until it has stalled for the time-out.
 *
 * Every byte is verified against its checksum before it leaves, and goes with that checksum, so
 * that the reader can verify again. Finalized replicas are opened by name; of one that is being
 * written the reader shares the writer's files and sees what was acknowledged when it asked.
 *
 * Fault points: dn.read.open, dn.read.packet (corrupt: a bit flips on the way; drop: the connection
 * breaks), dn.read.local. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "datanode/serve/blocks.h"
#include "datanode/storage/suspect.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/metric.h"
#include "libcommon/codec/chunksum.h"
#include "libcommon/event/sock.h"

METRIC_COUNTER(bytes_read, "quern_dn_read_bytes_total", "bytes of blocks sent to readers");
METRIC_COUNTER(local_reads, "quern_dn_local_reads_total", "blocks handed to readers on this node");

struct dn_read {
    struct dn_serve *serve;
    struct dn_session *session;
    struct dn_move move;
    int fd;
    bool is_local;
    struct dn_replica replica; /* as it was when asked */
    struct dn_volume *volume;
    struct dn_writing *writing; /* being written: a reference; else NULL */
    uint64_t offset, length;    /* as asked */
    /* the thread's */
    struct dn_blockfile *own;         /* opened here, or NULL */
    const struct dn_blockfile *files; /* to read from */
    struct dn_visible visible;
    struct {
        uint64_t off, to, seq; /* the piece that is being sent; to: behind the last one */
        size_t sent;           /* of this piece's packet */
        bool is_begun;
        uint64_t moved_ms; /* when the reader last took something */
    } at;
    bool is_usable; /* the socket stands between requests */
    int bad_code;   /* the replica turned out to be damaged */
};

/* ---- the thread ---- */

static uint64_t deadline(const struct dn_read *r)
{
    return clock_mono_ms() + r->serve->conf.timeout_ms;
}

static int send_frame(struct dn_read *r, struct buf *frame, int rc)
{
    if (rc == 0)
        rc = sock_send_all(r->fd, frame->data, frame->len, deadline(r));
    buf_release(frame);
    return rc;
}

static void answer_error(struct dn_read *r, const struct err *err)
{
    struct buf out = BUF_INIT;
    r->is_usable = send_frame(r, &out, dn_session_put_error(r->session, err, &out)) == 0;
}

static bool is_damage(int code)
{
    return dn_blockfile_is_damage(code) || code == ERR_IO;
}

static int open_files(struct dn_read *r, struct err *err)
{
    if (fault_errno(fault_hit("dn.read.open")))
        return err_set(err, ERR_IO, "blk_%" PRIu64 ": cannot be read", r->replica.id);
    if (r->writing) {
        r->files = dn_writing_look(r->writing, &r->visible);
        return r->files
                   ? 0
                   : err_set(err, ERR_RETRY, "blk_%" PRIu64 " is just being made", r->replica.id);
    }
    char *dir = dn_volume_dir(r->volume, DN_DIR_FINALIZED, r->replica.id);
    struct dn_blockfile_new what = {.dir = dir, .id = r->replica.id, .gs = r->replica.gs};
    int rc = dir ? dn_blockfile_open(r->volume->disk, &what, DISK_READ, &r->own, err)
                 : err_set(err, ERR_NOMEM, "out of memory");
    mem_free(dir);
    r->files = r->own;
    r->visible = (struct dn_visible){.len = r->replica.len};
    if (rc != 0 && is_damage(rc))
        r->bad_code = rc;
    return rc;
}

/* Why there will be no more packets. */
static void send_failed(struct dn_read *r, uint64_t seq, int code)
{
    uint8_t header[PACKET_HEADER_BYTES], number[4];
    char text[200];
    put_u32(number, (uint32_t)code);
    int n = snprintf(text, sizeof(text), "blk_%" PRIu64 " on %s: %s", r->replica.id,
                     r->serve->conf.node, err_text(code));
    struct packet_header h = {.seq = seq, .flags = PACKET_FAILED, .data_len = 4 + (uint32_t)n};
    packet_header_encode(&h, header);
    struct iovec iov[3] = {{header, sizeof(header)}, {number, 4}, {text, (size_t)n}};
    (void)sock_writev_all(r->fd, iov, 3, deadline(r)); /* it may be gone; so are we */
}

/* What is left of a packet, as long as the reader takes it. READER_STALLS: it does not, for now. */
#define READER_STALLS 1
static int send_packet(struct dn_read *r, const struct iovec whole[3])
{
    for (;;) {
        struct iovec iov[3];
        size_t count = 0, skip = r->at.sent;
        for (size_t i = 0; i < 3; i++) {
            size_t gone = skip < whole[i].iov_len ? skip : whole[i].iov_len;
            skip -= gone;
            iov[count].iov_base = (uint8_t *)whole[i].iov_base + gone;
            iov[count].iov_len = whole[i].iov_len - gone;
            count += iov[count].iov_len > 0;
        }
        if (count == 0)
            return 0;
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = count};
        ssize_t n = sendmsg(r->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            r->at.sent += (size_t)n;
            r->at.moved_ms = clock_mono_ms();
            continue;
        }
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            return err_from_errno(errno);
        struct pollfd fd = {.fd = r->fd, .events = POLLOUT};
        if (poll(&fd, 1, (int)dn_move_patience_ms(&r->move)) != 0)
            continue;
        if (dn_move_must_end(&r->move))
            return ERR_CANCELLED;
        return clock_mono_ms() >= r->at.moved_ms + r->serve->conf.timeout_ms ? ERR_TIMEOUT
                                                                             : READER_STALLS;
    }
}

/* Read, verify, send; all of it again from the start for a piece of which a part is sent: the bytes
 * are the same ones, and a stalled reader keeps no buffer. */
static int send_piece(struct dn_read *r, uint8_t *buffer, struct packet_header *h)
{
    uint8_t header[PACKET_HEADER_BYTES];
    uint8_t *sums = buffer + r->serve->conf.piece_bytes;
    struct dn_extent extent = {.off = h->offset, .len = h->data_len};
    int rc = dn_blockfile_read(r->files, extent, &r->visible, buffer, sums);
    if (rc != 0) {
        r->bad_code = rc;
        if (r->at.sent == 0) /* else there is no place for it in the stream */
            send_failed(r, h->seq, rc);
        return rc;
    }
    switch (r->at.sent == 0 ? fault_hit("dn.read.packet") : FAULT_NONE) {
    case FAULT_CORRUPT:
        buffer[h->data_len / 2] ^= 4;
        break;
    case FAULT_DROP:
        return ERR_CLOSED;
    default:
        break;
    }
    packet_header_encode(h, header);
    const struct iovec iov[3] = {
        {header, sizeof(header)}, {sums, h->sums * (size_t)DN_SUM_BYTES}, {buffer, h->data_len}};
    rc = send_packet(r, iov);
    if (rc == 0)
        metric_add(&bytes_read, h->data_len);
    return rc;
}

static int send_pieces(struct dn_read *r)
{
    uint64_t piece = r->serve->conf.piece_bytes;
    uint8_t *buffer = dn_buffers_get(r->serve->pieces);
    int rc = buffer ? 0 : ERR_NOMEM;
    bool is_last = false;
    if (!buffer && r->at.sent == 0)
        send_failed(r, r->at.seq, rc);
    while (rc == 0 && !is_last) {
        uint64_t off = r->at.off, end = off + piece - off % piece;
        if (end > r->at.to)
            end = r->at.to;
        is_last = end == r->at.to;
        struct packet_header h = {.seq = r->at.seq,
                                  .offset = off,
                                  .data_len = (uint32_t)(end - off),
                                  .flags = is_last ? PACKET_LAST : 0};
        h.sums = (uint16_t)chunksum_count(h.data_len, DN_SUM_CHUNK);
        rc = send_piece(r, buffer, &h);
        if (rc == 0) {
            r->at.off = end;
            r->at.seq++;
            r->at.sent = 0;
        }
    }
    dn_buffers_put(r->serve->pieces, buffer);
    return rc;
}

static int answer_reading(struct dn_read *r, struct err *err)
{
    struct buf out = BUF_INIT;
    uint64_t len = r->visible.len;
    if (r->offset > len)
        return err_set(err, ERR_EOF, "blk_%" PRIu64 " has %" PRIu64 " bytes, not %" PRIu64,
                       r->replica.id, len, r->offset);
    uint64_t want = r->length < len - r->offset ? r->length : len - r->offset;
    r->at.off = chunksum_first(r->offset, DN_SUM_CHUNK);
    r->at.to = chunksum_last(r->offset, want, len, DN_SUM_CHUNK);
    struct data_reading answer = {.start = r->at.off,
                                  .length = r->at.to - r->at.off,
                                  .visible_len = len,
                                  .gs = r->replica.gs};
    r->at.is_begun = true;
    r->at.moved_ms = clock_mono_ms();
    return send_frame(r, &out, dn_session_put_answer(r->session, &answer, &out));
}

/* The answer, then one byte that carries the two descriptors. */
static int pass_descriptors(struct dn_read *r)
{
    struct buf out = BUF_INIT;
    struct data_local_reading answer = {
        .block = {.id = r->replica.id, .gs = r->replica.gs, .len = r->replica.len},
        .sums_off = DN_SUM_OFF};
    int rc = send_frame(r, &out, dn_session_put_answer(r->session, &answer, &out));
    int fds[2] = {r->files->data_fd, r->files->sums_fd};
    uint8_t byte = 'F';
    if (rc == 0)
        rc = sock_send_fds(r->fd, slice_of(&byte, 1), fds, 2, deadline(r));
    metric_add(&local_reads, 1);
    return rc;
}

/* Nothing of it is sent yet. */
static int begin_read(struct dn_read *r)
{
    struct err err = {0};
    int rc = open_files(r, &err);
    if (rc == 0 && r->is_local) {
        fault_hit("dn.read.local");
        r->is_usable = pass_descriptors(r) == 0;
    } else if (rc == 0) {
        rc = answer_reading(r, &err);
    }
    if (rc != 0 && err.code != 0)
        answer_error(r, &err);
    return rc;
}

static void park(struct dn_read *r)
{
    r->move.park = (struct dn_park){
        .fds = {{r->fd, LOOP_WRITE}, {-1, 0}, {-1, 0}},
        .until_ms = r->at.moved_ms + r->serve->conf.timeout_ms,
    };
    r->move.wants_park = true;
}

static void run_read(struct dn_move *move)
{
    struct dn_read *r = CONTAINER_OF(move, struct dn_read, move);
    int rc = r->at.is_begun ? 0 : begin_read(r);
    if (rc == 0 && r->at.is_begun) {
        rc = send_pieces(r);
        if (rc == READER_STALLS) {
            park(r);
            return;
        }
        r->is_usable = rc == 0;
    }
    dn_blockfile_close(r->own);
}

/* ---- the loop ---- */

static void read_done(struct dn_move *move)
{
    struct dn_read *r = CONTAINER_OF(move, struct dn_read, move);
    struct dn_storage *storage = r->serve->conf.storage;
    /* One that was deleted or written on meanwhile is not damaged: its files have moved. */
    if (r->bad_code == ERR_IO) /* once is no proof: it is looked at again, soon */
        dn_storage_suspect(storage, r->replica.id);
    else if (r->bad_code != 0 && dn_storage_is_still(storage, &r->replica))
        dn_storage_bad(storage, r->replica.id, r->replica.gs);
    dn_suspect_volume(storage, r->volume, r->bad_code);
    if (move->was_refused) {
        struct buf out = BUF_INIT;
        struct err err;
        err_set(&err, ERR_BUSY, "%s: busy: no thread was free to move bytes", r->serve->conf.node);
        (void)dn_session_put_error(r->session, &err, &out);
        dn_session_attach(r->session, r->fd, buf_slice(&out));
        buf_release(&out);
    } else if (r->is_usable) {
        dn_session_attach(r->session, r->fd, slice_of(NULL, 0));
    } else {
        dn_session_end(r->session, r->fd);
    }
    dn_writing_unref(r->writing);
    mem_free(r);
}

/* The replica this reader may read; the answer has been given when there is none. */
static const struct dn_replica *find_readable(struct dn_serve *serve, struct dn_session *session,
                                              const struct msg_block *block, bool is_local)
{
    const struct dn_replica *replica = dn_storage_find(serve->conf.storage, block->id);
    const char *node = serve->conf.node;
    bool is_whole = replica && dn_replica_is_whole(replica);
    if (!replica || replica->state == DN_REPLICA_TEMPORARY)
        dn_session_fail(session, ERR_NOENT, "blk_%" PRIu64 " is not on %s", block->id, node);
    else if (replica->gs < block->gs)
        dn_session_fail(session, ERR_STALE,
                        "blk_%" PRIu64 " on %s has stamp %" PRIu64 ", not %" PRIu64, block->id,
                        node, replica->gs, block->gs);
    else if (!is_whole && (is_local || !replica->writing))
        dn_session_fail(session, ERR_RETRY, "blk_%" PRIu64 " on %s is %s", block->id, node,
                        dn_replica_state_name(replica->state));
    else
        return replica;
    return NULL;
}

static void begin(struct dn_serve *serve, struct dn_session *session, const struct data_read *ask,
                  bool is_local)
{
    struct err err = {0};
    const struct dn_replica *replica = find_readable(serve, session, &ask->block, is_local);
    if (!replica)
        return;
    struct dn_read *r = mem_calloc(1, sizeof(*r));
    if (!r) {
        dn_session_fail(session, ERR_NOMEM, "%s: out of memory", serve->conf.node);
        return;
    }
    r->serve = serve;
    r->session = session;
    r->is_local = is_local;
    r->replica = *replica;
    r->volume = dn_storage_volume(serve->conf.storage, replica);
    r->offset = ask->offset;
    r->length = ask->length;
    r->move.run = run_read;
    r->move.done = read_done;
    if (dn_session_detach(session, &r->fd) != 0) {
        dn_session_end(session, -1);
        mem_free(r);
        return;
    }
    if (!dn_replica_is_whole(replica))
        r->writing = dn_writing_ref(replica->writing);
    if (dn_movers_submit(serve->movers, &r->move, &err) != 0) {
        struct buf out = BUF_INIT;
        err_wrap(&err, "%s", serve->conf.node);
        (void)dn_session_put_error(session, &err, &out);
        dn_session_attach(session, r->fd, buf_slice(&out));
        buf_release(&out);
        dn_writing_unref(r->writing);
        mem_free(r);
    }
}

void dn_serve_read(struct dn_serve *serve, struct dn_session *session, const void *ask)
{
    begin(serve, session, ask, false);
}

void dn_serve_local_read(struct dn_serve *serve, struct dn_session *session, const void *ask)
{
    const struct data_local_read *local = ask;
    const struct data_read whole = {.block = local->block};
    if (!session->is_unix)
        dn_session_fail(session, ERR_INVAL, "descriptors can be passed over the unix socket only");
    else
        begin(serve, session, &whole, true);
}
