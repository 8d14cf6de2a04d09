/* SPDX-License-Identifier: Apache-2.0
 * sort: puts the records of a sort buffer in order by moving 16-byte entries.
 *
 * An entry is the first eight bytes of a record's key as a number, and where the record is. Entries
 * are scattered by partition first (stable), then per partition by the leading bits in which their
 * prefixes differ at all, until a piece is small enough for a branchless quicksort that stays in
 * the cache; entries with equal prefixes are then sorted by the following eight bytes of their
 * keys, and so on. Only those touch the records themselves. Equal keys stay in the order of
 * emission: an entry's `ref` grows with it, and ties are decided by it.
 *
 * A job that compares for itself gets a merge sort (sort_by_compare), which also is the plain
 * statement of what the fast path must give: the tests hold one against the other. */
#ifndef QUERN_WORKER_MAP_SORT_H
#define QUERN_WORKER_MAP_SORT_H

#include "worker/run/key.h"

struct sort_entry {
    uint64_t ref;    /* partition, offset, SORT_LONG: compared as one number */
    uint64_t prefix; /* second in memory: the pair reads as one 128-bit number */
};

/* ref: 23 bits partition, 40 bits offset in the buffer, 1 bit: the prefix does not tell the whole
 * key (key_is_beyond_prefix). */
#define SORT_PARTITIONS_MAX (1U << 23)
#define SORT_BYTES_MAX      (1ULL << 40)
static inline uint64_t sort_ref(uint32_t partition, uint64_t offset, bool is_long)
{
    return (uint64_t)partition << 41 | offset << 1 | is_long;
}
static inline uint32_t sort_partition(uint64_t ref)
{
    return (uint32_t)(ref >> 41);
}
static inline uint64_t sort_offset(uint64_t ref)
{
    return ref >> 1 & (SORT_BYTES_MAX - 1);
}

/* Where the records lie that entries point to. */
struct sort_space {
    const uint8_t *base, *end;
};

/* The key of an entry (kept form). */
struct slice sort_key(const struct sort_space *space, const struct sort_entry *entry);

/* Copy entries from the order in which they were noted (backwards in memory: newest first) to
 * `out`, by partition, oldest first. ret_starts has partitions + 1 places. */
void sort_scatter(const struct sort_entry *newest_first, size_t count, struct sort_entry *out,
                  uint32_t partitions, size_t *ret_starts);

/* Order entries of one partition. `room` has place for as many; both are scratch meanwhile. The
 * prefixes are worthless afterwards. */
void sort_entries(struct sort_entry *entries, struct sort_entry *room, size_t count,
                  const struct sort_space *space);
/* The same by comparing whole keys, stable. */
void sort_by_compare(struct sort_entry *entries, struct sort_entry *room, size_t count,
                     const struct sort_space *space, const struct key_order *order);
/* By (prefix, ref) alone: what the quicksort falls back to when its pivots are unlucky. */
void sort_by_heap(struct sort_entry *e, size_t n);

#endif
