/* SPDX-License-Identifier: Apache-2.0
 * topk: the most frequent keys of a stream, in bounded memory (Space-Saving; Metwally, Agrawal, El
 * Abbadi 2005), and of several streams put together. Pure.
 *
 * For each key it holds: low <= how often it came <= high. A key it does not hold came at most
 * topk_absent() times, which of one stream is no more than total / capacity: so each key that came
 * more often than that is held. Merging keeps all of it true, with the bounds added up.
 *
 * Keys are told apart by a 64-bit hash of the whole key; their first TOPK_KEY bytes are kept for
 * people. A record may count for several (`weight`), where only some are looked at. */
#ifndef QUERN_BASE_TOPK_H
#define QUERN_BASE_TOPK_H

#include "libcommon/base/slice.h"

#define TOPK_MAX 64U
#define TOPK_KEY 40U

struct topk_cell {
    uint64_t low, high;
    uint8_t key_len;
    uint8_t key[TOPK_KEY];
};

struct topk {
    uint64_t total;
    uint64_t missed; /* how often a key that is not held may have come, besides the least held */
    uint32_t count, capacity;
    uint32_t at;               /* the cell that was least last, once all are taken */
    uint64_t floor;            /* none held came less often, once all are taken */
    uint64_t hashes[TOPK_MAX]; /* of the cells; apart, because they are searched */
    uint16_t marks[TOPK_MAX];  /* 16 bits of each */
    struct topk_cell cells[TOPK_MAX];
};

/* 1 <= capacity <= TOPK_MAX */
void topk_init(struct topk *t, uint32_t capacity);
void topk_add(struct topk *t, uint64_t hash, struct slice key, uint64_t weight);
uint64_t topk_absent(const struct topk *t);
/* All that `from` has seen, into `t`. */
void topk_merge(struct topk *t, const struct topk *from);
/* Keys by how often they came, most first, into `order`: indexes of cells; how many. */
uint32_t topk_order(const struct topk *t, uint32_t order[TOPK_MAX]);

#endif
