/* SPDX-License-Identifier: Apache-2.0
 * datanodes_orders: pushes orders over the nodes' connections and hears how they were taken. An
 * order for a node that is not connected is dropped: what it was for is asked for again. Private to
 * serve/datanodes. */
#ifndef QUERN_NAMENODE_SERVE_DATANODES_ORDERS_H
#define QUERN_NAMENODE_SERVE_DATANODES_ORDERS_H

#include "namenode/serve/datanodes.h"

struct nn_pusher {
    struct nn_blocks *blocks;
    struct loop *loop;
    uint64_t term;
    struct list sent; /* questions under way */
};

void nn_pusher_init(struct nn_pusher *p, struct nn_blocks *blocks, struct loop *loop,
                    uint64_t term);
void nn_pusher_release(struct nn_pusher *p);
/* Everything the block side has ordered so far. nn_node.link is the node's rpc_peer. */
void nn_pusher_push_all(struct nn_pusher *p);

#endif
