/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/namespace/acl.h"
#include "tests/unit/namenode/journal/world.h"

static struct world w;
static struct cl2nn_winner winners[3];
static struct cl2nn_publish ask;
static struct nn_caller user;

/* /out/_temporary/job_1: two attempts have written, the first of each task won. */
static int setup(void **state)
{
    (void)state;
    world_init(&w);
    assert_int_equal(do_mkdir(&w, "/out/_temporary/job_1/a0", true), 0);
    assert_int_equal(do_mkdir(&w, "/out/_temporary/job_1/a1", true), 0);
    make_file(&w, "/out/_temporary/job_1/a0/part-r-00000", 1);
    make_file(&w, "/out/_temporary/job_1/a1/part-r-00001", 2);
    make_file(&w, "/out/_temporary/job_1/a1/loser", 1);
    make_file(&w, "/out/_temporary/job_1/_MANIFEST", 1);
    winners[0] = (struct cl2nn_winner){slice_str("/out/_temporary/job_1/a0/part-r-00000"),
                                       slice_str("part-r-00000"), 1000};
    winners[1] = (struct cl2nn_winner){slice_str("/out/_temporary/job_1/a1/part-r-00001"),
                                       slice_str("part-r-00001"), (1 << 20) + 1000};
    ask = (struct cl2nn_publish){.job = slice_str("job_1"),
                                 .epoch = 2,
                                 .out = slice_str("/out"),
                                 .temporary = slice_str("/out/_temporary/job_1"),
                                 .mode = CL2NN_PUBLISH_FAIL,
                                 .winners = {winners, 2},
                                 .manifest = slice_str("/out/_temporary/job_1/_MANIFEST"),
                                 .user = slice_str("alice")};
    user = (struct nn_caller){.user = slice_str("alice"), .is_super = true};
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    world_release(&w);
    return 0;
}

static int publish(void)
{
    struct nn_view view = world_view(&w);
    struct op_publish op;
    arena_reset(&w.arena);
    int rc = nn_check_publish(&view, &ask, &user, &w.arena, &op, &w.err);
    return world_done(&w, rc, NN_OP_PUBLISH, &op);
}

static void all_outputs_appear_together_and_the_temporary_tree_goes(void **state)
{
    (void)state;
    assert_int_equal(publish(), 0);
    assert_int_equal(inode_of(&w, "/out/part-r-00000")->len, 1000);
    assert_int_equal(inode_of(&w, "/out/part-r-00001")->len, (1 << 20) + 1000);
    assert_int_equal(inode_of(&w, "/out/_MANIFEST")->len, 1000);
    assert_int_equal(inode_of(&w, "/out/_SUCCESS")->len, 0);
    assert_int_equal(slot_of(&w, "/out/_temporary"), 0);
    assert_int_equal(nn_dir(&w.state.tree.store, slot_of(&w, "/out"))->children.count, 4);
    while (nn_state_reap(&w.state, 100))
        ;
    assert_int_equal(nn_blockmap_count(w.blocks.map), 4); /* the loser's block is gone */
}

static void what_publishing_makes_keeps_to_quota_and_default_list(void **state)
{
    (void)state;
    struct nn_acl_list list = {.v = {{.is_default = true, .type = NN_ACL_USER, .perm = 7},
                                     {.is_default = true, .type = NN_ACL_GROUP, .perm = 0},
                                     {.is_default = true, .type = NN_ACL_OTHER, .perm = 0}},
                               .n = 3};
    assert_int_equal(nn_acl_store(&w.state.tree, slot_of(&w, "/out"), &list), 0);
    assert_int_equal(do_set_quota(&w, "/out", 1, CL2NN_QUOTA_KEEP), 0);
    assert_int_equal(publish(), 0); /* what goes makes room for what comes */
    assert_int_equal(inode_of(&w, "/out/_SUCCESS")->mode, 0600);
    assert_int_equal(inode_of(&w, "/out/part-r-00000")->mode, 0644); /* was made elsewhere */

    assert_int_equal(do_mkdir(&w, "/empty", false), 0);
    assert_int_equal(do_set_quota(&w, "/empty", 1, CL2NN_QUOTA_KEEP), 0);
    ask = (struct cl2nn_publish){.job = slice_str("job_2"),
                                 .epoch = 2,
                                 .out = slice_str("/empty"),
                                 .temporary = slice_str("/empty/_temporary/job_2"),
                                 .mode = CL2NN_PUBLISH_FAIL,
                                 .user = slice_str("alice")};
    assert_int_equal(publish(), ERR_QUOTA);
    assert_non_null(strstr(w.err.msg, "of directory /empty is exceeded: quota=1 file count=2"));
}

