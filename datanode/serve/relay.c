/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/serve/relay.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "datanode/serve/drain.h"
#include "datanode/serve/lags.h"
#include "datanode/storage/pipeline.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/metric.h"
#include "libcommon/codec/chunksum.h"
#include "libcommon/codec/crc32c.h"
#include "libcommon/event/sock.h"

#define WRITE_RUN_BYTES (2U << 20)   /* longest run given to the disk at once */
#define WRITE_NOW_BYTES (1U << 20)   /* so much is written without looking for more first */
#define DRAIN_FROM      (1U << 20)   /* a stream that has brought so much gets a drain ... */
#define DRAIN_RUN_BYTES (128U << 10) /* ... for runs that are worth a change of threads */
#define PAGE            4096U
#define ACKS_MAX        64U
#define FAREWELL_MS     2000U

METRIC_COUNTER(bytes_written, "quern_dn_written_bytes_total", "bytes of blocks received");
METRIC_COUNTER(packets_bad, "quern_dn_bad_packets_total", "packets that arrived damaged");

/* A packet in flight, as it goes downstream. */
struct slot {
    uint64_t offset;
    uint32_t len;
    uint32_t tail_sum; /* of its last chunk; the ring's sum may be a longer packet's already */
    uint8_t header[PACKET_HEADER_BYTES];
};

struct dn_relay {
    struct dn_relay_conf own;
    const struct dn_relay_conf *conf; /* of `own` */
    struct dn_pipeline p;
    struct slot slots[DN_PIPELINE_SLOTS]; /* by seq */
    uint8_t *sums; /* ring of sums: of the chunk at x at x / 512 % sum_count */
    size_t sum_count;
    /* to the disk */
    struct dn_drain *drain; /* NULL as long as there is little to write */
    uint64_t draining_to;   /* end of the run it is at */
    /* coming in */
    uint8_t header[PACKET_HEADER_BYTES]; /* the next packet's, also while a body is received */
    size_t header_have;
    bool in_body;
    struct packet_header packet; /* whose body it is */
    size_t body_have;
    uint32_t tail_sum; /* of the partial chunk that p.received ends in */
    /* going down */
    bool has_seq;
    uint64_t forward_seq; /* next to be forwarded */
    size_t forward_done;  /* bytes of it that are gone */
    bool down_is_dead;
    struct dn_lags lags;
    uint64_t run_begun_us;
    uint8_t down_ack[PACKET_ACK_BYTES];
    size_t down_ack_have;
    /* going up */
    uint8_t acks[ACKS_MAX * PACKET_ACK_BYTES];
    size_t acks_len;
    uint64_t took_acks_ms; /* when upstream last took some, or there were none */
    bool up_is_dead;
    bool is_final; /* the last good ack was popped */
    int end_code;
};

static struct slot *slot_of(struct dn_relay *r, uint64_t seq)
{
    return &r->slots[seq % DN_PIPELINE_SLOTS];
}

/* ---- places in the rings ---- */

/* Append the (at most two) pieces of block bytes [off, off + len). */
static size_t data_pieces(struct dn_relay *r, uint64_t off, size_t len, struct iovec *iov)
{
    size_t at = (size_t)(off % r->conf->ring_bytes), room = r->conf->ring_bytes - at;
    size_t first = len < room ? len : room;
    iov[0] = (struct iovec){r->conf->ring + at, first};
    iov[1] = (struct iovec){r->conf->ring, len - first};
    return len > first ? 2 : first > 0;
}

static size_t sum_pieces(struct dn_relay *r, uint64_t off, size_t count, struct iovec *iov)
{
    size_t at = (size_t)(off / DN_SUM_CHUNK % r->sum_count), room = r->sum_count - at;
    size_t first = count < room ? count : room;
    iov[0] = (struct iovec){r->sums + at * DN_SUM_BYTES, first * DN_SUM_BYTES};
    iov[1] = (struct iovec){r->sums, (count - first) * DN_SUM_BYTES};
    return count > first ? 2 : first > 0;
}

static uint8_t *sum_at(struct dn_relay *r, uint64_t off)
{
    return r->sums + off / DN_SUM_CHUNK % r->sum_count * DN_SUM_BYTES;
}

