/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/blocks/orders.h"

#include "libcommon/base/mem.h"

const char *nn_order_kind_name(enum nn_order_kind kind)
{
    static const char *const names[] = {"COPY",   "DELETE", "RECOVER",
                                        "REPORT", "CLONE",  "BANDWIDTH"};
    return (size_t)kind < ARRAY_LEN(names) ? names[kind] : "?";
}

void nn_orders_init(struct nn_orders *orders)
{
    list_init(&orders->queue);
    orders->count = 0;
}

void nn_orders_release(struct nn_orders *orders)
{
    for (struct nn_order *o = nn_orders_take(orders); o; o = nn_orders_take(orders))
        nn_order_free(o);
}

struct nn_order *nn_orders_push(struct nn_orders *orders, enum nn_order_kind kind, uint32_t node,
                                size_t targets, size_t blocks)
{
    size_t bytes =
        sizeof(struct nn_order) + blocks * sizeof(struct block_id) + targets * sizeof(uint32_t);
    struct nn_order *order = mem_calloc(1, bytes);
    if (!order)
        return NULL;
    order->kind = kind;
    order->node = node;
    order->blocks = (struct block_id *)(order + 1);
    order->targets = (uint32_t *)(order->blocks + blocks);
    order->block_count = blocks;
    order->target_count = targets;
    list_push_back(&orders->queue, &order->link);
    orders->count++;
    return order;
}

struct nn_order *nn_orders_take(struct nn_orders *orders)
{
    struct nn_order *order = list_first(&orders->queue, struct nn_order, link);
    if (!order)
        return NULL;
    list_remove(&order->link);
    orders->count--;
    return order;
}

void nn_order_free(struct nn_order *order)
{
    mem_free(order);
}
