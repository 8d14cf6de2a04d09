/* SPDX-License-Identifier: Apache-2.0
 * msg: what is encoded comes back; what is hostile is refused with words; old and new understand
 * each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "libcommon/base/clock.h"
#include "libcommon/wire/msg.h"
#include "libcommon/wire/pack.h"

#define POINT_FIELDS(F, S, L) \
    F(STR, name)              \
    F(U64, at)
MSG_STRUCT(point, POINT_FIELDS)
MSG_DEFINE(point, POINT_FIELDS)

#define SHAPE_FIELDS(F, S, L) \
    F(U64, u64)               \
    F(U32, u32)               \
    F(I64, i64)               \
    F(F64, f64)               \
    F(BOOL, yes)              \
    F(STR, str)               \
    F(BYTES, bytes)           \
    F(U64S, u64s)             \
    F(STRS, strs)             \
    S(point, inner)           \
    L(point, points)
MSG_STRUCT(shape, SHAPE_FIELDS)
MSG_DEFINE(shape, SHAPE_FIELDS)

/* the same message, as a later and as an earlier version knows it */
#define POINT_NEW_FIELDS(F, S, L) \
    F(STR, name)                  \
    F(U64, at)                    \
    F(STR, colour)                \
    L(point, more)
MSG_STRUCT(point_new, POINT_NEW_FIELDS)
MSG_DEFINE_SINCE(point_new, POINT_NEW_FIELDS, colour)

struct fixture {
    struct buf buf;
    struct arena arena;
    struct err err;
};

static int setup(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){0};
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    buf_release(&f->buf);
    arena_release(&f->arena);
    return 0;
}

static int decode_bytes(struct fixture *f, const char *bytes, size_t len, struct shape *ret)
{
    return msg_decode(&shape_desc, slice_of(bytes, len), &f->arena, ret, &f->err);
}

static void every_kind_of_field_comes_back_as_it_went(void **state)
{
    struct fixture *f = *state;
    uint64_t numbers[] = {0, 1, UINT64_MAX};
    struct slice words[] = {slice_str("a"), slice_str("")};
    struct point points[] = {{slice_str("p"), 7}, {slice_str("q"), 1ULL << 40}};
    struct shape in = {.u64 = UINT64_MAX,
                       .u32 = UINT32_MAX,
                       .i64 = INT64_MIN,
                       .f64 = -0.125,
                       .yes = true,
                       .str = slice_str("/a b"),
                       .bytes = slice_of("\0\xff", 2),
                       .u64s = {numbers, 3},
                       .strs = {words, 2},
                       .inner = {slice_str("in"), 3},
                       .points = {points, 2}};
    struct shape out;
    msg_encode(&shape_desc, &in, &f->buf);
    assert_int_equal(msg_decode(&shape_desc, buf_slice(&f->buf), &f->arena, &out, &f->err), 0);
    assert_true(out.u64 == in.u64 && out.u32 == in.u32 && out.i64 == in.i64 && out.yes);
    assert_true(out.f64 == in.f64);
    assert_true(slice_is(out.str, "/a b"));
    assert_true(slice_eq(out.bytes, in.bytes));
    assert_int_equal(out.u64s.n, 3);
    assert_true(out.u64s.v[2] == UINT64_MAX);
    assert_int_equal(out.strs.n, 2);
    assert_true(slice_is(out.strs.v[0], "a") && out.strs.v[1].len == 0);
    assert_true(slice_is(out.inner.name, "in") && out.inner.at == 3);
    assert_int_equal(out.points.n, 2);
    assert_true(slice_is(out.points.v[1].name, "q") && out.points.v[1].at == 1ULL << 40);
}

static void a_zeroed_message_comes_back_zeroed(void **state)
{
    struct fixture *f = *state;
    struct shape in = {0}, out;
    memset(&out, 0xee, sizeof(out));
    msg_encode(&shape_desc, &in, &f->buf);
    assert_int_equal(msg_decode(&shape_desc, buf_slice(&f->buf), &f->arena, &out, &f->err), 0);
    assert_int_equal(out.str.len + out.u64s.n + out.points.n + out.u64, 0);
}

static void an_empty_message_is_one_byte(void **state)
{
    struct fixture *f = *state;
    struct msg_void none = {0};
    msg_encode(&msg_void_desc, &none, &f->buf);
    assert_int_equal(f->buf.len, 1);
    assert_int_equal(msg_decode(&msg_void_desc, buf_slice(&f->buf), &f->arena, &none, NULL), 0);
}

