/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/namenode/blocks/fixture.h"

#define DEAD_MS (631 * 1000)

static uint64_t alive(unsigned from, unsigned to)
{
    uint64_t set = 0;
    for (unsigned i = from; i <= to; i++)
        set |= 1ULL << i;
    return set;
}

static void want(struct world *w, uint32_t node, enum nn_wanted wanted)
{
    assert_int_equal(nn_blocks_want(&w->b, node, wanted, 0, w->now_ms), 0);
}

static enum nn_node_admin admin_of(struct world *w, uint32_t node)
{
    return nn_nodes_get(&w->b.nodes, node)->admin;
}

static struct nn_health health(struct world *w, uint32_t block)
{
    return nn_replicate_health(&w->b.replicate, block);
}

/* Let every ordered copy succeed, for so long. Returns how many were made. */
static unsigned copy_all(struct world *w, uint64_t ms, uint64_t living)
{
    unsigned n = 0;
    for (uint64_t end = w->now_ms + ms; w->now_ms < end;) {
        pass(w, 1000, living);
        struct nn_order *order = NULL;
        while ((order = next_order(w, NN_ORDER_COPY)) != NULL) {
            for (size_t i = 0; i < order->target_count; i++, n++)
                received(w, order->targets[i], order->block.id, order->block.gs);
            nn_order_free(order);
        }
    }
    return n;
}

static void a_node_has_left_when_all_it_holds_is_elsewhere(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 2, 5);
    uint32_t block = settled_block(&w, FIRST_ID, 3, 1, 3);
    want(&w, 1, NN_WANTED_GONE);
    assert_int_equal(admin_of(&w, 1), NN_NODE_DECOMMISSIONING);
    pass(&w, 2000, alive(1, 5));
    assert_int_equal(nn_leaving_find(&w.b.leaving, 1)->waiting.count, 1);
    assert_int_equal(admin_of(&w, 1), NN_NODE_DECOMMISSIONING);
    assert_int_equal(copy_all(&w, 20000, alive(1, 5)), 1);
    assert_int_equal(admin_of(&w, 1), NN_NODE_DECOMMISSIONED);
    assert_null(nn_leaving_find(&w.b.leaving, 1));
    assert_int_equal(health(&w, block).staying, 3);
    assert_int_equal(health(&w, block).leaving, 1); /* what it holds stays there */
    no_order(&w, NN_ORDER_DELETE);
    world_release(&w);
}

static void no_new_replica_is_put_on_a_node_that_leaves(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 3);
    settled_block(&w, FIRST_ID, 2, 1, 2);
    want(&w, 1, NN_WANTED_GONE);
    want(&w, 3, NN_WANTED_RESTING);
    pass(&w, 10000, alive(1, 3));
    no_order(&w, NN_ORDER_COPY);
    struct nn_place_ask ask = {.block_size = 1, .count = 3};
    struct nn_placed placed;
    struct err err = {0};
    assert_int_equal(nn_blocks_place(&w.b, &ask, slice_str("/f"), &placed, &err), 0);
    assert_int_equal(placed.count, 1);
    assert_int_equal(placed.nodes[0], 2);
    world_release(&w);
}

static void a_replica_that_is_only_on_a_leaving_node_is_copied_first(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 3);
    uint32_t block = settled_block(&w, FIRST_ID, 1, 1, 1);
    want(&w, 1, NN_WANTED_GONE);
    pass(&w, 1000, alive(1, 3));
    struct nn_order *order = next_order(&w, NN_ORDER_COPY);
    assert_non_null(order);
    assert_int_equal(order->node, 1);
    nn_order_free(order);
    assert_int_equal(admin_of(&w, 1), NN_NODE_DECOMMISSIONING);
    assert_int_equal(health(&w, block).staying, 0);
    world_release(&w);
}

static void a_block_being_written_keeps_its_node_until_it_is_closed_and_copied(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 4);
    const uint32_t pipeline[] = {1, 2};
    uint32_t block = add_block(&w, FIRST_ID, 2);
    assert_int_equal(nn_blocks_set_pipeline(&w.b, block, pipeline, 2), 0);
    want(&w, 1, NN_WANTED_GONE);
    assert_int_equal(copy_all(&w, 20000, alive(1, 4)), 0);
    assert_int_equal(admin_of(&w, 1), NN_NODE_DECOMMISSIONING);
    assert_int_equal(nn_leaving_find(&w.b.leaving, 1)->open, 1);
    assert_int_equal(nn_blocks_commit(&w.b, block, FIRST_GS, TEST_LEN), 0);
    received(&w, 1, FIRST_ID, FIRST_GS);
    received(&w, 2, FIRST_ID, FIRST_GS);
    nn_blocks_complete(&w.b, block);
    pass(&w, 2000, alive(1, 4));
    assert_int_equal(admin_of(&w, 1), NN_NODE_DECOMMISSIONING);
    assert_int_equal(copy_all(&w, 20000, alive(1, 4)), 1);
    assert_int_equal(admin_of(&w, 1), NN_NODE_DECOMMISSIONED);
    assert_int_equal(health(&w, block).staying, 2);
    world_release(&w);
}

