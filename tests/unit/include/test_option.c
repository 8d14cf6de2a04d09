/* SPDX-License-Identifier: Apache-2.0
 * An option is read whole or not at all, and the line that refuses it says what is wanted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "include/quern/option.h"
#include "libcommon/base/mem.h"

static const char *typed;
static char told[512];

static const char *option(struct qn_task *task, const char *name)
{
    (void)task;
    (void)name;
    return typed;
}

static int failed(struct qn_task *task, const char *why)
{
    (void)task;
    snprintf(told, sizeof(told), "%s", why);
    return -1;
}

static int __attribute__((format(printf, 3, 0)))
format(char *out, size_t cap, const char *fmt, __builtin_va_list ap)
{
    return vsnprintf(out, cap, fmt, ap);
}

static const char *side_at(struct qn_task *task, uint32_t index)
{
    static const char *const names[] = {"a", "b.txt", NULL};
    (void)task;
    return names[index];
}

static const char *paths[4];

static const char *input_at(struct qn_task *task, uint32_t index, const char **ret_name)
{
    (void)task;
    *ret_name = "";
    return paths[index];
}

static const struct qn_host host = {
    .option = option, .fail = failed, .format = format, .side_at = side_at, .input_at = input_at};
static struct qn_task task = {.host = &host};

static void whole_numbers_are_digits_between_two_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t low, high, value;
        bool is_one;
    } cases[] = {
        {"1", 1, 9, 1, true},
        {"9", 1, 9, 9, true},
        {"007", 1, 9, 7, true},
        {"18446744073709551615", 0, UINT64_MAX, UINT64_MAX, true},
        {"18446744073709551616", 0, UINT64_MAX, 0, false},
        {"99999999999999999999999", 0, UINT64_MAX, 0, false},
        {"0", 1, 9, 0, false},
        {"10", 1, 9, 0, false},
        {"", 0, 9, 0, false},
        {"1x", 0, 9, 0, false},
        {" 1", 0, 9, 0, false},
        {"1 ", 0, 9, 0, false},
        {"-1", 0, UINT64_MAX, 0, false},
        {"+1", 0, 9, 0, false},
        {"1.5", 0, 9, 0, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t v = 77;
        typed = cases[i].text;
        int rc = qn_option_u64(&task, "a.b", cases[i].low, cases[i].high, &v);
        assert_int_equal(rc == 0, cases[i].is_one);
        assert_int_equal(v, rc == 0 ? cases[i].value : 77);
    }
    typed = "1x";
    (void)qn_option_u64(&task, "a.b", 1, 9, &(uint64_t){0});
    assert_string_equal(told, "a.b = \"1x\": a whole number from 1 to 9 is wanted");
    (void)qn_option_u64(&task, "a.b", 1, UINT64_MAX, &(uint64_t){0});
    assert_string_equal(told, "a.b = \"1x\": a whole number from 1 up is wanted");
}

static void numbers_are_between_two_bounds_and_no_other_text(void **state)
{
    (void)state;
    static const char *const good[] = {"0", "1", ".5", "0.25", "1e-3", "+1", "-0"};
    static const char *const bad[] = {"", "nan", "inf", "1.01", "-0.1", "0.5x", " 0", "x", "1,5"};
    double v = 0;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        typed = good[i];
        assert_int_equal(qn_option_f64(&task, "p", 0, 1, &v), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        typed = bad[i];
        assert_int_equal(qn_option_f64(&task, "p", 0, 1, &v), -1);
    }
    assert_string_equal(told, "p = \"1,5\": a number from 0 to 1 is wanted");
}

static void words_are_one_of_some_in_letters_of_either_size(void **state)
{
    (void)state;
    static const char words[] = "inner left right";
    static const char *const bad[] = {"", " ", "inn", "innerx", "inner left", "outer", "left "};
    unsigned which = 9;
    typed = "inner";
    assert_int_equal(qn_option_word(&task, "t", words, &which), 0);
    assert_int_equal(which, 0);
    typed = "RIGHT";
    assert_int_equal(qn_option_word(&task, "t", words, &which), 0);
    assert_int_equal(which, 2);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        typed = bad[i];
        assert_int_equal(qn_option_word(&task, "t", words, &which), -1);
        assert_int_equal(which, 2);
    }
    assert_string_equal(told, "t = \"left \": one of these is wanted: inner left right");
}

static void yes_and_no_are_true_and_false(void **state)
{
    (void)state;
    int is_it = 7;
    typed = "True";
    assert_int_equal(qn_option_bool(&task, "b", &is_it), 0);
    assert_int_equal(is_it, 1);
    typed = "false";
    assert_int_equal(qn_option_bool(&task, "b", &is_it), 0);
    assert_int_equal(is_it, 0);
    typed = "yes";
    assert_int_equal(qn_option_bool(&task, "b", &is_it), -1);
    assert_string_equal(told, "b = \"yes\": one of these is wanted: false true");
}

static void a_side_file_is_one_that_comes_along(void **state)
{
    (void)state;
    const char *name = "as it was";
    typed = "b.txt";
    assert_int_equal(qn_option_side_file(&task, "s", &name), 0);
    assert_string_equal(name, "b.txt");
    typed = "b";
    assert_int_equal(qn_option_side_file(&task, "s", &name), -1);
    assert_string_equal(name, "b.txt");
    assert_string_equal(
        told, "s = \"b\": the name of a file that comes with the job is wanted (-file PATH#b)");
    typed = "";
    assert_int_equal(qn_option_side_file(&task, "s", &name), -1);
    assert_non_null(strstr(told, "(-file PATH#NAME)"));
}

static int begins_one_of(const char *prefix, const char *first, const char *second)
{
    typed = prefix;
    paths[0] = first;
    paths[1] = second;
    return qn_option_input_prefix(&task, "p");
}

static void a_prefix_is_that_of_an_input_as_far_as_one_can_tell(void **state)
{
    (void)state;
    static const char *const good[][2] = {
        {"/a", "/a"},        {"/a/", "/a"},       {"/a", "/a/"},     {"/a/b/c", "/a"},
        {"/a", "/a/b/c"},    {"/", "/x"},         {"/a/b", "/*"},    {"/a/b", "/a/{x,b}"},
        {"/a", "a"},         {"/a", "hdfs:///a"}, {"/a", "/x/../a"}, {"/a/b", "/x//y"},
        {"/a/n1", "/a/n[1]"}};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(begins_one_of(good[i][0], good[i][1], NULL), 0);
        assert_int_equal(begins_one_of(good[i][0], "/no", good[i][1]), 0);
    }
    assert_int_equal(begins_one_of("/a", NULL, NULL), 0); /* no input was typed */
    assert_int_equal(begins_one_of("/a", "/b", "/ba"), -1);
    assert_string_equal(told, "p = \"/a\": the path of no input begins so");
    assert_int_equal(begins_one_of("/a/b", "/a/c*", NULL), -1);
    assert_int_equal(begins_one_of("a", "/a", NULL), -1);
    assert_string_equal(told,
                        "p = \"a\": the beginning of a whole path is wanted, from its first / on");
    assert_int_equal(begins_one_of("", "/a", NULL), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_are_digits_between_two_bounds),
        cmocka_unit_test(numbers_are_between_two_bounds_and_no_other_text),
        cmocka_unit_test(words_are_one_of_some_in_letters_of_either_size),
        cmocka_unit_test(yes_and_no_are_true_and_false),
        cmocka_unit_test(a_side_file_is_one_that_comes_along),
        cmocka_unit_test(a_prefix_is_that_of_an_input_as_far_as_one_can_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