static void trailing_fields_of_a_newer_sender_are_ignored(void **state)
{
    struct fixture *f = *state;
    struct point extra = {slice_str("x"), 1};
    struct point_new in = {slice_str("n"), 9, slice_str("red"), {&extra, 1}};
    struct point out;
    msg_encode(&point_new_desc, &in, &f->buf);
    assert_int_equal(msg_decode(&point_desc, buf_slice(&f->buf), &f->arena, &out, &f->err), 0);
    assert_true(slice_is(out.name, "n") && out.at == 9);
}

static void fields_an_older_sender_does_not_know_are_zero(void **state)
{
    struct fixture *f = *state;
    struct point in = {slice_str("o"), 9};
    struct point_new out;
    msg_encode(&point_desc, &in, &f->buf);
    assert_int_equal(msg_decode(&point_new_desc, buf_slice(&f->buf), &f->arena, &out, &f->err), 0);
    assert_true(slice_is(out.name, "o") && out.colour.len == 0 && out.more.n == 0);
}

static void a_field_that_was_always_there_must_be_there(void **state)
{
    struct fixture *f = *state;
    struct point out;
    struct point_new grown;
    struct msg_void none;
    assert_int_equal(msg_decode(&point_desc, slice_of("\x91\xa1n", 3), &f->arena, &out, &f->err),
                     ERR_PROTO);
    assert_string_equal(f->err.msg, "message point lacks its field at");
    assert_int_equal(msg_decode(&point_desc, slice_of("\x90", 1), &f->arena, &out, &f->err),
                     ERR_PROTO);
    assert_int_equal(
        msg_decode(&point_new_desc, slice_of("\x91\xa1n", 3), &f->arena, &grown, &f->err),
        ERR_PROTO);
    assert_int_equal(msg_decode(&msg_void_desc, slice_of("\x90", 1), &f->arena, &none, &f->err), 0);
}

static void every_cut_of_a_message_is_refused(void **state)
{
    struct fixture *f = *state;
    struct point points[] = {{slice_str("p"), 7}};
    struct shape in = {.u64 = 300, .str = slice_str("hello"), .points = {points, 1}}, out;
    msg_encode(&shape_desc, &in, &f->buf);
    for (size_t len = 0; len < f->buf.len; len++) {
        /* a copy of exact size, so that the sanitizer sees a read beyond it */
        char *cut = mem_alloc(len);
        if (len)
            memcpy(cut, f->buf.data, len);
        assert_int_equal(decode_bytes(f, cut, len, &out), ERR_PROTO);
        mem_free(cut);
    }
    buf_append_byte(&f->buf, 0xc0);
    assert_int_equal(decode_bytes(f, (char *)f->buf.data, f->buf.len, &out), ERR_PROTO);
    assert_non_null(strstr(f->err.msg, "left over"));
}

static void counts_larger_than_the_message_are_refused_before_memory_is_asked_for(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *bytes;
        size_t len;
    } hostile[] = {
        {"\xdd\xff\xff\xff\xff", 5},
        {"\xdd\x00\x00\x00\x02\xc0", 6},
        {"\xdc\xff\xff", 3},
        {"\xdf\xff\xff\xff\xff", 5},
        {"\xdf\x80\x00\x00\x00", 5},
        {"\xdb\xff\xff\xff\xff", 5},
        {"\xc6\xff\xff\xff\xff", 5},
        {"\x9f", 1},
        {"\x8f", 1},
        {"\xbf", 1},
        {"\xda\x00\x05\x61", 4},
        {"\x91\xdd\x7f\xff\xff\xff", 6},
        {"\x92\x91\xc0", 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
        struct shape out;
        mem_fail_after(1); /* our own allocator is not reached either */
        assert_int_equal(decode_bytes(f, hostile[i].bytes, hostile[i].len, &out), ERR_PROTO);
        assert_false(mem_has_failed());
        mem_fail_after(0);
    }
    /* told at the count, not after walking through what there is of the items */
    struct shape out;
    assert_int_equal(decode_bytes(f, "\xdc\x00\x05\xc0\xc0", 5, &out), ERR_PROTO);
    assert_non_null(strstr(f->err.msg, "at byte 0 of 5: a count larger than the message"));
}

