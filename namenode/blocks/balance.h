/* SPDX-License-Identifier: Apache-2.0
 * balance: moves replicas from full nodes to empty ones, until every node is within a threshold of
 * the mean. It runs while somebody asks for it (nn_balance_poll), in iterations:
 *
 *   PLAN ---> MOVE ----------------------------> REST ---> PLAN ...
 *    |         until no more can be ordered       until the nodes have said how full they are now
 *    +--> BALANCED | NO_BLOCK | NO_PROGRESS       (their deletions done, and two heartbeats)
 *
 * In an iteration a node gives away, or takes, what parts it from the mean, at most max_bytes.
 * Nodes above mean + threshold give to any below the mean; nodes below mean - threshold take from
 * any above it.
 *
 * A move is a copy to the target, ordered of the very node that is too full, and then one replica
 * too many: replicate.h dooms it with all its usual care, asking nn_balance_surplus which one. So a
 * block has never fewer replicas than before, whatever fails; and a move never brings a block onto
 * fewer racks. Blocks that need anything else (copies, deletions, reports) are left alone. */
#ifndef QUERN_NN_BLOCKS_BALANCE_H
#define QUERN_NN_BLOCKS_BALANCE_H

#include "namenode/blocks/replicate.h"

enum nn_balance_state {
    NN_BALANCE_IDLE,
    NN_BALANCE_PLAN,
    NN_BALANCE_MOVE,
    NN_BALANCE_REST,
    NN_BALANCE_BALANCED,    /* done: */
    NN_BALANCE_NO_BLOCK,    /* nothing that may be moved helps */
    NN_BALANCE_NO_PROGRESS, /* for `idle_max` iterations not one move succeeded */
};

struct nn_balance_ask {
    double threshold;         /* percent of capacity */
    uint32_t idle_max;        /* iterations */
    const struct slice *only; /* node names; none = all */
    size_t only_count;
    const struct slice *without;
    size_t without_count;
    const struct slice *source; /* only these give; none = all */
    size_t source_count;
};

struct nn_move {
    struct hmap_node by_block;
    uint32_t block, from, to; /* nodes */
    uint64_t bytes, until_ms;
    bool has_arrived; /* the copy is there; the surplus is not doomed yet */
};

/* A node that takes part. */
struct nn_balance_node {
    uint32_t node;
    bool is_barred;        /* of a source list: it only takes */
    uint64_t gives, takes; /* bytes left to move in this iteration */
    uint32_t moves;        /* under way, to or from it */
    size_t storage;        /* where the search for blocks goes on */
    uint32_t next;
    bool is_through; /* ... and that it has been through all */
};

struct nn_balance {
    const struct nn_blocks_conf *conf;
    struct nn_replicate *replicate;
    enum nn_balance_state state;
    uint64_t session; /* counts runs */
    double threshold;
    uint32_t idle_max, idle, iteration;
    struct nn_balance_node *parts;
    size_t part_count;
    struct hmap moves;
    uint64_t polled_ms, rest_ms; /* when it was asked for last; when the rest began */
    uint64_t left_bytes;         /* to be within the threshold everywhere, as of the last plan */
    uint64_t planned_bytes;      /* of this iteration */
    uint64_t moved_bytes, moved_blocks, failed; /* of the run */
    uint64_t moved_before;                      /* ... when this iteration began */
    uint64_t ordered;                           /* moves of this iteration */
};

void nn_balance_release(struct nn_balance *bal);
/* Begin a run. ERR_BUSY when one is under way, ERR_NOMEM. */
int nn_balance_start(struct nn_balance *bal, const struct nn_balance_ask *ask, uint64_t now_ms);
/* Whoever asked is still there; else the run ends by itself. False: that run is over. */
bool nn_balance_poll(struct nn_balance *bal, uint64_t session, uint64_t now_ms);
/* No more moves are ordered; those under way end as copies do. */
void nn_balance_stop(struct nn_balance *bal, uint64_t session);

/* Time passes; not in safe mode. 0 or ERR_NOMEM. */
int nn_balance_step(struct nn_balance *bal, uint64_t now_ms, struct nn_orders *orders);

/* ---- what happened to moves ---- */
/* The copy is there (code 0) or will not be. */
void nn_balance_settled(struct nn_balance *bal, uint32_t block, uint32_t to, int code);
void nn_balance_node_lost(struct nn_balance *bal, uint32_t node);
void nn_balance_forget(struct nn_balance *bal, uint32_t block); /* the block goes */
/* For replicate.h: the node whose replica is to go when this block has one too many; 0 = any. */
uint32_t nn_balance_surplus(void *bal, uint32_t block);

#endif
