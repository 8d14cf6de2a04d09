/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/namespace/quota.h"
#include "tests/unit/namenode/journal/world.h"

#define KEEP  CL2NN_QUOTA_KEEP
#define NONE  CL2NN_QUOTA_NONE
#define BLOCK (1LL << 20)

static struct world w;

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    assert_int_equal(do_mkdir(&w, "/d", false), 0);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    world_release(&w);
    return 0;
}

static void a_directory_counts_itself_so_a_quota_of_one_keeps_it_empty(void **state)
{
    (void)state;
    assert_int_equal(do_set_quota(&w, "/d", 1, KEEP), 0);
    assert_int_equal(do_mkdir(&w, "/d/x", false), ERR_QUOTA);
    assert_string_equal(w.err.msg, "The NameSpace quota (directories and files) of directory /d is "
                                   "exceeded: quota=1 file count=2");
    assert_int_equal(do_create(&w, "/d/f", 1, false), ERR_QUOTA);
    assert_int_equal(do_set_quota(&w, "/d", 3, KEEP), 0);
    assert_int_equal(do_mkdir(&w, "/d/x/y/z", true), ERR_QUOTA); /* all or nothing */
    assert_int_equal(slot_of(&w, "/d/x"), 0);
    assert_int_equal(do_mkdir(&w, "/d/x/y", true), 0);
    assert_int_equal(do_create(&w, "/d/f", 1, false), ERR_QUOTA);
    assert_int_equal(do_delete(&w, "/d/x", true), 0);
    make_file(&w, "/d/f", 0);
    make_file(&w, "/d/g", 0);
    assert_int_equal(do_create(&w, "/d/f", 1, true), 0); /* replacing adds nothing */
}

static void a_block_needs_room_for_a_full_one_with_all_its_replicas(void **state)
{
    (void)state;
    assert_int_equal(do_set_quota(&w, "/d", KEEP, 2 * BLOCK - 1), 0);
    assert_int_equal(do_create(&w, "/d/f", 7, false), 0);
    uint64_t id = w.answer[0];
    assert_int_equal(do_set_replication(&w, "/d/f", 2), 0);
    assert_int_equal(do_add_block(&w, id, 7, (struct msg_block){0}), ERR_QUOTA);
    assert_string_equal(w.err.msg,
                        "The DiskSpace quota of /d is exceeded: quota = 2097151 B = 2.00 "
                        "MB but diskspace consumed = 2097152 B = 2 MB");
    assert_int_equal(do_set_replication(&w, "/d/f", 1), 0);
    assert_int_equal(do_add_block(&w, id, 7, (struct msg_block){0}), 0);
    assert_int_equal(do_add_block(&w, id, 7, last_block(&w, id, BLOCK)), ERR_QUOTA);
    assert_int_equal(do_add_block(&w, id, 7, last_block(&w, id, BLOCK - 1)), 0);
}

static void writers_together_cannot_pass_a_quota(void **state)
{
    (void)state;
    assert_int_equal(do_set_quota(&w, "/d", KEEP, 2 * BLOCK), 0);
    uint64_t ids[3];
    for (unsigned i = 0; i < 3; i++) {
        char path[16];
        snprintf(path, sizeof(path), "/d/%u", i);
        assert_int_equal(do_create(&w, path, 7, false), 0);
        ids[i] = w.answer[0];
        assert_int_equal(do_add_block(&w, ids[i], 7, (struct msg_block){0}), i < 2 ? 0 : ERR_QUOTA);
    }
    assert_int_equal(nn_tree_sums(&w.state.tree, slot_of(&w, "/d")).space, 2 * BLOCK);
    assert_int_equal(do_complete(&w, ids[0], 7, last_block(&w, ids[0], 10)), 0);
    assert_int_equal(nn_tree_sums(&w.state.tree, slot_of(&w, "/d")).space, BLOCK + 10);
    struct op_abandon_block gone = {.file_id = ids[1], .block_id = last_block(&w, ids[1], 0).id};
    assert_int_equal(world_commit(&w, NN_OP_ABANDON_BLOCK, &gone), 0);
    assert_int_equal(nn_tree_sums(&w.state.tree, slot_of(&w, "/d")).space, 10);
    assert_int_equal(do_add_block(&w, ids[2], 7, (struct msg_block){0}), 0);
}

