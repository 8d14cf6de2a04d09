/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/topk.h"

#include <string.h>

#include "libcommon/base/err.h"

void topk_init(struct topk *t, uint32_t capacity)
{
    BUG_ON(capacity == 0 || capacity > TOPK_MAX);
    memset(t, 0, sizeof(*t));
    t->capacity = capacity;
}

static uint16_t mark_of(uint64_t hash)
{
    return (uint16_t)(hash >> 48);
}

/* Where it is held; t->count: nowhere. All marks are compared, several at a time, before any hash
 * is: most keys of a long stream are held nowhere. */
static uint32_t find(const struct topk *t, uint64_t hash)
{
    uint16_t mark = mark_of(hash), is_like = 0;
    for (uint32_t i = 0; i < TOPK_MAX; i++)
        is_like |= t->marks[i] == mark;
    if (!is_like)
        return t->count;
    for (uint32_t i = 0; i < t->count; i++)
        if (t->hashes[i] == hash)
            return i;
    return t->count;
}

static uint32_t least(const struct topk *t)
{
    uint32_t at = 0;
    for (uint32_t i = 1; i < t->count; i++)
        if (t->cells[i].high < t->cells[at].high)
            at = i;
    return at;
}

/* The same, where it usually is: behind the one that was least before, and as low. None held is
 * ever lower than one that was. */
static uint32_t next_least(struct topk *t)
{
    for (uint32_t n = 0; n < t->count; n++) {
        t->at = t->at + 1 < t->count ? t->at + 1 : 0;
        if (t->cells[t->at].high <= t->floor)
            return t->at;
    }
    t->at = least(t);
    t->floor = t->cells[t->at].high;
    return t->at;
}

uint64_t topk_absent(const struct topk *t)
{
    uint64_t held = t->count == t->capacity ? t->cells[least(t)].high : 0;
    return held > t->missed ? held : t->missed;
}

static void put(struct topk *t, uint32_t at, uint64_t hash, const struct topk_cell *cell)
{
    t->hashes[at] = hash;
    t->marks[at] = mark_of(hash);
    t->cells[at] = *cell;
}

void topk_add(struct topk *t, uint64_t hash, struct slice key, uint64_t weight)
{
    uint32_t at = find(t, hash);
    t->total += weight;
    if (at < t->count) {
        t->cells[at].low += weight;
        t->cells[at].high += weight;
        return;
    }
    bool is_full = t->count == t->capacity;
    at = is_full ? next_least(t) : t->count++;
    uint64_t absent = is_full && t->cells[at].high > t->missed ? t->cells[at].high : t->missed;
    struct topk_cell cell = {.low = weight, .high = absent + weight};
    cell.key_len = (uint8_t)(key.len < TOPK_KEY ? key.len : TOPK_KEY);
    if (cell.key_len)
        memcpy(cell.key, key.data, cell.key_len);
    put(t, at, hash, &cell);
}

/* In the place of the least held, if it may have come more often. Either way nobody knows of one
 * key any more. */
static void contend(struct topk *t, uint64_t hash, const struct topk_cell *cell)
{
    if (t->count < t->capacity) {
        put(t, t->count++, hash, cell);
        return;
    }
    uint32_t at = least(t);
    uint64_t lost = cell->high;
    if (t->cells[at].high < cell->high) {
        lost = t->cells[at].high;
        put(t, at, hash, cell);
    }
    if (lost > t->missed)
        t->missed = lost;
}

void topk_merge(struct topk *t, const struct topk *from)
{
    uint64_t mine = topk_absent(t), theirs = topk_absent(from);
    bool is_known[TOPK_MAX] = {false}; /* of `from`, to both */
    for (uint32_t i = 0; i < t->count; i++) {
        uint32_t other = find(from, t->hashes[i]);
        if (other < from->count) {
            is_known[other] = true;
            t->cells[i].low += from->cells[other].low;
            t->cells[i].high += from->cells[other].high;
        } else {
            t->cells[i].high += theirs;
        }
    }
    t->total += from->total;
    t->missed = mine + theirs;
    for (uint32_t i = 0; i < from->count; i++) {
        struct topk_cell cell = from->cells[i];
        if (is_known[i])
            continue;
        cell.high += mine;
        contend(t, from->hashes[i], &cell);
    }
}

uint32_t topk_order(const struct topk *t, uint32_t order[TOPK_MAX])
{
    for (uint32_t i = 0; i < t->count; i++) {
        uint32_t at = i;
        for (; at > 0 && t->cells[order[at - 1]].high < t->cells[i].high; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    return t->count;
}
