/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "client/fs/filters.h"
#include "libcommon/base/mem.h"

static bool matches(const char *java, const char *uri)
{
    struct fs_filters filters = {0};
    struct err err;
    assert_int_equal(fs_filters_add(&filters, slice_str(java), &err), 0);
    bool answer = fs_filters_match(&filters, uri);
    fs_filters_release(&filters);
    return answer;
}

static void the_whole_of_a_uri_is_matched(void **state)
{
    (void)state;
    assert_true(matches(".*\\.tmp", "hdfs://nn:8020/a/b.tmp"));
    assert_false(matches(".*\\.tmp", "hdfs://nn:8020/a/b.tmp2"));
    assert_false(matches("tmp", "hdfs://nn:8020/tmp"));
    assert_true(matches("a|b", "b"));
    assert_false(matches("a|b", "ab"));
    assert_true(matches("", ""));
    assert_false(matches("", "a"));
}

static void what_java_writes_otherwise_means_the_same(void **state)
{
    (void)state;
    assert_true(matches("(?i).*/_TEMPORARY(?:/.*?)?", "file:/a/_temporary/0"));
    assert_true(matches(".+?", "a"));
    assert_false(matches(".+?", ""));
    assert_true(matches("\\d{4}-\\d\\d", "2026-11"));
    assert_false(matches("\\d{4}?\\D", "20261"));
    assert_true(matches("\\w+\\s\\S", "a_1 ."));
    assert_true(matches("\\Qa.b(*\\E+", "a.b(*"));
    assert_false(matches("\\Qa.b\\E", "axb"));
    assert_true(matches("\\Qa+", "a+"));
    assert_true(matches("a\\/b\\-c", "a/b-c"));
}

static void a_class_is_the_set_of_its_members(void **state)
{
    (void)state;
    static const char *const members[] = {
        "[\\]]",   "]", "[\\^]",   "^", "[\\^\\-]", "-",  "[^\\d]",   "x", "[\\w.-]", "-",
        "[\\w.-]", "_", "[a\\-z]", "-", "[+--]",    ",",  "[\\[\\]]", "[", "[\\\\]",  "\\",
        "[^^]",    "a", "[-^]",    "^", "[.\\s]",   "\t", "[\\[:a:]", ":", "[\\t]",   "\t"};
    static const char *const others[] = {"[\\]]",   "\\", "[\\^]", "\\", "[^\\d]",   "5",
                                         "[a\\-z]", "b",  "[^^]",  "^",  "[+--]",    ".",
                                         "[\\w.-]", "/",  "[^-]",  "-",  "[\\^\\-]", "a"};
    for (size_t i = 0; i < sizeof(members) / sizeof(*members); i += 2)
        if (!matches(members[i], members[i + 1]))
            fail_msg("%s has no %s", members[i], members[i + 1]);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i += 2)
        if (matches(others[i], others[i + 1]))
            fail_msg("%s has %s", others[i], others[i + 1]);
}

static void what_only_java_has_is_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "(?=a)", "(?<!a).*", "(a)\\1", "a*+", "a{2}+", "[a",    "[a&&b]", "[a[b]]", "\\p{L}",
        "(a",    "a)",       "*a",     "a\\", "[z-a]", "\\x41", "[\\p]",  "[]",     "[^\\s\\S]"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        struct fs_filters filters = {0};
        struct err err;
        if (fs_filters_add(&filters, slice_str(refused[i]), &err) != ERR_INVAL)
            fail_msg("%s is taken", refused[i]);
        assert_non_null(strstr(err.msg, "no regular expression"));
        assert_int_equal(filters.n, 0);
        fs_filters_release(&filters);
    }
}

static void one_of_several_is_enough(void **state)
{
    (void)state;
    struct fs_filters filters = {0};
    struct err err;
    assert_false(fs_filters_match(&filters, "a"));
    assert_int_equal(fs_filters_add(&filters, slice_str("a"), &err), 0);
    assert_int_equal(fs_filters_add(&filters, slice_str("b"), &err), 0);
    assert_true(fs_filters_match(&filters, "b") && fs_filters_match(&filters, "a"));
    assert_false(fs_filters_match(&filters, "c"));
    fs_filters_release(&filters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_of_a_uri_is_matched),
        cmocka_unit_test(what_java_writes_otherwise_means_the_same),
        cmocka_unit_test(a_class_is_the_set_of_its_members),
        cmocka_unit_test(what_only_java_has_is_refused),
        cmocka_unit_test(one_of_several_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
