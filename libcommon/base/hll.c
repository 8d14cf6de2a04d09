/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/hll.h"

bool hll_is_size(uint64_t registers)
{
    return registers >= HLL_LEAST && registers <= HLL_MOST && (registers & (registers - 1)) == 0;
}

void hll_merge(uint8_t *to, const uint8_t *from, uint32_t registers)
{
    for (uint32_t i = 0; i < registers; i++)
        to[i] = to[i] > from[i] ? to[i] : from[i];
}

/* Ertl's sigma: x + x^2 + 2 x^4 + 4 x^8 + ...; x < 1 */
static double sigma(double x)
{
    double sum = x, before, weight = 1;
    do {
        x *= x;
        before = sum;
        sum += x * weight;
        weight += weight;
    } while (sum != before);
    return sum;
}

uint64_t hll_count(const uint8_t *registers, uint32_t count)
{
    const double half_over_ln2 = 0.72134752044448170368;
    uint32_t with_rank[66] = {0};
    for (uint32_t i = 0; i < count; i++)
        with_rank[registers[i] < 65 ? registers[i] : 65]++;
    if (with_rank[0] == count)
        return 0;
    double m = count, z = 0;
    for (int rank = 65; rank >= 1; rank--)
        z = 0.5 * (z + with_rank[rank]);
    z += m * sigma(with_rank[0] / m);
    double estimate = half_over_ln2 * m * m / z + 0.5;
    return estimate < 1e18 ? (uint64_t)estimate : (uint64_t)1e18;
}
