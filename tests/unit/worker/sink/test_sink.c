/* SPDX-License-Identifier: Apache-2.0
 * Output files: their text, their length and checksum, and the list of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <unistd.h>

#include "libcommon/base/fault.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/rand.h"
#include "libcommon/codec/crc32c.h"
#include "tests/unit/worker/own_dir.h"
#include "worker/sink/commit.h"
#include "worker/sink/sink.h"

static char path[64];
static uint8_t room[4096];
static struct err err;

static struct sink open_sink(void)
{
    struct sink sink;
    snprintf(path, sizeof(path), "%s/below/part-r-00000", dir);
    assert_int_equal(sink_open(&sink, files_local(), path, &(struct sink_how){0},
                               slice_of(room, sizeof(room)), &err),
                     0);
    return sink;
}

/* Ends it, checks length and sum, gives the file's bytes. */
static struct buf finish(struct sink *sink)
{
    struct buf file = BUF_INIT;
    struct task_file told = {.path = slice_str(path)};
    assert_int_equal(sink_finish(sink, &told, &err), 0);
    assert_true(slice_is(told.path, path));
    assert_int_equal(fsutil_read_all(disk_real(), path, 1 << 24, &file, &err), 0);
    assert_int_equal(file.len, told.len);
    assert_int_equal(crc32c(0, file.data, file.len), told.crc);
    return file;
}

static struct slice number(const void *v)
{
    return slice_of(v, 8);
}

static void types_print_as_people_write_them(void **state)
{
    (void)state;
    struct sink sink = open_sink();
    uint64_t big = UINT64_MAX, zero = 0;
    int64_t least = INT64_MIN, minus = -7;
    double third = 1.0 / 3, tenth = 0.1, huge = 1e300;
    sink_record(&sink, QN_TEXT, slice_str("word"), QN_U64, number(&big));
    sink_record(&sink, QN_I64, number(&least), QN_I64, number(&minus));
    sink_record(&sink, QN_F64, number(&third), QN_F64, number(&tenth));
    sink_record(&sink, QN_U64, number(&zero), QN_F64, number(&huge));
    sink_record(&sink, QN_TEXT, slice_str("alone"), QN_NONE, slice_str(""));
    sink_record(&sink, QN_NONE, slice_str(""), QN_TEXT, slice_str("value only"));
    sink_record(&sink, QN_BYTES, slice_of("a\0b", 3), QN_TEXT, slice_str(""));
    assert_int_equal(sink.records, 7);
    struct buf file = finish(&sink);
    const char want[] = "word\t18446744073709551615\n"
                        "-9223372036854775808\t-7\n"
                        "0.3333333333333333\t0.1\n"
                        "0\t1e+300\n"
                        "alone\n"
                        "value only\n"
                        "a\0b\t\n";
    assert_true(slice_eq(buf_slice(&file), slice_of(want, sizeof(want) - 1)));
    buf_release(&file);
}

static void every_double_comes_back_from_its_text(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 1);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = rand_u64(&rand);
        double v, back;
        char text[64] = "";
        memcpy(&v, &bits, 8);
        if (isnan(v))
            continue;
        text[sink_number(QN_F64, bits, text)] = 0;
        back = strtod(text, NULL);
        assert_memory_equal(&back, &v, 8);
    }
}

static void long_and_short_writes_keep_their_order(void **state)
{
    (void)state;
    struct sink sink = open_sink();
    struct buf want = BUF_INIT;
    static uint8_t bytes[20000];
    struct rand rand;
    rand_init(&rand, 2);
    for (int i = 0; i < 200; i++) {
        size_t n = (size_t)rand_below(&rand, rand_chance(&rand, 10) ? sizeof(bytes) : 300);
        memset(bytes, 'a' + i % 26, n);
        assert_int_equal(sink_write(&sink, slice_of(bytes, n)), 0);
        buf_append(&want, bytes, n);
    }
    struct buf file = finish(&sink);
    assert_true(slice_eq(buf_slice(&file), buf_slice(&want)));
    buf_release(&file);
    buf_release(&want);
}

