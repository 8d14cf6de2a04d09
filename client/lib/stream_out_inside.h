/* SPDX-License-Identifier: Apache-2.0
 * Private to stream_out.c (the calls), out_chain.c (the connection to the chain of datanodes, and
 * its recovery), out_block.c (what the namenode is asked for a block), out_join.c (a further node
 * for a chain that lost one), out_slow.c (who is too slow for it) and out_append.c (a file that was
 * there before). The stream's lock is held in all of them. */
#ifndef QUERN_CLIENT_STREAM_OUT_INSIDE_H
#define QUERN_CLIENT_STREAM_OUT_INSIDE_H

#include "client/lib/blocks.h"
#include "client/lib/pipeline.h"
#include "client/lib/stream_out.h"
#include "libcommon/event/flow.h"

#define OUT_PACKET_BYTES (256U << 10)
#define OUT_ACKS         64 /* received at a time */

struct cl_out {
    struct list link; /* in fs->renew.writers */
    struct qn_fs *fs;
    char *path;
    uint64_t file_id, block_bytes;
    struct mutex lock;
    struct err failed; /* code 0 while all is well */

    uint64_t base;    /* where the present block begins in the file */
    bool has_block;   /* it is allocated, its chain stands */
    bool told_length; /* the namenode knows that it has bytes to read */
    bool is_given;    /* `block` came with the file, and nothing was written to it yet */
    bool was_flushed; /* readers may count on what the block has already */
    bool is_append;   /* the file was there before */
    bool is_prepared; /* `block` will begin as a copy of `previous`: out_append.c */
    uint32_t replication;
    struct msg_block block;    /* id and stamp */
    struct msg_block previous; /* the last finished one; id 0 = none */
    struct cl_pipeline pipe;   /* its nodes are numbers in `nodes` */
    struct cl_nodes nodes;     /* all met so far */
    struct msg_strs exclude;   /* names that failed us */
    size_t exclude_cap;
    struct buf reasons; /* "node: why; node: why" */

    struct cl_lags lags; /* who of the chain holds it up */
    struct flow flow;    /* to its first node, at the last report */
    uint64_t packets;    /* sent since then */
    uint64_t heard_ms;   /* when the first node last said anything */
    bool is_told;        /* it does say what it takes */
    bool must_replace;   /* somebody was taken out for being slow: not without another */

    struct cl_ring *ring;
    struct cl_peer *peer; /* the first of the chain; NULL while there is no block */
    bool in_ring;         /* packets carry no bytes: they are in the ring */
    bool ring_is_shared;  /* a datanode may still look into it: not to be used again */
    uint64_t sent_ms;     /* when something was last sent */
    uint8_t acks[OUT_ACKS * PACKET_ACK_BYTES];
    size_t ack_bytes;
    uint32_t sums[OUT_PACKET_BYTES / CL_PIPELINE_CHUNK];
};

/* Where a chain broke. */
struct cl_break {
    uint32_t bad; /* place in the chain */
    int code;
    struct err why;
};

/* --- out_chain.c --- */
/* Connect the pipeline's nodes for the present block: CREATE with new_gs 0, else RECOVER. */
int cl_chain_connect(struct cl_out *out, uint64_t new_gs, struct cl_break *ret);
/* Hang up; `clean` = the last packet was acknowledged. */
void cl_chain_hang_up(struct cl_out *out, bool clean);
/* Send what may go (see cl_pipeline_next), reading acks that are there. */
int cl_chain_send(struct cl_out *out, unsigned flags, struct cl_break *ret);
/* Read acks: at least one, unless !wait. */
int cl_chain_acks(struct cl_out *out, bool wait, struct cl_break *ret);
int cl_chain_beat(struct cl_out *out, struct cl_break *ret);

/* --- out_slow.c --- */
/* How often reports are asked for; 0: not at all. */
uint32_t cl_slow_reports_ms(const struct cl_out *out);
/* The chain stands: nothing is known of it yet. */
void cl_slow_begin(struct cl_out *out);
/* A report came; or nothing did, for the time of two. 0, or a member is to be taken out (*ret). */
int cl_slow_report(struct cl_out *out, const uint8_t *raw, struct cl_break *ret);
int cl_slow_silence(struct cl_out *out, struct cl_break *ret);

/* --- out_block.c --- */
/* A block and a chain that stands. */
int cl_block_allocate(struct cl_out *out, struct err *err);
/* The block that came with the file is not needed. */
int cl_block_give_back(struct cl_out *out, struct err *err);
/* After `broken` (code not 0; changed): survivors under a new stamp, or all of it elsewhere. */
int cl_block_recover(struct cl_out *out, struct cl_break *broken, struct err *err);
/* Somebody is in doubt: he is replaced, or all prove what is acknowledged (cl_pipeline_has_doubts).
 */
int cl_block_prove(struct cl_out *out, struct err *err);
/* The length readers may count on. */
int cl_block_tell_length(struct cl_out *out, struct err *err);

/* The number of this node in `nodes`. 0 or ERR_NOMEM. */
int cl_out_intern(struct cl_out *out, const struct msg_node *node, uint32_t *ret);

/* The nodes of the present block, for the chain. */
int cl_out_set_nodes(struct cl_out *out, const struct msg_node_list *list, struct err *err);

/* --- out_append.c --- */
/* The file becomes ours, and ends where it did. After a failure: cl_append_give_up, if it has an
 * id. */
int cl_append_open(struct cl_out *out, bool new_block, struct err *err);
/* There is something to write: the prepared block's chain stands, and it is the file's last. */
int cl_append_begin(struct cl_out *out, struct err *err);
/* We write no more; what the file had stays, and what was acknowledged may. */
void cl_append_give_up(struct cl_out *out);

/* Remember that this node failed us, and why. */
int cl_out_exclude(struct cl_out *out, uint32_t node, const char *why);

/* --- out_join.c --- */
/* Is there anybody who could join? */
bool cl_block_has_reserve(struct cl_out *out);
/* After nodes were dropped: further ones, as the policy says, with what was acknowledged. 0: go on
 * with those there are now, or (ret->code not 0) one of them failed in it and is to be dropped.
 * Else the write fails. */
int cl_block_reinforce(struct cl_out *out, struct cl_break *ret, struct err *err);

#endif