/* Nobody wrote a byte: publication makes the directories, the files and the empty manifest. */
static void an_output_without_a_byte_is_made_as_it_is_published(void **state)
{
    (void)state;
    winners[0] = (struct cl2nn_winner){slice_str(""), slice_str("by/name-r-00000"), 0};
    winners[1] = (struct cl2nn_winner){slice_str(""), slice_str("part-r-00000"), 0};
    ask.out = slice_str("/new/deep/out");
    ask.temporary = slice_str("/new/deep/out/_temporary/job_1");
    ask.manifest = slice_str("");
    ask.has_empty_manifest = true;
    ask.replication = 2;
    winners[1].len = 1;
    assert_int_equal(publish(), ERR_STALE);
    winners[1].len = 0;
    assert_int_equal(do_set_quota(&w, "/", 11, CL2NN_QUOTA_KEEP), 0);
    assert_int_equal(publish(), ERR_QUOTA);
    assert_int_equal(do_set_quota(&w, "/", 30, CL2NN_QUOTA_KEEP), 0);
    uint64_t next = w.state.tree.next_id;
    assert_int_equal(publish(), 0);
    assert_int_equal(inode_of(&w, "/new/deep/out/by/name-r-00000")->len, 0);
    assert_int_equal(inode_of(&w, "/new/deep/out/part-r-00000")->len, 0);
    assert_int_equal(inode_of(&w, "/new/deep/out/_MANIFEST")->replication, 2);
    assert_int_equal(inode_of(&w, "/new/deep/out/_SUCCESS")->id, next + 7);
    assert_int_equal(w.state.tree.next_id, next + 8);
    assert_int_equal(nn_dir(&w.state.tree.store, slot_of(&w, "/new/deep/out"))->children.count, 4);
    assert_int_equal(publish(), NN_CHECK_NOTHING);
}

static void nobody_publishes_where_he_may_not_make_a_directory(void **state)
{
    (void)state;
    user = (struct nn_caller){.user = slice_str("bob")};
    winners[0] = (struct cl2nn_winner){slice_str(""), slice_str("part-r-00000"), 0};
    ask.winners.n = 1;
    ask.out = slice_str("/new");
    ask.temporary = slice_str("/new/_temporary/job_1");
    ask.manifest = slice_str("");
    assert_int_equal(publish(), ERR_ACCESS);
    assert_int_equal(slot_of(&w, "/new"), 0);
}

static void the_same_job_published_again_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(publish(), 0);
    assert_int_equal(publish(), NN_CHECK_NOTHING);
    ask.epoch = 3; /* the next life of the jobtracker did not hear the answer */
    assert_int_equal(publish(), NN_CHECK_NOTHING);
}

static void a_stale_epoch_is_refused(void **state)
{
    (void)state;
    assert_int_equal(publish(), 0);
    ask.epoch = 1;
    assert_int_equal(publish(), ERR_STALE);
    assert_string_equal(w.err.msg, "job_1 was published under epoch 2; epoch 1 is over: another "
                                   "jobtracker has taken its place");
}

