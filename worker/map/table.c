/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/map/table.h"

#define SLOTS_MIN ((size_t)4096)

static size_t limit_of(size_t slots)
{
    return slots / 8 * 5;
}

void *table_array(uint8_t *space, size_t slot_size, size_t slots_max, size_t n)
{
    bool front = true;
    for (size_t in_front = slots_max; in_front > n; in_front /= 2)
        front = !front;
    return space + (front ? 0 : slots_max * slot_size);
}

static void use_array(struct table *t, size_t n)
{
    t->slots = table_array(t->slot_space, sizeof(*t->slots), t->slots_max, n);
    t->mask = n - 1;
    t->limit = limit_of(n);
    memset(t->slots, 0, n * sizeof(*t->slots));
}

void table_open(struct table *table, void *space, size_t size, size_t slots)
{
    BUG_ON(size < TABLE_SPACE_MIN);
    *table = (struct table){.slot_space = space, .slots_max = SLOTS_MIN};
    while (2 * table->slots_max * sizeof(struct table_slot) / 2 * 3 <= slots)
        table->slots_max *= 2;
    size_t slot_bytes = table->slots_max * sizeof(struct table_slot) / 2 * 3;
    table->arena = (uint8_t *)space + slot_bytes;
    table->arena_size = size - slot_bytes;
    /* Places are counted in 32 bits. */
    if (table->arena_size > (size_t)UINT32_MAX * 8)
        table->arena_size = (size_t)UINT32_MAX * 8;
    table_clear(table);
}

void table_clear(struct table *table)
{
    table->count = 0;
    table->arena_used = 8;
    use_array(table, SLOTS_MIN);
}

uint32_t table_take(struct table *table, size_t len)
{
    size_t bytes = (len + 7) & ~(size_t)7;
    if (bytes < len || bytes > table->arena_size - table->arena_used)
        return 0;
    uint32_t place = (uint32_t)(table->arena_used / 8);
    table->arena_used += bytes;
    return place;
}

bool table_is_same_rest(const struct table *table, const struct table_slot *slot, struct slice key)
{
    return memcmp(table_bytes(table, slot->key_at) + 8, key.data + 8, key.len - 8) == 0;
}

struct slice table_key(const struct table *table, const struct table_slot *slot, uint8_t room[8])
{
    uint32_t len = table_len(slot);
    if (len > 8)
        return slice_of(table_bytes(table, slot->key_at), len);
    put_u64(room, slot->word);
    return slice_of(room, len);
}

static struct table_slot *first_empty(const struct table *t, uint64_t hash)
{
    size_t i = hash & t->mask;
    while (t->slots[i].tag)
        i = (i + 1) & t->mask;
    return &t->slots[i];
}

static void grow(struct table *t)
{
    const struct table_slot *old = t->slots;
    size_t count = t->mask + 1;
    use_array(t, 2 * count);
    for (size_t i = 0; i < count; i++) {
        uint8_t room[8];
        if (old[i].tag)
            *first_empty(t, key_hash(table_key(t, &old[i], room))) = old[i];
    }
}

struct table_slot *table_insert(struct table *table, uint64_t hash, struct slice key)
{
    if (table->count >= table->limit) {
        if (table->mask + 1 >= table->slots_max)
            return NULL;
        grow(table);
    }
    uint32_t place = 0;
    if (key.len > 8) {
        place = key.len >= UINT32_MAX - 1 ? 0 : table_take(table, key.len);
        if (place == 0)
            return NULL;
        memcpy(table_bytes(table, place), key.data, key.len);
    }
    struct table_slot *slot = first_empty(table, hash);
    *slot = (struct table_slot){
        .word = key_word(key.data, key.len), .tag = table_tag(hash, key.len), .key_at = place};
    table->count++;
    return slot;
}
