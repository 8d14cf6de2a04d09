/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "datanode/storage/choose.h"
#include "libcommon/base/mem.h"

#define GB (1ULL << 30)

static struct dn_chooser by_space(double preference)
{
    struct dn_chooser chooser;
    const struct dn_choosing_conf conf = {DN_CHOOSE_BY_SPACE, 10 * GB, preference};
    dn_chooser_init(&chooser, &conf, 7);
    return chooser;
}

static void blocks_go_round_and_pass_over_those_without_room(void **state)
{
    (void)state;
    struct dn_chooser chooser;
    const struct dn_choosing_conf conf = {.policy = DN_CHOOSE_ROUND_ROBIN};
    const struct dn_candidate v[] = {{0, 100}, {2, 5}, {3, 100}};
    const uint16_t want[] = {0, 3, 0, 3};
    dn_chooser_init(&chooser, &conf, 1);
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        assert_int_equal(dn_choose(&chooser, v, ARRAY_LEN(v), 10)->volume, want[i]);
    assert_null(dn_choose(&chooser, v, ARRAY_LEN(v), 101));
    assert_null(dn_choose(&chooser, v, 0, 1));
}

static void about_equal_room_is_used_in_turn(void **state)
{
    (void)state;
    struct dn_chooser chooser = by_space(1);
    const struct dn_candidate v[] = {{0, 100 * GB}, {1, 110 * GB}};
    assert_int_equal(dn_choose(&chooser, v, 2, GB)->volume, 0);
    assert_int_equal(dn_choose(&chooser, v, 2, GB)->volume, 1);
    assert_int_equal(dn_choose(&chooser, v, 2, GB)->volume, 0);
}

static void an_emptier_directory_gets_its_share_of_blocks(void **state)
{
    (void)state;
    struct dn_chooser chooser = by_space(0.75);
    const struct dn_candidate v[] = {{0, 20 * GB}, {1, 25 * GB}, {2, 500 * GB}};
    unsigned got[3] = {0};
    for (int i = 0; i < 10000; i++)
        got[dn_choose(&chooser, v, 3, GB)->volume]++;
    assert_in_range(got[2], 5700, 6300); /* 0.75 of one against twice 0.25 */
    assert_true(got[0] - got[1] <= 1 || got[1] - got[0] <= 1);
}

static void what_the_full_ones_cannot_take_goes_to_the_empty_one(void **state)
{
    (void)state;
    struct dn_chooser chooser = by_space(0);
    const struct dn_candidate v[] = {{0, GB}, {1, 500 * GB}};
    for (int i = 0; i < 100; i++)
        assert_int_equal(dn_choose(&chooser, v, 2, 2 * GB)->volume, 1);
    assert_int_equal(dn_choose(&chooser, v, 2, GB)->volume, 0);
    assert_null(dn_choose(&chooser, v, 2, 501 * GB));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_go_round_and_pass_over_those_without_room),
        cmocka_unit_test(about_equal_room_is_used_in_turn),
        cmocka_unit_test(an_emptier_directory_gets_its_share_of_blocks),
        cmocka_unit_test(what_the_full_ones_cannot_take_goes_to_the_empty_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
