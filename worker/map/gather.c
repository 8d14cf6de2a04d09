/* SPDX-License-Identifier: Apache-2.0
 * A waiting node:  u32 place of the next node of the key (0 = last) · u32 length | FIRST ·
 *                  u64 hash of the key · the value, padded to eight bytes
 * A settled blob:  u32 capacity · u32 length · values, each a varint length and its bytes
 * Places count units of eight bytes; node places begin at 1. */
#include "worker/map/gather.h"

#include "libcommon/base/clock.h"

#define NODE_HEAD  16U
#define BLOB_HEAD  8U
#define NODE_FIRST 0x80000000U
#define WAIT_SIZE  ((size_t)512 << 10)
#define AHEAD      512 /* bytes of nodes, for whose slots the way from memory is that long */

void gather_open(struct gather *g, void *space, size_t size, gather_combine *combine,
                 combine_out *out, void *arg)
{
    BUG_ON(size < GATHER_SPACE_MIN);
    *g = (struct gather){.combine = combine,
                         .out = out,
                         .arg = arg,
                         .wait = space,
                         .wait_size = WAIT_SIZE < size / 4 ? WAIT_SIZE : size / 4,
                         .wait_used = 8};
    table_open(&g->table, (uint8_t *)space + g->wait_size, size - g->wait_size);
}

void gather_close(struct gather *g)
{
    buf_release(&g->emitted);
}

static uint8_t *node_at(const struct gather *g, uint32_t place)
{
    return g->wait + (size_t)place * 8;
}

static uint32_t first_of(const struct table_slot *slot)
{
    return (uint32_t)slot->value;
}
static uint32_t last_of(const struct table_slot *slot)
{
    return (uint32_t)(slot->value >> 32);
}

static size_t node_len(const uint8_t *node)
{
    return get_u32(node + 4) & ~NODE_FIRST;
}

static size_t node_bytes(size_t len)
{
    return NODE_HEAD + ((len + 7) & ~(size_t)7);
}

/* Values of the blob `at`, as bytes. */
static struct slice blob_values(const struct gather *g, uint32_t at)
{
    if (at == 0)
        return slice_of(NULL, 0);
    const uint8_t *blob = table_bytes(&g->table, at);
    return slice_of(blob + BLOB_HEAD, get_u32(blob + 4));
}

static bool take_settled(const uint8_t **pos, const uint8_t *end, struct slice *ret)
{
    uint64_t len = 0;
    if (*pos == end)
        return false;
    *pos += get_varint(*pos, (size_t)(end - *pos), &len);
    *ret = slice_of(*pos, (size_t)len);
    *pos += len;
    return true;
}

bool gather_next(struct gather *g, struct slice *ret_value)
{
    if (take_settled(&g->settled, g->settled_end, ret_value))
        return true;
    if (g->next == 0)
        return false;
    const uint8_t *node = node_at(g, g->next);
    *ret_value = slice_of(node + NODE_HEAD, node_len(node));
    g->next = get_u32(node);
    return true;
}

int gather_emit(struct gather *g, struct slice key, struct slice value)
{
    if (!slice_eq(key, g->key))
        return g->out(g->arg, key_hash(key), key, value);
    buf_append_varint(&g->emitted, value.len);
    buf_append_slice(&g->emitted, value);
    return buf_failed(&g->emitted) ? ERR_NOMEM : 0;
}

/* To NULL one must not even add 0. */
static const uint8_t *end_of(struct slice s)
{
    return s.len ? s.data + s.len : s.data;
}

