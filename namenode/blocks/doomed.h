/* SPDX-License-Identifier: Apache-2.0
 * doomed: replicas that are to be deleted, and those whose deletion was ordered and not confirmed.
 *
 * A doomed replica is out of the map at once, so that nobody counts on it; and while it is here a
 * report that still names it is not believed. That closes the old trap: one surplus replica chosen,
 * a late report brings it back, a second one is chosen, and both are deleted.
 *
 * A deletion is ordered only when the edit that caused it is durable (`after` <= durable index):
 * else a crash could bring back a file whose bytes are gone. */
#ifndef QUERN_NN_BLOCKS_DOOMED_H
#define QUERN_NN_BLOCKS_DOOMED_H

#include "libcommon/base/hmap.h"
#include "namenode/blocks/nodes.h"
#include "namenode/blocks/orders.h"

struct nn_doomed_node {
    struct list waiting; /* to be ordered, oldest first */
    struct list ordered; /* not confirmed yet */
};

struct nn_doomed {
    struct hmap all;               /* by storage and block id */
    struct nn_doomed_node **nodes; /* by node index */
    size_t node_count;
    uint64_t waiting, ordered; /* how many of each */
};

void nn_doomed_init(struct nn_doomed *doomed);
void nn_doomed_release(struct nn_doomed *doomed);

/* Doom the replica (id, gs) on a storage of node. Harmless to repeat; a newer stamp takes over. */
int nn_doomed_add(struct nn_doomed *doomed, uint32_t node, uint32_t storage, struct block_id block,
                  uint64_t after);
/* Is this replica, with this stamp or an older one, doomed there? */
bool nn_doomed_has(const struct nn_doomed *doomed, uint32_t storage, struct block_id block);
/* A report named it although its deletion was ordered: order it again. */
void nn_doomed_again(struct nn_doomed *doomed, uint32_t storage, struct block_id block);
/* The datanode deleted it, or a whole report does not name it. */
void nn_doomed_done(struct nn_doomed *doomed, uint32_t storage, uint64_t id);
/* All of a node, which is dead: its next report starts from nothing. */
void nn_doomed_forget_node(struct nn_doomed *doomed, uint32_t node);
/* All of a storage that has failed or is gone: nobody will confirm them. */
void nn_doomed_forget_storage(struct nn_doomed *doomed, uint32_t node, uint32_t storage);
/* Put at most `batch` durable deletions per usable node into orders. 0 or ERR_NOMEM. */
int nn_doomed_step(struct nn_doomed *doomed, const struct nn_nodes *nodes, uint64_t durable,
                   uint32_t batch, struct nn_orders *orders);
/* Fills at most cap of those on this node, oldest first; returns how many. */
size_t nn_doomed_list(const struct nn_doomed *doomed, uint32_t node, struct block_id *ret,
                      size_t cap);
/* A full report of this storage begins; and, when it was whole: those doomed before it began and
 * not named in it (nn_doomed_again) are done. */
void nn_doomed_report_begins(struct nn_doomed *doomed, uint32_t node, uint32_t storage);
void nn_doomed_report_ends(struct nn_doomed *doomed, uint32_t node, uint32_t storage);

#endif
