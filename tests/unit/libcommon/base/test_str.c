/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"

static void a_number_is_the_whole_string_or_nothing(void **state)
{
    (void)state;
    uint64_t u = 7;
    int64_t i = 7;
    double d = 7;
    assert_int_equal(str_to_u64("18446744073709551615", &u), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(str_to_i64("-9223372036854775808", &i), 0);
    assert_true(i == INT64_MIN);
    assert_int_equal(str_to_double("-2.5e3", &d), 0);
    assert_true(d == -2500);
    static const char *const bad[] = {"", " 1", "1 ", "1x", "+", "-", "--1", "0x10", "inf", "nan"};
    for (size_t n = 0; n < ARRAY_LEN(bad); n++) {
        assert_int_equal(str_to_u64(bad[n], &u), ERR_INVAL);
        assert_int_equal(str_to_i64(bad[n], &i), ERR_INVAL);
        assert_int_equal(str_to_double(bad[n], &d), ERR_INVAL);
    }
    assert_int_equal(str_to_u64("-1", &u), ERR_INVAL);
    assert_int_equal(str_to_u64("18446744073709551616", &u), ERR_INVAL);
    assert_int_equal(str_to_i64("9223372036854775808", &i), ERR_INVAL);
    assert_int_equal(str_to_double("1e999", &d), ERR_INVAL);
    assert_true(u == UINT64_MAX && i == INT64_MIN && d == -2500);
}

static void yes_and_no_have_many_names(void **state)
{
    (void)state;
    bool b = false;
    assert_int_equal(str_to_bool("Yes", &b), 0);
    assert_true(b);
    assert_int_equal(str_to_bool("off", &b), 0);
    assert_false(b);
    assert_int_equal(str_to_bool("TRUE", &b), 0);
    assert_true(b);
    assert_int_equal(str_to_bool("", &b), ERR_INVAL);
    assert_int_equal(str_to_bool("2", &b), ERR_INVAL);
    assert_true(b);
}

static void sizes_are_read_as_people_write_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},
                {"4096", 4096},
                {"512b", 512},
                {"1k", 1024},
                {"128m", 128 << 20},
                {"128 MiB", 128 << 20},
                {"1.5g", 3 << 29},
                {"64KB", 64 << 10},
                {"2T", 2ULL << 40},
                {"1p", 1ULL << 50},
                {"16383p", 16383ULL << 50}};
    static const char *const bad[] = {
        "", "m", "-1", "1.", "1q", "1mm", "1 m b", "1.5", ".5k", "16384p", "99999999999999999999"};
    uint64_t bytes = 7;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(str_to_size(good[i].text, &bytes), 0);
        assert_true(bytes == good[i].bytes);
    }
    bytes = 7;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(str_to_size(bad[i], &bytes), ERR_INVAL);
    assert_int_equal(bytes, 7);
}

static void times_are_read_as_people_write_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t unit, ms;
    } good[] = {{"250ms", 1, 250},    {"30s", 1, 30000},   {"20m", 1, 1200000},
                {"2 min", 1, 120000}, {"6h", 1, 21600000}, {"3d", 1, 259200000},
                {"3", 1000, 3000},    {"0.5", 1000, 500},  {"1.5s", 1, 1500},
                {"250MS", 1000, 250}, {"0", 1, 0}};
    static const char *const bad[] = {
        "", "s", "1w", "1 s s", "-1s", "0.5ms", "99999999999999999999d"};
    uint64_t ms = 7;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(str_to_ms(good[i].text, good[i].unit, &ms), 0);
        assert_true(ms == good[i].ms);
    }
    ms = 7;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(str_to_ms(bad[i], 1, &ms), ERR_INVAL);
    assert_int_equal(ms, 7);
}

