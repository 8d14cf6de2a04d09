/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/map/gather.h"

#include "libcommon/base/clock.h"
#include "worker/run/record.h"

#define ROOM_LEAST  32U
#define ROOM_HOT    (ROOM_LEAST << (GATHER_ROOMS - 1)) /* to which they grow without need */
#define ROOM_MOST   ((uint32_t)1 << 30)
#define FULL_BEFORE 3U /* times that a room of one size must have been full for that */

void gather_close(struct gather *g)
{
    buf_release(&g->emitted);
}

/* --- rooms ----------------------------------------------------------------------------------- */

static struct slice held_by(const struct gather *g, const struct table_slot *slot)
{
    return slice_of(gather_room(g, slot), gather_used(slot));
}

/* Which list a room of this size goes to. */
static uint32_t list_of(uint32_t size)
{
    return (uint32_t)__builtin_ctz(size / ROOM_LEAST);
}

/* 0: there is none. */
static uint32_t take_room(struct gather *g, uint32_t size)
{
    uint32_t *first = size <= ROOM_HOT ? &g->free[list_of(size)] : NULL;
    if (!first || *first == 0)
        return table_take(&g->table, size);
    uint32_t place = *first;
    *first = get_u32(table_bytes(&g->table, place));
    return place;
}

static void give_back(struct gather *g, uint32_t place, uint32_t size)
{
    if (size == 0 || size > ROOM_HOT)
        return;
    put_u32(table_bytes(&g->table, place), g->free[list_of(size)]);
    g->free[list_of(size)] = place;
}

static void hold(struct gather *g, struct table_slot *slot, struct slice values)
{
    if (values.len)
        memmove(gather_room(g, slot), values.data, values.len);
    slot->value = (uint64_t)values.len << GATHER_USED | (uint32_t)slot->value;
}

/* ... since it was made, as far as FULL_BEFORE. */
static uint32_t times_full(const struct table_slot *slot)
{
    return slot->extra & ~GATHER_SIZE;
}

/* What size is right where so much is held and `need` comes? One that often has been full may as
 * well be larger. 0: none is. */
static uint32_t right_size(const struct table_slot *slot, size_t held, size_t need)
{
    uint32_t size = gather_size(slot) ? gather_size(slot) : ROOM_LEAST;
    if (2 * held + need > ROOM_MOST)
        return 0;
    if (size < ROOM_HOT && times_full(slot) == FULL_BEFORE)
        size *= 2;
    while (size < 2 * held + need)
        size *= 2;
    return size;
}

/* --- combining ------------------------------------------------------------------------------- */

int gather_emit(struct gather *g, struct slice key, struct slice value)
{
    bool is_same = key.data == g->key.data && key.len == g->key.len;
    if (!is_same && !slice_eq(key, g->key))
        return g->out(g->arg, key_hash(key), key, value, 0);
    BUG_ON(g->is_numbers && value.len != 8);
    if (!g->is_numbers)
        buf_append_varint(&g->emitted, value.len);
    buf_append_slice(&g->emitted, value);
    return buf_failed(&g->emitted) ? ERR_NOMEM : 0;
}

static void read_values(struct gather *g, struct slice values)
{
    g->pos = values.data;
    g->end = values.len ? values.data + values.len : values.data; /* to NULL add not even 0 */
    g->step = 8;
    g->left = values.len / 8;
}

bool gather_next_prefixed(struct gather *g, struct slice *ret_value)
{
    uint64_t len = 0;
    if (g->pos == g->end)
        return false;
    g->pos += get_varint(g->pos, (size_t)(g->end - g->pos), &len);
    *ret_value = slice_of(g->pos, (size_t)len);
    g->pos += len;
    return true;
}

/* The slot's values, for gather_next. */
static struct slice read_slot(struct gather *g, const struct table_slot *slot)
{
    bool is_same = gather_is_same(slot);
    g->same = slot->value;
    struct slice values = is_same ? slice_of(&g->same, 8) : held_by(g, slot);
    read_values(g, values);
    if (is_same) {
        g->step = 0;
        g->left = slot->extra - GATHER_SAME;
    }
    return values;
}

static bool is_one(struct gather *g, const struct table_slot *slot)
{
    struct slice first;
    read_slot(g, slot);
    return gather_next(g, &first) && (g->is_numbers ? g->left == 0 : g->pos == g->end);
}

/* What there is of a key's values once combine has seen them together: borrows the slot's room, or
 * what was emitted. */
static int combined(struct gather *g, const struct table_slot *slot, struct slice key,
                    struct slice *ret)
{
    bool is_done = is_one(g, slot);
    *ret = read_slot(g, slot);
    if (ret->len == 0 || is_done)
        return 0;
    g->key = key;
    buf_clear(&g->emitted);
    int rc = g->combine(g->arg, key, g);
    *ret = buf_slice(&g->emitted);
    return rc;
}

