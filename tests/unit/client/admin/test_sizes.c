/* SPDX-License-Identifier: Apache-2.0
 * sizes: what Hadoop takes for a number with a binary prefix, and its words for what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/admin/sizes.h"
#include "libcommon/base/slice.h"

struct row {
    const char *word;
    int64_t value;
};

static void numbers_with_and_without_prefix_are_read(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"0", 0},
        {"1", 1},
        {"+7", 7},
        {"-1", -1},
        {"007", 7},
        {"  12\t", 12},
        {"1k", 1024},
        {"1K", 1024},
        {" 3m ", 3 << 20},
        {"10g", 10LL << 30},
        {"2T", 2LL << 40},
        {"1p", 1LL << 50},
        {"7e", 7LL << 60},
        {"-8E", INT64_MIN},
        {"-2k", -2048},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {0};
        int64_t got = 0;
        if (admin_size(rows[i].word, &got, &err) != 0)
            fail_msg("%s: %s", rows[i].word, err.msg);
        assert_int_equal(got, rows[i].value);
    }
}

struct refusal {
    const char *word;
    int code;
    const char *text;
};

/* Also: nothing is stored, and nothing overflows on the way. */
static void what_is_no_number_is_refused_in_hadoops_words(void **state)
{
    (void)state;
#define PREFIXES ". Allowed prefixes are k, m, g, t, p, e(case insensitive)"
    static const struct refusal rows[] = {
        {"", ERR_INVAL, "For input string: \"\""},
        {"k", ERR_INVAL, "For input string: \"\""},
        {"-", ERR_LIMIT, "Invalid size prefix '-' in '-'" PREFIXES},
        {"-k", ERR_INVAL, "For input string: \"-\""},
        {"+-1", ERR_INVAL, "For input string: \"+-1\""},
        {"1.5g", ERR_INVAL, "For input string: \"1.5\""},
        {"1 k", ERR_INVAL, "For input string: \"1 \""},
        {"0x10", ERR_INVAL, "For input string: \"0x10\""},
        {"1kk", ERR_INVAL, "For input string: \"1k\""},
        {"12z", ERR_LIMIT, "Invalid size prefix 'z' in '12z'" PREFIXES},
        {"10gb", ERR_LIMIT, "Invalid size prefix 'b' in '10gb'" PREFIXES},
        {"8e", ERR_LIMIT, "8e does not fit in a Long"},
        {"-9e", ERR_LIMIT, "-9e does not fit in a Long"},
        {"9223372036854775807k", ERR_LIMIT, "9223372036854775807k does not fit in a Long"},
        {"9223372036854775808", ERR_INVAL, "For input string: \"9223372036854775808\""},
        {"-9223372036854775809k", ERR_INVAL, "For input string: \"-9223372036854775809\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {0};
        int64_t got = 77;
        int rc = admin_size(rows[i].word, &got, &err);
        if (rc != rows[i].code)
            fail_msg("%s: %d, not %d", rows[i].word, rc, rows[i].code);
        assert_string_equal(err.msg, rows[i].text);
        assert_true(rc != ERR_LIMIT || got == 77);
    }
}

static void a_word_of_many_digits_is_no_number(void **state)
{
    (void)state;
    char word[400];
    struct err err = {0};
    int64_t got = 0;
    memset(word, '9', sizeof(word));
    word[sizeof(word) - 1] = '\0';
    assert_int_equal(admin_size(word, &got, &err), ERR_INVAL);
    word[sizeof(word) - 2] = 'g';
    assert_int_equal(admin_size(word, &got, &err), ERR_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_with_and_without_prefix_are_read),
        cmocka_unit_test(what_is_no_number_is_refused_in_hadoops_words),
        cmocka_unit_test(a_word_of_many_digits_is_no_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
