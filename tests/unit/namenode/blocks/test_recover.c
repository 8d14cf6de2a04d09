/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/namenode/blocks/fixture.h"

#define ALIVE 0x1eULL /* dn1 .. dn4 beat */

/* A block being written by dn1..dn3, each of which said so; its writer is gone. */
static uint32_t abandoned(struct world *w)
{
    const uint32_t nodes[] = {1, 2, 3};
    world_start(w, 1, 4);
    uint32_t block = add_block(w, FIRST_ID, 3);
    assert_int_equal(nn_blocks_set_pipeline(&w->b, block, nodes, 3), 0);
    for (unsigned i = 1; i <= 3; i++)
        assert_int_equal(say(w, i, NN_CHANGE_RECEIVING, FIRST_ID, FIRST_GS, 500), 0);
    return block;
}

static struct nn_order *take_recover(struct world *w)
{
    pass(w, 1000, ALIVE);
    return next_order(w, NN_ORDER_RECOVER);
}

static int result(struct world *w, uint64_t gs, uint64_t len, bool is_dropped, int code)
{
    struct nn_recovered said = {.gs = gs, .len = len, .is_dropped = is_dropped};
    return nn_blocks_recovery_result(&w->b, (struct block_id){FIRST_ID, FIRST_GS}, &said, code,
                                     w->now_ms);
}

static void
the_primary_is_told_the_stamp_and_who_takes_part_and_its_result_is_journaled(void **state)
{
    (void)state;
    struct world w;
    uint32_t block = abandoned(&w);
    assert_int_equal(nn_blocks_recover(&w.b, block, 20), 0);
    struct nn_order *order = take_recover(&w);
    assert_non_null(order);
    assert_in_range(order->node, 1, 3);
    assert_int_equal(order->target_count, 3);
    assert_int_equal(order->new_gs, 20);
    assert_int_equal(order->block.gs, FIRST_GS);
    nn_order_free(order);
    assert_int_equal(result(&w, 20, TEST_LEN, false, 0), 0);
    assert_int_equal(w.recovered_count, 1);
    assert_int_equal(w.recovered[0].len, TEST_LEN);
    /* the namespace journals it and applies */
    received(&w, 1, FIRST_ID, 20);
    received(&w, 2, FIRST_ID, 20);
    assert_int_equal(nn_blocks_commit(&w.b, block, 20, TEST_LEN), 0);
    assert_true(nn_blocks_is_ready(&w.b, block));
    assert_int_equal(nn_blockmap_get(w.b.map, block).gs, 20);
    assert_null(nn_recoveries_find(&w.b.recoveries, block));
    assert_null(nn_writings_find(&w.b.writings, block));
    world_release(&w);
}

static void an_order_waits_until_its_stamp_is_durable(void **state)
{
    (void)state;
    struct world w;
    uint32_t block = abandoned(&w);
    nn_blocks_set_applied(&w.b, 7);
    nn_blocks_set_durable(&w.b, 6);
    assert_int_equal(nn_blocks_recover(&w.b, block, 20), 0);
    assert_null(take_recover(&w));
    nn_blocks_set_durable(&w.b, 7);
    struct nn_order *order = take_recover(&w);
    assert_non_null(order);
    nn_order_free(order);
    world_release(&w);
}

/* Two recoveries of one block overlap and the older one ends last: the stamp must not go back. */
static void the_late_end_of_an_older_attempt_is_refused(void **state)
{
    (void)state;
    struct world w;
    uint32_t block = abandoned(&w);
    assert_int_equal(nn_blocks_recover(&w.b, block, 20), 0);
    nn_order_free(take_recover(&w));
    pass(&w, 31000, ALIVE);
    assert_int_equal(w.stamp_count, 1); /* timed out: a fresh stamp is wanted */
    assert_int_equal(w.stamps[0], block);
    assert_int_equal(nn_blocks_recover(&w.b, block, 21), 0);
    nn_order_free(take_recover(&w));
    assert_int_equal(result(&w, 20, 400, false, 0), ERR_STALE);
    assert_int_equal(result(&w, 21, 500, false, 0), 0);
    assert_int_equal(result(&w, 20, 400, false, 0), ERR_STALE);
    assert_int_equal(result(&w, 21, 500, false, 0), ERR_STALE); /* the same answer again */
    assert_int_equal(nn_blocks_commit(&w.b, block, 21, 500), 0);
    assert_int_equal(result(&w, 20, 400, false, 0), ERR_STALE);
    assert_int_equal(nn_blocks_commit(&w.b, block, 20, 400), ERR_STALE);
    assert_int_equal(nn_blockmap_get(w.b.map, block).gs, 21);
    assert_int_equal(w.recovered_count, 1);
    world_release(&w);
}

