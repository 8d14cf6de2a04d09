/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/proto/task/times.h"

static void every_phase_is_in_the_sum_but_waiting_for_a_core(void **state)
{
    struct task_times t = {0};
    (void)state;
    for (size_t i = 0; i < TASK_PHASES; i++)
        *(uint64_t *)(void *)((char *)&t + task_phases[i].offset) = (uint64_t)1 << i;
    t.total = 1 << 30;
    assert_string_equal(task_phases[0].name, "queue");
    assert_int_equal(task_times_sum(&t), (1 << TASK_PHASES) - 2);
    /* nothing but phases and the total */
    assert_int_equal(sizeof(t), (TASK_PHASES + 1) * sizeof(uint64_t));
}

static void no_two_phases_have_one_letter(void **state)
{
    (void)state;
    for (size_t i = 0; i < TASK_PHASES; i++)
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(task_phases[i].letter, task_phases[k].letter);
}

static void accounts_add_up_but_for_peaks(void **state)
{
    struct task_account sum = {.in_bytes = 5, .peak_memory = 70, .last_offset = 9};
    struct task_account more = {.in_bytes = 7, .peak_memory = 60, .cpu_us = 3, .last_offset = 4};
    (void)state;
    task_account_add(&sum, &more);
    assert_int_equal(sum.in_bytes, 12);
    assert_int_equal(sum.cpu_us, 3);
    assert_int_equal(sum.peak_memory, 70);
    assert_int_equal(sum.last_offset, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_phase_is_in_the_sum_but_waiting_for_a_core),
        cmocka_unit_test(no_two_phases_have_one_letter),
        cmocka_unit_test(accounts_add_up_but_for_peaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