static void a_list_of_tiny_items_may_not_grow_into_huge_structs(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 1 << 20 };
    /* shape with everything but points left zero: u64 u32 i64 f64 yes str bytes u64s strs inner */
    static const uint8_t head[] = {0x9b, 0,    0,    0,    0xcb, 0,    0,    0,    0,    0, 0,   0,
                                   0,    0xc2, 0xa0, 0xc4, 0,    0x90, 0x90, 0x92, 0xa0, 0, 0xdd};
    buf_append(&f->buf, head, sizeof(head));
    uint8_t count[4] = {0, COUNT >> 16, 0, 0};
    buf_append(&f->buf, count, 4);
    for (size_t i = 0; i < COUNT; i++)
        buf_append(&f->buf, "\x92\xa0\0", 3);
    struct shape out; /* a point is 24 bytes for 3 received: within bounds */
    assert_int_equal(decode_bytes(f, (char *)f->buf.data, f->buf.len, &out), 0);
    assert_int_equal(out.points.n, COUNT);
    f->buf.data[f->buf.len - 1] = 0xc1;
    assert_int_equal(decode_bytes(f, (char *)f->buf.data, f->buf.len, &out), ERR_PROTO);
}

#define WIDE_FIELDS(F, S, L) \
    F(STR, a)                \
    F(STR, b)                \
    F(STR, c)                \
    F(STR, d)
MSG_STRUCT(wide, WIDE_FIELDS)
MSG_DEFINE(wide, WIDE_FIELDS)
#define WIDES_FIELDS(F, S, L) L(wide, wides)
MSG_STRUCT(wides, WIDES_FIELDS)
MSG_DEFINE(wides, WIDES_FIELDS)

static void a_short_message_may_not_claim_much_memory(void **state)
{
    struct fixture *f = *state;
    struct wides out;
    buf_append(&f->buf, "\x91\xdc\x7f\xff", 4);
    for (size_t i = 0; i < 0x7fff; i++)
        buf_append_byte(&f->buf, 0x90);
    assert_int_equal(msg_decode(&wides_desc, buf_slice(&f->buf), &f->arena, &out, &f->err),
                     ERR_PROTO);
    assert_non_null(strstr(f->err.msg, "far more items"));
    assert_int_equal(f->arena.total, 0);
}

static void nesting_has_a_limit(void **state)
{
    struct fixture *f = *state;
    uint8_t deep[64];
    memset(deep, 0x91, sizeof(deep));
    deep[MSG_DEPTH_MAX] = 0xc0;
    assert_int_equal(pack_scan(slice_of(deep, MSG_DEPTH_MAX + 1), &f->err), 0);
    deep[MSG_DEPTH_MAX] = 0x91;
    deep[MSG_DEPTH_MAX + 1] = 0xc0;
    assert_int_equal(pack_scan(slice_of(deep, MSG_DEPTH_MAX + 2), &f->err), ERR_PROTO);
    assert_non_null(strstr(f->err.msg, "too deeply"));
}

static void extensions_and_the_unused_byte_are_refused(void **state)
{
    struct fixture *f = *state;
    static const uint8_t firsts[] = {0xc1, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8};
    for (size_t i = 0; i < ARRAY_LEN(firsts); i++) {
        uint8_t bytes[32] = {firsts[i], 1};
        assert_int_equal(pack_scan(slice_of(bytes, sizeof(bytes)), &f->err), ERR_PROTO);
        assert_non_null(strstr(f->err.msg, "a type we do not use"));
    }
}

static void a_field_of_the_wrong_kind_is_named(void **state)
{
    struct fixture *f = *state;
    struct point out;
    assert_int_equal(
        msg_decode(&point_desc, slice_of("\x92\xa1x\xa1y", 5), &f->arena, &out, &f->err),
        ERR_PROTO);
    assert_string_equal(f->err.msg, "message point: at must be a number that is not negative");
    assert_int_equal(msg_decode(&point_desc, slice_of("\x2a", 1), &f->arena, &out, &f->err),
                     ERR_PROTO);
    assert_string_equal(f->err.msg, "message point must be an array");
}

static void a_number_too_wide_for_its_field_is_refused(void **state)
{
    struct fixture *f = *state;
    struct shape out;
    /* u64 = 0, u32 = 2^32 */
    assert_int_equal(decode_bytes(f, "\x92\x00\xcf\x00\x00\x00\x01\x00\x00\x00\x00", 11, &out),
                     ERR_PROTO);
    /* i64 = 2^63 */
    assert_int_equal(decode_bytes(f, "\x93\x00\x00\xcf\x80\x00\x00\x00\x00\x00\x00\x00", 12, &out),
                     ERR_PROTO);
    /* u64 = -1 */
    assert_int_equal(decode_bytes(f, "\x91\xff", 2, &out), ERR_PROTO);
}