static void a_failed_attempt_is_repeated_with_a_fresh_stamp_until_one_succeeds(void **state)
{
    (void)state;
    struct world w;
    uint32_t block = abandoned(&w);
    for (uint64_t gs = 20; gs < 26; gs++) {
        assert_int_equal(nn_blocks_recover(&w.b, block, gs), 0);
        struct nn_order *order = take_recover(&w);
        assert_int_equal(order->new_gs, gs);
        nn_order_free(order);
        assert_int_equal(result(&w, gs, 0, false, ERR_UNREACHABLE), ERR_RETRY);
        pass(&w, 2000, ALIVE);
        assert_int_equal(w.stamp_count, gs - 19);
    }
    assert_int_equal(nn_blockmap_get(w.b.map, block).state, NN_BLOCK_UNDER_RECOVERY);
    world_release(&w);
}

static void when_the_primary_dies_another_attempt_follows(void **state)
{
    (void)state;
    struct world w;
    uint32_t block = abandoned(&w);
    assert_int_equal(nn_blocks_recover(&w.b, block, 20), 0);
    struct nn_order *order = take_recover(&w);
    uint32_t primary = order->node;
    nn_order_free(order);
    nn_blocks_disconnect(&w.b, primary, nn_nodes_get(&w.b.nodes, primary)->session, w.now_ms);
    pass(&w, 1000, ALIVE);
    assert_int_equal(w.stamp_count, 1);
    assert_int_equal(nn_blocks_recover(&w.b, block, 21), 0);
    order = take_recover(&w);
    assert_int_not_equal(order->node, primary);
    assert_int_equal(order->target_count, 2);
    nn_order_free(order);
    world_release(&w);
}

static void flushed_bytes_are_not_given_up_while_a_node_that_may_have_them_is_away(void **state)
{
    (void)state;
    struct world w;
    uint32_t block = abandoned(&w);
    assert_int_equal(nn_blocks_flushed(&w.b, block, 450), 0);
    nn_blocks_disconnect(&w.b, 3, nn_nodes_get(&w.b.nodes, 3)->session, w.now_ms);
    assert_int_equal(nn_blocks_recover(&w.b, block, 20), 0);
    nn_order_free(take_recover(&w));
    assert_int_equal(result(&w, 20, 100, false, 0), ERR_RETRY);
    assert_int_equal(nn_blocks_recover(&w.b, block, 21), 0);
    nn_order_free(take_recover(&w));
    assert_int_equal(result(&w, 21, 0, true, 0), ERR_RETRY);
    pass(&w, 640000, 0x16); /* dn3 has had its time */
    assert_int_equal(nn_blocks_recover(&w.b, block, 22), 0);
    nn_order_free(take_recover(&w));
    assert_int_equal(result(&w, 22, 100, false, 0), 0);
    world_release(&w);
}

static void a_block_nobody_ever_got_a_byte_of_is_dropped_when_all_its_nodes_say_so(void **state)
{
    (void)state;
    struct world w;
    const uint32_t nodes[] = {1, 2, 3};
    world_start(&w, 1, 4);
    uint32_t block = add_block(&w, FIRST_ID, 3);
    assert_int_equal(nn_blocks_set_pipeline(&w.b, block, nodes, 3), 0);
    assert_int_equal(nn_blocks_recover(&w.b, block, 20), 0);
    struct nn_order *order = take_recover(&w);
    assert_int_equal(order->target_count, 3);
    nn_order_free(order);
    assert_int_equal(result(&w, 20, 0, true, 0), 0);
    assert_true(w.recovered[0].is_dropped);
    nn_blocks_remove(&w.b, block);
    world_release(&w);
}

/* After a restart nobody knows who was in the pipeline. */
static void a_block_without_a_byte_is_dropped_soon_though_its_pipeline_is_forgotten(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 4);
    uint32_t block = add_block(&w, FIRST_ID, 3);
    assert_int_equal(say(&w, 1, NN_CHANGE_RECEIVING, FIRST_ID, FIRST_GS, 0), 0);
    assert_int_equal(nn_blocks_recover(&w.b, block, 20), 0);
    nn_order_free(take_recover(&w));
    assert_int_equal(result(&w, 20, 0, true, 0), ERR_RETRY); /* another may be about to come */
    pass(&w, w.b.conf.stale_ms, ALIVE);
    assert_int_equal(nn_blocks_recover(&w.b, block, 21), 0);
    nn_order_free(take_recover(&w));
    assert_int_equal(result(&w, 21, 0, true, 0), 0);
    assert_true(w.recovered[0].is_dropped);
    world_release(&w);
}

