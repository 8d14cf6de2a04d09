/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/namenode/blocks/fixture.h"

static void a_committed_block_is_complete_when_two_replicas_agree(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 3);
    uint32_t block = add_block(&w, FIRST_ID, 3);
    assert_int_equal(say(&w, 1, NN_CHANGE_RECEIVING, FIRST_ID, FIRST_GS, 0), 0);
    received(&w, 1, FIRST_ID, FIRST_GS);
    assert_int_equal(nn_blocks_commit(&w.b, block, FIRST_GS, TEST_LEN), 0);
    assert_false(nn_blocks_is_ready(&w.b, block));
    assert_int_equal(w.ready_count, 0);
    received(&w, 2, FIRST_ID, FIRST_GS);
    assert_true(nn_blocks_is_ready(&w.b, block));
    assert_int_equal(w.ready_count, 1);
    assert_int_equal(w.ready[0], block);
    assert_int_equal(nn_blockmap_get(w.b.map, block).state, NN_BLOCK_COMPLETE);
    assert_int_equal(w.b.safe, 1);
    world_release(&w);
}

static void a_replica_of_another_length_does_not_count_for_the_close(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 3);
    uint32_t block = add_block(&w, FIRST_ID, 3);
    received(&w, 1, FIRST_ID, FIRST_GS);
    assert_int_equal(say(&w, 2, NN_CHANGE_RECEIVED, FIRST_ID, FIRST_GS, TEST_LEN - 1), 0);
    assert_int_equal(nn_blocks_commit(&w.b, block, FIRST_GS, TEST_LEN), 0);
    assert_false(nn_blocks_is_ready(&w.b, block));
    received(&w, 3, FIRST_ID, FIRST_GS);
    assert_true(nn_blocks_is_ready(&w.b, block));
    assert_int_equal(nn_replicate_health(&w.b.replicate, block).bad, 0); /* doomed: two are good */
    assert_int_equal(nn_replicate_health(&w.b.replicate, block).good, 2);
    world_release(&w);
}

static void one_wanted_replica_is_enough_when_one_is_wanted(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 1);
    uint32_t block = add_block(&w, FIRST_ID, 1);
    received(&w, 1, FIRST_ID, FIRST_GS);
    assert_int_equal(nn_blocks_commit(&w.b, block, FIRST_GS, TEST_LEN), 0);
    assert_true(nn_blocks_is_ready(&w.b, block));
    assert_int_equal(w.ready_count, 0); /* told with the next event, not from inside the edit */
    pass(&w, 1000, 2);
    assert_int_equal(w.ready_count, 1);
    world_release(&w);
}

static void where_there_never_was_a_second_datanode_one_replica_is_enough(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 1);
    uint32_t first = add_block(&w, FIRST_ID, 3), second = add_block(&w, FIRST_ID + 1, 3);
    received(&w, 1, FIRST_ID, FIRST_GS);
    assert_int_equal(nn_blocks_commit(&w.b, first, FIRST_GS, TEST_LEN), 0);
    assert_true(nn_blocks_is_ready(&w.b, first));
    world_register(&w, 2); /* from now on there was one */
    assert_int_equal(world_report(&w, 2, NULL, 0), 0);
    received(&w, 1, FIRST_ID + 1, FIRST_GS);
    assert_int_equal(nn_blocks_commit(&w.b, second, FIRST_GS, TEST_LEN), 0);
    assert_false(nn_blocks_is_ready(&w.b, second));
    received(&w, 2, FIRST_ID + 1, FIRST_GS);
    assert_true(nn_blocks_is_ready(&w.b, second));
    world_release(&w);
}

/* As the world's datanodes are called. */
static void put_on_record(struct world *w, const char *name)
{
    char uuid[16];
    snprintf(uuid, sizeof(uuid), "u%s", name + 2);
    assert_int_equal(nn_members_add(&w->b.members, slice_str(name), slice_str(uuid)), 0);
}

/* As the namenode does at the end of a turn. */
static void note_members(struct world *w)
{
    const struct nn_node *node = NULL;
    while ((node = nn_blocks_new_member(&w->b)) != NULL)
        assert_int_equal(nn_members_add(&w->b.members, node->address.name, slice_str(node->uuid)),
                         0);
}

