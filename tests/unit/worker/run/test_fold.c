/* SPDX-License-Identifier: Apache-2.0
 * Folding two values: the same bits in whatever order, where that is promised. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/rand.h"
#include "worker/run/fold.h"

static uint64_t bits(double v)
{
    uint64_t b;
    memcpy(&b, &v, 8);
    return b;
}

static void integers_fold_as_integers(void **state)
{
    (void)state;
    const uint64_t minus = (uint64_t)-5;
    assert_int_equal(fold_numbers(&(struct fold){.op = QN_SUM, .value = QN_I64}, minus, 7), 2);
    assert_int_equal(fold_numbers(&(struct fold){.op = QN_MIN, .value = QN_I64}, minus, 7), minus);
    assert_int_equal(fold_numbers(&(struct fold){.op = QN_MIN, .value = QN_U64}, minus, 7), 7);
    assert_int_equal(fold_numbers(&(struct fold){.op = QN_MAX, .value = QN_U64}, minus, 7), minus);
    assert_int_equal(fold_numbers(&(struct fold){.op = QN_COUNT, .value = QN_U64}, 3, 4), 7);
    assert_int_equal(fold_numbers(&(struct fold){.op = QN_FIRST, .value = QN_U64}, 3, 4), 3);
}

static void doubles_fold_as_doubles(void **state)
{
    (void)state;
    const struct fold min = {.op = QN_MIN, .value = QN_F64}, max = {QN_MAX, QN_F64};
    uint64_t nan = bits((double)NAN), minus_zero = bits(-0.0), zero = bits(0.0);
    assert_true(fold_numbers(&(struct fold){.op = QN_SUM, .value = QN_F64}, bits(0.5),
                             bits(0.25)) == bits(0.75));
    assert_true(fold_numbers(&min, bits(-2.0), bits(1.0)) == bits(-2.0));
    assert_true(fold_numbers(&max, nan, bits(1.0)) == bits(1.0));
    assert_true(fold_numbers(&max, bits(1.0), nan) == bits(1.0));
    assert_true(fold_numbers(&min, zero, minus_zero) == minus_zero);
    assert_true(fold_numbers(&min, minus_zero, zero) == minus_zero);
    assert_true(fold_numbers(&max, zero, minus_zero) == zero);
    assert_true(fold_numbers(&max, minus_zero, zero) == zero);
}

static void what_is_called_free_gives_the_same_in_any_order(void **state)
{
    (void)state;
    const enum qn_fold ops[] = {QN_SUM, QN_MIN, QN_MAX, QN_COUNT};
    const enum qn_type types[] = {QN_U64, QN_I64, QN_F64};
    struct rand rand;
    rand_init(&rand, 1);
    for (int round = 0; round < 3000; round++) {
        struct fold fold = {.op = ops[round % 4], .value = types[round % 3]};
        if (!fold_is_free(&fold))
            continue;
        uint64_t v[5];
        for (int i = 0; i < 5; i++)
            v[i] = rand_chance(&rand, 5) ? bits(i % 2 ? -0.0 : (double)NAN) : rand_u64(&rand);
        uint64_t left = v[0], right = v[4];
        for (int i = 1; i < 5; i++) {
            left = fold_numbers(&fold, left, v[i]);
            right = fold_numbers(&fold, v[4 - i], right);
        }
        double a, b;
        memcpy(&a, &left, 8);
        memcpy(&b, &right, 8);
        assert_true(left == right || (fold.value == QN_F64 && a != a && b != b));
    }
    assert_false(fold_is_free(&(struct fold){.op = QN_SUM, .value = QN_F64}));
    assert_false(fold_is_free(&(struct fold){.op = QN_NO_FOLD, .value = QN_U64}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_fold_as_integers),
        cmocka_unit_test(doubles_fold_as_doubles),
        cmocka_unit_test(what_is_called_free_gives_the_same_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
