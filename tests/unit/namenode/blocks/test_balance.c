/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/namenode/blocks/fixture.h"

#define NODES 4

static const uint64_t all = 0x1e; /* nodes 1..4 beat */

/* Node i holds `used` of 100 bytes of capacity, says its heartbeat. */
static void fill(struct world *w, unsigned i, uint64_t used)
{
    struct nn_storage_facts facts = {storage_id(i), false, 100 * TEST_LEN, used * TEST_LEN,
                                     (100 - used) * TEST_LEN};
    struct nn_heartbeat beat = {&facts, 1, 0, 0};
    assert_true(nn_blocks_heartbeat(&w->b, storage_of(w, i)->node, &beat, w->now_ms));
}

static void begin(struct world *w, unsigned racks)
{
    world_start(w, racks, NODES);
    w->b.conf.balance_min_bytes = 1;
    for (unsigned i = 1; i <= NODES; i++)
        fill(w, i, 0);
}

static int start(struct world *w, double threshold)
{
    const struct nn_balance_ask ask = {.threshold = threshold, .idle_max = 2};
    return nn_balance_start(&w->b.balance, &ask, w->now_ms);
}

static unsigned held(struct world *w, unsigned i)
{
    return (unsigned)nn_blockmap_storage_count(w->b.map, storage_of(w, i)->index);
}

static void obey(struct world *w, struct nn_order *order)
{
    if (order->kind == NN_ORDER_COPY)
        received(w, order->targets[0], order->block.id, order->block.gs);
    for (size_t i = 0; i < order->block_count; i++)
        assert_int_equal(say(w, order->node, NN_CHANGE_DELETED, order->blocks[i].id,
                             order->blocks[i].gs, TEST_LEN),
                         0);
    nn_order_free(order);
}

/* Time passes, orders are obeyed, nodes say how full they are; the run is asked for. */
static void run(struct world *w, uint64_t ms)
{
    for (uint64_t end = w->now_ms + ms; w->now_ms < end;) {
        pass(w, 1000, all);
        nn_blocks_set_durable(&w->b, w->b.applied);
        struct nn_order *order = NULL;
        while ((order = nn_blocks_take_order(&w->b)) != NULL)
            obey(w, order);
        for (unsigned i = 1; i <= NODES; i++)
            fill(w, i, held(w, i));
        assert_true(nn_balance_poll(&w->b.balance, w->b.balance.session, w->now_ms));
    }
}

static void settle(struct world *w, unsigned first, unsigned count, uint16_t want, unsigned on,
                   unsigned nodes)
{
    for (unsigned i = 0; i < count; i++)
        settled_block(w, FIRST_ID + first + i, want, on, nodes);
    for (unsigned i = 1; i <= NODES; i++)
        fill(w, i, held(w, i));
}

static void a_full_node_gives_to_empty_ones_until_all_are_near_the_mean(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    settle(&w, 0, 40, 1, 1, 1);
    assert_int_equal(start(&w, 2), 0);
    run(&w, 60000);
    assert_int_equal(w.b.balance.state, NN_BALANCE_BALANCED);
    for (unsigned i = 1; i <= NODES; i++)
        assert_in_range(held(&w, i), 8, 12);
    assert_int_equal(w.b.balance.moved_bytes, w.b.balance.moved_blocks * TEST_LEN);
    assert_int_equal(nn_blockmap_count(w.b.map), 40);
    assert_int_equal(nn_blocks_stats(&w.b).missing, 0);
    assert_int_equal(nn_blocks_stats(&w.b).under_replicated, 0);
    world_release(&w);
}

static void a_balanced_cluster_is_left_alone(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    settle(&w, 0, 5, 2, 1, 2);
    settle(&w, 5, 4, 2, 3, 2);
    assert_int_equal(start(&w, 10), 0);
    run(&w, 3000);
    assert_int_equal(w.b.balance.state, NN_BALANCE_BALANCED);
    assert_int_equal(w.b.balance.ordered, 0);
    world_release(&w);
}

static void blocks_never_come_onto_fewer_racks(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 2); /* 1 and 3 on one rack, 2 and 4 on the other */
    settle(&w, 0, 30, 2, 1, 2);
    assert_int_equal(start(&w, 2), 0);
    run(&w, 60000);
    assert_int_equal(w.b.balance.state, NN_BALANCE_BALANCED);
    for (unsigned i = 0; i < 30; i++) {
        uint32_t block = nn_blockmap_find(w.b.map, FIRST_ID + i);
        struct nn_health h = nn_replicate_health(&w.b.replicate, block);
        assert_int_equal(h.good, 2);
        assert_int_equal(h.racks, 2);
    }
    world_release(&w);
}

static void the_replica_of_the_full_node_stays_until_the_copy_is_there(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    settle(&w, 0, 20, 1, 1, 1);
    assert_int_equal(start(&w, 1), 0);
    pass(&w, 1000, all);
    struct nn_order *order = next_order(&w, NN_ORDER_COPY);
    assert_non_null(order);
    assert_int_equal(order->node, 1);
    assert_int_equal(held(&w, 1), 20);
    assert_int_equal(nn_blocks_copied(&w.b, 1, order->block, order->targets[0], ERR_IO, w.now_ms),
                     0);
    assert_int_equal(held(&w, 1), 20);
    assert_int_equal(w.b.balance.failed, 1);
    nn_order_free(order);
    order = next_order(&w, NN_ORDER_COPY);
    received(&w, order->targets[0], order->block.id, order->block.gs);
    assert_int_equal(held(&w, 1), 19);
    nn_order_free(order);
    world_release(&w);
}

