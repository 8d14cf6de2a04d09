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

static struct nn_block block_of(uint64_t file_id)
{
    uint32_t slot = nn_inodes_by_id(&w.state.tree.store, file_id);
    return nn_blockmap_get(w.blocks.map, nn_inode(&w.state.tree.store, slot)->last_block);
}

static void a_file_is_written_block_by_block(void **state)
{
    (void)state;
    assert_int_equal(do_create(&w, "/f", 7, false), 0);
    uint64_t id = w.answer[0];
    assert_true(inode_of(&w, "/f")->is_open);
    assert_int_equal(do_add_block(&w, id, 7, (struct msg_block){0}), 0);
    assert_int_equal(w.answer[0], NN_FIRST_BLOCK_ID);
    assert_int_equal(w.answer[1], 0);
    assert_int_equal(do_add_block(&w, id, 7, last_block(&w, id, 1 << 20)), 0);
    assert_int_equal(w.answer[0], NN_FIRST_BLOCK_ID + 1);
    assert_int_equal(w.answer[1], 1 << 20);
    assert_int_equal(inode_of(&w, "/f")->len, 1 << 20);
    w.now_ms = 5000;
    assert_int_equal(do_complete(&w, id, 7, last_block(&w, id, 77)), 0);
    assert_int_equal(inode_of(&w, "/f")->len, (1 << 20) + 77);
    assert_false(inode_of(&w, "/f")->is_open);
    assert_int_equal(inode_of(&w, "/f")->mtime_ms, 5000);
    assert_int_equal(inode_of(&w, "/f")->block_count, 2);
    assert_int_equal(block_of(id).state, NN_BLOCK_COMPLETE);
    assert_null(nn_leases_find(&w.state.leases, id));
}

static void create_has_limits_in_hadoops_words(void **state)
{
    (void)state;
    struct nn_view view = world_view(&w);
    struct op_create op;
    uint32_t takeover = 0;
    struct cl2nn_create ask = {.origin = {.client = 1}, .path = slice_str("/f")};
    assert_int_equal(nn_check_create(&view, &ask, &op, &takeover, &w.err), 0);
    assert_int_equal(op.replication, 3);
    assert_int_equal(op.block_size, 128 << 20);
    ask.block_size = 512;
    assert_int_equal(nn_check_create(&view, &ask, &op, &takeover, &w.err), ERR_INVAL);
    assert_string_equal(w.err.msg, "Specified block size is less than configured minimum value "
                                   "(dfs.namenode.fs-limits.min-block-size): 512 < 1048576");
    ask.block_size = (1 << 20) + 1;
    assert_int_equal(nn_check_create(&view, &ask, &op, &takeover, &w.err), ERR_INVAL);
    assert_string_equal(
        w.err.msg,
        "Invalid values: dfs.bytes-per-checksum (=512) must divide block size (=1048577).");
    ask.block_size = NN_BLOCK_SIZE_MAX + 512;
    assert_int_equal(nn_check_create(&view, &ask, &op, &takeover, &w.err), ERR_INVAL);
    ask.block_size = 0;
    ask.replication = 600;
    assert_int_equal(nn_check_create(&view, &ask, &op, &takeover, &w.err), ERR_INVAL);
    assert_string_equal(w.err.msg,
                        "Requested replication factor of 600 exceeds maximum of 512 for /f");
    ask.replication = 0;
    ask.origin.client = 0;
    assert_int_equal(nn_check_create(&view, &ask, &op, &takeover, &w.err), ERR_INVAL);
}

static void parents_of_a_new_file_inherit_the_mode_above(void **state)
{
    (void)state;
    assert_int_equal(do_mkdir(&w, "/a", false), 0);
    nn_inode(&w.state.tree.store, slot_of(&w, "/a"))->mode = 0510;
    struct nn_view view = world_view(&w);
    struct op_create op;
    uint32_t takeover = 0;
    struct cl2nn_create ask = {
        .origin = {.client = 1}, .path = slice_str("/a/b/c/f"), .mode = 0600};
    assert_int_equal(nn_check_create(&view, &ask, &op, &takeover, &w.err), ERR_NOENT);
    ask.create_parents = true;
    assert_int_equal(nn_check_create(&view, &ask, &op, &takeover, &w.err), 0);
    assert_int_equal(world_commit(&w, NN_OP_CREATE, &op), 0);
    assert_int_equal(inode_of(&w, "/a/b/c")->mode, 0710);
    assert_int_equal(inode_of(&w, "/a/b/c/f")->mode, 0600);
    assert_int_equal(w.answer[0], inode_of(&w, "/a/b/c/f")->id);
}

