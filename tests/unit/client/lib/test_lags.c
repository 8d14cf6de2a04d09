/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/lib/lags.h"
#include "libcommon/base/rand.h"

#define EVERY  500U
#define WINDOW 2000U

static const uint32_t nodes[] = {10, 11, 12};

static struct cl_lags begin(void)
{
    struct cl_lags l;
    const struct cl_lags_rule rule = {.factor = 4, .min_ms = 100, .window_ms = WINDOW};
    cl_lags_init(&l, &rule);
    return l;
}

/* The same report again and again, for `ms`. */
static uint32_t tell(struct cl_lags *l, const struct cl_lag *lags, uint32_t count, uint64_t ms)
{
    uint32_t verdict = CL_LAGS_NONE;
    for (uint64_t now = 0; now <= ms && verdict == CL_LAGS_NONE; now += EVERY)
        verdict = cl_lags_report(l, nodes, lags, count, 100000 + now);
    return verdict;
}

static void a_slow_disk_is_found_wherever_it_is(void **state)
{
    (void)state;
    for (uint32_t place = 0; place < 3; place++) {
        struct cl_lags l = begin();
        struct cl_lag lags[3] = {{2, 1}, {3, 1}, {1, 1}};
        lags[place].disk_ms = 300;
        assert_int_equal(tell(&l, lags, 3, WINDOW + 2 * EVERY), place);
    }
}

static void nobody_is_slow_before_the_window_is_over(void **state)
{
    (void)state;
    struct cl_lags l = begin();
    const struct cl_lag lags[3] = {{2, 1}, {30000, 1}, {1, 1}};
    assert_int_equal(tell(&l, lags, 3, WINDOW - EVERY), CL_LAGS_NONE);
}

static void a_hiccup_is_nothing(void **state)
{
    (void)state;
    struct cl_lags l = begin();
    const struct cl_lag good[3] = {{2, 1}, {3, 1}, {1, 1}}, bad[3] = {{2, 1}, {800, 1}, {1, 1}};
    uint64_t now = 0;
    for (int round = 0; round < 50; round++)
        for (int i = 0; i < 7; i++, now += EVERY)
            assert_int_equal(cl_lags_report(&l, nodes, i == 0 ? bad : good, 3, now), CL_LAGS_NONE);
}

/* A long step, and then the writer has nothing more to write for a while. */
static void reports_without_news_repeat_no_hiccup(void **state)
{
    (void)state;
    struct cl_lags l = begin();
    const struct cl_lag bad[3] = {{2, 1}, {800, 1}, {1, 1}}, good[3] = {{2, 1}, {1, 1}, {1, 1}};
    const struct cl_lag none[3] = {{2, 1}, {CL_LAG_NONE, CL_LAG_NONE}, {1, 1}};
    assert_int_equal(cl_lags_report(&l, nodes, bad, 3, 0), CL_LAGS_NONE);
    assert_int_equal(tell(&l, none, 3, 100 * WINDOW), CL_LAGS_NONE);
    assert_int_equal(cl_lags_report(&l, nodes, good, 3, 100000 + 101 * WINDOW), CL_LAGS_NONE);
    assert_int_equal(tell(&l, bad, 3, WINDOW + 2 * EVERY), 1); /* that is no hiccup */
}

static void a_pipeline_that_is_slow_all_over_is_left_alone(void **state)
{
    (void)state;
    struct cl_lags l = begin();
    const struct cl_lag lags[3] = {{400, 900}, {300, 1200}, {700, 800}};
    assert_int_equal(tell(&l, lags, 3, 1000000), CL_LAGS_NONE);
}

/* Long steps are told by some in this report, by others in the next. */
static void it_is_left_alone_whenever_its_members_happen_to_tell(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct cl_lags l = begin();
        struct rand rand;
        rand_init(&rand, seed);
        for (uint64_t now = 0; now < 1000000; now += EVERY) {
            struct cl_lag lags[3];
            for (int i = 0; i < 3; i++) {
                uint32_t ms = 500 + (uint32_t)rand_below(&rand, 500);
                lags[i] = (struct cl_lag){rand_chance(&rand, 2) ? ms : CL_LAG_NONE, CL_LAG_NONE};
            }
            assert_int_equal(cl_lags_report(&l, nodes, lags, 3, now), CL_LAGS_NONE);
        }
    }
}

/* A write that comes to its end: the first nodes have nothing to do any more. */
static void who_has_nothing_to_do_is_no_measure_for_the_others(void **state)
{
    (void)state;
    struct cl_lags l = begin();
    const struct cl_lag all[3] = {{300, 1}, {300, 1}, {300, 1}};
    const struct cl_lag rest[3] = {{CL_LAG_NONE, CL_LAG_NONE}, {CL_LAG_NONE, 1}, {300, 1}};
    assert_int_equal(tell(&l, all, 3, 10000), CL_LAGS_NONE);
    assert_int_equal(tell(&l, rest, 3, 100000), CL_LAGS_NONE);
    l = begin(); /* nothing is known of anybody else */
    const struct cl_lag only[3] = {
        {CL_LAG_NONE, CL_LAG_NONE}, {CL_LAG_NONE, CL_LAG_NONE}, {300, 300}};
    assert_int_equal(tell(&l, only, 3, 100000), CL_LAGS_NONE);
}

