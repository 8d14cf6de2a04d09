/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/rand.h"
#include "libcommon/codec/crc32c.h"

/* The definition, a bit at a time. */
static uint32_t by_definition(const uint8_t *p, size_t len)
{
    uint32_t crc = ~0U;
    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0x82f63b78U & (0U - (crc & 1)));
    }
    return ~crc;
}

static void the_published_vectors_come_out(void **state)
{
    (void)state;
    uint8_t zeros[32] = {0}, ones[32];
    memset(ones, 0xff, sizeof(ones));
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283U);
    assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aaU); /* RFC 3720, B.4 */
    assert_int_equal(crc32c(0, ones, 32), 0x62a8ab43U);
}

static void nothing_leaves_the_sum_as_it_is(void **state)
{
    (void)state;
    assert_int_equal(crc32c(0, NULL, 0), 0);
    assert_int_equal(crc32c(0x12345678, NULL, 0), 0x12345678);
}

static void every_length_and_alignment_agrees_with_the_definition(void **state)
{
    (void)state;
    uint8_t bytes[700];
    struct rand rand;
    rand_init(&rand, 1);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)rand_u64(&rand);
    for (size_t len = 0; len < 600; len++)
        assert_int_equal(crc32c(0, bytes + len % 17, len), by_definition(bytes + len % 17, len));
}

static void a_sum_can_be_continued_from_any_point(void **state)
{
    (void)state;
    uint8_t bytes[300];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7);
    uint32_t whole = crc32c(0, bytes, sizeof(bytes));
    for (size_t cut = 0; cut <= sizeof(bytes); cut++)
        assert_int_equal(crc32c(crc32c(0, bytes, cut), bytes + cut, sizeof(bytes) - cut), whole);
}

static void two_sums_join_to_the_sum_of_both_pieces(void **state)
{
    (void)state;
    static uint8_t data[70000];
    struct rand rand;
    rand_init(&rand, 5);
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)rand_u64(&rand);
    for (int round = 0; round < 50; round++) {
        size_t len = (size_t)rand_below(&rand, sizeof(data) + 1);
        size_t cut = (size_t)rand_below(&rand, len + 1);
        uint32_t a = crc32c(0, data, cut), b = crc32c(0, data + cut, len - cut);
        assert_int_equal(crc32c_join(a, b, crc32c_shift(len - cut)), crc32c(0, data, len));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_vectors_come_out),
        cmocka_unit_test(nothing_leaves_the_sum_as_it_is),
        cmocka_unit_test(every_length_and_alignment_agrees_with_the_definition),
        cmocka_unit_test(a_sum_can_be_continued_from_any_point),
        cmocka_unit_test(two_sums_join_to_the_sum_of_both_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
