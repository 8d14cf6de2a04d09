/* SPDX-License-Identifier: Apache-2.0
 * middle: the median of numbers that come one after another, in bounded memory. Pure.
 *
 * The first MIDDLE_MAX are kept in order; from then on every second, every fourth ..., so that
 * those kept are always spread evenly over all that came. */
#ifndef QUERN_JOBTRACKER_JOBS_MIDDLE_H
#define QUERN_JOBTRACKER_JOBS_MIDDLE_H

#include <stddef.h>
#include <stdint.h>

#define JT_MIDDLE_MAX 256U /* a median over so many is as good as one over all */

struct jt_middle {
    uint64_t *kept; /* ordered */
    size_t count, cap;
    uint64_t seen;
    uint32_t halvings; /* one of 2^halvings is kept */
};

/* Zeroes are empty. Without memory it is a median over fewer. */
void jt_middle_add(struct jt_middle *middle, uint64_t value);
uint64_t jt_middle_get(const struct jt_middle *middle); /* 0 of none */
void jt_middle_release(struct jt_middle *middle);

#endif
