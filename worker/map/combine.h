/* SPDX-License-Identifier: Apache-2.0
 * combine: declared folding of values at the moment they are emitted, so that a key that comes a
 * million times travels once.
 *
 *                 add                     full, or flush
 *   emit ---------------> table of keys ------------------> out (the sort buffer)
 *          aside: straight to out
 *
 * Where order does not matter, records with short keys go through a queue, in which they wait for
 * their slots. Small numbers of short keys that are added up have a table of their own: tally.
 *
 * A full table that has not halved what went into it steps aside for the rest of the task; one that
 * is full while the tally has next to nothing gets its space, too.
 *
 * Sums of doubles are folded in the same steps whatever the task's memory is: the table is emptied
 * after every COMBINE_WINDOW bytes emitted, which every task has room for, and nothing folds them
 * later but reduce, which sees them in order. */
#ifndef QUERN_WORKER_MAP_COMBINE_H
#define QUERN_WORKER_MAP_COMBINE_H

#include "worker/map/queue.h"
#include "worker/map/tally.h"
#include "worker/run/fold.h"

#define COMBINE_WINDOW     ((uint64_t)512 << 10)
#define COMBINE_RECORD_MAX ((size_t)16 << 10) /* longer ones pass by */
#define COMBINE_SPACE_MIN  ((size_t)4 << 20)

/* Takes the folded records; 0 or a negative code, which add and flush hand on. `count`: emitted
 * records that are folded into this one, told of numbers only. */
typedef int combine_out(void *arg, uint64_t hash, struct slice key, struct slice value,
                        uint64_t count);

struct combine {
    struct table table;
    struct fold fold;
    combine_out *out;
    void *arg;
    bool is_aside, uses_queue;
    void *space; /* of the table, and behind it the tally */
    size_t size;
    struct queue queue;
    struct tally tally;               /* open: combine_tally may be called */
    uint64_t window;                  /* bytes added since it was last empty */
    uint64_t round_from;              /* in_records when it was */
    uint64_t round_out;               /* records given out since */
    uint64_t round_max;               /* as many are counted in a slot */
    uint64_t in_records, out_records; /* in: into the table */
    uint64_t flush_us;                /* emptying the table, and what that led to */
};

/* Borrows `space` (64-byte aligned, at least COMBINE_SPACE_MIN). */
void combine_open(struct combine *c, const struct fold *fold, void *space, size_t size,
                  combine_out *out, void *arg);
int combine_flush(struct combine *c);

/* `hash` is key_hash(key). The value must have the fold's size. */
int combine_add(struct combine *c, uint64_t hash, struct slice key, struct slice value);

/* The same in fewer steps, where its tally is open (or was until a moment ago): for a `word` that
 * it takes, and a number less than TALLY_NUMBERS. How often a key came stands above the sum: 2^27
 * times less than 512 are less than 2^36. */
#define TALLY_NUMBERS ((uint64_t)512)
#define TALLY_ONE     ((uint64_t)1 << 36)
static inline int combine_tally(struct combine *c, uint64_t hash, uint64_t word, uint64_t number)
{
    return tally_add(&c->tally, hash, word, TALLY_ONE + number);
}

/* All that were added. */
static inline uint64_t combine_records(const struct combine *c)
{
    return c->in_records + c->tally.records;
}

#endif
