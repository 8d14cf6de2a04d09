/* SPDX-License-Identifier: Apache-2.0
 * pipeline: the bookkeeping of one block being written through this node. Bytes come from upstream
 * (a client or the node before us) and go to our disk and, unless we are the last, downstream; acks
 * come back from downstream and go up when our own part is done too.
 *
 *      upstream --- packets --> [ accept ] --> to disk ---> [ written ] -> [ synced ] -> [
 * finalized ] ^                        |                                | | +--> downstream ---
 * acks --> [ mirror_ack ]
 *          +---- acks ------------------------- [ pop_ack ] <-------+
 *
 * Both ways in (TCP packets, and headers whose bytes lie in a client's memory ring) drive this same
 * machine; so does the simulator. It is told what happened and asked what to do; it never touches a
 * byte.
 *
 * Rules it keeps:
 *   - packets continue each other exactly, in seq and in offset; one that continues a partial chunk
 *     begins at that chunk's start; nothing beyond the block's size, nothing after the last one
 *   - an ack goes up only when this node and all behind it have done what the packet asked, in
 * order
 *   - acknowledged length (what readers may see) moves only with acks that are good all the way
 *   - a failure is reported once, with the place in the chain where it was seen, in the ack of the
 *     oldest packet it touches; nothing is acknowledged after it
 *   - nobody is waited for without end: a silent downstream is given up after ack_ms, a silent
 *     upstream after idle_ms
 *
 * Pure. One owner at a time (the transfer's thread). */
#ifndef QUERN_DN_STORAGE_PIPELINE_H
#define QUERN_DN_STORAGE_PIPELINE_H

#include "libcommon/base/err.h"

#define DN_PIPELINE_CHUNK 512U
#define DN_PIPELINE_SLOTS 512U /* packets in flight */
#define DN_PIPELINE_CHAIN 16U

enum dn_packet_flag { DN_PACKET_LAST = 1, DN_PACKET_SYNC = 2 };

struct dn_packet {
    uint64_t seq;
    uint64_t offset; /* without data: anything */
    uint32_t len;
    unsigned flags;    /* enum dn_packet_flag */
    uint32_t tail_sum; /* checksum of its last chunk, when that is partial */
};

struct dn_ack {
    uint64_t seq;
    unsigned count; /* this node, and those behind it as far as they are known */
    int status[DN_PIPELINE_CHAIN];
    bool is_synced;
};

struct dn_pipeline_conf {
    uint64_t start_len;      /* bytes the replica has already */
    uint32_t start_tail_sum; /* checksum of the partial chunk they end in, if they do */
    uint64_t max_len;        /* the block's size */
    bool has_mirror;         /* somebody is behind us */
    uint64_t idle_ms, ack_ms;
};

/* What this node owes before the next ack can go. */
enum dn_pipeline_need {
    DN_NEED_NOTHING,
    DN_NEED_SYNC,     /* everything written so far must reach the disk */
    DN_NEED_FINALIZE, /* the last packet is written: sync, finalize */
};

struct dn_flight {
    uint64_t seq, end, arrived_ms;
    uint32_t tail_sum;
    uint16_t flags;
    bool has_data;
};

struct dn_pipeline {
    struct dn_pipeline_conf conf;
    struct dn_flight flights[DN_PIPELINE_SLOTS]; /* ring: [head, head + count) */
    unsigned head, count;
    unsigned mirrored; /* of them, from the head: acknowledged by all behind us */
    bool has_seq;
    uint64_t next_seq;
    uint64_t received, written;  /* ends, as offsets in the block */
    uint64_t sync_seq, sync_end; /* the newest packet that wants a sync ... */
    bool wants_sync;             /* ... which is not done yet */
    uint64_t synced_below;       /* packets with a smaller seq need no sync any more */
    bool last_came, is_finalized, is_over;
    int local_code;     /* our own failure */
    unsigned behind;    /* nodes behind us, as far as they answered */
    unsigned bad_count; /* statuses of the first ack that was not good; 0 = none yet */
    int bad_status[DN_PIPELINE_CHAIN];
    uint64_t acked_len;
    uint32_t acked_tail_sum; /* checksum of the partial chunk that ends at acked_len */
    uint64_t heard_ms, mirror_heard_ms;
};

void dn_pipeline_init(struct dn_pipeline *p, const struct dn_pipeline_conf *conf, uint64_t now_ms);

/* ---- what happened ---- */

/* Would this packet be accepted? To be asked when its header is here, before its bytes are put
 * anywhere. Codes of dn_pipeline_accept. */
int dn_pipeline_check(const struct dn_pipeline *p, const struct dn_packet *packet);
/* A whole packet is here (its bytes still unwritten). ERR_PROTO: it does not continue the stream;
 * ERR_TOOBIG: beyond the block; ERR_LIMIT: dn_pipeline_is_full was not asked. On failure nothing
 * was taken, and the stream is worthless from here on. */
int dn_pipeline_accept(struct dn_pipeline *p, const struct dn_packet *packet, uint64_t now_ms);
static inline bool dn_pipeline_is_full(const struct dn_pipeline *p)
{
    return p->count == DN_PIPELINE_SLOTS;
}
/* Bytes below `end` are in the block file, their checksums too. */
void dn_pipeline_written(struct dn_pipeline *p, uint64_t end);
/* What dn_pipeline_need asked for is done. */
void dn_pipeline_synced(struct dn_pipeline *p);
void dn_pipeline_finalized(struct dn_pipeline *p);
/* This node cannot go on (disk full, wrong checksum on arrival ...). The first one counts. */
void dn_pipeline_local_failed(struct dn_pipeline *p, int code);
/* ERR_PROTO when it acknowledges what was not sent or not next: call mirror_failed then. */
int dn_pipeline_mirror_ack(struct dn_pipeline *p, const struct dn_ack *ack, uint64_t now_ms);
void dn_pipeline_mirror_failed(struct dn_pipeline *p, int code);
/* Time passes. 0, or ERR_TIMEOUT: upstream has been silent for too long, end the transfer. A silent
 * downstream becomes a mirror failure here. */
int dn_pipeline_expire(struct dn_pipeline *p, uint64_t now_ms);

/* ---- what to do ---- */

enum dn_pipeline_need dn_pipeline_need(const struct dn_pipeline *p);
/* The next ack to send up, if one is due. acked_len has moved along when this returns true. */
bool dn_pipeline_pop_ack(struct dn_pipeline *p, struct dn_ack *ret);
/* The last ack is out, or one that told a failure: nothing will follow. */
static inline bool dn_pipeline_is_over(const struct dn_pipeline *p)
{
    return p->is_over;
}
/* When expire must be called at the latest. */
uint64_t dn_pipeline_deadline_ms(struct dn_pipeline *p);

#endif
