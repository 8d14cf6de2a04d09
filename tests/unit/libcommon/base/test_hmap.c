/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/hmap.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/rand.h"
#include "libcommon/base/slice.h"

struct item {
    uint64_t key;
    bool is_in;
    struct hmap_node by_key;
};

static struct item *find(const struct hmap *map, uint64_t key, uint64_t (*hash)(uint64_t))
{
    for (struct hmap_node *n = hmap_find(map, hash(key)); n; n = hmap_find_next(n)) {
        struct item *item = CONTAINER_OF(n, struct item, by_key);
        if (item->key == key)
            return item;
    }
    return NULL;
}

static uint64_t good_hash(uint64_t key)
{
    return hash_u64(key);
}

static uint64_t awful_hash(uint64_t key)
{
    return key % 3;
}

/* The map against the obvious: a flag per item. */
static void check_against_model(uint64_t (*hash)(uint64_t), size_t steps)
{
    static struct item items[200];
    struct hmap map = HMAP_INIT;
    struct rand rand;
    size_t count = 0;
    rand_init(&rand, 9);
    memset(items, 0, sizeof(items));
    for (size_t i = 0; i < 200; i++)
        items[i].key = i;
    for (size_t step = 0; step < steps; step++) {
        struct item *item = &items[rand_below(&rand, 200)];
        assert_ptr_equal(find(&map, item->key, hash), item->is_in ? item : NULL);
        if (item->is_in)
            hmap_remove(&map, &item->by_key);
        else
            assert_int_equal(hmap_add(&map, &item->by_key, hash(item->key)), 0);
        count += item->is_in ? (size_t)-1 : 1;
        item->is_in = !item->is_in;
        assert_int_equal(map.count, count);
    }
    size_t seen = 0;
    hmap_each (&map, n) {
        struct item *item = CONTAINER_OF(n, struct item, by_key);
        assert_true(item->is_in);
        item->is_in = false;
        seen++;
    }
    assert_int_equal(seen, count);
    hmap_release(&map);
}

static void what_was_added_and_not_removed_is_found(void **state)
{
    (void)state;
    check_against_model(good_hash, 20000);
}

static void colliding_hashes_are_only_slow(void **state)
{
    (void)state;
    check_against_model(awful_hash, 4000);
}

static void an_empty_map_has_nothing_and_needs_no_table(void **state)
{
    (void)state;
    struct hmap map = HMAP_INIT;
    assert_null(hmap_find(&map, 1));
    assert_null(hmap_first(&map));
    hmap_release(&map);
}

static void members_may_be_removed_while_walking(void **state)
{
    (void)state;
    struct item items[100];
    struct hmap map = HMAP_INIT;
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(hmap_add(&map, &items[i].by_key, hash_u64(i)), 0);
    hmap_each (&map, n)
        hmap_remove(&map, n);
    assert_int_equal(map.count, 0);
    hmap_release(&map);
}

static void without_memory_the_first_add_fails_and_later_ones_get_by(void **state)
{
    (void)state;
    struct item items[100];
    struct hmap map = HMAP_INIT;
    mem_fail_after(1);
    assert_int_equal(hmap_add(&map, &items[0].by_key, 1), ERR_NOMEM);
    assert_int_equal(map.count, 0);
    for (uint64_t i = 0; i < 100; i++) {
        items[i].key = i;
        mem_fail_after(i == 0 ? 0 : 1); /* every growth fails */
        assert_int_equal(hmap_add(&map, &items[i].by_key, good_hash(i)), 0);
    }
    mem_fail_after(0);
    for (uint64_t i = 0; i < 100; i++)
        assert_ptr_equal(find(&map, i, good_hash), &items[i]);
    hmap_release(&map);
}

static void the_order_of_walking_is_repeatable(void **state)
{
    (void)state;
    struct item items[2][50];
    struct hmap maps[2] = {HMAP_INIT, HMAP_INIT};
    for (size_t m = 0; m < 2; m++)
        for (uint64_t i = 0; i < 50; i++) {
            items[m][i].key = i;
            assert_int_equal(hmap_add(&maps[m], &items[m][i].by_key, good_hash(i)), 0);
        }
    struct hmap_node *other = hmap_first(&maps[1]);
    hmap_each (&maps[0], n) {
        assert_int_equal(CONTAINER_OF(n, struct item, by_key)->key,
                         CONTAINER_OF(other, struct item, by_key)->key);
        other = hmap_next(&maps[1], other);
    }
    hmap_release(&maps[0]);
    hmap_release(&maps[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_added_and_not_removed_is_found),
        cmocka_unit_test(colliding_hashes_are_only_slow),
        cmocka_unit_test(an_empty_map_has_nothing_and_needs_no_table),
        cmocka_unit_test(members_may_be_removed_while_walking),
        cmocka_unit_test(without_memory_the_first_add_fails_and_later_ones_get_by),
        cmocka_unit_test(the_order_of_walking_is_repeatable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