static int out_all(struct gather *g, uint64_t hash, struct slice key, struct slice values)
{
    struct slice value;
    int rc = 0;
    read_values(g, values);
    while (rc == 0 && gather_next(g, &value)) {
        g->out_records++;
        rc = g->out(g->arg, hash, key, value, 0);
    }
    return rc;
}

/* Combine what the slot holds, and have room for `need` more bytes; *ret_full: there is none. */
static int make_room(struct gather *g, struct table_slot *slot, size_t need, bool *ret_full)
{
    uint8_t bytes[8];
    struct slice key = table_key(&g->table, slot, bytes), values;
    int rc = combined(g, slot, key, &values);
    if (rc != 0)
        return rc;
    if (gather_is_same(slot))
        slot->value = slot->extra = 0;
    uint32_t old = (uint32_t)slot->value, old_size = gather_size(slot);
    uint32_t size = right_size(slot, values.len, need);
    uint32_t larger = size > old_size ? take_room(g, size) : 0;
    if (larger) {
        slot->value = larger;
        slot->extra = size;
    } else if (times_full(slot) < FULL_BEFORE) {
        slot->extra++;
    }
    bool fits = values.len <= gather_size(slot);
    hold(g, slot, fits ? values : slice_of(NULL, 0));
    if (larger)
        give_back(g, old, old_size);
    *ret_full = !gather_has_room(slot, need);
    return fits ? 0 : out_all(g, key_hash(key), key, values);
}

/* What combine leaves of a key's values goes out. */
static int let_out(struct gather *g, const struct table_slot *slot)
{
    uint8_t bytes[8];
    struct slice key = table_key(&g->table, slot, bytes), values;
    int rc = combined(g, slot, key, &values);
    return rc == 0 ? out_all(g, key_hash(key), key, values) : rc;
}

/* tally_out */
static int counted(void *arg, uint64_t hash, struct slice key, uint64_t both)
{
    struct gather *g = arg;
    const struct table_slot all = {.word = key_word(key.data, key.len),
                                   .value = g->only,
                                   .tag = table_tag(hash, key.len),
                                   .extra = GATHER_SAME + (uint32_t)(both / GATHER_ONE)};
    return let_out(g, &all);
}

static void open_table(struct gather *g, size_t size)
{
    table_open(&g->table, g->space, size, size / 2);
    memset(g->free, 0, sizeof(g->free));
}

void gather_open(struct gather *g, const struct gather_conf *conf)
{
    size_t half = conf->is_numbers ? conf->size / 2 & ~(size_t)63 : 0;
    BUG_ON(conf->size < GATHER_SPACE_MIN);
    *g = (struct gather){.is_numbers = conf->is_numbers,
                         .space = conf->space,
                         .size = conf->size,
                         .combine = conf->combine,
                         .out = conf->out,
                         .arg = conf->arg};
    queue_open(&g->queue);
    open_table(g, g->size - half);
    if (half)
        tally_open(&g->tally, (uint8_t *)g->space + (g->size - half), half, counted, g);
}

static int empty_table(struct gather *g)
{
    int rc = 0;
    table_each(&g->table, slot)
    {
        if (rc == 0)
            rc = let_out(g, slot);
    }
    table_clear(&g->table);
    memset(g->free, 0, sizeof(g->free));
    g->round_from = g->in_records;
    return rc;
}

static int flush_table(struct gather *g)
{
    uint64_t start = clock_mono_us();
    int rc = empty_table(g);
    g->flush_us += clock_mono_us() - start;
    return rc;
}

/* The tally's keys go out, and an empty table gets its space. */
static int close_tally(struct gather *g)
{
    int rc = tally_flush(&g->tally);
    tally_close(&g->tally);
    open_table(g, g->size);
    return rc;
}

/* Empty the table, and give up if it was of no use. */
static int turn_over(struct gather *g)
{
    uint64_t in = g->in_records - g->round_from, out = g->out_records;
    bool wants_more = g->tally.is_open && g->tally.count < g->table.count / TALLY_SHARE;
    int rc = flush_table(g);
    g->is_aside = in < 2 * (g->out_records - out);
    return rc == 0 && wants_more ? close_tally(g) : rc;
}

/* --- one record ------------------------------------------------------------------------------ */

static int pass_by(struct gather *g, uint64_t hash, struct slice key, struct slice value)
{
    g->out_records++;
    return g->out(g->arg, hash, key, value, 0);
}

static void append(struct gather *g, struct table_slot *slot, struct slice value)
{
    uint8_t *at = gather_room(g, slot) + gather_used(slot);
    size_t head = g->is_numbers ? 0 : record_varint(at, value.len);
    if (value.len)
        memcpy(at + head, value.data, value.len);
    slot->value += (uint64_t)(head + value.len) << GATHER_USED;
}

