/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/namenode/blocks/fixture.h"

#define MIB (1ULL << 20)

static void place(struct world *w, const char *writer, uint32_t count, struct nn_placed *ret)
{
    struct nn_place_ask ask = {
        .writer = slice_str(writer), .block_size = 128 * MIB, .count = count};
    nn_place(&w->b.nodes, &ask, &w->b.rand, ret);
}

static uint32_t rack_of(const struct world *w, uint32_t node)
{
    return nn_nodes_get(&w->b.nodes, node)->rack;
}

static void assert_distinct(const struct nn_placed *p)
{
    for (size_t i = 0; i < p->count; i++)
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(p->nodes[i], p->nodes[k]);
}

static void the_writers_node_is_first_then_another_rack_then_that_rack_again(void **state)
{
    (void)state;
    struct world w;
    struct nn_placed p;
    world_start(&w, 3, 12);
    for (int i = 0; i < 200; i++) {
        place(&w, "dn5", 3, &p);
        assert_int_equal(p.count, 3);
        assert_distinct(&p);
        assert_int_equal(p.nodes[0], 5);
        assert_int_not_equal(rack_of(&w, p.nodes[1]), rack_of(&w, 5));
        assert_int_equal(rack_of(&w, p.nodes[2]), rack_of(&w, p.nodes[1]));
    }
    world_release(&w);
}

static void a_writer_elsewhere_spreads_over_all_nodes(void **state)
{
    (void)state;
    struct world w;
    struct nn_placed p;
    unsigned first[13] = {0};
    world_start(&w, 2, 12);
    for (int i = 0; i < 600; i++) {
        place(&w, "", 3, &p);
        first[p.nodes[0]]++;
        assert_int_not_equal(rack_of(&w, p.nodes[0]), rack_of(&w, p.nodes[1]));
    }
    for (unsigned i = 1; i <= 12; i++)
        assert_in_range(first[i], 20, 100);
    world_release(&w);
}

static void no_rack_gets_more_than_its_share_of_many_replicas(void **state)
{
    (void)state;
    struct world w;
    struct nn_placed p;
    world_start(&w, 3, 18);
    place(&w, "dn1", 9, &p);
    unsigned on[3] = {0};
    assert_int_equal(p.count, 9);
    assert_distinct(&p);
    for (size_t i = 0; i < p.count; i++)
        on[rack_of(&w, p.nodes[i])]++;
    for (unsigned r = 0; r < 3; r++)
        assert_in_range(on[r], 1, (9 - 1) / 3 + 2);
    world_release(&w);
}

static void one_rack_is_enough_when_there_is_only_one(void **state)
{
    (void)state;
    struct world w;
    struct nn_placed p;
    world_start(&w, 1, 3);
    place(&w, "dn2", 3, &p);
    assert_int_equal(p.count, 3);
    assert_int_equal(p.nodes[0], 2);
    assert_distinct(&p);
    world_release(&w);
}

static void fewer_nodes_than_wanted_give_what_there_is(void **state)
{
    (void)state;
    struct world w;
    struct nn_placed p;
    world_start(&w, 2, 2);
    place(&w, "", 3, &p);
    assert_int_equal(p.count, 2);
    world_release(&w);
}

static void a_full_node_is_passed_over_counting_what_was_promised_to_it(void **state)
{
    (void)state;
    struct world w;
    struct nn_placed p;
    world_start(&w, 1, 2);
    storage_of(&w, 1)->remaining = 300 * MIB;
    nn_nodes_scheduled(&w.b.nodes, 1);
    place(&w, "dn1", 1, &p);
    assert_int_equal(p.nodes[0], 1);
    nn_nodes_scheduled(&w.b.nodes, 1);
    place(&w, "dn1", 1, &p);
    assert_int_equal(p.nodes[0], 2);
    world_release(&w);
}

