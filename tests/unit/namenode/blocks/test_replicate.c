/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/namenode/blocks/fixture.h"

#define ALL     0xffffffffffffffffULL
#define DEAD_MS (631 * 1000)

static uint64_t alive(unsigned from, unsigned to)
{
    uint64_t set = 0;
    for (unsigned i = from; i <= to; i++)
        set |= 1ULL << i;
    return set;
}

static struct nn_health health(struct world *w, uint32_t block)
{
    return nn_replicate_health(&w->b.replicate, block);
}

static void a_missing_replica_is_copied_from_a_node_that_has_it_to_one_that_has_not(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 2, 5);
    uint32_t block = settled_block(&w, FIRST_ID, 3, 1, 2);
    assert_int_equal(nn_replicate_queued(&w.b.replicate, 3), 1);
    pass(&w, 4000, alive(1, 5));
    struct nn_order *order = next_order(&w, NN_ORDER_COPY);
    assert_non_null(order);
    assert_in_range(order->node, 1, 2);
    assert_int_equal(order->target_count, 1);
    assert_in_range(order->targets[0], 3, 5);
    assert_int_equal(order->block.id, FIRST_ID);
    assert_int_equal(order->len, TEST_LEN);
    assert_int_equal(health(&w, block).pending, 1);
    received(&w, order->targets[0], FIRST_ID, FIRST_GS);
    assert_int_equal(health(&w, block).pending, 0);
    assert_int_equal(health(&w, block).good, 3);
    assert_int_equal(nn_nodes_get(&w.b.nodes, order->node)->copies_out, 0);
    assert_int_equal(nn_nodes_get(&w.b.nodes, order->targets[0])->copies_in, 0);
    nn_order_free(order);
    pass(&w, 10000, alive(1, 5));
    no_order(&w, NN_ORDER_COPY);
    world_release(&w);
}

/* A committed block whose pipeline shrank to one: its writer waits for a second replica. */
static uint32_t waiting_block(struct world *w, uint64_t gs)
{
    uint32_t block = add_block(w, FIRST_ID, 3), survivor = 1;
    assert_int_equal(nn_blocks_set_pipeline(&w->b, block, &survivor, 1), 0);
    if (gs > FIRST_GS)
        assert_int_equal(nn_blocks_restamp(&w->b, block, gs, TEST_LEN), 0);
    received(w, 1, FIRST_ID, gs);
    assert_int_equal(nn_blocks_commit(&w->b, block, gs, TEST_LEN), 0);
    assert_false(nn_blocks_is_ready(&w->b, block));
    return block;
}

static void a_writer_gets_his_second_replica_even_while_the_cluster_settles(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 3);
    w.b.conf.settle_ms = 30000;
    w.b.started_ms = w.b.now_ms;
    waiting_block(&w, FIRST_GS);
    pass(&w, 4000, alive(1, 3));
    struct nn_order *order = next_order(&w, NN_ORDER_COPY);
    assert_non_null(order);
    nn_order_free(order);
    world_release(&w);
}

static void a_writer_left_with_one_replica_gets_a_second_one(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 3);
    uint32_t block = waiting_block(&w, FIRST_GS);
    pass(&w, 4000, alive(1, 3));
    struct nn_order *order = next_order(&w, NN_ORDER_COPY);
    assert_non_null(order);
    assert_int_equal(order->node, 1);
    received(&w, order->targets[0], FIRST_ID, FIRST_GS);
    nn_order_free(order);
    assert_true(nn_blocks_is_ready(&w.b, block));
    assert_int_equal(w.ready_count, 1);
    world_release(&w);
}

