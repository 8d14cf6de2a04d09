/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/lib/paces.h"

enum { NEAR = 101, FAR, FARTHER };

static const struct cl_lags_rule rule = {.factor = 4, .min_ms = 100, .window_ms = 2000};
static struct cl_paces paces;

static int begin(void **state)
{
    (void)state;
    paces = (struct cl_paces){0};
    return 0;
}

static bool near_is_slow(uint64_t now_ms)
{
    const uint64_t others[] = {FAR, FARTHER};
    return cl_paces_is_slow(&paces, &rule, NEAR, others, 2, now_ms);
}

/* A mebibyte each. */
static void note(uint64_t node, uint64_t ms_per_unit, uint64_t now_ms)
{
    cl_paces_note(&paces, node, 1U << 20, ms_per_unit * 4000, now_ms);
}

static void of_whom_nothing_is_known_is_not_slow(void **state)
{
    (void)state;
    assert_false(near_is_slow(0));
    note(FAR, 1, 0);
    assert_false(near_is_slow(0));
}

static void who_needs_less_than_the_floor_is_not_slow(void **state)
{
    (void)state;
    note(NEAR, 99, 0);
    note(FAR, 1, 0);
    assert_false(near_is_slow(0));
    note(NEAR, 105, 0);
    assert_true(near_is_slow(0));
}

static void somebody_unknown_is_tried(void **state)
{
    (void)state;
    note(NEAR, 200, 0);
    assert_true(near_is_slow(0));
    note(FAR, 200, 0);
    assert_true(near_is_slow(0));
    note(FARTHER, 200, 0);
    assert_false(near_is_slow(0));
}

static void where_all_are_about_as_slow_nobody_is_left(void **state)
{
    (void)state;
    note(NEAR, 900, 0);
    note(FAR, 300, 0);
    note(FARTHER, 1200, 0);
    assert_false(near_is_slow(0));
    note(FAR, 200, 0);
    assert_true(near_is_slow(0));
}

static void without_others_and_without_a_factor_nobody_is_slow(void **state)
{
    (void)state;
    const uint64_t other = FAR;
    const struct cl_lags_rule never = {.min_ms = 100};
    note(NEAR, 900, 0);
    assert_false(cl_paces_is_slow(&paces, &rule, NEAR, NULL, 0, 0));
    assert_false(cl_paces_is_slow(&paces, &never, NEAR, &other, 1, 0));
}

static void nothing_came_in_a_whole_window(void **state)
{
    (void)state;
    cl_paces_note(&paces, NEAR, 0, 2000000, 0);
    assert_true(near_is_slow(0));
}

static void what_is_known_is_forgotten_so_that_the_near_one_is_tried_again(void **state)
{
    (void)state;
    note(NEAR, 900, 1000);
    assert_true(near_is_slow(1000 + CL_PACES_MS - 1));
    assert_false(near_is_slow(1000 + CL_PACES_MS));
}

static void many_nodes_push_the_oldest_out_and_one_has_one_place(void **state)
{
    (void)state;
    note(NEAR, 900, 0);
    for (uint64_t i = 0; i < 1000; i++)
        note(FAR, 1, 0);
    assert_true(near_is_slow(0));
    for (uint64_t i = 0; i < CL_PACES_NODES; i++)
        note(1000 + i, 1, 0);
    assert_false(near_is_slow(0));
}

#define CASE(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(of_whom_nothing_is_known_is_not_slow),
        CASE(who_needs_less_than_the_floor_is_not_slow),
        CASE(somebody_unknown_is_tried),
        CASE(where_all_are_about_as_slow_nobody_is_left),
        CASE(without_others_and_without_a_factor_nobody_is_slow),
        CASE(nothing_came_in_a_whole_window),
        CASE(what_is_known_is_forgotten_so_that_the_near_one_is_tried_again),
        CASE(many_nodes_push_the_oldest_out_and_one_has_one_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
