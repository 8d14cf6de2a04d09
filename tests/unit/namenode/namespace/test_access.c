/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "namenode/namespace/access.h"

static struct nn_tree tree;
static struct slice staff;
static struct nn_caller alice, bob, carol, super;

static void add(const char *path, bool is_dir, uint32_t mode, const char *owner)
{
    uint32_t slot = 0;
    struct nn_birth birth = {.id = tree.next_id,
                             .is_dir = is_dir,
                             .mode = mode,
                             .owner = slice_str(owner),
                             .group = slice_str("staff")};
    struct slice p = slice_str(path);
    assert_int_equal(
        nn_tree_add(&tree, nn_tree_find(&tree, path_parent(p)), path_name(p), &birth, &slot), 0);
}

static int setup(void **state)
{
    (void)state;
    staff = slice_str("staff");
    alice = (struct nn_caller){.user = slice_str("alice")};
    bob = (struct nn_caller){.user = slice_str("bob"), .groups = &staff, .group_count = 1};
    carol = (struct nn_caller){.user = slice_str("carol")};
    super = (struct nn_caller){.user = slice_str("hdfs"), .is_super = true};
    int rc = nn_tree_init(&tree, slice_str("hdfs"), slice_str("supergroup"), 0755);
    add("/p", true, 0750, "alice");
    add("/p/f", false, 0640, "alice");
    add("/p/own", true, 0300, "alice");
    add("/tmp", true, 01777, "hdfs");
    add("/tmp/a", true, 0755, "alice");
    return rc;
}
static int teardown(void **state)
{
    (void)state;
    nn_tree_release(&tree);
    return 0;
}

static struct nn_walk walk;
static const struct nn_walk *to(const char *path)
{
    nn_tree_walk(&tree, slice_str(path), &walk);
    return &walk;
}

static void denial_is_told_in_hadoops_words(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(nn_access_parent(&tree, to("/p/f"), &bob, NN_W, &err), ERR_ACCESS);
    assert_string_equal(err.msg, "Permission denied: user=bob, access=WRITE, "
                                 "inode=\"/p\":alice:staff:drwxr-x---");
    assert_int_equal(nn_access_path(&tree, to("/p/f"), &carol, NN_R, &err), ERR_ACCESS);
    assert_string_equal(err.msg, "Permission denied: user=carol, access=EXECUTE, "
                                 "inode=\"/p\":alice:staff:drwxr-x---");
    assert_int_equal(nn_access_ancestor(&tree, to("/new"), &bob, NN_W, &err), ERR_ACCESS);
    assert_string_equal(err.msg, "Permission denied: user=bob, access=WRITE, "
                                 "inode=\"/\":hdfs:supergroup:drwxr-xr-x");
}

static void owner_group_and_others_each_have_their_bits(void **state)
{
    (void)state;
    assert_int_equal(nn_access_path(&tree, to("/p/f"), &alice, NN_RW, NULL), 0);
    assert_int_equal(nn_access_path(&tree, to("/p/f"), &bob, NN_R, NULL), 0);
    assert_int_equal(nn_access_path(&tree, to("/p/f"), &bob, NN_W, NULL), ERR_ACCESS);
    assert_int_equal(nn_access_path(&tree, to("/tmp"), &carol, NN_RWX, NULL), 0);
    /* the owner's bits alone count for the owner, even when others have more */
    assert_int_equal(nn_access_path(&tree, to("/p/own"), &alice, NN_R, NULL), ERR_ACCESS);
}

static void the_superuser_may_do_everything(void **state)
{
    (void)state;
    assert_int_equal(nn_access_path(&tree, to("/p/own"), &super, NN_RWX, NULL), 0);
    assert_int_equal(nn_access_owner(&tree, to("/p/f"), &super, NULL), 0);
    assert_int_equal(nn_access_parent(&tree, to("/tmp/a"), &super, NN_W, NULL), 0);
    assert_int_equal(nn_access_super(&super, "setQuota", NULL), 0);
    struct err err;
    assert_int_equal(nn_access_super(&bob, "setQuota", &err), ERR_ACCESS);
    assert_string_equal(err.msg, "Access denied for user bob. Superuser privilege is required "
                                 "for operation setQuota");
}

