/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/namenode/blocks/fixture.h"

static enum nn_verdict judge(enum nn_block_state block_state, uint64_t gs, uint64_t len,
                             enum nn_replica_state replica_state)
{
    struct nn_block block = {
        .id = 5, .gs = 10, .len = 100, .want = 3, .state = (uint8_t)block_state};
    struct nn_said said = {5, gs, len, replica_state};
    return nn_report_judge(&block, 1000, &said);
}

static void each_word_about_a_replica_has_its_meaning(void **state)
{
    (void)state;
    const struct row {
        enum nn_block_state block;
        uint64_t gs, len;
        enum nn_replica_state replica;
        enum nn_verdict verdict;
    } rows[] = {
        {NN_BLOCK_UNDER_CONSTRUCTION, 9, 100, NN_REPLICA_RBW, NN_VERDICT_BAD_STAMP},
        {NN_BLOCK_UNDER_CONSTRUCTION, 10, 50, NN_REPLICA_RBW, NN_VERDICT_OPEN},
        {NN_BLOCK_UNDER_CONSTRUCTION, 10, 100, NN_REPLICA_FINALIZED, NN_VERDICT_OPEN},
        {NN_BLOCK_UNDER_CONSTRUCTION, 11, 50, NN_REPLICA_RWR, NN_VERDICT_OPEN},
        {NN_BLOCK_UNDER_RECOVERY, 9, 100, NN_REPLICA_FINALIZED, NN_VERDICT_BAD_STAMP},
        {NN_BLOCK_UNDER_RECOVERY, 11, 100, NN_REPLICA_FINALIZED, NN_VERDICT_OPEN},
        {NN_BLOCK_COMMITTED, 10, 100, NN_REPLICA_FINALIZED, NN_VERDICT_GOOD},
        {NN_BLOCK_COMMITTED, 10, 99, NN_REPLICA_FINALIZED, NN_VERDICT_OPEN},
        {NN_BLOCK_COMMITTED, 10, 100, NN_REPLICA_RBW, NN_VERDICT_OPEN},
        {NN_BLOCK_COMMITTED, 9, 100, NN_REPLICA_FINALIZED, NN_VERDICT_BAD_STAMP},
        {NN_BLOCK_COMPLETE, 10, 100, NN_REPLICA_FINALIZED, NN_VERDICT_GOOD},
        {NN_BLOCK_COMPLETE, 10, 99, NN_REPLICA_FINALIZED, NN_VERDICT_BAD_LENGTH},
        {NN_BLOCK_COMPLETE, 10, 50, NN_REPLICA_RBW, NN_VERDICT_LAGGING},
        {NN_BLOCK_COMPLETE, 10, 50, NN_REPLICA_RUR, NN_VERDICT_LAGGING},
        {NN_BLOCK_COMPLETE, 10, 100, NN_REPLICA_RWR, NN_VERDICT_BAD_STATE},
        {NN_BLOCK_COMPLETE, 9, 100, NN_REPLICA_FINALIZED, NN_VERDICT_BAD_STAMP},
        {NN_BLOCK_COMPLETE, 11, 100, NN_REPLICA_FINALIZED, NN_VERDICT_SUSPECT},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(judge(rows[i].block, rows[i].gs, rows[i].len, rows[i].replica),
                         rows[i].verdict);
}

static void an_id_we_gave_out_is_deleted_and_one_we_did_not_is_left_alone(void **state)
{
    (void)state;
    struct nn_said said = {1000, 1, 1, NN_REPLICA_FINALIZED};
    assert_int_equal(nn_report_judge(NULL, 1000, &said), NN_VERDICT_DELETE);
    assert_int_equal(nn_report_judge(NULL, 999, &said), NN_VERDICT_SUSPECT);
}

/* --- whole reports, through the front door --- */

static void a_report_makes_replicas_known_and_the_next_one_makes_absent_ones_forgotten(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 3);
    uint32_t block = settled_block(&w, FIRST_ID, 1, 1, 0);
    struct nn_said said = {FIRST_ID, FIRST_GS, TEST_LEN, NN_REPLICA_FINALIZED};
    assert_int_equal(world_report(&w, 1, &said, 1), 0);
    assert_int_equal(nn_replicate_health(&w.b.replicate, block).good, 1);
    assert_int_equal(w.b.safe, 1);
    assert_int_equal(world_report(&w, 1, NULL, 0), 0);
    assert_int_equal(nn_replicate_health(&w.b.replicate, block).good, 0);
    assert_int_equal(w.b.safe, 0);
    world_release(&w);
}

