/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/lib/reducers.h"

#define GIB ((uint64_t)1 << 30)

static struct cl2jt_shuffle choose(const struct task_probe *probe, int64_t said, uint64_t bytes)
{
    return reducers_choose(probe, &(struct reducers_wish){.said = said, .input_bytes = bytes});
}

static void nobody_says_how_many(void **state)
{
    (void)state;
    struct task_probe probe = {.has_reduce = true};
    struct cl2jt_shuffle s = choose(&probe, -1, 4 * GIB);
    assert_int_equal(s.partitions, 64);
    assert_int_equal(s.reduces, 0);
    assert_int_equal(s.packing, CL2JT_PACK_EVENLY);
    assert_int_equal(s.reduce_bytes, REDUCER_BYTES);
    s = choose(&probe, -1, 0);
    assert_int_equal(s.partitions, 4);
    probe.has_ranges = true;
    s = choose(&probe, -1, 4 * GIB);
    assert_int_equal(s.partitions, 128);
    assert_int_equal(s.packing, CL2JT_PACK_IN_ORDER);
    s = choose(&probe, -1, 1000); /* not worth a sample */
    assert_int_equal(s.partitions, 1);
    assert_int_equal(s.packing, CL2JT_PACK_EACH);
}

static void a_number_is_a_number_of_reducers(void **state)
{
    (void)state;
    struct task_probe probe = {.has_reduce = true};
    struct cl2jt_shuffle s = choose(&probe, 5, 4 * GIB);
    assert_int_equal(s.partitions, 20);
    assert_int_equal(s.reduces, 5);
    s = choose(&probe, 1, 4 * GIB);
    assert_int_equal(s.partitions, 1);
    assert_int_equal(s.packing, CL2JT_PACK_EACH);
    assert_int_equal(choose(&probe, 0, GIB).partitions, 0);
    s = choose(&probe, 50000, GIB);
    assert_int_equal(s.partitions, 50000);
    assert_int_equal(s.packing, CL2JT_PACK_EACH);
    probe.default_reducers = 3;
    assert_int_equal(choose(&probe, -1, GIB).reduces, 3);
    assert_int_equal(choose(&probe, 2, GIB).reduces, 2);
}

static void who_needs_a_reduce_is_not_run_without(void **state)
{
    (void)state;
    struct task_probe probe = {.name = slice_str("join"), .has_reduce = true, .needs_reduce = true};
    struct err err = {0};
    assert_int_equal(reducers_check(&probe, 1, &err), 0);
    assert_int_equal(reducers_check(&probe, -1, &err), 0);
    assert_int_equal(reducers_check(&probe, 0, &err), ERR_USAGE);
    assert_string_equal(err.msg, "-reduces 0: what the maps of join emit is for its reduce alone: "
                                 "leave it out, or give 1 or more");
    probe.needs_reduce = false;
    assert_int_equal(reducers_check(&probe, 0, &err), 0);
}

static void who_says_what_belongs_together_gets_what_he_asks_for(void **state)
{
    (void)state;
    const struct task_probe probes[] = {{.has_reduce = true, .has_partition = true},
                                        {.has_reduce = true, .has_compare = true},
                                        {.has_reduce = true, .has_group = true}};
    for (size_t i = 0; i < 3; i++) {
        struct cl2jt_shuffle s = choose(&probes[i], 5, GIB);
        assert_int_equal(s.partitions, 5);
        assert_int_equal(s.packing, CL2JT_PACK_EACH);
        s = choose(&probes[i], -1, GIB);
        assert_int_equal(s.partitions, 4);
        assert_int_equal(s.packing, CL2JT_PACK_EACH);
    }
}

static void reducers_that_fetch_early_must_know_what(void **state)
{
    (void)state;
    const struct task_probe probe = {.has_reduce = true};
    const struct reducers_wish wish = {.said = 5, .input_bytes = GIB, .starts_early = true};
    struct cl2jt_shuffle s = reducers_choose(&probe, &wish);
    assert_int_equal(s.partitions, 5);
    assert_int_equal(s.packing, CL2JT_PACK_EACH);
}

static void without_a_reduce_there_are_none(void **state)
{
    (void)state;
    const struct task_probe probe = {0};
    assert_int_equal(choose(&probe, -1, GIB).partitions, 0);
    assert_int_equal(choose(&probe, 7, GIB).partitions, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_says_how_many),
        cmocka_unit_test(a_number_is_a_number_of_reducers),
        cmocka_unit_test(who_needs_a_reduce_is_not_run_without),
        cmocka_unit_test(who_says_what_belongs_together_gets_what_he_asks_for),
        cmocka_unit_test(reducers_that_fetch_early_must_know_what),
        cmocka_unit_test(without_a_reduce_there_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