static void an_open_replica_found_by_a_report_keeps_its_node_too(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 3);
    add_block(&w, FIRST_ID, 2);
    struct nn_said rwr = {FIRST_ID, FIRST_GS, 100, NN_REPLICA_RWR};
    world_register(&w, 1);
    assert_int_equal(world_report(&w, 1, &rwr, 1), 0);
    want(&w, 1, NN_WANTED_GONE);
    pass(&w, 20000, alive(1, 3));
    assert_int_equal(admin_of(&w, 1), NN_NODE_DECOMMISSIONING);
    world_release(&w);
}

static void a_replica_on_a_node_that_has_not_reported_again_counts_for_nothing(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 4);
    struct nn_said said = {FIRST_ID, FIRST_GS, TEST_LEN, NN_REPLICA_FINALIZED};
    want(&w, 1, NN_WANTED_GONE);
    settled_block(&w, FIRST_ID, 2, 1, 3);
    world_register(&w, 2);
    pass(&w, 20000, alive(1, 4));
    assert_int_equal(admin_of(&w, 1), NN_NODE_DECOMMISSIONING);
    assert_int_equal(world_report(&w, 2, &said, 1), 0);
    pass(&w, 20000, alive(1, 4));
    assert_int_equal(admin_of(&w, 1), NN_NODE_DECOMMISSIONED);
    world_release(&w);
}

static void a_node_that_has_not_reported_itself_has_not_left(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 3);
    world_register(&w, 1);
    want(&w, 1, NN_WANTED_GONE);
    pass(&w, 20000, alive(1, 3));
    assert_int_equal(admin_of(&w, 1), NN_NODE_DECOMMISSIONING);
    assert_int_equal(world_report(&w, 1, NULL, 0), 0);
    pass(&w, 5000, alive(1, 3));
    assert_int_equal(admin_of(&w, 1), NN_NODE_DECOMMISSIONED);
    world_release(&w);
}

static void more_replicas_than_nodes_that_stay_hold_nobody_back(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 3);
    settled_block(&w, FIRST_ID, 3, 1, 3);
    want(&w, 3, NN_WANTED_GONE);
    pass(&w, 10000, alive(1, 3));
    assert_int_equal(admin_of(&w, 3), NN_NODE_DECOMMISSIONED);
    world_release(&w);
}

static void a_dead_node_that_may_come_back_is_one_more_that_could_take_a_replica(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 3);
    settled_block(&w, FIRST_ID, 3, 1, 3);
    pass(&w, DEAD_MS, alive(2, 3));
    assert_int_equal(nn_nodes_get(&w.b.nodes, 1)->state, NN_NODE_DEAD);
    want(&w, 3, NN_WANTED_GONE);
    pass(&w, 20000, alive(2, 3));
    assert_int_equal(admin_of(&w, 3), NN_NODE_DECOMMISSIONING);
    world_release(&w);
}

static void a_block_with_no_good_replica_keeps_the_node_of_its_bad_one(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 3);
    settled_block(&w, FIRST_ID, 1, 1, 1);
    assert_int_equal(nn_blocks_mark_bad(&w.b, (struct block_id){FIRST_ID, FIRST_GS}, 1), 0);
    want(&w, 1, NN_WANTED_GONE);
    pass(&w, 20000, alive(1, 3));
    assert_int_equal(admin_of(&w, 1), NN_NODE_DECOMMISSIONING);
    world_release(&w);
}

static void a_node_taken_back_serves_and_what_is_too_much_then_goes(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 4);
    uint32_t block = settled_block(&w, FIRST_ID, 3, 1, 3);
    want(&w, 1, NN_WANTED_GONE);
    copy_all(&w, 20000, alive(1, 4));
    assert_int_equal(admin_of(&w, 1), NN_NODE_DECOMMISSIONED);
    want(&w, 1, NN_WANTED_IN_SERVICE);
    assert_int_equal(admin_of(&w, 1), NN_NODE_NORMAL);
    pass(&w, 5000, alive(1, 4));
    assert_int_equal(health(&w, block).staying, 3);
    assert_int_equal(nn_blocks_stats(&w.b).pending_deletion, 1);
    world_release(&w);
}

static void a_node_that_left_and_returns_from_the_dead_is_looked_at_anew(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 4);
    want(&w, 1, NN_WANTED_GONE);
    pass(&w, 5000, alive(1, 4));
    assert_int_equal(admin_of(&w, 1), NN_NODE_DECOMMISSIONED);
    settled_block(&w, FIRST_ID, 2, 2, 1);
    pass(&w, DEAD_MS, alive(2, 4));
    world_register(&w, 1);
    assert_int_equal(admin_of(&w, 1), NN_NODE_DECOMMISSIONING);
    world_release(&w);
}

