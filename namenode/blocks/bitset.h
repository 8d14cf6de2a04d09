/* SPDX-License-Identifier: Apache-2.0
 * bitset: a growing set of small integers, one bit each, with a summary bit per word of 64, so that
 * "the next member from here" skips 4096 absent numbers at a step. Block indices, and groups of
 * them, live in such sets: queues, what a report has named, which groups a storage has a part in.
 *
 * Members come in order of number: iteration is repeatable and may stop and go on later from a
 * number, whatever was added or removed meanwhile. */
#ifndef QUERN_NN_BLOCKS_BITSET_H
#define QUERN_NN_BLOCKS_BITSET_H

#include "libcommon/base/err.h"

struct bitset {
    uint64_t *words;
    uint64_t *summary; /* bit w = words[w] is not 0 */
    uint32_t word_count;
    uint32_t count; /* members */
};
#define BITSET_INIT ((struct bitset){0})
#define BITSET_END  UINT32_MAX /* never a member */

void bitset_release(struct bitset *set);
/* 0 (also if it is a member already) or ERR_NOMEM with the set unchanged. */
int bitset_add(struct bitset *set, uint32_t number);
void bitset_remove(struct bitset *set, uint32_t number); /* harmless for a non-member */
/* The smallest member >= from, or BITSET_END. */
uint32_t bitset_next(const struct bitset *set, uint32_t from);

static inline bool bitset_has(const struct bitset *set, uint32_t number)
{
    uint32_t word = number / 64;
    return word < set->word_count && (set->words[word] >> (number % 64) & 1) != 0;
}

#define bitset_each(set, it) \
    for (uint32_t it = bitset_next(set, 0); it != BITSET_END; it = bitset_next(set, it + 1))

#endif
