/* SPDX-License-Identifier: Apache-2.0
 * leaving: nodes on their way out of service, for good or for a while, and back.
 *
 *              GONE                       all it holds is elsewhere too
 *   NORMAL --------> DECOMMISSIONING -----------------------------------> DECOMMISSIONED
 *     ^    RESTING                       enough of all it holds is elsewhere
 *     +-----------> ENTERING_MAINTENANCE ------------------------------> IN_MAINTENANCE
 *     |                                                                        |
 *     +---- IN_SERVICE, from each of them; from the last also by its time limit +
 *
 * Everything a node holds is looked at once when its state changes (so that its blocks get into the
 * queues of replicate.h, or their surplus goes), in slices. As long as it is leaving, what was not
 * elsewhere yet is looked at again and again, and in the end everything once more.
 *
 * Elsewhere: on nodes in service that live, are connected and have reported. Gone are as many as
 * are wanted; or all nodes in service have one, dead ones counted, so that more cannot be had. To
 * rest, maintenance_min are enough. Blocks being written with this node in the pipeline are
 * waited for, whoever closes them. A block without any good replica holds its node for ever: the
 * bad one may be all that is left of it. */
#ifndef QUERN_NN_BLOCKS_LEAVING_H
#define QUERN_NN_BLOCKS_LEAVING_H

#include "namenode/blocks/hosts.h"
#include "namenode/blocks/replicate.h"

/* A node whose replicas are being looked at. */
struct nn_leave {
    uint32_t node;
    struct bitset waiting; /* blocks that are not elsewhere yet, as of the last look */
    uint32_t open;         /* of blocks being written: so many name it */
    size_t storage;        /* the walk: in this one of its storages ... */
    uint32_t next;         /* ... from this block on */
    bool is_whole;         /* it walks all it holds, not only `waiting` */
    uint64_t due_ms;       /* the next walk; 0 = one is under way */
};

struct nn_leaving {
    const struct nn_blocks_conf *conf;
    struct nn_blockmap *map;
    struct nn_nodes *nodes;
    struct nn_writings *writings;
    struct nn_replicate *replicate;
    struct nn_leave *leaves; /* those under way */
    size_t count, cap;
    uint32_t walking; /* of them with a walk under way */
};

void nn_leaving_release(struct nn_leaving *l);
/* Take what the operator wants of a node to its admin state. A node that died while it rested gives
 * up its replicas when that ends. NN_WANTED_REFUSED changes nothing here (see nn_nodes_bury). 0 or
 * ERR_NOMEM: nothing changed. */
int nn_leaving_want(struct nn_leaving *l, uint32_t node, enum nn_wanted wanted, uint64_t until_ms);
/* It registered again after it was dead: what it had is to be looked at anew. */
void nn_leaving_returned(struct nn_leaving *l, uint32_t node);
/* It died: those that rest are looked at, as what they hold cannot be read any more. */
void nn_leaving_died(struct nn_leaving *l, uint32_t node);
/* A block goes: its index may come to stand for another. */
void nn_leaving_forget(struct nn_leaving *l, uint32_t block);
/* Time passes; `after` as in nn_replicate_check. 0 or ERR_NOMEM. */
int nn_leaving_step(struct nn_leaving *l, uint64_t after, uint64_t now_ms);

/* What a leaving node waits for; NULL when it does not. */
const struct nn_leave *nn_leaving_find(const struct nn_leaving *l, uint32_t node);

#endif