static void silence_is_what_steps_of_such_disks_do_not_explain(void **state)
{
    (void)state;
    struct cl_lags l = begin();
    const struct cl_lag slow[3] = {{900, 1}, {800, 1}, {700, 1}},
                        fast[3] = {{2, 1}, {1, 1}, {3, 1}};
    (void)tell(&l, slow, 3, 10000);
    assert_false(cl_lags_is_silence(&l, 3000));
    assert_true(cl_lags_is_silence(&l, 4000));
    l = begin();
    (void)tell(&l, fast, 3, 10000);
    assert_false(cl_lags_is_silence(&l, WINDOW - 1));
    assert_true(cl_lags_is_silence(&l, WINDOW));
}

static void what_is_fast_enough_is_not_slow(void **state)
{
    (void)state;
    struct cl_lags l = begin();
    const struct cl_lag lags[3] = {{0, 0}, {99, 99}, {0, 0}};
    assert_int_equal(tell(&l, lags, 3, 100000), CL_LAGS_NONE);
}

static void factor_zero_and_a_single_node_know_no_slow_one(void **state)
{
    (void)state;
    struct cl_lags l = begin();
    const struct cl_lag lags[3] = {{9000, 9000}, {1, 1}, {1, 1}};
    assert_int_equal(tell(&l, lags, 1, 100000), CL_LAGS_NONE);
    l.rule.factor = 0;
    assert_int_equal(tell(&l, lags, 3, 100000), CL_LAGS_NONE);
}

/* A node's own network: the ways to it and from it are slow. */
static void a_node_at_the_end_of_two_slow_ways_is_blamed(void **state)
{
    (void)state;
    struct cl_lags l = begin();
    const struct cl_lag middle[3] = {{1, 1}, {1, 2000}, {1, 2000}};
    assert_int_equal(tell(&l, middle, 3, 100000), 1);
    l = begin();
    const struct cl_lag first[3] = {{1, 2000}, {1, 2000}, {1, 1}};
    assert_int_equal(tell(&l, first, 3, 100000), 0);
    assert_int_equal(l.suspect, CL_LAGS_NONE);
}

/* Of one slow way the receiver goes first; with another one behind the same sender it is his. */
static void a_slow_sender_is_found_at_his_second_receiver(void **state)
{
    (void)state;
    struct cl_lags l = begin();
    const struct cl_lag lags[3] = {{1, 1}, {1, 1}, {1, 2000}};
    assert_int_equal(tell(&l, lags, 3, 100000), 2);
    cl_lags_begin(&l);
    assert_int_equal(tell(&l, lags, 3, 100000), 1);
}

static void of_two_nodes_the_slow_sender_is_found_with_a_third(void **state)
{
    (void)state;
    struct cl_lags l = begin();
    const struct cl_lag lags[2] = {{1, 1}, {1, 2000}};
    assert_int_equal(tell(&l, lags, 2, 100000), 1);
    cl_lags_begin(&l); /* the second is another node now */
    assert_int_equal(tell(&l, lags, 2, 100000), 0);
}

static void a_writer_with_a_slow_network_of_his_own_blames_one_node_at_most(void **state)
{
    (void)state;
    struct cl_lags l = begin();
    const struct cl_lag lags[3] = {{1, 2000}, {1, 1}, {1, 1}};
    assert_int_equal(tell(&l, lags, 3, 100000), 0);
    cl_lags_begin(&l);
    assert_int_equal(tell(&l, lags, 3, 10000000), CL_LAGS_NONE);
}

static void each_verdict_makes_the_next_one_slower(void **state)
{
    (void)state;
    struct cl_lags l = begin();
    const struct cl_lag lags[3] = {{300, 1}, {1, 1}, {1, 1}};
    uint64_t now = 0, last = 0, gap = 0;
    for (int i = 0; i < 5; i++) {
        while (cl_lags_report(&l, nodes, lags, 3, now) == CL_LAGS_NONE)
            now += EVERY;
        if (i > 0)
            assert_true(now - last > gap);
        gap = now - last;
        last = now;
        cl_lags_begin(&l);
    }
    assert_true(gap >= 16 * WINDOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_disk_is_found_wherever_it_is),
        cmocka_unit_test(nobody_is_slow_before_the_window_is_over),
        cmocka_unit_test(a_hiccup_is_nothing),
        cmocka_unit_test(reports_without_news_repeat_no_hiccup),
        cmocka_unit_test(a_pipeline_that_is_slow_all_over_is_left_alone),
        cmocka_unit_test(it_is_left_alone_whenever_its_members_happen_to_tell),
        cmocka_unit_test(who_has_nothing_to_do_is_no_measure_for_the_others),
        cmocka_unit_test(silence_is_what_steps_of_such_disks_do_not_explain),
        cmocka_unit_test(what_is_fast_enough_is_not_slow),
        cmocka_unit_test(factor_zero_and_a_single_node_know_no_slow_one),
        cmocka_unit_test(a_node_at_the_end_of_two_slow_ways_is_blamed),
        cmocka_unit_test(a_slow_sender_is_found_at_his_second_receiver),
        cmocka_unit_test(of_two_nodes_the_slow_sender_is_found_with_a_third),
        cmocka_unit_test(a_writer_with_a_slow_network_of_his_own_blames_one_node_at_most),
        cmocka_unit_test(each_verdict_makes_the_next_one_slower),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
