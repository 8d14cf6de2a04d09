/* SPDX-License-Identifier: Apache-2.0
 * recover: block recovery as the namenode sees it. A writer is gone; the block's datanodes hold
 * replicas of different lengths. One of them, the primary, stops all writing, settles a length that
 * every surviving replica can be brought to, and tells us.
 *
 *                begin(stamp S)                  result(S), in time
 *   (settled) ---------------> WAITING_FOR_NODES ------> ORDERED ------> handed to the namespace
 *                                   ^   a node is there     |
 *                                   +--- need a new stamp <-+ time-out, failure: another primary
 *
 * One stamp is used for one attempt only. A result that carries any other stamp than the running
 * attempt's is late and refused: so the block's stamp can only grow, however the attempts overlap.
 * The stamp must be journaled before it is used: `after` is its journal index. Attempts go on until
 * one succeeds; the time they are given doubles up to 16 times conf.recover_ms.
 *
 * A result that takes something away is believed only when every node that should have the block
 * took part, or when the absent ones had time to come back: nn_blocks_conf_dead_ms where bytes go
 * that the namespace knows to have been flushed, conf.stale_ms where the block goes altogether and
 * nobody was ever promised a byte of it. */
#ifndef QUERN_NN_BLOCKS_RECOVER_H
#define QUERN_NN_BLOCKS_RECOVER_H

#include "libcommon/base/heap.h"
#include "namenode/blocks/nodes.h"
#include "namenode/blocks/orders.h"
#include "namenode/blocks/writing.h"

/* What the datanodes agreed on, to be journaled by the namespace. */
struct nn_recovered {
    uint32_t block;
    uint64_t gs, len;
    bool is_dropped; /* nobody has a byte of it: take the block out of the file */
};

struct nn_recovery {
    struct hmap_node by_block;
    struct heap_node by_time; /* when to act next */
    uint32_t block;
    uint64_t gs;      /* of the running attempt; 0 = a new one is needed */
    uint64_t after;   /* durable index this stamp waits for */
    uint32_t primary; /* node; 0 = not ordered yet */
    uint32_t tries;
    uint64_t since_ms;
    bool has_all; /* every node that should have it was asked to take part */
    bool is_done; /* the result was handed over and is not applied yet */
};

struct nn_recoveries {
    const struct nn_blocks_conf *conf;
    const struct nn_blockmap *map;
    const struct nn_nodes *nodes;
    const struct nn_writings *writings;
    struct rand *rand;
    struct hmap by_block;
    struct heap times;
};

void nn_recoveries_init(struct nn_recoveries *r);
void nn_recoveries_release(struct nn_recoveries *r);

/* A (further) attempt with a fresh stamp. Replaces a running one. 0 or ERR_NOMEM. */
int nn_recoveries_begin(struct nn_recoveries *r, uint32_t block, uint64_t gs, uint64_t after,
                        uint64_t now_ms);
struct nn_recovery *nn_recoveries_find(const struct nn_recoveries *r, uint32_t block);
void nn_recoveries_end(struct nn_recoveries *r, uint32_t block); /* applied, or the file is gone */
/* After a replay: the stamps there are may have been used before the restart; take new ones. */
void nn_recoveries_renew_all(struct nn_recoveries *r, uint64_t now_ms);

/* The primary's answer (code 0 or why not). 0: accepted, hand it to the namespace; ERR_STALE: not
 * from the running attempt, or an answer that came twice; ERR_RETRY: it failed or is not to be
 * believed yet, a new stamp will be asked for. */
int nn_recoveries_result(struct nn_recoveries *r, const struct nn_recovered *said, int code,
                         uint64_t now_ms);
/* A node died or was started anew: attempts it leads start anew. */
void nn_recoveries_node_lost(struct nn_recoveries *r, uint32_t node, uint64_t now_ms);

/* Told from the step; must not call back in. */
struct nn_recover_hooks {
    void *ctx;
    int (*need_stamp)(void *ctx, uint32_t block);
    int (*recovered)(void *ctx, const struct nn_recovered *result);
};
/* Time passes: orders for attempts whose stamp is durable, time-outs. 0 or what a hook answered. */
int nn_recoveries_step(struct nn_recoveries *r, uint64_t durable, uint64_t now_ms,
                       struct nn_orders *orders, const struct nn_recover_hooks *hooks);

#endif
