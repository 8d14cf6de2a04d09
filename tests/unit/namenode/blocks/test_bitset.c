/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/rand.h"
#include "namenode/blocks/bitset.h"

static void members_come_in_order_whatever_was_added_when(void **state)
{
    (void)state;
    const uint32_t numbers[] = {70000, 3, 64, 63, 4096, 0, 1000000, 65};
    const uint32_t sorted[] = {0, 3, 63, 64, 65, 4096, 70000, 1000000};
    struct bitset set = BITSET_INIT;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        assert_int_equal(bitset_add(&set, numbers[i]), 0);
    size_t n = 0;
    bitset_each(&set, it) assert_int_equal(it, sorted[n++]);
    assert_int_equal(n, ARRAY_LEN(sorted));
    assert_int_equal(set.count, n);
    bitset_release(&set);
}

static void it_agrees_with_an_array_of_bools(void **state)
{
    (void)state;
    enum { RANGE = 20000 };
    static bool model[RANGE];
    struct bitset set = BITSET_INIT;
    struct rand rand;
    rand_init(&rand, 5);
    for (int i = 0; i < 20000; i++) {
        uint32_t number = (uint32_t)rand_below(&rand, RANGE);
        model[number] = rand_chance(&rand, 3);
        if (model[number])
            assert_int_equal(bitset_add(&set, number), 0);
        else
            bitset_remove(&set, number);
    }
    uint32_t next = bitset_next(&set, 0);
    for (uint32_t i = 0; i < RANGE; i++) {
        assert_int_equal(bitset_has(&set, i), model[i]);
        if (model[i]) {
            assert_int_equal(next, i);
            next = bitset_next(&set, i + 1);
        }
    }
    assert_int_equal(next, BITSET_END);
    bitset_release(&set);
}

static void an_empty_set_has_no_members_and_takes_any_question(void **state)
{
    (void)state;
    struct bitset set = BITSET_INIT;
    assert_int_equal(bitset_next(&set, 0), BITSET_END);
    assert_int_equal(bitset_next(&set, 123456), BITSET_END);
    assert_false(bitset_has(&set, 7));
    bitset_remove(&set, 7);
    bitset_release(&set);
}

static void without_memory_an_addition_fails_and_changes_nothing(void **state)
{
    (void)state;
    struct bitset set = BITSET_INIT;
    assert_int_equal(bitset_add(&set, 1), 0);
    for (uint64_t n = 1; n <= 2; n++) {
        mem_fail_after(n);
        assert_int_equal(bitset_add(&set, 1U << 20), ERR_NOMEM);
        assert_int_equal(set.count, 1);
        assert_int_equal(bitset_next(&set, 2), BITSET_END);
    }
    mem_fail_after(0);
    assert_int_equal(bitset_add(&set, 1U << 20), 0);
    assert_int_equal(bitset_next(&set, 2), 1U << 20);
    bitset_release(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_come_in_order_whatever_was_added_when),
        cmocka_unit_test(it_agrees_with_an_array_of_bools),
        cmocka_unit_test(an_empty_set_has_no_members_and_takes_any_question),
        cmocka_unit_test(without_memory_an_addition_fails_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
