/* SPDX-License-Identifier: Apache-2.0
 * state: everything the journal can change, in one object: the tree, who writes what, the blocks,
 * the counters, the answers given, the jobs published. Image plus journal rebuild it; two namenodes
 * that applied the same records have the same state, and nn_state_hash (sections.h) says so.
 *
 * No clock, disk or socket: the simulator and the tests run the very same object. */
#ifndef QUERN_NAMENODE_JOURNAL_STATE_H
#define QUERN_NAMENODE_JOURNAL_STATE_H

#include "namenode/namespace/access.h"
#include "namenode/namespace/answers.h"
#include "namenode/namespace/jobs.h"
#include "namenode/namespace/lease.h"
#include "namenode/namespace/prepared.h"
#include "namenode/namespace/tree.h"

struct nn_blocks; /* namenode/blocks: the block map and all that keeps replicas */

#define NN_FIRST_BLOCK_ID 1073741825ULL /* as Hadoop's first */
#define NN_FIRST_GS       1001ULL

struct nn_state {
    struct nn_tree tree;
    struct nn_leases leases;
    struct nn_answers answers;
    struct nn_jobs jobs;
    struct nn_prepareds prepared;
    struct nn_blocks *blocks; /* borrowed */
    uint64_t next_block_id;
    uint64_t next_gs;
    /* Block ids that records gave out which were lost (salvage.h): nobody's, but their replicas are
     * never deleted. 0, 0: none. */
    uint64_t spared_from, spared_to;
    uint64_t applied; /* index of the last record applied; whoever applies sets it */
    uint64_t mono_ms; /* monotonic time for new leases; whoever applies sets it */
};

/* An empty filesystem: "/" belongs to `superuser` and `supergroup`, mode 755. ERR_NOMEM. */
int nn_state_init(struct nn_state *state, struct nn_blocks *blocks, struct slice superuser,
                  struct slice supergroup);
void nn_state_release(struct nn_state *state);

/* Free inodes of deleted trees and their blocks, about `limit` of both together (the blocks of one
 * file go together). True while there is more. */
bool nn_state_reap(struct nn_state *state, uint32_t limit);

#endif