/* Drop `skip` bytes from the front of the pieces. */
static size_t skip_pieces(struct iovec *iov, size_t count, size_t skip)
{
    size_t from = 0;
    while (from < count && skip >= iov[from].iov_len)
        skip -= iov[from++].iov_len;
    for (size_t i = from; i < count; i++)
        iov[i - from] = iov[i];
    if (from < count) {
        iov[0].iov_base = (uint8_t *)iov[0].iov_base + skip;
        iov[0].iov_len -= skip;
    }
    return count - from;
}

/* ---- coming in ---- */

/* After a failure one more is taken when none is in flight: its ack carries the news up. */
static bool can_take_packet(const struct dn_relay *r)
{
    bool has_failed = r->p.local_code != 0 || r->p.bad_count > 0;
    return !r->p.last_came && !dn_pipeline_is_full(&r->p) && !r->up_is_dead &&
           (!has_failed || r->p.count == 0);
}

static bool is_draining(const struct dn_relay *r)
{
    return r->drain && !dn_drain_is_idle(r->drain);
}

/* Is there room in the ring for the packet whose header is here? Bytes in flight are kept until
 * they are acknowledged: the neighbour may complain about them; and bytes that are being written
 * until they are, even when their packets have been acknowledged as failed. */
static bool has_room(struct dn_relay *r)
{
    if (r->packet.data_len == 0)
        return true;
    uint64_t low = r->packet.offset;
    if (r->p.count > 0)
        low = slot_of(r, r->p.flights[r->p.head].seq)->offset;
    if (is_draining(r) && r->p.written < low)
        low = r->p.written - r->p.written % DN_SUM_CHUNK;
    return r->packet.offset + r->packet.data_len - low <= r->conf->ring_bytes;
}

static struct dn_packet to_dn_packet(const struct packet_header *h)
{
    return (struct dn_packet){
        .seq = h->seq,
        .offset = h->offset,
        .len = h->data_len,
        .flags = (h->flags & PACKET_LAST ? DN_PACKET_LAST : 0U) |
                 (h->flags & PACKET_SYNC ? DN_PACKET_SYNC : 0U),
    };
}

static int take_header(struct dn_relay *r)
{
    int rc = packet_header_decode(r->header, &r->packet);
    if (rc != 0)
        return rc;
    const struct packet_header *h = &r->packet;
    bool is_shared = h->flags & PACKET_RING;
    if ((h->flags & PACKET_FAILED) || (h->data_len > 0 && is_shared != r->conf->is_shared))
        return ERR_PROTO;
    if (h->data_len > r->conf->ring_bytes)
        return ERR_TOOBIG;
    struct dn_packet packet = to_dn_packet(h);
    rc = dn_pipeline_check(&r->p, &packet);
    if (rc != 0)
        return rc;
    r->in_body = true;
    r->body_have = 0;
    r->header_have = 0;
    return 0;
}

static size_t body_bytes(const struct dn_relay *r)
{
    return r->conf->is_shared ? 0 : r->packet.data_len + r->packet.sums * (size_t)DN_SUM_BYTES;
}

static void flip_a_bit(struct dn_relay *r)
{
    if (!r->conf->is_shared && r->packet.data_len > 0)
        r->conf->ring[(r->packet.offset + r->packet.data_len / 2) % r->conf->ring_bytes] ^= 4;
}

/* Compute the sums of bytes that came without, or check those that came with them. */
static int check_bytes(struct dn_relay *r, uint64_t off, size_t len)
{
    struct iovec data[2];
    size_t pieces = data_pieces(r, off, len, data);
    for (size_t i = 0; i < pieces; i++) {
        struct slice bytes = slice_of(data[i].iov_base, data[i].iov_len);
        size_t count = chunksum_count(bytes.len, DN_SUM_CHUNK);
        uint8_t *sums = sum_at(r, off);
        if (r->conf->is_shared)
            chunksum_compute(bytes, DN_SUM_CHUNK, sums);
        else if (chunksum_verify(bytes, DN_SUM_CHUNK, slice_of(sums, count * DN_SUM_BYTES)) !=
                 CHUNKSUM_GOOD)
            return ERR_CHECKSUM;
        off += bytes.len;
    }
    return 0;
}

/* A packet that continues a partial chunk repeats its bytes: they must be the same bytes, for some
 * of them may have been read already. */
static bool repeats_truly(struct dn_relay *r)
{
    const struct packet_header *h = &r->packet;
    if (h->data_len == 0 || r->p.received <= h->offset)
        return true;
    size_t len = (size_t)(r->p.received - h->offset);
    return crc32c(0, r->conf->ring + h->offset % r->conf->ring_bytes, len) == r->tail_sum;
}

