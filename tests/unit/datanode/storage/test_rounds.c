/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "datanode/storage/rounds.h"
#include "libcommon/base/mem.h"

#define DAY      (24ULL * 3600 * 1000)
#define MIB      (1ULL << 20)
#define NOW      (1000 * DAY)
#define MANY     5000U
#define SEEN_MAX (2 * MANY)

struct world {
    struct dn_replicas map;
    struct dn_rounds rounds;
    uint64_t now_ms, used;
    uint64_t seen[SEEN_MAX];
    size_t count;
};

static const struct dn_rounds_conf three_weeks = {.period_ms = 21 * DAY, .limit_bytes = 10 * MIB};

static void add(struct world *w, uint64_t id, uint64_t len)
{
    struct dn_replica r = {.id = id, .gs = 1, .len = len, .state = DN_REPLICA_FINALIZED};
    assert_non_null(dn_replicas_add(&w->map, &r));
    w->used += len;
}

static void begin(struct world *w, const struct dn_rounds_conf *conf)
{
    struct dn_rounds_state none = {0};
    *w = (struct world){.now_ms = NOW};
    assert_int_equal(dn_replicas_init(&w->map), 0);
    dn_rounds_init(&w->rounds, conf, &none, w->now_ms);
}

/* Verify whatever is due until `until_ms`. */
static void walk(struct world *w, uint64_t until_ms)
{
    while (w->now_ms < until_ms) {
        uint64_t id = 0, due = dn_rounds_due_ms(&w->rounds);
        if (dn_rounds_next(&w->rounds, &w->map, 0, w->now_ms, &id)) {
            assert_true(w->count < SEEN_MAX);
            w->seen[w->count++] = id;
            dn_rounds_read(&w->rounds, dn_replicas_find(&w->map, id)->len, w->used, w->now_ms);
        }
        due = dn_rounds_due_ms(&w->rounds);
        w->now_ms = due > w->now_ms ? due : w->now_ms + 1;
    }
    w->now_ms = until_ms;
}

static void a_round_sees_every_replica_once_in_order_within_the_period(void **state)
{
    (void)state;
    struct world w;
    begin(&w, &three_weeks);
    for (uint64_t i = 0; i < MANY; i++)
        add(&w, 1 + i * 7919 % 100003, 128 * MIB);
    walk(&w, NOW + 20 * DAY);
    assert_int_equal(w.count, MANY);
    for (size_t i = 1; i < w.count; i++)
        assert_true(w.seen[i - 1] < w.seen[i]);
    assert_true(w.rounds.state.is_resting);
    walk(&w, NOW + 22 * DAY);
    assert_true(w.count > MANY); /* and the next round began when the period was over */
    assert_int_equal(w.seen[MANY], w.seen[0]);
    dn_replicas_release(&w.map);
}

static void it_is_spread_over_the_period_instead_of_read_at_once(void **state)
{
    (void)state;
    struct world w;
    begin(&w, &three_weeks);
    for (uint64_t id = 1; id <= MANY; id++)
        add(&w, id, 128 * MIB);
    walk(&w, NOW + 9 * DAY);
    assert_true(w.count > MANY / 3 && w.count < MANY / 5 * 3);
    dn_replicas_release(&w.map);
}

static void the_limit_counts_more_than_the_period(void **state)
{
    (void)state;
    const struct dn_rounds_conf slow = {.period_ms = DAY, .limit_bytes = MIB};
    struct world w;
    begin(&w, &slow);
    for (uint64_t id = 1; id <= MANY; id++)
        add(&w, id, 128 * MIB);
    walk(&w, NOW + 2 * DAY);
    uint64_t most = 2 * DAY / 1000 / 128 + 1;
    assert_true(w.count <= most && w.count >= most - 2);
    dn_replicas_release(&w.map);
}

static void a_round_goes_on_where_it_was_after_a_restart(void **state)
{
    (void)state;
    struct world w;
    begin(&w, &three_weeks);
    for (uint64_t id = 1; id <= MANY; id++)
        add(&w, id, 128 * MIB);
    walk(&w, NOW + 9 * DAY);
    size_t before = w.count;
    struct dn_rounds_state kept = w.rounds.state;
    dn_rounds_init(&w.rounds, &three_weeks, &kept, w.now_ms);
    walk(&w, NOW + 20 * DAY);
    assert_int_equal(w.count, MANY);
    assert_int_equal(w.seen[before], before + 1);
    dn_replicas_release(&w.map);
}

