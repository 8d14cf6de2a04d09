/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/up/options.h"

static const char *dir, *detach;
static const struct cmd_option options[] = {
    {"dir", "DIR", "where", &dir},
    {"detach", NULL, "in the background", &detach},
};
static struct err err;

static int parse(int argc, const char **argv, int *rest)
{
    dir = detach = NULL;
    return cmd_options_parse(options, 2, argc, (char **)argv, rest, &err);
}

static void one_dash_or_two_and_values_either_way(void **state)
{
    (void)state;
    int rest;
    const char *a[] = {"up", "--dir", "/x", "-detach", "word", "-dir", "/y"};
    assert_int_equal(parse(7, a, &rest), 0);
    assert_string_equal(dir, "/x");
    assert_string_equal(detach, "");
    assert_int_equal(rest, 4);
    const char *b[] = {"up", "-dir=/a=b"};
    assert_int_equal(parse(2, b, &rest), 0);
    assert_string_equal(dir, "/a=b");
    assert_null(detach);
    assert_int_equal(rest, 2);
}

static void mistakes_are_told(void **state)
{
    (void)state;
    int rest;
    const char *a[] = {"up", "--detahc"}, *b[] = {"up", "-dir"}, *c[] = {"up", "-detach=yes"};
    assert_int_equal(parse(2, a, &rest), ERR_USAGE);
    assert_string_equal(err.msg, "no option \"--detahc\" (did you mean -detach?)");
    assert_int_equal(parse(2, b, &rest), ERR_USAGE);
    assert_string_equal(err.msg, "-dir needs DIR");
    assert_int_equal(parse(2, c, &rest), ERR_USAGE);
    assert_string_equal(err.msg, "-detach takes no value");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_dash_or_two_and_values_either_way),
        cmocka_unit_test(mistakes_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