static void a_failed_write_sticks_until_finish(void **state)
{
    (void)state;
    struct sink sink = open_sink();
    static uint8_t bytes[9000];
    assert_int_equal(fault_arm("disk.write=1:enospc", &err), 0);
    assert_int_equal(sink_write(&sink, slice_of(bytes, sizeof(bytes))), ERR_NOSPC);
    assert_int_equal(sink_write(&sink, slice_str("x")), ERR_NOSPC);
    fault_arm(NULL, NULL);
    assert_int_equal(sink_finish(&sink, &(struct task_file){0}, &err), ERR_NOSPC);
    assert_non_null(strstr(err.msg, "part-r-00000: No space left"));
}

static void what_fails_at_the_end_is_told(void **state)
{
    (void)state;
    struct sink sink = open_sink();
    assert_int_equal(sink_write(&sink, slice_str("a little")), 0); /* waits in the buffer */
    assert_int_equal(fault_arm("disk.write=1:eio", &err), 0);
    assert_int_equal(sink_finish(&sink, &(struct task_file){0}, &err), ERR_IO);
    fault_arm(NULL, NULL);
    assert_non_null(strstr(err.msg, "part-r-00000: Input/output error"));
}

static int finish_badly(struct files_out *out, struct err *why)
{
    files_abandon(files_local(), out);
    return err_set(why, ERR_IO, "%s: its last replica is gone", path);
}

static void a_file_that_does_not_become_whole_is_told(void **state)
{
    (void)state;
    struct sink sink = open_sink();
    struct files_ops ops = *files_local()->ops;
    struct files files = {&ops};
    ops.finish = finish_badly;
    sink.files = &files;
    assert_int_equal(sink_write(&sink, slice_str("a little")), 0);
    assert_int_equal(sink_finish(&sink, &(struct task_file){0}, &err), ERR_IO);
    assert_non_null(strstr(err.msg, "part-r-00000: its last replica is gone"));
}

/* Whoever publishes makes files without a byte, where that is asked for; else the sink does. */
static void a_file_without_a_byte_is_made_unless_the_publication_does(void **state)
{
    (void)state;
    struct task_file told = {.path = slice_str(path)};
    struct sink sink = open_sink();
    unlink(path);
    sink.how.skips_empty = true;
    assert_int_equal(sink_finish(&sink, &told, &err), 0);
    assert_int_equal(told.path.len, 0);
    assert_int_equal(told.len, 0);
    assert_int_equal(access(path, F_OK), -1);
    sink = open_sink();
    struct buf file = finish(&sink);
    assert_int_equal(file.len, 0);
    buf_release(&file);
}

static void a_file_is_made_with_its_first_record(void **state)
{
    (void)state;
    struct sink sink = open_sink();
    unlink(path);
    assert_int_equal(sink_write(&sink, slice_str("")), 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(sink_write(&sink, slice_str("a")), 0);
    assert_int_equal(access(path, F_OK), 0);
    sink_abandon(&sink);
}

static void a_manifest_line_has_name_length_records_and_sum(void **state)
{
    (void)state;
    struct buf line = BUF_INIT;
    struct task_file file = {
        .name = slice_str("part-r-00003"), .len = 12, .crc = 0xabc, .records = 4};
    commit_line(&file, &line);
    assert_string_equal(buf_cstr(&line), "part-r-00003\t12\t4\t00000abc");
    buf_release(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_print_as_people_write_them),
        cmocka_unit_test(every_double_comes_back_from_its_text),
        cmocka_unit_test(long_and_short_writes_keep_their_order),
        cmocka_unit_test(a_failed_write_sticks_until_finish),
        cmocka_unit_test(what_fails_at_the_end_is_told),
        cmocka_unit_test(a_file_that_does_not_become_whole_is_told),
        cmocka_unit_test(a_file_without_a_byte_is_made_unless_the_publication_does),
        cmocka_unit_test(a_file_is_made_with_its_first_record),
        cmocka_unit_test(a_manifest_line_has_name_length_records_and_sum),
    };
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
