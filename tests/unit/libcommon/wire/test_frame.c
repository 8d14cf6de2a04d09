/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "libcommon/wire/frame.h"

static const struct frame example = {
    .type = 0x0102, .flags = FRAME_ONEWAY, .call = 0x1122334455667788ULL, .deadline_ms = 5000};

static void a_frame_comes_back_as_it_went(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    struct err err;
    struct frame got;
    size_t used = 0, begin = frame_begin(&buf, &example);
    buf_append_str(&buf, "body");
    assert_int_equal(frame_end(&buf, begin), 0);
    buf_append_str(&buf, "next");
    assert_int_equal(frame_parse(buf_slice(&buf), FRAME_MAX_BYTES, &got, &used, &err), 0);
    assert_int_equal(used, 24);
    assert_int_equal(got.type, example.type);
    assert_int_equal(got.flags, example.flags);
    assert_true(got.call == example.call);
    assert_int_equal(got.deadline_ms, example.deadline_ms);
    assert_true(slice_is(got.body, "body"));
    buf_release(&buf);
}

static void the_header_has_the_documented_bytes(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    static const uint8_t wanted[] = {20,   0,    0,    0,    0x02, 0x01, 4,    0,    0x88, 0x77,
                                     0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x88, 0x13, 0,    0};
    assert_int_equal(frame_end(&buf, frame_begin(&buf, &example)), 0);
    assert_true(slice_eq(buf_slice(&buf), slice_of(wanted, sizeof(wanted))));
    buf_release(&buf);
}

static void a_cut_frame_asks_for_what_it_needs(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    struct frame got;
    size_t begin = frame_begin(&buf, &example);
    buf_append_str(&buf, "0123456789");
    assert_int_equal(frame_end(&buf, begin), 0);
    for (size_t len = 0; len < buf.len; len++) {
        size_t need = 0;
        uint8_t *cut = mem_alloc(len);
        if (len)
            memcpy(cut, buf.data, len);
        assert_int_equal(frame_parse(slice_of(cut, len), FRAME_MAX_BYTES, &got, &need, NULL),
                         ERR_RETRY);
        assert_int_equal(need, len < 4 ? 20 : 30);
        mem_free(cut);
    }
    buf_release(&buf);
}

static void impossible_lengths_are_refused_after_four_bytes(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {0, 1, 19, FRAME_MAX_BYTES + 1, UINT32_MAX};
    struct frame got;
    size_t used;
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        uint8_t bytes[4];
        put_u32(bytes, lengths[i]);
        assert_int_equal(frame_parse(slice_of(bytes, 4), FRAME_MAX_BYTES, &got, &used, &err),
                         ERR_PROTO);
    }
    uint8_t bytes[4];
    put_u32(bytes, FRAME_HELLO_MAX_BYTES + 1);
    assert_int_equal(frame_parse(slice_of(bytes, 4), FRAME_HELLO_MAX_BYTES, &got, &used, &err),
                     ERR_PROTO);
    assert_string_equal(err.msg, "a frame of 4097 bytes, allowed are 20 to 4096");
}

static void an_error_that_answers_nothing_is_refused(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    struct frame bad = {.flags = FRAME_ERROR}, got;
    size_t used;
    assert_int_equal(frame_end(&buf, frame_begin(&buf, &bad)), 0);
    assert_int_equal(frame_parse(buf_slice(&buf), FRAME_MAX_BYTES, &got, &used, NULL), ERR_PROTO);
    buf_release(&buf);
}

static void a_frame_too_big_is_taken_out_again(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    assert_int_equal(frame_end(&buf, frame_begin(&buf, &example)), 0);
    size_t begin = frame_begin(&buf, &example);
    assert_non_null(buf_reserve(&buf, FRAME_MAX_BYTES));
    memset(buf.data + buf.len, 0, FRAME_MAX_BYTES);
    buf.len += FRAME_MAX_BYTES;
    assert_int_equal(frame_end(&buf, begin), ERR_TOOBIG);
    assert_int_equal(buf.len, FRAME_HEADER_BYTES);
    buf_release(&buf);
}

static void memory_running_out_is_told_at_the_end(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    mem_fail_after(1);
    size_t begin = frame_begin(&buf, &example);
    buf_append_str(&buf, "body");
    mem_fail_after(0);
    assert_int_equal(frame_end(&buf, begin), ERR_NOMEM);
    buf_release(&buf);
}

static void an_error_answer_carries_code_and_text(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    struct arena arena = ARENA_INIT;
    struct frame got;
    struct frame_error error;
    size_t used;
    assert_int_equal(frame_put_error(&buf, 7, 8, ERR_NOENT, "/a: not there"), 0);
    assert_int_equal(frame_parse(buf_slice(&buf), FRAME_MAX_BYTES, &got, &used, NULL), 0);
    assert_int_equal(got.flags, FRAME_ANSWER | FRAME_ERROR);
    assert_int_equal(msg_decode(&frame_error_desc, got.body, &arena, &error, NULL), 0);
    assert_int_equal(error.code, ERR_NOENT);
    assert_true(slice_is(error.text, "/a: not there"));
    arena_release(&arena);
    buf_release(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_comes_back_as_it_went),
        cmocka_unit_test(the_header_has_the_documented_bytes),
        cmocka_unit_test(a_cut_frame_asks_for_what_it_needs),
        cmocka_unit_test(impossible_lengths_are_refused_after_four_bytes),
        cmocka_unit_test(an_error_that_answers_nothing_is_refused),
        cmocka_unit_test(a_frame_too_big_is_taken_out_again),
        cmocka_unit_test(memory_running_out_is_told_at_the_end),
        cmocka_unit_test(an_error_answer_carries_code_and_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