static void a_busy_node_is_passed_over_unless_all_are(void **state)
{
    (void)state;
    struct world w;
    struct nn_placed p;
    world_start(&w, 1, 4);
    struct nn_heartbeat beat = {.xceivers = 40};
    assert_true(nn_blocks_heartbeat(&w.b, 1, &beat, w.now_ms));
    place(&w, "dn1", 3, &p);
    assert_int_equal(p.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_not_equal(p.nodes[i], 1);
    place(&w, "dn1", 4, &p);
    assert_int_equal(p.count, 4);
    world_release(&w);
}

static void a_node_that_is_not_connected_gets_no_new_blocks(void **state)
{
    (void)state;
    struct world w;
    struct nn_placed p;
    world_start(&w, 1, 2);
    nn_blocks_disconnect(&w.b, 1, nn_nodes_get(&w.b.nodes, 1)->session, w.now_ms);
    place(&w, "dn1", 2, &p);
    assert_int_equal(p.count, 1);
    assert_int_equal(p.nodes[0], 2);
    world_release(&w);
}

static void a_failure_says_how_many_nodes_there_are_and_why_each_would_not_do(void **state)
{
    (void)state;
    struct world w;
    struct nn_placed p;
    struct err err = {0};
    const struct slice exclude[] = {slice_str("dn2"), slice_str("unknown")};
    world_start(&w, 1, 2);
    storage_of(&w, 1)->remaining = MIB;
    struct nn_place_ask ask = {
        .block_size = 128 * MIB, .count = 3, .exclude = exclude, .exclude_count = 2};
    assert_int_equal(nn_blocks_place(&w.b, &ask, slice_str("/f"), &p, &err), ERR_NONODE);
    assert_string_equal(err.msg,
                        "File /f could only be written to 0 of the 1 minReplication nodes. There "
                        "are 2 datanode(s) running and 1 node(s) are excluded in this operation. "
                        "Nodes: dn1: not enough space, dn2: excluded by the client");
    world_release(&w);
}

static void a_further_replica_goes_to_another_rack_when_all_are_on_one(void **state)
{
    (void)state;
    struct world w;
    struct nn_placed p;
    const uint32_t have[] = {1, 3};
    world_start(&w, 2, 8);
    struct nn_place_ask ask = {.block_size = MIB,
                               .count = 1,
                               .have = have,
                               .have_count = 2,
                               .is_copy = true,
                               .copy_limit = 2};
    for (int i = 0; i < 50; i++) {
        nn_place(&w.b.nodes, &ask, &w.b.rand, &p);
        assert_int_equal(rack_of(&w, p.nodes[0]), rack_of(&w, 2));
    }
    world_release(&w);
}

static void the_replica_that_goes_leaves_both_racks_covered(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 2, 4); /* racks: dn1 dn3 | dn2 dn4 */
    const uint32_t storages[] = {2, 1, 3};
    storage_of(&w, 2)->remaining = MIB; /* fullest, but alone on its rack */
    storage_of(&w, 3)->remaining = 10 * MIB;
    assert_int_equal(nn_place_surplus(&w.b.nodes, storages, 3), 2);
    world_release(&w);
}

static void the_source_of_a_copy_is_the_least_busy_one_below_the_limit(void **state)
{
    (void)state;
    struct world w;
    const uint32_t storages[] = {1, 2, 3};
    world_start(&w, 1, 3);
    nn_nodes_get(&w.b.nodes, 1)->copies_out = 1;
    nn_nodes_get(&w.b.nodes, 2)->copies_out = 2;
    nn_nodes_get(&w.b.nodes, 3)->copies_out = 2;
    assert_int_equal(nn_place_source(&w.b.nodes, storages, 3, 2, &w.b.rand), 0);
    nn_nodes_get(&w.b.nodes, 1)->copies_out = 2;
    assert_int_equal(nn_place_source(&w.b.nodes, storages, 3, 2, &w.b.rand), SIZE_MAX);
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_writers_node_is_first_then_another_rack_then_that_rack_again),
        cmocka_unit_test(a_writer_elsewhere_spreads_over_all_nodes),
        cmocka_unit_test(no_rack_gets_more_than_its_share_of_many_replicas),
        cmocka_unit_test(one_rack_is_enough_when_there_is_only_one),
        cmocka_unit_test(fewer_nodes_than_wanted_give_what_there_is),
        cmocka_unit_test(a_full_node_is_passed_over_counting_what_was_promised_to_it),
        cmocka_unit_test(a_busy_node_is_passed_over_unless_all_are),
        cmocka_unit_test(a_node_that_is_not_connected_gets_no_new_blocks),
        cmocka_unit_test(a_failure_says_how_many_nodes_there_are_and_why_each_would_not_do),
        cmocka_unit_test(a_further_replica_goes_to_another_rack_when_all_are_on_one),
        cmocka_unit_test(the_replica_that_goes_leaves_both_racks_covered),
        cmocka_unit_test(the_source_of_a_copy_is_the_least_busy_one_below_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
