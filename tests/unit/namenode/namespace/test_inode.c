/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/rand.h"
#include "namenode/namespace/inode.h"

static struct slice random_name(struct rand *rand, uint8_t *out)
{
    size_t len = 1 + rand_below(rand, 255);
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)rand_u64(rand);
    return slice_of(out, len);
}

static void names_of_every_length_survive_others_coming_and_going(void **state)
{
    (void)state;
    enum { COUNT = 4000 };
    static uint8_t bytes[COUNT][255];
    static size_t lens[COUNT];
    static uint32_t refs[COUNT];
    struct nn_names names;
    struct rand rand;
    rand_init(&rand, 1);
    nn_names_init(&names);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < COUNT; i++) {
            if (refs[i] && rand_chance(&rand, 2)) {
                nn_names_remove(&names, refs[i]);
                refs[i] = 0;
            }
            if (!refs[i]) {
                lens[i] = random_name(&rand, bytes[i]).len;
                assert_int_equal(nn_names_add(&names, slice_of(bytes[i], lens[i]), &refs[i]), 0);
                assert_int_not_equal(refs[i], 0);
            }
        }
        for (int i = 0; i < COUNT; i++)
            assert_true(slice_eq(nn_names_get(&names, refs[i]), slice_of(bytes[i], lens[i])));
    }
    /* cells are used again: five rounds took little more room than one */
    assert_true(nn_names_bytes(&names) < 3 * names.used_bytes);
    memset(refs, 0, sizeof(refs));
    nn_names_release(&names);
}

static void a_word_keeps_its_number(void **state)
{
    (void)state;
    struct nn_intern intern;
    nn_intern_init(&intern);
    char word[16];
    uint16_t number = 0, again = 0;
    for (unsigned i = 1; i <= UINT16_MAX; i++) {
        snprintf(word, sizeof(word), "user%u", i);
        assert_int_equal(nn_intern_add(&intern, slice_str(word), &number), 0);
        assert_int_equal(number, i);
    }
    assert_int_equal(nn_intern_add(&intern, slice_str("one-too-many"), &number), ERR_LIMIT);
    assert_int_equal(nn_intern_add(&intern, slice_str("user77"), &again), 0);
    assert_int_equal(again, 77);
    assert_true(slice_is(nn_intern_get(&intern, 77), "user77"));
    assert_int_equal(nn_intern_add(&intern, slice_str(""), &again), 0);
    assert_int_equal(again, 0);
    nn_intern_release(&intern);
}

static uint32_t add(struct nn_inodes *store, uint64_t id, bool is_dir, uint32_t parent,
                    const char *name)
{
    uint32_t slot = 0;
    assert_int_equal(nn_inodes_add(store, id, is_dir, &slot), 0);
    if (parent)
        assert_int_equal(nn_inodes_link(store, slot, parent, slice_str(name)), 0);
    return slot;
}

static void an_inode_is_found_by_name_and_by_id_until_it_is_gone(void **state)
{
    (void)state;
    struct nn_inodes store;
    assert_int_equal(nn_inodes_init(&store), 0);
    uint32_t root = add(&store, 1, true, 0, "");
    uint32_t a = add(&store, 2, true, root, "same");
    uint32_t b = add(&store, 3, false, a, "same");
    assert_int_equal(nn_inodes_child(&store, root, slice_str("same")), a);
    assert_int_equal(nn_inodes_child(&store, a, slice_str("same")), b);
    assert_int_equal(nn_inodes_child(&store, a, slice_str("sam")), 0);
    assert_int_equal(nn_inodes_by_id(&store, 3), b);
    nn_inodes_unlink(&store, b);
    assert_int_equal(nn_inodes_child(&store, a, slice_str("same")), 0);
    assert_int_equal(nn_inodes_by_id(&store, 3), b);
    nn_inodes_remove(&store, b);
    assert_int_equal(nn_inodes_by_id(&store, 3), 0);
    nn_inodes_release(&store);
}

static void subdirectories_are_linked_without_the_files(void **state)
{
    (void)state;
    struct nn_inodes store;
    assert_int_equal(nn_inodes_init(&store), 0);
    uint32_t root = add(&store, 1, true, 0, "");
    uint32_t x = add(&store, 2, true, root, "x");
    add(&store, 3, false, root, "file");
    uint32_t y = add(&store, 4, true, root, "y"), z = add(&store, 5, true, root, "z");
    assert_int_equal(nn_dir(&store, root)->first_subdir, z);
    nn_inodes_unlink(&store, y); /* the middle one */
    assert_int_equal(nn_dir(&store, z)->next_subdir, x);
    assert_int_equal(nn_dir(&store, x)->prev_subdir, z);
    nn_inodes_unlink(&store, z); /* the first */
    assert_int_equal(nn_dir(&store, root)->first_subdir, x);
    nn_inodes_unlink(&store, x);
    assert_int_equal(nn_dir(&store, root)->first_subdir, 0);
    nn_inodes_release(&store);
}

static void no_memory_leaves_an_inode_without_a_place(void **state)
{
    (void)state;
    struct nn_inodes store;
    assert_int_equal(nn_inodes_init(&store), 0);
    uint32_t root = add(&store, 1, true, 0, "");
    for (uint64_t n = 1;; n++) {
        uint32_t slot = add(&store, 100 + n, false, 0, "");
        mem_fail_after(n);
        int rc = nn_inodes_link(&store, slot, root, slice_str("name"));
        bool has_failed = mem_has_failed();
        mem_fail_after(0);
        if (rc == 0) {
            assert_false(has_failed);
            break;
        }
        assert_int_equal(rc, ERR_NOMEM);
        assert_int_equal(nn_inodes_child(&store, root, slice_str("name")), 0);
        nn_inodes_remove(&store, slot);
    }
    nn_inodes_release(&store);
}

/* The promise that says how big an installation may become. */
static void a_file_with_a_name_of_12_bytes_costs_at_most_96_bytes(void **state)
{
    (void)state;
    enum { COUNT = 195000, PER_DIR = 1000 };
    struct nn_inodes store;
    assert_int_equal(nn_inodes_init(&store), 0);
    uint32_t root = add(&store, 1, true, 0, ""), dir = 0;
    size_t order = 0;
    char name[16];
    for (uint32_t i = 0; i < COUNT; i++) {
        if (i % PER_DIR == 0) {
            snprintf(name, sizeof(name), "dir%u", i);
            order += dir ? nn_children_bytes(&nn_dir(&store, dir)->children) : 0;
            dir = add(&store, 1000000 + i, true, root, name);
        }
        snprintf(name, sizeof(name), "part-%07u", i);
        add(&store, 2 + i, false, dir, name);
    }
    order += nn_children_bytes(&nn_dir(&store, dir)->children);
    size_t bytes = nn_inodes_bytes(&store) - slab_bytes(&store.dirs) + order;
    assert_true(bytes <= (size_t)COUNT * 96);
    nn_inodes_release(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_every_length_survive_others_coming_and_going),
        cmocka_unit_test(a_word_keeps_its_number),
        cmocka_unit_test(an_inode_is_found_by_name_and_by_id_until_it_is_gone),
        cmocka_unit_test(subdirectories_are_linked_without_the_files),
        cmocka_unit_test(no_memory_leaves_an_inode_without_a_place),
        cmocka_unit_test(a_file_with_a_name_of_12_bytes_costs_at_most_96_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
