/* SPDX-License-Identifier: Apache-2.0
 * tally: small numbers added up by short keys, which is what counting mostly is. Such a job waits
 * for its slots to come from memory; one of these takes 16 bytes where one of table's takes 32, so
 * twice as many are in the cache.
 *
 * A word holds the key: up to seven bytes, zero-padded, the last byte 0x80 + their number; or eight
 * bytes, the last of them 1 to 0x7f. What does not fit is the owner's, as is what comes out of a
 * tally that is full.
 *
 * As in table, slots are of a power of two that doubles, and a key is looked for in the whole first
 * line before those behind it; as in queue, records wait in a ring until their slots have come. */
#ifndef QUERN_WORKER_MAP_TALLY_H
#define QUERN_WORKER_MAP_TALLY_H

#include "worker/run/key.h"

#define TALLY_WAITING 64U
#define TALLY_NUMBERS ((uint64_t)512) /* greater ones do not fit */

/* How often, and the sum below: 2^27 times less than 512 are less than 2^36. Negative: it is time
 * to take it out. 0: the key was taken out. */
#define TALLY_ONE ((uint64_t)1 << 36)
static inline bool tally_is_full_slot(uint64_t both)
{
    return (int64_t)both < 0;
}

struct tally_slot {
    uint64_t word; /* 0 = empty */
    uint64_t both;
};

struct tally_record {
    uint64_t hash; /* key_hash of the key */
    uint64_t word;
    uint64_t both;
};

struct tally {
    struct tally_slot *slots;
    size_t mask, count, limit;
    uint8_t *space;
    size_t slots_max;
    struct tally_slot none[2]; /* its slots when it is closed */
    uint64_t records;          /* put in so far, those that wait as well */
    struct tally_record waiting[TALLY_WAITING];
};

/* Borrows `space` (64-byte aligned). */
#define TALLY_SPACE_MIN ((size_t)128 << 10)
void tally_open(struct tally *tally, void *space, size_t size);
/* Forget all keys; begins small again. Who waits goes on waiting. */
void tally_clear(struct tally *tally);
/* The same, and its space is the owner's again: it may be asked for keys, but takes none. */
void tally_close(struct tally *tally);

extern const uint64_t tally_marks[9];
/* The word of a key of 1 to 8 bytes, of its key_word; or no key's word. */
static inline uint64_t tally_word(uint64_t word, size_t len)
{
    return word | tally_marks[len];
}
static inline bool tally_takes(uint64_t word, size_t len)
{
    return len < 8 || (word >> 56) - 1 < 0x7f;
}
static inline size_t tally_len(uint64_t word)
{
    return word >> 63 ? word >> 56 & 0x7f : 8;
}
static inline uint64_t tally_key_word(uint64_t word)
{
    return word & key_masks[tally_len(word)];
}
static inline uint64_t tally_hash(uint64_t word)
{
    return key_hash_word(tally_key_word(word), tally_len(word));
}

/* Where a key is looked for first; and the first or second place, where most are. */
static inline struct tally_slot *tally_first(const struct tally *tally, uint64_t hash)
{
    return &tally->slots[hash & tally->mask];
}
static inline struct tally_slot *tally_near(const struct tally *tally, uint64_t hash, uint64_t word)
{
    size_t i = hash & tally->mask;
    return &tally->slots[i ^ (tally->slots[i].word != word)];
}
/* NULL: there is none. */
struct tally_slot *tally_find(const struct tally *tally, uint64_t hash, uint64_t word);
/* One that is not there yet, with nothing in it; NULL: full. Moves slots. */
struct tally_slot *tally_insert(struct tally *tally, uint64_t hash, uint64_t word);

/* Whose turn it is: the one that has waited longest, or nobody (word 0). */
static inline struct tally_record *tally_turn(struct tally *tally)
{
    return &tally->waiting[tally->records % TALLY_WAITING];
}
/* In its place. */
static inline void tally_put(struct tally *tally, uint64_t hash, uint64_t word, uint64_t number)
{
    struct tally_record *turn = tally_turn(tally);
    __builtin_prefetch(tally_first(tally, hash), 1);
    turn->hash = hash;
    turn->word = word;
    turn->both = TALLY_ONE + number;
    tally->records++;
}

/* The slots in use; `both` may be 0. */
#define tally_each(tally, slot)                                                                    \
    for (struct tally_slot *slot = (tally)->slots; slot <= (tally)->slots + (tally)->mask; slot++) \
        if (slot->word)

#endif