static void only_one_client_writes_a_file(void **state)
{
    (void)state;
    assert_int_equal(do_create(&w, "/f", 7, false), 0);
    uint64_t id = w.answer[0];
    assert_int_equal(do_create(&w, "/f", 8, false), ERR_LEASE);
    assert_string_equal(w.err.msg,
                        "Failed to CREATE_FILE /f for client_0000000000000008 on 127.0.0.1 because "
                        "this file lease is currently owned by client_0000000000000007");
    assert_int_equal(do_add_block(&w, id, 8, (struct msg_block){0}), ERR_LEASE);
    assert_int_equal(do_complete(&w, id, 8, (struct msg_block){0}), ERR_LEASE);
    assert_int_equal(do_complete(&w, id, 7, (struct msg_block){0}), 0);
    assert_int_equal(do_create(&w, "/f", 8, false), ERR_EXIST);
    assert_int_equal(do_complete(&w, id, 7, (struct msg_block){0}), ERR_LEASE);
}

static void overwriting_takes_the_file_from_its_writer(void **state)
{
    (void)state;
    assert_int_equal(do_create(&w, "/f", 7, false), 0);
    uint64_t old = w.answer[0];
    assert_int_equal(do_add_block(&w, old, 7, (struct msg_block){0}), 0);
    assert_int_equal(do_create(&w, "/f", 8, true), 0);
    uint64_t now = w.answer[0];
    assert_true(now > old);
    assert_int_equal(do_add_block(&w, old, 7, last_block(&w, old, 5)), ERR_NOENT);
    assert_int_equal(do_complete(&w, now, 8, (struct msg_block){0}), 0);
    assert_int_equal(do_mkdir(&w, "/d", false), 0);
    assert_int_equal(do_create(&w, "/d", 8, true), ERR_ISDIR);
}

static void a_silent_writer_can_be_taken_over_after_the_soft_limit(void **state)
{
    (void)state;
    assert_int_equal(do_create(&w, "/f", 7, false), 0);
    uint32_t takeover = 0;
    struct op_create op;
    struct cl2nn_create ask = {.origin = {.client = 8}, .path = slice_str("/f")};
    w.now_ms += 59999;
    struct nn_view view = world_view(&w);
    assert_int_equal(nn_check_create(&view, &ask, &op, &takeover, &w.err), ERR_LEASE);
    assert_int_equal(takeover, 0);
    w.now_ms += 1;
    view = world_view(&w);
    assert_int_equal(nn_check_create(&view, &ask, &op, &takeover, &w.err), ERR_RETRY);
    assert_int_equal(takeover, slot_of(&w, "/f"));
    nn_leases_renew(&w.state.leases, 7, w.now_ms);
    assert_int_equal(nn_check_create(&view, &ask, &op, &takeover, &w.err), ERR_LEASE);
}

static void a_writer_must_know_his_last_block(void **state)
{
    (void)state;
    assert_int_equal(do_create(&w, "/f", 7, false), 0);
    uint64_t id = w.answer[0];
    assert_int_equal(do_add_block(&w, id, 7, (struct msg_block){5, 5, 5}), ERR_STALE);
    assert_int_equal(do_add_block(&w, id, 7, (struct msg_block){0}), 0);
    assert_int_equal(do_add_block(&w, id, 7, (struct msg_block){0}), ERR_STALE);
    struct msg_block last = last_block(&w, id, 10);
    assert_int_equal(do_complete(&w, id, 7, (struct msg_block){0}), ERR_STALE);
    last.gs--;
    assert_int_equal(do_complete(&w, id, 7, last), ERR_STALE);
    last.gs += 2;
    assert_int_equal(do_add_block(&w, id, 7, last), ERR_STALE);
    last = last_block(&w, id, (1 << 20) + 1);
    assert_int_equal(do_complete(&w, id, 7, last), ERR_INVAL);
}

