/* SPDX-License-Identifier: Apache-2.0
 * ranges: which reducer gets a key where each has a range of them (QN_BY_RANGE), so that the order
 * of keys holds over all of a job's output files.
 *
 * The cuts are taken from a sample: keys that maps made of a little of the input when the job was
 * submitted (runner/sample). It travels as the side file TASK_SIDE_RANGES, whatever the number of
 * reducers is:
 *
 *     "quern ranges 1\n", then the keys in order: u32 length (little-endian), bytes in kept form
 *
 * A key longer than RANGES_KEY_MAX is cut short there: where a range begins, the first bytes of a
 * key are as good as all of them. */
#ifndef QUERN_WORKER_MAP_RANGES_H
#define QUERN_WORKER_MAP_RANGES_H

#include "libcommon/base/mem.h"
#include "worker/run/key.h"

#define RANGES_KEYS_MAX 65536U /* in a sample */
#define RANGES_KEY_MAX  256U

/* Reducer i + 1 begins at starts[i]. Borrows the sample's bytes. */
struct ranges {
    struct slice *starts;
    uint64_t *prefixes; /* of them */
    uint32_t count;     /* reducers - 1; 0 when the sample was empty: one reducer gets all */
};

void ranges_begin_sample(struct buf *out);
/* Keys come in order. */
void ranges_add_to_sample(struct buf *out, struct slice kept);

/* ERR_CORRUPT, ERR_NOMEM. Memory comes from the arena. */
int ranges_open(struct ranges *ranges, struct slice sample, uint32_t reducers, struct arena *arena,
                struct err *err);

/* How many reducers begin at this key or before it: the plain statement of it, and the answer for
 * keys that begin as the start of a reducer does. */
uint32_t ranges_pick_whole(const struct ranges *ranges, struct slice kept);

/* The same by prefixes, halving without a branch on what is compared: which half a key is in is as
 * good as random, and would be guessed wrong every other time. */
static inline uint32_t ranges_pick(const struct ranges *ranges, struct slice kept)
{
    const uint64_t prefix = key_prefix(kept), *from = ranges->prefixes;
    uint32_t left = ranges->count;
    while (left > 0) {
        uint32_t half = (left + 1) / 2;
        from += half & -(uint32_t)(from[half - 1] < prefix);
        left -= half;
    }
    uint32_t below = (uint32_t)(from - ranges->prefixes);
    if (__builtin_expect(below < ranges->count && *from == prefix, 0))
        return ranges_pick_whole(ranges, kept);
    return below;
}

#endif
