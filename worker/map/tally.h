/* SPDX-License-Identifier: Apache-2.0
 * tally: small numbers added up by short keys, which is what counting mostly is. Such a job waits
 * for its slots to come from memory; one of these takes 16 bytes where one of table's takes 32, so
 * twice as many are in the cache.
 *
 *            add                        full, or flush
 *   emit ---------> sums of keys ------------------------> out
 *
 * What is added is the owner's (`both`, for there are two numbers in it mostly): a sum that becomes
 * negative is full, and goes out by itself. A full tally that has not halved what came into it is
 * open no longer, and nobody waits in it: who comes again is given out.
 *
 * A word holds the key: up to seven bytes, zero-padded, the last byte 0x80 + their number; or eight
 * bytes, the last of them 1 to 0x7f. Other keys are the owner's.
 *
 * As in table, slots are of a power of two that doubles, and a key is looked for in the whole first
 * line before those behind it; as in queue, records wait in a ring until their slots have come. */
#ifndef QUERN_WORKER_MAP_TALLY_H
#define QUERN_WORKER_MAP_TALLY_H

#include "worker/run/key.h"

#define TALLY_WAITING 64U
#define TALLY_SHARE   16 /* with fewer keys than so many of the table's beside it it is of no use */
struct tally_slot {
    uint64_t word; /* 0 = empty */
    uint64_t both; /* 0: it has gone out */
};

struct tally_record {
    uint64_t hash; /* key_hash of the key */
    uint64_t word; /* 0 = nobody */
    uint64_t both;
};

/* Takes a key and what was added up for it; 0 or a negative code, which add and flush hand on. */
typedef int tally_out(void *arg, uint64_t hash, struct slice key, uint64_t both);

struct tally {
    struct tally_slot *slots;
    size_t mask, count, limit;
    uint8_t *space;
    size_t slots_max;
    struct tally_slot none[2]; /* its slots when it is closed */
    tally_out *out;
    void *arg;
    bool is_open;
    uint64_t records;    /* put in so far, those that wait as well */
    uint64_t round_from; /* the same when it was last empty */
    uint64_t flush_us;   /* emptying it, and what that led to */
    struct tally_record waiting[TALLY_WAITING];
};

/* Borrows `space` (64-byte aligned). */
#define TALLY_SPACE_MIN ((size_t)128 << 10)
void tally_open(struct tally *tally, void *space, size_t size, tally_out *out, void *arg);
/* Everything goes out; it begins small again. */
int tally_flush(struct tally *tally);
/* Of one just flushed: its space is the owner's again. It may be asked, but keeps hardly any. */
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
/* Whose turn it is: the one that has waited longest, or nobody. */
static inline struct tally_record *tally_turn(struct tally *tally)
{
    return &tally->waiting[tally->records % TALLY_WAITING];
}
/* In its place. */
static inline void tally_put(struct tally *tally, uint64_t hash, uint64_t word, uint64_t both)
{
    struct tally_record *turn = tally_turn(tally);
    __builtin_prefetch(tally_first(tally, hash), 1);
    turn->hash = hash;
    turn->word = word;
    turn->both = both;
    tally->records++;
}

/* `word` is one it takes, `hash` the key_hash of its key. */
int tally_add_slowly(struct tally *tally, uint64_t hash, uint64_t word, uint64_t both);
static inline int tally_add(struct tally *tally, uint64_t hash, uint64_t word, uint64_t both)
{
    const struct tally_record *turn = tally_turn(tally);
    struct tally_slot *slot = tally_near(tally, turn->hash, turn->word);
    bool is_there = slot->word == turn->word;
    if (__builtin_expect(!is_there || (int64_t)(slot->both += turn->both) < 0, 0))
        return tally_add_slowly(tally, hash, word, both);
    tally_put(tally, hash, word, both);
    return 0;
}

#endif
