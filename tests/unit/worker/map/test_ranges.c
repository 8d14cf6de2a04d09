/* SPDX-License-Identifier: Apache-2.0
 * Ranges of keys, cut by a sample: each key has one reducer, the order holds over them, and
 * they get about as much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "libcommon/base/rand.h"
#include "worker/map/ranges.h"

#define KEYS 1000

static uint8_t bytes[KEYS][12];
static struct slice keys[KEYS];

static int by_bytes(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/* Few letters, zeros among them: many keys begin alike, some are equal. */
static void make_keys(struct rand *rand)
{
    for (size_t i = 0; i < KEYS; i++) {
        size_t len = rand_below(rand, sizeof(bytes[i]) + 1);
        for (size_t k = 0; k < len; k++)
            bytes[i][k] = (uint8_t) "\0a\xff"[rand_below(rand, 3)];
        keys[i] = slice_of(bytes[i], len);
    }
    qsort(keys, KEYS, sizeof(*keys), by_bytes);
}

static void sample_of_every(size_t step, struct buf *ret)
{
    ranges_begin_sample(ret);
    for (size_t i = 0; i < KEYS; i += step)
        ranges_add_to_sample(ret, keys[i]);
}

static uint32_t pick_slowly(const struct ranges *ranges, struct slice key)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < ranges->count; i++)
        n += slice_cmp(ranges->starts[i], key) <= 0;
    return n;
}

static void each_key_goes_where_counting_the_starts_one_by_one_says(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 5);
    for (uint32_t reducers = 1; reducers < 40; reducers += 3) {
        struct buf sample = BUF_INIT;
        struct arena arena = ARENA_INIT;
        struct ranges ranges;
        make_keys(&rand);
        sample_of_every(1 + rand_below(&rand, 30), &sample);
        assert_int_equal(ranges_open(&ranges, buf_slice(&sample), reducers, &arena, NULL), 0);
        uint32_t last = 0;
        for (size_t i = 0; i < KEYS; i++) {
            uint32_t got = ranges_pick(&ranges, keys[i]);
            assert_int_equal(got, pick_slowly(&ranges, keys[i]));
            assert_true(got >= last && got < reducers);
            last = got;
        }
        arena_release(&arena);
        buf_release(&sample);
    }
}

static void reducers_get_about_as_much_as_each_other(void **state)
{
    (void)state;
    struct buf sample = BUF_INIT;
    struct arena arena = ARENA_INIT;
    struct ranges ranges;
    size_t got[7] = {0};
    for (size_t i = 0; i < KEYS; i++) { /* all within a narrow corner of what keys may be */
        uint32_t n = (uint32_t)__builtin_bswap32((uint32_t)(i * i));
        memcpy(bytes[i], "same", 4);
        memcpy(bytes[i] + 4, &n, 4);
        keys[i] = slice_of(bytes[i], 8);
    }
    sample_of_every(4, &sample);
    assert_int_equal(ranges_open(&ranges, buf_slice(&sample), 7, &arena, NULL), 0);
    for (size_t i = 0; i < KEYS; i++)
        got[ranges_pick(&ranges, keys[i])]++;
    for (size_t i = 0; i < 7; i++)
        assert_in_range(got[i], KEYS / 7 - 8, KEYS / 7 + 8);
    arena_release(&arena);
    buf_release(&sample);
}

static void without_a_sample_one_reducer_gets_all(void **state)
{
    (void)state;
    struct buf sample = BUF_INIT;
    struct arena arena = ARENA_INIT;
    struct ranges ranges;
    ranges_begin_sample(&sample);
    assert_int_equal(ranges_open(&ranges, buf_slice(&sample), 9, &arena, NULL), 0);
    assert_int_equal(ranges_pick(&ranges, slice_str("x")), 0);
    arena_release(&arena);
    buf_release(&sample);
}

static void a_long_key_begins_a_range_with_its_first_bytes(void **state)
{
    (void)state;
    uint8_t key[RANGES_KEY_MAX + 50];
    struct buf sample = BUF_INIT;
    struct arena arena = ARENA_INIT;
    struct ranges ranges;
    memset(key, 'k', sizeof(key));
    ranges_begin_sample(&sample);
    ranges_add_to_sample(&sample, slice_str("a"));
    ranges_add_to_sample(&sample, slice_of(key, sizeof(key)));
    assert_int_equal(ranges_open(&ranges, buf_slice(&sample), 2, &arena, NULL), 0);
    assert_int_equal(ranges_pick(&ranges, slice_of(key, sizeof(key))), 1);
    assert_int_equal(ranges_pick(&ranges, slice_of(key, RANGES_KEY_MAX)), 1);
    assert_int_equal(ranges_pick(&ranges, slice_of(key, RANGES_KEY_MAX - 1)), 0);
    arena_release(&arena);
    buf_release(&sample);
}

static void a_sample_cut_anywhere_or_out_of_order_is_refused(void **state)
{
    (void)state;
    struct buf sample = BUF_INIT;
    struct arena arena = ARENA_INIT;
    struct ranges ranges;
    size_t ends[3], n = 0;
    ranges_begin_sample(&sample);
    ends[n++] = sample.len;
    ranges_add_to_sample(&sample, slice_str("one"));
    ends[n++] = sample.len;
    ranges_add_to_sample(&sample, slice_str("two"));
    ends[n++] = sample.len;
    for (size_t len = 0; len <= sample.len; len++) {
        bool is_whole = len == ends[0] || len == ends[1] || len == ends[2];
        struct slice part = slice_of(sample.data, len);
        assert_int_equal(ranges_open(&ranges, part, 4, &arena, NULL), is_whole ? 0 : ERR_CORRUPT);
    }
    ranges_add_to_sample(&sample, slice_str("three"));
    assert_int_equal(ranges_open(&ranges, buf_slice(&sample), 4, &arena, NULL), ERR_CORRUPT);
    arena_release(&arena);
    buf_release(&sample);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_goes_where_counting_the_starts_one_by_one_says),
        cmocka_unit_test(reducers_get_about_as_much_as_each_other),
        cmocka_unit_test(without_a_sample_one_reducer_gets_all),
        cmocka_unit_test(a_long_key_begins_a_range_with_its_first_bytes),
        cmocka_unit_test(a_sample_cut_anywhere_or_out_of_order_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
