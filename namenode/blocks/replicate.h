/* SPDX-License-Identifier: Apache-2.0
 * replicate: keeps every settled block at its wanted number of good replicas, neither fewer nor
 * more, and slowly enough that nobody notices.
 *
 * nn_replicate_check looks at one block after anything changed and files it:
 *
 *   level 1  one good replica left (or good ones only on nodes that leave or rest)
 *   level 2  fewer than a third of the wanted
 *   level 3  fewer than wanted
 *   level 4  enough, but all on one rack
 *   level 5  no good replica: nothing to copy, but counted and shown
 *
 * nn_replicate_step turns the queues into orders: at most work_multiplier copies per living node
 * and period, at most streams_soft (streams_hard for level 1) running copies at a source and at a
 * target. When one ends, another may begin within the same period: where there is one target only,
 * it is not left idle. After a quiet period the first ones are ordered at once. An ordered copy is
 * pending: it counts as if it were there, until it is reported, fails or times out.
 *
 * Nothing at all happens in safe mode. While the cluster settles after a start, what seems to be
 * missing may be on its way with a datanode that has not come yet. Only what is urgent is mended
 * then: blocks all of whose replicas were seen, some of them bad, and blocks whose writer waits.
 *
 * Replicas on nodes that leave (decommission) count for nothing but as sources. One on a node that
 * rests (maintenance, alive or not) makes one fewer necessary elsewhere, down to maintenance_min.
 * Neither kind is ever surplus: the node may come back.
 *
 * Surplus replicas are doomed when every storage that holds one has reported since it registered;
 * else the block is postponed and looked at again when a storage reports. */
#ifndef QUERN_NN_BLOCKS_REPLICATE_H
#define QUERN_NN_BLOCKS_REPLICATE_H

#include "namenode/blocks/bad.h"
#include "namenode/blocks/doomed.h"
#include "namenode/blocks/pending.h"
#include "namenode/blocks/placement.h"
#include "namenode/blocks/writing.h"

#define NN_LEVELS 5

struct nn_health {
    uint16_t want, good; /* good: finalized, right stamp and length, on a serving storage */
    uint16_t bad;        /* on a serving storage */
    uint16_t leaving;    /* of the good, on nodes being decommissioned, or that have been: */
    uint16_t left;       /* ... so many of them */
    uint16_t resting;    /* on nodes in maintenance; those on dead ones are not among the good */
    uint16_t entering;   /* of the resting, on nodes that do not rest yet */
    uint16_t staying;    /* of the good: neither leaving nor resting */
    uint16_t sure;       /* of those staying, on live nodes, reported since they registered */
    uint16_t need;       /* of staying ones: want, less those that rest */
    uint16_t pending;    /* copies under way */
    uint16_t racks;      /* different racks among those that stay or rest */
    bool is_unsure;      /* a storage with a good replica has not reported since it registered */
};

struct nn_replicate {
    const struct nn_blocks_conf *conf;
    struct nn_blockmap *map;
    struct nn_nodes *nodes;
    struct nn_doomed *doomed;
    struct nn_bads *bads;
    struct rand *rand;
    struct bitset levels[NN_LEVELS];
    uint32_t cursor[NN_LEVELS];
    struct bitset urgent;    /* mended even while the cluster settles; some need nothing any more */
    struct bitset postponed; /* too many replicas, but not all storages have reported */
    uint32_t scan;           /* all blocks from here on are to be checked; BITSET_END = none */
    uint32_t scan_postponed; /* postponed ones from here on, likewise */
    uint32_t scan_urgent;    /* urgent ones, likewise */
    bool is_active;          /* safe mode is over: until then nothing is queued or doomed */
    /* One too many: on which node is it to go? 0 = whichever is best. NULL = always. */
    uint32_t (*surplus_from)(void *arg, uint32_t block);
    void *surplus_arg;
    struct nn_pendings pendings; /* copies ordered, and what writers' nodes are to report */
    uint64_t next_ms;            /* next period of copies */
    uint32_t copies_left;        /* that may still be ordered in this one ... */
    size_t under_way;            /* ... when fewer are than after the last were ordered */
    uint64_t missing_single;     /* of level 5: only one replica was wanted */
};

void nn_replicate_init(struct nn_replicate *rep);
void nn_replicate_release(struct nn_replicate *rep);

struct nn_health nn_replicate_health(const struct nn_replicate *rep, uint32_t block);
/* Something about this block changed: queue it, doom surplus, doom bad replicas that are not needed
 * any more. `after`: the journal index that deletions must wait for. Does nothing for blocks still
 * being written. 0 or ERR_NOMEM. */
int nn_replicate_check(struct nn_replicate *rep, uint32_t block, uint64_t after);
/* The block leaves the map, or its wanted number is about to change: out of all queues. */
void nn_replicate_forget(struct nn_replicate *rep, uint32_t block);
/* Safe mode is over: check all blocks, in slices. */
void nn_replicate_start(struct nn_replicate *rep);
/* A storage has reported: look at the postponed ones again, in slices. */
void nn_replicate_reported(struct nn_replicate *rep);

/* A copy is no longer under way to this target: it arrived or failed. Was there one? Then the node
 * was promised it (nn_nodes_scheduled). */
bool nn_replicate_settled(struct nn_replicate *rep, uint32_t block, uint32_t node);
/* The node died, was started anew or is out of reach: no copy to or from it is under way. Those
 * blocks, and those that writers wait for, are checked with the next step. */
void nn_replicate_node_lost(struct nn_replicate *rep, uint32_t node);
/* The writer's other replicas are on their way: wait for them before copying. */
int nn_replicate_expect(struct nn_replicate *rep, uint32_t block, const uint32_t *nodes,
                        size_t count, uint64_t until_ms);

/* Time passes: slices of scans, time-outs, copies (those that are safe while the cluster settles,
 * or all). 0 or ERR_NOMEM. */
int nn_replicate_step(struct nn_replicate *rep, bool is_settled, uint64_t after, uint64_t now_ms,
                      struct nn_orders *orders);
/* Is an older replica of this block still to be deleted there? */
bool nn_replicate_is_doomed_on(const struct nn_replicate *rep, uint64_t block_id, uint32_t node);
uint64_t nn_replicate_queued(const struct nn_replicate *rep, unsigned level); /* 1..5 */

#endif
