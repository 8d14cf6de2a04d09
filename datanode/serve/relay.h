/* SPDX-License-Identifier: Apache-2.0
 * relay: the bytes of one block on their way through this node, on a mover's thread:
 *
 *   upstream --> ring --> verified --+--> block file            (in runs as long as the socket
 * gives)
 *                                    +--> downstream            (while it is being written here)
 *   upstream <-- acks <-------------------- acks <-- downstream
 *
 * The byte at offset x of the block lies at x % ring_bytes: in a ring of our own that packets are
 * received into, or in the memory of a client on this machine, where only headers come over the
 * socket and the checksums are computed here. From there on both are the same.
 *
 * What is due when is storage/pipeline's to decide; this file moves the bytes and never waits for
 * one peer while another one has something for it, but for the disk.
 *
 * Fault points: dn.write.packet (corrupt: a bit flips on the way here), dn.write.forward (corrupt:
 * a bit flips in our memory, behind the check), dn.write.disk, dn.write.sync, dn.write.ack (drop).
 */
#ifndef QUERN_DN_SERVE_RELAY_H
#define QUERN_DN_SERVE_RELAY_H

#include "datanode/storage/movers.h"
#include "datanode/storage/writing.h"
#include "libcommon/proto/data/packet.h"

struct dn_relay_conf {
    int up_fd;
    int down_fd;   /* -1 = we are the last */
    int cancel_fd; /* becomes readable when we shall end */
    uint8_t *ring;
    size_t ring_bytes; /* a multiple of 4096 */
    bool is_shared;    /* the ring is the client's memory */
    struct dn_blockfile *file;
    struct dn_writing *writing;
    uint64_t max_len;
    uint64_t exact_len; /* the block must end there; UINT64_MAX = anywhere */
    uint64_t timeout_ms, ack_timeout_ms;
    uint32_t reports_ms; /* our writer wants to know who is slow (lags.h); 0 = it does not */
    /* The last packet is written: make the block whole and durable. */
    int (*finalize)(void *arg);
    void *arg;
};

struct dn_relay;
/* Copies *conf; its ring may be NULL. NULL when memory is out. */
struct dn_relay *dn_relay_new(const struct dn_relay_conf *conf);
void dn_relay_free(struct dn_relay *relay); /* NULL is fine */

/* 0: finalized; the last ack is in `last_ack` and has not been sent. DN_RELAY_WAITS: for some time
 * (of dn_move_patience_ms) there was nothing to do; to be run again when dn_relay_park says so.
 * Else why it ended; what came until then is in the file. Upstream has been told, where it can be.
 */
#define DN_RELAY_WAITS 1
int dn_relay_run(struct dn_relay *relay, const struct dn_move *move,
                 uint8_t last_ack[PACKET_ACK_BYTES]);
void dn_relay_park(struct dn_relay *relay, struct dn_park *ret);
/* Nothing in the ring is needed any more: while the relay waits it may be given to others, and
 * another one, or the same, is set before it is run again. */
bool dn_relay_needs_ring(const struct dn_relay *relay);
void dn_relay_set_ring(struct dn_relay *relay, uint8_t *ring);

#endif