/* After a restart of the namenode: the journal knows them, and nobody is back yet, or only one. */
static void datanodes_on_record_count_though_they_are_not_back(void **state)
{
    (void)state;
    static const char *const records[][2] = {{"dn1", "dn2"}, {"dn2", "dn1"}, {"dn2", NULL}};
    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        struct world w;
        world_start(&w, 1, 0);
        for (int k = 0; k < 2 && records[i][k]; k++)
            put_on_record(&w, records[i][k]);
        uint32_t block = add_block(&w, FIRST_ID, 3);
        world_register(&w, 1);
        assert_int_equal(world_report(&w, 1, NULL, 0), 0);
        received(&w, 1, FIRST_ID, FIRST_GS);
        assert_int_equal(nn_blocks_commit(&w.b, block, FIRST_GS, TEST_LEN), 0);
        assert_int_equal(nn_blocks_enough(&w.b, block), 2);
        assert_false(nn_blocks_is_ready(&w.b, block));
        world_release(&w);
    }
}

static void who_is_on_record_and_back_counts_once(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 0);
    uint32_t block = add_block(&w, FIRST_ID, 3);
    assert_int_equal(nn_blocks_enough(&w.b, block), 2); /* nobody knows how many there are */
    put_on_record(&w, "dn1");
    assert_int_equal(nn_blocks_enough(&w.b, block), 1);
    world_register(&w, 1);
    assert_null(nn_blocks_new_member(&w.b));
    assert_int_equal(nn_blocks_enough(&w.b, block), 1);
    world_release(&w);
}

static void when_all_datanodes_are_lost_at_once_they_are_awaited_for_a_moment(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 2);
    assert_int_equal(nn_blocks_step(&w.b, 1000), 0);
    nn_blocks_disconnect(&w.b, 1, nn_nodes_get(&w.b.nodes, 1)->session, 1050);
    assert_false(nn_blocks_awaits_nodes(&w.b));
    nn_blocks_disconnect(&w.b, 2, nn_nodes_get(&w.b.nodes, 2)->session, 1060);
    assert_true(nn_blocks_awaits_nodes(&w.b));
    assert_int_equal(nn_blocks_step(&w.b, 20900), 0);
    assert_true(nn_blocks_awaits_nodes(&w.b));
    assert_int_equal(nn_blocks_step(&w.b, 21100), 0);
    assert_false(nn_blocks_awaits_nodes(&w.b));
    world_release(&w);
}

static void datanodes_on_record_are_awaited_for_a_while_after_a_start(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 0);
    assert_false(nn_blocks_awaits_nodes(&w.b));
    put_on_record(&w, "dn1");
    put_on_record(&w, "dn2");
    assert_true(nn_blocks_awaits_nodes(&w.b));
    world_register(&w, 1);
    assert_true(nn_blocks_awaits_nodes(&w.b));
    world_register(&w, 2);
    assert_false(nn_blocks_awaits_nodes(&w.b));
    world_release(&w);
    world_start(&w, 1, 0);
    put_on_record(&w, "dn1");
    w.b.now_ms = w.b.started_ms + w.b.conf.recheck_ms - 1;
    assert_true(nn_blocks_awaits_nodes(&w.b));
    w.b.now_ms++;
    assert_false(nn_blocks_awaits_nodes(&w.b));
    world_release(&w);
}

static void the_first_datanodes_are_put_on_record_and_no_more(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 3);
    note_members(&w);
    assert_int_equal(w.b.members.count, NN_CLOSE_REPLICAS);
    assert_null(nn_blocks_new_member(&w.b));
    put_on_record(&w, "dn3");
    assert_false(nn_members_has(&w.b.members, slice_str("dn3"), slice_str("u3")));
    world_release(&w);
}

