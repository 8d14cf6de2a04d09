/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/rand.h"
#include "namenode/blocks/blockmap.h"

static uint32_t add(struct nn_blockmap *map, uint64_t id)
{
    struct nn_block block = {.id = id, .gs = 1, .want = 3};
    uint32_t index = 0;
    assert_int_equal(nn_blockmap_add(map, &block, &index), 0);
    return index;
}

static void put(struct nn_blockmap *map, uint32_t index, uint32_t storage)
{
    assert_int_equal(nn_blockmap_put_replica(map, index, (struct nn_replica){storage}), 0);
}

static void an_entry_keeps_its_largest_numbers(void **state)
{
    (void)state;
    struct nn_blockmap *map = nn_blockmap_new();
    struct nn_block in = {.id = NN_BLOCK_ID_MAX,
                          .gs = NN_BLOCK_ID_MAX - 1,
                          .len = NN_BLOCK_LEN_MAX,
                          .file = UINT32_MAX,
                          .next = UINT32_MAX - 1,
                          .want = NN_BLOCK_WANT_MAX,
                          .state = NN_BLOCK_UNDER_RECOVERY,
                          .level = 5};
    uint32_t index = 0;
    assert_int_equal(nn_blockmap_add(map, &in, &index), 0);
    struct nn_block out = nn_blockmap_get(map, index);
    assert_true(out.id == in.id && out.gs == in.gs && out.len == in.len && out.file == in.file);
    assert_true(out.next == in.next && out.want == in.want && out.state == in.state);
    assert_int_equal(out.level, 5);
    assert_int_equal(nn_blockmap_find(map, NN_BLOCK_ID_MAX), index);
    assert_int_equal(nn_blockmap_find(map, 17), NN_BLOCK_NONE);
    nn_blockmap_free(map);
}

static void numbers_that_do_not_fit_and_ids_known_already_are_refused(void **state)
{
    (void)state;
    struct nn_blockmap *map = nn_blockmap_new();
    uint32_t index = 0;
    struct nn_block block = {.id = NN_BLOCK_ID_MAX + 1, .want = 1};
    assert_int_equal(nn_blockmap_add(map, &block, &index), ERR_INVAL);
    block = (struct nn_block){.id = 1, .want = 1, .len = NN_BLOCK_LEN_MAX + 1};
    assert_int_equal(nn_blockmap_add(map, &block, &index), ERR_INVAL);
    block = (struct nn_block){.id = 0, .want = 1};
    assert_int_equal(nn_blockmap_add(map, &block, &index), ERR_INVAL);
    add(map, 9);
    block = (struct nn_block){.id = 9, .want = 1};
    assert_int_equal(nn_blockmap_add(map, &block, &index), ERR_EXIST);
    assert_int_equal(nn_blockmap_count(map), 1);
    nn_blockmap_free(map);
}

/* 3 storages of which a block has any subset, compared with an array. */
static void it_agrees_with_a_plain_table_through_random_changes(void **state)
{
    (void)state;
    enum { BLOCKS = 3000, STORAGES = 9 };
    static uint32_t index[BLOCKS];
    static uint16_t on[BLOCKS]; /* bit set of storages */
    struct nn_blockmap *map = nn_blockmap_new();
    struct rand rand;
    rand_init(&rand, 3);
    for (int step = 0; step < 60000; step++) {
        uint32_t i = (uint32_t)rand_below(&rand, BLOCKS);
        uint32_t s = 1 + (uint32_t)rand_below(&rand, STORAGES);
        if (index[i] == 0) {
            index[i] = add(map, 5000 + i);
            on[i] = 0;
        } else if (rand_chance(&rand, 20)) {
            nn_blockmap_remove(map, index[i]);
            index[i] = 0;
        } else if (rand_chance(&rand, 3)) {
            assert_int_equal(nn_blockmap_drop_replica(map, index[i], s), on[i] >> s & 1);
            on[i] &= (uint16_t) ~(1U << s);
        } else {
            put(map, index[i], s);
            on[i] |= (uint16_t)(1U << s);
        }
    }
    for (uint32_t s = 1; s <= STORAGES; s++) {
        uint64_t expected = 0, met = 0;
        for (uint32_t i = 0; i < BLOCKS; i++)
            expected += index[i] && (on[i] >> s & 1);
        for (uint32_t at = nn_blockmap_on_storage(map, s, 0); at != NN_BLOCK_NONE;
             at = nn_blockmap_on_storage(map, s, at + 1), met++)
            assert_true(on[nn_blockmap_get(map, at).id - 5000] >> s & 1);
        assert_int_equal(met, expected);
        assert_int_equal(nn_blockmap_storage_count(map, s), expected);
    }
    for (uint32_t i = 0; i < BLOCKS; i++) {
        assert_int_equal(nn_blockmap_find(map, 5000 + i), index[i]);
        if (index[i])
            assert_int_equal(nn_blockmap_get(map, index[i]).replicas, __builtin_popcount(on[i]));
    }
    nn_blockmap_free(map);
}