static void what_a_pipeline_left_behind_makes_room_for_the_copy_its_writer_waits_for(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 3);
    struct nn_said old = {FIRST_ID, FIRST_GS, 100, NN_REPLICA_RWR};
    uint32_t block = waiting_block(&w, FIRST_GS + 1);
    for (unsigned i = 2; i <= 3; i++) {
        world_register(&w, i);
        assert_int_equal(world_report(&w, i, &old, 1), 0);
    }
    nn_blocks_set_durable(&w.b, w.b.applied);
    pass(&w, 4000, alive(1, 3));
    for (unsigned i = 2; i <= 3; i++)
        assert_int_equal(say(&w, i, NN_CHANGE_DELETED, FIRST_ID, FIRST_GS, 100), 0);
    pass(&w, 4000, alive(1, 3));
    struct nn_order *order = next_order(&w, NN_ORDER_COPY);
    assert_non_null(order);
    received(&w, order->targets[0], FIRST_ID, FIRST_GS + 1);
    nn_order_free(order);
    assert_true(nn_blocks_is_ready(&w.b, block));
    world_release(&w);
}

static void a_node_out_of_reach_is_no_place_for_the_copy_a_writer_waits_for(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 3);
    struct nn_said old = {FIRST_ID, FIRST_GS, 100, NN_REPLICA_RWR};
    uint32_t block = waiting_block(&w, FIRST_GS + 1);
    world_register(&w, 2);
    assert_int_equal(world_report(&w, 2, &old, 1), 0);
    nn_blocks_set_durable(&w.b, w.b.applied);
    uint64_t session = nn_nodes_get(&w.b.nodes, 3)->session;
    nn_blocks_disconnect(&w.b, 3, session, w.now_ms); /* and it stays away, and is not dead yet */
    pass(&w, 4000, alive(1, 2));
    assert_int_equal(say(&w, 2, NN_CHANGE_DELETED, FIRST_ID, FIRST_GS, 100), 0);
    pass(&w, 4000, alive(1, 2));
    struct nn_order *order = next_order(&w, NN_ORDER_COPY);
    assert_non_null(order);
    assert_int_equal(order->targets[0], 2);
    received(&w, 2, FIRST_ID, FIRST_GS + 1);
    nn_order_free(order);
    assert_true(nn_blocks_is_ready(&w.b, block));
    world_release(&w);
}

static void a_copy_whose_nodes_are_out_of_reach_is_ordered_elsewhere(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 4);
    (void)settled_block(&w, FIRST_ID, 3, 1, 2);
    pass(&w, 4000, alive(1, 4));
    struct nn_order *order = next_order(&w, NN_ORDER_COPY);
    assert_non_null(order);
    uint32_t target = order->targets[0];
    nn_order_free(order);
    nn_blocks_disconnect(&w.b, target, nn_nodes_get(&w.b.nodes, target)->session, w.now_ms);
    pass(&w, 4000, alive(1, 4));
    order = next_order(&w, NN_ORDER_COPY);
    assert_non_null(order);
    assert_int_equal(order->targets[0], 3 + 4 - target);
    nn_order_free(order);
    world_release(&w);
}

static void no_copy_is_made_while_the_writers_own_nodes_are_about_to_finish(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 6);
    const uint32_t pipeline[] = {1, 2, 3};
    uint32_t block = add_block(&w, FIRST_ID, 3);
    assert_int_equal(nn_blocks_set_pipeline(&w.b, block, pipeline, 3), 0);
    assert_int_equal(nn_blocks_commit(&w.b, block, FIRST_GS, TEST_LEN), 0);
    assert_int_equal(nn_blocks_stats(&w.b).missing, 0);
    received(&w, 1, FIRST_ID, FIRST_GS);
    pass(&w, 4000, alive(1, 6));
    no_order(&w, NN_ORDER_COPY);
    received(&w, 2, FIRST_ID, FIRST_GS);
    received(&w, 3, FIRST_ID, FIRST_GS);
    pass(&w, 40000, alive(1, 6));
    no_order(&w, NN_ORDER_COPY);
    assert_int_equal(health(&w, block).good, 3);
    world_release(&w);
}

