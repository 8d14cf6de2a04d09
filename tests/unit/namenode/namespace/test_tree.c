/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"
#include "namenode/namespace/tree.h"

static struct nn_tree tree;

static int setup(void **state)
{
    (void)state;
    return nn_tree_init(&tree, slice_str("root"), slice_str("supergroup"), 0755);
}
static int teardown(void **state)
{
    (void)state;
    nn_tree_release(&tree);
    return 0;
}

static uint32_t at(const char *path)
{
    return nn_tree_find(&tree, slice_str(path));
}

static uint32_t add(const char *path, bool is_dir, uint64_t now_ms)
{
    uint32_t slot = 0;
    struct nn_birth birth = {.id = tree.next_id,
                             .is_dir = is_dir,
                             .mode = is_dir ? 0755 : 0644,
                             .owner = slice_str("alice"),
                             .group = slice_str("users"),
                             .now_ms = now_ms,
                             .replication = 3,
                             .block_size = 1 << 20};
    struct slice p = slice_str(path);
    uint32_t parent = nn_tree_find(&tree, path_parent(p));
    assert_int_not_equal(parent, 0);
    assert_int_equal(nn_tree_add(&tree, parent, path_name(p), &birth, &slot), 0);
    return slot;
}

static void check_sums(const char *path, uint64_t dirs, uint64_t files, uint64_t len,
                       uint64_t space)
{
    struct nn_sums sums = nn_tree_sums(&tree, at(path));
    assert_int_equal(sums.dirs, dirs);
    assert_int_equal(sums.files, files);
    assert_int_equal(sums.len, len);
    assert_int_equal(sums.space, space);
}

static void a_walk_says_how_far_the_path_exists(void **state)
{
    (void)state;
    struct nn_walk walk;
    uint32_t a = add("/a", true, 1), f = add("/a/f", false, 1);
    nn_tree_walk(&tree, slice_str("/"), &walk);
    assert_int_equal(walk.depth, 0);
    assert_true(nn_walk_is_whole(&walk));
    assert_int_equal(nn_walk_last(&walk), NN_ROOT);
    nn_tree_walk(&tree, slice_str("/a/b/c"), &walk);
    assert_int_equal(walk.depth, 3);
    assert_int_equal(walk.found, 1);
    assert_int_equal(nn_walk_last(&walk), a);
    assert_true(slice_is(walk.names[2], "c"));
    nn_tree_walk(&tree, slice_str("/a/f/x"), &walk);
    assert_int_equal(walk.found, 2);
    assert_int_equal(nn_walk_last(&walk), f);
    assert_false(nn_walk_is_whole(&walk));
    assert_int_equal(at("/a/f/x"), 0);
}

static void sums_follow_every_change_up_to_the_root(void **state)
{
    (void)state;
    add("/a", true, 1);
    add("/a/b", true, 1);
    uint32_t f = add("/a/b/f", false, 1);
    add("/c", true, 1);
    nn_tree_set_len(&tree, f, 1000);
    check_sums("/", 4, 1, 1000, 3000);
    check_sums("/a", 2, 1, 1000, 3000);
    nn_tree_set_replication(&tree, f, 2);
    check_sums("/a/b", 1, 1, 1000, 2000);
    nn_tree_set_len(&tree, f, 10);
    check_sums("/", 4, 1, 10, 20);
    assert_int_equal(nn_tree_move(&tree, at("/a/b"), at("/c"), slice_str("moved"), 5), 0);
    check_sums("/a", 1, 0, 0, 0);
    check_sums("/c", 2, 1, 10, 20);
    check_sums("/", 4, 1, 10, 20);
    assert_int_equal(nn_tree_doom(&tree, at("/c"), 6), 0);
    check_sums("/", 2, 0, 0, 0);
}

static void a_parent_tells_when_its_entries_changed(void **state)
{
    (void)state;
    add("/a", true, 10);
    add("/b", true, 10);
    add("/a/f", false, 20);
    assert_int_equal(nn_inode(&tree.store, at("/a"))->mtime_ms, 20);
    assert_int_equal(nn_tree_move(&tree, at("/a/f"), at("/b"), slice_str("g"), 30), 0);
    assert_int_equal(nn_inode(&tree.store, at("/a"))->mtime_ms, 30);
    assert_int_equal(nn_inode(&tree.store, at("/b"))->mtime_ms, 30);
    assert_int_equal(nn_inode(&tree.store, at("/b/g"))->mtime_ms, 20);
    assert_int_equal(nn_tree_doom(&tree, at("/b/g"), 40), 0);
    assert_int_equal(nn_inode(&tree.store, at("/b"))->mtime_ms, 40);
}

