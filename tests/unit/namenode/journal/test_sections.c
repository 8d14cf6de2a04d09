/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/rand.h"
#include "tests/unit/namenode/journal/world.h"

static struct world w;
static struct world_image image;

/* Files closed, open, being written and under recovery; an answer; a job. */
static int setup(void **state)
{
    (void)state;
    world_init(&w);
    image = (struct world_image){BUF_INIT};
    assert_int_equal(do_mkdir(&w, "/a/b", true), 0);
    make_file(&w, "/a/closed", 3);
    make_file(&w, "/a/empty", 0);
    assert_int_equal(do_create(&w, "/a/b/open", 9, false), 0);
    assert_int_equal(do_add_block(&w, w.answer[0], 9, (struct msg_block){0}), 0);
    assert_int_equal(do_create(&w, "/lost", 10, false), 0);
    uint64_t lost = w.answer[0];
    assert_int_equal(do_add_block(&w, lost, 10, (struct msg_block){0}), 0);
    struct op_recover recover = {
        .file_id = lost, .block_id = last_block(&w, lost, 0).id, .gs = w.state.next_gs};
    assert_int_equal(world_commit(&w, NN_OP_RECOVER, &recover), 0);
    assert_int_equal(nn_jobs_put(&w.state.jobs, slice_str("job_5"), 8), 0);
    struct op_mkdir dir = {.origin = {3, 4},
                           .at_ms = 9,
                           .path = slice_str("/recorded"),
                           .first_id = w.state.tree.next_id,
                           .owner = slice_str("bob")};
    assert_int_equal(world_commit(&w, NN_OP_MKDIR, &dir), 0);
    const struct op_datanode later = {.name = slice_str("node2"), .uuid = slice_str("u2")},
                             first = {.name = slice_str("a1"), .uuid = slice_str("u1")};
    assert_int_equal(world_commit(&w, NN_OP_DATANODE, &later), 0);
    assert_int_equal(world_commit(&w, NN_OP_DATANODE, &first), 0);
    return nn_state_save(&w.state, world_put_chunk, &image);
}
static int teardown(void **state)
{
    (void)state;
    buf_release(&image.bytes);
    world_release(&w);
    return 0;
}

static void what_is_saved_loads_again_to_the_same_bytes(void **state)
{
    (void)state;
    struct world other;
    struct world_image again = {BUF_INIT};
    world_init(&other);
    assert_int_equal(world_load(&other, &image), 0);
    assert_int_equal(nn_state_save(&other.state, world_put_chunk, &again), 0);
    assert_true(slice_eq(buf_slice(&image.bytes), buf_slice(&again.bytes)));
    assert_int_equal(nn_state_hash(&w.state), nn_state_hash(&other.state));
    assert_int_equal(
        nn_leases_find(&other.state.leases, inode_of(&other, "/a/b/open")->id)->holder->client, 9);
    assert_int_equal(
        nn_leases_find(&other.state.leases, inode_of(&other, "/lost")->id)->holder->client,
        NN_LEASE_NAMENODE);
    assert_int_equal(nn_jobs_find(&other.state.jobs, slice_str("job_5"))->epoch, 8);
    assert_int_equal(nn_blockmap_get(other.blocks.map, inode_of(&other, "/lost")->last_block).state,
                     NN_BLOCK_UNDER_RECOVERY);
    assert_int_equal(other.blocks.members.count, 2);
    assert_string_equal(other.blocks.members.v[0].name, "a1");
    assert_string_equal(other.blocks.members.v[1].name, "node2");
    buf_release(&again.bytes);
    world_release(&other);
}

/* Rows of names: one too many, one twice, none at all, a zero in it. */
static void a_section_of_datanodes_that_cannot_be_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {{"\1a\1u\1b\1v\1c\1w", 12},
                {"\1a\1u\1a\1u", 8},
                {"\0\1u", 3},
                {"\1a\0", 3},
                {"\2a\0\1u", 5},
                {"\5a", 2},
                {"\1a", 2}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct world other;
        struct err err;
        world_init(&other);
        struct nn_loader *loader = nn_loader_new(&other.state);
        assert_int_equal(nn_loader_take(loader, NN_SECTION_DATANODES,
                                        slice_of(rows[i].bytes, rows[i].len), &err),
                         ERR_CORRUPT);
        nn_loader_free(loader);
        world_release(&other);
    }
}

static void a_directory_keeps_the_access_time_that_was_set(void **state)
{
    (void)state;
    struct world other;
    struct world_image timed = {BUF_INIT};
    nn_tree_set_times(&w.state.tree, slot_of(&w, "/a"), -1, 123456);
    nn_tree_set_times(&w.state.tree, slot_of(&w, "/"), -1, 654321);
    assert_int_equal(nn_state_save(&w.state, world_put_chunk, &timed), 0);
    world_init(&other);
    assert_int_equal(world_load(&other, &timed), 0);
    assert_int_equal(nn_inode(&other.state.tree.store, slot_of(&other, "/a"))->atime_ms, 123456);
    assert_int_equal(nn_inode(&other.state.tree.store, NN_ROOT)->atime_ms, 654321);
    assert_int_equal(nn_inode(&other.state.tree.store, slot_of(&other, "/a/b"))->atime_ms, 0);
    world_release(&other);
    buf_release(&timed.bytes);
}