static void sizes_are_shown_in_the_forms_scripts_know(void **state)
{
    (void)state;
    char out[64];
    assert_string_equal(str_human(0, out, sizeof(out)), "0");
    assert_string_equal(str_human(1023, out, sizeof(out)), "1023");
    assert_string_equal(str_human(1024, out, sizeof(out)), "1 K");
    assert_string_equal(str_human(1536, out, sizeof(out)), "1.5 K");
    assert_string_equal(str_human(3 << 19, out, sizeof(out)), "1.5 M");
    assert_string_equal(str_human((1 << 20) - 1, out, sizeof(out)), "1.0 M");
    assert_string_equal(str_human(UINT64_MAX, out, sizeof(out)), "16.0 E");
    assert_string_equal(str_human_report(0, out, sizeof(out)), "0 B");
    assert_string_equal(str_human_report(12 << 10, out, sizeof(out)), "12 KB");
    assert_string_equal(str_human_report(3ULL << 39, out, sizeof(out)), "1.50 TB");
    assert_string_equal(str_human_report((1 << 20) - 1, out, sizeof(out)), "1.00 MB");
    assert_string_equal(str_human_report(1025, out, sizeof(out)), "1.00 KB");
    assert_string_equal(str_thousands(0, out, sizeof(out)), "0");
    assert_string_equal(str_thousands(1234567, out, sizeof(out)), "1,234,567");
    assert_string_equal(str_thousands(UINT64_MAX, out, sizeof(out)), "18,446,744,073,709,551,615");
    assert_string_equal(str_thousands(1234567, out, 4), "1,2");
}

static void durations_have_the_precision_a_person_wants(void **state)
{
    (void)state;
    char out[64];
    assert_string_equal(str_duration(0, out, sizeof(out)), "0 ms");
    assert_string_equal(str_duration(42, out, sizeof(out)), "42 ms");
    assert_string_equal(str_duration(400, out, sizeof(out)), "0.4 s");
    assert_string_equal(str_duration(21400, out, sizeof(out)), "21.4 s");
    assert_string_equal(str_duration(59949, out, sizeof(out)), "59.9 s");
    assert_string_equal(str_duration(59999, out, sizeof(out)), "1m 00s");
    assert_string_equal(str_duration(72000, out, sizeof(out)), "1m 12s");
    assert_string_equal(str_duration(3 * 3600000 + 120000, out, sizeof(out)), "3h 02m");
}

static void the_distance_counts_edits(void **state)
{
    (void)state;
    assert_int_equal(str_distance("", ""), 0);
    assert_int_equal(str_distance("abc", ""), 3);
    assert_int_equal(str_distance("abc", "abc"), 0);
    assert_int_equal(str_distance("abc", "abd"), 1);
    assert_int_equal(str_distance("abc", "acb"), 1); /* neighbours swapped */
    assert_int_equal(str_distance("kitten", "sitting"), 3);
    assert_int_equal(str_distance("wordcuont", "wordcount"), 1);
}

static void words_longer_than_the_table_are_equal_or_far(void **state)
{
    (void)state;
    char a[100], b[100];
    memset(a, 'a', sizeof(a));
    memset(b, 'a', sizeof(b));
    a[99] = b[99] = 0;
    assert_int_equal(str_distance(a, b), 0);
    b[50] = 'b';
    assert_int_equal(str_distance(a, b), 64);
}

static void only_near_names_are_suggested(void **state)
{
    (void)state;
    static const char *const names[] = {"wordcount", "grep", "sort", "distinct"};
    assert_string_equal(str_nearest("wordcuont", names, 4), "wordcount");
    assert_string_equal(str_nearest("gerp", names, 4), "grep");
    assert_string_equal(str_nearest("sort", names, 4), "sort");
    assert_string_equal(str_nearest("WordCount", names, 4), "wordcount");
    assert_null(str_nearest("zzz", names, 4));
    assert_null(str_nearest("x", names, 0));
}

static void strings_are_made_on_the_heap_or_not_at_all(void **state)
{
    (void)state;
    char *s = str_printf("%s-%d", "part", 7), *d = str_dup("x");
    assert_string_equal(s, "part-7");
    assert_string_equal(d, "x");
    mem_free(s);
    mem_free(d);
    mem_fail_after(1);
    assert_null(str_printf("x"));
    mem_fail_after(1);
    assert_null(str_dup("x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_the_whole_string_or_nothing),
        cmocka_unit_test(yes_and_no_have_many_names),
        cmocka_unit_test(sizes_are_read_as_people_write_them),
        cmocka_unit_test(times_are_read_as_people_write_them),
        cmocka_unit_test(sizes_are_shown_in_the_forms_scripts_know),
        cmocka_unit_test(durations_have_the_precision_a_person_wants),
        cmocka_unit_test(the_distance_counts_edits),
        cmocka_unit_test(words_longer_than_the_table_are_equal_or_far),
        cmocka_unit_test(only_near_names_are_suggested),
        cmocka_unit_test(strings_are_made_on_the_heap_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