static int out_all(struct gather *g, struct slice key, struct slice values)
{
    const uint8_t *pos = values.data, *end = end_of(values);
    struct slice value;
    uint64_t hash = key_hash(key);
    while (values.len && take_settled(&pos, end, &value)) {
        g->out_records++;
        int rc = g->out(g->arg, hash, key, value);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* Keep what combine emitted: in the blob there was, or a new one. Without room it goes out. */
static int keep(struct gather *g, struct table_slot *slot, struct slice key, struct slice values)
{
    uint32_t at = slot->extra;
    if (at == 0 || get_u32(table_bytes(&g->table, at)) < values.len) {
        at = values.len > UINT32_MAX ? 0 : table_take(&g->table, BLOB_HEAD + values.len);
        if (at)
            put_u32(table_bytes(&g->table, at), (uint32_t)values.len);
    }
    slot->extra = at;
    if (at == 0) {
        g->is_full = true;
        return out_all(g, key, values);
    }
    uint8_t *blob = table_bytes(&g->table, at);
    put_u32(blob + 4, (uint32_t)values.len);
    if (values.len)
        memcpy(blob + BLOB_HEAD, values.data, values.len);
    return 0;
}

static int settle(struct gather *g, struct table_slot *slot)
{
    uint8_t room[8];
    struct slice settled = blob_values(g, slot->extra);
    g->key = table_key(&g->table, slot, room);
    g->settled = settled.data;
    g->settled_end = end_of(settled);
    g->next = first_of(slot);
    bool is_alone = settled.len == 0 && first_of(slot) == last_of(slot);
    slot->value = 0;
    buf_clear(&g->emitted);
    int rc = 0;
    if (is_alone) {
        struct slice value;
        gather_next(g, &value);
        rc = gather_emit(g, g->key, value);
    } else {
        rc = g->combine(g->arg, g->key, g);
    }
    return rc != 0 ? rc : keep(g, slot, g->key, buf_slice(&g->emitted));
}

/* The slot whose chain begins at `place`. */
static struct table_slot *slot_of(const struct gather *g, uint64_t hash, uint32_t place)
{
    size_t i = hash & g->table.mask;
    while (first_of(&g->table.slots[i]) != place)
        i = (i + 1) & g->table.mask;
    return &g->table.slots[i];
}

/* Have the slot of the node on its way into the cache; if it is there, what it has settled. */
static void fetch_slot(const struct gather *g, const uint8_t *node)
{
    if (get_u32(node + 4) & NODE_FIRST)
        table_prefetch(&g->table, get_u64(node + 8));
}
static void fetch_blob(const struct gather *g, const uint8_t *node)
{
    const struct table_slot *slot = &g->table.slots[get_u64(node + 8) & g->table.mask];
    if ((get_u32(node + 4) & NODE_FIRST) && slot->extra)
        __builtin_prefetch(table_bytes(&g->table, slot->extra), 1);
}

static size_t walk(const struct gather *g, size_t at, size_t to,
                   void (*fetch)(const struct gather *, const uint8_t *))
{
    for (; at < to && at < g->wait_used; at += node_bytes(node_len(g->wait + at)))
        fetch(g, g->wait + at);
    return at;
}

static int settle_all(struct gather *g)
{
    size_t slots = 8, blobs = 8;
    for (size_t at = 8; at < g->wait_used;) {
        const uint8_t *node = g->wait + at;
        slots = walk(g, slots, at + AHEAD, fetch_slot);
        blobs = walk(g, blobs, at + AHEAD / 2, fetch_blob);
        if (get_u32(node + 4) & NODE_FIRST) {
            int rc = settle(g, slot_of(g, get_u64(node + 8), (uint32_t)(at / 8)));
            if (rc != 0)
                return rc;
        }
        at += node_bytes(node_len(node));
    }
    g->wait_used = 8;
    return 0;
}

/* The same by itself, measured. */
static int settle_waiting(struct gather *g)
{
    uint64_t start = clock_mono_us();
    int rc = settle_all(g);
    g->flush_us += clock_mono_us() - start;
    return rc;
}

static int empty_table(struct gather *g)
{
    uint64_t start = clock_mono_us();
    int rc = settle_all(g);
    table_each(&g->table, slot)
    {
        uint8_t room[8];
        if (rc == 0)
            rc = out_all(g, table_key(&g->table, slot, room), blob_values(g, slot->extra));
    }
    table_clear(&g->table);
    g->in_records += g->round_in;
    g->round_in = 0;
    g->is_full = false;
    g->flush_us += clock_mono_us() - start;
    return rc;
}

/* Empty the table, and give up if it was of no use. */
static int turn_over(struct gather *g)
{
    uint64_t in = g->round_in, out = g->out_records;
    int rc = empty_table(g);
    g->is_aside = in < 2 * (g->out_records - out);
    return rc;
}

/* A place for a value among those that wait; 0: full. */
static uint32_t wait_node(struct gather *g, uint64_t hash, struct slice value)
{
    size_t bytes = node_bytes(value.len);
    if (bytes > g->wait_size - g->wait_used)
        return 0;
    uint8_t *node = g->wait + g->wait_used;
    put_u32(node, 0);
    put_u32(node + 4, (uint32_t)value.len);
    put_u64(node + 8, hash);
    if (value.len)
        memcpy(node + NODE_HEAD, value.data, value.len);
    uint32_t place = (uint32_t)(g->wait_used / 8);
    g->wait_used += bytes;
    return place;
}

static void link_node(struct gather *g, struct table_slot *slot, uint32_t place)
{
    uint32_t first = first_of(slot);
    if (first) {
        put_u32(node_at(g, last_of(slot)), place);
    } else {
        uint8_t *node = node_at(g, place);
        put_u32(node + 4, get_u32(node + 4) | NODE_FIRST);
        first = place;
    }
    slot->value = (uint64_t)place << 32 | first;
}

static int pass_by(struct gather *g, uint64_t hash, struct slice key, struct slice value)
{
    g->in_records++;
    g->out_records++;
    return g->out(g->arg, hash, key, value);
}

/* The value waits at `place`: tell its key of it. Without room for the key it passes by. */
static int link_value(struct gather *g, uint64_t hash, struct slice key, uint32_t place)
{
    struct table_slot *slot = table_find(&g->table, hash, key);
    if (!slot)
        slot = table_insert(&g->table, hash, key);
    if (!slot) {
        const uint8_t *node = node_at(g, place);
        g->must_turn = true;
        return pass_by(g, hash, key, slice_of(node + NODE_HEAD, node_len(node)));
    }
    g->round_in++;
    link_node(g, slot, place);
    return 0;
}

/* Until nothing is in the queue. */
static int link_all(struct gather *g)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < g->waiting; i++) {
        const struct gather_wait *wait = &g->queue[i];
        rc = link_value(g, wait->hash, slice_of(wait->key, wait->len), wait->place);
    }
    g->waiting = 0;
    if (rc != 0 || !g->must_turn)
        return rc;
    g->must_turn = false;
    return turn_over(g);
}

