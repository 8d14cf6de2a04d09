/* SPDX-License-Identifier: Apache-2.0
 * A relay's chain below: packets go on to the next node as the rings have them, and its acks and
 * reports come back. Whatever fails here is the neighbour's failure, and the pipeline's to judge,
 * but for bytes that went bad in our own memory. */
#include "datanode/serve/relay_inside.h"

#include <errno.h>
#include <sys/socket.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/clock.h"
#include "libcommon/codec/chunksum.h"
#include "libcommon/codec/crc32c.h"

static void mirror_failed(struct dn_relay *r, int code)
{
    r->down_is_dead = true;
    dn_pipeline_mirror_failed(&r->p, code);
}

/* Header, sums, the last chunk's own sum, bytes. */
static size_t forward_pieces(struct dn_relay *r, struct dn_relay_slot *slot,
                             uint8_t tail[DN_SUM_BYTES], struct iovec iov[6])
{
    size_t sums = chunksum_count(slot->len, DN_SUM_CHUNK), n = 0;
    bool is_partial = slot->len % DN_SUM_CHUNK != 0;
    iov[n++] = (struct iovec){slot->header, PACKET_HEADER_BYTES};
    n += dn_relay_sum_pieces(r, slot->offset, sums - is_partial, iov + n);
    if (is_partial) {
        put_u32(tail, slot->tail_sum);
        iov[n++] = (struct iovec){tail, DN_SUM_BYTES};
    }
    n += dn_relay_data_pieces(r, slot->offset, slot->len, iov + n);
    return n;
}

/* Send what downstream takes now. True when anything went. */
bool dn_relay_go_down(struct dn_relay *r)
{
    bool any = false;
    while (dn_relay_has_forward(r)) {
        struct dn_relay_slot *slot = dn_relay_slot_of(r, r->forward_seq);
        struct iovec iov[6];
        uint8_t tail[DN_SUM_BYTES];
        size_t count = forward_pieces(r, slot, tail, iov), total = 0;
        for (size_t i = 0; i < count; i++)
            total += iov[i].iov_len;
        count = dn_relay_skip_pieces(iov, count, r->forward_done);
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
    struct dn_relay_slot *slot = dn_relay_slot_of(r, seq);
    uint8_t tail[DN_SUM_BYTES];
    struct iovec iov[6], data[2];
    (void)forward_pieces(r, slot, tail, iov);
    size_t pieces = dn_relay_data_pieces(r, slot->offset, slot->len, data);
    uint64_t off = slot->offset;
    for (size_t i = 0; i < pieces; i++) {
        for (size_t at = 0; at < data[i].iov_len; at += DN_SUM_CHUNK, off += DN_SUM_CHUNK) {
            size_t left = data[i].iov_len - at, len = left < DN_SUM_CHUNK ? left : DN_SUM_CHUNK;
            uint32_t want = len < DN_SUM_CHUNK ? slot->tail_sum : get_u32(dn_relay_sum_at(r, off));
            if (crc32c(0, (uint8_t *)data[i].iov_base + at, len) != want) {
                dn_pipeline_local_failed(&r->p, ERR_CORRUPT); /* it came as it should be */
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
bool dn_relay_expects_acks(const struct dn_relay *r)
{
    return r->conf->down_fd >= 0 && !r->down_is_dead && r->p.bad_count == 0 &&
           !(r->p.last_came && r->p.mirrored == r->p.count);
}

bool dn_relay_listen_down(struct dn_relay *r)
{
    bool any = false;
    while (dn_relay_expects_acks(r)) {
        struct iovec iov = {r->down_ack + r->down_ack_have, PACKET_ACK_BYTES - r->down_ack_have};
        ssize_t got = dn_relay_receive(r->conf->down_fd, &iov, 1);
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