/* One, whatever of it is exchanged; two, when there are two of them. */
static void a_datanode_that_changes_its_name_or_its_directories_is_no_second_one(void **state)
{
    (void)state;
    static const char *const records[][2] = {{"dn1", "old"}, {"old", "u1"}, {"dn1", "u1"}};
    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        struct world w;
        world_start(&w, 1, 0);
        uint32_t block = add_block(&w, FIRST_ID, 3);
        assert_int_equal(
            nn_members_add(&w.b.members, slice_str(records[i][0]), slice_str(records[i][1])), 0);
        world_register(&w, 1);
        assert_null(nn_blocks_new_member(&w.b));
        assert_int_equal(nn_blocks_enough(&w.b, block), 1);
        world_release(&w);
    }
    struct world w;
    world_start(&w, 1, 0);
    uint32_t block = add_block(&w, FIRST_ID, 3);
    assert_int_equal(nn_members_add(&w.b.members, slice_str("dn1"), slice_str("u2")), 0);
    world_register(&w, 1); /* with directories of its own; those of old are under another name */
    world_register(&w, 2);
    assert_int_equal(nn_blocks_enough(&w.b, block), 2);
    note_members(&w);
    assert_int_equal(w.b.members.count, 2);
    world_release(&w);
}

static void replicas_left_behind_by_a_new_stamp_do_not_count(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 3);
    uint32_t block = add_block(&w, FIRST_ID, 3);
    received(&w, 1, FIRST_ID, FIRST_GS);
    received(&w, 2, FIRST_ID, FIRST_GS + 1);
    assert_int_equal(nn_blocks_restamp(&w.b, block, FIRST_GS + 1, 100), 0);
    assert_int_equal(nn_blocks_restamp(&w.b, block, FIRST_GS + 1, 100), ERR_STALE);
    assert_int_equal(nn_blocks_commit(&w.b, block, FIRST_GS, TEST_LEN), ERR_STALE);
    assert_int_equal(nn_blocks_commit(&w.b, block, FIRST_GS + 1, TEST_LEN), 0);
    assert_false(nn_blocks_is_ready(&w.b, block));
    received(&w, 3, FIRST_ID, FIRST_GS + 1);
    assert_true(nn_blocks_is_ready(&w.b, block));
    world_release(&w);
}

static void committing_again_with_the_same_numbers_is_harmless_and_with_others_refused(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 2);
    uint32_t block = settled_block(&w, FIRST_ID, 2, 1, 2);
    assert_int_equal(nn_blocks_commit(&w.b, block, FIRST_GS, TEST_LEN), 0);
    assert_int_equal(nn_blocks_commit(&w.b, block, FIRST_GS, TEST_LEN - 1), ERR_INVAL);
    assert_int_equal(nn_blocks_recover(&w.b, block, 99), ERR_INVAL);
    world_release(&w);
}

static void late_news_of_an_older_replica_does_not_touch_the_newer_one(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 3);
    uint32_t block = add_block(&w, FIRST_ID, 3);
    assert_int_equal(nn_blocks_restamp(&w.b, block, FIRST_GS + 1, 0), 0);
    received(&w, 1, FIRST_ID, FIRST_GS + 1);
    received(&w, 2, FIRST_ID, FIRST_GS + 1);
    assert_int_equal(nn_blocks_commit(&w.b, block, FIRST_GS + 1, TEST_LEN), 0);
    assert_int_equal(say(&w, 1, NN_CHANGE_DELETED, FIRST_ID, FIRST_GS, 0), 0);
    assert_int_equal(nn_replicate_health(&w.b.replicate, block).good, 2);
    assert_int_equal(say(&w, 1, NN_CHANGE_DELETED, FIRST_ID, FIRST_GS + 1, 0), 0);
    assert_int_equal(nn_replicate_health(&w.b.replicate, block).good, 1);
    world_release(&w);
}

static void readers_are_sent_to_the_nearest_good_replica_first(void **state)
{
    (void)state;
    struct world w;
    uint32_t nodes[8];
    bool is_corrupt = true;
    world_start(&w, 2, 6); /* dn1 dn3 dn5 | dn2 dn4 dn6 */
    uint32_t block = settled_block(&w, FIRST_ID, 3, 1, 3);
    size_t n = nn_blocks_locate(&w.b, block, slice_str("dn2"), nodes, 8, &is_corrupt);
    assert_int_equal(n, 3);
    assert_false(is_corrupt);
    assert_int_equal(nodes[0], 2);
    n = nn_blocks_locate(&w.b, block, slice_str("dn4"), nodes, 8, &is_corrupt);
    assert_int_equal(nodes[0], 2); /* same rack */
    n = nn_blocks_locate(&w.b, block, slice_str("dn5"), nodes, 2, &is_corrupt);
    assert_int_equal(n, 2);
    assert_true(nodes[0] != 2 && nodes[1] != 2);
    nn_blocks_disconnect(&w.b, 2, nn_nodes_get(&w.b.nodes, 2)->session, w.now_ms);
    n = nn_blocks_locate(&w.b, block, slice_str("dn2"), nodes, 8, &is_corrupt);
    assert_int_equal(nodes[2], 2); /* it may come back; but last */
    world_release(&w);
}

