/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/claims.h"

#include "libcommon/base/mem.h"
#include "libcommon/base/slice.h"

void dn_claims_release(struct dn_claims *claims)
{
    BUG_ON(claims->by_block.count != 0);
    hmap_release(&claims->by_block);
}

static struct dn_claimed *find(const struct dn_claims *claims, uint64_t block)
{
    struct hmap_node *n = hmap_find(&claims->by_block, hash_u64(block));
    for (; n; n = hmap_find_next(n))
        if (CONTAINER_OF(n, struct dn_claimed, by_block)->id == block)
            return CONTAINER_OF(n, struct dn_claimed, by_block);
    return NULL;
}

static struct dn_claimed *find_or_make(struct dn_claims *claims, uint64_t block)
{
    struct dn_claimed *c = find(claims, block);
    if (c)
        return c;
    c = mem_calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->id = block;
    list_init(&c->line);
    if (hmap_add(&claims->by_block, &c->by_block, hash_u64(block)) != 0) {
        mem_free(c);
        return NULL;
    }
    return c;
}

int dn_claims_ask(struct dn_claims *claims, struct dn_claim *claim, uint64_t block, bool preempts)
{
    struct dn_claimed *c = find_or_make(claims, block);
    if (!c)
        return ERR_NOMEM;
    BUG_ON(claim->block != NULL);
    struct dn_claim *holder = list_first(&c->line, struct dn_claim, link);
    claim->block = c;
    claim->was_told = false;
    list_push_back(&c->line, &claim->link);
    if (!holder) {
        claim->granted(claim);
    } else if (preempts && !holder->was_told && holder->preempted) {
        holder->was_told = true;
        holder->preempted(holder);
    }
    return 0;
}

void dn_claims_drop(struct dn_claims *claims, struct dn_claim *claim)
{
    struct dn_claimed *c = claim->block;
    if (!c)
        return;
    bool was_held = dn_claim_is_held(claim);
    list_remove(&claim->link);
    claim->block = NULL;
    if (list_is_empty(&c->line)) {
        hmap_remove(&claims->by_block, &c->by_block);
        mem_free(c);
    } else if (was_held) {
        struct dn_claim *next = list_first(&c->line, struct dn_claim, link);
        next->granted(next);
    }
}

bool dn_claims_is_taken(const struct dn_claims *claims, uint64_t block)
{
    return find(claims, block) != NULL;
}