int gather_flush(struct gather *g)
{
    int rc = link_all(g);
    return rc == 0 ? empty_table(g) : rc;
}

static int make_room(struct gather *g, size_t bytes)
{
    int rc = link_all(g);
    if (rc != 0 || bytes <= g->wait_size - g->wait_used)
        return rc;
    return g->is_full ? turn_over(g) : settle_waiting(g);
}

int gather_add(struct gather *g, uint64_t hash, struct slice key, struct slice value)
{
    int rc = 0;
    if (g->is_aside || key.len + value.len > COMBINE_RECORD_MAX)
        return pass_by(g, hash, key, value);
    if (node_bytes(value.len) > g->wait_size - g->wait_used)
        rc = make_room(g, node_bytes(value.len));
    if (rc != 0 || g->is_aside)
        return rc != 0 ? rc : pass_by(g, hash, key, value);
    struct gather_wait *wait = &g->queue[g->waiting++];
    table_prefetch(&g->table, hash);
    *wait = (struct gather_wait){
        .hash = hash, .place = wait_node(g, hash, value), .len = (uint32_t)key.len};
    bool is_short = key.len <= sizeof(wait->key);
    if (is_short && key.len)
        memcpy(wait->key, key.data, key.len);
    if (!is_short) { /* now, for its bytes are not ours */
        g->waiting--;
        rc = link_value(g, hash, key, wait->place);
    }
    return rc == 0 && (g->waiting == COMBINE_QUEUE || g->must_turn) ? link_all(g) : rc;
}
