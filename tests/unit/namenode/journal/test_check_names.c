/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/namenode/journal/world.h"

static struct world w;

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    world_release(&w);
    return 0;
}

/* ---- paths ---- */

static void paths_beyond_the_limits_are_refused_in_hadoops_words(void **state)
{
    (void)state;
    char path[9000];
    memset(path, 'x', sizeof(path));
    memcpy(path, "/d/", 3);
    path[3 + 256] = 0;
    assert_int_equal(do_mkdir(&w, path, true), ERR_TOOBIG);
    assert_non_null(strstr(w.err.msg, " in directory /d is exceeded: limit=255 length=256"));
    assert_int_equal(memcmp(w.err.msg, "The maximum path component name limit of xxx", 44), 0);
    path[3 + 255] = 0;
    assert_int_equal(do_mkdir(&w, path, true), 0);
    for (size_t i = 0; i < 8200; i += 2)
        memcpy(path + i, "/x", 2);
    path[8002] = 0;
    assert_int_equal(do_mkdir(&w, path, true), ERR_TOOBIG);
    assert_string_equal(w.err.msg,
                        "mkdirs: Pathname too long.  Limit 8000 characters, 1000 levels.");
    path[2002] = 0;
    assert_int_equal(do_create(&w, path, 1, false), ERR_TOOBIG);
    assert_string_equal(w.err.msg,
                        "create: Pathname too long.  Limit 8000 characters, 1000 levels.");
    path[2000] = 0;
    assert_int_equal(do_mkdir(&w, path, true), 0);
}

static void at_a_path_beyond_the_limits_there_is_nothing(void **state)
{
    (void)state;
    char path[2003] = "/";
    memset(path + 1, 'x', 256);
    assert_int_equal(do_delete(&w, path, true), NN_CHECK_NOTHING);
    assert_int_equal(do_rename(&w, path, "/y", false), ERR_NOENT);
    struct nn_walk walk;
    struct nn_view view = world_view(&w);
    assert_int_equal(nn_check_reach(&view, slice_str(path), &walk, &w.err), ERR_NOENT);
    assert_int_equal(memcmp(w.err.msg, "File does not exist: /xxx", 25), 0);
    for (size_t i = 0; i < 2002; i += 2)
        memcpy(path + i, "/x", 2);
    assert_int_equal(do_delete(&w, path, true), NN_CHECK_NOTHING);
    path[2000] = 0;
    assert_int_equal(do_mkdir(&w, path, true), 0);
    path[2000] = '/'; /* all but its last is there: a walk would end there */
    assert_int_equal(nn_check_reach(&view, slice_str(path), &walk, &w.err), ERR_NOENT);
}

static void new_names_may_be_limited_further(void **state)
{
    (void)state;
    assert_int_equal(do_mkdir(&w, "/longer", false), 0);
    w.limits.max_name = 4;
    assert_int_equal(do_mkdir(&w, "/longer/four/fives", true), ERR_TOOBIG);
    assert_string_equal(w.err.msg, "The maximum path component name limit of fives in directory "
                                   "/longer/four is exceeded: limit=4 length=5");
    assert_int_equal(do_create(&w, "/fives", 1, false), ERR_TOOBIG);
    assert_int_equal(do_rename(&w, "/longer", "/fives", false), ERR_TOOBIG);
    assert_int_equal(do_mkdir(&w, "/longer/four", false), 0);
}

static void access_times_are_set_only_where_they_are_kept(void **state)
{
    (void)state;
    make_file(&w, "/f", 0);
    w.limits.atime_precision_ms = 0;
    struct nn_view view = world_view(&w);
    struct cl2nn_set_times ask = {.path = slice_str("/f"), .mtime_ms = 5, .atime_ms = 7};
    struct op_set_times op;
    assert_int_equal(nn_check_set_times(&view, &ask, &op, &w.err), ERR_UNSUPPORTED);
    assert_string_equal(w.err.msg, "Access time for hdfs is not configured.  Please set "
                                   "dfs.namenode.accesstime.precision configuration parameter.");
    ask.atime_ms = -1;
    assert_int_equal(nn_check_set_times(&view, &ask, &op, &w.err), 0);
}

static void paths_that_are_not_normal_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "a", "/a/", "//a", "/a//b", "/.", "/a/..", "/a/./b"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(do_mkdir(&w, bad[i], true), ERR_INVAL);
        assert_int_equal(do_delete(&w, bad[i], true), ERR_INVAL);
        assert_int_equal(do_rename(&w, bad[i], "/x", true), ERR_INVAL);
    }
}

/* ---- mkdir ---- */

