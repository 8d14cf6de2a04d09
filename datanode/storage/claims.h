/* SPDX-License-Identifier: Apache-2.0
 * claims: whoever changes the files of a block first has the block to himself.
 *
 * A write, a recovery step or a deletion runs on threads and takes its time; two of them on one
 * block would tread on each other's files. So each asks for the block here and begins when it is
 * granted, in order of asking. One that may not wait for a writer's pleasure (the writer's client
 * is gone, the namenode has decided) asks with `preempts`: the holder is told to end soon, keeps
 * its claim until it really has, and then the next one gets it. Readers need no claim: they hold
 * open files.
 *
 * Pure; loop thread only. A claim belongs to the asker and stays in place until released. */
#ifndef QUERN_DN_STORAGE_CLAIMS_H
#define QUERN_DN_STORAGE_CLAIMS_H

#include "libcommon/base/hmap.h"
#include "libcommon/base/list.h"

struct dn_claim {
    /* Set by the asker. The block is yours; may be called from inside dn_claims_ask. */
    void (*granted)(struct dn_claim *claim);
    /* End soon: somebody preempts. At most once per grant. NULL: it is a short affair anyway. */
    void (*preempted)(struct dn_claim *claim);
    /* private */
    struct list link;
    struct dn_claimed *block; /* NULL while idle */
    bool was_told;
};

struct dn_claims {
    struct hmap by_block;
};
#define DN_CLAIMS_INIT ((struct dn_claims){HMAP_INIT})

void dn_claims_release(struct dn_claims *claims); /* nothing may be claimed */

/* 0: granted already, or waiting. ERR_NOMEM. */
int dn_claims_ask(struct dn_claims *claims, struct dn_claim *claim, uint64_t block, bool preempts);
/* Give the block back (the next in line is granted, inside this call), or leave the line. Harmless
 * when idle. */
void dn_claims_drop(struct dn_claims *claims, struct dn_claim *claim);

static inline bool dn_claim_is_held(const struct dn_claim *claim);
/* Does anybody hold this block? */
bool dn_claims_is_taken(const struct dn_claims *claims, uint64_t block);

struct dn_claimed {
    struct hmap_node by_block;
    uint64_t id;
    struct list line; /* of claims; the first one holds the block */
};
static inline bool dn_claim_is_held(const struct dn_claim *claim)
{
    return claim->block && claim->block->line.next == &claim->link;
}

#endif
