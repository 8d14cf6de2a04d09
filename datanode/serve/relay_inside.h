/* SPDX-License-Identifier: Apache-2.0
 * Private to relay.c (the loop), relay_ring.c (where the bytes lie), relay_in.c (bytes in),
 * relay_disk.c (runs of them to the disk, syncs), relay_down.c (the chain below) and relay_up.c
 * (acks up). All of it is called on the mover's thread that runs the relay, and none of it waits,
 * but for the disk and, at the end, for a farewell.
 *
 * storage/pipeline knows what is due. The rings keep the bytes of packets in flight until they are
 * acknowledged, and those of a drain's run until it is written; while a drain is busy the file is
 * its own. */
#ifndef QUERN_DN_SERVE_RELAY_INSIDE_H
#define QUERN_DN_SERVE_RELAY_INSIDE_H

#include <sys/uio.h>

#include "datanode/serve/drain.h"
#include "datanode/serve/lags.h"
#include "datanode/serve/relay.h"
#include "datanode/storage/pipeline.h"

#define DN_RELAY_NOW_BYTES (1U << 20) /* so much is written without looking for more first */
#define DN_RELAY_ACKS      64U

/* A packet in flight, as it goes downstream. */
struct dn_relay_slot {
    uint64_t offset;
    uint32_t len;
    uint32_t tail_sum; /* of its last chunk; the ring's sum may be a longer packet's already */
    uint8_t header[PACKET_HEADER_BYTES];
};

struct dn_relay {
    struct dn_relay_conf own;
    const struct dn_relay_conf *conf; /* of `own` */
    struct dn_pipeline p;
    struct dn_relay_slot slots[DN_PIPELINE_SLOTS]; /* by seq */
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
    uint8_t acks[DN_RELAY_ACKS * PACKET_ACK_BYTES];
    size_t acks_len;
    uint64_t took_acks_ms; /* when upstream last took some, or there were none */
    bool up_is_dead;
    bool is_final; /* the last good ack was popped */
    int end_code;
};

static inline struct dn_relay_slot *dn_relay_slot_of(struct dn_relay *r, uint64_t seq)
{
    return &r->slots[seq % DN_PIPELINE_SLOTS];
}

static inline uint8_t *dn_relay_sum_at(struct dn_relay *r, uint64_t off)
{
    return r->sums + off / DN_SUM_CHUNK % r->sum_count * DN_SUM_BYTES;
}

static inline bool dn_relay_is_draining(const struct dn_relay *r)
{
    return r->drain && !dn_drain_is_idle(r->drain);
}

static inline uint64_t dn_relay_unwritten(const struct dn_relay *r)
{
    return r->p.received - r->p.written;
}

static inline bool dn_relay_has_forward(const struct dn_relay *r)
{
    return r->conf->down_fd >= 0 && !r->down_is_dead && r->has_seq &&
           r->forward_seq != r->p.next_seq;
}

/* An upstream that sends but never reads its acks would keep this thread for ever. */
static inline bool dn_relay_is_deaf(const struct dn_relay *r, uint64_t now_ms)
{
    return r->acks_len > 0 && now_ms >= r->took_acks_ms + r->conf->timeout_ms;
}

/* ---- relay_ring: places in the rings ---- */

/* The (at most two) pieces of block bytes [off, off + len); how many. */
size_t dn_relay_data_pieces(struct dn_relay *r, uint64_t off, size_t len, struct iovec *iov);
/* And of `count` sums from the chunk at `off` on. */
size_t dn_relay_sum_pieces(struct dn_relay *r, uint64_t off, size_t count, struct iovec *iov);
/* Drop `skip` bytes from the front of the pieces; how many are left. */
size_t dn_relay_skip_pieces(struct iovec *iov, size_t count, size_t skip);
/* Non-blocking receive into pieces: bytes, 0 when there are none now, or a negative code. */
ssize_t dn_relay_receive(int fd, struct iovec *iov, size_t count);

/* ---- relay_in ---- */

/* One step of coming in: 1 progress, 0 nothing to be had now, negative: the stream is over. */
int dn_relay_come_in(struct dn_relay *r);
/* Does upstream keep us waiting, or do we it? */
bool dn_relay_wants_input(struct dn_relay *r);

/* ---- relay_down ---- */

/* Send what downstream takes now, take what it says. True when anything went, or came. */
bool dn_relay_go_down(struct dn_relay *r);
bool dn_relay_listen_down(struct dn_relay *r);
/* When it has acknowledged the last packet, downstream may go. */
bool dn_relay_expects_acks(const struct dn_relay *r);

/* ---- relay_disk ---- */

/* The drain's run is in the file? False: not yet, or there is none. */
bool dn_relay_take_drained(struct dn_relay *r);
/* The disk is free, and there is enough for it. */
bool dn_relay_has_run(struct dn_relay *r);
/* A run to the disk; all there is, or whole pages. False: the disk is busy, or nothing is due. */
bool dn_relay_write_some(struct dn_relay *r, bool is_all);
/* The syncs and the finalizing that are due; these block. */
bool dn_relay_do_duties(struct dn_relay *r);
/* Upstream is gone or a neighbour failed: what has arrived whole is worth keeping. */
void dn_relay_write_the_rest(struct dn_relay *r);
/* The file is all the relay's again, and no thread is kept for it. */
void dn_relay_end_drain(struct dn_relay *r);

/* ---- relay_up ---- */

/* Acks that are due. The last good one is kept back: it goes when the node's map says finalized. */
bool dn_relay_pop_acks(struct dn_relay *r, uint8_t last_ack[PACKET_ACK_BYTES]);
/* Who of us is slow: is it time to say so at all, and saying it when it is due. */
bool dn_relay_report_is_wanted(const struct dn_relay *r);
void dn_relay_report(struct dn_relay *r);
bool dn_relay_go_up(struct dn_relay *r);
/* A failure has been told: let upstream read it. */
void dn_relay_say_farewell(struct dn_relay *r);

#endif