static void output_that_exists_is_not_touched_unless_it_is_to_be_replaced(void **state)
{
    (void)state;
    make_file(&w, "/out/old", 1);
    assert_int_equal(do_mkdir(&w, "/out/sub/dir", true), 0);
    assert_int_equal(publish(), ERR_EXIST);
    assert_string_equal(w.err.msg, "/out exists already (add -mode replace, or remove it)");
    assert_int_not_equal(slot_of(&w, "/out/_temporary/job_1/a0/part-r-00000"), 0);
    make_file(&w, "/out/_MANIFEST-job_0", 1);
    ask.mode = CL2NN_PUBLISH_REPLACE;
    assert_int_equal(publish(), 0);
    assert_int_equal(slot_of(&w, "/out/old"), 0);
    assert_int_equal(slot_of(&w, "/out/sub"), 0);
    assert_int_not_equal(slot_of(&w, "/out/part-r-00001"), 0);
}

static void what_no_job_has_made_is_not_replaced(void **state)
{
    (void)state;
    make_file(&w, "/out/dear", 1);
    for (ask.mode = CL2NN_PUBLISH_REPLACE; ask.mode <= CL2NN_PUBLISH_PARTITION; ask.mode++) {
        if (ask.mode == CL2NN_PUBLISH_APPEND)
            continue;
        assert_int_equal(publish(), ERR_EXIST);
        assert_string_equal(w.err.msg,
                            "/out holds what no job has made (there is no _SUCCESS): it will not "
                            "be replaced; remove it yourself, or choose another OUTPUT");
    }
    ask.mode = CL2NN_PUBLISH_APPEND;
    assert_int_equal(publish(), 0);
    assert_int_not_equal(slot_of(&w, "/out/dear"), 0);
}

/* An output that an earlier job made: files in it, and in two directories. */
static void make_older_output(void)
{
    assert_int_equal(do_mkdir(&w, "/out/day=1", false), 0);
    assert_int_equal(do_mkdir(&w, "/out/day=2", false), 0);
    make_file(&w, "/out/part-r-00000", 1);
    make_file(&w, "/out/day=1/a", 1);
    make_file(&w, "/out/day=2/a", 1);
    make_file(&w, "/out/_SUCCESS", 1);
    make_file(&w, "/out/_MANIFEST", 1);
}

static void names_with_slashes_get_their_directories(void **state)
{
    (void)state;
    winners[0].name = slice_str("a/b/part-r-00000");
    winners[1].name = slice_str("a/part-r-00001");
    assert_int_equal(publish(), 0);
    assert_int_equal(inode_of(&w, "/out/a/b/part-r-00000")->len, 1000);
    assert_int_equal(inode_of(&w, "/out/a/part-r-00001")->len, (1 << 20) + 1000);
    assert_true(inode_of(&w, "/out/a/b")->is_dir);
    assert_int_equal(inode_of(&w, "/out/a")->mode, 0755);
    /* what is made next has another id than these */
    assert_int_equal(do_mkdir(&w, "/next", false), 0);
    assert_true(inode_of(&w, "/next")->id > inode_of(&w, "/out/_SUCCESS")->id);
    assert_true(inode_of(&w, "/out/_SUCCESS")->id > inode_of(&w, "/out/a/b")->id);
}

static void appending_leaves_all_that_is_there(void **state)
{
    (void)state;
    make_older_output();
    ask.mode = CL2NN_PUBLISH_APPEND;
    assert_int_equal(publish(), ERR_EXIST); /* a name that is taken */
    winners[0].name = slice_str("part-r-00000-job_1");
    winners[1].name = slice_str("day=1/b");
    assert_int_equal(publish(), 0);
    assert_int_not_equal(slot_of(&w, "/out/part-r-00000"), 0);
    assert_int_not_equal(slot_of(&w, "/out/part-r-00000-job_1"), 0);
    assert_int_not_equal(slot_of(&w, "/out/day=1/a"), 0);
    assert_int_not_equal(slot_of(&w, "/out/day=1/b"), 0);
    assert_int_equal(inode_of(&w, "/out/_SUCCESS")->len, 0);
    assert_int_not_equal(slot_of(&w, "/out/_MANIFEST"), 0);
    assert_int_not_equal(slot_of(&w, "/out/_MANIFEST-job_1"), 0);
}

