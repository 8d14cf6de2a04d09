/* SPDX-License-Identifier: Apache-2.0
 * What a slot's `value` is: the number itself, or for QN_FIRST the place of the value in the arena,
 * whose length is in `extra`. */
#include "worker/map/combine.h"

void combine_open(struct combine *c, const struct fold *fold, void *space, size_t size,
                  combine_out *out, void *arg)
{
    BUG_ON(size < COMBINE_SPACE_MIN);
    *c = (struct combine){.fold = *fold, .out = out, .arg = arg};
    c->uses_ring = fold_is_free(fold) && fold_is_number(fold);
    table_open(&c->table, space, size);
}

static struct slice value_of(const struct combine *c, const struct table_slot *slot)
{
    if (c->fold.op == QN_FIRST)
        return slice_of(table_bytes(&c->table, (uint32_t)slot->value), slot->extra);
    return slice_of(&slot->value, sizeof(slot->value));
}

static int flush_table(struct combine *c)
{
    c->in_records += c->round_in;
    c->out_records += c->table.count;
    c->round_in = c->window = 0;
    if (c->table.count == 0)
        return 0;
    table_each(&c->table, slot)
    {
        uint8_t room[8];
        struct slice key = table_key(&c->table, slot, room);
        int rc = c->out(c->arg, key_hash(key), key, value_of(c, slot));
        if (rc != 0)
            return rc;
    }
    table_clear(&c->table);
    return 0;
}

/* The table (or the window) is full: empty it, and give up if it was of no use. */
static int turn_over(struct combine *c)
{
    c->is_aside = c->round_in < 2 * (uint64_t)c->table.count;
    c->uses_ring &= !c->is_aside;
    return flush_table(c);
}

static int pass_by(struct combine *c, uint64_t hash, struct slice key, struct slice value)
{
    const uint64_t one = 1;
    c->in_records++;
    c->out_records++;
    return c->out(c->arg, hash, key, c->fold.op == QN_COUNT ? slice_of(&one, sizeof(one)) : value);
}

/* False: no room. */
static bool insert(struct combine *c, uint64_t hash, struct slice key, struct slice value)
{
    uint32_t place = 0;
    if (c->fold.op == QN_FIRST) {
        place = table_take(&c->table, value.len ? value.len : 1);
        if (place == 0)
            return false;
        if (value.len)
            memcpy(table_bytes(&c->table, place), value.data, value.len);
    }
    struct table_slot *slot = table_insert(&c->table, hash, key);
    if (!slot)
        return false;
    if (c->fold.op == QN_FIRST) {
        slot->value = place;
        slot->extra = (uint32_t)value.len;
    } else {
        slot->value = c->fold.op == QN_COUNT ? 1 : get_u64(value.data);
    }
    return true;
}

static bool fold_in(struct combine *c, uint64_t hash, struct slice key, struct slice value)
{
    struct table_slot *slot = table_find(&c->table, hash, key);
    if (slot && fold_is_number(&c->fold))
        slot->value =
            fold_numbers(&c->fold, slot->value, c->fold.op == QN_COUNT ? 1 : get_u64(value.data));
    return slot != NULL;
}

int combine_add_slow(struct combine *c, uint64_t hash, struct slice key, struct slice value)
{
    int rc = 0;
    /* What passes by must not overtake what came before it: QN_FIRST and sums of doubles care. */
    if (c->is_aside || key.len + value.len > COMBINE_RECORD_MAX) {
        if (!c->is_aside)
            rc = flush_table(c);
        return rc != 0 ? rc : pass_by(c, hash, key, value);
    }
    if (!fold_in(c, hash, key, value) && !insert(c, hash, key, value)) {
        rc = turn_over(c);
        if (rc != 0)
            return rc;
        if (c->is_aside)
            return pass_by(c, hash, key, value);
        BUG_ON(!insert(c, hash, key, value));
    }
    c->round_in++;
    c->window += key.len + sizeof(struct table_slot);
    if (!fold_is_free(&c->fold) && c->window >= COMBINE_WINDOW)
        rc = turn_over(c);
    return rc;
}

int combine_settle(struct combine *c, const struct combine_wait *wait)
{
    struct slice key = slice_of(wait->key, wait->len);
    if (__builtin_expect(!c->is_aside, 1)) {
        struct table_slot *slot = table_find_word(&c->table, wait->hash, wait->key[0], key);
        if (__builtin_expect(slot != NULL, 1)) {
            slot->value = fold_numbers(&c->fold, slot->value, wait->value);
            c->round_in++;
            return 0;
        }
    }
    return combine_add_slow(c, wait->hash, key, slice_of(&wait->value, sizeof(wait->value)));
}

int combine_flush(struct combine *c)
{
    uint64_t first = c->ring_at > COMBINE_RING ? c->ring_at - COMBINE_RING : 0;
    int rc = 0;
    for (uint64_t i = first; rc == 0 && i < c->ring_at; i++)
        rc = combine_settle(c, &c->ring[i % COMBINE_RING]);
    c->ring_at = 0;
    return rc == 0 ? flush_table(c) : rc;
}
