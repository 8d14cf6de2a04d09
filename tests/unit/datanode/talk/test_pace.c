/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "datanode/talk/pace.h"
#include "libcommon/base/err.h"

#define SECOND 1000000U
#define START  (77ULL * SECOND)

static void many_copies_together_keep_to_the_rate(void **state)
{
    (void)state;
    struct dn_pace pace = {.bytes_per_s = 1000};
    uint64_t last = 0;
    for (int i = 0; i < 50; i++) /* all come at once */
        last = dn_pace_take(&pace, 100, START);
    assert_int_equal(last, 49ULL * 100 * SECOND / 1000);
}

static void the_first_piece_after_a_pause_goes_at_once_and_nothing_was_saved_up(void **state)
{
    (void)state;
    struct dn_pace pace = {.bytes_per_s = 1000};
    assert_int_equal(dn_pace_take(&pace, 500, START), 0);
    assert_int_equal(dn_pace_take(&pace, 500, START + 60ULL * SECOND), 0);
    assert_int_equal(dn_pace_take(&pace, 500, START + 60ULL * SECOND), SECOND / 2);
}

static void without_a_rate_nobody_waits(void **state)
{
    (void)state;
    struct dn_pace pace = {0};
    assert_int_equal(dn_pace_take(&pace, 1ULL << 40, START), 0);
    assert_int_equal(dn_pace_take(&pace, 1ULL << 40, START), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_copies_together_keep_to_the_rate),
        cmocka_unit_test(the_first_piece_after_a_pause_goes_at_once_and_nothing_was_saved_up),
        cmocka_unit_test(without_a_rate_nobody_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