static void partitions_the_job_has_files_for_are_replaced(void **state)
{
    (void)state;
    make_older_output();
    ask.mode = CL2NN_PUBLISH_PARTITION;
    winners[0].name = slice_str("day=2/part-r-00000");
    winners[1].name = slice_str("day=3/part-r-00001");
    assert_int_equal(publish(), 0);
    assert_int_not_equal(slot_of(&w, "/out/part-r-00000"), 0);
    assert_int_not_equal(slot_of(&w, "/out/day=1/a"), 0);
    assert_int_equal(slot_of(&w, "/out/day=2/a"), 0);
    assert_int_not_equal(slot_of(&w, "/out/day=2/part-r-00000"), 0);
    assert_int_not_equal(slot_of(&w, "/out/day=3/part-r-00001"), 0);
    assert_int_not_equal(slot_of(&w, "/out/_MANIFEST"), 0);
    assert_int_not_equal(slot_of(&w, "/out/_MANIFEST-job_1"), 0);
}

static void files_of_the_output_itself_are_a_partition_too(void **state)
{
    (void)state;
    make_older_output();
    make_file(&w, "/out/part-r-00007", 1);
    ask.mode = CL2NN_PUBLISH_PARTITION;
    assert_int_equal(publish(), 0);
    assert_int_equal(slot_of(&w, "/out/part-r-00007"), 0);
    assert_int_equal(inode_of(&w, "/out/part-r-00001")->len, (1 << 20) + 1000);
    assert_int_not_equal(slot_of(&w, "/out/day=2/a"), 0);
    assert_int_not_equal(slot_of(&w, "/out/_MANIFEST"), 0);
}

static void names_that_are_in_each_others_way_are_refused(void **state)
{
    (void)state;
    winners[0].name = slice_str("a");
    winners[1].name = slice_str("a/b");
    assert_int_equal(publish(), ERR_INVAL);
    winners[0].name = slice_str("a/b");
    winners[1].name = slice_str("a");
    assert_int_equal(publish(), ERR_INVAL);
    const char *const bad[] = {"/a", "a/", "a//b", "a/../b", "_temporary/a", "_MANIFEST-x", "./a"};
    winners[0].name = slice_str("a");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        winners[1].name = slice_str(bad[i]);
        assert_int_equal(publish(), ERR_INVAL);
    }
    make_older_output();
    ask.mode = CL2NN_PUBLISH_PARTITION;
    winners[1].name = slice_str("day=1");
    assert_int_equal(publish(), ERR_EXIST); /* a directory that stays */
    winners[1].name = slice_str("part-r-00000/x");
    assert_int_equal(publish(), ERR_NOTDIR);
    assert_int_not_equal(slot_of(&w, "/out/day=1/a"), 0);
}

/* The partition belongs to somebody else. */
static void a_partition_the_user_may_not_change_is_not_replaced(void **state)
{
    (void)state;
    make_older_output();
    user.is_super = false;
    user.user = slice_str("mallory");
    ask.user = slice_str("mallory");
    assert_int_equal(nn_tree_set_owner(&w.state.tree, slot_of(&w, "/out"), slice_str("mallory"),
                                       slice_of(NULL, 0)),
                     0);
    ask.mode = CL2NN_PUBLISH_PARTITION;
    winners[0].name = slice_str("day=2/part-r-00000");
    assert_int_equal(publish(), ERR_ACCESS);
    assert_int_not_equal(slot_of(&w, "/out/day=2/a"), 0);
    ask.mode = CL2NN_PUBLISH_APPEND;
    assert_int_equal(publish(), ERR_ACCESS);
}

static void another_jobs_temporary_files_stay(void **state)
{
    (void)state;
    assert_int_equal(do_mkdir(&w, "/out/_temporary/job_2", true), 0);
    ask.mode = CL2NN_PUBLISH_REPLACE;
    assert_int_equal(publish(), 0);
    assert_int_equal(slot_of(&w, "/out/_temporary/job_1"), 0);
    assert_int_not_equal(slot_of(&w, "/out/_temporary/job_2"), 0);
}

