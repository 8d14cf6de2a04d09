/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "namenode/serve/groups.h"

static void the_superuser_is_who_runs_it_and_the_supergroups_members(void **state)
{
    (void)state;
    struct nn_groups groups;
    struct nn_caller caller;
    struct err err;
    assert_int_equal(
        nn_groups_init(&groups, "hdfs", "supergroup", "eve=staff,supergroup;bob=staff;", &err), 0);
    nn_groups_caller(&groups, slice_str("hdfs"), 0, &caller);
    assert_true(caller.is_super);
    nn_groups_caller(&groups, slice_str("eve"), 0, &caller);
    assert_true(caller.is_super);
    assert_int_equal(caller.group_count, 2);
    nn_groups_caller(&groups, slice_str("bob"), 0, &caller);
    assert_false(caller.is_super);
    assert_true(nn_caller_in_group(&caller, slice_str("staff")));
    nn_groups_release(&groups);
}

static void the_system_is_asked_about_everybody_else(void **state)
{
    (void)state;
    struct nn_groups groups;
    struct nn_caller caller;
    struct err err;
    assert_int_equal(nn_groups_init(&groups, "hdfs", "supergroup", NULL, &err), 0);
    nn_groups_caller(&groups, slice_str("root"), 0, &caller);
    assert_true(nn_caller_in_group(&caller, slice_str("root")));
    nn_groups_caller(&groups, slice_str("nobody-of-that-name"), 0, &caller);
    assert_int_equal(caller.group_count, 0);
    assert_false(caller.is_super);
    /* and again later, when it may have changed its mind */
    nn_groups_caller(&groups, slice_str("root"), NN_GROUPS_KEEP_MS + 1, &caller);
    assert_true(nn_caller_in_group(&caller, slice_str("root")));
    nn_groups_release(&groups);
}

static void with_permissions_off_everybody_may_but_nobody_becomes_superuser(void **state)
{
    (void)state;
    struct nn_groups groups;
    struct nn_caller caller;
    struct err err;
    assert_int_equal(nn_groups_init(&groups, "hdfs", "supergroup", "bob=", &err), 0);
    groups.is_open = true;
    nn_groups_caller(&groups, slice_str("bob"), 0, &caller);
    assert_true(caller.is_super);
    assert_false(nn_groups_is_super(&groups, slice_str("bob"), 0));
    assert_true(nn_groups_is_super(&groups, slice_str("hdfs"), 0));
    nn_groups_release(&groups);
}

static void nonsense_in_the_overrides_is_named(void **state)
{
    (void)state;
    struct nn_groups groups;
    struct err err;
    assert_int_equal(nn_groups_init(&groups, "hdfs", "supergroup", "bob=a;eve", &err), ERR_CONFIG);
    assert_string_equal(err.msg, "hadoop.user.group.static.mapping.overrides: \"eve\" is not "
                                 "USER=GROUP,GROUP");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_superuser_is_who_runs_it_and_the_supergroups_members),
        cmocka_unit_test(the_system_is_asked_about_everybody_else),
        cmocka_unit_test(with_permissions_off_everybody_may_but_nobody_becomes_superuser),
        cmocka_unit_test(nonsense_in_the_overrides_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