static void a_block_that_no_node_knows_is_dropped_after_all_had_time_to_come_back(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 4);
    uint32_t block = add_block(&w, FIRST_ID, 3);
    assert_int_equal(nn_blocks_recover(&w.b, block, 20), 0);
    pass(&w, w.b.conf.stale_ms - 2000, ALIVE);
    assert_int_equal(w.recovered_count, 0);
    pass(&w, 4000, ALIVE);
    assert_int_equal(w.recovered_count, 1);
    assert_true(w.recovered[0].is_dropped);
    world_release(&w);
}

static void after_a_replay_no_stamp_is_used_a_second_time(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 1);
    uint32_t block = add_block(&w, FIRST_ID, 3);
    assert_int_equal(nn_blocks_recover(&w.b, block, 20), 0);
    nn_blocks_loaded(&w.b, FIRST_ID, w.now_ms);
    world_register(&w, 1);
    struct nn_said said = {FIRST_ID, FIRST_GS, 500, NN_REPLICA_RWR};
    assert_int_equal(world_report(&w, 1, &said, 1), 0);
    assert_null(take_recover(&w));
    assert_int_equal(w.stamp_count, 1);
    world_release(&w);
}

static void a_recovery_that_an_image_speaks_of_goes_on_with_a_fresh_stamp(void **state)
{
    (void)state;
    struct world w;
    struct nn_block block = {
        .id = FIRST_ID, .gs = FIRST_GS, .want = 3, .state = NN_BLOCK_UNDER_RECOVERY};
    uint32_t index = 0;
    world_init(&w, 1);
    assert_int_equal(nn_blocks_add(&w.b, &block, NN_BLOCK_NONE, &index), 0);
    nn_blocks_loaded(&w.b, FIRST_ID, w.now_ms);
    pass(&w, 2000, 0);
    assert_int_equal(w.stamp_count, 1);
    assert_int_equal(w.stamps[0], index);
    world_release(&w);
}

static void replicas_that_missed_the_recovery_are_deleted_once_the_block_is_safe(void **state)
{
    (void)state;
    struct world w;
    uint32_t block = abandoned(&w);
    assert_int_equal(nn_blocks_recover(&w.b, block, 20), 0);
    nn_order_free(take_recover(&w));
    assert_int_equal(result(&w, 20, TEST_LEN, false, 0), 0);
    received(&w, 1, FIRST_ID, 20);
    received(&w, 2, FIRST_ID, 20);
    assert_int_equal(nn_blocks_commit(&w.b, block, 20, TEST_LEN), 0);
    pass(&w, 2000, ALIVE);
    struct nn_order *order = next_order(&w, NN_ORDER_DELETE);
    assert_int_equal(order->node, 3);
    assert_int_equal(order->blocks[0].gs, FIRST_GS); /* exactly the old one */
    nn_order_free(order);
    world_release(&w);
}

static void finalized_replicas_of_a_block_under_recovery_are_not_good_any_more(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 4);
    uint32_t block = add_block(&w, FIRST_ID, 3);
    received(&w, 1, FIRST_ID, FIRST_GS);
    assert_int_equal(nn_blocks_commit(&w.b, block, FIRST_GS, TEST_LEN), 0);
    assert_int_equal(nn_replicate_health(&w.b.replicate, block).good, 1);
    assert_false(nn_blocks_is_ready(&w.b, block));
    assert_int_equal(nn_blocks_recover(&w.b, block, 20), 0);
    assert_int_equal(nn_replicate_health(&w.b.replicate, block).good, 0);
    struct nn_order *order = take_recover(&w);
    assert_int_equal(order->node, 1);
    nn_order_free(order);
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            the_primary_is_told_the_stamp_and_who_takes_part_and_its_result_is_journaled),
        cmocka_unit_test(an_order_waits_until_its_stamp_is_durable),
        cmocka_unit_test(the_late_end_of_an_older_attempt_is_refused),
        cmocka_unit_test(a_failed_attempt_is_repeated_with_a_fresh_stamp_until_one_succeeds),
        cmocka_unit_test(when_the_primary_dies_another_attempt_follows),
        cmocka_unit_test(flushed_bytes_are_not_given_up_while_a_node_that_may_have_them_is_away),
        cmocka_unit_test(a_block_nobody_ever_got_a_byte_of_is_dropped_when_all_its_nodes_say_so),
        cmocka_unit_test(a_block_without_a_byte_is_dropped_soon_though_its_pipeline_is_forgotten),
        cmocka_unit_test(a_block_that_no_node_knows_is_dropped_after_all_had_time_to_come_back),
        cmocka_unit_test(after_a_replay_no_stamp_is_used_a_second_time),
        cmocka_unit_test(a_recovery_that_an_image_speaks_of_goes_on_with_a_fresh_stamp),
        cmocka_unit_test(replicas_that_missed_the_recovery_are_deleted_once_the_block_is_safe),
        cmocka_unit_test(finalized_replicas_of_a_block_under_recovery_are_not_good_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