static void mkdir_makes_parents_only_when_asked(void **state)
{
    (void)state;
    assert_int_equal(do_mkdir(&w, "/a/b/c", false), ERR_NOENT);
    assert_int_equal(do_mkdir(&w, "/a/b/c", true), 0);
    assert_int_equal(w.state.tree.next_id, 5);
    assert_int_equal(do_mkdir(&w, "/a/b/c", true), NN_CHECK_NOTHING);
    assert_int_equal(do_mkdir(&w, "/a/b/c", false), ERR_EXIST);
    assert_int_equal(do_mkdir(&w, "/", false), ERR_EXIST);
    assert_int_equal(do_mkdir(&w, "/", true), NN_CHECK_NOTHING);
}

static void a_file_is_no_directory(void **state)
{
    (void)state;
    make_file(&w, "/f", 0);
    assert_int_equal(do_mkdir(&w, "/f/x", true), ERR_NOTDIR);
    assert_string_equal(w.err.msg, "/f (is not a directory)");
    assert_int_equal(do_mkdir(&w, "/f", true), ERR_EXIST);
    assert_int_equal(do_create(&w, "/f/x", 1, true), ERR_NOTDIR);
}

static void a_directory_takes_only_so_many_entries(void **state)
{
    (void)state;
    w.limits.max_items = 2;
    assert_int_equal(do_mkdir(&w, "/d/1", true), 0);
    assert_int_equal(do_mkdir(&w, "/d/2", true), 0);
    assert_int_equal(do_mkdir(&w, "/d/3", true), ERR_LIMIT);
    assert_string_equal(w.err.msg, "The directory item limit of /d is exceeded: limit=2 items=3");
    assert_int_equal(do_create(&w, "/d/4", 1, false), ERR_LIMIT);
    assert_int_equal(do_mkdir(&w, "/other", true), 0);
    assert_int_equal(do_rename(&w, "/other", "/d/5", false), ERR_LIMIT);
    assert_int_equal(do_rename(&w, "/d/1", "/d/5", false), 0); /* no more than before */
}

static void new_directories_belong_to_the_caller_and_their_parents_group(void **state)
{
    (void)state;
    assert_int_equal(do_mkdir(&w, "/u", false), 0);
    struct nn_view view = world_view(&w);
    struct cl2nn_set_owner own = {
        .path = slice_str("/u"), .owner = slice_str("bob"), .group = slice_str("staff")};
    struct op_set_owner op;
    assert_int_equal(nn_check_set_owner(&view, &own, &op, &w.err), 0);
    assert_int_equal(world_commit(&w, NN_OP_SET_OWNER, &op), 0);
    w.caller = (struct nn_caller){.user = slice_str("bob")};
    assert_int_equal(do_mkdir(&w, "/u/x/y", true), 0);
    const struct nn_intern *people = &w.state.tree.store.people;
    assert_true(slice_is(nn_intern_get(people, inode_of(&w, "/u/x/y")->owner), "bob"));
    assert_true(slice_is(nn_intern_get(people, inode_of(&w, "/u/x/y")->group), "staff"));
    assert_int_equal(do_mkdir(&w, "/elsewhere", true), ERR_ACCESS);
    assert_string_equal(w.err.msg, "Permission denied: user=bob, access=WRITE, "
                                   "inode=\"/\":hdfs:supergroup:drwxr-xr-x");
}

/* ---- rename ---- */

static void rename_follows_posix(void **state)
{
    (void)state;
    assert_int_equal(do_mkdir(&w, "/a/b", true), 0);
    make_file(&w, "/f", 0);
    make_file(&w, "/g", 0);
    assert_int_equal(do_rename(&w, "/", "/x", true), ERR_INVAL);
    assert_int_equal(do_rename(&w, "/a", "/", true), ERR_EXIST);
    assert_int_equal(do_rename(&w, "/a", "/a", true), ERR_EXIST);
    assert_int_equal(do_rename(&w, "/a", "/a/b/c", true), ERR_INVAL);
    assert_string_equal(w.err.msg,
                        "Rename destination /a/b/c is a directory or file under source /a");
    assert_int_equal(do_rename(&w, "/none", "/x", true), ERR_NOENT);
    assert_int_equal(do_rename(&w, "/f", "/no/parent", true), ERR_NOENT);
    assert_int_equal(do_rename(&w, "/f", "/g/x", true), ERR_NOTDIR);
    assert_int_equal(do_rename(&w, "/f", "/g", false), ERR_EXIST);
    assert_string_equal(w.err.msg, "rename destination /g already exists");
    assert_int_equal(do_rename(&w, "/f", "/a", true), ERR_ISDIR);
    assert_int_equal(do_rename(&w, "/a", "/f", true), ERR_NOTDIR);
    uint64_t id = inode_of(&w, "/f")->id;
    assert_int_equal(do_rename(&w, "/f", "/g", true), 0);
    assert_int_equal(inode_of(&w, "/g")->id, id);
    assert_int_equal(slot_of(&w, "/f"), 0);
    /* a name that merely begins the same is not inside */
    assert_int_equal(do_rename(&w, "/a", "/ab", false), 0);
}

