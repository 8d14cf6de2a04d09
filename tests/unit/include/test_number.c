/* SPDX-License-Identifier: Apache-2.0
 * What a job takes for a number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <quern/job.h>

static int number(const char *text, double *ret)
{
    return qn_number((struct qn_slice){text, strlen(text)}, ret);
}

static void decimal_numbers_are_numbers_blanks_around_them_or_not(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double is;
    } good[] = {{"0", 0},
                {"-0", 0},
                {"7", 7},
                {"  7", 7},
                {"3 \r", 3},
                {"\t-2.5e3", -2500},
                {"+.5", 0.5},
                {"1e400", __builtin_inf()},
                {"-inf", -__builtin_inf()},
                {"00000000000000000000000000000000000000000000000000000000000001    ", 1}};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        double v = -99;
        assert_int_equal(number(good[i].text, &v), 1);
        assert_true(v >= good[i].is && v <= good[i].is);
    }
}

static void what_merely_begins_with_one_is_none(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",     " ",
        "x",    "1x",
        "0x10", "0X1p3",
        "1 2",  "1,5",
        "1_0",  "nan",
        "-",    "e3",
        "\r\n", "0000000000000000000000000000000000000000000000000000000000000001"};
    double v;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(number(bad[i], &v), 0);
    assert_int_equal(qn_number((struct qn_slice){"1\0", 2}, &v), 0);
    assert_int_equal(qn_number((struct qn_slice){NULL, 0}, &v), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimal_numbers_are_numbers_blanks_around_them_or_not),
        cmocka_unit_test(what_merely_begins_with_one_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
