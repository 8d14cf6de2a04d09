/* SPDX-License-Identifier: Apache-2.0
 * The count of different things is within a few standard errors of the truth, for few and many,
 * however often they come and however they are spread over several. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "libcommon/base/hll.h"
#include "libcommon/base/rand.h"

static const struct {
    uint32_t bits;
    double error; /* standard: 1.04 / sqrt(2^bits) */
} sizes[] = {{4, 0.26}, {8, 0.065}, {10, 0.0325}, {12, 0.01625}};

static uint64_t hash_of(uint64_t thing, uint64_t seed)
{
    struct rand rand;
    rand_init(&rand, thing * 1000003 + seed);
    return rand_u64(&rand);
}

static void counts_are_within_four_standard_errors(void **state)
{
    static const uint64_t counts[] = {1, 2, 10, 100, 1000, 10000, 60000};
    (void)state;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
            uint8_t registers[HLL_MOST] = {0};
            for (uint64_t thing = 0; thing < counts[i]; thing++)
                hll_add(registers, sizes[s].bits, hash_of(thing, s));
            double got = (double)hll_count(registers, 1U << sizes[s].bits), n = (double)counts[i];
            double off = got > n ? got - n : n - got;
            assert_true(off <= 4 * sizes[s].error * n + 1);
        }
}

static void what_comes_again_is_not_counted_again(void **state)
{
    uint8_t registers[1024] = {0};
    (void)state;
    for (int round = 0; round < 50; round++)
        for (uint64_t thing = 0; thing < 100; thing++)
            hll_add(registers, 10, hash_of(thing, 1));
    assert_in_range(hll_count(registers, 1024), 95, 105);
}

static void parts_merged_are_the_whole(void **state)
{
    uint8_t whole[256] = {0}, a[256] = {0}, b[256] = {0};
    (void)state;
    for (uint64_t thing = 0; thing < 3000; thing++) {
        hll_add(whole, 8, hash_of(thing, 2));
        hll_add(thing % 3 ? a : b, 8, hash_of(thing, 2));
    }
    hll_merge(a, b, 256);
    assert_memory_equal(a, whole, sizeof(a));
}

/* All things of a partition have the same upper bits of their hash. */
static void part_of_the_hash_may_have_been_used_before(void **state)
{
    uint8_t registers[1024] = {0};
    (void)state;
    for (uint64_t thing = 0; thing < 20000; thing++)
        hll_add(registers, 10, hash_of(thing, 3) >> 10 | (uint64_t)5 << 54);
    assert_in_range(hll_count(registers, 1024), 17400, 22600);
}

static void nothing_is_nothing_and_odd_sizes_are_refused(void **state)
{
    uint8_t registers[HLL_LEAST] = {0};
    (void)state;
    assert_int_equal(hll_count(registers, HLL_LEAST), 0);
    memset(registers, 65, sizeof(registers));
    assert_true(hll_count(registers, HLL_LEAST) > 1U << 30);
    assert_true(hll_is_size(16) && hll_is_size(4096));
    assert_false(hll_is_size(0) || hll_is_size(8) || hll_is_size(100) || hll_is_size(8192));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_within_four_standard_errors),
        cmocka_unit_test(what_comes_again_is_not_counted_again),
        cmocka_unit_test(parts_merged_are_the_whole),
        cmocka_unit_test(part_of_the_hash_may_have_been_used_before),
        cmocka_unit_test(nothing_is_nothing_and_odd_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
