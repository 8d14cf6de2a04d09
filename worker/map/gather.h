/* SPDX-License-Identifier: Apache-2.0
 * gather: the job's own combine, run at emit. Values wait in chains, one per key, in a small
 * stretch that stays in the cache; when it is full each key with something waiting is *settled*:
 * combine gets what it settled before and what waits, and what it emits is settled now.
 *
 *            add                      stretch full                     table full, or flush
 *   emit ---------> waiting values -----------------> settled values -----------------------> out
 *          aside: straight to out        combine
 *
 * Keys wait in a small queue, as in combine, and what is settled is fetched ahead: else each word
 * of a large vocabulary waits for memory three times. A key that finds no room passes by, and the
 * table is emptied.
 *
 * A full table that has not halved what went into it steps aside for the rest of the task. Combine
 * is promised to be associative and commutative; how often it runs hangs on the task's memory. */
#ifndef QUERN_WORKER_MAP_GATHER_H
#define QUERN_WORKER_MAP_GATHER_H

#include "worker/map/combine.h"

#define GATHER_SPACE_MIN COMBINE_SPACE_MIN

struct gather;

/* Run the job's combine for a key (kept form): it takes values with gather_next and gives what
 * remains with gather_emit. 0 or a negative code. */
typedef int gather_combine(void *arg, struct slice key, struct gather *g);

/* A value that waits, and its key while the key's slot is on its way from memory. */
struct gather_wait {
    uint64_t hash;
    uint32_t place, len;
    uint8_t key[COMBINE_QUEUE_KEY];
};

struct gather {
    struct table table; /* slot.value: first and last waiting node; slot.extra: settled blob */
    uint8_t *wait;      /* nodes */
    size_t wait_size, wait_used;
    gather_combine *combine;
    combine_out *out;
    void *arg;
    bool is_aside, is_full;
    bool must_turn; /* a key found no room in the table */
    uint32_t waiting;
    struct gather_wait queue[COMBINE_QUEUE];
    uint64_t round_in, in_records, out_records;
    uint64_t flush_us; /* combining what waits and emptying the table, and what that led to */
    /* of the combine call under way */
    struct slice key;
    const uint8_t *settled, *settled_end;
    uint32_t next;
    struct buf emitted;
};

/* Borrows `space` (64-byte aligned, at least GATHER_SPACE_MIN). */
void gather_open(struct gather *g, void *space, size_t size, gather_combine *combine,
                 combine_out *out, void *arg);
void gather_close(struct gather *g);
int gather_add(struct gather *g, uint64_t hash, struct slice key, struct slice value);
int gather_flush(struct gather *g);

/* Inside a combine call: the next value of the key, false = no more. */
bool gather_next(struct gather *g, struct slice *ret_value);
/* Inside a combine call. Another key than the one in hand goes straight to out. */
int gather_emit(struct gather *g, struct slice key, struct slice value);

#endif
