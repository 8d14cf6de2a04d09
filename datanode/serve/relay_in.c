/* SPDX-License-Identifier: Apache-2.0
 * A relay's bytes in: packets from upstream, received into the rings, checked there, and given to
 * the pipeline. What does not fit yet is left in the socket. */
#include "datanode/serve/relay_inside.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"
#include "libcommon/base/metric.h"
#include "libcommon/codec/chunksum.h"
#include "libcommon/codec/crc32c.h"

METRIC_COUNTER(bytes_written, "quern_dn_written_bytes_total", "bytes of blocks received");
METRIC_COUNTER(packets_bad, "quern_dn_bad_packets_total", "packets that arrived damaged");

/* After a failure one more is taken when none is in flight: its ack carries the news up. */
static bool can_take_packet(const struct dn_relay *r)
{
    bool has_failed = r->p.local_code != 0 || r->p.bad_count > 0;
    return !r->p.last_came && !dn_pipeline_is_full(&r->p) && !r->up_is_dead &&
           (!has_failed || r->p.count == 0);
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
        low = dn_relay_slot_of(r, r->p.flights[r->p.head].seq)->offset;
    if (dn_relay_is_draining(r) && r->p.written < low)
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
    size_t pieces = dn_relay_data_pieces(r, off, len, data);
    for (size_t i = 0; i < pieces; i++) {
        struct slice bytes = slice_of(data[i].iov_base, data[i].iov_len);
        size_t count = chunksum_count(bytes.len, DN_SUM_CHUNK);
        uint8_t *sums = dn_relay_sum_at(r, off);
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
    struct dn_relay_slot *slot = dn_relay_slot_of(r, h->seq);
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
        packet.tail_sum = get_u32(dn_relay_sum_at(r, end - 1));
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

/* Bytes of the body that is coming, and behind it the next header if there will be one: a packet
 * then takes one system call. */
static ssize_t receive_body(struct dn_relay *r)
{
    struct iovec iov[5];
    const struct packet_header *h = &r->packet;
    size_t n = dn_relay_sum_pieces(r, h->offset, h->sums, iov);
    n += dn_relay_data_pieces(r, h->offset, h->data_len, iov + n);
    n = dn_relay_skip_pieces(iov, n, r->body_have);
    if (!(h->flags & PACKET_LAST))
        iov[n++] = (struct iovec){r->header, PACKET_HEADER_BYTES};
    ssize_t got = dn_relay_receive(r->conf->up_fd, iov, n);
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
    ssize_t got = dn_relay_receive(r->conf->up_fd, &iov, 1);
    if (got > 0)
        r->header_have += (size_t)got;
    return got;
}

/* One step of coming in: 1 progress, 0 nothing to be had now, negative: the stream is over. */
int dn_relay_come_in(struct dn_relay *r)
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
bool dn_relay_wants_input(struct dn_relay *r)
{
    return r->in_body ? has_room(r) : can_take_packet(r);
}
