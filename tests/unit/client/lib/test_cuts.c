/* SPDX-License-Identifier: Apache-2.0
 * Inputs that are cut at places of their own: behind so many lines, where frames begin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <zstd.h>

#include "client/lib/cuts.h"
#include "libcommon/base/buf.h"

static struct arena arena;

static int64_t read_buf(void *arg, void *data, size_t len, uint64_t off, struct err *err)
{
    const struct buf *b = arg;
    (void)err;
    size_t left = off < b->len ? b->len - (size_t)off : 0, n = len < left ? len : left;
    if (n)
        memcpy(data, b->data + off, n);
    return (int64_t)n;
}

/* Zeros, and then nothing any more. */
static int64_t read_broken(void *arg, void *data, size_t len, uint64_t off, struct err *err)
{
    (void)arg;
    if (off > 0)
        return err_set(err, ERR_IO, "no bytes here");
    memset(data, 0, len < 50 ? len : 50);
    return (int64_t)(len < 50 ? len : 50);
}

/* The splits of a file of these bytes, and one without any behind it. */
static struct splits cut(struct buf *bytes, const struct split_conf *conf)
{
    struct split_file files[] = {{.path = slice_str("a"), .len = bytes->len, .block_size = 1000},
                                 {.path = slice_str("b"), .len = 5}};
    const struct frames_file file = {read_buf, bytes, bytes->len};
    struct splits splits;
    assert_int_equal(cuts_look(&files[0], conf, &file, &arena, NULL), 0);
    assert_int_equal(splits_compute(files, 2, conf, &arena, &splits), 0);
    return splits;
}

static void each_task_gets_so_many_lines_of_one_file(void **state)
{
    struct buf text = BUF_INIT;
    (void)state;
    buf_append_str(&text, "a\n\nbb\nccc\n\ndd");
    struct splits s = cut(&text, &(struct split_conf){.has_lines = true, .lines = 2});
    assert_int_equal(s.n, 4);
    assert_int_equal(s.v[1].segments[0].offset, 3);
    assert_int_equal(s.v[2].segments[0].offset, 10);
    assert_int_equal(s.v[2].bytes, text.len - 10);
    assert_int_equal(s.v[2].segment_count, 1);
    buf_append_byte(&text, '\n'); /* a cut at the end of a file makes no task */
    s = cut(&text, &(struct split_conf){.has_lines = true, .lines = 3});
    assert_int_equal(s.n, 3);
    buf_clear(&text);
    for (int i = 0; i < 200000; i++)
        buf_append_str(&text, "xyz\n");
    s = cut(&text, &(struct split_conf){.has_lines = true, .lines = 1000});
    assert_int_equal(s.n, 201);
    for (size_t i = 0; i < 200; i++)
        assert_true(s.v[i].segments[0].offset == i * 4000 && s.v[i].bytes == 4000);
    buf_release(&text);
}

static void frames_are_put_together_until_a_split_is_full(void **state)
{
    struct buf packed = BUF_INIT;
    uint8_t noise[3000];
    (void)state;
    for (int frame = 0; frame < 20; frame++) {
        size_t len = frame == 9 ? 3000 : 300, cap = ZSTD_compressBound(len);
        for (size_t i = 0; i < len; i++)
            noise[i] = (uint8_t)((i * 2654435761U) >> (frame % 20));
        packed.len += ZSTD_compress(buf_reserve(&packed, cap), cap, noise, len, 1);
    }
    struct splits s = cut(&packed, &(struct split_conf){.has_lines = true});
    uint64_t at = 0;
    assert_true(s.n > 3);
    for (size_t i = 0; i + 1 < s.n; i++) {
        const struct split_segment *segment = &s.v[i].segments[0];
        assert_int_equal(segment->offset, at);
        assert_int_equal(segment->frame, at + 1);
        assert_true(segment->length >= 1000 || i + 2 == s.n);
        at += segment->length;
    }
    s = cut(&packed, &(struct split_conf){0}); /* no lines: nothing can be found in the middle */
    assert_int_equal(s.n, 2);
    assert_int_equal(s.v[0].segments[0].frame, 0);
    buf_release(&packed);
}

static void what_cannot_be_read_is_told(void **state)
{
    struct split_file file = {.path = slice_str("a"), .len = 100};
    const struct split_conf conf = {.has_lines = true, .lines = 1};
    struct buf none = BUF_INIT;
    struct err err = {0};
    (void)state;
    assert_int_equal(
        cuts_look(&file, &conf, &(struct frames_file){read_broken, &none, 100}, &arena, &err),
        ERR_IO);
    assert_string_equal(err.msg, "no bytes here");
}

static int release(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_task_gets_so_many_lines_of_one_file),
        cmocka_unit_test(frames_are_put_together_until_a_split_is_full),
        cmocka_unit_test(what_cannot_be_read_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, release);
}
