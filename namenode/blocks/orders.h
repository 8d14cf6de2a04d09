/* SPDX-License-Identifier: Apache-2.0
 * orders: what datanodes are to do. The block side fills the queue, serve/datanodes (or the
 * simulator) empties it at once over each node's connection and adds the term. An order that cannot
 * be delivered is dropped: every one of them is asked for again after a time-out or a report. */
#ifndef QUERN_NN_BLOCKS_ORDERS_H
#define QUERN_NN_BLOCKS_ORDERS_H

#include "libcommon/base/ids.h"
#include "libcommon/base/list.h"

enum nn_order_kind {
    NN_ORDER_COPY,      /* node: send block to targets */
    NN_ORDER_DELETE,    /* node: delete these replicas, exactly these stamps */
    NN_ORDER_RECOVER,   /* node: be primary, settle block among targets under new_gs */
    NN_ORDER_REPORT,    /* node: send a full report */
    NN_ORDER_CLONE,     /* node: make blocks[0] out of the first `keep` bytes of block */
    NN_ORDER_BANDWIDTH, /* node: let copies leave at `len` bytes a second */
};
const char *nn_order_kind_name(enum nn_order_kind kind);

struct nn_order {
    struct list link;
    enum nn_order_kind kind;
    uint32_t node;
    struct block_id block;
    uint64_t len;
    uint64_t new_gs;
    uint64_t keep;
    uint32_t *targets; /* node indices: COPY, RECOVER */
    size_t target_count;
    struct block_id *blocks; /* DELETE, CLONE */
    size_t block_count;
};

struct nn_orders {
    struct list queue;
    size_t count;
};

void nn_orders_init(struct nn_orders *orders);
void nn_orders_release(struct nn_orders *orders);
/* A zeroed order at the end of the queue with room for so many targets or blocks; or NULL. */
struct nn_order *nn_orders_push(struct nn_orders *orders, enum nn_order_kind kind, uint32_t node,
                                size_t targets, size_t blocks);
/* Gives the oldest order (nn_order_free it), or NULL. */
struct nn_order *nn_orders_take(struct nn_orders *orders);
void nn_order_free(struct nn_order *order);

#endif