static void every_difference_changes_the_hash(void **state)
{
    (void)state;
    uint64_t before = nn_state_hash(&w.state);
    w.state.next_gs++;
    assert_int_not_equal(nn_state_hash(&w.state), before);
    w.state.next_gs--;
    assert_int_equal(nn_state_hash(&w.state), before);
    nn_tree_set_times(&w.state.tree, slot_of(&w, "/a/b"), 424242, -1);
    assert_int_not_equal(nn_state_hash(&w.state), before);
}

static void a_cut_or_flipped_image_is_refused_or_harmless_but_never_fatal(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 9);
    unsigned refused = 0;
    for (int i = 0; i < 400; i++) {
        struct world other;
        struct world_image bad = {BUF_INIT};
        buf_append_slice(&bad.bytes, buf_slice(&image.bytes));
        /* flip a bit inside a chunk, leaving the framing (the image file's affair) alone */
        size_t section = 0, at = 0;
        while (section < rand_below(&rand, 4) &&
               at + 6 + get_u32(bad.bytes.data + at + 2) < bad.bytes.len) {
            at += 6 + get_u32(bad.bytes.data + at + 2);
            section++;
        }
        size_t byte = at + 6 + rand_below(&rand, get_u32(bad.bytes.data + at + 2));
        bad.bytes.data[byte] ^= (uint8_t)(1U << rand_below(&rand, 8));
        world_init(&other);
        int rc = world_load(&other, &bad);
        assert_true(rc == 0 || rc == ERR_CORRUPT);
        refused += rc != 0;
        buf_release(&bad.bytes);
        world_release(&other);
    }
    assert_true(refused > 50);
}

static void save_and_see_it_refused(void)
{
    struct world other;
    struct world_image bad = {BUF_INIT};
    assert_int_equal(nn_state_save(&w.state, world_put_chunk, &bad), 0);
    world_init(&other);
    assert_int_equal(world_load(&other, &bad), ERR_CORRUPT);
    assert_string_equal(other.err.msg, "section inodes has an id twice");
    world_release(&other);
    buf_release(&bad.bytes);
}

static void an_inode_id_that_is_there_twice_is_refused(void **state)
{
    (void)state;
    struct nn_inode *inode = nn_inode(&w.state.tree.store, slot_of(&w, "/a/empty"));
    uint64_t own = inode->id,
             twins[] = {inode_of(&w, "/a/closed")->id, inode_of(&w, "/recorded")->id, NN_ROOT_ID};
    for (size_t i = 0; i < ARRAY_LEN(twins); i++) {
        inode->id = twins[i] & ((1ULL << 48) - 1);
        save_and_see_it_refused();
    }
    inode->id = own & ((1ULL << 48) - 1);
}

static void an_id_of_two_open_files_is_refused(void **state)
{
    (void)state;
    struct nn_inode *inode = nn_inode(&w.state.tree.store, slot_of(&w, "/lost"));
    uint64_t own = inode->id;
    struct world other;
    struct world_image bad = {BUF_INIT};
    inode->id = inode_of(&w, "/a/b/open")->id & ((1ULL << 48) - 1);
    assert_int_equal(nn_state_save(&w.state, world_put_chunk, &bad), 0);
    inode->id = own & ((1ULL << 48) - 1);
    world_init(&other);
    assert_int_equal(world_load(&other, &bad), ERR_CORRUPT);
    world_release(&other);
    buf_release(&bad.bytes);
}

static void a_block_id_that_is_there_twice_is_refused(void **state)
{
    (void)state;
    struct nn_inode *empty = nn_inode(&w.state.tree.store, slot_of(&w, "/a/empty"));
    const struct nn_inode *closed = inode_of(&w, "/a/closed");
    empty->first_block = closed->first_block;
    empty->last_block = closed->last_block;
    empty->block_count = closed->block_count;
    save_and_see_it_refused();
    empty->first_block = empty->last_block = 0;
    empty->block_count = 0;
}

static void sections_out_of_order_or_missing_are_refused(void **state)
{
    (void)state;
    struct world other;
    struct err err;
    world_init(&other);
    struct nn_loader *loader = nn_loader_new(&other.state);
    assert_int_equal(nn_loader_end(loader, &err), ERR_CORRUPT);
    assert_int_equal(nn_loader_take(loader, 77, slice_str("x"), &err), ERR_VERSION);
    assert_int_equal(nn_loader_take(loader, NN_SECTION_INODES, slice_str("x"), &err), ERR_CORRUPT);
    nn_loader_free(loader);
    world_release(&other);
}