static void a_leaving_node_that_dies_has_left_when_nothing_is_short(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 4);
    settled_block(&w, FIRST_ID, 2, 1, 2);
    want(&w, 1, NN_WANTED_GONE);
    pass(&w, DEAD_MS, alive(2, 4)); /* copies are ordered, and time out */
    assert_int_equal(nn_nodes_get(&w.b.nodes, 1)->state, NN_NODE_DEAD);
    assert_int_equal(admin_of(&w, 1), NN_NODE_DECOMMISSIONING);
    no_order(&w, NN_ORDER_DELETE); /* those copies are lost */
    copy_all(&w, 400 * 1000, alive(2, 4));
    assert_int_equal(admin_of(&w, 1), NN_NODE_DECOMMISSIONED);
    world_release(&w);
}

static void the_racks_of_those_that_leave_do_not_count(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 2, 6); /* odd ones on /r0, even ones on /r1 */
    uint32_t block = add_block(&w, FIRST_ID, 2);
    assert_int_equal(nn_blocks_commit(&w.b, block, FIRST_GS, TEST_LEN), 0);
    nn_blocks_complete(&w.b, block);
    received(&w, 1, FIRST_ID, FIRST_GS);
    received(&w, 2, FIRST_ID, FIRST_GS);
    want(&w, 2, NN_WANTED_GONE);
    copy_all(&w, 20000, alive(1, 6));
    assert_int_equal(admin_of(&w, 2), NN_NODE_DECOMMISSIONED);
    assert_int_equal(health(&w, block).staying, 2);
    assert_int_equal(health(&w, block).racks, 2);
    world_release(&w);
}

/* ---- maintenance ---- */

static void a_node_may_rest_when_each_block_has_one_other_replica(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 4);
    uint32_t block = settled_block(&w, FIRST_ID, 3, 1, 3);
    want(&w, 1, NN_WANTED_RESTING);
    assert_int_equal(admin_of(&w, 1), NN_NODE_ENTERING_MAINTENANCE);
    pass(&w, 5000, alive(1, 4));
    assert_int_equal(admin_of(&w, 1), NN_NODE_IN_MAINTENANCE);
    no_order(&w, NN_ORDER_COPY);
    assert_int_equal(nn_blocks_stats(&w.b).under_replicated, 0);
    assert_int_equal(health(&w, block).need, 2);
    world_release(&w);
}

static void the_only_replica_is_copied_before_its_node_rests(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 3);
    uint32_t block = settled_block(&w, FIRST_ID, 1, 1, 1);
    want(&w, 1, NN_WANTED_RESTING);
    pass(&w, 1000, alive(1, 3));
    assert_int_equal(admin_of(&w, 1), NN_NODE_ENTERING_MAINTENANCE);
    assert_int_equal(copy_all(&w, 10000, alive(1, 3)), 1);
    assert_int_equal(admin_of(&w, 1), NN_NODE_IN_MAINTENANCE);
    assert_int_equal(health(&w, block).staying, 1);
    world_release(&w);
}

static void what_a_resting_node_holds_is_not_copied_when_it_is_switched_off(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 4);
    uint32_t block = settled_block(&w, FIRST_ID, 3, 1, 3);
    struct nn_said said = {FIRST_ID, FIRST_GS, TEST_LEN, NN_REPLICA_FINALIZED};
    want(&w, 1, NN_WANTED_RESTING);
    pass(&w, 5000, alive(1, 4));
    pass(&w, DEAD_MS, alive(2, 4));
    assert_int_equal(nn_nodes_get(&w.b.nodes, 1)->state, NN_NODE_DEAD);
    pass(&w, 20000, alive(2, 4));
    no_order(&w, NN_ORDER_COPY);
    assert_int_equal(health(&w, block).good, 2);
    assert_int_equal(health(&w, block).resting, 1);
    world_register(&w, 1);
    assert_int_equal(world_report(&w, 1, &said, 1), 0);
    assert_int_equal(admin_of(&w, 1), NN_NODE_IN_MAINTENANCE);
    want(&w, 1, NN_WANTED_IN_SERVICE);
    pass(&w, 10000, alive(1, 4));
    assert_int_equal(health(&w, block).staying, 3);
    no_order(&w, NN_ORDER_COPY);
    world_release(&w);
}

