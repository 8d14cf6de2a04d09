/* SPDX-License-Identifier: Apache-2.0
 * primary: lead the recovery of a block whose writer is gone: have every node stop writing and
 * prove what it holds, agree on a length (storage/agree), have those who take part cut to it, take
 * the new stamp and finalize. The namenode hears which of them did; it accepts only its latest
 * attempt. */
#ifndef QUERN_DN_TALK_PRIMARY_H
#define QUERN_DN_TALK_PRIMARY_H

#include "datanode/talk/peer.h"

#define DN_PRIMARY_NODES_MAX 64U

struct dn_primary {
    const struct identity *self;
    struct msg_block block; /* with the old stamp */
    uint64_t new_gs;
    struct msg_node_list nodes; /* we are usually one of them */
    uint64_t timeout_ms;
};

struct dn_primary_result {
    uint64_t len;
    size_t count;                     /* nodes that carry the block now */
    size_t who[DN_PRIMARY_NODES_MAX]; /* their places in `nodes` */
};

/* On a mover's thread. 0 also when no replica held a byte (count 0: drop the block). */
int dn_primary_run(const struct dn_primary *primary, struct dn_primary_result *ret,
                   struct err *err);

#endif
