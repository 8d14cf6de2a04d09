/* SPDX-License-Identifier: Apache-2.0
 * append: appends and cuts at a whole namenode, with a datanode that says what the test wants. */
#include "tests/unit/namenode/serve/served.h"

#include "namenode/truncation.h"

static struct served s;
static uint64_t seq;
static struct cl2nn_created file;
static struct msg_block last;

static struct msg_origin origin(void)
{
    return (struct msg_origin){77, ++seq};
}

static void must(int rc)
{
    if (rc != 0)
        fail_msg("%s", served_err.msg);
}

static void change(uint32_t what, struct msg_block block)
{
    struct dn2nn_replica_change row = {what, block, slice_str("s1")};
    struct dn2nn_changes ask = {.changes = {&row, 1}};
    must(tell_nn(&s, CHANGES, &ask, NULL));
}

static void have_datanode(void)
{
    struct dn2nn_storage storage = {
        .id = slice_str("s1"), .capacity = 1ULL << 40, .remaining = 1ULL << 40};
    struct dn2nn_register ask = {
        .node = {.name = slice_str("dn1"), .host = slice_str("127.0.0.1"), .data_port = 9866},
        .node_uuid = slice_str("u1"),
        .storages = {&storage, 1}};
    struct dn2nn_full_report report = {.report_id = 1, .is_last = true, .storage = slice_str("s1")};
    must(tell_nn(&s, REGISTER, &ask, NULL));
    must(tell_nn(&s, FULL_REPORT, &report, NULL));
}

/* "/f": closed, one block of 1000 bytes, which the datanode has. */
static void have_file(void)
{
    struct cl2nn_create create = {.origin = origin(),
                                  .path = slice_str("/f"),
                                  .mode = 0644,
                                  .block_size = 1 << 20,
                                  .create_parents = true};
    struct msg_located_block block = {0};
    must(ask_nn(&s, CREATE, &create, &file));
    struct cl2nn_add_block add = {.origin = origin(), .file_id = file.file_id};
    must(ask_nn(&s, ADD_BLOCK, &add, &block));
    last = (struct msg_block){block.block.id, block.block.gs, 1000};
    change(DN2NN_RECEIVED, last);
    struct cl2nn_complete done = {.origin = origin(), .file_id = file.file_id, .last = last};
    must(ask_nn(&s, COMPLETE, &done, NULL));
}

static int setup(void **state)
{
    (void)state;
    served_conf(&s);
    served_start(&s, "eve");
    seq = 0;
    have_datanode();
    have_file();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    served_stop(&s);
    return 0;
}

static struct msg_file stat_f(void)
{
    struct cl2nn_stat ask = {.path = slice_str("/f")};
    struct msg_file f = {0};
    must(ask_nn(&s, STAT, &ask, &f));
    return f;
}

static struct cl2nn_appended append(struct msg_origin from)
{
    struct cl2nn_append ask = {.origin = from, .path = slice_str("/f")};
    struct cl2nn_appended answer = {0};
    must(ask_nn(&s, APPEND, &ask, &answer));
    return answer;
}

static void switch_to(struct msg_block next)
{
    struct slice node = slice_str("dn1");
    struct cl2nn_switch ask = {origin(), file.file_id, last, next, {&node, 1}};
    must(ask_nn(&s, SWITCH, &ask, NULL));
}

static bool truncate_to(uint64_t len)
{
    struct cl2nn_truncate ask = {origin(), slice_str("/f"), len};
    struct cl2nn_yes done = {false};
    must(ask_nn(&s, TRUNCATE, &ask, &done));
    return done.yes;
}

static void an_append_is_told_where_the_last_block_is_and_again_the_same(void **state)
{
    (void)state;
    struct msg_origin from = origin();
    struct cl2nn_appended first = append(from), again = append(from);
    assert_int_equal(first.file_id, file.file_id);
    assert_int_equal(first.file_len, 1000);
    assert_int_equal(first.last.id, last.id);
    assert_int_equal(first.next.block.len, 1000);
    assert_int_equal(first.next.nodes.n, 1);
    assert_true(slice_is(first.next.nodes.v[0].name, "dn1"));
    assert_int_equal(again.next.block.id, first.next.block.id);
    assert_int_equal(again.next.block.gs, first.next.block.gs);
    assert_int_equal(again.next.nodes.n, 1);
}