static void the_fewer_replicas_are_left_the_sooner_it_is_copied(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 20);
    settled_block(&w, 1, 3, 1, 2);
    settled_block(&w, 2, 10, 1, 3);
    settled_block(&w, 3, 3, 1, 1);
    settled_block(&w, 4, 3, 1, 0);
    for (unsigned level = 1; level <= 3; level++)
        assert_int_equal(nn_replicate_queued(&w.b.replicate, level), 1);
    assert_int_equal(nn_replicate_queued(&w.b.replicate, 5), 1);
    pass(&w, 4000, alive(1, 20));
    const uint64_t expected[] = {3, 2, 1};
    for (size_t i = 0; i < 3; i++) {
        struct nn_order *order = next_order(&w, NN_ORDER_COPY);
        assert_int_equal(order->block.id, expected[i]);
        nn_order_free(order);
    }
    assert_int_equal(nn_blocks_stats(&w.b).missing, 1);
    world_release(&w);
}

static void a_dead_node_is_replaced_at_a_bounded_pace(void **state)
{
    (void)state;
    struct world w;
    unsigned most = 0, total = 0;
    world_start(&w, 2, 6);
    for (uint64_t id = 1; id <= 60; id++)
        settled_block(&w, id, 2, 1, 2);
    pass(&w, DEAD_MS, alive(2, 6));
    for (int period = 0; period < 60 && total < 60; period++) {
        unsigned n = 0;
        pass(&w, 3000, alive(2, 6));
        for (struct nn_order *o = next_order(&w, NN_ORDER_COPY); o;
             o = next_order(&w, NN_ORDER_COPY)) {
            n++;
            for (size_t t = 0; t < o->target_count; t++)
                received(&w, o->targets[t], o->block.id, o->block.gs);
            nn_order_free(o);
        }
        most = n > most ? n : most;
        total += n;
    }
    assert_int_equal(total, 60);
    assert_true(most <= 5 * 2); /* work multiplier 2 per living node and period */
    assert_int_equal(nn_blocks_stats(&w.b).under_replicated, 0);
    world_release(&w);
}

/* Only node 3 lacks them, and takes two at a time: each copy that ends makes room for the next. */
static void where_there_is_one_target_it_is_kept_busy_within_a_period(void **state)
{
    (void)state;
    struct world w;
    unsigned total = 0, at_once = 0;
    world_start(&w, 1, 3);
    pass(&w, 60000, alive(1, 3));
    for (uint64_t id = 1; id <= 20; id++)
        settled_block(&w, id, 3, 1, 2);
    pass(&w, 1000, alive(1, 3));
    for (int event = 0; event < 20; event++) {
        struct nn_order *held[4];
        size_t n = 0;
        for (struct nn_order *o; n < 4 && (o = next_order(&w, NN_ORDER_COPY));)
            held[n++] = o;
        at_once = n > at_once ? (unsigned)n : at_once;
        for (size_t i = 0; i < n; i++) {
            received(&w, 3, held[i]->block.id, held[i]->block.gs);
            nn_order_free(held[i]);
        }
        total += (unsigned)n;
        w.now_ms += 101;
        assert_int_equal(nn_blocks_step(&w.b, w.now_ms), 0);
    }
    assert_int_equal(at_once, 2);
    assert_int_equal(total, 3 * 2); /* and no more than the period's: two a living node */
    world_release(&w);
}

static void no_node_sends_more_copies_at_a_time_than_its_limit(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 10);
    for (uint64_t id = 1; id <= 30; id++)
        settled_block(&w, id, 3, 1, 2); /* only dn1 and dn2 can send; level 3 */
    pass(&w, 30000, alive(1, 10));
    assert_int_equal(nn_nodes_get(&w.b.nodes, 1)->copies_out, 2);
    assert_int_equal(nn_nodes_get(&w.b.nodes, 2)->copies_out, 2);
    assert_int_equal(w.b.replicate.pendings.by_block.count, 4);
    world_release(&w);
}