static void more_replicas_need_room(void **state)
{
    (void)state;
    make_file(&w, "/d/f", 1);
    assert_int_equal(do_set_quota(&w, "/d", KEEP, 2000), 0);
    assert_int_equal(do_set_replication(&w, "/d/f", 3), ERR_QUOTA);
    assert_string_equal(w.err.msg,
                        "The DiskSpace quota of /d is exceeded: quota = 2000 B = 1.95 KB "
                        "but diskspace consumed = 3000 B = 2.93 KB");
    assert_int_equal(do_set_replication(&w, "/d/f", 2), 0);
    assert_int_equal(do_set_quota(&w, "/d", KEEP, 1), 0);
    assert_int_equal(do_set_replication(&w, "/d/f", 1), 0); /* over it, and going down */
}

static void a_move_is_asked_for_only_where_something_is_added(void **state)
{
    (void)state;
    assert_int_equal(do_mkdir(&w, "/d/a", false), 0);
    assert_int_equal(do_mkdir(&w, "/d/b", false), 0);
    make_file(&w, "/d/a/f", 1);
    make_file(&w, "/out", 1);
    assert_int_equal(do_set_quota(&w, "/d", 4, 1000), 0);
    assert_int_equal(do_rename(&w, "/d/a/f", "/d/b/f", false), 0); /* full, but nothing is new */
    assert_int_equal(do_rename(&w, "/out", "/d/b/out", false), ERR_QUOTA);
    assert_int_equal(do_rename(&w, "/out", "/d/b/f", true), 0); /* one goes, one comes */
    assert_int_equal(do_set_quota(&w, "/d/a", 1, 0), 0);
    assert_int_equal(do_rename(&w, "/d/b/f", "/d/a/f", false), ERR_QUOTA);
    assert_non_null(strstr(w.err.msg, "of directory /d/a is"));
    assert_int_equal(do_set_quota(&w, "/d/a", 5, 0), 0);
    assert_int_equal(do_rename(&w, "/d/b/f", "/d/a/f", false), ERR_QUOTA);
    assert_non_null(strstr(w.err.msg, "The DiskSpace quota of /d/a is"));
    assert_int_equal(do_rename(&w, "/d/a", "/elsewhere", false), 0); /* takes its quota along */
    assert_int_equal(nn_quota_get(&w.state.tree, slot_of(&w, "/elsewhere")).names, 5);
}

static void a_quota_below_what_is_there_only_stops_growth(void **state)
{
    (void)state;
    make_file(&w, "/d/a", 1);
    make_file(&w, "/d/b", 1);
    assert_int_equal(do_set_quota(&w, "/d", 1, 0), 0);
    assert_int_equal(do_create(&w, "/d/c", 1, false), ERR_QUOTA);
    assert_int_equal(do_rename(&w, "/d/a", "/d/c", false), 0);
    assert_int_equal(do_delete(&w, "/d/c", false), 0);
    assert_int_equal(do_set_quota(&w, "/d", NONE, KEEP), 0);
    assert_int_equal(nn_quota_get(&w.state.tree, slot_of(&w, "/d")).space, 0);
    assert_int_equal(do_create(&w, "/d/c", 1, false), 0);
}

static void only_superusers_set_quotas_and_only_on_directories(void **state)
{
    (void)state;
    make_file(&w, "/d/f", 0);
    assert_int_equal(do_set_quota(&w, "/nope", 5, KEEP), ERR_NOENT);
    assert_string_equal(w.err.msg, "Directory does not exist: /nope");
    assert_int_equal(do_set_quota(&w, "/d/f", 5, KEEP), ERR_NOTDIR);
    assert_string_equal(w.err.msg, "`/d/f': Is not a directory");
    assert_int_equal(do_set_quota(&w, "/d", 0, KEEP), ERR_INVAL);
    assert_int_equal(do_set_quota(&w, "/d", -7, KEEP), ERR_INVAL);
    assert_int_equal(do_set_quota(&w, "/d", KEEP, -2), ERR_INVAL);
    assert_int_equal(do_set_quota(&w, "/d", NONE, KEEP), NN_CHECK_NOTHING);
    w.caller = (struct nn_caller){.user = slice_str("bob")};
    assert_int_equal(do_set_quota(&w, "/d", 5, KEEP), ERR_ACCESS);
    assert_string_equal(w.err.msg, "Access denied for user bob. Superuser privilege is required "
                                   "for operation setQuota");
    assert_int_equal(do_set_quota(&w, "/d", KEEP, NONE), ERR_ACCESS);
    assert_non_null(strstr(w.err.msg, "for operation clearSpaceQuota"));
}

