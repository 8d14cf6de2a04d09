/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/lhash.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/slab.h"
#include "libcommon/base/slice.h"

struct thing {
    uint64_t key;
    uint32_t link, spare;
};

static void things_never_move_and_index_0_is_never_given(void **state)
{
    (void)state;
    struct slab slab;
    slab_init(&slab, sizeof(struct thing));
    uint32_t first = 0, index = 0;
    assert_int_equal(slab_add(&slab, &first), 0);
    assert_int_not_equal(first, 0);
    struct thing *at = slab_at(&slab, first);
    at->key = 7;
    for (int i = 0; i < 40000; i++)
        assert_int_equal(slab_add(&slab, &index), 0);
    assert_ptr_equal(slab_at(&slab, first), at);
    assert_int_equal(at->key, 7);
    assert_int_equal(slab.count, 40001);
    assert_true(slab_bytes(&slab) >= 40001 * sizeof(struct thing));
    slab_release(&slab);
}

static void a_freed_index_comes_back_zeroed(void **state)
{
    (void)state;
    struct slab slab;
    slab_init(&slab, sizeof(struct thing));
    uint32_t a = 0, b = 0, c = 0;
    assert_int_equal(slab_add(&slab, &a), 0);
    assert_int_equal(slab_add(&slab, &b), 0);
    ((struct thing *)slab_at(&slab, a))->key = 99;
    slab_remove(&slab, a);
    assert_int_equal(slab_add(&slab, &c), 0);
    assert_int_equal(c, a);
    assert_int_equal(((struct thing *)slab_at(&slab, c))->key, 0);
    slab_release(&slab);
}

static void chunks_begin_on_a_cache_line(void **state)
{
    (void)state;
    struct slab slab;
    slab_init(&slab, 64);
    uint32_t index = 0;
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(slab_add(&slab, &index), 0);
        assert_int_equal((uintptr_t)slab_at(&slab, index) % 64, 0);
    }
    slab_release(&slab);
}

static void no_memory_is_an_error_and_changes_nothing(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct slab slab;
        uint32_t index = 0;
        slab_init(&slab, 16);
        mem_fail_after(n);
        int rc = slab_add(&slab, &index);
        bool has_failed = mem_has_failed();
        mem_fail_after(0);
        assert_int_equal(rc, has_failed ? ERR_NOMEM : 0);
        assert_int_equal(slab_add(&slab, &index), 0);
        slab_release(&slab);
        if (!has_failed)
            break;
    }
}

/* ---- lhash ---- */

static uint64_t hash_of(const void *owner, uint32_t index)
{
    return hash_u64(((struct thing *)slab_at(owner, index))->key);
}
static uint32_t *link_of(const void *owner, uint32_t index)
{
    return &((struct thing *)slab_at(owner, index))->link;
}
static const struct lhash_ops ops = {hash_of, link_of};

static uint32_t find(const struct lhash *hash, const struct slab *slab, uint64_t key)
{
    uint32_t i = lhash_find(hash, hash_u64(key));
    while (i && ((struct thing *)slab_at(slab, i))->key != key)
        i = *link_of(slab, i);
    return i;
}

static void every_member_is_found_while_the_table_grows(void **state)
{
    (void)state;
    struct slab slab;
    struct lhash hash;
    slab_init(&slab, sizeof(struct thing));
    assert_int_equal(lhash_init(&hash, 1, &ops, &slab), 0);
    for (uint64_t key = 1; key <= 30000; key++) {
        uint32_t index = 0;
        assert_int_equal(slab_add(&slab, &index), 0);
        ((struct thing *)slab_at(&slab, index))->key = key;
        lhash_add(&hash, index);
        assert_int_equal(find(&hash, &slab, key), index);
        assert_int_not_equal(find(&hash, &slab, 1 + (key * 7919) % key), 0);
    }
    for (uint64_t key = 1; key <= 30000; key++)
        assert_int_not_equal(find(&hash, &slab, key), 0);
    assert_int_equal(find(&hash, &slab, 30001), 0);
    assert_true(hash.count <= hash.buckets + 1); /* it did grow with its members */
    lhash_release(&hash);
    slab_release(&slab);
}

static void removed_members_are_gone_and_others_stay(void **state)
{
    (void)state;
    struct slab slab;
    struct lhash hash;
    slab_init(&slab, sizeof(struct thing));
    assert_int_equal(lhash_init(&hash, 2, &ops, &slab), 0);
    for (uint64_t key = 1; key <= 5000; key++) {
        uint32_t index = 0;
        assert_int_equal(slab_add(&slab, &index), 0);
        ((struct thing *)slab_at(&slab, index))->key = key;
        lhash_add(&hash, index);
    }
    for (uint64_t key = 1; key <= 5000; key += 3)
        lhash_remove(&hash, find(&hash, &slab, key));
    for (uint64_t key = 1; key <= 5000; key++)
        assert_int_equal(find(&hash, &slab, key) == 0, key % 3 == 1);
    lhash_release(&hash);
    slab_release(&slab);
}

static void a_table_without_memory_to_grow_still_takes_members(void **state)
{
    (void)state;
    struct slab slab;
    struct lhash hash;
    slab_init(&slab, sizeof(struct thing));
    assert_int_equal(lhash_init(&hash, 1, &ops, &slab), 0);
    for (uint64_t key = 1; key <= 9000; key++) {
        uint32_t index = 0;
        assert_int_equal(slab_add(&slab, &index), 0);
        ((struct thing *)slab_at(&slab, index))->key = key;
        mem_fail_after(1);
        lhash_add(&hash, index);
        mem_fail_after(0);
    }
    for (uint64_t key = 1; key <= 9000; key++)
        assert_int_not_equal(find(&hash, &slab, key), 0);
    lhash_release(&hash);
    slab_release(&slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(things_never_move_and_index_0_is_never_given),
        cmocka_unit_test(a_freed_index_comes_back_zeroed),
        cmocka_unit_test(chunks_begin_on_a_cache_line),
        cmocka_unit_test(no_memory_is_an_error_and_changes_nothing),
        cmocka_unit_test(every_member_is_found_while_the_table_grows),
        cmocka_unit_test(removed_members_are_gone_and_others_stay),
        cmocka_unit_test(a_table_without_memory_to_grow_still_takes_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
