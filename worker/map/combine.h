/* SPDX-License-Identifier: Apache-2.0
 * combine: declared folding of values at the moment they are emitted, so that a key that comes a
 * million times travels once.
 *
 *                 add                     full, or flush
 *   emit ---------------> table of keys ------------------> out (the sort buffer)
 *          aside: straight to out
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

struct combine {
    struct table table;
    struct fold fold;
    combine_out *out;
    void *arg;
    bool is_aside;
    uint64_t window;      /* bytes added since it was last empty */
    uint64_t round_in;    /* records added since it was last empty */
    uint64_t in_records, out_records;
};

/* Borrows `space` (64-byte aligned, at least COMBINE_SPACE_MIN). */
void combine_open(struct combine *c, const struct fold *fold, void *space, size_t size,
                  combine_out *out, void *arg);
int combine_flush(struct combine *c);

int combine_add_slow(struct combine *c, uint64_t hash, struct slice key, struct slice value);

/* `hash` is key_hash(key). The value must have the fold's size. */
static inline int combine_add(struct combine *c, uint64_t hash, struct slice key,
                              struct slice value)
{
    if (__builtin_expect(!c->is_aside && fold_is_free(&c->fold) && fold_is_number(&c->fold), 1)) {
        struct table_slot *slot = table_find(&c->table, hash, key);
        if (__builtin_expect(slot != NULL, 1)) {
            uint64_t v = c->fold.op == QN_COUNT ? 1 : get_u64(value.data);
            slot->value = fold_numbers(&c->fold, slot->value, v);
            c->round_in++;
            return 0;
        }
    }
    return combine_add_slow(c, hash, key, value);
}

#endif
