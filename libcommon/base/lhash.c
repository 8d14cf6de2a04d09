/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/lhash.h"

#include "libcommon/base/mem.h"

#define SEGMENT_BYTES (LHASH_SEGMENT_COUNT * sizeof(uint32_t))

static int add_segment(struct lhash *hash)
{
    int rc =
        mem_grow(&hash->segments, &hash->segment_cap, hash->segment_count, sizeof(*hash->segments));
    if (rc != 0)
        return rc;
    uint32_t *segment = mem_map(SEGMENT_BYTES, hash->segment_count > 0);
    if (!segment)
        return ERR_NOMEM;
    hash->segments[hash->segment_count++] = segment;
    return 0;
}

int lhash_init(struct lhash *hash, uint32_t load, const struct lhash_ops *ops, const void *owner)
{
    *hash = (struct lhash){.buckets = 16, .level = 16, .load = load, .ops = ops, .owner = owner};
    int rc = add_segment(hash);
    if (rc != 0)
        lhash_release(hash);
    return rc;
}

void lhash_release(struct lhash *hash)
{
    for (size_t i = 0; i < hash->segment_count; i++)
        mem_unmap(hash->segments[i], SEGMENT_BYTES);
    mem_free(hash->segments);
    *hash = (struct lhash){0};
}

static void push(struct lhash *hash, uint32_t *bucket, uint32_t index)
{
    *hash->ops->link(hash->owner, index) = *bucket;
    *bucket = index;
}

/* The bucket `buckets - level` shares its members with a new one at the end. */
static void split(struct lhash *hash)
{
    if (hash->buckets >> LHASH_SEGMENT_SHIFT >= hash->segment_count && add_segment(hash) != 0)
        return;
    uint32_t *old = lhash_bucket(hash, hash->buckets - hash->level);
    uint32_t index = *old;
    *old = 0;
    if (++hash->buckets == 2 * hash->level)
        hash->level *= 2;
    while (index) {
        uint32_t next = *hash->ops->link(hash->owner, index);
        push(hash, lhash_bucket(hash, hash->ops->hash(hash->owner, index)), index);
        index = next;
    }
}

void lhash_defer(struct lhash *hash)
{
    hash->is_deferred = true;
}

static void note(struct lhash *hash, uint32_t index)
{
    BUG_ON(hash->deferred_to && index != hash->deferred_to + 1);
    if (!hash->deferred_from)
        hash->deferred_from = index;
    hash->deferred_to = index;
}

static void unnote(struct lhash *hash, uint32_t index)
{
    BUG_ON(index != hash->deferred_to);
    hash->deferred_to--;
    if (hash->deferred_to < hash->deferred_from)
        hash->deferred_from = hash->deferred_to = 0;
}

/* As many buckets as the members to come need; fewer when memory is out. The few that are entered
 * already are taken along. */
static void widen(struct lhash *hash, uint64_t members)
{
    while (hash->buckets * hash->load < members) {
        uint64_t before = hash->buckets;
        split(hash);
        if (hash->buckets == before)
            return;
    }
}

/* ---- whose key was there before ---- */

/* A bit for a key: its lowest bits' number. Keys that were counted up have bits of their own, close
 * together, where those of one's neighbours are; others may share one, so who finds his bit set
 * looks through his chain. Without memory everybody does. */
struct met {
    uint64_t *words;
    uint64_t mask; /* bits - 1 */
};
#define BITS_PER_KEY 16
#define BITS_MIN     (4096U * 8)

static size_t met_bytes(const struct met *met)
{
    return (size_t)(met->mask + 1) / 8;
}

static bool was_met(struct met *met, uint64_t key)
{
    if (!met->words)
        return true;
    uint64_t *word = &met->words[(key & met->mask) / 64], bit = 1ULL << key % 64;
    bool was = *word & bit;
    *word |= bit;
    return was;
}

/* With those that are entered already. */
static void begin_met(struct met *met, const struct lhash *hash, uint64_t members, lhash_key *key)
{
    uint64_t bits = BITS_MIN;
    while (bits < members * BITS_PER_KEY)
        bits *= 2;
    *met = (struct met){.mask = bits - 1};
    met->words = mem_map(met_bytes(met), false);
    uint64_t left = hash->count;
    for (uint64_t b = 0; b < hash->buckets && left > 0; b++)
        for (uint32_t i = lhash_find(hash, b); i; i = *hash->ops->link(hash->owner, i), left--)
            (void)was_met(met, key(hash->owner, i));
}

static bool has_key(const struct lhash *hash, uint64_t h, uint64_t wanted, lhash_key *key)
{
    for (uint32_t i = lhash_find(hash, h); i; i = *hash->ops->link(hash->owner, i))
        if (key(hash->owner, i) == wanted)
            return true;
    return false;
}

/* ---- all at once ---- */

#define AHEAD 16 /* members whose bucket is fetched */

/* Members [from, end): true when one has a key that was there. */
static bool enter(struct lhash *hash, uint64_t from, uint64_t end, struct met *met, lhash_key *key)
{
    uint64_t hashes[AHEAD]; /* of member i, at i % AHEAD */
    bool is_twice = false;
    for (uint64_t i = from; i < end + AHEAD; i++) {
        if (i >= from + AHEAD) {
            uint32_t index = (uint32_t)(i - AHEAD);
            uint64_t h = hashes[i % AHEAD], k = key ? key(hash->owner, index) : 0;
            is_twice = is_twice || (key && was_met(met, k) && has_key(hash, h, k, key));
            push(hash, lhash_bucket(hash, h), index);
        }
        if (i < end) {
            hashes[i % AHEAD] = hash->ops->hash(hash->owner, (uint32_t)i);
            __builtin_prefetch(lhash_bucket(hash, hashes[i % AHEAD]), 1);
        }
    }
    hash->count += end - from;
    return is_twice;
}

int lhash_build(struct lhash *hash, lhash_key *key)
{
    uint64_t from = hash->deferred_from, end = (uint64_t)hash->deferred_to + 1;
    struct met met = {0};
    hash->is_deferred = false;
    hash->deferred_from = hash->deferred_to = 0;
    if (from == 0)
        return 0;
    if (key)
        begin_met(&met, hash, hash->count + (end - from), key);
    widen(hash, hash->count + (end - from));
    bool is_twice = enter(hash, from, end, &met, key);
    if (met.words)
        mem_unmap(met.words, met_bytes(&met));
    return is_twice ? ERR_EXIST : 0;
}

void lhash_add(struct lhash *hash, uint32_t index)
{
    if (hash->is_deferred) {
        note(hash, index);
        return;
    }
    push(hash, lhash_bucket(hash, hash->ops->hash(hash->owner, index)), index);
    if (++hash->count > hash->buckets * hash->load)
        split(hash);
}

void lhash_remove(struct lhash *hash, uint32_t index)
{
    if (hash->is_deferred && hash->deferred_from && index >= hash->deferred_from) {
        unnote(hash, index);
        return;
    }
    uint32_t *at = lhash_bucket(hash, hash->ops->hash(hash->owner, index));
    while (*at && *at != index)
        at = hash->ops->link(hash->owner, *at);
    BUG_ON(!*at);
    *at = *hash->ops->link(hash->owner, index);
    hash->count--;
}

/* Pages of the last segment that no bucket is in yet are not there. */
size_t lhash_bytes(const struct lhash *hash)
{
    return hash->buckets * sizeof(uint32_t) + hash->segment_cap * sizeof(*hash->segments);
}