static void a_file_has_only_so_many_blocks(void **state)
{
    (void)state;
    w.limits.max_blocks = 2;
    assert_int_equal(do_create(&w, "/f", 7, false), 0);
    uint64_t id = w.answer[0];
    assert_int_equal(do_add_block(&w, id, 7, last_block(&w, id, 1 << 20)), 0);
    assert_int_equal(do_add_block(&w, id, 7, last_block(&w, id, 1 << 20)), 0);
    assert_int_equal(do_add_block(&w, id, 7, last_block(&w, id, 1 << 20)), ERR_LIMIT);
    assert_string_equal(w.err.msg, "File has reached the limit on maximum number of blocks "
                                   "(dfs.namenode.fs-limits.max-blocks-per-file): 2 >= 2");
}

static void an_abandoned_block_never_was(void **state)
{
    (void)state;
    assert_int_equal(do_create(&w, "/f", 7, false), 0);
    uint64_t id = w.answer[0];
    assert_int_equal(do_add_block(&w, id, 7, last_block(&w, id, 0)), 0);
    assert_int_equal(do_add_block(&w, id, 7, last_block(&w, id, 1 << 20)), 0);
    struct nn_view view = world_view(&w);
    struct cl2nn_abandon_block ask = {
        .origin = {.client = 7}, .file_id = id, .block = last_block(&w, id, 0)};
    struct op_abandon_block op;
    assert_int_equal(nn_check_abandon_block(&view, &ask, &op, &w.err), 0);
    assert_int_equal(world_commit(&w, NN_OP_ABANDON_BLOCK, &op), 0);
    assert_int_equal(inode_of(&w, "/f")->block_count, 1);
    assert_int_equal(inode_of(&w, "/f")->len, 1 << 20);
    assert_int_equal(block_of(id).id, NN_FIRST_BLOCK_ID);
    assert_int_equal(block_of(id).next, 0);
    assert_int_equal(nn_check_abandon_block(&view, &ask, &op, &w.err), NN_CHECK_NOTHING);
    /* the one before is settled: it cannot be abandoned */
    ask.block = last_block(&w, id, 0);
    assert_int_equal(nn_check_abandon_block(&view, &ask, &op, &w.err), ERR_STALE);
}

static void a_stamp_counts_only_if_it_was_given_out_and_is_newer(void **state)
{
    (void)state;
    assert_int_equal(do_create(&w, "/f", 7, false), 0);
    uint64_t id = w.answer[0];
    assert_int_equal(do_add_block(&w, id, 7, (struct msg_block){0}), 0);
    struct nn_view view = world_view(&w);
    struct cl2nn_new_stamp ask = {
        .origin = {.client = 7}, .file_id = id, .block = last_block(&w, id, 0)};
    struct op_stamp stamp;
    assert_int_equal(nn_check_new_stamp(&view, &ask, &stamp, &w.err), 0);
    assert_int_equal(world_commit(&w, NN_OP_STAMP, &stamp), 0);
    uint64_t gs = w.answer[0];
    assert_true(gs > ask.block.gs);
    assert_int_equal(block_of(id).gs, ask.block.gs); /* not yet */
    struct cl2nn_update_pipeline update = {.origin = {.client = 7},
                                           .file_id = id,
                                           .block = ask.block,
                                           .new_gs = gs + 1,
                                           .new_len = 500};
    struct op_pipeline op;
    assert_int_equal(nn_check_update_pipeline(&view, &update, &op, &w.err), ERR_STALE);
    update.new_gs = ask.block.gs;
    assert_int_equal(nn_check_update_pipeline(&view, &update, &op, &w.err), ERR_STALE);
    update.new_gs = gs;
    assert_int_equal(nn_check_update_pipeline(&view, &update, &op, &w.err), 0);
    assert_int_equal(world_commit(&w, NN_OP_PIPELINE, &op), 0);
    assert_int_equal(block_of(id).gs, gs);
    assert_int_equal(inode_of(&w, "/f")->len, 500);
    assert_int_equal(nn_check_new_stamp(&view, &ask, &stamp, &w.err), ERR_STALE);
}

static void what_was_flushed_counts_for_readers_and_never_shrinks(void **state)
{
    (void)state;
    assert_int_equal(do_create(&w, "/f", 7, false), 0);
    uint64_t id = w.answer[0];
    assert_int_equal(do_add_block(&w, id, 7, (struct msg_block){0}), 0);
    struct nn_view view = world_view(&w);
    struct cl2nn_flushed ask = {
        .origin = {.client = 7}, .file_id = id, .last = last_block(&w, id, 300)};
    struct op_flush op;
    assert_int_equal(nn_check_flushed(&view, &ask, &op, &w.err), 0);
    assert_int_equal(world_commit(&w, NN_OP_FLUSH, &op), 0);
    assert_int_equal(inode_of(&w, "/f")->len, 300);
    assert_int_equal(nn_check_flushed(&view, &ask, &op, &w.err), NN_CHECK_NOTHING);
    assert_int_equal(do_complete(&w, id, 7, last_block(&w, id, 299)), ERR_INVAL);
    assert_int_equal(do_complete(&w, id, 7, last_block(&w, id, 301)), 0);
    assert_int_equal(inode_of(&w, "/f")->len, 301);
}

