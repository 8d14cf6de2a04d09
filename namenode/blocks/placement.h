/* SPDX-License-Identifier: Apache-2.0
 * placement: which nodes get a replica, which replica goes when there are too many, and which one
 * is copied from. Pure choices: nothing here changes a node or the map.
 *
 * New block: the writer's own node first (else any); the second on another rack; the third on the
 * second's rack; the rest anywhere, at most (total - 1) / racks + 2 per rack. When a rule cannot be
 * kept it is given up before the replica is (a node on the wrong rack is better than none). Every
 * node that was considered and refused has its reason, so that a failure can say why. */
#ifndef QUERN_NN_BLOCKS_PLACEMENT_H
#define QUERN_NN_BLOCKS_PLACEMENT_H

#include "libcommon/base/buf.h"
#include "namenode/blocks/blockmap.h"
#include "namenode/blocks/nodes.h"

#define NN_PLACE_MAX 512

enum nn_refusal {
    NN_REFUSAL_NONE,
    NN_REFUSAL_DEAD,
    NN_REFUSAL_NOT_CONNECTED,
    NN_REFUSAL_STALE,
    NN_REFUSAL_LEAVING, /* being decommissioned */
    NN_REFUSAL_EXCLUDED,
    NN_REFUSAL_HAS_IT,
    NN_REFUSAL_FULL,
    NN_REFUSAL_COPYING,
    NN_REFUSAL_BUSY, /* more than twice the average load */
    NN_REFUSAL_RACK_FULL,
};
const char *nn_refusal_text(enum nn_refusal refusal); /* "no space", "too busy" ... */

struct nn_place_ask {
    struct slice writer;  /* node.name where the writer is; "" = elsewhere */
    uint64_t block_size;  /* room each node must have */
    uint32_t count;       /* further nodes to find */
    const uint32_t *have; /* nodes that have a replica already: they count for the racks */
    size_t have_count;
    const uint32_t *also; /* nodes that have one which does not count: leaving, or bad */
    size_t also_count;
    const struct slice *exclude; /* node names not to take */
    size_t exclude_count;
    bool is_copy;        /* a further replica of an old block, not a new pipeline */
    uint32_t copy_limit; /* is_copy: nodes with so many copies coming in are busy */
};

struct nn_placed {
    uint32_t nodes[NN_PLACE_MAX]; /* in pipeline order */
    size_t count;                 /* may be less than asked for; 0 is a failure of the caller's */
    uint32_t excluded;            /* nodes of ask.exclude that are registered and not dead */
};

void nn_place(const struct nn_nodes *nodes, const struct nn_place_ask *ask, struct rand *rand,
              struct nn_placed *ret);

/* "File P could only be written to 0 of the 1 minReplication nodes. There are N datanode(s) running
 * and M node(s) are excluded in this operation." and then each node with its reason. Fills err with
 * ERR_NONODE and returns it. */
int nn_place_error(const struct nn_nodes *nodes, const struct nn_place_ask *ask, struct slice path,
                   const struct nn_placed *placed, struct err *err);

/* Why a node would not be taken (rack rules aside). */
enum nn_refusal nn_place_refusal(const struct nn_nodes *nodes, const struct nn_place_ask *ask,
                                 const struct nn_node *node);

/* Which of these storages (one good, serving replica on each) to take a replica from: one whose
 * rack has others, so that racks stay; among equals the node with least room. Index into storages.
 * count > 0. */
size_t nn_place_surplus(const struct nn_nodes *nodes, const uint32_t *storages, size_t count);

/* Which of these storages to copy from: usable, below `limit` running copies, least busy, ties by
 * chance. Index into storages, or SIZE_MAX when none will do. */
size_t nn_place_source(const struct nn_nodes *nodes, const uint32_t *storages, size_t count,
                       uint32_t limit, struct rand *rand);

#endif
