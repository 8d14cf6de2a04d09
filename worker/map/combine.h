/* SPDX-License-Identifier: Apache-2.0
 * combine: declared folding of values at the moment they are emitted, so that a key that comes a
 * million times travels once.
 *
 *                 add                     full, or flush
 *   emit ---------------> table of keys ------------------> out (the sort buffer)
 *          aside: straight to out
 *
 * Where order does not matter, records with short keys wait in a small queue while their slots are
 * on their way from memory: a table of many keys does not fit the cache, and one lookup at a time
 * would wait for each. When the queue is full all of them are looked up in a row.
 *
 * A full table that has not halved what went into it steps aside for the rest of the task.
 *
 * Sums of doubles are folded in the same steps whatever the task's memory is: the table is emptied
 * after every COMBINE_WINDOW bytes emitted, which every task has room for, and nothing folds them
 * later but reduce, which sees them in order. */
#ifndef QUERN_WORKER_MAP_COMBINE_H
#define QUERN_WORKER_MAP_COMBINE_H

#include "worker/map/table.h"
#include "worker/run/fold.h"

#define COMBINE_WINDOW     ((uint64_t)512 << 10)
#define COMBINE_RECORD_MAX ((size_t)16 << 10) /* longer ones pass by */
#define COMBINE_SPACE_MIN  ((size_t)4 << 20)

/* Takes the folded records; 0 or a negative code, which add and flush hand on. */
typedef int combine_out(void *arg, uint64_t hash, struct slice key, struct slice value);

/* A record on its way into the table. */
#define COMBINE_QUEUE     32U
#define COMBINE_QUEUE_KEY 24U /* bytes of key at most */
struct combine_wait {
    uint64_t hash, value;
    uint64_t len;
    uint64_t key[COMBINE_QUEUE_KEY / 8]; /* zero-padded */
};

struct combine {
    struct table table;
    struct fold fold;
    combine_out *out;
    void *arg;
    bool is_aside, uses_queue;
    uint32_t waiting; /* in the queue */
    struct combine_wait queue[COMBINE_QUEUE];
    uint64_t window;                  /* bytes added since it was last empty */
    uint64_t round_in;                /* records added since it was last empty */
    uint64_t round_out;               /* and given out meanwhile */
    uint64_t in_records, out_records; /* in: before the last emptying; combine_taken has all */
    uint64_t flush_us;                /* emptying the table, and what that led to */
};

/* Borrows `space` (64-byte aligned, at least COMBINE_SPACE_MIN). */
void combine_open(struct combine *c, const struct fold *fold, void *space, size_t size,
                  combine_out *out, void *arg);
int combine_flush(struct combine *c);

int combine_add_slow(struct combine *c, uint64_t hash, struct slice key, struct slice value);
/* Look up all that wait. */
int combine_settle(struct combine *c);
/* Records that were added. */
static inline uint64_t combine_taken(const struct combine *c)
{
    return c->in_records + c->round_in + c->waiting;
}

/* Of a combine that uses its queue, a key of at most COMBINE_QUEUE_KEY bytes. `word`: its
 * key_word. The caller settles when COMBINE_QUEUE of them wait. */
static inline void combine_queue(struct combine *c, uint64_t hash, uint64_t word, struct slice key,
                                 struct slice value)
{
    struct combine_wait *wait = &c->queue[c->waiting];
    table_prefetch(&c->table, hash);
    wait->hash = hash;
    wait->len = key.len;
    wait->value = c->fold.op == QN_COUNT ? 1 : get_u64(value.data);
    wait->key[0] = word;
    if (__builtin_expect(key.len > 8, 0)) {
        wait->key[1] = key_word(key.data + 8, key.len - 8);
        if (key.len > 16)
            wait->key[2] = key_word(key.data + 16, key.len - 16);
    }
    c->waiting++;
}

/* `hash` is key_hash(key). The value must have the fold's size. */
static inline int combine_add(struct combine *c, uint64_t hash, struct slice key,
                              struct slice value)
{
    if (!c->uses_queue || key.len > COMBINE_QUEUE_KEY)
        return combine_add_slow(c, hash, key, value);
    combine_queue(c, hash, key_word(key.data, key.len), key, value);
    return c->waiting == COMBINE_QUEUE ? combine_settle(c) : 0;
}

#endif