static void fill_slot(struct dn_relay *r, const struct packet_header *h, uint32_t tail_sum)
{
    struct slot *slot = slot_of(r, h->seq);
    struct packet_header onward = *h;
    onward.flags &= (uint16_t)~PACKET_RING;
    onward.sums = (uint16_t)chunksum_count(h->data_len, DN_SUM_CHUNK);
    packet_header_encode(&onward, slot->header);
    slot->offset = h->data_len > 0 ? h->offset : r->p.received;
    slot->len = h->data_len;
    slot->tail_sum = tail_sum;
}

/* The whole packet is in the rings. */
static int take_packet(struct dn_relay *r)
{
    const struct packet_header *h = &r->packet;
    struct dn_packet packet = to_dn_packet(h);
    uint64_t end = h->offset + h->data_len;
    r->in_body = false;
    if (fault_hit("dn.write.packet") == FAULT_CORRUPT)
        flip_a_bit(r);
    int rc = check_bytes(r, h->offset, h->data_len);
    if (rc == 0 && !repeats_truly(r))
        rc = ERR_CHECKSUM;
    if (h->data_len > 0 && end % DN_SUM_CHUNK != 0)
        packet.tail_sum = get_u32(sum_at(r, end - 1));
    if (!r->has_seq) {
        r->forward_seq = h->seq;
        r->has_seq = true;
    }
    fill_slot(r, h, packet.tail_sum);
    int accepted = dn_pipeline_accept(&r->p, &packet, clock_mono_ms());
    if (accepted != 0)
        return accepted;
    if (rc != 0) { /* acknowledged as bad; nothing of it goes any further */
        metric_add(&packets_bad, 1);
        dn_pipeline_local_failed(&r->p, rc);
        return 0;
    }
    if ((h->flags & PACKET_LAST) && r->conf->exact_len != UINT64_MAX &&
        r->p.received != r->conf->exact_len)
        dn_pipeline_local_failed(&r->p, ERR_INVAL);
    r->tail_sum = h->data_len > 0 ? packet.tail_sum : r->tail_sum;
    metric_add(&bytes_written, h->data_len);
    if (fault_hit("dn.write.forward") == FAULT_CORRUPT)
        flip_a_bit(r);
    return 0;
}

/* Non-blocking receive into pieces: bytes, 0 when there are none now, or a negative code. */
static ssize_t receive(int fd, struct iovec *iov, size_t count)
{
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = count};
    ssize_t n;
    do
        n = recvmsg(fd, &msg, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return ERR_EOF;
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : err_from_errno(errno);
    return n;
}

/* Bytes of the body that is coming, and behind it the next header if there will be one: a packet
 * then takes one system call. */
static ssize_t receive_body(struct dn_relay *r)
{
    struct iovec iov[5];
    const struct packet_header *h = &r->packet;
    size_t n = sum_pieces(r, h->offset, h->sums, iov);
    n += data_pieces(r, h->offset, h->data_len, iov + n);
    n = skip_pieces(iov, n, r->body_have);
    if (!(h->flags & PACKET_LAST))
        iov[n++] = (struct iovec){r->header, PACKET_HEADER_BYTES};
    ssize_t got = receive(r->conf->up_fd, iov, n);
    if (got <= 0)
        return got;
    size_t left = body_bytes(r) - r->body_have;
    size_t mine = (size_t)got < left ? (size_t)got : left;
    r->body_have += mine;
    r->header_have = (size_t)got - mine;
    return got;
}

static ssize_t receive_header(struct dn_relay *r)
{
    struct iovec iov = {r->header + r->header_have, PACKET_HEADER_BYTES - r->header_have};
    ssize_t got = receive(r->conf->up_fd, &iov, 1);
    if (got > 0)
        r->header_have += (size_t)got;
    return got;
}

/* One step of coming in: 1 progress, 0 nothing to be had now, negative: the stream is over. */
static int come_in(struct dn_relay *r)
{
    if (!r->in_body && !can_take_packet(r))
        return 0;
    if (!r->in_body && r->header_have < PACKET_HEADER_BYTES) {
        ssize_t got = receive_header(r);
        if (got <= 0 || r->header_have < PACKET_HEADER_BYTES)
            return got < 0 ? (int)got : got > 0;
    }
    int rc = r->in_body ? 0 : take_header(r);
    if (rc != 0)
        return rc;
    if (!has_room(r))
        return 0;
    if (r->body_have < body_bytes(r)) {
        ssize_t got = receive_body(r);
        if (got <= 0)
            return (int)got;
    }
    if (r->body_have == body_bytes(r))
        rc = take_packet(r);
    return rc != 0 ? rc : 1;
}

