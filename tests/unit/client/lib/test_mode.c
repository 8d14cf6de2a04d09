/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/lib/mode.h"
#include "client/lib/uri.h"

static uint32_t apply(const char *text, uint32_t existing, bool is_dir)
{
    struct cl_mode mode;
    assert_int_equal(cl_mode_parse(text, &mode), 0);
    return cl_mode_apply(&mode, existing, is_dir);
}

static void octal_has_three_digits_or_four(void **state)
{
    (void)state;
    struct cl_mode mode;
    assert_int_equal(apply("755", 0, false), 0755);
    assert_int_equal(apply("0644", 01777, false), 0644);
    assert_int_equal(apply("1777", 0, true), 01777);
    assert_int_equal(apply("+644", 0, false), 0644);
    assert_int_equal(apply("700", 01777, true), 0700); /* three digits clear the sticky bit */
    assert_int_equal(cl_mode_parse("999", &mode), ERR_INVAL);
    assert_int_equal(cl_mode_parse("75", &mode), ERR_INVAL);
    assert_int_equal(cl_mode_parse("2755", &mode), ERR_INVAL);
    assert_int_equal(cl_mode_parse("07555", &mode), ERR_INVAL);
    assert_int_equal(cl_mode_parse("", &mode), ERR_INVAL);
}

static void the_last_clause_about_a_class_counts(void **state)
{
    (void)state;
    assert_int_equal(apply("u+x", 0644, false), 0744);
    assert_int_equal(apply("go-rwx", 0777, false), 0700);
    assert_int_equal(apply("a=r", 0777, false), 0444);
    assert_int_equal(apply("+rw", 0, false), 0666);
    assert_int_equal(apply("u=rwx,g=rx,o=r", 0, false), 0754);
    assert_int_equal(apply("a=rwx,o-w", 0446, false), 0774);
    assert_int_equal(apply("u+r,u+w", 0, false), 0200);
    assert_int_equal(apply("u+r,", 0, false), 0400);
}

static void the_sticky_bit_goes_with_the_others(void **state)
{
    (void)state;
    assert_int_equal(apply("+t", 0755, true), 01755);
    assert_int_equal(apply("-t", 01755, true), 0755);
    assert_int_equal(apply("u+t", 0755, true), 0755);
    assert_int_equal(apply("o=rx", 01777, true), 0775);
    assert_int_equal(apply("u=rwx", 01777, true), 01777);
    assert_int_equal(apply("=t", 0755, true), 01000);
}

static void capital_x_is_for_directories_and_what_runs_already(void **state)
{
    (void)state;
    assert_int_equal(apply("a+X", 0644, false), 0644);
    assert_int_equal(apply("a+X", 0644, true), 0755);
    assert_int_equal(apply("a+X", 0744, false), 0755);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    struct cl_mode mode;
    const char *const bad[] = {"u", "u+", "+", "u+s", ",u+r", "u+r;g+r", "u+r+w", "x"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(cl_mode_parse(bad[i], &mode), ERR_INVAL);
}

static void an_umask_is_octal_or_what_is_allowed(void **state)
{
    (void)state;
    uint32_t umask = 0;
    assert_int_equal(cl_mode_parse_umask("022", &umask), 0);
    assert_int_equal(umask, 022);
    assert_int_equal(cl_mode_parse_umask("7", &umask), 0);
    assert_int_equal(umask, 7);
    assert_int_equal(cl_mode_parse_umask("u=rwx,g=rx,o=rx", &umask), 0);
    assert_int_equal(umask, 022);
    assert_int_equal(cl_mode_parse_umask("u=rwx,g=,o=", &umask), 0);
    assert_int_equal(umask, 077);
    assert_int_equal(cl_mode_parse_umask("8", &umask), ERR_INVAL);
    assert_int_equal(cl_mode_parse_umask("", &umask), ERR_INVAL);
}

/* --- uri -------------------------------------------------------------------------------------- */

static void check_uri(const char *text, const char *scheme, const char *authority, const char *path)
{
    struct cl_uri uri;
    cl_uri_parse(slice_str(text), &uri);
    assert_true(slice_is(uri.scheme, scheme));
    assert_true(slice_is(uri.authority, authority));
    assert_true(slice_is(uri.path, path));
}

static void a_uri_falls_into_three_parts(void **state)
{
    (void)state;
    check_uri("/a/b", "", "", "/a/b");
    check_uri("a:b", "", "", "a:b");
    check_uri("quern://h:1/a?b#c%20", "quern", "h:1", "/a?b#c%20");
    check_uri("hdfs:///a", "hdfs", "", "/a");
    check_uri("hdfs://", "hdfs", "", "/");
    check_uri("file:/tmp", "file", "", "/tmp");
    check_uri("quern://h", "quern", "h", "");
    check_uri("//a//b", "", "", "//a//b");
    check_uri("", "", "", "");
}

static void an_authority_gets_its_port(void **state)
{
    (void)state;
    char out[64];
    struct err err;
    assert_int_equal(cl_uri_address(slice_str("host1"), out, sizeof(out), &err), 0);
    assert_string_equal(out, "host1:8020");
    assert_int_equal(cl_uri_address(slice_str("[::1]"), out, sizeof(out), &err), 0);
    assert_string_equal(out, "[::1]:8020");
    assert_int_equal(cl_uri_address(slice_str("[::1]:9"), out, sizeof(out), &err), 0);
    assert_string_equal(out, "[::1]:9");
    assert_int_equal(cl_uri_address(slice_str("h:0"), out, sizeof(out), &err), ERR_INVAL);
    assert_int_equal(cl_uri_address(slice_str("h:x"), out, sizeof(out), &err), ERR_INVAL);
    assert_int_equal(cl_uri_address(slice_str(":1"), out, sizeof(out), &err), ERR_INVAL);
    assert_int_equal(cl_uri_address(slice_str(""), out, sizeof(out), &err), ERR_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(octal_has_three_digits_or_four),
        cmocka_unit_test(the_last_clause_about_a_class_counts),
        cmocka_unit_test(the_sticky_bit_goes_with_the_others),
        cmocka_unit_test(capital_x_is_for_directories_and_what_runs_already),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(an_umask_is_octal_or_what_is_allowed),
        cmocka_unit_test(a_uri_falls_into_three_parts),
        cmocka_unit_test(an_authority_gets_its_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
