/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/rand.h"

#include <errno.h>
#include <sys/random.h>

#include "libcommon/base/slice.h"

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

void rand_init(struct rand *rand, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15ULL;
        rand->s[i] = hash_u64(seed);
    }
}

uint64_t rand_u64(struct rand *rand)
{
    uint64_t *s = rand->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t rand_below(struct rand *rand, uint64_t limit)
{
    BUG_ON(limit == 0);
    return (uint64_t)(((__uint128_t)rand_u64(rand) * limit) >> 64);
}

bool rand_chance(struct rand *rand, uint32_t one_in)
{
    return one_in != 0 && rand_below(rand, one_in) == 0;
}

void rand_secret(void *out, size_t len)
{
    uint8_t *p = out;
    while (len) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            BUG("getrandom has nothing");
        p += n;
        len -= (size_t)n;
    }
}