static struct nn_report_page page_of(uint64_t report, uint32_t page, bool is_last, uint64_t *id)
{
    static const uint64_t gs = FIRST_GS, len = TEST_LEN, finalized = NN_REPLICA_FINALIZED;
    return (struct nn_report_page){report, page, is_last, id, &gs, &len, &finalized, id ? 1 : 0};
}

static void a_report_that_breaks_off_takes_nothing_away(void **state)
{
    (void)state;
    struct world w;
    uint64_t ids[] = {FIRST_ID, FIRST_ID + 1};
    world_start(&w, 1, 1);
    uint32_t first = settled_block(&w, ids[0], 1, 1, 1);
    uint32_t second = settled_block(&w, ids[1], 1, 1, 1);
    struct nn_report_page page = page_of(900, 0, false, &ids[0]);
    assert_int_equal(nn_blocks_report(&w.b, 1, storage_id(1), &page, w.now_ms), 0);
    page = page_of(901, 0, false, &ids[0]); /* begun anew */
    assert_int_equal(nn_blocks_report(&w.b, 1, storage_id(1), &page, w.now_ms), 0);
    page = page_of(901, 2, true, NULL); /* page 1 is missing */
    assert_int_equal(nn_blocks_report(&w.b, 1, storage_id(1), &page, w.now_ms), ERR_STALE);
    assert_int_equal(nn_replicate_health(&w.b.replicate, first).good, 1);
    assert_int_equal(nn_replicate_health(&w.b.replicate, second).good, 1);
    struct nn_order *order = next_order(&w, NN_ORDER_REPORT);
    assert_non_null(order);
    nn_order_free(order);
    world_release(&w);
}

static void what_arrives_between_the_pages_is_not_taken_for_absent(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 1);
    uint32_t block = settled_block(&w, FIRST_ID, 1, 1, 0);
    struct nn_report_page page = page_of(900, 0, false, NULL);
    assert_int_equal(nn_blocks_report(&w.b, 1, storage_id(1), &page, w.now_ms), 0);
    received(&w, 1, FIRST_ID, FIRST_GS);
    page = page_of(900, 1, true, NULL);
    assert_int_equal(nn_blocks_report(&w.b, 1, storage_id(1), &page, w.now_ms), 0);
    assert_int_equal(nn_replicate_health(&w.b.replicate, block).good, 1);
    world_release(&w);
}

static void a_replica_of_a_deleted_file_is_ordered_away_but_not_in_safe_mode(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 1);
    uint32_t block = settled_block(&w, FIRST_ID, 1, 1, 0);
    nn_blocks_remove(&w.b, block);
    nn_safemode_enter(&w.b.safemode, NULL);
    struct nn_said said = {FIRST_ID, FIRST_GS, TEST_LEN, NN_REPLICA_FINALIZED};
    assert_int_equal(world_report(&w, 1, &said, 1), 0);
    pass(&w, 5000, 2);
    no_order(&w, NN_ORDER_DELETE);
    nn_safemode_leave(&w.b.safemode);
    pass(&w, 2000, 2);
    struct nn_order *order = next_order(&w, NN_ORDER_DELETE);
    assert_non_null(order);
    assert_int_equal(order->block_count, 1);
    assert_int_equal(order->blocks[0].id, FIRST_ID);
    assert_int_equal(order->blocks[0].gs, FIRST_GS);
    nn_order_free(order);
    world_release(&w);
}

