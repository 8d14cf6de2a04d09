/* SPDX-License-Identifier: Apache-2.0
 * gather: the job's own combine, run at emit. Each key has a little room in which its values wait;
 * when it is full, combine makes of them what goes on waiting there.
 *
 *            add                    room full                table full, or flush
 *   emit ---------> values of a key ----------> the same, fewer ------------------> out
 *          aside: straight to out     combine                      combine
 *
 * Rooms begin small and grow with their keys: one that comes a million times costs a call for each
 * thirty values, one that comes now and then a few bytes. A key whose values are the same number
 * again and again, as counts are, needs none: its slot says how often. Records go through a queue
 * first, and are looked at twice in it: their slots come from memory, then the rooms.
 *
 * As long as a short key's number has always been the first one's, short keys are in a tally, which
 * only counts; at the first other number it is emptied and closed. Each key is in one of both.
 *
 * A full table that has not halved what went into it steps aside for the rest of the task. Combine
 * is promised to be associative and commutative; how often it runs hangs on the task's memory. */
#ifndef QUERN_WORKER_MAP_GATHER_H
#define QUERN_WORKER_MAP_GATHER_H

#include "worker/map/combine.h"
#include "worker/map/tally.h"

#define GATHER_SPACE_MIN COMBINE_SPACE_MIN
#define GATHER_ROOMS     4U /* sizes of rooms that are used again */

struct gather;

/* Run the job's combine for a key (kept form): it takes values with gather_next and gives what
 * remains with gather_emit. 0 or a negative code. */
typedef int gather_combine(void *arg, struct slice key, struct gather *g);

struct gather {
    struct table table; /* slots: see struct gather_room */
    struct queue queue;
    struct tally tally; /* open: gather_count may be called */
    uint64_t only;      /* ... for this number */
    void *space;        /* of the table, and behind it the tally */
    size_t size;
    uint32_t free[GATHER_ROOMS]; /* rooms given back: the first of each size */
    bool is_numbers;             /* values are eight bytes each, else prefixed by their lengths */
    bool has_waiting;            /* in the queue, perhaps */
    bool is_aside;
    gather_combine *combine;
    combine_out *out;
    void *arg;
    uint64_t round_from;              /* in_records when the table was last empty */
    uint64_t in_records, out_records; /* in: into the table */
    uint64_t flush_us;                /* emptying the table, and what that led to */
    /* of the combine call under way */
    struct slice key;
    const uint8_t *pos, *end;
    size_t step, left; /* of numbers: 0 = the same one, and how many there are */
    uint64_t same;
    struct buf emitted;
};

/* Borrows `space` (64-byte aligned, at least GATHER_SPACE_MIN). */
struct gather_conf {
    void *space;
    size_t size;
    bool is_numbers; /* all values have eight bytes */
    gather_combine *combine;
    combine_out *out;
    void *arg;
};
void gather_open(struct gather *g, const struct gather_conf *conf);
void gather_close(struct gather *g);
int gather_add(struct gather *g, uint64_t hash, struct slice key, struct slice value);
int gather_flush(struct gather *g);

/* All that were added. */
static inline uint64_t gather_records(const struct gather *g)
{
    return g->in_records + g->tally.records;
}

/* gather_add for what an open tally takes: `only` again, and a `word` of a key of so many bytes. A
 * key that came GATHER_SAME_MAX times goes out. */
static inline bool gather_counts(const struct gather *g, uint64_t number, uint64_t word, size_t len)
{
    return number == g->only && tally_takes(word, len);
}
#define GATHER_ONE ((uint64_t)1 << 47)
static inline int gather_count(struct gather *g, uint64_t hash, uint64_t word)
{
    return tally_add(&g->tally, hash, word, GATHER_ONE);
}