/* Does upstream keep us waiting, or do we it? */
static bool wants_input(struct dn_relay *r)
{
    return r->in_body ? has_room(r) : can_take_packet(r);
}

/* ---- going down ---- */

static void mirror_failed(struct dn_relay *r, int code)
{
    r->down_is_dead = true;
    dn_pipeline_mirror_failed(&r->p, code);
}

static bool has_forward(const struct dn_relay *r)
{
    return r->conf->down_fd >= 0 && !r->down_is_dead && r->has_seq &&
           r->forward_seq != r->p.next_seq;
}

/* Header, sums, the last chunk's own sum, bytes. */
static size_t forward_pieces(struct dn_relay *r, struct slot *slot, uint8_t tail[DN_SUM_BYTES],
                             struct iovec iov[6])
{
    size_t sums = chunksum_count(slot->len, DN_SUM_CHUNK), n = 0;
    bool is_partial = slot->len % DN_SUM_CHUNK != 0;
    iov[n++] = (struct iovec){slot->header, PACKET_HEADER_BYTES};
    n += sum_pieces(r, slot->offset, sums - is_partial, iov + n);
    if (is_partial) {
        put_u32(tail, slot->tail_sum);
        iov[n++] = (struct iovec){tail, DN_SUM_BYTES};
    }
    n += data_pieces(r, slot->offset, slot->len, iov + n);
    return n;
}

/* Send what downstream takes now. True when anything went. */
static bool go_down(struct dn_relay *r)
{
    bool any = false;
    while (has_forward(r)) {
        struct slot *slot = slot_of(r, r->forward_seq);
        struct iovec iov[6];
        uint8_t tail[DN_SUM_BYTES];
        size_t count = forward_pieces(r, slot, tail, iov), total = 0;
        for (size_t i = 0; i < count; i++)
            total += iov[i].iov_len;
        count = skip_pieces(iov, count, r->forward_done);
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = count};
        ssize_t n = sendmsg(r->conf->down_fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return any;
        if (n < 0 && errno != EINTR) {
            mirror_failed(r, err_from_errno(errno));
            return true;
        }
        r->forward_done += n > 0 ? (size_t)n : 0;
        any = true;
        if (r->forward_done == total) {
            dn_lags_sent(&r->lags, clock_mono_ms());
            r->forward_done = 0;
            r->forward_seq++;
        }
    }
    return any;
}

/* Downstream found a packet damaged. Are our own bytes of it still right? If not it is us. */
static void look_again(struct dn_relay *r, uint64_t seq)
{
    struct slot *slot = slot_of(r, seq);
    uint8_t tail[DN_SUM_BYTES];
    struct iovec iov[6], data[2];
    (void)forward_pieces(r, slot, tail, iov);
    size_t pieces = data_pieces(r, slot->offset, slot->len, data);
    uint64_t off = slot->offset;
    for (size_t i = 0; i < pieces; i++) {
        for (size_t at = 0; at < data[i].iov_len; at += DN_SUM_CHUNK, off += DN_SUM_CHUNK) {
            size_t left = data[i].iov_len - at, len = left < DN_SUM_CHUNK ? left : DN_SUM_CHUNK;
            uint32_t want = len < DN_SUM_CHUNK ? slot->tail_sum : get_u32(sum_at(r, off));
            if (crc32c(0, (uint8_t *)data[i].iov_base + at, len) != want) {
                dn_pipeline_local_failed(&r->p, ERR_CHECKSUM);
                return;
            }
        }
    }
}

static void take_down_report(struct dn_relay *r)
{
    struct packet_report report;
    if (packet_report_decode(r->down_ack, &report) != 0)
        mirror_failed(r, ERR_PROTO);
    else
        dn_lags_below(&r->lags, &report);
}