/* The datanode tells of the prepared block before it is the file's: it is not a stranger's. */
static void a_replica_of_a_prepared_block_is_not_deleted(void **state)
{
    (void)state;
    struct cl2nn_appended a = append(origin());
    change(DN2NN_RECEIVING, a.next.block);
    assert_int_equal(s.nn->blocks.doomed.waiting + s.nn->blocks.doomed.ordered, 0);
    switch_to(a.next.block);
    struct nn_blocks_stats stats = nn_blocks_stats(&s.nn->blocks);
    assert_int_equal(stats.pending_deletion, 1); /* the old one */
}

static void nobody_appends_to_what_no_datanode_holds(void **state)
{
    (void)state;
    struct cl2nn_append ask = {.origin = origin(), .path = slice_str("/f")};
    change(DN2NN_DELETED, last);
    /* soon after a start it may only not have been reported */
    assert_int_equal(ask_nn(&s, APPEND, &ask, NULL), ERR_RETRY);
    s.nn->blocks.started_ms -= s.nn->blocks.conf.recheck_ms;
    assert_int_equal(ask_nn(&s, APPEND, &ask, NULL), ERR_NONODE);
    assert_non_null(strstr(served_err.msg, "of src=/f is not sufficiently replicated yet."));
    assert_false(stat_f().is_open);
}

static void a_recovery_never_settles_below_what_was_there(void **state)
{
    (void)state;
    struct cl2nn_appended a = append(origin());
    struct cl2nn_path path = {slice_str("/f")};
    switch_to(a.next.block);
    must(ask_nn(&s, RECOVER_LEASE, &path, NULL));
    uint32_t block = nn_blockmap_find(s.nn->blocks.map, a.next.block.id);
    struct nn_recovered result = {.block = block, .gs = s.nn->state.next_gs - 1, .len = 999};
    nn_recovery_settled(&s.nn->recovery, &result);
    assert_true(stat_f().is_open);
    result.is_dropped = true;
    nn_recovery_settled(&s.nn->recovery, &result);
    assert_true(stat_f().is_open);
    result.is_dropped = false;
    result.len = 1000;
    nn_recovery_settled(&s.nn->recovery, &result);
    assert_false(stat_f().is_open);
    assert_int_equal(stat_f().len, 1000);
}

static void a_cut_is_done_when_the_datanodes_have_made_its_block(void **state)
{
    (void)state;
    assert_false(truncate_to(300));
    assert_int_equal(stat_f().len, 1000);
    assert_true(stat_f().is_open);
    struct msg_block made = {s.nn->state.next_block_id - 1, s.nn->state.next_gs - 1, 300};
    change(DN2NN_RECEIVED, made);
    assert_int_equal(stat_f().len, 300);
    assert_false(stat_f().is_open);
    assert_true(truncate_to(300));
}

/* Else a crash could take the block's id back, and give it to another. */
static void a_cut_is_ordered_when_its_record_is_durable(void **state)
{
    (void)state;
    struct served_call call;
    struct cl2nn_truncate ask = {origin(), slice_str("/f"), 300};
    the_journal.is_held = true;
    served_send(s.client, &CL2NN_methods[CL2NN_AT_TRUNCATE], &ask, 5000, &call);
    while (s.nn->state.prepared.files.count == 0)
        loop_turn(s.loop, 5);
    struct nn_prepared *prepared = nn_prepareds_find(&s.nn->state.prepared, file.file_id);
    assert_true(prepared->after > 0);
    nn_truncation_look(s.nn, true);
    assert_true(prepared->after > 0); /* not ordered */
    assert_int_equal(s.nn->blocks.orders.count, 0);
    the_journal.is_held = false;
    served_flush();
    assert_int_equal(prepared->after, 0);
    assert_true(served_wait(&s, &call, 5000));
    buf_release(&call.answer.bytes);
}

static void a_cut_is_nobodys_lease_to_recover(void **state)
{
    (void)state;
    struct cl2nn_path path = {slice_str("/f")};
    struct cl2nn_yes closed = {true};
    assert_false(truncate_to(300));
    must(ask_nn(&s, RECOVER_LEASE, &path, &closed));
    assert_false(closed.yes);
    nn_recovery_begin(&s.nn->recovery,
                      nn_tree_find_id(&s.nn->state.tree, file.file_id)); /* as a restart does */
    assert_true(stat_f().is_open);
    assert_int_equal(s.nn->state.prepared.files.count, 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(an_append_is_told_where_the_last_block_is_and_again_the_same),
        CASE(a_replica_of_a_prepared_block_is_not_deleted),
        CASE(nobody_appends_to_what_no_datanode_holds),
        CASE(a_recovery_never_settles_below_what_was_there),
        CASE(a_cut_is_done_when_the_datanodes_have_made_its_block),
        CASE(a_cut_is_ordered_when_its_record_is_durable),
        CASE(a_cut_is_nobodys_lease_to_recover),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