/* What is moved as a whole may get to where no path leads any more; it must not get lost there. */
static void a_tree_deeper_than_any_path_is_kept(void **state)
{
    (void)state;
    struct world deep, other;
    struct world_image kept = {BUF_INIT};
    struct buf path = BUF_INIT, shown = BUF_INIT;
    world_init(&deep);
    for (int i = 0; i < 600; i++)
        buf_append_str(&path, "/a");
    assert_int_equal(do_mkdir(&deep, buf_cstr(&path), true), 0);
    path.data[1] = 'b';
    assert_int_equal(do_mkdir(&deep, buf_cstr(&path), true), 0);
    buf_append_str(&path, "/sub");
    assert_int_equal(do_rename(&deep, "/a", buf_cstr(&path), false), 0);
    assert_int_equal(nn_state_save(&deep.state, world_put_chunk, &kept), 0);
    world_init(&other);
    assert_int_equal(world_load(&other, &kept), 0);
    assert_int_equal(nn_tree_sums(&other.state.tree, NN_ROOT).dirs, 1201);
    assert_int_equal(nn_state_hash(&deep.state), nn_state_hash(&other.state));
    uint32_t lowest = nn_inodes_by_id(&other.state.tree.store, 601);
    nn_tree_path(&other.state.tree, lowest, &shown);
    assert_int_equal(shown.len, 600 * 2 + 4 + 599 * 2);
    assert_int_equal(do_rename(&other, buf_cstr(&path), "/back", false), 0);
    assert_int_equal(do_delete(&other, "/back", true), 0);
    while (nn_state_reap(&other.state, 100))
        ;
    assert_int_equal(nn_tree_sums(&other.state.tree, NN_ROOT).dirs, 601);
    buf_release(&path);
    buf_release(&shown);
    buf_release(&kept.bytes);
    world_release(&deep);
    world_release(&other);
}

static void rows_are_printed_as_json_lines(void **state)
{
    (void)state;
    struct nn_printer *printer = nn_printer_new();
    struct buf out = BUF_INIT;
    struct err err;
    for (size_t at = 0; at < image.bytes.len;) {
        uint32_t len = get_u32(image.bytes.data + at + 2);
        assert_int_equal(nn_printer_take(printer, get_u16(image.bytes.data + at),
                                         slice_of(image.bytes.data + at + 6, len), &out, &err),
                         0);
        at += 6 + len;
    }
    const char *text = buf_cstr(&out);
    assert_non_null(strstr(text, "{\"path\":\"/\",\"id\":1,\"type\":\"directory\",\"mode\":\"755\","
                                 "\"owner\":\"hdfs\",\"group\":\"supergroup\""));
    assert_non_null(strstr(text, "{\"path\":\"/a/b/open\","));
    assert_non_null(strstr(text, "\"client\":\"0000000000000009\",\"last_block\":"
                                 "\"UNDER_CONSTRUCTION\",\"blocks\":[{\"id\":1073741828,"));
    assert_non_null(strstr(text, "\"last_block\":\"UNDER_RECOVERY\""));
    assert_non_null(strstr(text, "{\"datanode\":\"a1\",\"uuid\":\"u1\"}\n"));
    assert_non_null(strstr(text, "{\"job\":\"job_5\",\"epoch\":8}\n"));
    assert_non_null(strstr(text, "\"op\":\"MKDIR\",\"answer\":[0,0]}\n"));
    buf_release(&out);
    nn_printer_free(printer);
}

static int failing_put(void *arg, uint16_t section, struct slice chunk)
{
    (void)section;
    (void)chunk;
    return ++*(int *)arg == 2 ? ERR_IO : 0;
}

static void a_failing_disk_ends_the_saving(void **state)
{
    (void)state;
    int calls = 0;
    assert_int_equal(nn_state_save(&w.state, failing_put, &calls), ERR_IO);
    assert_int_equal(calls, 2);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(what_is_saved_loads_again_to_the_same_bytes),
        cmocka_unit_test(a_section_of_datanodes_that_cannot_be_is_refused),
        CASE(a_directory_keeps_the_access_time_that_was_set),
        CASE(every_difference_changes_the_hash),
        CASE(a_cut_or_flipped_image_is_refused_or_harmless_but_never_fatal),
        CASE(an_inode_id_that_is_there_twice_is_refused),
        CASE(an_id_of_two_open_files_is_refused),
        CASE(a_block_id_that_is_there_twice_is_refused),
        CASE(sections_out_of_order_or_missing_are_refused),
        CASE(a_tree_deeper_than_any_path_is_kept),
        CASE(rows_are_printed_as_json_lines),
        CASE(a_failing_disk_ends_the_saving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