static void readers_elsewhere_are_spread_over_the_replicas(void **state)
{
    (void)state;
    struct world w;
    uint32_t nodes[8];
    unsigned first[5] = {0};
    bool is_corrupt = false;
    world_start(&w, 1, 4);
    uint32_t block = settled_block(&w, FIRST_ID, 3, 1, 3);
    for (int i = 0; i < 300; i++) {
        nn_blocks_locate(&w.b, block, slice_str(""), nodes, 8, &is_corrupt);
        first[nodes[0]]++;
    }
    for (unsigned i = 1; i <= 3; i++)
        assert_in_range(first[i], 60, 140);
    world_release(&w);
}

static void bad_replicas_are_shown_only_when_there_is_no_good_one(void **state)
{
    (void)state;
    struct world w;
    uint32_t nodes[8];
    bool is_corrupt = false;
    world_start(&w, 1, 4);
    uint32_t block = settled_block(&w, FIRST_ID, 2, 1, 2);
    struct block_id id = {FIRST_ID, FIRST_GS};
    assert_int_equal(nn_blocks_mark_bad(&w.b, id, 1), 0);
    assert_int_equal(nn_blocks_locate(&w.b, block, slice_str(""), nodes, 8, &is_corrupt), 1);
    assert_int_equal(nodes[0], 2);
    assert_false(is_corrupt);
    assert_int_equal(nn_blocks_mark_bad(&w.b, id, 2), 0);
    assert_int_equal(nn_blocks_locate(&w.b, block, slice_str(""), nodes, 8, &is_corrupt), 2);
    assert_true(is_corrupt);
    assert_int_equal(nn_blocks_mark_bad(&w.b, id, 3), ERR_NOENT);
    world_release(&w);
}

static void a_block_that_is_being_written_is_read_from_its_pipeline(void **state)
{
    (void)state;
    struct world w;
    uint32_t nodes[8];
    const uint32_t pipeline[] = {2, 3};
    bool is_corrupt = false;
    world_start(&w, 1, 4);
    uint32_t block = add_block(&w, FIRST_ID, 2);
    assert_int_equal(nn_blocks_set_pipeline(&w.b, block, pipeline, 2), 0);
    assert_int_equal(nn_blocks_locate(&w.b, block, slice_str("dn3"), nodes, 8, &is_corrupt), 2);
    assert_int_equal(nodes[0], 3);
    world_release(&w);
}

static void blocks_of_a_file_are_chained_in_order(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 1);
    struct nn_block block = {.id = 1, .gs = 1, .want = 1, .file = 9};
    uint32_t first = 0, second = 0;
    assert_int_equal(nn_blocks_add(&w.b, &block, NN_BLOCK_NONE, &first), 0);
    block.id = 2;
    assert_int_equal(nn_blocks_add(&w.b, &block, first, &second), 0);
    assert_int_equal(nn_blockmap_get(w.b.map, first).next, second);
    assert_int_equal(nn_blockmap_get(w.b.map, second).next, NN_BLOCK_NONE);
    world_release(&w);
}