static void take_down_ack(struct dn_relay *r)
{
    struct packet_ack wire;
    r->down_ack_have = 0;
    dn_lags_heard(&r->lags, clock_mono_ms());
    if (r->lags.every_ms > 0 && packet_is_report(r->down_ack)) {
        take_down_report(r);
        return;
    }
    if (packet_ack_decode(r->down_ack, &wire) != 0) {
        mirror_failed(r, ERR_PROTO);
        return;
    }
    struct dn_ack ack = {
        .seq = wire.seq, .count = wire.count, .is_synced = wire.flags & PACKET_SYNC};
    for (size_t i = 0; i < wire.count; i++)
        ack.status[i] = wire.status[i];
    if (dn_pipeline_mirror_ack(&r->p, &ack, clock_mono_ms()) != 0)
        mirror_failed(r, ERR_PROTO);
    else if (ack.status[0] == ERR_CHECKSUM)
        look_again(r, ack.seq);
}

/* When it has acknowledged the last packet, downstream may go. */
static bool expects_acks(const struct dn_relay *r)
{
    return r->conf->down_fd >= 0 && !r->down_is_dead && r->p.bad_count == 0 &&
           !(r->p.last_came && r->p.mirrored == r->p.count);
}

static bool listen_down(struct dn_relay *r)
{
    bool any = false;
    while (expects_acks(r)) {
        struct iovec iov = {r->down_ack + r->down_ack_have, PACKET_ACK_BYTES - r->down_ack_have};
        ssize_t got = receive(r->conf->down_fd, &iov, 1);
        if (got == 0)
            return any;
        any = true;
        if (got < 0) {
            mirror_failed(r, got == ERR_EOF ? ERR_CLOSED : (int)got);
            return true;
        }
        r->down_ack_have += (size_t)got;
        if (r->down_ack_have == PACKET_ACK_BYTES)
            take_down_ack(r);
    }
    return any;
}

/* ---- to the disk ---- */

static uint64_t unwritten(const struct dn_relay *r)
{
    return r->p.received - r->p.written;
}

struct run {
    uint64_t from, to;
    struct slice data;
    const uint8_t *sums;
};

/* The next bytes for the block file. A run that is not the last one known ends at a page. */
static struct run next_run(struct dn_relay *r, bool is_all)
{
    uint64_t from = r->p.written - r->p.written % DN_SUM_CHUNK, to = r->p.received;
    size_t at = (size_t)(from % r->conf->ring_bytes);
    if (to - from > r->conf->ring_bytes - at)
        to = from + r->conf->ring_bytes - at;
    if (to - from > WRITE_RUN_BYTES)
        to = from + WRITE_RUN_BYTES;
    if (!is_all && to - from > PAGE)
        to -= to % PAGE;
    return (struct run){from, to, slice_of(r->conf->ring + at, to - from), sum_at(r, from)};
}

static void run_written(struct dn_relay *r, uint64_t to, int rc)
{
    dn_lags_disk(&r->lags, clock_mono_us() - r->run_begun_us);
    if (rc != 0)
        dn_pipeline_local_failed(&r->p, rc);
    else
        dn_pipeline_written(&r->p, to);
}

/* The drain's run is in the file? False: not yet, or there is none. */
static bool take_drained(struct dn_relay *r)
{
    int rc;
    if (!r->drain || !dn_drain_take(r->drain, &rc))
        return false;
    run_written(r, r->draining_to, rc);
    return true;
}

/* The last chunk of a run that ends inside it will be received again, longer: its bytes and its sum
 * may not be looked at by another thread meanwhile. */
static bool can_drain(struct dn_relay *r, const struct run *run)
{
    if (run->to - run->from < DRAIN_RUN_BYTES || run->to % DN_SUM_CHUNK != 0 ||
        r->p.received - r->p.conf.start_len < DRAIN_FROM)
        return false;
    if (!r->drain)
        r->drain = dn_drain_start(r->conf->file);
    return r->drain;
}

static void write_run(struct dn_relay *r, bool is_all)
{
    struct run run = next_run(r, is_all);
    r->run_begun_us = clock_mono_us();
    if (fault_errno(fault_hit("dn.write.disk"))) {
        run_written(r, run.to, ERR_IO);
    } else if (can_drain(r, &run)) {
        r->draining_to = run.to;
        dn_drain_write(r->drain, run.from, run.data, run.sums);
    } else {
        run_written(r, run.to, dn_blockfile_write(r->conf->file, run.from, run.data, run.sums));
    }
}

/* A sync that is due goes first. */
static bool write_some(struct dn_relay *r, bool is_all)
{
    if (is_draining(r) || r->p.local_code != 0 || unwritten(r) == 0 ||
        dn_pipeline_need(&r->p) == DN_NEED_SYNC)
        return false;
    write_run(r, is_all);
    return true;
}