/* Blocks that nodes 1 to n are to keep room for. */
static uint32_t promises(const struct world *w, uint32_t nodes)
{
    uint32_t n = 0;
    for (uint32_t node = 1; node <= nodes; node++)
        n += nn_nodes_get(&w->b.nodes, node)->scheduled +
             nn_nodes_get(&w->b.nodes, node)->scheduled_last;
    return n;
}

static void a_copy_that_never_arrives_is_ordered_again(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 3);
    settled_block(&w, FIRST_ID, 2, 1, 1);
    pass(&w, 4000, alive(1, 3));
    struct nn_order *order = next_order(&w, NN_ORDER_COPY);
    assert_non_null(order);
    nn_order_free(order);
    pass(&w, 200000, alive(1, 3));
    no_order(&w, NN_ORDER_COPY);
    pass(&w, 110000, alive(1, 3));
    order = next_order(&w, NN_ORDER_COPY);
    assert_non_null(order);
    assert_int_equal(promises(&w, 3), 1);
    nn_order_free(order);
    world_release(&w);
}

static void a_copy_that_fails_is_tried_again_soon_and_a_bad_source_is_not_used_twice(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 4);
    uint32_t block = settled_block(&w, FIRST_ID, 3, 1, 2);
    pass(&w, 4000, alive(1, 4));
    struct nn_order *order = next_order(&w, NN_ORDER_COPY);
    uint32_t source = order->node;
    assert_int_equal(
        nn_blocks_copied(&w.b, source, order->block, order->targets[0], ERR_CHECKSUM, w.now_ms), 0);
    nn_order_free(order);
    assert_int_equal(promises(&w, 4), 0);
    assert_int_equal(health(&w, block).bad, 1);
    assert_int_equal(health(&w, block).good, 1);
    pass(&w, 4000, alive(1, 4));
    order = next_order(&w, NN_ORDER_COPY);
    assert_non_null(order);
    assert_int_not_equal(order->node, source);
    nn_order_free(order);
    world_release(&w);
}

static void a_surplus_replica_is_deleted_and_stays_gone_whatever_late_reports_say(void **state)
{
    (void)state;
    struct world w;
    struct nn_said said = {FIRST_ID, FIRST_GS, TEST_LEN, NN_REPLICA_FINALIZED};
    world_start(&w, 1, 4);
    uint32_t block = settled_block(&w, FIRST_ID, 2, 1, 3);
    assert_int_equal(health(&w, block).good, 2);
    pass(&w, 2000, alive(1, 4));
    struct nn_order *order = next_order(&w, NN_ORDER_DELETE);
    unsigned victim = order->node;
    nn_order_free(order);
    assert_int_equal(world_report(&w, victim, &said, 1), 0); /* written before the order came */
    assert_int_equal(health(&w, block).good, 2);
    pass(&w, 2000, alive(1, 4));
    order = next_order(&w, NN_ORDER_DELETE); /* the same one again, and no other */
    assert_int_equal(order->node, victim);
    nn_order_free(order);
    assert_int_equal(say(&w, victim, NN_CHANGE_DELETED, FIRST_ID, FIRST_GS, TEST_LEN), 0);
    pass(&w, 5000, alive(1, 4));
    no_order(&w, NN_ORDER_DELETE);
    assert_int_equal(nn_blocks_stats(&w.b).pending_deletion, 0);
    assert_int_equal(health(&w, block).good, 2);
    world_release(&w);
}