static void what_a_node_has_not_reported_again_is_not_moved(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    settle(&w, 0, 20, 1, 1, 1);
    world_register(&w, 1);
    fill(&w, 1, 20);
    assert_int_equal(start(&w, 1), 0);
    pass(&w, 3000, all);
    no_order(&w, NN_ORDER_COPY);
    assert_int_equal(w.b.balance.state, NN_BALANCE_NO_BLOCK);
    world_release(&w);
}

static void small_blocks_stay_where_they_are(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    w.b.conf.balance_min_bytes = TEST_LEN + 1;
    settle(&w, 0, 20, 1, 1, 1);
    assert_int_equal(start(&w, 1), 0);
    pass(&w, 3000, all);
    assert_int_equal(w.b.balance.state, NN_BALANCE_NO_BLOCK);
    world_release(&w);
}

static void only_so_many_moves_are_under_way_at_a_node(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    w.b.conf.balance_moves = 3;
    settle(&w, 0, 40, 1, 1, 1);
    assert_int_equal(start(&w, 1), 0);
    pass(&w, 3000, all);
    assert_int_equal(w.b.balance.moves.count, 3);
    world_release(&w);
}

static void nodes_that_are_excluded_take_no_part(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    settle(&w, 0, 40, 1, 1, 1);
    const struct slice without[] = {slice_str("dn4")};
    const struct nn_balance_ask ask = {
        .threshold = 2, .idle_max = 2, .without = without, .without_count = 1};
    assert_int_equal(nn_balance_start(&w.b.balance, &ask, w.now_ms), 0);
    run(&w, 60000);
    assert_int_equal(w.b.balance.state, NN_BALANCE_BALANCED);
    assert_int_equal(held(&w, 4), 0);
    world_release(&w);
}

static void only_sources_give(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    settle(&w, 0, 30, 1, 1, 1);
    settle(&w, 30, 30, 1, 2, 1);
    const struct slice source[] = {slice_str("dn2")};
    const struct nn_balance_ask ask = {
        .threshold = 2, .idle_max = 2, .source = source, .source_count = 1};
    assert_int_equal(nn_balance_start(&w.b.balance, &ask, w.now_ms), 0);
    run(&w, 60000);
    assert_int_equal(held(&w, 1), 30);
    assert_in_range(held(&w, 2), 10, 18);
    assert_int_equal(w.b.balance.state, NN_BALANCE_NO_BLOCK);
    world_release(&w);
}

static void there_is_one_run_at_a_time_and_it_ends_with_whoever_asked(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    settle(&w, 0, 40, 1, 1, 1);
    assert_int_equal(start(&w, 1), 0);
    assert_int_equal(start(&w, 1), ERR_BUSY);
    uint64_t session = w.b.balance.session;
    pass(&w, 31000, all);
    assert_int_equal(w.b.balance.state, NN_BALANCE_IDLE);
    assert_false(nn_balance_poll(&w.b.balance, session, w.now_ms));
    assert_int_equal(start(&w, 1), 0);
    nn_balance_stop(&w.b.balance, session); /* an old one's */
    assert_int_not_equal(w.b.balance.state, NN_BALANCE_IDLE);
    nn_balance_stop(&w.b.balance, w.b.balance.session);
    assert_int_equal(w.b.balance.state, NN_BALANCE_IDLE);
    world_release(&w);
}

static void moves_that_all_fail_end_the_run(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    settle(&w, 0, 20, 1, 1, 1);
    assert_int_equal(start(&w, 1), 0);
    for (int i = 0; i < 200 && w.b.balance.state != NN_BALANCE_NO_PROGRESS; i++) {
        pass(&w, 1000, all);
        struct nn_order *order = NULL;
        while ((order = next_order(&w, NN_ORDER_COPY)) != NULL) {
            (void)nn_blocks_copied(&w.b, order->node, order->block, order->targets[0], ERR_IO,
                                   w.now_ms);
            nn_order_free(order);
        }
        assert_true(nn_balance_poll(&w.b.balance, w.b.balance.session, w.now_ms));
    }
    assert_int_equal(w.b.balance.state, NN_BALANCE_NO_PROGRESS);
    assert_int_equal(w.b.balance.moves.count, 0);
    assert_int_equal(held(&w, 1), 20);
    world_release(&w);
}

static void a_move_whose_node_is_lost_has_failed_and_its_block_is_whole(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    settle(&w, 0, 20, 1, 1, 1);
    assert_int_equal(start(&w, 1), 0);
    pass(&w, 1000, all);
    struct nn_order *order = next_order(&w, NN_ORDER_COPY);
    uint32_t target = order->targets[0];
    nn_blocks_disconnect(&w.b, target, nn_nodes_get(&w.b.nodes, target)->session, w.now_ms);
    pass(&w, 1000, all & ~(1ULL << target));
    assert_true(w.b.balance.failed > 0);
    assert_int_equal(held(&w, 1), 20);
    nn_order_free(order);
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_node_gives_to_empty_ones_until_all_are_near_the_mean),
        cmocka_unit_test(a_balanced_cluster_is_left_alone),
        cmocka_unit_test(blocks_never_come_onto_fewer_racks),
        cmocka_unit_test(the_replica_of_the_full_node_stays_until_the_copy_is_there),
        cmocka_unit_test(what_a_node_has_not_reported_again_is_not_moved),
        cmocka_unit_test(small_blocks_stay_where_they_are),
        cmocka_unit_test(only_so_many_moves_are_under_way_at_a_node),
        cmocka_unit_test(nodes_that_are_excluded_take_no_part),
        cmocka_unit_test(only_sources_give),
        cmocka_unit_test(there_is_one_run_at_a_time_and_it_ends_with_whoever_asked),
        cmocka_unit_test(moves_that_all_fail_end_the_run),
        cmocka_unit_test(a_move_whose_node_is_lost_has_failed_and_its_block_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
