/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/namenode/blocks/fixture.h"

struct who {
    const char *name, *uuid, *storage;
    bool has_failed;
};

static int register_who(struct nn_nodes *nodes, struct who who, uint64_t now_ms, uint32_t *node,
                        struct err *err)
{
    struct nn_storage_facts facts = {slice_str(who.storage), who.has_failed, GIB, 0, GIB};
    struct nn_registration reg = {.address = {.name = slice_str(who.name),
                                              .host = slice_str("h"),
                                              .rack = slice_str("/r"),
                                              .data_port = 9866},
                                  .uuid = slice_str(who.uuid),
                                  .storages = &facts,
                                  .storage_count = 1};
    return nn_nodes_register(nodes, &reg, now_ms, node, err);
}

static int register_as(struct nn_nodes *nodes, const char *name, const char *uuid, uint64_t now_ms,
                       uint32_t *node, struct err *err)
{
    return register_who(nodes, (struct who){name, uuid, uuid, false}, now_ms, node, err);
}

static void count_dead(void *arg, uint32_t node)
{
    *(uint32_t *)arg = *(uint32_t *)arg * 100 + node;
}

struct lonely {
    struct nn_blocks_conf conf;
    struct nn_nodes nodes;
    struct err err;
    uint32_t a, b;
};

static void start(struct lonely *l)
{
    *l = (struct lonely){0};
    nn_blocks_conf_init(&l->conf);
    assert_int_equal(nn_nodes_init(&l->nodes, &l->conf), 0);
}

static void silence_makes_a_node_stale_and_then_dead(void **state)
{
    (void)state;
    struct lonely l;
    uint32_t died = 0;
    start(&l);
    assert_int_equal(register_as(&l.nodes, "a", "ua", 1000, &l.a, &l.err), 0);
    assert_int_equal(register_as(&l.nodes, "b", "ub", 1000, &l.b, &l.err), 0);
    nn_nodes_step(&l.nodes, 1000 + 30000, count_dead, &died);
    assert_int_equal(nn_nodes_get(&l.nodes, l.a)->state, NN_NODE_LIVE);
    nn_nodes_step(&l.nodes, 1000 + 30001, count_dead, &died);
    assert_int_equal(nn_nodes_get(&l.nodes, l.a)->state, NN_NODE_STALE);
    struct nn_heartbeat beat = {0};
    assert_true(nn_nodes_heartbeat(&l.nodes, l.b, &beat, 500000));
    nn_nodes_step(&l.nodes, 1000 + 630000, count_dead, &died);
    assert_int_equal(died, 0);
    nn_nodes_step(&l.nodes, 1000 + 630001, count_dead, &died);
    assert_int_equal(died, l.a);
    assert_int_equal(l.nodes.living, 1);
    assert_int_equal(nn_nodes_get(&l.nodes, l.b)->state, NN_NODE_STALE);
    nn_nodes_release(&l.nodes);
}

static void a_heartbeat_of_a_dead_node_asks_it_to_register_again(void **state)
{
    (void)state;
    struct lonely l;
    uint32_t died = 0;
    struct nn_heartbeat beat = {0};
    start(&l);
    assert_int_equal(register_as(&l.nodes, "a", "ua", 1000, &l.a, &l.err), 0);
    nn_nodes_step(&l.nodes, 700000, count_dead, &died);
    assert_false(nn_nodes_heartbeat(&l.nodes, l.a, &beat, 700001));
    assert_int_equal(nn_nodes_get(&l.nodes, l.a)->state, NN_NODE_DEAD);
    assert_true(nn_nodes_find_storage(&l.nodes, slice_str("ua"))->owes_removal);
    nn_nodes_removed(&l.nodes, nn_nodes_find_storage(&l.nodes, slice_str("ua"))->index);
    assert_int_equal(register_as(&l.nodes, "a", "ua", 700002, &l.b, &l.err), 0);
    assert_int_equal(l.b, l.a);
    assert_int_equal(nn_nodes_get(&l.nodes, l.a)->state, NN_NODE_LIVE);
    assert_false(nn_nodes_find_storage(&l.nodes, slice_str("ua"))->is_reported);
    nn_nodes_release(&l.nodes);
}