/* The disk is free, and there is enough for it. */
static bool has_run(struct dn_relay *r)
{
    (void)take_drained(r);
    return !is_draining(r) && unwritten(r) >= WRITE_NOW_BYTES;
}

static void settle(struct dn_relay *r)
{
    if (is_draining(r)) {
        dn_drain_wait(r->drain);
        (void)take_drained(r);
    }
}

/* The file is all the relay's again, and no thread is kept for it. */
static void end_drain(struct dn_relay *r)
{
    settle(r);
    dn_drain_stop(r->drain);
    r->drain = NULL;
}

/* The blocking duties. Finalizing waits until downstream has everything, so that all of the chain
 * syncs at the same time. */
static bool do_duties(struct dn_relay *r)
{
    uint64_t begun_us = clock_mono_us();
    int rc = 0;
    enum dn_pipeline_need need = dn_pipeline_need(&r->p);
    BUG_ON(need != DN_NEED_NOTHING && is_draining(r)); /* the file is not ours then */
    switch (need) {
    case DN_NEED_NOTHING:
        return false;
    case DN_NEED_SYNC:
        if (fault_hit("dn.write.sync") != FAULT_DROP)
            rc = dn_blockfile_sync(r->conf->file);
        if (rc == 0)
            dn_pipeline_synced(&r->p);
        dn_lags_disk(&r->lags, clock_mono_us() - begun_us);
        break;
    case DN_NEED_FINALIZE:
        if (has_forward(r))
            return false;
        rc = r->conf->finalize(r->conf->arg);
        if (rc == 0)
            dn_pipeline_finalized(&r->p);
        break;
    }
    if (rc != 0)
        dn_pipeline_local_failed(&r->p, rc);
    return true;
}

/* ---- going up ---- */

static void encode_ack(const struct dn_ack *ack, uint8_t out[PACKET_ACK_BYTES])
{
    struct packet_ack wire = {
        .seq = ack->seq, .count = (uint16_t)ack->count, .flags = ack->is_synced ? PACKET_SYNC : 0};
    for (unsigned i = 0; i < ack->count && i < PIPELINE_MAX; i++)
        wire.status[i] = (int16_t)ack->status[i];
    packet_ack_encode(&wire, out);
}

/* The code of the first node that could not go on, 0 when all could. */
static int first_bad(const struct dn_ack *ack)
{
    for (unsigned i = 0; i < ack->count; i++)
        if (ack->status[i] != 0)
            return ack->status[i];
    return 0;
}

/* Acks that are due. The last good one is kept back: it goes when the node's map says finalized. */
static bool pop_acks(struct dn_relay *r, uint8_t last_ack[PACKET_ACK_BYTES])
{
    struct dn_ack ack;
    bool any = false;
    while (r->acks_len + PACKET_ACK_BYTES <= sizeof(r->acks) && dn_pipeline_pop_ack(&r->p, &ack)) {
        any = true;
        int bad = first_bad(&ack);
        if (bad == 0)
            dn_writing_show(r->conf->writing, r->p.acked_len, r->p.acked_tail_sum);
        if (bad == 0 && dn_pipeline_is_over(&r->p)) {
            encode_ack(&ack, last_ack);
            r->is_final = true;
            break;
        }
        if (bad != 0)
            r->end_code = bad;
        if (fault_hit("dn.write.ack") == FAULT_DROP)
            continue;
        if (r->acks_len == 0)
            r->took_acks_ms = clock_mono_ms();
        encode_ack(&ack, r->acks + r->acks_len);
        r->acks_len += PACKET_ACK_BYTES;
    }
    return any;
}

/* Bytes are still under way here. When they have all gone, everybody syncs, which takes its time.
 */
static bool is_streaming(const struct dn_relay *r)
{
    return r->p.count > 0 && (!r->p.last_came || has_forward(r) || unwritten(r) > 0);
}

/* Who of us is slow? Those behind us may be busy still when we are not. */
static bool report_is_wanted(const struct dn_relay *r)
{
    return r->lags.every_ms > 0 && (is_streaming(r) || r->lags.has_news) &&
           r->acks_len + PACKET_REPORT_BYTES <= sizeof(r->acks);
}