static void nothing_changes_when_one_winner_is_wrong(void **state)
{
    (void)state;
    uint64_t before = nn_state_hash(&w.state);
    winners[1].len--;
    assert_int_equal(publish(), ERR_STALE);
    winners[1].len++;
    winners[1].name = winners[0].name;
    assert_int_equal(publish(), ERR_INVAL);
    winners[1].name = slice_str("a/");
    assert_int_equal(publish(), ERR_INVAL);
    winners[1].name = slice_str("_SUCCESS");
    assert_int_equal(publish(), ERR_INVAL);
    winners[1].name = slice_str("part-r-00001");
    winners[1].from = winners[0].from;
    winners[1].len = 1000;
    assert_int_equal(publish(), ERR_INVAL);
    winners[1].from = slice_str("/out/_temporary/job_1/a1");
    assert_int_equal(publish(), ERR_NOENT);
    make_file(&w, "/elsewhere", 1);
    winners[1].from = slice_str("/elsewhere");
    assert_int_equal(publish(), ERR_NOENT);
    assert_int_equal(do_delete(&w, "/elsewhere", false), 0);
    assert_int_equal(do_create(&w, "/out/_temporary/job_1/open", 9, false), 0);
    winners[1].from = slice_str("/out/_temporary/job_1/open");
    winners[1].len = 0;
    assert_int_equal(publish(), ERR_STALE);
    assert_int_not_equal(before, 0);
    assert_int_equal(slot_of(&w, "/out/part-r-00000"), 0);
    assert_int_equal(slot_of(&w, "/out/_SUCCESS"), 0);
}

static void only_below_the_output_directory(void **state)
{
    (void)state;
    ask.temporary = slice_str("/out/other/job_1");
    assert_int_equal(publish(), ERR_INVAL);
    ask.temporary = slice_str("/out2/_temporary/job_1");
    assert_int_equal(publish(), ERR_INVAL);
    ask.out = slice_str("/");
    ask.temporary = slice_str("/_temporary/job_1");
    assert_int_equal(publish(), ERR_INVAL);
}

static void the_user_must_be_allowed_to_write_there_and_the_caller_to_speak_for_him(void **state)
{
    (void)state;
    user.is_super = false;
    assert_int_equal(publish(), ERR_ACCESS);
    assert_string_equal(w.err.msg, "Permission denied: user=alice, access=WRITE_EXECUTE, "
                                   "inode=\"/out\":hdfs:supergroup:drwxr-xr-x");
    user.is_super = true;
    w.caller = (struct nn_caller){.user = slice_str("mallory")};
    assert_int_equal(publish(), ERR_ACCESS);
    w.caller.user = slice_str("alice");
    assert_int_equal(publish(), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(all_outputs_appear_together_and_the_temporary_tree_goes),
        CASE(what_publishing_makes_keeps_to_quota_and_default_list),
        CASE(an_output_without_a_byte_is_made_as_it_is_published),
        CASE(nobody_publishes_where_he_may_not_make_a_directory),
        CASE(the_same_job_published_again_changes_nothing),
        CASE(a_stale_epoch_is_refused),
        CASE(output_that_exists_is_not_touched_unless_it_is_to_be_replaced),
        CASE(what_no_job_has_made_is_not_replaced),
        CASE(names_with_slashes_get_their_directories),
        CASE(appending_leaves_all_that_is_there),
        CASE(partitions_the_job_has_files_for_are_replaced),
        CASE(files_of_the_output_itself_are_a_partition_too),
        CASE(names_that_are_in_each_others_way_are_refused),
        CASE(a_partition_the_user_may_not_change_is_not_replaced),
        CASE(another_jobs_temporary_files_stay),
        CASE(nothing_changes_when_one_winner_is_wrong),
        CASE(only_below_the_output_directory),
        CASE(the_user_must_be_allowed_to_write_there_and_the_caller_to_speak_for_him),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