/* Inside a combine call. Another key than the one in hand goes straight to out. */
int gather_emit(struct gather *g, struct slice key, struct slice value);
/* Inside a combine call: the next value of the key, false = no more. */
bool gather_next_prefixed(struct gather *g, struct slice *ret_value);
static inline bool gather_next(struct gather *g, struct slice *ret_value)
{
    if (!g->is_numbers)
        return gather_next_prefixed(g, ret_value);
    if (g->left == 0)
        return false;
    *ret_value = slice_of(g->pos, 8);
    g->pos += g->step;
    g->left--;
    return true;
}
/* ... or, where they are numbers, all that are left: each is `step` bytes behind the one before. */
static inline void gather_hand_over(struct gather *g, const uint8_t **ret_at, size_t *ret_step,
                                    size_t *ret_left)
{
    *ret_at = g->pos;
    *ret_step = g->step;
    *ret_left = g->is_numbers ? g->left : 0;
    g->left -= *ret_left;
}

/* What a slot says of its key's values. As long as they are the same number: `value` is it, `extra`
 * is GATHER_SAME and how often it came. Else of their room: `value` is its place in the arena and,
 * in its upper half, how many bytes are used; `extra` its size, a power of two, and in the bits
 * below GATHER_SIZE how often it has been full. */
#define GATHER_SAME     ((uint32_t)1 << 31)
#define GATHER_SAME_MAX ((uint32_t)1 << 16) /* more go out: combine may emit them all */
static inline bool gather_is_same(const struct table_slot *slot)
{
    return slot->extra >= GATHER_SAME;
}
static inline bool gather_is_one_more(const struct table_slot *slot, uint64_t value)
{
    return slot->extra - GATHER_SAME < GATHER_SAME_MAX && slot->value == value;
}
#define GATHER_USED 32
#define GATHER_SIZE (~(uint32_t)31)
static inline uint32_t gather_used(const struct table_slot *slot)
{
    return (uint32_t)(slot->value >> GATHER_USED);
}
static inline uint32_t gather_size(const struct table_slot *slot)
{
    return slot->extra & GATHER_SIZE;
}
static inline bool gather_has_room(const struct table_slot *slot, size_t need)
{
    return !gather_is_same(slot) && gather_used(slot) + need <= gather_size(slot);
}
static inline uint8_t *gather_room(const struct gather *g, const struct table_slot *slot)
{
    return table_bytes(&g->table, (uint32_t)slot->value);
}

/* Into a room that has so much left. */
static inline void gather_put(const struct gather *g, struct table_slot *slot, uint64_t number)
{
    put_u64(gather_room(g, slot) + gather_used(slot), number);
    slot->value += (uint64_t)8 << GATHER_USED;
}

/* Where the record that is half way through the queue will put its value; and all of a room that is
 * about to be full, as combine reads it. */
static inline void gather_prefetch(const struct gather *g)
{
    const struct queued *q = queue_half_way(&g->queue);
    const struct table_slot *slot = table_first(&g->table, q->hash);
    if (gather_is_same(slot))
        return;
    const uint8_t *room = gather_room(g, slot);
    uint32_t used = gather_used(slot);
    __builtin_prefetch(room + used, 1);
    if (used + 16 > gather_size(slot))
        for (uint32_t at = 0; at + 64 <= used; at += 64)
            __builtin_prefetch(room + at, 1);
}

/* gather_add in fewer steps, for numbers, where the tally is not open: a key of at most eight
 * bytes, `word` its key_word. */
int gather_add_word_slowly(struct gather *g, uint64_t hash, uint64_t word, size_t len,
                           uint64_t value);
static inline int gather_add_word(struct gather *g, uint64_t hash, uint64_t word, size_t len,
                                  uint64_t value)
{
    const struct queued *q = queue_turn(&g->queue);
    struct table_slot *slot = table_first(&g->table, q->hash);
    if (__builtin_expect(slot->tag != q->tag || slot->word != q->key[0], 0))
        return gather_add_word_slowly(g, hash, word, len, value);
    if (gather_is_one_more(slot, q->value))
        slot->extra++;
    else if (gather_has_room(slot, 8))
        gather_put(g, slot, q->value);
    else
        return gather_add_word_slowly(g, hash, word, len, value);
    g->in_records++;
    table_prefetch(&g->table, hash);
    gather_prefetch(g);
    queue_put_word(&g->queue, hash, word, len, value);
    return 0;
}

#endif