static void a_rename_or_delete_with_an_id_is_for_that_inode_only(void **state)
{
    (void)state;
    make_file(&w, "/mine", 0);
    make_file(&w, "/theirs", 0);
    struct nn_view view = world_view(&w);
    uint64_t id = inode_of(&w, "/mine")->id;
    struct cl2nn_rename rename = {
        .from = slice_str("/theirs"), .to = slice_str("/x"), .overwrite = true, .id = id};
    struct cl2nn_delete delete = {.path = slice_str("/theirs"), .id = id};
    struct op_rename moved;
    struct op_delete gone;
    assert_int_equal(nn_check_rename(&view, &rename, &moved, &w.err), ERR_LEASE);
    assert_int_equal(nn_check_delete(&view, &delete, &gone, &w.err), NN_CHECK_NOTHING);
    rename.from = delete.path = slice_str("/mine");
    assert_int_equal(nn_check_rename(&view, &rename, &moved, &w.err), 0);
    assert_int_equal(nn_check_delete(&view, &delete, &gone, &w.err), 0);
}

static void rename_replaces_an_empty_directory_but_no_full_one(void **state)
{
    (void)state;
    assert_int_equal(do_mkdir(&w, "/a/x", true), 0);
    assert_int_equal(do_mkdir(&w, "/b/y", true), 0);
    assert_int_equal(do_rename(&w, "/a", "/b", true), ERR_NOTEMPTY);
    assert_string_equal(w.err.msg, "rename destination directory is not empty: /b");
    assert_int_equal(do_rename(&w, "/a", "/b/y", true), 0);
    assert_int_not_equal(slot_of(&w, "/b/y/x"), 0);
}

static void rename_needs_both_directories_and_respects_the_sticky_bit(void **state)
{
    (void)state;
    assert_int_equal(do_mkdir(&w, "/tmp", true), 0);
    assert_int_equal(do_mkdir(&w, "/home/bob", true), 0);
    nn_inode(&w.state.tree.store, slot_of(&w, "/tmp"))->mode = 01777;
    make_file(&w, "/tmp/f", 0);
    assert_int_equal(
        nn_tree_set_owner(&w.state.tree, slot_of(&w, "/home/bob"), slice_str("bob"), slice_str("")),
        0);
    w.caller = (struct nn_caller){.user = slice_str("bob")};
    assert_int_equal(do_rename(&w, "/tmp/f", "/home/bob/f", false), ERR_ACCESS);
    assert_int_equal(memcmp(w.err.msg, "Permission denied by sticky bit: user=bob", 41), 0);
    assert_int_equal(do_delete(&w, "/tmp/f", false), ERR_ACCESS);
    assert_int_equal(do_rename(&w, "/home/bob", "/tmp/x", false), ERR_ACCESS);
}

/* ---- delete ---- */

static void delete_takes_full_directories_only_when_recursive(void **state)
{
    (void)state;
    assert_int_equal(do_mkdir(&w, "/a/b", true), 0);
    assert_int_equal(do_delete(&w, "/a", false), ERR_NOTEMPTY);
    assert_string_equal(w.err.msg, "/a is non empty");
    assert_int_equal(do_delete(&w, "/none", false), NN_CHECK_NOTHING);
    assert_int_equal(do_delete(&w, "/a/b", false), 0);
    assert_int_equal(w.answer[0], 1);
    assert_int_equal(do_mkdir(&w, "/a/b/c", true), 0);
    assert_int_equal(do_delete(&w, "/a", true), 0);
    assert_int_equal(slot_of(&w, "/a"), 0);
    assert_int_equal(do_delete(&w, "/", true), ERR_NOTPERM);
}

static void blocks_of_a_deleted_tree_go_with_the_reaper(void **state)
{
    (void)state;
    assert_int_equal(do_mkdir(&w, "/a/b", true), 0);
    make_file(&w, "/a/b/f", 3);
    make_file(&w, "/a/g", 2);
    make_file(&w, "/keep", 1);
    assert_int_equal(do_create(&w, "/a/open", 9, false), 0);
    assert_int_equal(nn_blockmap_count(w.blocks.map), 6);
    assert_int_equal(do_delete(&w, "/a", true), 0);
    while (nn_state_reap(&w.state, 2))
        ;
    assert_int_equal(nn_blockmap_count(w.blocks.map), 1);
    assert_int_equal(w.state.leases.files.count, 0);
}