static void the_root_has_a_quota_from_the_beginning(void **state)
{
    (void)state;
    assert_int_equal(nn_quota_get(&w.state.tree, NN_ROOT).names, INT64_MAX);
    assert_int_equal(do_set_quota(&w, "/", 2, KEEP), 0);
    assert_int_equal(do_mkdir(&w, "/e", false), ERR_QUOTA);
    assert_non_null(strstr(w.err.msg, "of directory / is exceeded: quota=2 file count=3"));
    assert_int_equal(do_mkdir(&w, "/e/f/g", true), ERR_QUOTA);
    assert_non_null(strstr(w.err.msg, "quota=2 file count=3")); /* the first of them is too much */
    assert_int_equal(do_set_quota(&w, "/", NONE, KEEP), 0);
    assert_int_equal(nn_quota_get(&w.state.tree, NN_ROOT).names, INT64_MAX);
}

static void quotas_are_in_the_image_and_open_blocks_keep_their_room(void **state)
{
    (void)state;
    struct world other;
    struct world_image image = {BUF_INIT};
    assert_int_equal(do_set_quota(&w, "/d", 9, 5 * BLOCK), 0);
    assert_int_equal(do_mkdir(&w, "/gone", false), 0);
    assert_int_equal(do_set_quota(&w, "/gone", 9, KEEP), 0);
    assert_int_equal(do_delete(&w, "/gone", false), 0);
    assert_int_equal(do_create(&w, "/d/f", 7, false), 0);
    assert_int_equal(do_add_block(&w, w.answer[0], 7, (struct msg_block){0}), 0);
    assert_int_equal(nn_state_save(&w.state, world_put_chunk, &image), 0);
    world_init(&other);
    if (world_load(&other, &image) != 0)
        fail_msg("%s", other.err.msg);
    struct nn_quota quota = nn_quota_get(&other.state.tree, slot_of(&other, "/d"));
    assert_int_equal(quota.names, 9);
    assert_int_equal(quota.space, 5 * BLOCK);
    assert_int_equal(nn_tree_sums(&other.state.tree, slot_of(&other, "/d")).space, BLOCK);
    assert_int_equal(nn_state_hash(&w.state), nn_state_hash(&other.state));
    buf_release(&image.bytes);
    world_release(&other);
    while (nn_state_reap(&w.state, 10))
        ;
    assert_int_equal(w.state.tree.store.extras.count, 2); /* /d, and the file being written */
}

/* ---- quotas of space by type of storage ---- */

static int do_set_type_quota(const char *path, const char *type, int64_t space)
{
    struct nn_view view = world_view(&w);
    struct cl2nn_set_type_quota ask = {
        .path = slice_str(path), .type = slice_str(type), .space = space};
    union nn_op_xattr op;
    enum nn_op number = space == NONE ? NN_OP_REMOVE_XATTR : NN_OP_SET_XATTR;
    int rc = nn_check_set_type_quota(&view, &ask, &w.arena, &op, &w.err);
    return world_done(&w, rc, number, &op);
}

static uint64_t type_quota(const char *path, enum nn_storage_type type)
{
    return nn_quota_of_type(&w.state.tree, slot_of(&w, path), type);
}