static void a_second_living_node_of_the_same_name_is_refused_and_told_of_whom(void **state)
{
    (void)state;
    struct lonely l;
    start(&l);
    assert_int_equal(register_as(&l.nodes, "a", "ua", 1, &l.a, &l.err), 0);
    assert_int_equal(register_as(&l.nodes, "a", "other", 2, &l.b, &l.err), ERR_BUSY);
    assert_non_null(strstr(l.err.msg, "node name a is in use by another datanode (h:9866)"));
    nn_nodes_disconnect(&l.nodes, l.a, 1);
    assert_int_equal(register_as(&l.nodes, "a", "other", 3, &l.b, &l.err), 0);
    assert_int_equal(l.a, l.b);
    assert_true(nn_nodes_find_storage(&l.nodes, slice_str("ua"))->is_gone);
    nn_nodes_release(&l.nodes);
}

static void a_copied_data_directory_is_refused_while_the_first_one_serves(void **state)
{
    (void)state;
    struct lonely l;
    start(&l);
    assert_int_equal(register_as(&l.nodes, "a", "ua", 1, &l.a, &l.err), 0);
    assert_int_equal(register_as(&l.nodes, "b", "ua", 2, &l.b, &l.err), ERR_BUSY);
    assert_non_null(strstr(l.err.msg, "a copied directory cannot serve twice"));
    assert_int_equal(l.nodes.node_count, 1);
    nn_nodes_release(&l.nodes);
}

static void
a_directory_with_the_id_of_a_living_nodes_is_refused_until_that_one_lost_it(void **state)
{
    (void)state;
    struct lonely l;
    start(&l);
    assert_int_equal(register_as(&l.nodes, "a", "ua", 1, &l.a, &l.err), 0);
    uint32_t storage = nn_nodes_find_storage(&l.nodes, slice_str("ua"))->index;
    struct who second = {"b", "ub", "ua", false};
    assert_int_equal(register_who(&l.nodes, second, 2, &l.b, &l.err), ERR_BUSY);
    assert_non_null(strstr(l.err.msg, "a data directory of b is one of the living datanode a"));
    assert_int_equal(l.nodes.node_count, 1);
    assert_int_equal(nn_nodes_storage(&l.nodes, storage)->node, l.a);
    struct who first = {"a", "ua", "ua", true};
    assert_int_equal(register_who(&l.nodes, first, 3, &l.a, &l.err), 0); /* the disk was pulled */
    assert_int_equal(register_who(&l.nodes, second, 4, &l.b, &l.err), 0);
    assert_int_equal(nn_nodes_storage(&l.nodes, storage)->node, l.b);
    nn_nodes_disconnect(&l.nodes, l.b, nn_nodes_get(&l.nodes, l.b)->session);
    first.has_failed = false;
    assert_int_equal(register_who(&l.nodes, first, 5, &l.a, &l.err), 0); /* b is switched off */
    assert_int_equal(nn_nodes_storage(&l.nodes, storage)->node, l.a);
    nn_nodes_release(&l.nodes);
}

static void directories_that_come_back_under_a_new_name_are_the_same_node(void **state)
{
    (void)state;
    struct lonely l;
    start(&l);
    assert_int_equal(register_as(&l.nodes, "a", "ua", 1, &l.a, &l.err), 0);
    nn_nodes_disconnect(&l.nodes, l.a, 1);
    assert_int_equal(register_as(&l.nodes, "b", "ua", 2, &l.b, &l.err), 0);
    assert_int_equal(l.a, l.b);
    assert_null(nn_nodes_find(&l.nodes, slice_str("a")));
    assert_int_equal(nn_nodes_find(&l.nodes, slice_str("b"))->index, l.a);
    nn_nodes_release(&l.nodes);
}

static void the_late_end_of_an_old_connection_does_not_touch_the_new_one(void **state)
{
    (void)state;
    struct lonely l;
    start(&l);
    assert_int_equal(register_as(&l.nodes, "a", "ua", 1, &l.a, &l.err), 0);
    uint64_t old = nn_nodes_get(&l.nodes, l.a)->session;
    assert_int_equal(register_as(&l.nodes, "a", "ua", 2, &l.a, &l.err), 0);
    nn_nodes_disconnect(&l.nodes, l.a, old);
    assert_true(nn_nodes_get(&l.nodes, l.a)->is_connected);
    nn_nodes_release(&l.nodes);
}

