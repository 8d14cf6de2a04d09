/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/fs/find_expr.h"
#include "client/fs/format.h"
#include "client/fs/progress.h"
#include "client/fs/stat_format.h"

static void modes_have_nine_letters_and_a_sticky_end(void **state)
{
    (void)state;
    char out[FS_MODE_TEXT];
    assert_string_equal(fs_format_mode(0755, out), "rwxr-xr-x");
    assert_string_equal(fs_format_mode(01777, out), "rwxrwxrwt");
    assert_string_equal(fs_format_mode(01770, out), "rwxrwx--T");
    assert_string_equal(fs_format_mode(0, out), "---------");
}

static void times_are_local_to_the_minute_or_utc_to_the_second(void **state)
{
    (void)state;
    char out[FS_TIME_TEXT];
    setenv("TZ", "Asia/Kolkata", 1);
    tzset();
    assert_string_equal(fs_format_local_minute(1704164645000, out), "2024-01-02 08:34");
    assert_string_equal(fs_format_utc_second(1704164645999, out), "2024-01-02 03:04:05");
    setenv("TZ", "UTC", 1);
    tzset();
}

static void sizes_are_exact_or_human(void **state)
{
    (void)state;
    char out[FS_SIZE_TEXT];
    assert_string_equal(fs_format_size(1366, false, out), "1366");
    assert_string_equal(fs_format_size(1536, true, out), "1.5 K");
    assert_string_equal(fs_format_size(1024, true, out), "1 K");
    assert_string_equal(fs_format_size(512, true, out), "512");
}

static void a_timestamp_is_read_whole_or_not_at_all(void **state)
{
    (void)state;
    int64_t ms = 0;
    setenv("TZ", "UTC", 1);
    tzset();
    assert_int_equal(fs_parse_timestamp("20240102:030405", &ms), 0);
    assert_int_equal(ms, 1704164645000);
    assert_int_equal(fs_parse_timestamp("20240102030405", &ms), ERR_INVAL);
    assert_int_equal(fs_parse_timestamp("20240102:030405x", &ms), ERR_INVAL);
    assert_int_equal(fs_parse_timestamp("20241302:030405", &ms), ERR_INVAL);
}

static void what_cannot_be_printed_is_a_question_mark(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    fs_append_printable(&out, "a\tb\n\xc3\xa9\xff");
    assert_string_equal(buf_cstr(&out), "a?b?\xc3\xa9?");
    buf_clear(&out);
    fs_append_json(&out, "a\"\\\n\xc3\xa9\xff");
    assert_string_equal(buf_cstr(&out), "\"a\\\"\\\\\\u000a\xc3\xa9\\ufffd\"");
    buf_release(&out);
}

static void tables_align_and_do_not_pad_the_last_column(void **state)
{
    (void)state;
    struct fs_table table;
    fs_table_init(&table, 3, 2);
    assert_int_equal(fs_table_add(&table, (const char *[]){"1", "22", "/a"}), 0);
    assert_int_equal(fs_table_add(&table, (const char *[]){"333", "4", "/b"}), 0);
    char text[128] = "";
    FILE *out = fmemopen(text, sizeof(text), "w");
    fs_table_print(&table, out);
    fclose(out);
    assert_string_equal(text, "1    22  /a\n333   4  /b\n");
    fs_table_release(&table);
}

static void stat_letters_say_what_they_say_in_hadoop(void **state)
{
    (void)state;
    const struct qn_stat stat = {.owner = "o",
                                 .group = "g",
                                 .length = 5,
                                 .block_size = 7,
                                 .mtime_ms = 1704164645123,
                                 .atime_ms = 0,
                                 .replication = 3,
                                 .mode = 01644};
    struct buf out = BUF_INIT;
    fs_stat_format("%a %A %b %F %g %n %o %r %u %x %X %y %Y %c %%", &stat, slice_str("name"), &out);
    assert_string_equal(buf_cstr(&out),
                        "1644 rw-r--r-T 5 regular file g name 7 3 o 1970-01-01 00:00:00 0 "
                        "2024-01-02 03:04:05 1704164645123 c %");
    buf_clear(&out);
    fs_stat_format("x%", &stat, slice_str("name"), &out);
    assert_string_equal(buf_cstr(&out), "x");
    buf_release(&out);
}

/* Words separated by blanks; the expression borrows nothing of them. */
static int parse_words(const char *line, struct fs_find_expr *expr, struct err *err)
{
    static char words[256], *v[16];
    size_t n = 0;
    snprintf(words, sizeof(words), "%s", line);
    for (char *p = words, *word = NULL; (word = strsep(&p, " "));)
        if (*word)
            v[n++] = word;
    return fs_find_parse(v, n, expr, err);
}

static struct fs_find_expr parsed(const char *line)
{
    struct fs_find_expr expr;
    struct err err;
    assert_int_equal(parse_words(line, &expr, &err), 0);
    return expr;
}

static size_t applied(const struct fs_find_expr *expr, const char *name, int *ends)
{
    const struct qn_stat stat = {.is_dir = false};
    const struct fs_find_entry entry = {slice_str(name), &stat, 0};
    return fs_find_apply(expr, &entry, ends);
}

static bool finds(const char *line, const struct qn_stat *stat)
{
    int ends[FS_FIND_STEPS_MAX];
    struct fs_find_expr expr = parsed(line);
    const struct fs_find_entry entry = {slice_str("x"), stat, 10 * 86400000ULL};
    size_t n = fs_find_apply(&expr, &entry, ends);
    fs_find_release(&expr);
    return n == 1;
}

