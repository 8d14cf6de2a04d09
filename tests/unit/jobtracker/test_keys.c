/* SPDX-License-Identifier: Apache-2.0
 * Sketches of maps put together: each map once, bounds kept, nonsense passed over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jobtracker/keys.h"

static struct task_done done_of(uint32_t map, struct task_sketch *sketch)
{
    sketch->bytes = 100;
    return (struct task_done){.id = {.task = map}, .sketches = {sketch, 1}};
}

static void each_map_counts_once(void **state)
{
    struct keys keys = {0};
    struct arena arena = ARENA_INIT;
    struct task_key key = {.key = slice_str("hot"), .hash = 7, .low = 40, .high = 50};
    struct task_sketch sketch = {.records = 100, .absent = 5, .keys = {&key, 1}};
    struct cl2jt_partition_list rows;
    (void)state;
    for (uint32_t map = 0; map < 2; map++)
        for (int again = 0; again < 3; again++) {
            struct task_done done = done_of(map, &sketch);
            keys_take(&keys, 1, 2, &done);
        }
    assert_int_equal(keys_rows(&keys, &arena, &rows), 0);
    assert_int_equal(keys.taken, 2);
    assert_int_equal(rows.n, 1);
    assert_int_equal(rows.v[0].records, 200);
    assert_int_equal(rows.v[0].bytes, 200);
    assert_int_equal(rows.v[0].keys.v[0].low, 80);
    assert_int_equal(rows.v[0].keys.v[0].high, 100);
    arena_release(&arena);
    keys_release(&keys);
}

static void a_key_that_one_map_did_not_tell_may_have_been_there(void **state)
{
    struct keys keys = {0};
    struct arena arena = ARENA_INIT;
    struct task_key key = {.key = slice_str("hot"), .hash = 7, .low = 40, .high = 50};
    struct task_sketch with = {.records = 100, .absent = 5, .keys = {&key, 1}};
    struct task_sketch without = {.records = 100, .absent = 9};
    struct cl2jt_partition_list rows;
    (void)state;
    struct task_done done = done_of(0, &with);
    keys_take(&keys, 1, 2, &done);
    done = done_of(1, &without);
    keys_take(&keys, 1, 2, &done);
    assert_int_equal(keys_rows(&keys, &arena, &rows), 0);
    assert_int_equal(rows.v[0].keys.v[0].low, 40);
    assert_int_equal(rows.v[0].keys.v[0].high, 59);
    arena_release(&arena);
    keys_release(&keys);
}

static void registers_come_whole_or_in_part(void **state)
{
    struct keys keys = {0};
    struct arena arena = ARENA_INIT;
    uint8_t whole[16];
    memset(whole, 3, sizeof(whole));
    const uint8_t few[] = {2, 0, 9, 200, 0, 9}; /* the second is out of range */
    struct task_sketch sketch = {.records = 1, .registers = 16, .hll = slice_of(whole, 16)};
    struct cl2jt_partition_list rows;
    (void)state;
    struct task_done done = done_of(0, &sketch);
    keys_take(&keys, 1, 3, &done);
    assert_int_equal(keys_rows(&keys, &arena, &rows), 0);
    uint64_t before = rows.v[0].distinct;
    assert_true(before > 16);
    sketch.hll = slice_of(few, sizeof(few));
    done = done_of(1, &sketch);
    keys_take(&keys, 1, 3, &done);
    sketch.registers = 32; /* not as before */
    done = done_of(2, &sketch);
    keys_take(&keys, 1, 3, &done);
    assert_int_equal(keys_rows(&keys, &arena, &rows), 0);
    assert_true(rows.v[0].distinct > before && rows.v[0].distinct < 2 * before);
    arena_release(&arena);
    keys_release(&keys);
}

static void what_does_not_fit_the_job_is_passed_over(void **state)
{
    struct keys keys = {0};
    struct arena arena = ARENA_INIT;
    struct task_sketch sketch = {.partition = 5, .records = 1, .registers = 1U << 31};
    struct cl2jt_partition_list rows;
    (void)state;
    struct task_done done = done_of(0, &sketch);
    keys_take(&keys, 1, 2, &done); /* no such partition */
    done.id.task = 2;
    keys_take(&keys, 1, 2, &done); /* no such map */
    keys_take(&keys, 0, 9, &done);
    assert_int_equal(keys_rows(&keys, &arena, &rows), 0);
    assert_int_equal(rows.n, 0);
    arena_release(&arena);
    keys_release(&keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_map_counts_once),
        cmocka_unit_test(a_key_that_one_map_did_not_tell_may_have_been_there),
        cmocka_unit_test(registers_come_whole_or_in_part),
        cmocka_unit_test(what_does_not_fit_the_job_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