static void a_type_of_storage_is_known_in_any_case_of_letters_and_only_whole(void **state)
{
    (void)state;
    static const char *const no[] = {"", "DIS", "DISKS", "RAM_DISK", "DEFAULT", "quota.DISK"};
    assert_int_equal(nn_storage_type_parse(slice_str("SSD")), NN_SSD);
    assert_int_equal(nn_storage_type_parse(slice_str("disk")), NN_DISK);
    assert_int_equal(nn_storage_type_parse(slice_str("Archive")), NN_ARCHIVE);
    assert_int_equal(nn_storage_type_parse(slice_str("PROVIDED")), NN_PROVIDED);
    assert_int_equal(nn_storage_type_parse(slice_str("nvdimm")), NN_NVDIMM);
    assert_int_equal(nn_storage_type_parse(slice_of(NULL, 0)), NN_STORAGE_TYPES);
    assert_int_equal(nn_storage_type_parse(slice_of("DISK\0", 5)), NN_STORAGE_TYPES);
    for (size_t i = 0; i < ARRAY_LEN(no); i++) {
        assert_int_equal(nn_storage_type_parse(slice_str(no[i])), NN_STORAGE_TYPES);
        assert_int_equal(do_set_type_quota("/d", no[i], 5), ERR_INVAL);
    }
}

static void a_type_quota_is_kept_for_each_type_and_cleared_alone(void **state)
{
    (void)state;
    assert_int_equal(type_quota("/d", NN_DISK), NN_NO_QUOTA);
    assert_int_equal(do_set_type_quota("/d", "DISK", NONE), NN_CHECK_NOTHING);
    assert_int_equal(do_set_type_quota("/d", "disk", 4096), 0);
    assert_int_equal(do_set_type_quota("/d", "SSD", INT64_MAX), 0);
    assert_int_equal(do_set_type_quota("/d", "DISK", 0), 0);
    assert_int_equal(type_quota("/d", NN_DISK), 0);
    assert_int_equal(type_quota("/d", NN_SSD), INT64_MAX);
    assert_int_equal(type_quota("/d", NN_ARCHIVE), NN_NO_QUOTA);
    assert_int_equal(type_quota("/", NN_DISK), NN_NO_QUOTA);
    assert_int_equal(do_set_type_quota("/d", "DISK", NONE), 0);
    assert_int_equal(type_quota("/d", NN_DISK), NN_NO_QUOTA);
    assert_int_equal(type_quota("/d", NN_SSD), INT64_MAX);
}

static void every_replica_is_on_disk_and_counts_there(void **state)
{
    (void)state;
    assert_int_equal(do_set_type_quota("/d", "SSD", 0), 0); /* nothing ever is on one */
    assert_int_equal(do_set_type_quota("/d", "DISK", 2 * BLOCK - 1), 0);
    assert_int_equal(do_mkdir(&w, "/d/below", false), 0);
    assert_int_equal(do_create(&w, "/d/below/f", 7, false), 0);
    uint64_t id = w.answer[0];
    assert_int_equal(do_set_replication(&w, "/d/below/f", 2), 0);
    assert_int_equal(do_add_block(&w, id, 7, (struct msg_block){0}), ERR_QUOTA);
    assert_string_equal(w.err.msg, "Quota by storage type : DISK on path : /d is exceeded. "
                                   "quota = 2.00 MB but space consumed = 2 MB");
    assert_int_equal(do_set_replication(&w, "/d/below/f", 1), 0);
    assert_int_equal(do_add_block(&w, id, 7, (struct msg_block){0}), 0);
    assert_int_equal(do_set_quota(&w, "/d", KEEP, BLOCK), 0); /* both are passed: space is told */
    assert_int_equal(do_add_block(&w, id, 7, last_block(&w, id, BLOCK)), ERR_QUOTA);
    assert_non_null(strstr(w.err.msg, "The DiskSpace quota of /d"));
}

static void a_type_quota_below_what_is_there_only_stops_growth(void **state)
{
    (void)state;
    make_file(&w, "/d/f", 1);
    make_file(&w, "/out", 1);
    assert_int_equal(do_set_type_quota("/d", "DISK", 10), 0);
    assert_int_equal(do_set_replication(&w, "/d/f", 2), ERR_QUOTA);
    assert_int_equal(do_rename(&w, "/out", "/d/out", false), ERR_QUOTA);
    assert_non_null(strstr(w.err.msg, "Quota by storage type : DISK on path : /d"));
    assert_int_equal(do_rename(&w, "/d/f", "/d/g", false), 0);
    assert_int_equal(do_mkdir(&w, "/d/names/cost/no/space", true), 0);
    assert_int_equal(do_rename(&w, "/d", "/e", false), 0); /* takes its quota along */
    assert_int_equal(type_quota("/e", NN_DISK), 10);
    assert_int_equal(do_delete(&w, "/e/g", false), 0);
}

