/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/mem.h"

static void what_is_appended_stands_in_order(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    buf_append_str(&buf, "ab");
    buf_append_byte(&buf, 'c');
    buf_append(&buf, NULL, 0);
    buf_append_slice(&buf, slice_str("de"));
    buf_printf(&buf, "-%d-%s", 42, "x");
    assert_string_equal(buf_cstr(&buf), "abcde-42-x");
    assert_int_equal(buf.len, 10);
    buf_release(&buf);
    buf_release(&buf);
}

static void integers_are_little_endian_and_come_back(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    buf_append_u16(&buf, 0x0102);
    buf_append_u32(&buf, 0x01020304);
    buf_append_u64(&buf, 0x0102030405060708);
    assert_memory_equal(buf.data, "\x02\x01\x04\x03\x02\x01\x08\x07\x06\x05\x04\x03\x02\x01", 14);
    assert_int_equal(get_u16(buf.data), 0x0102);
    assert_int_equal(get_u32(buf.data + 2), 0x01020304);
    assert_true(get_u64(buf.data + 6) == 0x0102030405060708);
    put_u16(buf.data, 7);
    put_u32(buf.data + 2, 8);
    put_u64(buf.data + 6, 9);
    assert_memory_equal(buf.data, "\7\0\10\0\0\0\11\0\0\0\0\0\0\0", 14);
    buf_release(&buf);
}

static void varints_come_back_at_every_size(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits <= 64; bits++) {
        uint64_t v = bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1, got = 1;
        struct buf buf = BUF_INIT;
        buf_append_varint(&buf, v);
        assert_int_equal(get_varint(buf.data, buf.len, &got), buf.len);
        assert_true(got == v);
        for (size_t cut = 0; cut < buf.len; cut++)
            assert_int_equal(get_varint(buf.data, cut, &got), 0);
        buf_release(&buf);
    }
}

static void a_varint_that_is_too_long_is_refused(void **state)
{
    (void)state;
    uint64_t v = 77;
    assert_int_equal(
        get_varint((const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, &v), 0);
    assert_int_equal(
        get_varint((const uint8_t *)"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11, &v), 0);
    assert_int_equal(v, 77);
}

static void a_failed_buf_stays_failed_until_cleared(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    buf_append_str(&buf, "kept");
    mem_fail_after(1);
    assert_null(buf_reserve(&buf, 1000));
    assert_true(buf_failed(&buf));
    buf_append_str(&buf, "lost");
    buf_printf(&buf, "%d", 1);
    assert_null(buf_cstr(&buf));
    assert_int_equal(buf.len, 4);
    assert_memory_equal(buf.data, "kept", 4);
    buf_clear(&buf);
    buf_append_str(&buf, "again");
    assert_string_equal(buf_cstr(&buf), "again");
    buf_release(&buf);
}

static void an_absurd_reservation_fails_without_overflow(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    buf_append_str(&buf, "x");
    volatile size_t absurd = SIZE_MAX;
    assert_null(buf_reserve(&buf, absurd));
    assert_true(buf_failed(&buf));
    buf_release(&buf);
}

static void bytes_are_dropped_from_the_front(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    buf_append_str(&buf, "0123456789");
    buf_consume(&buf, 0);
    buf_consume(&buf, 4);
    assert_string_equal(buf_cstr(&buf), "456789");
    buf_consume(&buf, 6);
    assert_int_equal(buf.len, 0);
    buf_release(&buf);
}

static void a_long_line_is_printed_whole(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    char word[3000];
    memset(word, 'w', sizeof(word));
    word[sizeof(word) - 1] = 0;
    buf_printf(&buf, "%s", word);
    assert_string_equal(buf_cstr(&buf), word);
    buf_release(&buf);
}

static void lines_of_every_length_around_the_room_are_whole(void **state)
{
    (void)state;
    char word[600] = "";
    for (int len = 0; len + 1 < (int)sizeof(word); len++) {
        struct buf buf = BUF_INIT;
        buf_append_str(&buf, "x");
        buf_printf(&buf, "%s", word);
        assert_int_equal(buf.len, len + 1);
        assert_string_equal(buf_cstr(&buf) + 1, word);
        buf_release(&buf);
        word[len] = (char)('a' + len % 26);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_appended_stands_in_order),
        cmocka_unit_test(integers_are_little_endian_and_come_back),
        cmocka_unit_test(varints_come_back_at_every_size),
        cmocka_unit_test(a_varint_that_is_too_long_is_refused),
        cmocka_unit_test(a_failed_buf_stays_failed_until_cleared),
        cmocka_unit_test(an_absurd_reservation_fails_without_overflow),
        cmocka_unit_test(bytes_are_dropped_from_the_front),
        cmocka_unit_test(a_long_line_is_printed_whole),
        cmocka_unit_test(lines_of_every_length_around_the_room_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
