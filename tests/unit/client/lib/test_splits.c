/* SPDX-License-Identifier: Apache-2.0
 * Splits in the order of the input, packed where pieces are small. A sample of it: few short
 * stretches, evenly, and the beginning of each file it comes to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/lib/splits.h"

#define KIB ((uint64_t)1 << 10)

static struct arena arena;

static struct split sample(const uint64_t *lens, size_t count)
{
    static struct split_file files[100];
    struct split list;
    for (size_t i = 0; i < count; i++)
        files[i] = (struct split_file){.path = slice_str("x"), .len = lens[i]};
    assert_int_equal(splits_sample(files, count, &arena, &list), 0);
    for (size_t i = 0; i < list.segment_count; i++) {
        const struct split_segment *s = &list.segments[i];
        assert_true(s->length > 0 && s->offset + s->length <= lens[s->file]);
    }
    return list;
}

static uint64_t bytes_of(const struct split *list)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < list->segment_count; i++)
        sum += list->segments[i].length;
    return sum;
}

static void a_long_file_is_looked_at_from_one_end_to_the_other(void **state)
{
    (void)state;
    struct split list = sample((const uint64_t[]){3200000 * KIB}, 1);
    assert_int_equal(list.segment_count, 32);
    for (size_t i = 0; i < list.segment_count; i++) {
        assert_int_equal(list.segments[i].offset, i * 100000 * KIB);
        assert_int_equal(list.segments[i].length, 64 * KIB);
    }
}

static void a_short_file_is_the_sample_and_no_byte_comes_twice(void **state)
{
    (void)state;
    for (uint64_t len = 1; len < 2100 * KIB; len = len * 3 + 1) {
        struct split list = sample((const uint64_t[]){len}, 1);
        uint64_t at = 0;
        for (size_t i = 0; i < list.segment_count; i++) {
            assert_true(list.segments[i].offset >= at);
            at = list.segments[i].offset + list.segments[i].length;
        }
        if (len <= 64 * KIB)
            assert_int_equal(bytes_of(&list), len);
    }
}

static void each_file_it_comes_to_begins_at_its_beginning(void **state)
{
    (void)state;
    const uint64_t lens[] = {0, 5000 * KIB, 0, 1, 7000 * KIB, 90 * KIB, 0};
    struct split list = sample(lens, 7);
    uint32_t before = UINT32_MAX;
    assert_true(list.segment_count >= 20);
    for (size_t i = 0; i < list.segment_count; i++) {
        if (list.segments[i].file != before)
            assert_int_equal(list.segments[i].offset, 0);
        before = list.segments[i].file;
    }
}

static void of_nothing_there_is_no_sample(void **state)
{
    (void)state;
    assert_int_equal(sample((const uint64_t[]){0, 0}, 2).segment_count, 0);
    assert_int_equal(sample(NULL, 0).segment_count, 0);
}

static struct splits cut(const uint64_t *lens, size_t count, uint64_t size)
{
    static struct split_file files[100];
    const struct split_conf conf = {.max_bytes = size};
    struct splits splits;
    for (size_t i = 0; i < count; i++)
        files[i] = (struct split_file){.path = slice_str("x"), .len = lens[i], .block_size = size};
    assert_int_equal(splits_compute(files, count, &conf, &arena, &splits), 0);
    return splits;
}

static void no_split_has_files_of_two_inputs_and_each_is_cut_its_own_way(void **state)
{
    (void)state;
    const struct split_conf confs[] = {
        {.max_bytes = 100}, {.max_bytes = 100, .is_whole = true}, {.max_bytes = 100, .lines = 1}};
    const uint32_t inputs[] = {0, 0, 1, 1, 2, 2};
    const uint64_t lens[] = {10, 20, 30, 250, 5, 6};
    const size_t first[] = {0, 2, 3, 4, 5}; /* files of each split: small ones packed, big alone */
    struct split_file files[6];
    struct splits splits;
    for (size_t i = 0; i < 6; i++)
        files[i] = (struct split_file){.path = slice_str("x"), .len = lens[i], .input = inputs[i]};
    assert_int_equal(splits_compute(files, 6, confs, &arena, &splits), 0);
    assert_int_equal(splits.n, 5);
    for (size_t i = 0; i < splits.n; i++)
        assert_int_equal(splits.v[i].segments[0].file, first[i]);
    assert_int_equal(splits.v[0].segment_count, 2);
    assert_int_equal(splits.v[2].bytes, 250);
    assert_true(splits_order(&files[1], &files[2]) < 0);
}

static void splits_are_in_the_order_of_the_input_and_leave_nothing_out(void **state)
{
    (void)state;
    const uint64_t lens[] = {70, 230, 0, 30, 40, 500, 1, 1, 100, 105, 250, 0};
    struct splits splits = cut(lens, 12, 100);
    uint64_t at = 0;
    uint32_t file = 0;
    for (size_t i = 0; i < splits.n; i++)
        for (size_t s = 0; s < splits.v[i].segment_count; s++) {
            const struct split_segment *segment = &splits.v[i].segments[s];
            for (; file < segment->file; at = 0)
                assert_int_equal(at, lens[file++]);
            assert_int_equal(file, segment->file);
            assert_int_equal(segment->offset, at);
            at += segment->length;
        }
    assert_int_equal(splits.bytes, 70 + 230 + 30 + 40 + 500 + 2 + 100 + 105 + 250);
}

static void small_neighbours_are_one_split(void **state)
{
    (void)state;
    const uint64_t lens[] = {130, 20, 20, 20, 20, 20, 20};
    struct splits splits = cut(lens, 7, 100);
    assert_int_equal(splits.n, 3);
    assert_int_equal(splits.v[1].segment_count, 4); /* what was left of the first, and three more */
    assert_int_equal(splits.v[2].segment_count, 3);
}

static void an_empty_file_is_a_small_one_but_has_no_lines_to_count(void **state)
{
    (void)state;
    const uint64_t lens[] = {0, 0, 20, 0, 250, 0};
    const struct split_conf lines = {.lines = 3};
    struct split_file empty = {.path = slice_str("x")};
    struct splits splits = cut(lens, 2, 100);
    assert_int_equal(splits.n, 1);
    assert_int_equal(splits.v[0].segment_count, 2);
    splits = cut(lens, 6, 100);
    assert_int_equal(splits.n, 4);
    assert_int_equal(splits.v[0].segment_count, 4);
    assert_int_equal(splits.v[3].segment_count, 2); /* what was left of the long one, and nothing */
    assert_int_equal(splits_compute(&empty, 1, &lines, &arena, &splits), 0);
    assert_int_equal(splits.n, 0);
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
        cmocka_unit_test(no_split_has_files_of_two_inputs_and_each_is_cut_its_own_way),
        cmocka_unit_test(splits_are_in_the_order_of_the_input_and_leave_nothing_out),
        cmocka_unit_test(small_neighbours_are_one_split),
        cmocka_unit_test(an_empty_file_is_a_small_one_but_has_no_lines_to_count),
        cmocka_unit_test(a_long_file_is_looked_at_from_one_end_to_the_other),
        cmocka_unit_test(a_short_file_is_the_sample_and_no_byte_comes_twice),
        cmocka_unit_test(each_file_it_comes_to_begins_at_its_beginning),
        cmocka_unit_test(of_nothing_there_is_no_sample),
    };
    return cmocka_run_group_tests(tests, NULL, release);
}