/* A number into the slot itself, if its key has had no other since it was empty. */
static int count_same(struct gather *g, struct table_slot *slot, uint64_t number, bool *ret_done)
{
    bool is_new = slot->extra == 0;
    int rc = 0;
    *ret_done = is_new || (gather_is_same(slot) && slot->value == number);
    if (!*ret_done)
        return 0;
    if (!is_new && !gather_is_one_more(slot, number)) {
        rc = let_out(g, slot);
        is_new = true;
    }
    slot->value = number;
    slot->extra = (is_new ? GATHER_SAME : slot->extra) + 1;
    return rc;
}

/* An empty table has room for any record, so this ends. */
static int add_now(struct gather *g, uint64_t hash, struct slice key, struct slice value)
{
    uint8_t head[10];
    size_t need = value.len + (g->is_numbers ? 0 : record_varint(head, value.len));
    int rc = 0;
    while (rc == 0 && !g->is_aside) {
        struct table_slot *slot = table_find(&g->table, hash, key);
        if (!slot)
            slot = table_insert(&g->table, hash, key);
        bool is_full = !slot, is_done = false;
        if (slot && g->is_numbers)
            rc = count_same(g, slot, get_u64(value.data), &is_done);
        if (rc != 0 || is_done)
            return rc;
        if (slot && !gather_has_room(slot, need))
            rc = make_room(g, slot, need, &is_full);
        if (rc == 0 && !is_full) {
            append(g, slot, value);
            return 0;
        }
        if (rc == 0)
            rc = turn_over(g);
    }
    return rc != 0 ? rc : pass_by(g, hash, key, value);
}

/* The record whose turn it is. */
static int settle(struct gather *g)
{
    const struct queued *q = queue_turn(&g->queue);
    bool is_there = q->value_len != QUEUE_NOBODY;
    return is_there ? add_now(g, q->hash, queued_key(q), queued_value(q)) : 0;
}

/* Nothing waits any longer. */
static int settle_all(struct gather *g)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < QUEUE_LENGTH; i++) {
        rc = settle(g);
        queue_move(&g->queue);
    }
    queue_open(&g->queue);
    g->has_waiting = false;
    return rc;
}

/* A key's values stay in order: before a long one, what waits is looked up. (A long key always goes
 * this way.) */
static int add_long(struct gather *g, uint64_t hash, struct slice key, struct slice value)
{
    int rc = g->has_waiting && value.len > 8 ? settle_all(g) : 0;
    return rc == 0 ? add_now(g, hash, key, value) : rc;
}

/* Behind what its key has waiting: in the queue, or in the table. */
static int add_beside(struct gather *g, uint64_t hash, struct slice key, struct slice value)
{
    int rc = g->has_waiting ? settle_all(g) : 0;
    struct table_slot *slot = rc == 0 && !g->is_aside ? table_find(&g->table, hash, key) : NULL;
    if (slot) {
        rc = let_out(g, slot);
        hold(g, slot, slice_of(NULL, 0));
    }
    return rc == 0 ? pass_by(g, hash, key, value) : rc;
}

/* The tally is open and may be this key's. *ret_done: it was; else it is not, or no longer. */
static int try_tally(struct gather *g, uint64_t hash, struct slice key, uint64_t number,
                     bool *ret_done)
{
    uint64_t word = key.len - 1 < 8 ? tally_word(key_word(key.data, key.len), key.len) : 0;
    *ret_done = false;
    if (word == 0 || !tally_takes(word, key.len))
        return 0;
    if (g->tally.records == 0)
        g->only = number;
    *ret_done = number == g->only;
    if (*ret_done)
        return gather_count(g, hash, word);
    int rc = flush_table(g);
    return rc == 0 ? close_tally(g) : rc;
}

int gather_add(struct gather *g, uint64_t hash, struct slice key, struct slice value)
{
    bool is_done = false;
    if (g->tally.is_open) {
        int rc = try_tally(g, hash, key, get_u64(value.data), &is_done);
        if (rc != 0 || is_done)
            return rc;
    }
    g->in_records++;
    if (g->is_aside || key.len + value.len > COMBINE_RECORD_MAX)
        return add_beside(g, hash, key, value);
    if (!queue_takes(key, value))
        return add_long(g, hash, key, value);
    int rc = settle(g);
    table_prefetch(&g->table, hash);
    gather_prefetch(g);
    queue_put(&g->queue, hash, key, value);
    g->has_waiting = true;
    return rc;
}

int gather_add_word_slowly(struct gather *g, uint64_t hash, uint64_t word, size_t len,
                           uint64_t value)
{
    int rc = settle(g);
    g->in_records++;
    table_prefetch(&g->table, hash);
    gather_prefetch(g);
    queue_put_word(&g->queue, hash, word, len, value);
    g->has_waiting = true;
    return rc;
}

int gather_flush(struct gather *g)
{
    int rc = tally_flush(&g->tally);
    if (rc == 0)
        rc = settle_all(g);
    return rc == 0 ? flush_table(g) : rc;
}
