/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "namenode/namespace/trash.h"

static struct nn_tree tree;

static uint32_t add(uint32_t parent, const char *name)
{
    uint32_t slot = 0;
    struct nn_birth birth = {.id = tree.next_id, .is_dir = true, .mode = 0700};
    assert_int_equal(nn_tree_add(&tree, parent, slice_str(name), &birth, &slot), 0);
    return slot;
}

static int setup(void **state)
{
    (void)state;
    return nn_tree_init(&tree, slice_str("hdfs"), slice_str("supergroup"), 0755);
}
static int teardown(void **state)
{
    (void)state;
    nn_tree_release(&tree);
    return 0;
}

static void checkpoints_are_known_by_their_names(void **state)
{
    (void)state;
    static const char *const good[] = {"260102030405", "260102030405-1", "991231235959-27"};
    static const char *const bad[] = {"Current",
                                      "26010203040",
                                      "2601020304056",
                                      "260102030405-",
                                      "260102030405-x",
                                      "26010203040x",
                                      "",
                                      "x60102030405"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(nn_trash_is_checkpoint(slice_str(good[i])));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(nn_trash_is_checkpoint(slice_str(bad[i])));
}

static void only_older_checkpoints_are_found_and_nothing_else(void **state)
{
    (void)state;
    uint32_t trash = add(NN_ROOT, ".Trash");
    add(trash, "Current");
    add(trash, "123"); /* somebody's own */
    add(trash, "#odd");
    uint32_t first = add(trash, "260101000000"), second = add(trash, "260101000000-1");
    add(trash, "260102000000");
    assert_int_equal(nn_trash_older(&tree, trash, "251231235959"), 0);
    assert_int_equal(nn_trash_older(&tree, trash, "260101000000"), 0);
    assert_int_equal(nn_trash_older(&tree, trash, "260101000001"), first);
    assert_int_equal(nn_tree_doom(&tree, first, 1), 0);
    assert_int_equal(nn_trash_older(&tree, trash, "260102000000"), second);
    assert_int_equal(nn_tree_doom(&tree, second, 1), 0);
    assert_int_equal(nn_trash_older(&tree, trash, "260102000000"), 0);
    assert_int_equal(nn_trash_older(&tree, trash, ""), 0);
}

static void a_second_checkpoint_of_one_second_gets_a_number(void **state)
{
    (void)state;
    char name[NN_TRASH_NAME];
    uint32_t trash = add(NN_ROOT, ".Trash");
    assert_true(nn_trash_name(&tree, trash, "260101000000", name));
    assert_string_equal(name, "260101000000");
    add(trash, name);
    assert_true(nn_trash_name(&tree, trash, "260101000000", name));
    assert_string_equal(name, "260101000000-1");
    add(trash, name);
    assert_true(nn_trash_name(&tree, trash, "260101000000", name));
    assert_string_equal(name, "260101000000-2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(checkpoints_are_known_by_their_names),
        T(only_older_checkpoints_are_found_and_nothing_else),
        T(a_second_checkpoint_of_one_second_gets_a_number),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
