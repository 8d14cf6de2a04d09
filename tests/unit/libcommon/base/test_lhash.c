/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/lhash.h"
#include "libcommon/base/slice.h"

#define COUNT 5000

static uint64_t keys[COUNT + 1];
static uint32_t links[COUNT + 1];

static uint64_t key_of(const void *owner, uint32_t index)
{
    (void)owner;
    return keys[index];
}
static uint64_t hash_of(const void *owner, uint32_t index)
{
    return hash_u64(key_of(owner, index));
}
static uint32_t *link_of(const void *owner, uint32_t index)
{
    (void)owner;
    return &links[index];
}
static const struct lhash_ops ops = {hash_of, link_of};

static int set_up(void **state)
{
    (void)state;
    for (uint32_t i = 0; i <= COUNT; i++) {
        keys[i] = i * 7ULL;
        links[i] = 0;
    }
    return 0;
}

static bool has(const struct lhash *hash, uint32_t index)
{
    uint32_t i = lhash_find(hash, hash_of(NULL, index));
    while (i && i != index)
        i = links[i];
    return i == index;
}

static void what_is_deferred_is_found_when_it_was_built(void **state)
{
    (void)state;
    struct lhash hash;
    assert_int_equal(lhash_init(&hash, 2, &ops, NULL), 0);
    lhash_add(&hash, 1);
    lhash_defer(&hash);
    for (uint32_t i = 2; i <= COUNT - 10; i++)
        lhash_add(&hash, i);
    assert_true(has(&hash, 1));
    assert_false(has(&hash, 2));
    lhash_remove(&hash, COUNT - 10);
    assert_int_equal(lhash_build(&hash, key_of), 0);
    assert_int_equal(hash.count, COUNT - 11);
    for (uint32_t i = COUNT - 9; i <= COUNT; i++)
        lhash_add(&hash, i);
    for (uint32_t i = 1; i <= COUNT; i++)
        assert_int_equal(has(&hash, i), i != COUNT - 10);
    for (uint32_t i = 1; i <= COUNT; i++)
        if (i != COUNT - 10)
            lhash_remove(&hash, i);
    assert_int_equal(hash.count, 0);
    lhash_release(&hash);
}

/* The first of them is entered before, in another way. */
static int build_forty(void)
{
    struct lhash hash;
    assert_int_equal(lhash_init(&hash, 1, &ops, NULL), 0);
    lhash_add(&hash, 1);
    lhash_defer(&hash);
    for (uint32_t i = 2; i <= 40; i++)
        lhash_add(&hash, i);
    int rc = lhash_build(&hash, key_of);
    for (uint32_t i = 1; i <= 40; i++)
        assert_true(has(&hash, i));
    lhash_release(&hash);
    return rc;
}

static void a_key_that_is_there_twice_is_told(void **state)
{
    (void)state;
    for (uint32_t twin = 1; twin < 40; twin++) {
        keys[40] = keys[twin];
        assert_int_equal(build_forty(), ERR_EXIST);
    }
}

static void keys_far_from_each_other_are_not_taken_for_the_same(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 40; i++)
        keys[i] = (uint64_t)i << 40;
    assert_int_equal(build_forty(), 0);
    keys[40] = keys[17];
    assert_int_equal(build_forty(), ERR_EXIST);
}

static void building_nothing_is_harmless(void **state)
{
    (void)state;
    struct lhash hash;
    assert_int_equal(lhash_init(&hash, 1, &ops, NULL), 0);
    assert_int_equal(lhash_build(&hash, key_of), 0);
    lhash_defer(&hash);
    lhash_add(&hash, 1);
    lhash_remove(&hash, 1);
    assert_int_equal(lhash_build(&hash, key_of), 0);
    assert_int_equal(hash.count, 0);
    lhash_release(&hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_deferred_is_found_when_it_was_built, set_up),
        cmocka_unit_test_setup(a_key_that_is_there_twice_is_told, set_up),
        cmocka_unit_test_setup(keys_far_from_each_other_are_not_taken_for_the_same, set_up),
        cmocka_unit_test_setup(building_nothing_is_harmless, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