static void an_id_leads_to_its_inode_wherever_it_moves_until_it_is_doomed(void **state)
{
    (void)state;
    struct buf path = BUF_INIT;
    add("/a", true, 1);
    uint32_t f = add("/a/f", false, 1);
    uint64_t id = nn_inode(&tree.store, f)->id;
    assert_int_equal(nn_tree_move(&tree, at("/a"), NN_ROOT, slice_str("z"), 2), 0);
    assert_int_equal(nn_tree_find_id(&tree, id), f);
    nn_tree_path(&tree, f, &path);
    assert_string_equal(buf_cstr(&path), "/z/f");
    assert_int_equal(nn_tree_doom(&tree, at("/z"), 3), 0);
    assert_int_equal(nn_tree_find_id(&tree, id), 0);
    assert_false(nn_tree_is_attached(&tree, f));
    buf_clear(&path);
    nn_tree_path(&tree, NN_ROOT, &path);
    assert_string_equal(buf_cstr(&path), "/");
    buf_release(&path);
}

struct gone {
    uint32_t files;
};
static void count_gone(void *arg, uint32_t slot)
{
    struct gone *gone = arg;
    assert_false(nn_inode(&tree.store, slot)->is_dir);
    gone->files++;
}

static void a_deleted_tree_is_freed_in_slices_and_every_file_is_told(void **state)
{
    (void)state;
    char path[64];
    add("/keep", true, 1);
    add("/keep/f", false, 1);
    add("/t", true, 1);
    for (int d = 0; d < 20; d++) {
        snprintf(path, sizeof(path), "/t/d%d", d);
        add(path, true, 1);
        snprintf(path, sizeof(path), "/t/d%d/sub", d);
        add(path, true, 1); /* stays empty */
        for (int f = 0; f < 50; f++) {
            snprintf(path, sizeof(path), "/t/d%d/f%d", d, f);
            add(path, false, 1);
        }
    }
    uint32_t before = tree.store.inodes.count;
    assert_int_equal(nn_tree_doom(&tree, at("/t"), 2), 0);
    assert_int_equal(at("/t"), 0);
    assert_int_equal(tree.store.inodes.count, before); /* nothing freed yet */
    struct gone gone = {0};
    unsigned slices = 1;
    while (nn_tree_reap(&tree, 10, count_gone, &gone))
        slices++;
    assert_int_equal(gone.files, 1000);
    assert_true(slices > 100);
    assert_int_equal(tree.store.inodes.count, before - 1041);
    assert_int_not_equal(at("/keep/f"), 0);
    check_sums("/", 2, 1, 0, 0);
}

static void a_name_can_be_used_again_while_the_old_tree_is_being_reaped(void **state)
{
    (void)state;
    struct gone gone = {0};
    for (int round = 0; round < 5; round++) {
        add("/t", true, 1);
        for (int f = 0; f < 30; f++) {
            char path[32];
            snprintf(path, sizeof(path), "/t/f%d", f);
            add(path, false, 1);
        }
        assert_int_equal(nn_tree_doom(&tree, at("/t"), 2), 0);
        (void)nn_tree_reap(&tree, 7, count_gone, &gone);
    }
    while (nn_tree_reap(&tree, 7, count_gone, &gone))
        ;
    assert_int_equal(gone.files, 150);
    assert_int_equal(tree.store.inodes.count, 1);
    assert_int_equal(tree.store.dirs.count, 1);
}

static void no_memory_adds_nothing(void **state)
{
    (void)state;
    struct nn_birth birth = {
        .id = 77, .is_dir = true, .owner = slice_str("new-owner"), .group = slice_str("new-group")};
    for (uint64_t n = 1;; n++) {
        uint32_t slot = 0;
        mem_fail_after(n);
        int rc = nn_tree_add(&tree, NN_ROOT, slice_str("x"), &birth, &slot);
        bool has_failed = mem_has_failed();
        mem_fail_after(0);
        if (!has_failed) {
            assert_int_equal(rc, 0);
            break;
        }
        if (rc == 0) { /* a hash table that could not grow: nothing is lost */
            assert_int_equal(at("/x"), slot);
            break;
        }
        assert_int_equal(rc, ERR_NOMEM);
        assert_int_equal(at("/x"), 0);
        assert_int_equal(tree.store.inodes.count, 1);
        check_sums("/", 1, 0, 0, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_walk_says_how_far_the_path_exists, setup, teardown),
        cmocka_unit_test_setup_teardown(sums_follow_every_change_up_to_the_root, setup, teardown),
        cmocka_unit_test_setup_teardown(a_parent_tells_when_its_entries_changed, setup, teardown),
        cmocka_unit_test_setup_teardown(
            an_id_leads_to_its_inode_wherever_it_moves_until_it_is_doomed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_deleted_tree_is_freed_in_slices_and_every_file_is_told,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_can_be_used_again_while_the_old_tree_is_being_reaped,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(no_memory_adds_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
