/* SPDX-License-Identifier: Apache-2.0
 * pipeline: the writer's bookkeeping of one block. Which bytes are handed in, sent and
 * acknowledged; which packet goes next; what an acknowledgement means; whom to drop when the chain
 * breaks.
 *
 *      0 ......... acked ......... sent ......... filled ......... block size
 *        in every    |   in flight   |  in our ring  |     room
 *        replica     +--- kept in the ring, to be sent again ----+
 *
 *                  a node fails                survivors carry a new stamp, cut to acked
 *   streaming ------------------> broken ------------------------------------> streaming
 *       | last packet acknowledged   | nobody is left, or five times in a row in vain
 *       v                            v
 *    finished                     (the writer fails)
 *
 * Nothing is remembered packet by packet for sending again: after a recovery `sent` goes back to
 * `acked`, and packets are cut anew from what is still in the ring. A packet begins at a multiple
 * of 512; one that continues a partial chunk repeats the chunk's bytes, so these stay in the ring
 * too.
 *
 * Nodes are known by small numbers of the caller's. Pure. */
#ifndef QUERN_CLIENT_PIPELINE_H
#define QUERN_CLIENT_PIPELINE_H

#include "libcommon/base/err.h"

#define CL_PIPELINE_CHUNK      512U
#define CL_PIPELINE_NODES      16U
#define CL_PIPELINE_FLIGHTS    512U /* packets in flight */
#define CL_PIPELINE_RECOVERIES 5U   /* in a row, without a byte acknowledged in between */

enum cl_packet_flag {
    CL_PACKET_LAST = 1,
    CL_PACKET_FLUSH = 2,
    CL_PACKET_SYNC = 4,
    CL_PACKET_BEAT = 8
};

struct cl_packet {
    uint64_t seq;
    uint64_t offset; /* a multiple of 512 */
    uint32_t len;
    unsigned flags; /* enum cl_packet_flag */
};

struct cl_flight {
    uint64_t seq, end;
    unsigned flags;
};

struct cl_pipeline {
    uint64_t ring_bytes, packet_bytes, block_bytes;
    uint32_t nodes[CL_PIPELINE_NODES];
    bool is_doubted[CL_PIPELINE_NODES]; /* by place: it was suspected, and is still here */
    uint32_t count;
    struct cl_flight flights[CL_PIPELINE_FLIGHTS]; /* ring: [head, head + in_flight) */
    uint32_t head, in_flight;
    uint64_t next_seq;
    uint64_t filled, sent, acked, synced;
    uint64_t sync_sent;     /* a packet that asks for a sync of so much has gone */
    uint64_t filled_before; /* bytes of the block that its datanodes had before we came */
    uint64_t proven;        /* all compared these with their checksums: when the chain was set up */
    bool last_sent, is_finished;
    unsigned recoveries; /* since bytes were last acknowledged */
    uint32_t suspect;    /* who sent what its neighbour found damaged; CL_NOBODY */
    uint32_t complainer; /* that neighbour; CL_NOBODY */
    bool was_moved;      /* the suspect to the end: since bytes were last acknowledged */
    uint32_t guilty;     /* a suspect after whose move all went well; CL_NOBODY */
};
#define CL_NOBODY UINT32_MAX

/* When a pipeline that has become too short gets a further node: Hadoop's policies. */
enum cl_replace_policy {
    CL_REPLACE_NEVER,
    CL_REPLACE_DEFAULT, /* of three replicas and more: half of them are lost, or readers may count
                           on what is written already (flushed, appended to) */
    CL_REPLACE_ALWAYS,
};
struct cl_replace_rule {
    enum cl_replace_policy policy;
    uint32_t replication;
    bool is_counted_on; /* the block was flushed or is appended to */
};

/* ring_bytes and packet_bytes are multiples of 512, packet_bytes at most half of the ring. */
void cl_pipeline_init(struct cl_pipeline *p, uint64_t ring_bytes, uint64_t packet_bytes,
                      uint64_t block_bytes);
