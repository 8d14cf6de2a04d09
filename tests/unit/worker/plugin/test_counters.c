/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/plugin/counters.h"

static void a_counter_is_found_again_by_group_and_name(void **state)
{
    (void)state;
    struct counters c;
    counters_init(&c, 10);
    struct qn_counter *a = counters_get(&c, "g", "a");
    assert_ptr_equal(counters_get(&c, "g", "a"), a);
    assert_ptr_not_equal(counters_get(&c, "h", "a"), a);
    assert_ptr_not_equal(counters_get(&c, "ga", ""), a);
    assert_non_null(counters_get(&c, NULL, NULL));
    counters_release(&c);
}

static void beyond_the_limit_all_are_one(void **state)
{
    (void)state;
    struct counters c;
    char name[400];
    counters_init(&c, 3);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "counter %d", i);
        counters_add(&c, "mine", name, 1);
    }
    struct arena arena = ARENA_INIT;
    struct msg_counter_list list;
    assert_int_equal(counters_list(&c, &arena, &list), 0);
    assert_int_equal(list.n, 4);
    uint64_t rest = 0;
    for (size_t i = 0; i < list.n; i++)
        if (slice_is(list.v[i].name, "counters beyond the limit"))
            rest = list.v[i].value;
    assert_int_equal(rest, 997);
    arena_release(&arena);
    counters_release(&c);
}

static void the_list_is_in_order_without_zeros(void **state)
{
    (void)state;
    struct counters c, sum;
    struct arena arena = ARENA_INIT;
    struct msg_counter_list list;
    counters_init(&c, 100);
    counters_init(&sum, 100);
    counters_add(&c, "z", "one", 1);
    counters_add(&c, "a", "two", 2);
    counters_add(&c, "a", "one", 3);
    counters_get(&c, "a", "never");
    assert_int_equal(counters_list(&c, &arena, &list), 0);
    assert_int_equal(list.n, 3);
    assert_true(slice_is(list.v[0].group, "a") && slice_is(list.v[0].name, "one"));
    assert_true(slice_is(list.v[2].group, "z"));
    counters_add_list(&sum, &list);
    counters_add_list(&sum, &list);
    assert_int_equal(counters_get(&sum, "a", "one")->value, 6);
    arena_release(&arena);
    counters_release(&c);
    counters_release(&sum);
}

static void a_name_too_long_is_cut(void **state)
{
    (void)state;
    struct counters c;
    char name[600];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    counters_init(&c, 10);
    struct qn_counter *a = counters_get(&c, "g", name);
    name[COUNTERS_NAME_MAX] = 0;
    assert_ptr_equal(counters_get(&c, "g", name), a);
    counters_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_counter_is_found_again_by_group_and_name),
        cmocka_unit_test(beyond_the_limit_all_are_one),
        cmocka_unit_test(the_list_is_in_order_without_zeros),
        cmocka_unit_test(a_name_too_long_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
