/* SPDX-License-Identifier: Apache-2.0
 * orders: what the namenode tells us to do. Each is answered when it was taken; its end is told by
 * a message of its own (COPIED, RECOVERED) or as a change. Loop thread only. */
#ifndef QUERN_DN_TALK_ORDERS_H
#define QUERN_DN_TALK_ORDERS_H

#include "datanode/storage/movers.h"
#include "datanode/storage/storage.h"
#include "datanode/talk/report.h"

struct dn_orders;
struct dn_orders_conf {
    const struct identity *self;
    struct dn_storage *storage;
    struct dn_movers *movers;
    struct dn_buffers *pieces; /* piece_bytes and room for their sums */
    size_t piece_bytes;
    struct dn_report *report;
    uint64_t timeout_ms;
    uint64_t copy_bytes_per_s; /* all copies together; 0 = as fast as it goes */
};

struct dn_orders *dn_orders_new(const struct dn_orders_conf *conf); /* NULL: no memory */
void dn_orders_free(struct dn_orders *orders); /* not while busy; NULL is fine */
void dn_orders_stop(struct dn_orders *orders); /* copies end soon */
void dn_orders_set_copy_rate(struct dn_orders *orders, uint64_t bytes_per_s);
uint64_t dn_orders_copy_rate(const struct dn_orders *orders);
bool dn_orders_is_busy(const struct dn_orders *orders);
unsigned dn_orders_copies(const struct dn_orders *orders); /* under way */
struct rpc_service dn_orders_service(struct dn_orders *orders);

#endif
