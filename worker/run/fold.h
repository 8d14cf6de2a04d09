/* SPDX-License-Identifier: Apache-2.0
 * fold: the declared ways to make one value of two (.combine_op), on values of eight bytes.
 *
 * Numbers are held as their 64 bits. Integer sums wrap. Minimum and maximum of doubles pass over
 * NaN (C's fmin and fmax), and count -0 as less than 0, so that any order of folding gives the same
 * bits. Sums of doubles do depend on order: whoever folds them must take the same steps whatever
 * memory he has. */
#ifndef QUERN_WORKER_RUN_FOLD_H
#define QUERN_WORKER_RUN_FOLD_H

#include <math.h>

#include "include/quern/job.h"
#include "libcommon/base/buf.h"

struct fold {
    enum qn_fold op;    /* QN_NO_FOLD: nothing is folded */
    enum qn_type value; /* of what reduce sees: QN_U64 for QN_COUNT */
    struct slice with;  /* QN_CONCAT: between values; borrowed */
    uint32_t limit;     /* QN_CONCAT: bytes, of values strung together */
};

#define FOLD_CONCAT_LIMIT     1024U /* unless said */
#define FOLD_CONCAT_LIMIT_MAX 8192U

/* Does the result depend on the steps in which values are folded? */
static inline bool fold_is_exact(const struct fold *fold)
{
    return fold->op == QN_SUM && fold->value == QN_F64;
}
/* May neighbours be folded again wherever they meet? */
static inline bool fold_is_free(const struct fold *fold)
{
    return fold->op != QN_NO_FOLD && fold->op != QN_CONCAT && !fold_is_exact(fold);
}
/* Are values eight bytes? (QN_FIRST and QN_CONCAT take any.) */
static inline bool fold_is_number(const struct fold *fold)
{
    return fold->op != QN_NO_FOLD && fold->op != QN_FIRST && fold->op != QN_CONCAT;
}

/* Is it a + b, of integers? */
static inline bool fold_is_addition(const struct fold *fold)
{
    return (fold->op == QN_SUM || fold->op == QN_COUNT) && fold->value != QN_F64;
}
/* a came before b. */
uint64_t fold_numbers_slow(const struct fold *fold, uint64_t a, uint64_t b);
static inline uint64_t fold_numbers(const struct fold *fold, uint64_t a, uint64_t b)
{
    if (__builtin_expect(fold_is_addition(fold), 1))
        return a + b;
    return fold_numbers_slow(fold, a, b);
}

#endif
