/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/blocks/bad.h"

#include "libcommon/base/mem.h"
#include "libcommon/base/slice.h"

const char *nn_bad_reason_name(enum nn_bad_reason reason)
{
    static const char *const names[] = {"wrong checksum",      "old generation",
                                        "wrong length",        "never finalized",
                                        "still being written", "newer than known"};
    return (size_t)reason < ARRAY_LEN(names) ? names[reason] : "?";
}

static uint64_t key_of(uint32_t block, uint32_t storage)
{
    return hash_u64((uint64_t)block << 32 | storage);
}

void nn_bads_release(struct nn_bads *bads)
{
    hmap_each (&bads->map, it)
        mem_free(CONTAINER_OF(it, struct nn_bad, by_replica));
    hmap_release(&bads->map);
    *bads = NN_BADS_INIT;
}

struct nn_bad *nn_bads_find(const struct nn_bads *bads, uint32_t block, uint32_t storage)
{
    for (struct hmap_node *n = hmap_find(&bads->map, key_of(block, storage)); n;
         n = hmap_find_next(n)) {
        struct nn_bad *bad = CONTAINER_OF(n, struct nn_bad, by_replica);
        if (bad->block == block && bad->storage == storage)
            return bad;
    }
    return NULL;
}

int nn_bads_put(struct nn_bads *bads, const struct nn_bad *bad)
{
    struct nn_bad *old = nn_bads_find(bads, bad->block, bad->storage);
    if (old) {
        if (old->reason != bad->reason)
            old->since_ms = bad->since_ms;
        old->reason = bad->reason;
        old->gs = bad->gs;
        return 0;
    }
    struct nn_bad *copy = mem_alloc(sizeof(*copy));
    if (!copy)
        return ERR_NOMEM;
    *copy = *bad;
    if (hmap_add(&bads->map, &copy->by_replica, key_of(bad->block, bad->storage)) < 0) {
        mem_free(copy);
        return ERR_NOMEM;
    }
    return 0;
}

void nn_bads_drop(struct nn_bads *bads, uint32_t block, uint32_t storage)
{
    struct nn_bad *bad = nn_bads_find(bads, block, storage);
    if (!bad)
        return;
    hmap_remove(&bads->map, &bad->by_replica);
    mem_free(bad);
}
