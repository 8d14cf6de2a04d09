/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/run/fold.h"

static double to_double(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static uint64_t to_bits(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

/* Is a below b, with -0 below 0? Neither is NaN. */
static bool is_below(double a, double b)
{
    return a < b || (a == b && signbit(a) && !signbit(b));
}

static uint64_t fold_doubles(enum qn_fold op, uint64_t a, uint64_t b)
{
    double x = to_double(a), y = to_double(b);
    if (op == QN_SUM)
        return to_bits(x + y);
    if (isnan(x) || isnan(y))
        return isnan(x) ? (isnan(y) ? to_bits((double)NAN) : b) : a;
    return is_below(x, y) == (op == QN_MIN) ? a : b;
}

uint64_t fold_numbers_slow(const struct fold *fold, uint64_t a, uint64_t b)
{
    if (fold->op == QN_FIRST)
        return a;
    if (fold->value == QN_F64)
        return fold_doubles(fold->op, a, b);
    if (fold->op == QN_SUM || fold->op == QN_COUNT)
        return a + b;
    bool a_is_less = fold->value == QN_I64 ? (int64_t)a < (int64_t)b : a < b;
    return a_is_less == (fold->op == QN_MIN) ? a : b;
}
