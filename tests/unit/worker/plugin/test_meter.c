/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/plugin/meter.h"

static void with_nothing_measured_all_is_the_jobs_own(void **state)
{
    struct meter m;
    (void)state;
    meter_open(&m);
    assert_int_equal(meter_share(&m, METER_USER, 1000), 1000);
    assert_int_equal(meter_share(&m, METER_EMIT, 1000), 0);
}

static void shares_are_as_the_time_was(void **state)
{
    struct meter m;
    (void)state;
    meter_open(&m);
    for (int burst = 0; burst < 20; burst++) {
        meter_begin(&m, METER_USER);
        uint64_t now = m.last;
        do
            now += m.cost + (m.side == METER_USER ? 300 : 100);
        while (meter_move_at(&m, m.side == METER_USER ? METER_EMIT : METER_USER, now));
    }
    assert_int_equal(meter_share(&m, METER_USER, 1000), 750);
    assert_int_equal(meter_share(&m, METER_EMIT, 1000), 250);
}

static void a_burst_that_is_dropped_counts_for_nothing(void **state)
{
    struct meter m;
    (void)state;
    meter_open(&m);
    meter_begin(&m, METER_EMIT);
    assert_true(meter_move_at(&m, METER_USER, m.last + 100000));
    meter_drop(&m);
    assert_false(meter_is_on(&m));
    assert_int_equal(meter_share(&m, METER_EMIT, 1000), 0);
}

static void a_burst_ends_by_itself(void **state)
{
    struct meter m;
    uint32_t moves = 1;
    (void)state;
    meter_open(&m);
    meter_begin(&m, METER_USER);
    while (meter_move(&m, METER_MERGE))
        moves++;
    assert_int_equal(moves, METER_MOVES);
    assert_false(meter_is_on(&m));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_nothing_measured_all_is_the_jobs_own),
        cmocka_unit_test(shares_are_as_the_time_was),
        cmocka_unit_test(a_burst_that_is_dropped_counts_for_nothing),
        cmocka_unit_test(a_burst_ends_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