static void a_rest_that_ends_while_the_node_is_dead_is_a_death(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 4);
    uint32_t block = settled_block(&w, FIRST_ID, 3, 1, 3);
    uint64_t until = w.now_ms + DEAD_MS + 60000;
    assert_int_equal(nn_blocks_want(&w.b, 1, NN_WANTED_RESTING, until, w.now_ms), 0);
    pass(&w, 5000, alive(1, 4));
    assert_int_equal(admin_of(&w, 1), NN_NODE_IN_MAINTENANCE);
    pass(&w, DEAD_MS + 10000, alive(2, 4));
    no_order(&w, NN_ORDER_COPY);
    assert_int_equal(copy_all(&w, 100000, alive(2, 4)), 1);
    assert_int_equal(admin_of(&w, 1), NN_NODE_NORMAL);
    assert_int_equal(health(&w, block).staying, 3);
    assert_int_equal(health(&w, block).resting, 0);
    world_release(&w);
}

static void a_block_being_written_lets_a_node_rest_when_another_has_it(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 4);
    const uint32_t both[] = {1, 2}, alone[] = {3};
    uint32_t block = add_block(&w, FIRST_ID, 2), other = add_block(&w, FIRST_ID + 1, 2);
    assert_int_equal(nn_blocks_set_pipeline(&w.b, block, both, 2), 0);
    assert_int_equal(nn_blocks_set_pipeline(&w.b, other, alone, 1), 0);
    want(&w, 1, NN_WANTED_RESTING);
    want(&w, 3, NN_WANTED_RESTING);
    pass(&w, 20000, alive(1, 4));
    assert_int_equal(admin_of(&w, 1), NN_NODE_IN_MAINTENANCE);
    assert_int_equal(admin_of(&w, 3), NN_NODE_ENTERING_MAINTENANCE);
    world_release(&w);
}

/* ---- refused ---- */

static void a_refused_node_counts_as_dead_at_once(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 4);
    uint32_t block = settled_block(&w, FIRST_ID, 3, 1, 3);
    want(&w, 1, NN_WANTED_REFUSED);
    assert_int_equal(nn_nodes_get(&w.b.nodes, 1)->state, NN_NODE_DEAD);
    assert_true(nn_nodes_get(&w.b.nodes, 1)->is_refused);
    assert_int_equal(copy_all(&w, 20000, alive(2, 4)), 1);
    assert_int_equal(health(&w, block).staying, 3);
    world_release(&w);
}

static void a_block_that_goes_is_waited_for_no_more(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 2);
    uint32_t block = settled_block(&w, FIRST_ID, 3, 1, 1);
    want(&w, 1, NN_WANTED_GONE);
    pass(&w, 1000, alive(1, 2));
    assert_int_equal(nn_leaving_find(&w.b.leaving, 1)->waiting.count, 1);
    nn_blocks_remove(&w.b, block);
    assert_int_equal(nn_leaving_find(&w.b.leaving, 1)->waiting.count, 0);
    pass(&w, 10000, alive(1, 2));
    assert_int_equal(admin_of(&w, 1), NN_NODE_DECOMMISSIONED);
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_has_left_when_all_it_holds_is_elsewhere),
        cmocka_unit_test(no_new_replica_is_put_on_a_node_that_leaves),
        cmocka_unit_test(a_replica_that_is_only_on_a_leaving_node_is_copied_first),
        cmocka_unit_test(a_block_being_written_keeps_its_node_until_it_is_closed_and_copied),
        cmocka_unit_test(an_open_replica_found_by_a_report_keeps_its_node_too),
        cmocka_unit_test(a_replica_on_a_node_that_has_not_reported_again_counts_for_nothing),
        cmocka_unit_test(a_node_that_has_not_reported_itself_has_not_left),
        cmocka_unit_test(more_replicas_than_nodes_that_stay_hold_nobody_back),
        cmocka_unit_test(a_dead_node_that_may_come_back_is_one_more_that_could_take_a_replica),
        cmocka_unit_test(a_block_with_no_good_replica_keeps_the_node_of_its_bad_one),
        cmocka_unit_test(a_node_taken_back_serves_and_what_is_too_much_then_goes),
        cmocka_unit_test(a_node_that_left_and_returns_from_the_dead_is_looked_at_anew),
        cmocka_unit_test(a_leaving_node_that_dies_has_left_when_nothing_is_short),
        cmocka_unit_test(the_racks_of_those_that_leave_do_not_count),
        cmocka_unit_test(a_node_may_rest_when_each_block_has_one_other_replica),
        cmocka_unit_test(the_only_replica_is_copied_before_its_node_rests),
        cmocka_unit_test(what_a_resting_node_holds_is_not_copied_when_it_is_switched_off),
        cmocka_unit_test(a_rest_that_ends_while_the_node_is_dead_is_a_death),
        cmocka_unit_test(a_block_being_written_lets_a_node_rest_when_another_has_it),
        cmocka_unit_test(a_refused_node_counts_as_dead_at_once),
        cmocka_unit_test(a_block_that_goes_is_waited_for_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
