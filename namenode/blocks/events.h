/* SPDX-License-Identifier: Apache-2.0
 * events: what datanodes say and what time does, for serve/datanodes and the simulator; the other
 * half of blocks.h. */
#ifndef QUERN_NN_BLOCKS_EVENTS_H
#define QUERN_NN_BLOCKS_EVENTS_H

#include "namenode/blocks/blocks.h"

/* Registration; see nn_nodes_register. A full report of every storage must follow. */
int nn_blocks_register(struct nn_blocks *b, const struct nn_registration *reg, uint64_t now_ms,
                       uint32_t *ret_node, struct err *err);
void nn_blocks_disconnect(struct nn_blocks *b, uint32_t node, uint64_t session, uint64_t now_ms);
/* False: it must register again. */
bool nn_blocks_heartbeat(struct nn_blocks *b, uint32_t node, const struct nn_heartbeat *beat,
                         uint64_t now_ms);
/* What the operator wants of a node now (hosts.h); until_ms: end of a rest, on our clock, 0 = none.
 * One that is refused counts as dead from here on: the caller closes its connection. */
int nn_blocks_want(struct nn_blocks *b, uint32_t node, enum nn_wanted wanted, uint64_t until_ms,
                   uint64_t now_ms);

/* A page of a full report of one storage. ERR_NOENT for an unknown storage (register again),
 * ERR_STALE for a page out of order (a REPORT order is queued), ERR_NOMEM. */
int nn_blocks_report(struct nn_blocks *b, uint32_t node, struct slice storage,
                     const struct nn_report_page *page, uint64_t now_ms);

enum nn_change { NN_CHANGE_RECEIVING, NN_CHANGE_RECEIVED, NN_CHANGE_DELETED, NN_CHANGE_BAD };
const char *nn_change_name(enum nn_change change);
int nn_blocks_change(struct nn_blocks *b, uint32_t node, struct slice storage,
                     enum nn_change change, const struct nn_said *said, uint64_t now_ms);

/* The end of an ordered copy at its source: code 0, or why not (ERR_CHECKSUM: bad source). */
int nn_blocks_copied(struct nn_blocks *b, uint32_t node, struct block_id block, uint32_t target,
                     int code, uint64_t now_ms);
/* The end of an ordered recovery at its primary (result->block need not be set). ERR_STALE: a late
 * one, ignored; ERR_RETRY: it failed, another attempt follows. */
int nn_blocks_recovery_result(struct nn_blocks *b, struct block_id block,
                              const struct nn_recovered *result, int code, uint64_t now_ms);

/* Every connected datanode is told to let copies leave at this rate; 0 = as fast as it goes. */
int nn_blocks_set_bandwidth(struct nn_blocks *b, uint64_t bytes_per_s);

/* Time passes. Call at least once a second, and after events; then take the orders. */
int nn_blocks_step(struct nn_blocks *b, uint64_t now_ms);
/* Long work (a dead node, all blocks after safe mode) is done in slices of a few ms, one a step: is
 * there more? Then step again soon. */
bool nn_blocks_has_more(const struct nn_blocks *b);
struct nn_order *nn_blocks_take_order(struct nn_blocks *b); /* gives; NULL when there is none */

#endif