static void a_suspect_is_next_even_while_the_round_rests(void **state)
{
    (void)state;
    struct world w;
    uint64_t id = 0;
    begin(&w, &three_weeks);
    for (uint64_t i = 1; i <= 10; i++)
        add(&w, i, 1000);
    walk(&w, NOW + DAY);
    assert_int_equal(w.count, 10);
    dn_rounds_suspect(&w.rounds, 7);
    dn_rounds_suspect(&w.rounds, 7);
    assert_true(dn_rounds_next(&w.rounds, &w.map, 0, w.now_ms, &id));
    assert_int_equal(id, 7);
    dn_rounds_read(&w.rounds, 1000, w.used, w.now_ms);
    walk(&w, NOW + 2 * DAY);
    assert_int_equal(w.count, 10);
    dn_replicas_release(&w.map);
}

static void a_suspect_goes_before_the_rest_of_the_round_and_costs_its_pace(void **state)
{
    (void)state;
    struct world w;
    uint64_t id = 0;
    begin(&w, &three_weeks);
    for (uint64_t i = 1; i <= 2000; i++)
        add(&w, i, 128 * MIB);
    assert_true(dn_rounds_next(&w.rounds, &w.map, 0, w.now_ms, &id));
    assert_int_equal(id, 1);
    dn_rounds_read(&w.rounds, 128 * MIB, w.used, w.now_ms);
    dn_rounds_suspect(&w.rounds, 1999);
    assert_false(dn_rounds_next(&w.rounds, &w.map, 0, w.now_ms, &id));
    w.now_ms = dn_rounds_due_ms(&w.rounds);
    assert_true(dn_rounds_next(&w.rounds, &w.map, 0, w.now_ms, &id));
    assert_int_equal(id, 1999);
    dn_replicas_release(&w.map);
}

static void what_is_gone_or_elsewhere_or_unfinished_is_passed_over(void **state)
{
    (void)state;
    struct world w;
    uint64_t id = 0;
    begin(&w, &three_weeks);
    for (uint64_t i = 1; i <= 4; i++)
        add(&w, i, 1000);
    struct dn_replica other = {.id = 5, .state = DN_REPLICA_FINALIZED, .volume = 1},
                      open = {.id = 6, .state = DN_REPLICA_RBW};
    assert_non_null(dn_replicas_add(&w.map, &other));
    assert_non_null(dn_replicas_add(&w.map, &open));
    assert_true(dn_rounds_next(&w.rounds, &w.map, 0, w.now_ms, &id));
    dn_replicas_remove(&w.map, dn_replicas_find(&w.map, 2));
    w.seen[w.count++] = id;
    walk(&w, NOW + DAY);
    assert_int_equal(w.count, 3);
    assert_int_equal(w.seen[1], 3);
    assert_int_equal(w.seen[2], 4);
    dn_replicas_release(&w.map);
}

static void a_clock_set_back_begins_the_round_now(void **state)
{
    (void)state;
    struct world w;
    begin(&w, &three_weeks);
    add(&w, 1, 1000);
    struct dn_rounds_state kept = {.cursor = 1, .began_ms = NOW + 900 * DAY, .is_resting = true};
    dn_rounds_init(&w.rounds, &three_weeks, &kept, NOW);
    walk(&w, NOW + 22 * DAY);
    assert_int_equal(w.count, 1);
    dn_replicas_release(&w.map);
}

static void without_a_period_only_suspects_are_seen(void **state)
{
    (void)state;
    const struct dn_rounds_conf none = {.limit_bytes = MIB};
    struct world w;
    uint64_t id = 0;
    begin(&w, &none);
    add(&w, 1, 1000);
    assert_false(dn_rounds_next(&w.rounds, &w.map, 0, w.now_ms, &id));
    dn_rounds_suspect(&w.rounds, 1);
    assert_true(dn_rounds_next(&w.rounds, &w.map, 0, w.now_ms, &id));
    assert_int_equal(id, 1);
    dn_replicas_release(&w.map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_round_sees_every_replica_once_in_order_within_the_period),
        cmocka_unit_test(it_is_spread_over_the_period_instead_of_read_at_once),
        cmocka_unit_test(the_limit_counts_more_than_the_period),
        cmocka_unit_test(a_round_goes_on_where_it_was_after_a_restart),
        cmocka_unit_test(a_suspect_is_next_even_while_the_round_rests),
        cmocka_unit_test(a_suspect_goes_before_the_rest_of_the_round_and_costs_its_pace),
        cmocka_unit_test(what_is_gone_or_elsewhere_or_unfinished_is_passed_over),
        cmocka_unit_test(a_clock_set_back_begins_the_round_now),
        cmocka_unit_test(without_a_period_only_suspects_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
