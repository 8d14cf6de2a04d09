/* SPDX-License-Identifier: Apache-2.0
 * lhash: a hash table over things named by u32 (see slab.h) that grows one bucket at a time.
 *
 * Linear hashing (Litwin): every insertion that makes the table too full splits one bucket, so
 * there is never a moment when a table of a hundred million entries is copied while everybody
 * waits, nor twice the memory. Cost: 4 bytes per bucket, and 4 in the thing itself for the chain.
 * The owner says where that link is and what a member's hash is; candidates he compares himself:
 *
 *     for (uint32_t i = lhash_find(&h, hash); i; i = *link_of(i)) if (matches(i)) ...
 *
 * The chain met may hold members of other hashes. */
#ifndef QUERN_BASE_LHASH_H
#define QUERN_BASE_LHASH_H

#include "libcommon/base/err.h"

#define LHASH_SEGMENT_SHIFT 19
#define LHASH_SEGMENT_COUNT (1U << LHASH_SEGMENT_SHIFT)

struct lhash_ops {
    uint64_t (*hash)(const void *owner, uint32_t index); /* of a member; all 64 bits mixed */
    uint32_t *(*link)(const void *owner, uint32_t index);
};

struct lhash {
    uint32_t **segments; /* of LHASH_SEGMENT_COUNT buckets each */
    size_t segment_count, segment_cap;
    uint64_t buckets; /* in use */
    uint64_t level;   /* power of two: level <= buckets < 2 * level */
    uint64_t count;
    uint32_t load;                       /* members per bucket at which it grows */
    uint32_t deferred_from, deferred_to; /* not entered yet: these; 0, 0 = none */
    bool is_deferred;
    const struct lhash_ops *ops;
    const void *owner;
};

/* Borrows ops and owner for its life. 0 or ERR_NOMEM. */
int lhash_init(struct lhash *hash, uint32_t load, const struct lhash_ops *ops, const void *owner);
void lhash_release(struct lhash *hash);
/* Cannot fail: a table that finds no memory to grow gets longer chains. */
void lhash_add(struct lhash *hash, uint32_t index);
void lhash_remove(struct lhash *hash,
                  uint32_t index); /* must be a member, with the same hash as ever */
size_t lhash_bytes(const struct lhash *hash);

/* For loading millions at once: what is added from now on, in consecutive indexes, is only noted
 * (and can be removed again, last first). lhash_build enters all of it, in a table of the final
 * size, with the next ones fetched ahead: a fraction of the time. Until then none of it is found.
 */
void lhash_defer(struct lhash *hash);
/* With `key`, members' keys must differ, as their hashes do then: ERR_EXIST when two are the same,
 * and all are entered nevertheless. Keys counted up, with gaps or not, cost least. */
typedef uint64_t lhash_key(const void *owner, uint32_t index);
int lhash_build(struct lhash *hash, lhash_key *key);

static inline uint32_t *lhash_bucket(const struct lhash *hash, uint64_t h)
{
    uint64_t b = h & (2 * hash->level - 1);
    if (b >= hash->buckets)
        b &= hash->level - 1;
    return &hash->segments[b >> LHASH_SEGMENT_SHIFT][b & (LHASH_SEGMENT_COUNT - 1)];
}
/* First of the chain where members with this hash are; 0 = none. */
static inline uint32_t lhash_find(const struct lhash *hash, uint64_t h)
{
    return *lhash_bucket(hash, h);
}

#endif
