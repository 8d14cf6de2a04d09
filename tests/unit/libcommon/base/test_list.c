/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/list.h"

struct item {
    int n;
    struct list link;
};

static int sum_in_order(struct list *head)
{
    int sum = 0;
    list_each (head, it)
        sum = sum * 10 + list_entry(it, struct item, link)->n;
    return sum;
}

static void members_stand_where_they_were_put(void **state)
{
    (void)state;
    struct list head;
    struct item a = {.n = 1}, b = {.n = 2}, c = {.n = 3}, d = {.n = 4};
    list_init(&head);
    assert_true(list_is_empty(&head));
    assert_null(list_first(&head, struct item, link));
    list_push_back(&head, &b.link);
    list_push_back(&head, &d.link);
    list_push_front(&head, &a.link);
    list_add_before(&d.link, &c.link);
    assert_int_equal(sum_in_order(&head), 1234);
    assert_ptr_equal(list_first(&head, struct item, link), &a);
}

static void a_removed_member_may_be_removed_again(void **state)
{
    (void)state;
    struct list head;
    struct item a = {.n = 1}, b = {.n = 2};
    list_init(&head);
    list_push_back(&head, &a.link);
    list_push_back(&head, &b.link);
    list_remove(&a.link);
    list_remove(&a.link);
    assert_int_equal(sum_in_order(&head), 2);
    list_remove(&b.link);
    assert_true(list_is_empty(&head));
}

static void the_safe_walk_survives_the_removal_of_its_member(void **state)
{
    (void)state;
    struct list head;
    struct item items[6];
    list_init(&head);
    for (int i = 0; i < 6; i++) {
        items[i].n = i + 1;
        list_push_back(&head, &items[i].link);
    }
    list_each_safe (&head, it) {
        struct item *item = list_entry(it, struct item, link);
        if (item->n % 2 == 0) {
            list_remove(it);
            memset(it, 0xee, sizeof(*it)); /* as if freed */
        }
    }
    assert_int_equal(sum_in_order(&head), 135);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_stand_where_they_were_put),
        cmocka_unit_test(a_removed_member_may_be_removed_again),
        cmocka_unit_test(the_safe_walk_survives_the_removal_of_its_member),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