static void removing_blocks_gives_everything_back(void **state)
{
    (void)state;
    struct world w;
    const uint32_t pipeline[] = {1, 2};
    world_start(&w, 1, 3);
    for (uint64_t id = 1; id <= 300; id++) {
        uint32_t block = add_block(&w, id, 3);
        assert_int_equal(nn_blocks_set_pipeline(&w.b, block, pipeline, 2), 0);
        assert_int_equal(say(&w, 1, NN_CHANGE_RECEIVING, id, FIRST_GS, 5), 0);
        if (id % 3 == 0)
            assert_int_equal(nn_blocks_recover(&w.b, block, 50 + id), 0);
        if (id % 3 == 1) {
            received(&w, 1, id, FIRST_GS);
            assert_int_equal(nn_blocks_commit(&w.b, block, FIRST_GS, TEST_LEN), 0);
            nn_blocks_complete(&w.b, block);
        }
        if (id % 2 == 0)
            nn_blocks_remove(&w.b, block);
    }
    for (uint32_t at = nn_blockmap_next(w.b.map, 0); at; at = nn_blockmap_next(w.b.map, at))
        nn_blocks_remove(&w.b, at);
    pass(&w, 2000, 14);
    for (struct nn_order *o = next_order(&w, NN_ORDER_DELETE); o;
         o = next_order(&w, NN_ORDER_DELETE)) {
        for (size_t i = 0; i < o->block_count; i++)
            say(&w, o->node, NN_CHANGE_DELETED, o->blocks[i].id, o->blocks[i].gs, 0);
        nn_order_free(o);
    }
    struct nn_blocks_stats stats = nn_blocks_stats(&w.b);
    assert_int_equal(stats.blocks, 0);
    assert_int_equal(stats.missing, 0);
    assert_int_equal(stats.under_replicated, 0);
    assert_int_equal(stats.pending_deletion, 0);
    assert_int_equal(w.b.writings.map.count, 0);
    assert_int_equal(w.b.bads.map.count, 0);
    assert_int_equal(w.b.recoveries.by_block.count, 0);
    assert_int_equal(w.b.complete, 0);
    assert_int_equal(w.b.safe, 0);
    world_release(&w);
}

/* The same events without memory here and there: nothing breaks, and a whole report repairs it. */
static void running_out_of_memory_is_survived(void **state)
{
    (void)state;
    struct nn_said said = {FIRST_ID, FIRST_GS, TEST_LEN, NN_REPLICA_FINALIZED};
    bool was_hit = true;
    for (uint64_t n = 1; was_hit; n++) {
        struct world w;
        uint32_t block = 0;
        world_start(&w, 1, 3);
        block = add_block(&w, FIRST_ID, 2);
        mem_fail_after(n);
        say(&w, 1, NN_CHANGE_RECEIVED, FIRST_ID, FIRST_GS, TEST_LEN);
        nn_blocks_commit(&w.b, block, FIRST_GS, TEST_LEN);
        say(&w, 2, NN_CHANGE_RECEIVED, FIRST_ID, FIRST_GS, TEST_LEN);
        nn_blocks_mark_bad(&w.b, (struct block_id){FIRST_ID, FIRST_GS}, 2);
        nn_blocks_step(&w.b, w.now_ms += 4000);
        was_hit = mem_has_failed();
        mem_fail_after(0);
        assert_int_equal(nn_blocks_commit(&w.b, block, FIRST_GS, TEST_LEN), 0);
        assert_int_equal(world_report(&w, 1, &said, 1), 0);
        assert_int_equal(nn_replicate_health(&w.b.replicate, block).good +
                                 nn_replicate_health(&w.b.replicate, block).bad >=
                             1,
                         1);
        world_release(&w);
    }
}

static void a_node_given_up_must_register_before_its_word_counts_again(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 3);
    uint32_t block = add_block(&w, FIRST_ID, 3);
    assert_int_equal(nn_blocks_commit(&w.b, block, FIRST_GS, TEST_LEN), 0);
    pass(&w, 3600000, 0);
    const struct nn_said done = {FIRST_ID, FIRST_GS, TEST_LEN, NN_REPLICA_FINALIZED};
    for (unsigned i = 1; i <= 2; i++) {
        assert_int_equal(say(&w, i, NN_CHANGE_RECEIVED, FIRST_ID, FIRST_GS, TEST_LEN), ERR_NOENT);
        assert_int_equal(world_report(&w, i, &done, 1), ERR_NOENT);
    }
    for (unsigned i = 1; i <= 2; i++) {
        world_register(&w, i);
        assert_int_equal(world_report(&w, i, &done, 1), 0);
    }
    assert_true(nn_blocks_is_ready(&w.b, block));
    assert_int_equal(w.ready_count, 1);
    world_release(&w);
}