/* ---- attributes ---- */

static void replication_has_limits_and_reaches_the_blocks(void **state)
{
    (void)state;
    make_file(&w, "/f", 2);
    struct nn_view view = world_view(&w);
    struct cl2nn_set_replication ask = {.path = slice_str("/f"), .replication = 513};
    struct op_set_replication op;
    assert_int_equal(nn_check_set_replication(&view, &ask, &op, &w.err), ERR_INVAL);
    assert_string_equal(w.err.msg,
                        "Requested replication factor of 513 exceeds maximum of 512 for /f");
    ask.replication = 0;
    assert_int_equal(nn_check_set_replication(&view, &ask, &op, &w.err), ERR_INVAL);
    assert_string_equal(
        w.err.msg,
        "Requested replication factor of 0 is less than the required minimum of 1 for /f");
    ask.replication = 1;
    assert_int_equal(nn_check_set_replication(&view, &ask, &op, &w.err), NN_CHECK_NOTHING);
    ask.replication = 5;
    assert_int_equal(nn_check_set_replication(&view, &ask, &op, &w.err), 0);
    assert_int_equal(world_commit(&w, NN_OP_SET_REPLICATION, &op), 0);
    for (uint32_t b = inode_of(&w, "/f")->first_block; b; b = nn_blockmap_get(w.blocks.map, b).next)
        assert_int_equal(nn_blockmap_get(w.blocks.map, b).want, 5);
    assert_int_equal(nn_tree_sums(&w.state.tree, NN_ROOT).space, 5 * ((1 << 20) + 1000));
}

static void ownership_is_given_away_by_superusers_only(void **state)
{
    (void)state;
    struct slice mine = slice_str("mine");
    struct nn_caller bob = {.user = slice_str("bob"), .groups = &mine, .group_count = 1};
    make_file(&w, "/f", 0);
    assert_int_equal(
        nn_tree_set_owner(&w.state.tree, slot_of(&w, "/f"), slice_str("bob"), slice_str("")), 0);
    struct nn_view view = world_view(&w);
    view.caller = &bob;
    struct op_set_owner op;
    struct cl2nn_set_owner ask = {.path = slice_str("/f"), .owner = slice_str("carol")};
    assert_int_equal(nn_check_set_owner(&view, &ask, &op, &w.err), ERR_ACCESS);
    assert_string_equal(w.err.msg,
                        "User bob is not a super user (non-super user cannot change owner).");
    ask = (struct cl2nn_set_owner){.path = slice_str("/f"), .group = slice_str("theirs")};
    assert_int_equal(nn_check_set_owner(&view, &ask, &op, &w.err), ERR_ACCESS);
    assert_string_equal(w.err.msg, "User bob does not belong to theirs");
    ask.group = mine;
    assert_int_equal(nn_check_set_owner(&view, &ask, &op, &w.err), 0);
}

static void times_are_set_one_by_one(void **state)
{
    (void)state;
    make_file(&w, "/f", 0);
    struct nn_view view = world_view(&w);
    struct op_set_times op;
    struct cl2nn_set_times ask = {.path = slice_str("/f"), .mtime_ms = -1, .atime_ms = 12345678};
    assert_int_equal(nn_check_set_times(&view, &ask, &op, &w.err), 0);
    assert_int_equal(world_commit(&w, NN_OP_SET_TIMES, &op), 0);
    assert_int_equal(inode_of(&w, "/f")->mtime_ms, 1000);
    assert_int_equal(inode_of(&w, "/f")->atime_ms, 12345678);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(paths_beyond_the_limits_are_refused_in_hadoops_words),
        CASE(at_a_path_beyond_the_limits_there_is_nothing),
        CASE(new_names_may_be_limited_further),
        CASE(access_times_are_set_only_where_they_are_kept),
        CASE(paths_that_are_not_normal_are_refused),
        CASE(mkdir_makes_parents_only_when_asked),
        CASE(a_file_is_no_directory),
        CASE(a_directory_takes_only_so_many_entries),
        CASE(new_directories_belong_to_the_caller_and_their_parents_group),
        CASE(rename_follows_posix),
        CASE(a_rename_or_delete_with_an_id_is_for_that_inode_only),
        CASE(rename_replaces_an_empty_directory_but_no_full_one),
        CASE(rename_needs_both_directories_and_respects_the_sticky_bit),
        CASE(delete_takes_full_directories_only_when_recursive),
        CASE(blocks_of_a_deleted_tree_go_with_the_reaper),
        CASE(replication_has_limits_and_reaches_the_blocks),
        CASE(ownership_is_given_away_by_superusers_only),
        CASE(times_are_set_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