/* The block begins with `len` bytes that its datanodes have, on disk; those of the last partial
 * chunk are in our ring too. Right after init. */
void cl_pipeline_begin_at(struct cl_pipeline *p, uint64_t len);
/* The chain, nearest first: when it is set up, and again after each recovery. */
void cl_pipeline_set_nodes(struct cl_pipeline *p, const uint32_t *nodes, uint32_t count);

/* How many bytes may be handed in now (0: wait for an ack, or the block is full), and that so many
 * were. */
uint64_t cl_pipeline_room(const struct cl_pipeline *p);
void cl_pipeline_fill(struct cl_pipeline *p, uint64_t bytes);

/* The next packet to send. `flags` 0: only whole packets (or up to the ring's end); else everything
 * handed in goes, and the packet that carries the last byte has these flags (an empty one, when it
 * has gone already). False: nothing to send, or too many in flight. */
bool cl_pipeline_next(struct cl_pipeline *p, unsigned flags, struct cl_packet *ret);
/* A sign of life; false while anything is in flight. */
bool cl_pipeline_beat(struct cl_pipeline *p, struct cl_packet *ret);

/* An ack came. 0; ERR_PROTO: it acknowledges what was not next; else the status of the node that
 * could not go on, with its place in the chain. */
struct cl_ack {
    uint64_t seq;
    uint32_t count;
    const int16_t *status;
};
int cl_pipeline_ack(struct cl_pipeline *p, const struct cl_ack *ack, uint32_t *ret_bad);

/* The chain broke at `bad` (place) with `code`. Says who is dropped: usually `bad`. Not so when it
 * found damaged what its neighbour had sent (ERR_CHECKSUM; whose own replica is damaged says
 * ERR_CORRUPT): either may be at fault, so nobody is dropped (CL_NOBODY), but the sender moves to
 * the end, where it sends nothing; the one who complained gets its bytes from somebody else now.
 * Complains it still, it goes; does all go well, it was the sender (`guilty`), and he who for the
 * second time sent what was damaged is dropped himself.
 * ERR_NONODE when nobody is left, ERR_LIMIT after too many times in vain (nothing is dropped then).
 * Then the stream stands still until cl_pipeline_resume. */
int cl_pipeline_break(struct cl_pipeline *p, uint32_t bad, int code, uint32_t *ret_dropped);
/* Are there bytes, acknowledged or not, for which somebody was in the chain who is suspected? If it
 * is his memory that is bad, not the way he sends, his own replica is as bad as what he sent, and
 * nobody is behind him to notice. Then nobody may count on these bytes before they are acknowledged
 * and the chain is set up anew, without him or with him: that compares all of them with their
 * checksums at every member. He stays in doubt for those that follow. */
bool cl_pipeline_has_doubts(const struct cl_pipeline *p);
/* The place of the guilty one, or CL_NOBODY: better somebody else. */
uint32_t cl_pipeline_guilty_place(const struct cl_pipeline *p);
/* Should a further node join now? */
bool cl_pipeline_wants_node(const struct cl_pipeline *p, const struct cl_replace_rule *rule);
/* Whose bytes it is to get (place): not those of somebody who is suspected, if there is another. */
uint32_t cl_pipeline_source(const struct cl_pipeline *p);
/* It has what was acknowledged: it is the last of the chain. */
void cl_pipeline_join(struct cl_pipeline *p, uint32_t node);
/* All are at `acked`, have proven it, and listen: everything behind it is to be sent again. */
void cl_pipeline_resume(struct cl_pipeline *p);
/* Nobody is left: may all of it be written again elsewhere? True when every byte of the block is
 * still in the ring (and none was there before us); then nothing counts as sent any more. */
bool cl_pipeline_restart(struct cl_pipeline *p);

#endif