static void surplus_waits_until_every_storage_has_reported_since_it_registered(void **state)
{
    (void)state;
    struct world w;
    struct nn_said said = {FIRST_ID, FIRST_GS, TEST_LEN, NN_REPLICA_FINALIZED};
    world_start(&w, 1, 3);
    uint32_t block = settled_block(&w, FIRST_ID, 2, 1, 2);
    world_register(&w, 1); /* came back, has not reported */
    received(&w, 3, FIRST_ID, FIRST_GS);
    assert_int_equal(health(&w, block).good, 3);
    pass(&w, 5000, alive(1, 3));
    no_order(&w, NN_ORDER_DELETE);
    assert_int_equal(nn_blocks_stats(&w.b).postponed, 1);
    assert_int_equal(world_report(&w, 1, &said, 1), 0);
    pass(&w, 2000, alive(1, 3));
    struct nn_order *order = next_order(&w, NN_ORDER_DELETE);
    assert_non_null(order);
    nn_order_free(order);
    assert_int_equal(health(&w, block).good, 2);
    world_release(&w);
}

static void a_returning_node_makes_the_queued_copies_unnecessary(void **state)
{
    (void)state;
    struct world w;
    struct nn_said said[40];
    world_start(&w, 1, 4);
    w.b.conf.work_multiplier = 0; /* look at the queue only */
    for (uint64_t id = 1; id <= 40; id++) {
        settled_block(&w, id, 2, 1, 2);
        said[id - 1] = (struct nn_said){id, FIRST_GS, TEST_LEN, NN_REPLICA_FINALIZED};
    }
    pass(&w, DEAD_MS, alive(2, 4));
    assert_int_equal(nn_replicate_queued(&w.b.replicate, 1), 40);
    world_register(&w, 1);
    assert_int_equal(world_report(&w, 1, said, 40), 0);
    assert_int_equal(nn_replicate_queued(&w.b.replicate, 1), 0);
    w.b.conf.work_multiplier = 2;
    pass(&w, 9000, alive(1, 4));
    no_order(&w, NN_ORDER_COPY);
    world_release(&w);
}

static void after_a_start_nothing_is_copied_until_the_cluster_has_settled(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 3);
    w.b.conf.settle_ms = 30000;
    settled_block(&w, FIRST_ID, 2, 1, 1);
    pass(&w, 29000, alive(1, 3));
    no_order(&w, NN_ORDER_COPY);
    pass(&w, 5000, alive(1, 3));
    struct nn_order *order = next_order(&w, NN_ORDER_COPY);
    assert_non_null(order);
    nn_order_free(order);
    world_release(&w);
}

static void deleted(struct world *w, struct nn_order *order)
{
    assert_non_null(order);
    unsigned node = order->node;
    assert_int_equal(order->block_count, 1);
    struct block_id id = order->blocks[0];
    nn_order_free(order);
    assert_int_equal(say(w, node, NN_CHANGE_DELETED, id.id, id.gs, TEST_LEN), 0);
}

static void while_the_cluster_settles_only_what_no_late_node_can_bring_is_copied(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 3);
    w.b.conf.settle_ms = 30000;
    settled_block(&w, 1, 3, 1, 2); /* the third may be on its way */
    settled_block(&w, 2, 3, 1, 3);
    assert_int_equal(nn_blocks_mark_bad(&w.b, (struct block_id){2, FIRST_GS}, 3), 0);
    pass(&w, 1000, alive(1, 3));
    deleted(&w, next_order(&w, NN_ORDER_DELETE));
    pass(&w, 1000, alive(1, 3));
    struct nn_order *order = next_order(&w, NN_ORDER_COPY);
    assert_non_null(order);
    assert_int_equal(order->block.id, 2);
    assert_int_equal(order->targets[0], 3);
    nn_order_free(order);
    received(&w, 3, 2, FIRST_GS);
    pass(&w, 20000, alive(1, 3));
    no_order(&w, NN_ORDER_COPY);
    pass(&w, 10000, alive(1, 3));
    order = next_order(&w, NN_ORDER_COPY);
    assert_non_null(order);
    assert_int_equal(order->block.id, 1);
    nn_order_free(order);
    world_release(&w);
}

