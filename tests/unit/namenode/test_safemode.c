/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "namenode/safemode.h"

static const char *why(const struct nn_safemode *sm, struct nn_safemode_figures f, uint64_t now_ms)
{
    static struct buf text;
    buf_release(&text);
    nn_safemode_why(sm, &f, now_ms, &text);
    return buf_cstr(&text);
}

static void it_ends_when_the_threshold_is_reached_and_the_extension_is_over(void **state)
{
    (void)state;
    struct nn_safemode sm;
    struct nn_safemode_figures f = {.total = 2000, .safe = 1997, .nodes = 1};
    nn_safemode_init(&sm, 999000, 0, 30000);
    assert_true(nn_safemode_is_on(&sm));
    assert_false(nn_safemode_step(&sm, &f, 1000));
    assert_int_equal(sm.state, NN_SAFEMODE_WAITING);
    f.safe = 1998;
    assert_false(nn_safemode_step(&sm, &f, 2000));
    assert_int_equal(sm.state, NN_SAFEMODE_EXTENDING);
    assert_false(nn_safemode_step(&sm, &f, 31999));
    assert_true(nn_safemode_step(&sm, &f, 32000));
    assert_false(nn_safemode_is_on(&sm));
    f.safe = 0;
    assert_false(nn_safemode_step(&sm, &f, 33000));
    assert_false(nn_safemode_is_on(&sm)); /* it does not come back by itself */
}

static void falling_below_the_threshold_starts_the_extension_anew(void **state)
{
    (void)state;
    struct nn_safemode sm;
    struct nn_safemode_figures f = {.total = 10, .safe = 9};
    nn_safemode_init(&sm, 999000, 0, 30000);
    assert_false(nn_safemode_step(&sm, &f, 1000));
    f.safe = 8;
    assert_false(nn_safemode_step(&sm, &f, 20000));
    assert_int_equal(sm.state, NN_SAFEMODE_WAITING);
    f.safe = 9;
    assert_false(nn_safemode_step(&sm, &f, 25000));
    assert_false(nn_safemode_step(&sm, &f, 54999));
    assert_true(nn_safemode_step(&sm, &f, 55000));
}

static void an_empty_filesystem_leaves_at_once_and_a_single_block_is_waited_for(void **state)
{
    (void)state;
    struct nn_safemode sm;
    struct nn_safemode_figures f = {0};
    nn_safemode_init(&sm, 999000, 0, 0);
    assert_true(nn_safemode_step(&sm, &f, 5));
    nn_safemode_init(&sm, 999000, 0, 0);
    f.total = 1;
    assert_false(nn_safemode_step(&sm, &f, 5));
    f.safe = 1;
    assert_true(nn_safemode_step(&sm, &f, 6));
}

static void enough_datanodes_must_be_there_too(void **state)
{
    (void)state;
    struct nn_safemode sm;
    struct nn_safemode_figures f = {.total = 4, .safe = 4, .nodes = 2};
    nn_safemode_init(&sm, 999000, 3, 0);
    assert_false(nn_safemode_step(&sm, &f, 5));
    assert_string_equal(
        why(&sm, f, 5),
        "The reported blocks 4 has reached the threshold 0.9990 of total blocks 4. The number of "
        "live datanodes 2 needs an additional 1 live datanodes to reach the minimum number 3. Safe "
        "mode will be turned off automatically once the thresholds have been reached.");
    f.nodes = 3;
    assert_true(nn_safemode_step(&sm, &f, 6));
}

static void it_says_what_it_waits_for(void **state)
{
    (void)state;
    struct nn_safemode sm;
    struct nn_safemode_figures f = {.total = 100, .safe = 12, .nodes = 1};
    nn_safemode_init(&sm, 999000, 0, 30000);
    nn_safemode_step(&sm, &f, 1000);
    assert_string_equal(
        why(&sm, f, 1000),
        "The reported blocks 12 needs additional 87 blocks to reach the threshold 0.9990 of total "
        "blocks 100. The number of live datanodes 1 has reached the minimum number 0. Safe mode "
        "will be turned off automatically once the thresholds have been reached.");
    f.safe = 100;
    nn_safemode_step(&sm, &f, 2000);
    assert_string_equal(
        why(&sm, f, 12000),
        "The reported blocks 100 has reached the threshold 0.9990 of total blocks 100. The number "
        "of live datanodes 1 has reached the minimum number 0. In safe mode extension. Safe mode "
        "will be turned off automatically in 20 seconds.");
    nn_safemode_leave(&sm);
    assert_string_equal(why(&sm, f, 12000), "");
}

static void an_operator_turns_it_on_and_only_he_turns_it_off(void **state)
{
    (void)state;
    struct nn_safemode sm;
    struct nn_safemode_figures f = {.total = 1, .safe = 1};
    nn_safemode_init(&sm, 999000, 0, 0);
    assert_true(nn_safemode_step(&sm, &f, 1));
    nn_safemode_enter(&sm, NULL);
    assert_false(nn_safemode_step(&sm, &f, 100000));
    assert_true(nn_safemode_is_on(&sm));
    assert_string_equal(why(&sm, f, 1), "It was turned on manually. Use \"quern admin -safemode "
                                        "leave\" to turn safe mode off.");
    nn_safemode_enter(&sm, "The journal disk /srv/nn is full");
    assert_non_null(strstr(why(&sm, f, 1), "The journal disk /srv/nn is full. Use"));
    nn_safemode_leave(&sm);
    assert_false(nn_safemode_is_on(&sm));
    why(&sm, f, 1);
}

static void blocks_newer_than_ours_keep_it_on_until_it_is_forced(void **state)
{
    (void)state;
    struct nn_safemode sm;
    struct nn_safemode_figures f = {.total = 1, .safe = 1};
    nn_safemode_init(&sm, 999000, 0, 0);
    assert_true(nn_safemode_step(&sm, &f, 1));
    nn_safemode_note_newer(&sm);
    assert_true(nn_safemode_is_on(&sm)); /* it had been off */
    nn_safemode_note_newer(&sm);
    nn_safemode_leave(&sm);
    nn_safemode_enter(&sm, NULL);
    nn_safemode_leave(&sm);
    assert_false(nn_safemode_step(&sm, &f, 100000));
    assert_true(nn_safemode_is_on(&sm));
    assert_non_null(strstr(why(&sm, f, 1), "Datanodes hold blocks that were never given out here"));
    nn_safemode_force(&sm);
    assert_false(nn_safemode_is_on(&sm));
    nn_safemode_note_newer(&sm); /* they are told of again */
    assert_false(nn_safemode_is_on(&sm));
    nn_safemode_enter(&sm, NULL); /* an operator may have it all the same */
    nn_safemode_leave(&sm);
    assert_false(nn_safemode_is_on(&sm));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_ends_when_the_threshold_is_reached_and_the_extension_is_over),
        cmocka_unit_test(falling_below_the_threshold_starts_the_extension_anew),
        cmocka_unit_test(an_empty_filesystem_leaves_at_once_and_a_single_block_is_waited_for),
        cmocka_unit_test(enough_datanodes_must_be_there_too),
        cmocka_unit_test(it_says_what_it_waits_for),
        cmocka_unit_test(an_operator_turns_it_on_and_only_he_turns_it_off),
        cmocka_unit_test(blocks_newer_than_ours_keep_it_on_until_it_is_forced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
