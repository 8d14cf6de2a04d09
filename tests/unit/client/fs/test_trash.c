/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/fs/trash.h"

static void the_name_of_a_checkpoint_is_its_time(void **state)
{
    (void)state;
    int64_t ms = 0;
    setenv("TZ", "UTC", 1);
    tzset();
    assert_int_equal(fs_trash_parse_name("240102030405", &ms), 0);
    assert_int_equal(ms, 1704164645000);
    assert_int_equal(fs_trash_parse_name("240102030405-7", &ms), 0);
    assert_int_equal(fs_trash_parse_name("Current", &ms), ERR_INVAL);
    assert_int_equal(fs_trash_parse_name("2401020304", &ms), ERR_INVAL);
    assert_int_equal(fs_trash_parse_name("240102030405x", &ms), ERR_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_of_a_checkpoint_is_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