static void find_asks_for_kind_size_age_and_owner(void **state)
{
    (void)state;
    const struct qn_stat stat = {.owner = "bob",
                                 .group = "team",
                                 .length = 1025,
                                 .mtime_ms = 7 * 86400000ULL - 60000}; /* three days and a minute */
    static const char *const yes[] = {"-type f",     "-size 1025",      "-size 2k",  "-size +1k",
                                      "-size -3k",   "-size 1M",        "-mtime 3",  "-mtime +2",
                                      "-mtime -4",   "-mmin 4321",      "-user bob", "-group team",
                                      "-size 1025c", "-size +1 -type f"};
    static const char *const no[] = {"-type d",   "-size 1024", "-size 1k",  "-size -2k",
                                     "-size +2k", "-size -1M",  "-mtime +3", "-mtime -3",
                                     "-user eve", "-group x"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        assert_true(finds(yes[i], &stat));
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        assert_false(finds(no[i], &stat));
}

static void find_prints_unless_told_how(void **state)
{
    (void)state;
    int ends[FS_FIND_STEPS_MAX];
    struct fs_find_expr expr = parsed("");
    assert_int_equal(applied(&expr, "x", ends), 1);
    assert_int_equal(ends[0], '\n');
    fs_find_release(&expr);
    expr = parsed("-name *.{c,h} -a -print0");
    assert_int_equal(applied(&expr, "a.h", ends), 1);
    assert_int_equal(ends[0], 0);
    assert_int_equal(applied(&expr, "a.o", ends), 0);
    fs_find_release(&expr);
    expr = parsed("-print -iname ABC* -print");
    assert_int_equal(applied(&expr, "abcd", ends), 2);
    assert_int_equal(applied(&expr, "x", ends), 1);
    fs_find_release(&expr);
}

static void find_refuses_what_it_does_not_know(void **state)
{
    (void)state;
    struct fs_find_expr expr;
    struct err err;
    assert_int_equal(parse_words("-perm 644", &expr, &err), ERR_INVAL);
    assert_string_equal(err.msg, "Unexpected argument: -perm");
    fs_find_release(&expr);
    static const char *const bad[] = {"-type l",
                                      "-size x",
                                      "-size 1z",
                                      "-size +",
                                      "-mtime 1k",
                                      "-size 1kk",
                                      "-size 99999999999999999999",
                                      "-user"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(parse_words(bad[i], &expr, &err), ERR_USAGE);
        fs_find_release(&expr);
    }
    assert_int_equal(parse_words("-name", &expr, &err), ERR_USAGE);
    fs_find_release(&expr);
    assert_int_equal(parse_words("-a -print", &expr, &err), ERR_USAGE);
    fs_find_release(&expr);
}

static void progress_tells_rate_and_rest(void **state)
{
    (void)state;
    char out[160];
    assert_string_equal(fs_progress_line("put", 1, 512 << 20, 1024ULL << 20, 1000, out),
                        "put   50 %  512 M  512 M/s   1 file done   about 1.0 s left");
    assert_string_equal(fs_progress_line("cat", 2, 100, 0, 0, out), "cat  100  0/s   2 files done");
}

static void is_shown(double v, const char *as_double, const char *as_float)
{
    struct buf out = BUF_INIT;
    float single = (float)v;
    uint64_t bits;
    uint32_t low;
    memcpy(&bits, &v, sizeof(bits));
    memcpy(&low, &single, sizeof(low));
    fs_append_java_real(&out, bits, true);
    assert_string_equal(buf_cstr(&out), as_double);
    buf_clear(&out);
    fs_append_java_real(&out, low, false);
    assert_string_equal(buf_cstr(&out), as_float);
    buf_release(&out);
}

static void numbers_with_a_point_look_as_in_java(void **state)
{
    (void)state;
    is_shown(0.0, "0.0", "0.0");
    is_shown(-0.0, "-0.0", "-0.0");
    is_shown(1, "1.0", "1.0");
    is_shown(100, "100.0", "100.0");
    is_shown(9999999, "9999999.0", "9999999.0");
    is_shown(1e7, "1.0E7", "1.0E7");
    is_shown(-123456.789, "-123456.789", "-123456.79");
    is_shown(0.001, "0.001", "0.001");
    is_shown(0.00099, "9.9E-4", "9.9E-4");
    is_shown(1e30, "1.0E30", "1.0E30");
    is_shown(4.9e-324, "4.9E-324", "0.0");
    is_shown((double)1.4e-45F, "1.401298464324817E-45", "1.4E-45");
    is_shown((double)-INFINITY, "-Infinity", "-Infinity");
    is_shown((double)NAN, "NaN", "NaN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes_have_nine_letters_and_a_sticky_end),
        cmocka_unit_test(times_are_local_to_the_minute_or_utc_to_the_second),
        cmocka_unit_test(sizes_are_exact_or_human),
        cmocka_unit_test(a_timestamp_is_read_whole_or_not_at_all),
        cmocka_unit_test(what_cannot_be_printed_is_a_question_mark),
        cmocka_unit_test(tables_align_and_do_not_pad_the_last_column),
        cmocka_unit_test(stat_letters_say_what_they_say_in_hadoop),
        cmocka_unit_test(find_asks_for_kind_size_age_and_owner),
        cmocka_unit_test(find_prints_unless_told_how),
        cmocka_unit_test(find_refuses_what_it_does_not_know),
        cmocka_unit_test(numbers_with_a_point_look_as_in_java),
        cmocka_unit_test(progress_tells_rate_and_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
