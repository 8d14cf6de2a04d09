/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/rand.h"
#include "tests/unit/namenode/journal/world.h"

static void every_operation_survives_a_round_trip_and_can_be_printed(void **state)
{
    (void)state;
    struct rand rand;
    struct arena arena = ARENA_INIT;
    struct err err;
    rand_init(&rand, 5);
    assert_null(nn_op_find(0));
    assert_null(nn_op_find(NN_OP_MAX + 1));
    for (uint16_t number = 1; number <= NN_OP_MAX; number++) {
        const struct nn_op_row *row = nn_op_find(number);
        if (!row)
            continue; /* numbers have gaps */
        assert_int_equal(row->number, number);
        for (int i = 0; i < 20; i++) {
            struct buf seed = BUF_INIT, again = BUF_INIT, text = BUF_INIT;
            msg_seed(row->desc, &rand, &seed);
            arena_reset(&arena);
            void *op = arena_calloc(&arena, 1, row->desc->size);
            assert_int_equal(msg_decode(row->desc, buf_slice(&seed), &arena, op, &err), 0);
            msg_encode(row->desc, op, &again);
            assert_true(slice_eq(buf_slice(&seed), buf_slice(&again)));
            assert_int_equal(nn_op_print(number, buf_slice(&seed), &arena, &text, &err), 0);
            assert_int_equal(memcmp(text.data, "{\"op\":\"", 7), 0);
            buf_release(&seed);
            buf_release(&again);
            buf_release(&text);
        }
    }
    arena_release(&arena);
}

/* Whatever stands in a record, replay answers with an error and does not fall over. */
static void records_that_do_not_fit_the_state_are_refused(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 6);
    for (uint16_t number = 1; number <= NN_OP_MAX; number++) {
        if (number == NN_OP_STAMP || !nn_op_find(number))
            continue; /* fits every state; is none */
        struct world w;
        struct buf seed = BUF_INIT;
        world_init(&w);
        msg_seed(nn_op_find(number)->desc, &rand, &seed);
        int rc = nn_op_replay(&w.state, number, buf_slice(&seed), &w.arena, &w.err);
        assert_true(rc == 0 || rc == ERR_CORRUPT);
        if (rc != 0)
            assert_non_null(strstr(w.err.msg, nn_op_name(number)));
        buf_release(&seed);
        world_release(&w);
    }
}

static void unknown_and_broken_records_say_what_they_are(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    assert_int_equal(nn_op_replay(&w.state, 999, slice_str("x"), &w.arena, &w.err), ERR_VERSION);
    assert_string_equal(w.err.msg, "operation 999 is not known: written by a newer quern?");
    assert_int_equal(nn_op_replay(&w.state, NN_OP_MKDIR, slice_str("x"), &w.arena, &w.err),
                     ERR_PROTO);
    assert_int_equal(memcmp(w.err.msg, "operation MKDIR: ", 17), 0);
    world_release(&w);
}

static void a_recorded_request_keeps_its_answer_through_replay_and_image(void **state)
{
    (void)state;
    struct world w, replayed, loaded;
    world_init(&w);
    struct op_create op = {.origin = {.client = 77, .seq = 5},
                           .at_ms = 1,
                           .path = slice_str("/f"),
                           .first_id = w.state.tree.next_id,
                           .mode = 0644,
                           .owner = slice_str("u"),
                           .replication = 2,
                           .block_size = 1 << 20};
    assert_int_equal(world_commit(&w, NN_OP_CREATE, &op), 0);
    struct op_delete gone = {.origin = {.client = 77, .seq = 6}, .at_ms = 2, .path = op.path};
    assert_int_equal(world_commit(&w, NN_OP_DELETE, &gone), 0);

    world_init(&replayed);
    world_replay(&replayed, &w, 0);
    struct world_image image = {BUF_INIT};
    assert_int_equal(nn_state_save(&w.state, world_put_chunk, &image), 0);
    world_init(&loaded);
    assert_int_equal(world_load(&loaded, &image), 0);
    struct world *all[] = {&w, &replayed, &loaded};
    for (size_t i = 0; i < 3; i++) {
        const struct nn_answer *a = nn_answers_find(&all[i]->state.answers, 77, 5);
        assert_non_null(a);
        assert_int_equal(a->op, NN_OP_CREATE);
        assert_int_equal(a->values[0], op.first_id);
        assert_int_equal(a->values[1], 2 | (1ULL << 20) << 16);
        a = nn_answers_find(&all[i]->state.answers, 77, 6);
        assert_int_equal(a->op, NN_OP_DELETE);
        assert_int_equal(a->values[0], 1);
        assert_null(nn_answers_find(&all[i]->state.answers, 77, 7));
        world_release(all[i]);
    }
    buf_release(&image.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_survives_a_round_trip_and_can_be_printed),
        cmocka_unit_test(records_that_do_not_fit_the_state_are_refused),
        cmocka_unit_test(unknown_and_broken_records_say_what_they_are),
        cmocka_unit_test(a_recorded_request_keeps_its_answer_through_replay_and_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