static void after_a_quiet_time_the_first_copy_is_ordered_at_once(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 3);
    pass(&w, 10000, alive(1, 3));
    settled_block(&w, FIRST_ID, 2, 1, 1);
    w.now_ms += 100;
    assert_int_equal(nn_blocks_step(&w.b, w.now_ms), 0);
    struct nn_order *order = next_order(&w, NN_ORDER_COPY);
    assert_non_null(order);
    nn_order_free(order);
    world_release(&w);
}

static void with_one_good_replica_left_and_no_other_node_bad_ones_go_one_by_one(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 3);
    uint32_t block = settled_block(&w, FIRST_ID, 3, 1, 3);
    struct block_id id = {FIRST_ID, FIRST_GS};
    assert_int_equal(nn_blocks_mark_bad(&w.b, id, 1), 0);
    pass(&w, 1000, alive(1, 3));
    assert_int_equal(nn_blocks_mark_bad(&w.b, id, 2), 0);
    deleted(&w, next_order(&w, NN_ORDER_DELETE));
    assert_int_equal(health(&w, block).good, 1);
    assert_int_equal(health(&w, block).bad, 1);
    pass(&w, 1000, alive(1, 3));
    no_order(&w, NN_ORDER_DELETE);
    received(&w, 1, FIRST_ID, FIRST_GS); /* the copy that was ordered */
    pass(&w, 1000, alive(1, 3));
    deleted(&w, next_order(&w, NN_ORDER_DELETE));
    assert_int_equal(health(&w, block).bad, 0);
    pass(&w, 3000, alive(1, 3));
    struct nn_order *order = next_order(&w, NN_ORDER_COPY);
    assert_non_null(order);
    assert_int_equal(order->targets[0], 2);
    nn_order_free(order);
    world_release(&w);
}

static void a_bad_replica_goes_only_when_two_good_ones_are_left(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 5);
    uint32_t block = settled_block(&w, FIRST_ID, 3, 1, 3);
    struct block_id id = {FIRST_ID, FIRST_GS};
    assert_int_equal(nn_blocks_mark_bad(&w.b, id, 1), 0);
    assert_int_equal(health(&w, block).bad, 0); /* two good ones: it is doomed at once */
    assert_int_equal(health(&w, block).good, 2);
    assert_int_equal(nn_blocks_mark_bad(&w.b, id, 2), 0);
    assert_int_equal(health(&w, block).bad, 1); /* one good one: kept */
    assert_int_equal(nn_blocks_mark_bad(&w.b, id, 3), 0);
    assert_int_equal(health(&w, block).bad, 2); /* none: all are kept */
    pass(&w, 10000, alive(1, 5));
    struct nn_order *order = next_order(&w, NN_ORDER_DELETE);
    assert_int_equal(order->node, 1);
    nn_order_free(order);
    no_order(&w, NN_ORDER_DELETE);
    assert_int_equal(nn_blocks_stats(&w.b).missing, 1);
    world_release(&w);
}

static void a_bad_replica_makes_room_when_no_other_node_is_left(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 2);
    uint32_t block = settled_block(&w, FIRST_ID, 2, 1, 2);
    assert_int_equal(nn_blocks_mark_bad(&w.b, (struct block_id){FIRST_ID, FIRST_GS}, 2), 0);
    assert_int_equal(health(&w, block).bad, 0);
    pass(&w, 2000, alive(1, 2));
    struct nn_order *order = next_order(&w, NN_ORDER_DELETE);
    assert_int_equal(order->node, 2);
    nn_order_free(order);
    assert_int_equal(say(&w, 2, NN_CHANGE_DELETED, FIRST_ID, FIRST_GS, TEST_LEN), 0);
    pass(&w, 5000, alive(1, 2));
    order = next_order(&w, NN_ORDER_COPY);
    assert_int_equal(order->targets[0], 2);
    nn_order_free(order);
    world_release(&w);
}