static void the_sticky_bit_protects_what_others_put_there(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(nn_access_parent(&tree, to("/tmp/a"), &bob, NN_W, &err), ERR_ACCESS);
    assert_string_equal(err.msg, "Permission denied by sticky bit: user=bob, "
                                 "path=\"/tmp/a\":alice:staff:drwxr-xr-x, "
                                 "parent=\"/tmp\":hdfs:staff:drwxrwxrwt");
    assert_int_equal(nn_access_parent(&tree, to("/tmp/a"), &alice, NN_W, NULL), 0);
    assert_int_equal(nn_access_ancestor(&tree, to("/tmp/new"), &bob, NN_W, NULL), 0);
}

static void a_sticky_directory_does_not_go_with_the_tree_above_it(void **state)
{
    (void)state;
    struct err err;
    add("/b", true, 0755, "bob");
    add("/b/shared", true, 01777, "alice");
    assert_int_equal(nn_access_below(&tree, to("/b"), &bob, NN_RWX, true, &err), 0);
    add("/b/shared/f", false, 0644, "bob");
    assert_int_equal(nn_access_below(&tree, to("/b"), &bob, NN_RWX, true, &err), 0);
    add("/b/shared/g", false, 0644, "carol");
    assert_int_equal(nn_access_below(&tree, to("/b"), &bob, NN_RWX, true, &err), ERR_ACCESS);
    assert_string_equal(err.msg, "Permission denied by sticky bit: user=bob, "
                                 "path=\"/b/shared/g\":carol:staff:-rw-r--r--, "
                                 "parent=\"/b/shared\":alice:staff:drwxrwxrwt");
    assert_int_equal(nn_access_below(&tree, to("/b/shared"), &alice, NN_RWX, true, &err), 0);
    assert_int_equal(nn_access_below(&tree, to("/b"), &carol, NN_RX, false, &err), 0);
}

static struct nn_below begin_below(const char *path)
{
    uint32_t slot = nn_tree_find(&tree, slice_str(path));
    return (struct nn_below){.top = nn_inode(&tree.store, slot)->id};
}

static void a_large_tree_can_be_looked_at_in_steps(void **state)
{
    (void)state;
    char path[64];
    struct err err;
    add("/big", true, 0777, "bob");
    for (int i = 0; i < 30; i++) {
        snprintf(path, sizeof(path), "/big/%d", i);
        add(path, true, 0777, "bob");
        snprintf(path, sizeof(path), "/big/%d/x", i);
        add(path, true, 0777, "bob");
    }
    struct nn_below below = begin_below("/big");
    unsigned steps = 1;
    while (nn_access_below_step(&tree, &below, &bob, NN_RWX, false, 10, &err) == 1)
        steps++;
    assert_int_equal(steps, 7); /* 61 directories */

    below = begin_below("/big"); /* where it stands goes away: it begins anew */
    assert_int_equal(nn_access_below_step(&tree, &below, &bob, NN_RWX, false, 10, &err), 1);
    uint32_t at = nn_inodes_by_id(&tree.store, below.at);
    uint32_t parent = nn_inode(&tree.store, at)->parent;
    assert_int_equal(nn_tree_doom(&tree, parent == NN_ROOT ? at : parent, 1), 0);
    for (steps = 1; nn_access_below_step(&tree, &below, &bob, NN_RWX, false, 10, &err) == 1;)
        steps++;
    assert_true(steps >= 1);

    uint32_t slot = nn_tree_find(&tree, slice_str("/big/3/x"));
    nn_inode(&tree.store, slot ? slot : nn_tree_find(&tree, slice_str("/big/4/x")))->mode = 0700;
    below = begin_below("/big");
    int rc;
    while ((rc = nn_access_below_step(&tree, &below, &carol, NN_RX, false, 10, &err)) == 1)
        ;
    assert_int_equal(rc, ERR_ACCESS);
    assert_int_equal(nn_access_below_step(&tree, &below, &super, NN_RX, false, 10, &err), 0);
}

