/* SPDX-License-Identifier: Apache-2.0
 * A job's sums: what many tasks say of the same names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "jobtracker/jobs/counters.h"

static void the_same_name_is_summed_up_and_groups_are_told_apart(void **state)
{
    struct jt_counters c = {0};
    (void)state;
    assert_int_equal(jt_counters_add(&c, slice_str("a"), slice_str("n"), 3), 0);
    assert_int_equal(jt_counters_add(&c, slice_str("b"), slice_str("n"), 5), 0);
    assert_int_equal(jt_counters_add(&c, slice_str("a"), slice_str("n"), 4), 0);
    assert_int_equal(jt_counters_get(&c, "a", "n"), 7);
    assert_int_equal(jt_counters_get(&c, "b", "n"), 5);
    assert_int_equal(jt_counters_get(&c, "b", "none"), 0);
    assert_int_equal(jt_counters_max(&c, slice_str("b"), slice_str("peak"), 7), 0);
    assert_int_equal(jt_counters_max(&c, slice_str("b"), slice_str("peak"), 9), 0);
    assert_int_equal(jt_counters_max(&c, slice_str("b"), slice_str("peak"), 8), 0);
    assert_int_equal(jt_counters_get(&c, "b", "peak"), 9);
    assert_int_equal(c.count, 3);
    jt_counters_release(&c);
}

static void a_job_that_makes_up_names_does_not_push_out_the_engines_own(void **state)
{
    struct jt_counters c = {0};
    char name[32];
    (void)state;
    for (int i = 0; i < COUNTERS_MAX + 10; i++) {
        snprintf(name, sizeof(name), "made up %d", i);
        assert_int_equal(jt_counters_add(&c, slice_str("mine"), slice_str(name), 1), 0);
    }
    assert_int_equal(c.count, COUNTERS_MAX);
    assert_int_equal(c.dropped, 10);
    for (int i = 0; i < COUNTERS_OWN_MAX + 10; i++) {
        snprintf(name, sizeof(name), "engine's %d", i);
        assert_int_equal(jt_counters_add(&c, slice_str(COUNTERS_OWN), slice_str(name), 2), 0);
    }
    assert_int_equal(jt_counters_get(&c, COUNTERS_OWN, "engine's 0"), 2);
    assert_int_equal(c.count, COUNTERS_MAX + COUNTERS_OWN_MAX);
    jt_counters_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_name_is_summed_up_and_groups_are_told_apart),
        cmocka_unit_test(a_job_that_makes_up_names_does_not_push_out_the_engines_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