static void a_replica_called_bad_stays_bad_however_often_its_node_counts_it(void **state)
{
    (void)state;
    struct world w;
    struct nn_said said = {FIRST_ID, FIRST_GS, TEST_LEN, NN_REPLICA_FINALIZED};
    world_start(&w, 1, 3);
    uint32_t block = settled_block(&w, FIRST_ID, 2, 1, 1);
    assert_int_equal(nn_blocks_mark_bad(&w.b, (struct block_id){FIRST_ID, FIRST_GS}, 1), 0);
    assert_int_equal(world_report(&w, 1, &said, 1), 0);
    received(&w, 1, FIRST_ID, FIRST_GS);
    assert_int_equal(health(&w, block).good, 0);
    assert_int_equal(health(&w, block).bad, 1);
    world_release(&w);
}

static void replicas_all_on_one_rack_are_spread_over_two(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 2, 4); /* dn1 dn3 | dn2 dn4 */
    uint32_t block = settled_block(&w, FIRST_ID, 2, 1, 1);
    received(&w, 3, FIRST_ID, FIRST_GS);
    assert_int_equal(nn_replicate_queued(&w.b.replicate, 4), 1);
    pass(&w, 4000, alive(1, 4));
    struct nn_order *order = next_order(&w, NN_ORDER_COPY);
    assert_true(order->targets[0] == 2 || order->targets[0] == 4);
    received(&w, order->targets[0], FIRST_ID, FIRST_GS);
    nn_order_free(order);
    assert_int_equal(health(&w, block).good, 2);
    assert_int_equal(health(&w, block).racks, 2);
    world_release(&w);
}

static void deleting_a_file_deletes_its_replicas_once_the_edit_is_durable(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 2);
    uint32_t block = settled_block(&w, FIRST_ID, 2, 1, 2);
    nn_blocks_set_applied(&w.b, 42);
    nn_blocks_set_durable(&w.b, 41);
    nn_blocks_remove(&w.b, block);
    pass(&w, 5000, alive(1, 2));
    no_order(&w, NN_ORDER_DELETE);
    nn_blocks_set_durable(&w.b, 42);
    pass(&w, 2000, alive(1, 2));
    for (unsigned i = 1; i <= 2; i++) {
        struct nn_order *order = next_order(&w, NN_ORDER_DELETE);
        assert_non_null(order);
        assert_int_equal(order->node, i);
        nn_order_free(order);
    }
    world_release(&w);
}

static void raising_and_lowering_the_wanted_number_is_followed(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 4);
    uint32_t block = settled_block(&w, FIRST_ID, 2, 1, 2);
    nn_blocks_set_want(&w.b, block, 3);
    assert_int_equal(nn_replicate_queued(&w.b.replicate, 3), 1);
    nn_blocks_set_want(&w.b, block, 2);
    assert_int_equal(nn_blocks_stats(&w.b).under_replicated, 0);
    nn_blocks_set_want(&w.b, block, 1);
    assert_int_equal(health(&w, block).good, 1);
    assert_int_equal(nn_blocks_stats(&w.b).pending_deletion, 1);
    world_release(&w);
}

static void a_replica_still_open_long_after_its_block_was_completed_is_bad(void **state)
{
    (void)state;
    struct world w;
    struct nn_said open = {FIRST_ID, FIRST_GS, 10, NN_REPLICA_RBW};
    world_start(&w, 1, 4);
    uint32_t block = settled_block(&w, FIRST_ID, 3, 1, 2);
    assert_int_equal(world_report(&w, 3, &open, 1), 0);
    assert_int_equal(health(&w, block).bad, 1);
    pass(&w, 300000, alive(1, 4));
    assert_int_equal(world_report(&w, 3, &open, 1), 0);
    assert_int_equal(health(&w, block).bad, 1); /* it may finish yet */
    pass(&w, 301000, alive(1, 4));
    assert_int_equal(world_report(&w, 3, &open, 1), 0);
    assert_int_equal(health(&w, block).bad, 0); /* doomed */
    world_release(&w);
}