static void what_lies_in_a_sticky_directory_is_looked_at_in_steps_too(void **state)
{
    (void)state;
    char path[64];
    struct err err;
    uint64_t changes = tree.changes;
    add("/drop", true, 0777, "carol");
    add("/drop/box", true, 01777, "carol");
    for (int i = 0; i < 95; i++) {
        snprintf(path, sizeof(path), "/drop/box/f%02d", i);
        add(path, false, 0644, "bob");
    }
    assert_true(tree.changes >= changes + 2 + 95); /* who looks must look again */
    struct nn_below below = begin_below("/drop");
    unsigned steps = 1;
    while (nn_access_below_step(&tree, &below, &bob, NN_RWX, true, 10, &err) == 1)
        steps++;
    assert_in_range(steps, 10, 12);

    below = begin_below("/drop"); /* what was seen last goes away: all of it once more */
    for (int i = 0; i < 3; i++)
        assert_int_equal(nn_access_below_step(&tree, &below, &bob, NN_RWX, true, 10, &err), 1);
    assert_int_equal(nn_tree_doom(&tree, nn_inodes_by_id(&tree.store, below.entry), 1), 0);
    for (steps = 1; nn_access_below_step(&tree, &below, &bob, NN_RWX, true, 10, &err) == 1;)
        steps++;
    assert_in_range(steps, 9, 12);

    add("/drop/box/g", false, 0644, "alice"); /* the last one is not his */
    below = begin_below("/drop");
    int rc;
    while ((rc = nn_access_below_step(&tree, &below, &bob, NN_RWX, true, 10, &err)) == 1)
        ;
    assert_int_equal(rc, ERR_ACCESS);
    assert_non_null(strstr(err.msg, "path=\"/drop/box/g\":alice:"));
}

static void a_file_in_the_way_is_not_a_directory(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(nn_access_traverse(&tree, to("/p/f/x"), &alice, &err), ERR_NOTDIR);
    assert_string_equal(err.msg, "/p/f (is not a directory)");
}

static void only_the_owner_may_change_attributes(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(nn_access_owner(&tree, to("/p/f"), &alice, NULL), 0);
    assert_int_equal(nn_access_owner(&tree, to("/p/f"), &bob, &err), ERR_ACCESS);
    assert_string_equal(err.msg, "Permission denied. user=bob is not the owner of inode=/p/f");
}

static void deleting_a_tree_needs_every_directory_that_has_something_in_it(void **state)
{
    (void)state;
    add("/tmp/a/b", true, 0755, "carol");
    add("/tmp/a/c", true, 0755, "alice");
    assert_int_equal(nn_access_below(&tree, to("/tmp/a"), &alice, NN_RWX, true, NULL), 0);
    add("/tmp/a/b/f", false, 0644, "carol");
    struct err err;
    assert_int_equal(nn_access_below(&tree, to("/tmp/a"), &alice, NN_RWX, true, &err), ERR_ACCESS);
    assert_string_equal(err.msg, "Permission denied: user=alice, access=ALL, "
                                 "inode=\"/tmp/a/b\":carol:staff:drwxr-xr-x");
    assert_int_equal(nn_access_below(&tree, to("/tmp/a"), &super, NN_RWX, true, NULL), 0);
    assert_int_equal(nn_access_below(&tree, to("/tmp/a"), &carol, NN_RX, false, NULL), 0);
}

static void mode_bits_are_shown_with_the_sticky_bit(void **state)
{
    (void)state;
    char out[11];
    assert_string_equal(nn_access_bits(true, 01777, out), "drwxrwxrwt");
    assert_string_equal(nn_access_bits(true, 01776, out), "drwxrwxrwT");
    assert_string_equal(nn_access_bits(false, 0640, out), "-rw-r-----");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(denial_is_told_in_hadoops_words),
        T(owner_group_and_others_each_have_their_bits),
        T(the_superuser_may_do_everything),
        T(the_sticky_bit_protects_what_others_put_there),
        T(a_sticky_directory_does_not_go_with_the_tree_above_it),
        T(a_large_tree_can_be_looked_at_in_steps),
        T(what_lies_in_a_sticky_directory_is_looked_at_in_steps_too),
        T(a_file_in_the_way_is_not_a_directory),
        T(only_the_owner_may_change_attributes),
        T(deleting_a_tree_needs_every_directory_that_has_something_in_it),
        T(mode_bits_are_shown_with_the_sticky_bit),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
