/* SPDX-License-Identifier: Apache-2.0
 * What a slot of the table has as `value`: the number itself, and `extra` how many have been folded
 * into it; else the place of the value in the arena, whose length is in `extra`. QN_CONCAT: there
 * it begins with its capacity (eight bytes), and may be absent, what there was having gone out. */
#include "worker/map/combine.h"

#include "libcommon/base/clock.h"

#define CONCAT_HEAD 8U
#define CONCAT_MIN  24U /* first capacity */
#define ABSENT      UINT32_MAX

static void open_table(struct combine *c, size_t size)
{
    table_open(&c->table, c->space, size, size / 4 * 3); /* keys beyond eight bytes take the rest */
}

/* tally_out */
static int tallied(void *arg, uint64_t hash, struct slice key, uint64_t both)
{
    struct combine *c = arg;
    uint64_t sum = both % TALLY_ONE;
    c->out_records++;
    return c->out(c->arg, hash, key, slice_of(&sum, sizeof(sum)), both / TALLY_ONE);
}

void combine_open(struct combine *c, const struct fold *fold, void *space, size_t size,
                  combine_out *out, void *arg)
{
    BUG_ON(size < COMBINE_SPACE_MIN);
    *c = (struct combine){.fold = *fold, .out = out, .arg = arg, .space = space, .size = size};
    c->uses_queue = fold_is_free(fold) && fold_is_number(fold);
    c->round_max = UINT32_MAX - QUEUE_LENGTH; /* of a round before, so many may come behind it */
    queue_open(&c->queue);
    if (fold->op == QN_SUM && fold_is_addition(fold)) {
        size_t half = size / 2 & ~(size_t)63;
        tally_open(&c->tally, (uint8_t *)space + (size - half), half, tallied, c);
        size -= half;
    }
    open_table(c, size);
}

static struct slice value_of(const struct combine *c, const struct table_slot *slot)
{
    if (fold_is_number(&c->fold))
        return slice_of(&slot->value, sizeof(slot->value));
    size_t head = c->fold.op == QN_CONCAT ? CONCAT_HEAD : 0;
    return slice_of(table_bytes(&c->table, (uint32_t)slot->value) + head, slot->extra);
}

static int empty_table(struct combine *c)
{
    c->round_from = c->in_records;
    c->round_out = c->window = 0;
    if (c->table.count == 0)
        return 0;
    table_each(&c->table, slot)
    {
        uint8_t room[8];
        struct slice key = table_key(&c->table, slot, room);
        if (!fold_is_number(&c->fold) && slot->extra == ABSENT)
            continue;
        c->out_records++;
        int rc = c->out(c->arg, key_hash(key), key, value_of(c, slot),
                        fold_is_number(&c->fold) ? slot->extra : 0);
        if (rc != 0)
            return rc;
    }
    table_clear(&c->table);
    return 0;
}

static int timed(struct combine *c, int (*empty)(struct combine *))
{
    uint64_t start = clock_mono_us();
    int rc = empty(c);
    c->flush_us += clock_mono_us() - start;
    return rc;
}

/* The table (or the window) is full: empty it, and give up if it was of no use. */
static int turn_over(struct combine *c)
{
    c->is_aside = c->in_records - c->round_from < 2 * (c->table.count + c->round_out);
    c->uses_queue &= !c->is_aside;
    bool wants_more = c->tally.is_open && c->tally.count < c->table.count / TALLY_SHARE;
    int rc = timed(c, empty_table);
    if (rc != 0 || !wants_more)
        return rc;
    rc = tally_flush(&c->tally);
    tally_close(&c->tally); /* who emits many keys at once may still come here */
    open_table(c, c->size);
    return rc;
}

static int pass_by(struct combine *c, uint64_t hash, struct slice key, struct slice value)
{
    const uint64_t one = 1;
    c->out_records++;
    return c->out(c->arg, hash, key, c->fold.op == QN_COUNT ? slice_of(&one, sizeof(one)) : value,
                  1);
}

/* --- values strung together ------------------------------------------------------------------ */

/* A place for `len` bytes that may grow; 0: no room. */
static uint32_t concat_take(struct combine *c, size_t len)
{
    size_t cap = 2 * len < CONCAT_MIN ? CONCAT_MIN : 2 * len;
    if (cap > c->fold.limit)
        cap = len > c->fold.limit ? len : c->fold.limit;
    uint32_t place = table_take(&c->table, CONCAT_HEAD + cap);
    if (place)
        put_u64(table_bytes(&c->table, place), cap);
    return place;
}