static void a_message_prints_as_one_line_of_json(void **state)
{
    struct fixture *f = *state;
    uint64_t numbers[] = {1, 2};
    struct slice words[] = {slice_str("a\"b"), slice_str("\xc3\xa9\n\xff")};
    struct point points[] = {{slice_str("p"), 7}};
    struct shape in = {.i64 = -5,
                       .f64 = 0.5,
                       .yes = true,
                       .str = slice_str("/x"),
                       .bytes = slice_of("\x01\xab", 2),
                       .u64s = {numbers, 2},
                       .strs = {words, 2},
                       .points = {points, 1}};
    msg_print(&shape_desc, &in, &f->buf);
    assert_string_equal(buf_cstr(&f->buf),
                        "{\"u64\":0,\"u32\":0,\"i64\":-5,\"f64\":0.5,\"yes\":true,\"str\":\"/x\","
                        "\"bytes\":\"01ab\",\"u64s\":[1,2],\"strs\":[\"a\\\"b\",\"\xc3\xa9\\u000a"
                        "\\u00ff\"],\"inner\":{\"name\":\"\",\"at\":0},\"points\":[{\"name\":\"p\","
                        "\"at\":7}]}");
}

static void seeds_decode_and_encode_to_the_same_bytes(void **state)
{
    struct fixture *f = *state;
    struct rand rand;
    struct buf again = BUF_INIT;
    rand_init(&rand, 1);
    for (int i = 0; i < 2000; i++) {
        struct shape out;
        buf_clear(&f->buf);
        buf_clear(&again);
        arena_reset(&f->arena);
        msg_seed(&shape_desc, &rand, &f->buf);
        assert_int_equal(msg_decode(&shape_desc, buf_slice(&f->buf), &f->arena, &out, &f->err), 0);
        msg_encode(&shape_desc, &out, &again);
        assert_true(slice_eq(buf_slice(&again), buf_slice(&f->buf)));
    }
    buf_release(&again);
}

static void memory_running_out_is_an_error_and_not_a_leak(void **state)
{
    struct fixture *f = *state;
    struct point points[] = {{slice_str("p"), 7}};
    struct shape in = {.points = {points, 1}}, out;
    msg_encode(&shape_desc, &in, &f->buf);
    mem_fail_after(1);
    assert_int_equal(msg_decode(&shape_desc, buf_slice(&f->buf), &f->arena, &out, &f->err),
                     ERR_NOMEM);
    mem_fail_after(0);
    struct buf full = BUF_INIT;
    mem_fail_after(1);
    msg_encode(&shape_desc, &in, &full);
    mem_fail_after(0);
    assert_true(buf_failed(&full));
    buf_release(&full);
}

#ifndef QUERN_DEBUG /* sanitizers are not what is measured */
static void a_small_message_decodes_in_well_under_a_microsecond(void **state)
{
    struct fixture *f = *state;
    struct point_new in = {slice_str("/user/alice/logs"), 9, slice_str("red"), {0}}, out;
    msg_encode(&point_new_desc, &in, &f->buf);
    uint64_t best_us = UINT64_MAX;
    for (int round = 0; round < 20; round++) {
        uint64_t start_us = clock_mono_us();
        for (int i = 0; i < 10000; i++)
            assert_int_equal(msg_decode(&point_new_desc, buf_slice(&f->buf), &f->arena, &out, NULL),
                             0);
        uint64_t took_us = clock_mono_us() - start_us;
        best_us = took_us < best_us ? took_us : best_us;
    }
    print_message("%llu ns each\n", (unsigned long long)best_us / 10);
    assert_true(best_us < 5000);
}
#endif

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(every_kind_of_field_comes_back_as_it_went),
        CASE(a_zeroed_message_comes_back_zeroed),
        CASE(an_empty_message_is_one_byte),
        CASE(trailing_fields_of_a_newer_sender_are_ignored),
        CASE(fields_an_older_sender_does_not_know_are_zero),
        CASE(a_field_that_was_always_there_must_be_there),
        CASE(every_cut_of_a_message_is_refused),
        CASE(counts_larger_than_the_message_are_refused_before_memory_is_asked_for),
        CASE(a_list_of_tiny_items_may_not_grow_into_huge_structs),
        CASE(a_short_message_may_not_claim_much_memory),
        CASE(nesting_has_a_limit),
        CASE(extensions_and_the_unused_byte_are_refused),
        CASE(a_field_of_the_wrong_kind_is_named),
        CASE(a_number_too_wide_for_its_field_is_refused),
        CASE(a_message_prints_as_one_line_of_json),
        CASE(seeds_decode_and_encode_to_the_same_bytes),
        CASE(memory_running_out_is_an_error_and_not_a_leak),
#ifndef QUERN_DEBUG
        CASE(a_small_message_decodes_in_well_under_a_microsecond),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
