/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/rand.h"
#include "libcommon/codec/lz4.h"

static void round_trip(struct slice data)
{
    struct buf packed = BUF_INIT, plain = BUF_INIT;
    buf_append_str(&packed, "head"); /* appends, never overwrites */
    assert_int_equal(lz4_encode(data, &packed), 0);
    struct slice block = slice_of(packed.data + 4, packed.len - 4);
    assert_true(block.len <= lz4_bound(data.len));
    assert_int_equal(lz4_decode_buf(block, data.len, &plain), 0);
    assert_true(slice_eq(buf_slice(&plain), data));
    buf_release(&packed);
    buf_release(&plain);
}

static void what_goes_in_comes_out(void **state)
{
    (void)state;
    static uint8_t bytes[100000];
    struct rand rand;
    rand_init(&rand, 3);
    round_trip(slice_of(NULL, 0));
    round_trip(slice_str("q"));
    round_trip(slice_of(bytes, sizeof(bytes)));
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)rand_u64(&rand);
    round_trip(slice_of(bytes, sizeof(bytes)));
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] &= 3;
    round_trip(slice_of(bytes, sizeof(bytes)));
}

static void a_wrong_length_is_corrupt_and_adds_nothing(void **state)
{
    (void)state;
    struct buf packed = BUF_INIT, plain = BUF_INIT;
    assert_int_equal(lz4_encode(slice_str("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), &packed), 0);
    assert_int_equal(lz4_decode_buf(buf_slice(&packed), 31, &plain), ERR_CORRUPT);
    assert_int_equal(lz4_decode_buf(buf_slice(&packed), 33, &plain), ERR_CORRUPT);
    assert_int_equal(lz4_decode_buf(slice_of(packed.data, packed.len - 1), 32, &plain),
                     ERR_CORRUPT);
    assert_int_equal(plain.len, 0);
    buf_release(&packed);
    buf_release(&plain);
}

static void a_lying_length_costs_no_memory(void **state)
{
    (void)state;
    struct buf plain = BUF_INIT;
    assert_int_equal(lz4_decode_buf(slice_str("abc"), LZ4_BLOCK_MAX, &plain), ERR_CORRUPT);
    assert_int_equal(lz4_decode_buf(slice_str("abc"), LZ4_BLOCK_MAX + 1, &plain), ERR_TOOBIG);
    assert_null(plain.data);
}

static void an_empty_block_is_corrupt_since_even_nothing_takes_a_byte(void **state)
{
    (void)state;
    uint8_t room[1];
    assert_int_equal(lz4_decode(slice_of(NULL, 0), room, 0), ERR_CORRUPT);
}

static void damaged_blocks_never_write_beyond_the_room(void **state)
{
    (void)state;
    struct rand rand;
    struct buf packed = BUF_INIT;
    uint8_t text[2000];
    rand_init(&rand, 11);
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)('a' + rand_below(&rand, 4));
    assert_int_equal(lz4_encode(slice_of(text, sizeof(text)), &packed), 0);
    for (int round = 0; round < 3000; round++) {
        /* exactly sized, so that the sanitizer sees one byte too many */
        size_t len = rand_below(&rand, sizeof(text) + 1);
        uint8_t *room = mem_alloc(len), *block = mem_alloc(packed.len);
        memcpy(block, packed.data, packed.len);
        block[rand_below(&rand, packed.len)] ^= (uint8_t)(1 + rand_below(&rand, 255));
        int rc = lz4_decode(slice_of(block, rand_below(&rand, packed.len + 1)), room, len);
        assert_true(rc == 0 || rc == ERR_CORRUPT);
        mem_free(room);
        mem_free(block);
    }
    buf_release(&packed);
}

static void too_much_at_once_and_no_memory_are_refused(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    assert_int_equal(lz4_encode(slice_of("", LZ4_BLOCK_MAX + 1), &out), ERR_TOOBIG);
    mem_fail_after(1);
    assert_int_equal(lz4_encode(slice_str("abc"), &out), ERR_NOMEM);
    assert_int_equal(out.len, 0);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(a_wrong_length_is_corrupt_and_adds_nothing),
        cmocka_unit_test(a_lying_length_costs_no_memory),
        cmocka_unit_test(an_empty_block_is_corrupt_since_even_nothing_takes_a_byte),
        cmocka_unit_test(damaged_blocks_never_write_beyond_the_room),
        cmocka_unit_test(too_much_at_once_and_no_memory_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
