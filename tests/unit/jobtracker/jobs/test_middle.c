/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jobtracker/jobs/middle.h"

static void of_none_it_is_nothing_and_of_few_it_is_exact(void **state)
{
    struct jt_middle m = {0};
    (void)state;
    assert_int_equal(jt_middle_get(&m), 0);
    const uint64_t values[] = {90, 10, 100000, 20, 30};
    for (size_t i = 0; i < 5; i++)
        jt_middle_add(&m, values[i]);
    assert_int_equal(jt_middle_get(&m), 30);
    jt_middle_release(&m);
}

/* What comes late counts no more than what came early. */
static void of_many_it_is_near_in_bounded_memory_in_whatever_order_they_come(void **state)
{
    (void)state;
    for (int order = 0; order < 3; order++) {
        struct jt_middle m = {0};
        const uint64_t n = 100003;
        for (uint64_t i = 0; i < n; i++)
            jt_middle_add(&m, order == 0 ? i : order == 1 ? n - i : i * 7919 % n);
        assert_in_range(jt_middle_get(&m), n * 45 / 100, n * 55 / 100);
        assert_true(m.cap <= 2 * JT_MIDDLE_MAX);
        jt_middle_release(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_none_it_is_nothing_and_of_few_it_is_exact),
        cmocka_unit_test(of_many_it_is_near_in_bounded_memory_in_whatever_order_they_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