static void only_superusers_set_type_quotas_and_only_on_directories(void **state)
{
    (void)state;
    make_file(&w, "/d/f", 0);
    assert_int_equal(do_set_type_quota("/nope", "DISK", 5), ERR_NOENT);
    assert_string_equal(w.err.msg, "Directory does not exist: /nope");
    assert_int_equal(do_set_type_quota("/d/f", "DISK", 5), ERR_NOTDIR);
    assert_int_equal(do_set_type_quota("not/whole", "DISK", 5), ERR_INVAL);
    assert_int_equal(do_set_type_quota("/d", "DISK", -2), ERR_INVAL);
    assert_int_equal(do_set_type_quota("/d", "DISK", INT64_MIN), ERR_INVAL);
    assert_int_equal(do_set_type_quota("/d", "RAM_DISK", 5), ERR_INVAL);
    assert_string_equal(w.err.msg, "Don't support Quota for storage type : RAM_DISK");
    assert_int_equal(do_set_type_quota("/d", "DISK", 5), 0);
    w.caller = (struct nn_caller){.user = slice_str("bob")};
    assert_int_equal(do_set_type_quota("/d", "DISK", 6), ERR_ACCESS);
    assert_non_null(strstr(w.err.msg, "user bob. Superuser privilege is required for operation "
                                      "setSpaceQuota"));
    assert_int_equal(do_set_type_quota("/d", "DISK", NONE), ERR_ACCESS);
    assert_non_null(strstr(w.err.msg, "operation clearSpaceQuota"));
    assert_int_equal(type_quota("/d", NN_DISK), 5);
}

static void type_quotas_are_in_the_journal_and_in_the_image(void **state)
{
    (void)state;
    struct world again, loaded;
    struct world_image image = {BUF_INIT};
    assert_int_equal(do_set_type_quota("/d", "ARCHIVE", 7), 0);
    assert_int_equal(do_set_type_quota("/d", "ARCHIVE", NONE), 0);
    assert_int_equal(do_set_type_quota("/d", "DISK", 123456789), 0);
    world_init(&again);
    world_replay(&again, &w, 0);
    assert_int_equal(nn_state_hash(&w.state), nn_state_hash(&again.state));
    world_release(&again);
    assert_int_equal(nn_state_save(&w.state, world_put_chunk, &image), 0);
    world_init(&loaded);
    if (world_load(&loaded, &image) != 0)
        fail_msg("%s", loaded.err.msg);
    uint32_t dir = slot_of(&loaded, "/d");
    assert_int_equal(nn_quota_of_type(&loaded.state.tree, dir, NN_DISK), 123456789);
    assert_int_equal(nn_quota_of_type(&loaded.state.tree, dir, NN_ARCHIVE), NN_NO_QUOTA);
    buf_release(&image.bytes);
    world_release(&loaded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(a_directory_counts_itself_so_a_quota_of_one_keeps_it_empty),
        T(a_block_needs_room_for_a_full_one_with_all_its_replicas),
        T(writers_together_cannot_pass_a_quota),
        T(more_replicas_need_room),
        T(a_move_is_asked_for_only_where_something_is_added),
        T(a_quota_below_what_is_there_only_stops_growth),
        T(only_superusers_set_quotas_and_only_on_directories),
        T(the_root_has_a_quota_from_the_beginning),
        T(quotas_are_in_the_image_and_open_blocks_keep_their_room),
        T(a_type_of_storage_is_known_in_any_case_of_letters_and_only_whole),
        T(a_type_quota_is_kept_for_each_type_and_cleared_alone),
        T(every_replica_is_on_disk_and_counts_there),
        T(a_type_quota_below_what_is_there_only_stops_growth),
        T(only_superusers_set_type_quotas_and_only_on_directories),
        T(type_quotas_are_in_the_journal_and_in_the_image),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
