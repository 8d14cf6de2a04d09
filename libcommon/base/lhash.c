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

void lhash_add(struct lhash *hash, uint32_t index)
{
    push(hash, lhash_bucket(hash, hash->ops->hash(hash->owner, index)), index);
    if (++hash->count > hash->buckets * hash->load)
        split(hash);
}

void lhash_remove(struct lhash *hash, uint32_t index)
{
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
