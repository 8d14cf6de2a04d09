/* SPDX-License-Identifier: Apache-2.0
 * meter: how the time between calls back and forth (the job's callbacks, and what they call: emit,
 * next) is shared between the two sides, from a sample. Reading a clock at each of a hundred
 * million calls would cost more than what it measures; so now and then a burst of METER_MOVES calls
 * is measured, and the shares are taken for those of the whole.
 *
 * Whoever runs callbacks begins a burst every few thousand calls and, while one is on, says at each
 * step which side time belongs to from then on (meter_move). A burst that something long fell into
 * which is measured by itself (a spill, a read) is to be dropped (meter_drop); one during which
 * another process took the core is not counted: its milliseconds belong to no side. Outside a burst
 * the calls are not slowed: emit and next are put into the host table for the burst only. */
#ifndef QUERN_WORKER_PLUGIN_METER_H
#define QUERN_WORKER_PLUGIN_METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#else
#include <time.h>
#endif

#define METER_MOVES 32U

enum meter_side { METER_USER, METER_EMIT, METER_MERGE, METER_SIDES };

struct meter {
    uint64_t ticks[METER_SIDES]; /* of finished bursts */
    uint64_t burst[METER_SIDES]; /* of the one that is on */
    uint64_t last;               /* when the side in hand began */
    uint64_t cost;               /* of looking at the clock once */
    long pushed_aside;           /* how often, when the burst began, another had taken the core */
    enum meter_side side;
    uint32_t left; /* moves of the burst; 0 = none is on */
};

/* Learns what a look at the clock costs. */
void meter_open(struct meter *meter);
void meter_begin(struct meter *meter, enum meter_side side);
/* Forget the burst that is on, if one is. */
void meter_drop(struct meter *meter);
/* Of `us`, which the sides took together, that of `side`. All is METER_USER's when nothing was
 * measured. */
uint64_t meter_share(const struct meter *meter, enum meter_side side, uint64_t us);

/* Any clock whose ticks are alike: only shares are asked for. */
static inline uint64_t meter_clock(void)
{
#if defined(__x86_64__)
    return __rdtsc();
#else
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
#endif
}

static inline bool meter_is_on(const struct meter *meter)
{
    return meter->left > 0;
}

void meter_end(struct meter *meter);

/* From `now` on it is `side`'s time. False: that was the burst's last move. */
static inline bool meter_move_at(struct meter *meter, enum meter_side side, uint64_t now)
{
    uint64_t passed = now - meter->last;
    meter->burst[meter->side] += passed > meter->cost ? passed - meter->cost : 0;
    meter->side = side;
    if (--meter->left == 0) {
        meter_end(meter);
        return false;
    }
    meter->last = now;
    return true;
}

static inline bool meter_move(struct meter *meter, enum meter_side side)
{
    if (!meter_move_at(meter, side, meter_clock()))
        return false;
    meter->last = meter_clock(); /* not counting what was just done */
    return true;
}

#endif
