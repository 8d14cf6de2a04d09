/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/rand.h"
#include "namenode/namespace/children.h"

/* Slot n is called by the decimal digits of key[n]. */
#define SLOTS 20001
static char names[SLOTS][12];

static struct slice name_of(const void *arg, uint32_t slot)
{
    (void)arg;
    return slice_str(names[slot]);
}
static const struct nn_naming naming = {name_of, NULL};

static void fill_names(bool in_order)
{
    for (uint32_t i = 1; i < SLOTS; i++)
        snprintf(names[i], sizeof(names[i]), "f%08u", in_order ? i : (i * 7919U) % 1000003U);
}

/* Everything comes out, in order, once; and `left` counts down to nothing. */
static void check_all(const struct nn_children *children, uint32_t count)
{
    struct nn_cursor at = nn_children_after(children, &naming, slice_str(""));
    uint32_t seen = 0, before = 0;
    assert_int_equal(children->count, count);
    for (;;) {
        assert_int_equal(nn_children_left(children, at), count - seen);
        uint32_t slot = nn_children_next(children, &at);
        if (!slot)
            break;
        if (before)
            assert_true(slice_cmp(name_of(NULL, before), name_of(NULL, slot)) < 0);
        before = slot;
        seen++;
    }
    assert_int_equal(seen, count);
    assert_int_equal(nn_children_last(children), before);
}

static void entries_come_in_byte_order_of_names(void **state)
{
    (void)state;
    for (int in_order = 0; in_order < 2; in_order++) {
        struct nn_children children = {0};
        fill_names(in_order);
        for (uint32_t i = 1; i < SLOTS; i++) {
            assert_int_equal(nn_children_add(&children, &naming, i), 0);
            if (i == 1 || i == 2 || i == 256 || i == 257 || i == 600)
                check_all(&children, i);
        }
        check_all(&children, SLOTS - 1);
        nn_children_release(&children);
    }
}

static void names_in_order_fill_the_leaves(void **state)
{
    (void)state;
    struct nn_children children = {0};
    fill_names(true);
    for (uint32_t i = 1; i < SLOTS; i++)
        assert_int_equal(nn_children_add(&children, &naming, i), 0);
    assert_true(nn_children_bytes(&children) < (size_t)SLOTS * 5);
    nn_children_release(&children);
    fill_names(false);
    for (uint32_t i = 1; i < SLOTS; i++)
        assert_int_equal(nn_children_add(&children, &naming, i), 0);
    assert_true(nn_children_bytes(&children) < (size_t)SLOTS * 7);
    nn_children_release(&children);
}

static void a_page_begins_after_the_name_given_whether_it_exists_or_not(void **state)
{
    (void)state;
    struct nn_children children = {0};
    fill_names(true);
    for (uint32_t i = 2; i < SLOTS; i += 2)
        assert_int_equal(nn_children_add(&children, &naming, i), 0);
    for (uint32_t i = 1; i + 1 < SLOTS; i += 97) {
        struct nn_cursor at = nn_children_after(&children, &naming, slice_str(names[i]));
        assert_int_equal(nn_children_next(&children, &at), i % 2 ? i + 1 : i + 2);
    }
    struct nn_cursor at = nn_children_after(&children, &naming, slice_str("zzz"));
    assert_int_equal(nn_children_next(&children, &at), 0);
    assert_int_equal(nn_children_left(&children, at), 0);
    nn_children_release(&children);
}

static void random_additions_and_removals_keep_the_order(void **state)
{
    (void)state;
    struct nn_children children = {0};
    struct rand rand;
    static bool is_in[SLOTS];
    uint32_t count = 0;
    memset(is_in, 0, sizeof(is_in));
    rand_init(&rand, 42);
    fill_names(false);
    for (uint32_t step = 0; step < 60000; step++) {
        /* swells to a few thousand, shrinks to nothing, twice over */
        bool grows = (step / 15000) % 2 == 0;
        uint32_t slot = 1 + (uint32_t)rand_below(&rand, SLOTS - 1);
        if (!is_in[slot] && (grows || rand_chance(&rand, 8))) {
            assert_int_equal(nn_children_add(&children, &naming, slot), 0);
            is_in[slot] = true;
            count++;
        } else if (is_in[slot] && (!grows || rand_chance(&rand, 8))) {
            nn_children_remove(&children, &naming, slot);
            is_in[slot] = false;
            count--;
        }
        if (step % 5000 == 0)
            check_all(&children, count);
    }
    for (uint32_t slot = 1; slot < SLOTS; slot++)
        if (is_in[slot])
            nn_children_remove(&children, &naming, slot);
    assert_int_equal(children.count, 0);
    assert_int_equal(nn_children_bytes(&children), 0); /* nothing is kept by an empty directory */
}

static void taking_the_last_away_empties_it(void **state)
{
    (void)state;
    struct nn_children children = {0};
    fill_names(false);
    for (uint32_t i = 1; i <= 3000; i++)
        assert_int_equal(nn_children_add(&children, &naming, i), 0);
    uint32_t count = 0;
    while (nn_children_last(&children)) {
        nn_children_drop_last(&children);
        count++;
    }
    assert_int_equal(count, 3000);
}

static void no_memory_at_any_point_changes_nothing(void **state)
{
    (void)state;
    struct nn_children children = {0};
    fill_names(false);
    uint64_t failures = 0;
    for (uint32_t i = 1; i <= 1500; i++) {
        for (uint64_t n = 1;; n++) {
            mem_fail_after(n);
            int rc = nn_children_add(&children, &naming, i);
            bool has_failed = mem_has_failed();
            mem_fail_after(0);
            if (rc == 0)
                break;
            assert_true(has_failed);
            assert_int_equal(children.count, i - 1);
            failures++;
        }
    }
    assert_true(failures > 10);
    check_all(&children, 1500);
    nn_children_release(&children);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_in_byte_order_of_names),
        cmocka_unit_test(names_in_order_fill_the_leaves),
        cmocka_unit_test(a_page_begins_after_the_name_given_whether_it_exists_or_not),
        cmocka_unit_test(random_additions_and_removals_keep_the_order),
        cmocka_unit_test(taking_the_last_away_empties_it),
        cmocka_unit_test(no_memory_at_any_point_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
