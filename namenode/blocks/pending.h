/* SPDX-License-Identifier: Apache-2.0
 * pending: replicas that are on their way: copies that were ordered, and those a writer's other
 * nodes are still to report. Each counts as if it were there, until it is reported, fails or times
 * out. One record per block; what is known of a running copy's load is kept on its nodes
 * (copies_in, copies_out). Nothing here is journaled. Pure. */
#ifndef QUERN_NN_BLOCKS_PENDING_H
#define QUERN_NN_BLOCKS_PENDING_H

#include "libcommon/base/heap.h"
#include "libcommon/base/hmap.h"
#include "namenode/blocks/nodes.h"

struct nn_pending {
    struct hmap_node by_block;
    struct heap_node by_deadline;
    uint32_t block;
    uint32_t source; /* node; 0 = the writer's pipeline */
    uint32_t *targets;
    size_t target_count;
};

struct nn_pendings {
    struct nn_nodes *nodes; /* set before the first nn_pendings_begin */
    struct hmap by_block;
    struct heap deadlines;
};

void nn_pendings_release(struct nn_pendings *p);
struct nn_pending *nn_pendings_find(const struct nn_pendings *p, uint32_t block); /* or NULL */
/* The block must have none. `source` 0: they come along a writer's pipeline. ERR_NOMEM. */
int nn_pendings_begin(struct nn_pendings *p, uint32_t block, uint32_t source,
                      const uint32_t *targets, size_t count, uint64_t until_ms);
/* No longer under way to this target; the last one ends the record. Was there one? */
bool nn_pendings_settle(struct nn_pendings *p, uint32_t block, uint32_t node);
void nn_pendings_end(struct nn_pendings *p, struct nn_pending *pending);
/* A node is lost: what goes to or from it is late at once. */
void nn_pendings_expire(struct nn_pendings *p, uint32_t node);
/* One whose time is over; NULL when there is none. */
struct nn_pending *nn_pendings_late(const struct nn_pendings *p, uint64_t now_ms);

#endif