static void report(struct dn_relay *r)
{
    uint64_t now_ms = clock_mono_ms();
    if (!report_is_wanted(r) || !dn_lags_is_due(&r->lags, now_ms))
        return;
    struct packet_report said;
    dn_lags_take(&r->lags, is_streaming(r) && r->p.mirrored < r->p.count, now_ms, &said);
    if (is_draining(r) && said.lag[0].disk_ms == PACKET_LAG_NONE)
        said.lag[0].disk_ms = (uint32_t)((clock_mono_us() - r->run_begun_us) / 1000);
    if (r->acks_len == 0)
        r->took_acks_ms = now_ms;
    packet_report_encode(&said, r->acks + r->acks_len);
    r->acks_len += PACKET_REPORT_BYTES;
}

/* An upstream that sends but never reads its acks would keep this thread for ever. */
static bool is_deaf(const struct dn_relay *r, uint64_t now_ms)
{
    return r->acks_len > 0 && now_ms >= r->took_acks_ms + r->conf->timeout_ms;
}

static bool go_up(struct dn_relay *r)
{
    if (r->acks_len == 0 || r->up_is_dead)
        return false;
    ssize_t n = send(r->conf->up_fd, r->acks, r->acks_len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) {
        r->up_is_dead = errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
        return r->up_is_dead;
    }
    r->took_acks_ms = clock_mono_ms();
    r->acks_len -= (size_t)n;
    memmove(r->acks, r->acks + n, r->acks_len);
    return n > 0;
}

/* A failure has been told: let upstream read it. Closing while its packets still arrive would reset
 * the connection, and the reset would overtake our ack. */
static void say_farewell(struct dn_relay *r)
{
    uint64_t until = clock_mono_ms() + FAREWELL_MS;
    if (r->up_is_dead || sock_send_all(r->conf->up_fd, r->acks, r->acks_len, until) != 0)
        return;
    (void)shutdown(r->conf->up_fd, SHUT_WR);
    while (sock_recv_some(r->conf->up_fd, r->acks, sizeof(r->acks), until) > 0)
        ;
}

/* ---- the loop ---- */

struct interest {
    int fd;
    short events;
};

static void list_interests(struct dn_relay *r, struct interest ret[DN_PARK_FDS])
{
    short up = (short)((wants_input(r) ? POLLIN : 0) | (r->acks_len > 0 ? POLLOUT : 0));
    short down = (short)(POLLIN | (has_forward(r) ? POLLOUT : 0));
    ret[0] = (struct interest){r->conf->cancel_fd, POLLIN};
    ret[1] = (struct interest){r->conf->up_fd, up};
    ret[2] = (struct interest){expects_acks(r) ? r->conf->down_fd : -1, down};
}

/* When somebody has to be given up, or told who is slow. */
static uint64_t deadline_ms(struct dn_relay *r)
{
    uint64_t at = dn_pipeline_deadline_ms(&r->p), deaf_at = r->took_acks_ms + r->conf->timeout_ms;
    if (r->acks_len > 0 && deaf_at < at)
        at = deaf_at;
    return report_is_wanted(r) && r->lags.next_ms < at ? r->lags.next_ms : at;
}

static int wait_for_something(struct dn_relay *r, const struct dn_move *move)
{
    uint64_t now = clock_mono_ms(), deadline = deadline_ms(r);
    uint64_t wait_ms = deadline > now ? deadline - now : 0, patience = dn_move_patience_ms(move);
    struct interest list[DN_PARK_FDS];
    struct pollfd fds[DN_PARK_FDS + 1];
    list_interests(r, list);
    for (size_t i = 0; i < DN_PARK_FDS; i++)
        fds[i] = (struct pollfd){.fd = list[i].fd, .events = list[i].events};
    fds[DN_PARK_FDS] = (struct pollfd){.fd = -1, .events = POLLIN};
    if (is_draining(r)) {
        fds[DN_PARK_FDS].fd = dn_drain_fd(r->drain);
        patience = UINT64_MAX; /* not to be parked */
    }
    uint64_t most_ms = wait_ms < patience ? wait_ms : patience;
    int n = poll(fds, DN_PARK_FDS + 1, most_ms < INT_MAX ? (int)most_ms : INT_MAX);
    if (n > 0 && fds[0].revents)
        return ERR_CANCELLED;
    if (n > 0 && (fds[1].revents & (POLLERR | POLLHUP)) && !wants_input(r))
        return ERR_CLOSED; /* gone, and we were not even going to read */
    now = clock_mono_ms();
    int rc = is_deaf(r, now) ? ERR_TIMEOUT : dn_pipeline_expire(&r->p, now);
    if (rc != 0)
        return rc;
    /* A neighbour that was just given up is news that has to go up. */
    return n == 0 && wait_ms > patience ? DN_RELAY_WAITS : 0;
}