static void a_block_given_up_takes_the_promise_of_room_back(void **state)
{
    (void)state;
    struct world w;
    struct nn_placed placed;
    struct err err = {0};
    const struct nn_place_ask ask = {.count = 2, .block_size = TEST_LEN};
    world_start(&w, 1, 2);
    for (int i = 0; i < 2; i++) {
        uint32_t block = add_block(&w, FIRST_ID + (uint64_t)i, 2);
        assert_int_equal(nn_blocks_place(&w.b, &ask, slice_str("/f"), &placed, &err), 0);
        assert_int_equal(nn_blocks_set_pipeline(&w.b, block, placed.nodes, placed.count), 0);
        if (i == 1)
            received(&w, 1, FIRST_ID + 1, FIRST_GS); /* this one came: it is counted once only */
        nn_blocks_remove(&w.b, block);
        for (unsigned n = 1; n <= 2; n++)
            assert_int_equal(nn_nodes_get(&w.b.nodes, storage_of(&w, n)->node)->scheduled, 0);
    }
    world_release(&w);
}

static void a_node_dropped_from_a_pipeline_gives_the_promise_of_room_back(void **state)
{
    (void)state;
    struct world w;
    struct nn_placed placed;
    struct err err = {0};
    const struct nn_place_ask ask = {.count = 2, .block_size = TEST_LEN};
    world_start(&w, 1, 2);
    uint32_t block = add_block(&w, FIRST_ID, 2);
    assert_int_equal(nn_blocks_place(&w.b, &ask, slice_str("/f"), &placed, &err), 0);
    assert_int_equal(nn_blocks_set_pipeline(&w.b, block, placed.nodes, 2), 0);
    assert_int_equal(nn_blocks_set_pipeline(&w.b, block, placed.nodes, 1), 0);
    assert_int_equal(nn_nodes_get(&w.b.nodes, placed.nodes[0])->scheduled, 1);
    assert_int_equal(nn_nodes_get(&w.b.nodes, placed.nodes[1])->scheduled, 0);
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_committed_block_is_complete_when_two_replicas_agree),
        cmocka_unit_test(a_replica_of_another_length_does_not_count_for_the_close),
        cmocka_unit_test(one_wanted_replica_is_enough_when_one_is_wanted),
        cmocka_unit_test(where_there_never_was_a_second_datanode_one_replica_is_enough),
        cmocka_unit_test(datanodes_on_record_count_though_they_are_not_back),
        cmocka_unit_test(who_is_on_record_and_back_counts_once),
        cmocka_unit_test(datanodes_on_record_are_awaited_for_a_while_after_a_start),
        cmocka_unit_test(when_all_datanodes_are_lost_at_once_they_are_awaited_for_a_moment),
        cmocka_unit_test(the_first_datanodes_are_put_on_record_and_no_more),
        cmocka_unit_test(a_datanode_that_changes_its_name_or_its_directories_is_no_second_one),
        cmocka_unit_test(replicas_left_behind_by_a_new_stamp_do_not_count),
        cmocka_unit_test(
            committing_again_with_the_same_numbers_is_harmless_and_with_others_refused),
        cmocka_unit_test(late_news_of_an_older_replica_does_not_touch_the_newer_one),
        cmocka_unit_test(readers_are_sent_to_the_nearest_good_replica_first),
        cmocka_unit_test(readers_elsewhere_are_spread_over_the_replicas),
        cmocka_unit_test(bad_replicas_are_shown_only_when_there_is_no_good_one),
        cmocka_unit_test(a_block_that_is_being_written_is_read_from_its_pipeline),
        cmocka_unit_test(blocks_of_a_file_are_chained_in_order),
        cmocka_unit_test(removing_blocks_gives_everything_back),
        cmocka_unit_test(running_out_of_memory_is_survived),
        cmocka_unit_test(a_node_given_up_must_register_before_its_word_counts_again),
        cmocka_unit_test(a_node_dropped_from_a_pipeline_gives_the_promise_of_room_back),
        cmocka_unit_test(a_block_given_up_takes_the_promise_of_room_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