static void nothing_is_believed_before_the_namespace_is_loaded(void **state)
{
    (void)state;
    struct world w;
    struct nn_said said = {FIRST_ID, FIRST_GS, TEST_LEN, NN_REPLICA_FINALIZED};
    world_init(&w, 1);
    world_register(&w, 1);
    assert_int_equal(world_report(&w, 1, &said, 1), ERR_RETRY);
    assert_int_equal(say(&w, 1, NN_CHANGE_RECEIVED, FIRST_ID, FIRST_GS, TEST_LEN), ERR_RETRY);
    nn_blocks_loaded(&w.b, FIRST_ID, w.now_ms);
    pass(&w, 5000, 2);
    no_order(&w, NN_ORDER_DELETE);
    world_release(&w);
}

static void a_replica_of_a_block_never_given_out_is_kept_and_counted(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 1);
    struct nn_said said = {FIRST_ID, FIRST_GS, TEST_LEN, NN_REPLICA_FINALIZED};
    assert_int_equal(world_report(&w, 1, &said, 1), 0);
    assert_int_equal(w.b.suspects, 1);
    pass(&w, 5000, 2);
    no_order(&w, NN_ORDER_DELETE);
    world_release(&w);
}

static void blocks_newer_than_the_namespace_stop_it_and_one_strange_file_does_not(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 2);
    struct nn_said said[] = {{FIRST_ID + 7, FIRST_GS, TEST_LEN, NN_REPLICA_FINALIZED},
                             {FIRST_ID + 3, FIRST_GS, TEST_LEN, NN_REPLICA_FINALIZED}};
    assert_int_equal(world_report(&w, 1, said, 1), 0);
    assert_int_equal(world_report(&w, 2, said, 1), 0);
    assert_int_equal(world_report(&w, 1, said, 1), 0);
    assert_false(nn_safemode_is_behind(&w.b.safemode));
    assert_int_equal(world_report(&w, 1, said, 2), 0);
    assert_true(nn_safemode_is_behind(&w.b.safemode));
    world_release(&w);
}

static void who_has_given_out_ids_is_not_stopped_any_more(void **state)
{
    (void)state;
    struct world w;
    world_start(&w, 1, 1);
    struct nn_said said[] = {{FIRST_ID + 7, FIRST_GS, TEST_LEN, NN_REPLICA_FINALIZED},
                             {FIRST_ID + 9, FIRST_GS, TEST_LEN, NN_REPLICA_FINALIZED}};
    w.b.highest_id++;
    assert_int_equal(world_report(&w, 1, said, 2), 0);
    assert_false(nn_safemode_is_behind(&w.b.safemode));
    world_release(&w);
}

static void states_that_do_not_exist_are_refused(void **state)
{
    (void)state;
    struct world w;
    uint64_t id = FIRST_ID, strange = 4;
    world_start(&w, 1, 1);
    struct nn_report_page page = page_of(1, 0, true, &id);
    page.states = &strange;
    assert_int_equal(nn_blocks_report(&w.b, 1, storage_id(1), &page, w.now_ms), ERR_INVAL);
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_word_about_a_replica_has_its_meaning),
        cmocka_unit_test(an_id_we_gave_out_is_deleted_and_one_we_did_not_is_left_alone),
        cmocka_unit_test(
            a_report_makes_replicas_known_and_the_next_one_makes_absent_ones_forgotten),
        cmocka_unit_test(a_report_that_breaks_off_takes_nothing_away),
        cmocka_unit_test(what_arrives_between_the_pages_is_not_taken_for_absent),
        cmocka_unit_test(a_replica_of_a_deleted_file_is_ordered_away_but_not_in_safe_mode),
        cmocka_unit_test(nothing_is_believed_before_the_namespace_is_loaded),
        cmocka_unit_test(a_replica_of_a_block_never_given_out_is_kept_and_counted),
        cmocka_unit_test(blocks_newer_than_the_namespace_stop_it_and_one_strange_file_does_not),
        cmocka_unit_test(who_has_given_out_ids_is_not_stopped_any_more),
        cmocka_unit_test(states_that_do_not_exist_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