/* What a million blocks cost, against what was promised. */
static double bytes_per_block(unsigned replicas, uint32_t storages)
{
    enum { BLOCKS = 300000 };
    struct nn_blockmap *map = nn_blockmap_new();
    struct rand rand;
    rand_init(&rand, 1);
    for (uint64_t i = 1; i <= BLOCKS; i++) {
        uint32_t index = add(map, i), first = (uint32_t)rand_below(&rand, storages);
        for (uint32_t r = 0; r < replicas; r++)
            put(map, index, 1 + (first + r * 7) % storages);
    }
    double each = (double)nn_blockmap_bytes(map) / BLOCKS;
    nn_blockmap_free(map);
    return each;
}

static void a_single_replica_block_costs_at_most_40_bytes_and_each_further_one_4(void **state)
{
    (void)state;
    double one = bytes_per_block(1, 12), three = bytes_per_block(3, 12);
    print_message("bytes per block: %.2f with one replica, %.2f with three\n", one, three);
    assert_true(one <= 40.0);
    assert_true(three <= 48.0);
}

static void one_much_replicated_block_widens_only_its_neighbourhood(void **state)
{
    (void)state;
    struct nn_blockmap *map = nn_blockmap_new();
    uint32_t first = add(map, 1);
    for (uint64_t id = 2; id <= 100000; id++)
        put(map, add(map, id), 1);
    uint64_t before = nn_blockmap_bytes(map);
    for (uint32_t s = 2; s < 42; s++)
        put(map, first, s);
    uint64_t wide = nn_blockmap_bytes(map);
    assert_true(wide < before + 100000);
    for (uint32_t s = 2; s < 41; s++)
        assert_true(nn_blockmap_drop_replica(map, first, s));
    assert_true(nn_blockmap_bytes(map) < wide - 128 * 37 * sizeof(struct nn_replica));
    assert_int_equal(nn_blockmap_get(map, first).replicas, 1);
    assert_int_equal(nn_replica_storage(nn_blockmap_replicas(map, first)[0]), 41);
    nn_blockmap_free(map);
}

static void without_memory_adding_fails_and_nothing_has_changed(void **state)
{
    (void)state;
    struct nn_blockmap *map = nn_blockmap_new();
    struct nn_block block = {.id = 1, .want = 1};
    uint32_t index = 0;
    uint64_t n = 0;
    do {
        mem_fail_after(++n);
        if (nn_blockmap_count(map) == 0 && nn_blockmap_add(map, &block, &index) < 0)
            continue;
        if (nn_blockmap_put_replica(map, index, (struct nn_replica){3}) < 0)
            assert_int_equal(nn_blockmap_get(map, index).replicas, 0);
    } while (mem_has_failed());
    mem_fail_after(0);
    assert_true(n > 3);
    assert_int_equal(nn_blockmap_get(map, index).replicas, 1);
    assert_int_equal(nn_blockmap_on_storage(map, 3, 0), index);
    nn_blockmap_free(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_keeps_its_largest_numbers),
        cmocka_unit_test(numbers_that_do_not_fit_and_ids_known_already_are_refused),
        cmocka_unit_test(it_agrees_with_a_plain_table_through_random_changes),
        cmocka_unit_test(a_single_replica_block_costs_at_most_40_bytes_and_each_further_one_4),
        cmocka_unit_test(one_much_replicated_block_widens_only_its_neighbourhood),
        cmocka_unit_test(without_memory_adding_fails_and_nothing_has_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
