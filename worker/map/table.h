/* SPDX-License-Identifier: Apache-2.0
 * table: keys in a fixed stretch of memory, by hash, with a little payload each. What combining at
 * emit stands on.
 *
 * Open addressing, 32-byte slots in a power of two that doubles up to what the memory holds, so
 * that a small set of keys stays in the cache. A slot holds the key's first eight bytes; longer
 * keys are whole in the arena behind the slots. When a slot or a byte is missing the owner empties
 * the table. */
#ifndef QUERN_WORKER_MAP_TABLE_H
#define QUERN_WORKER_MAP_TABLE_H

#include "worker/run/key.h"

struct table_slot {
    uint64_t word;   /* key_word of the key's beginning */
    uint64_t value;  /* the owner's */
    uint64_t tag;    /* table_tag; 0 = empty */
    uint32_t key_at; /* of a key beyond eight bytes: place in the arena, in units of eight bytes */
    uint32_t extra;  /* the owner's */
};

struct table {
    struct table_slot *slots;
    size_t mask, count, limit; /* limit: more keys than this and it must grow */
    uint8_t *slot_space;       /* room for the largest array and, behind it, half of that */
    size_t slots_max;
    uint8_t *arena;
    size_t arena_size, arena_used; /* from 8: place 0 means none */
};

/* The upper half of a key's hash and its length, plus one. No key has TABLE_NO_TAG. */
#define TABLE_NO_TAG UINT64_MAX
static inline uint64_t table_tag(uint64_t hash, size_t len)
{
    return (hash & ~(uint64_t)UINT32_MAX) | (len + 1);
}
static inline uint32_t table_len(const struct table_slot *slot)
{
    return (uint32_t)slot->tag - 1;
}

/* An array of n slots lies where the array of n / 2 does not: the largest in front, its half behind
 * it, and so on in turn, so that growing copies from one to the other. */
void *table_array(uint8_t *space, size_t slot_size, size_t slots_max, size_t n);

/* Borrows `space` (64-byte aligned); at most `slots` bytes of it for slots. */
#define TABLE_SPACE_MIN ((size_t)256 << 10)
void table_open(struct table *table, void *space, size_t size, size_t slots);
/* Forget all keys; begins small again. */
void table_clear(struct table *table);

/* Place in the arena (units of eight bytes) for `len` bytes; 0: full. */
uint32_t table_take(struct table *table, size_t len);
static inline uint8_t *table_bytes(const struct table *table, uint32_t place)
{
    return table->arena + (size_t)place * 8;
}

/* Put a key in that table_find did not find: its slot, value and extra 0; NULL: full. Moves slots.
 */
struct table_slot *table_insert(struct table *table, uint64_t hash, struct slice key);

bool table_is_same_rest(const struct table *table, const struct table_slot *slot, struct slice key);

/* Where a key is looked for first. */
static inline struct table_slot *table_first(const struct table *table, uint64_t hash)
{
    return &table->slots[hash & table->mask];
}

/* The slot of a key, or NULL. */
static inline struct table_slot *table_find(const struct table *table, uint64_t hash,
                                            struct slice key)
{
    uint64_t tag = table_tag(hash, key.len), word = key_word(key.data, key.len);
    for (size_t i = hash & table->mask;; i = (i + 1) & table->mask) {
        struct table_slot *slot = &table->slots[i];
        if (slot->tag == tag && slot->word == word &&
            (key.len <= 8 || table_is_same_rest(table, slot, key)))
            return slot;
        if (slot->tag == 0)
            return NULL;
    }
}

/* Have the slot on its way into the cache. */
static inline void table_prefetch(const struct table *table, uint64_t hash)
{
    __builtin_prefetch(table_first(table, hash), 1);
}

/* Key of a used slot: borrows the table or `room`. */
struct slice table_key(const struct table *table, const struct table_slot *slot, uint8_t room[8]);

/* Every used slot, in an order that depends on the keys and how they came only. */
#define table_each(table, slot)                                                                    \
    for (struct table_slot *slot = (table)->slots; slot <= (table)->slots + (table)->mask; slot++) \
        if (slot->tag)

#endif