static void a_disk_that_fails_owes_its_replicas_and_counts_for_no_space(void **state)
{
    (void)state;
    struct lonely l;
    start(&l);
    assert_int_equal(register_as(&l.nodes, "a", "ua", 1, &l.a, &l.err), 0);
    struct nn_storage_facts broken = {slice_str("ua"), true, GIB, 0, GIB};
    struct nn_heartbeat beat = {.storages = &broken, .storage_count = 1};
    assert_true(nn_nodes_heartbeat(&l.nodes, l.a, &beat, 2));
    assert_int_equal(l.nodes.owing, 1);
    struct nn_space space = nn_nodes_space(&l.nodes, nn_nodes_get(&l.nodes, l.a));
    assert_int_equal(space.remaining, 0);
    assert_int_equal(space.failed, 1);
    assert_false(nn_nodes_is_serving(&l.nodes, 1));
    nn_nodes_release(&l.nodes);
}

static void a_dead_node_is_promised_nothing(void **state)
{
    (void)state;
    struct lonely l;
    uint32_t died = 0;
    start(&l);
    assert_int_equal(register_as(&l.nodes, "a", "ua", 1, &l.a, &l.err), 0);
    nn_nodes_scheduled(&l.nodes, l.a);
    nn_nodes_bury(&l.nodes, l.a, count_dead, &died);
    assert_int_equal(nn_nodes_get(&l.nodes, l.a)->scheduled, 0);
    nn_nodes_release(&l.nodes);
}

static void promised_blocks_are_forgotten_after_two_periods(void **state)
{
    (void)state;
    struct lonely l;
    uint32_t died = 0;
    start(&l);
    assert_int_equal(register_as(&l.nodes, "a", "ua", 1, &l.a, &l.err), 0);
    nn_nodes_step(&l.nodes, 2, count_dead, &died);
    nn_nodes_scheduled(&l.nodes, l.a);
    nn_nodes_scheduled(&l.nodes, l.a);
    nn_nodes_arrived(&l.nodes, l.a);
    const struct nn_node *node = nn_nodes_get(&l.nodes, l.a);
    assert_int_equal(node->scheduled + node->scheduled_last, 1);
    nn_nodes_step(&l.nodes, 600002, count_dead, &died);
    assert_int_equal(node->scheduled + node->scheduled_last, 1);
    nn_nodes_step(&l.nodes, 1200002, count_dead, &died);
    assert_int_equal(node->scheduled + node->scheduled_last, 0);
    nn_nodes_release(&l.nodes);
}

static void without_memory_registration_fails_whole_and_can_be_repeated(void **state)
{
    (void)state;
    struct lonely l;
    uint64_t n = 0;
    int rc = 0;
    start(&l);
    do {
        mem_fail_after(++n);
        rc = register_as(&l.nodes, "a", "ua", 1, &l.a, &l.err);
        assert_true(rc == 0 || rc == ERR_NOMEM);
    } while (mem_has_failed());
    mem_fail_after(0);
    assert_int_equal(l.nodes.node_count, 1);
    assert_int_equal(l.nodes.living, 1);
    nn_nodes_release(&l.nodes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_makes_a_node_stale_and_then_dead),
        cmocka_unit_test(a_heartbeat_of_a_dead_node_asks_it_to_register_again),
        cmocka_unit_test(a_second_living_node_of_the_same_name_is_refused_and_told_of_whom),
        cmocka_unit_test(a_copied_data_directory_is_refused_while_the_first_one_serves),
        cmocka_unit_test(
            a_directory_with_the_id_of_a_living_nodes_is_refused_until_that_one_lost_it),
        cmocka_unit_test(directories_that_come_back_under_a_new_name_are_the_same_node),
        cmocka_unit_test(the_late_end_of_an_old_connection_does_not_touch_the_new_one),
        cmocka_unit_test(a_disk_that_fails_owes_its_replicas_and_counts_for_no_space),
        cmocka_unit_test(a_dead_node_is_promised_nothing),
        cmocka_unit_test(promised_blocks_are_forgotten_after_two_periods),
        cmocka_unit_test(without_memory_registration_fails_whole_and_can_be_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
