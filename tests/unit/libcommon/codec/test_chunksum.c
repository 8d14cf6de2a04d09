/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/rand.h"
#include "libcommon/codec/chunksum.h"
#include "libcommon/codec/crc32c.h"

static uint8_t bytes[4 * CHUNKSUM_CHUNK];

static int fill(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 7);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)rand_u64(&rand);
    return 0;
}

static void a_short_last_chunk_is_summed_over_the_bytes_it_has(void **state)
{
    (void)state;
    uint32_t sums[3] = {0};
    size_t len = 2 * CHUNKSUM_CHUNK + 5;
    assert_int_equal(chunksum_count(len, CHUNKSUM_CHUNK), 3);
    chunksum_compute(slice_of(bytes, len), CHUNKSUM_CHUNK, sums);
    assert_int_equal(sums[0], crc32c(0, bytes, 512));
    assert_int_equal(sums[1], crc32c(0, bytes + 512, 512));
    assert_int_equal(sums[2], crc32c(0, bytes + 1024, 5));
}

static void an_empty_range_has_no_chunks_and_is_good(void **state)
{
    (void)state;
    assert_int_equal(chunksum_count(0, CHUNKSUM_CHUNK), 0);
    assert_true(chunksum_verify(slice_of(NULL, 0), CHUNKSUM_CHUNK, slice_of(NULL, 0)) ==
                CHUNKSUM_GOOD);
}

static void any_flipped_bit_is_found_in_its_own_chunk(void **state)
{
    (void)state;
    uint32_t sums[4];
    size_t len = 3 * CHUNKSUM_CHUNK + 100;
    chunksum_compute(slice_of(bytes, len), CHUNKSUM_CHUNK, sums);
    struct slice data = slice_of(bytes, len), given = slice_of(sums, sizeof(sums));
    assert_true(chunksum_verify(data, CHUNKSUM_CHUNK, given) == CHUNKSUM_GOOD);
    for (size_t at = 0; at < len; at += 37) {
        bytes[at] ^= 0x10;
        assert_int_equal(chunksum_verify(data, CHUNKSUM_CHUNK, given), at / CHUNKSUM_CHUNK);
        bytes[at] ^= 0x10;
    }
}

static void the_first_of_several_bad_chunks_is_named(void **state)
{
    (void)state;
    uint32_t sums[4];
    chunksum_compute(slice_of(bytes, sizeof(bytes)), CHUNKSUM_CHUNK, sums);
    sums[1]++;
    sums[3]++;
    assert_int_equal(chunksum_verify(slice_of(bytes, sizeof(bytes)), CHUNKSUM_CHUNK,
                                     slice_of(sums, sizeof(sums))),
                     1);
}

static void sums_may_lie_at_odd_addresses(void **state)
{
    (void)state;
    uint8_t room[1 + 4 * CHUNKSUM_SIZE];
    chunksum_compute(slice_of(bytes, sizeof(bytes)), CHUNKSUM_CHUNK, room + 1);
    assert_true(chunksum_verify(slice_of(bytes, sizeof(bytes)), CHUNKSUM_CHUNK,
                                slice_of(room + 1, 4 * CHUNKSUM_SIZE)) == CHUNKSUM_GOOD);
}

static void a_range_is_widened_to_chunk_borders_and_cut_at_the_end_of_the_block(void **state)
{
    (void)state;
    assert_int_equal(chunksum_first(0, 512), 0);
    assert_int_equal(chunksum_first(511, 512), 0);
    assert_int_equal(chunksum_first(1025, 512), 1024);
    assert_int_equal(chunksum_last(0, 1, 10000, 512), 512);
    assert_int_equal(chunksum_last(511, 2, 10000, 512), 1024);
    assert_int_equal(chunksum_last(1000, 24, 10000, 512), 1024);
    assert_int_equal(chunksum_last(9990, 10, 10000, 512), 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_short_last_chunk_is_summed_over_the_bytes_it_has),
        cmocka_unit_test(an_empty_range_has_no_chunks_and_is_good),
        cmocka_unit_test(any_flipped_bit_is_found_in_its_own_chunk),
        cmocka_unit_test(the_first_of_several_bad_chunks_is_named),
        cmocka_unit_test(sums_may_lie_at_odd_addresses),
        cmocka_unit_test(a_range_is_widened_to_chunk_borders_and_cut_at_the_end_of_the_block),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