static void a_committed_length_is_final(void **state)
{
    (void)state;
    assert_int_equal(do_create(&w, "/f", 7, false), 0);
    uint64_t id = w.answer[0];
    assert_int_equal(do_add_block(&w, id, 7, (struct msg_block){0}), 0);
    struct op_commit op = {.file_id = id, .last = last_block(&w, id, 99)};
    assert_int_equal(world_commit(&w, NN_OP_COMMIT, &op), 0);
    assert_int_equal(inode_of(&w, "/f")->len, 99);
    assert_int_equal(do_complete(&w, id, 7, last_block(&w, id, 100)), ERR_INVAL);
    assert_int_equal(do_complete(&w, id, 7, last_block(&w, id, 99)), 0);
}

static void recovery_takes_the_file_from_its_writer_and_closes_it(void **state)
{
    (void)state;
    assert_int_equal(do_create(&w, "/f", 7, false), 0);
    uint64_t id = w.answer[0];
    assert_int_equal(do_add_block(&w, id, 7, last_block(&w, id, 0)), 0);
    assert_int_equal(do_add_block(&w, id, 7, last_block(&w, id, 1 << 20)), 0);
    struct msg_block last = last_block(&w, id, 55);
    struct op_recover recover = {.file_id = id, .block_id = last.id, .gs = w.state.next_gs};
    assert_int_equal(world_commit(&w, NN_OP_RECOVER, &recover), 0);
    assert_int_equal(do_complete(&w, id, 7, last), ERR_LEASE);
    assert_int_equal(do_create(&w, "/f", 8, false), ERR_RETRY);
    struct op_close close = {.file_id = id, .last = {last.id, recover.gs, 55}};
    assert_int_equal(world_commit(&w, NN_OP_CLOSE, &close), 0);
    assert_int_equal(inode_of(&w, "/f")->len, (1 << 20) + 55);
    assert_int_equal(block_of(id).gs, recover.gs);
    assert_int_equal(w.state.next_gs, recover.gs + 1);
}

static void a_block_nobody_has_a_byte_of_is_dropped_at_the_close(void **state)
{
    (void)state;
    assert_int_equal(do_create(&w, "/f", 7, false), 0);
    uint64_t id = w.answer[0];
    assert_int_equal(do_add_block(&w, id, 7, last_block(&w, id, 0)), 0);
    struct msg_block last = last_block(&w, id, 0);
    struct op_recover recover = {.file_id = id, .block_id = last.id, .gs = w.state.next_gs};
    assert_int_equal(world_commit(&w, NN_OP_RECOVER, &recover), 0);
    struct op_close close = {.file_id = id, .last = last, .drop_last = true};
    assert_int_equal(world_commit(&w, NN_OP_CLOSE, &close), 0);
    assert_int_equal(inode_of(&w, "/f")->block_count, 0);
    assert_int_equal(inode_of(&w, "/f")->first_block, 0);
    assert_int_equal(nn_blockmap_count(w.blocks.map), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_file_is_written_block_by_block),
        CASE(create_has_limits_in_hadoops_words),
        CASE(parents_of_a_new_file_inherit_the_mode_above),
        CASE(only_one_client_writes_a_file),
        CASE(overwriting_takes_the_file_from_its_writer),
        CASE(a_silent_writer_can_be_taken_over_after_the_soft_limit),
        CASE(a_writer_must_know_his_last_block),
        CASE(a_file_has_only_so_many_blocks),
        CASE(an_abandoned_block_never_was),
        CASE(a_stamp_counts_only_if_it_was_given_out_and_is_newer),
        CASE(what_was_flushed_counts_for_readers_and_never_shrinks),
        CASE(a_committed_length_is_final),
        CASE(recovery_takes_the_file_from_its_writer_and_closes_it),
        CASE(a_block_nobody_has_a_byte_of_is_dropped_at_the_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
