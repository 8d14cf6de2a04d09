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
    uint32_t tag;    /* upper half of the hash, never 0; 0 = empty */
    uint32_t len;    /* behind tag: both are compared at once */
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

/* Borrows `space` (64-byte aligned). */
#define TABLE_SPACE_MIN ((size_t)256 << 10)
void table_open(struct table *table, void *space, size_t size);
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

/* The slot of a key, or NULL. `word`: its key_word. */
static inline struct table_slot *table_find_word(const struct table *table, uint64_t hash,
                                                 uint64_t word, struct slice key)
{
    uint64_t tag_and_len = (uint32_t)(hash >> 32) | 1U | (uint64_t)key.len << 32;
    for (size_t i = hash & table->mask;; i = (i + 1) & table->mask) {
        struct table_slot *slot = &table->slots[i];
        if (get_u64(&slot->tag) == tag_and_len && slot->word == word &&
            (key.len <= 8 || table_is_same_rest(table, slot, key)))
            return slot;
        if (slot->tag == 0)
            return NULL;
    }
}

static inline struct table_slot *table_find(const struct table *table, uint64_t hash,
                                            struct slice key)
{
    return table_find_word(table, hash, key_word(key.data, key.len), key);
}
/* Have the slot on its way into the cache. */
static inline void table_prefetch(const struct table *table, uint64_t hash)
{
    __builtin_prefetch(&table->slots[hash & table->mask], 1);
}

/* Key of a used slot: borrows the table or `room`. */
struct slice table_key(const struct table *table, const struct table_slot *slot, uint8_t room[8]);

/* Every used slot, in an order that depends on the keys and how they came only. */
#define table_each(table, slot)                                                                    \
    for (struct table_slot *slot = (table)->slots; slot <= (table)->slots + (table)->mask; slot++) \
        if (slot->tag)

#endif