/* Keep `value` behind what the slot has. False: no room. */
static bool concat_keep(struct combine *c, struct table_slot *slot, struct slice value)
{
    size_t held = slot->extra == ABSENT ? 0 : slot->extra;
    size_t with = slot->extra == ABSENT ? 0 : c->fold.with.len, need = held + with + value.len;
    uint8_t *at = table_bytes(&c->table, (uint32_t)slot->value);
    if (slot->value == 0 || get_u64(at) < need) {
        uint32_t place = concat_take(c, need);
        if (place == 0)
            return false;
        if (held)
            memcpy(table_bytes(&c->table, place) + CONCAT_HEAD, at + CONCAT_HEAD, held);
        slot->value = place;
        at = table_bytes(&c->table, place);
    }
    at += CONCAT_HEAD + held;
    if (with)
        memcpy(at, c->fold.with.data, with);
    if (value.len)
        memcpy(at + with, value.data, value.len);
    slot->extra = (uint32_t)need;
    return true;
}

/* What the slot has goes out, and it has nothing. */
static int concat_out(struct combine *c, uint64_t hash, struct slice key, struct table_slot *slot)
{
    if (slot->extra == ABSENT)
        return 0;
    int rc = c->out(c->arg, hash, key, value_of(c, slot), 0);
    c->round_out++;
    c->out_records++;
    slot->extra = ABSENT;
    return rc;
}

static int concat_in(struct combine *c, struct table_slot *slot, uint64_t hash, struct slice key,
                     struct slice value, bool *ret_full)
{
    size_t held = slot->extra == ABSENT ? 0 : slot->extra + c->fold.with.len;
    int rc = held + value.len > c->fold.limit ? concat_out(c, hash, key, slot) : 0;
    if (rc == 0 && value.len > c->fold.limit) { /* by itself, behind what came before it */
        c->round_out++;
        c->out_records++;
        return c->out(c->arg, hash, key, value, 0);
    }
    *ret_full = rc == 0 && !concat_keep(c, slot, value);
    return rc;
}

/* --- one record ------------------------------------------------------------------------------ */

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
    if (c->fold.op == QN_CONCAT) {
        slot->extra = ABSENT;
        return concat_keep(c, slot, value);
    }
    if (c->fold.op == QN_FIRST) {
        slot->value = place;
        slot->extra = (uint32_t)value.len;
    } else {
        slot->value = c->fold.op == QN_COUNT ? 1 : get_u64(value.data);
        slot->extra = 1;
    }
    return true;
}

/* Into the table; *ret_full: it must be emptied first. */
static int take_in(struct combine *c, uint64_t hash, struct slice key, struct slice value,
                   bool *ret_full)
{
    struct table_slot *slot = table_find(&c->table, hash, key);
    *ret_full = false;
    if (!slot)
        *ret_full = !insert(c, hash, key, value);
    else if (c->fold.op == QN_CONCAT)
        return concat_in(c, slot, hash, key, value, ret_full);
    else if (fold_is_number(&c->fold)) {
        slot->value =
            fold_numbers(&c->fold, slot->value, c->fold.op == QN_COUNT ? 1 : get_u64(value.data));
        slot->extra++;
    }
    return 0;
}

static int add_now(struct combine *c, uint64_t hash, struct slice key, struct slice value)
{
    int rc = 0;
    bool is_full = false;
    /* What passes by must not overtake what came before it: all but plain numbers care. */
    if (c->is_aside || key.len + value.len > COMBINE_RECORD_MAX) {
        if (!c->is_aside)
            rc = timed(c, empty_table);
        return rc != 0 ? rc : pass_by(c, hash, key, value);
    }
    rc = take_in(c, hash, key, value, &is_full);
    if (rc == 0 && is_full) {
        rc = turn_over(c);
        if (rc != 0)
            return rc;
        if (c->is_aside)
            return pass_by(c, hash, key, value);
        BUG_ON(!insert(c, hash, key, value));
    }
    if (rc != 0)
        return rc;
    c->window += key.len + sizeof(struct table_slot);
    if (fold_is_exact(&c->fold) && c->window >= COMBINE_WINDOW)
        rc = turn_over(c);
    return rc;
}

/* The record whose turn it is; also when the table was given up meanwhile: it is empty then. */
static int settle(struct combine *c)
{
    const struct queued *q = queue_turn(&c->queue);
    bool is_there = q->value_len != QUEUE_NOBODY;
    return is_there ? add_now(c, q->hash, queued_key(q), queued_value(q)) : 0;
}

int combine_add(struct combine *c, uint64_t hash, struct slice key, struct slice value)
{
    int rc = c->in_records - c->round_from >= c->round_max ? timed(c, empty_table) : 0;
    c->in_records++;
    if (rc != 0)
        return rc;
    if (!c->uses_queue || !queue_takes(key, value))
        return add_now(c, hash, key, value);
    rc = settle(c);
    table_prefetch(&c->table, hash);
    queue_put(&c->queue, hash, key, value);
    return rc;
}

int combine_flush(struct combine *c)
{
    int rc = tally_flush(&c->tally);
    for (uint32_t i = 0; rc == 0 && i < QUEUE_LENGTH; i++) {
        rc = settle(c);
        queue_move(&c->queue);
    }
    queue_open(&c->queue);
    return rc == 0 ? timed(c, empty_table) : rc;
}