void dn_relay_park(struct dn_relay *relay, struct dn_park *ret)
{
    struct interest list[DN_PARK_FDS];
    list_interests(relay, list);
    for (size_t i = 0; i < DN_PARK_FDS; i++) {
        ret->fds[i].fd = list[i].events ? list[i].fd : -1;
        ret->fds[i].ready = (list[i].events & POLLIN ? (unsigned)LOOP_READ : 0U) |
                            (list[i].events & POLLOUT ? (unsigned)LOOP_WRITE : 0U);
    }
    ret->until_ms = deadline_ms(relay);
}

bool dn_relay_needs_ring(const struct dn_relay *relay)
{
    return relay->in_body || relay->p.count > 0 || unwritten(relay) > 0;
}

void dn_relay_set_ring(struct dn_relay *relay, uint8_t *ring)
{
    relay->own.ring = ring;
}

/* Everything that can be done without waiting. True when anything was. */
static bool turn(struct dn_relay *r, uint8_t last_ack[PACKET_ACK_BYTES], int *ret_in)
{
    bool any = take_drained(r);
    int in = 1;
    uint64_t enough = r->p.received + WRITE_NOW_BYTES;
    while (in > 0 && r->p.received < enough && !has_run(r))
        any |= (in = come_in(r)) > 0;
    *ret_in = in < 0 ? in : 0;
    any |= go_down(r);
    any |= listen_down(r);
    report(r); /* before our own disk keeps us: that is not their silence */
    any |= write_some(r, in <= 0);
    any |= do_duties(r);
    any |= pop_acks(r, last_ack);
    any |= go_up(r);
    return any;
}

static int run(struct dn_relay *r, const struct dn_move *move, uint8_t last_ack[PACKET_ACK_BYTES])
{
    while (!dn_pipeline_is_over(&r->p)) {
        int in = 0;
        bool any = turn(r, last_ack, &in);
        if (in < 0 && !dn_pipeline_is_over(&r->p))
            return in == ERR_EOF ? ERR_CLOSED : in;
        if (!any) {
            int rc = wait_for_something(r, move);
            if (rc != 0)
                return rc;
        }
    }
    if (r->is_final)
        return 0;
    return r->end_code < 0 ? r->end_code : ERR_FAILED; /* a neighbour may say what it likes */
}

/* Upstream is gone or a neighbour failed: what has arrived whole is worth keeping. */
static void write_the_rest(struct dn_relay *r)
{
    settle(r);
    while (r->p.local_code == 0 && unwritten(r) > 0) {
        write_run(r, true);
        settle(r);
    }
}

struct dn_relay *dn_relay_new(const struct dn_relay_conf *conf)
{
    struct dn_relay *r = mem_calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->own = *conf;
    r->conf = &r->own;
    r->sum_count = conf->ring_bytes / DN_SUM_CHUNK;
    r->sums = mem_alloc(r->sum_count * DN_SUM_BYTES);
    if (!r->sums) {
        mem_free(r);
        return NULL;
    }
    r->tail_sum = conf->file->tail_sum;
    struct dn_pipeline_conf pipeline = {.start_len = conf->file->len,
                                        .start_tail_sum = conf->file->tail_sum,
                                        .max_len = conf->max_len,
                                        .has_mirror = conf->down_fd >= 0,
                                        .idle_ms = conf->timeout_ms,
                                        .ack_ms = conf->ack_timeout_ms};
    uint64_t now_ms = clock_mono_ms();
    dn_pipeline_init(&r->p, &pipeline, now_ms);
    dn_lags_begin(&r->lags, conf->reports_ms, conf->down_fd, now_ms);
    return r;
}

void dn_relay_free(struct dn_relay *relay)
{
    if (!relay)
        return;
    end_drain(relay);
    mem_free(relay->sums);
    mem_free(relay);
}

int dn_relay_run(struct dn_relay *relay, const struct dn_move *move,
                 uint8_t last_ack[PACKET_ACK_BYTES])
{
    int rc = run(relay, move, last_ack);
    if (rc < 0) {
        write_the_rest(relay);
        if (rc != ERR_CANCELLED && dn_pipeline_is_over(&relay->p))
            say_farewell(relay);
    }
    end_drain(relay);
    return rc;
}
