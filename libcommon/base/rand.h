/* SPDX-License-Identifier: Apache-2.0
 * rand: a seeded generator (xoshiro256**, Blackman and Vigna) for pure modules, tests and jitter.
 * Not for secrets: rand_secret asks the kernel. */
#ifndef QUERN_BASE_RAND_H
#define QUERN_BASE_RAND_H

#include "libcommon/base/err.h"

struct rand {
    uint64_t s[4];
};

void rand_init(struct rand *rand, uint64_t seed);
uint64_t rand_u64(struct rand *rand);
uint64_t rand_below(struct rand *rand, uint64_t limit); /* 0..limit-1; limit > 0 */
bool rand_chance(struct rand *rand, uint32_t one_in);   /* true once in `one_in`; 0 = never */

/* Unpredictable bytes from the kernel; aborts if it has none. */
void rand_secret(void *out, size_t len);

#endif