static void the_last_members_of_a_pipeline_are_waited_for_before_anything_is_copied(void **state)
{
    (void)state;
    struct world w;
    const uint32_t nodes[] = {1, 2, 3};
    world_start(&w, 1, 4);
    uint32_t block = add_block(&w, FIRST_ID, 3);
    assert_int_equal(nn_blocks_set_pipeline(&w.b, block, nodes, 3), 0);
    received(&w, 1, FIRST_ID, FIRST_GS);
    received(&w, 2, FIRST_ID, FIRST_GS);
    assert_int_equal(nn_blocks_commit(&w.b, block, FIRST_GS, TEST_LEN), 0);
    assert_true(nn_blocks_is_ready(&w.b, block));
    pass(&w, 9000, alive(1, 4));
    no_order(&w, NN_ORDER_COPY);
    received(&w, 3, FIRST_ID, FIRST_GS);
    pass(&w, 60000, alive(1, 4));
    no_order(&w, NN_ORDER_COPY);
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_replica_is_copied_from_a_node_that_has_it_to_one_that_has_not),
        cmocka_unit_test(a_writer_left_with_one_replica_gets_a_second_one),
        cmocka_unit_test(a_writer_gets_his_second_replica_even_while_the_cluster_settles),
        cmocka_unit_test(what_a_pipeline_left_behind_makes_room_for_the_copy_its_writer_waits_for),
        cmocka_unit_test(a_node_out_of_reach_is_no_place_for_the_copy_a_writer_waits_for),
        cmocka_unit_test(a_copy_whose_nodes_are_out_of_reach_is_ordered_elsewhere),
        cmocka_unit_test(no_copy_is_made_while_the_writers_own_nodes_are_about_to_finish),
        cmocka_unit_test(the_fewer_replicas_are_left_the_sooner_it_is_copied),
        cmocka_unit_test(a_dead_node_is_replaced_at_a_bounded_pace),
        cmocka_unit_test(where_there_is_one_target_it_is_kept_busy_within_a_period),
        cmocka_unit_test(no_node_sends_more_copies_at_a_time_than_its_limit),
        cmocka_unit_test(a_copy_that_never_arrives_is_ordered_again),
        cmocka_unit_test(a_copy_that_fails_is_tried_again_soon_and_a_bad_source_is_not_used_twice),
        cmocka_unit_test(a_surplus_replica_is_deleted_and_stays_gone_whatever_late_reports_say),
        cmocka_unit_test(surplus_waits_until_every_storage_has_reported_since_it_registered),
        cmocka_unit_test(a_returning_node_makes_the_queued_copies_unnecessary),
        cmocka_unit_test(after_a_start_nothing_is_copied_until_the_cluster_has_settled),
        cmocka_unit_test(while_the_cluster_settles_only_what_no_late_node_can_bring_is_copied),
        cmocka_unit_test(after_a_quiet_time_the_first_copy_is_ordered_at_once),
        cmocka_unit_test(with_one_good_replica_left_and_no_other_node_bad_ones_go_one_by_one),
        cmocka_unit_test(a_bad_replica_goes_only_when_two_good_ones_are_left),
        cmocka_unit_test(a_bad_replica_makes_room_when_no_other_node_is_left),
        cmocka_unit_test(a_replica_called_bad_stays_bad_however_often_its_node_counts_it),
        cmocka_unit_test(replicas_all_on_one_rack_are_spread_over_two),
        cmocka_unit_test(deleting_a_file_deletes_its_replicas_once_the_edit_is_durable),
        cmocka_unit_test(raising_and_lowering_the_wanted_number_is_followed),
        cmocka_unit_test(a_replica_still_open_long_after_its_block_was_completed_is_bad),
        cmocka_unit_test(the_last_members_of_a_pipeline_are_waited_for_before_anything_is_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
