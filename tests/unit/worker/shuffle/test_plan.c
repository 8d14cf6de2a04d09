/* SPDX-License-Identifier: Apache-2.0
 * The plan of a shuffle, told as it happens: who is asked when, who is blamed, when it is over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/shuffle/plan.h"

static struct plan plan;

static void begin(uint32_t maps, uint32_t streams)
{
    assert_int_equal(plan_open(&plan, maps, streams), 0);
}

static uint32_t learn(uint32_t map, uint32_t attempt, const char *worker)
{
    int64_t number = plan_learn(&plan, map, attempt, slice_str(worker));
    assert_true(number >= 0);
    return (uint32_t)number;
}

static struct plan_step expect(uint64_t now, enum plan_what what)
{
    struct plan_step step = plan_next(&plan, now);
    assert_int_equal(step.what, what);
    return step;
}

static void no_maps_are_done_at_once(void **state)
{
    (void)state;
    begin(0, 4);
    expect(0, PLAN_DONE);
    plan_close(&plan);
}

static void it_waits_for_news_then_opens_one_stream_per_worker(void **state)
{
    (void)state;
    begin(3, 4);
    assert_true(expect(0, PLAN_WAIT).until_ms == UINT64_MAX);
    uint32_t a = learn(0, 0, "a");
    assert_int_equal(learn(2, 0, "a"), a);
    assert_int_equal(expect(1, PLAN_OPEN).worker, a);
    expect(1, PLAN_WAIT);
    plan_got(&plan, a, 0);
    plan_got(&plan, a, 2);
    uint32_t b = learn(1, 0, "b");
    assert_int_equal(expect(2, PLAN_OPEN).worker, b);
    plan_got(&plan, b, 1);
    expect(3, PLAN_DONE);
    plan_close(&plan);
}

static void a_broken_stream_is_tried_again_after_a_pause_that_doubles(void **state)
{
    (void)state;
    begin(2, 4);
    uint32_t a = learn(0, 0, "a");
    learn(1, 0, "a");
    uint64_t now = 1000;
    expect(now, PLAN_OPEN);
    plan_stream_over(&plan, a, ERR_REFUSED, now);
    assert_int_equal(expect(now, PLAN_WAIT).until_ms, now + PLAN_RETRY_MIN_MS);
    now += PLAN_RETRY_MIN_MS;
    expect(now, PLAN_OPEN);
    plan_stream_over(&plan, a, ERR_REFUSED, now);
    assert_int_equal(expect(now, PLAN_WAIT).until_ms, now + 2 * PLAN_RETRY_MIN_MS);
    /* One segment in between: patience begins anew. */
    now += 2 * PLAN_RETRY_MIN_MS;
    expect(now, PLAN_OPEN);
    plan_got(&plan, a, 0);
    plan_stream_over(&plan, a, ERR_CLOSED, now);
    assert_int_equal(expect(now, PLAN_WAIT).until_ms, now + PLAN_RETRY_MIN_MS);
    plan_close(&plan);
}

/* Fail `times` in a row; returns the time after. */
static uint64_t fail_often(uint32_t worker, unsigned times, uint64_t now)
{
    for (unsigned i = 0; i < times; i++) {
        struct plan_step step = plan_next(&plan, now);
        if (step.what == PLAN_WAIT) {
            now = step.until_ms;
            step = plan_next(&plan, now);
        }
        assert_int_equal(step.what, PLAN_OPEN);
        plan_stream_over(&plan, worker, ERR_TIMEOUT, now);
    }
    return now;
}

static void a_worker_is_blamed_for_what_is_missing_and_given_up_in_the_end(void **state)
{
    (void)state;
    begin(4, 4);
    uint32_t a = learn(1, 0, "a");
    learn(3, 0, "a");
    uint64_t now = fail_often(a, PLAN_BLAME_AFTER, 0);
    assert_int_equal(expect(now, PLAN_BLAME).worker, a);
    uint32_t at = 0, map = 0;
    assert_true(plan_missing(&plan, a, &at, &map));
    assert_int_equal(map, 1);
    assert_true(plan_missing(&plan, a, &at, &map));
    assert_int_equal(map, 3);
    assert_false(plan_missing(&plan, a, &at, &map));
    now = fail_often(a, PLAN_BLAME_AFTER, now);
    expect(now, PLAN_BLAME); /* once more, not every time */
    for (unsigned n = 2 * PLAN_BLAME_AFTER; n + PLAN_BLAME_AFTER < PLAN_GIVE_UP_AFTER;
         n += PLAN_BLAME_AFTER) {
        now = fail_often(a, PLAN_BLAME_AFTER, now);
        expect(now, PLAN_BLAME);
    }
    now = fail_often(a, PLAN_BLAME_AFTER, now);
    assert_int_equal(expect(now, PLAN_GIVE_UP).worker, a);
    plan_close(&plan);
}

static void what_is_spoilt_waits_for_what_is_not(void **state)
{
    (void)state;
    begin(3, 4);
    uint32_t a = learn(0, 0, "a");
    learn(1, 1, "a");
    learn(2, 0, "b");
    assert_true(plan_has_sound(&plan, a));
    plan_spoilt(&plan, a, 0, 0);
    plan_spoilt(&plan, a, 0, 0); /* again */
    plan_spoilt(&plan, a, 1, 0); /* a former attempt of it */
    plan_spoilt(&plan, a, 2, 0); /* which has moved */
    assert_int_equal(plan.workers[a].spoilt, 1);
    assert_true(plan_has_sound(&plan, a));
    plan_spoilt(&plan, a, 1, 1);
    assert_false(plan_has_sound(&plan, a));
    learn(1, 2, "a"); /* it was made anew */
    assert_true(plan_has_sound(&plan, a));
    plan_got(&plan, a, 1);
    plan_spoilt(&plan, a, 1, 2);
    assert_false(plan_has_sound(&plan, a));
    plan_got(&plan, a, 0);
    assert_int_equal(plan.workers[a].spoilt, 0);
    plan_close(&plan);
}

static void nobody_is_blamed_where_nothing_is_missing_any_more(void **state)
{
    (void)state;
    begin(2, 4);
    uint32_t a = learn(0, 0, "a");
    uint64_t now = fail_often(a, PLAN_BLAME_AFTER, 0);
    learn(0, 1, "b"); /* it has moved before anybody was blamed */
    assert_int_equal(expect(now, PLAN_OPEN).worker, 1);
    plan_got(&plan, 1, 0);
    learn(0, 2, "a"); /* and was made once more: it is here */
    expect(now + 100000, PLAN_WAIT);
    plan_close(&plan);
}

static void no_pause_is_longer_than_the_longest(void **state)
{
    (void)state;
    begin(1, 4);
    uint32_t a = learn(0, 0, "a");
    uint64_t now = 0, pause = 0;
    for (unsigned n = 0; n < 10; n++) {
        struct plan_step step = plan_next(&plan, now);
        while (step.what == PLAN_BLAME)
            step = plan_next(&plan, now);
        assert_int_equal(step.what, PLAN_OPEN);
        plan_stream_over(&plan, a, ERR_IO, now);
        step = plan_next(&plan, now);
        while (step.what == PLAN_BLAME)
            step = plan_next(&plan, now);
        assert_int_equal(step.what, PLAN_WAIT);
        pause = step.until_ms - now;
        assert_true(pause <= PLAN_RETRY_MAX_MS);
        now = step.until_ms;
    }
    assert_int_equal(pause, PLAN_RETRY_MAX_MS);
    plan_close(&plan);
}

static void workers_are_asked_in_turn(void **state)
{
    (void)state;
    begin(2, 1);
    uint32_t a = learn(0, 0, "a"), b = learn(1, 0, "b");
    assert_int_equal(expect(0, PLAN_OPEN).worker, a);
    plan_stream_over(&plan, a, ERR_CANCELLED, 0); /* nothing came of it */
    assert_int_equal(expect(0, PLAN_OPEN).worker, b);
    plan_close(&plan);
}

static void a_map_run_again_elsewhere_frees_its_old_worker(void **state)
{
    (void)state;
    begin(1, 4);
    uint32_t a = learn(0, 0, "a");
    uint64_t now = fail_often(a, PLAN_BLAME_AFTER - 1, 0);
    uint32_t b = learn(0, 1, "b");
    learn(0, 0, "a"); /* old news */
    assert_int_equal(expect(now, PLAN_OPEN).worker, b);
    expect(now + 100000, PLAN_WAIT);
    plan_got(&plan, b, 0);
    expect(now, PLAN_DONE);
    assert_false(plan_wants(&plan, 0));
    plan_close(&plan);
}

static void an_end_without_what_was_promised_counts_as_failure(void **state)
{
    (void)state;
    begin(1, 4);
    uint32_t a = learn(0, 0, "a");
    expect(0, PLAN_OPEN);
    plan_stream_over(&plan, a, 0, 0);
    assert_int_equal(expect(0, PLAN_WAIT).until_ms, PLAN_RETRY_MIN_MS);
    plan_close(&plan);
}

static void an_end_that_was_ours_is_no_failure(void **state)
{
    (void)state;
    begin(1, 4);
    for (int i = 0; i < 5; i++) {
        uint32_t a = learn(0, 0, "a");
        expect(0, PLAN_OPEN);
        plan_stream_over(&plan, a, ERR_CANCELLED, 0);
    }
    plan_close(&plan);
}

static void an_end_with_everything_is_no_failure_and_news_open_it_again(void **state)
{
    (void)state;
    begin(2, 4);
    uint32_t a = learn(0, 0, "a");
    expect(0, PLAN_OPEN);
    plan_got(&plan, a, 0);
    plan_stream_over(&plan, a, 0, 0);
    assert_true(expect(0, PLAN_WAIT).until_ms == UINT64_MAX);
    learn(1, 0, "a");
    expect(0, PLAN_OPEN);
    plan_close(&plan);
}

static void idle_streams_make_room_for_waiting_workers(void **state)
{
    (void)state;
    begin(5, 2);
    uint32_t a = learn(0, 0, "a");
    learn(1, 0, "b");
    uint32_t c = learn(2, 0, "c");
    expect(0, PLAN_OPEN);
    expect(0, PLAN_OPEN);
    expect(0, PLAN_WAIT); /* both are busy */
    plan_got(&plan, a, 0);
    assert_int_equal(expect(0, PLAN_CLOSE).worker, a);
    plan_stream_over(&plan, a, 0, 0);
    assert_int_equal(expect(0, PLAN_OPEN).worker, c);
    plan_close(&plan);
}

static void a_worker_that_is_not_asked_is_not_closed(void **state)
{
    (void)state;
    begin(4, 1);
    uint32_t a = learn(0, 0, "a");
    expect(0, PLAN_OPEN);
    plan_got(&plan, a, 0);
    plan_stream_over(&plan, a, 0, 0); /* it has said all */
    uint32_t b = learn(1, 0, "b");
    learn(2, 0, "c");
    assert_int_equal(expect(0, PLAN_OPEN).worker, b);
    expect(0, PLAN_WAIT); /* b is busy, and a has nothing to be closed */
    plan_got(&plan, b, 1);
    assert_int_equal(expect(0, PLAN_CLOSE).worker, b);
    plan_close(&plan);
}

static void the_first_to_be_tried_again_is_waited_for(void **state)
{
    (void)state;
    begin(2, 4);
    uint32_t a = learn(0, 0, "a"), b = learn(1, 0, "b");
    expect(0, PLAN_OPEN);
    expect(0, PLAN_OPEN);
    plan_stream_over(&plan, a, ERR_CLOSED, 0);
    plan_stream_over(&plan, b, ERR_CLOSED, 50);
    assert_int_equal(expect(60, PLAN_WAIT).until_ms, PLAN_RETRY_MIN_MS);
    plan_close(&plan);
}

static void what_is_here_and_was_made_again_is_wanted_from_nobody(void **state)
{
    (void)state;
    begin(3, 4);
    uint32_t a = learn(0, 0, "a");
    expect(0, PLAN_OPEN);
    plan_got(&plan, a, 0);
    plan_stream_over(&plan, a, 0, 0);
    learn(0, 1, "b");
    assert_true(expect(1, PLAN_WAIT).until_ms == UINT64_MAX);
    learn(1, 0, "a"); /* news of another one count as ever */
    assert_int_equal(expect(2, PLAN_OPEN).worker, a);
    plan_got(&plan, a, 1);
    plan_stream_over(&plan, a, 0, 2);
    assert_true(expect(3, PLAN_WAIT).until_ms == UINT64_MAX);
    plan_close(&plan);
}

static void whoever_has_given_something_is_blamed_for_the_rest_alone(void **state)
{
    (void)state;
    begin(3, 4);
    uint32_t a = learn(0, 0, "a"), at = 0, map = 0;
    learn(2, 0, "a");
    uint64_t now = fail_often(a, PLAN_BLAME_AFTER, 0);
    expect(now, PLAN_BLAME);
    now = expect(now, PLAN_WAIT).until_ms;
    expect(now, PLAN_OPEN);
    plan_got(&plan, a, 0);
    plan_stream_over(&plan, a, ERR_CLOSED, now);
    now = fail_often(a, PLAN_BLAME_AFTER - 1, now); /* patience began anew, and ends as it did */
    expect(now, PLAN_BLAME);
    assert_true(plan_missing(&plan, a, &at, &map));
    assert_int_equal(map, 2);
    assert_false(plan_missing(&plan, a, &at, &map));
    plan_close(&plan);
}

static void a_map_out_of_range_is_refused(void **state)
{
    (void)state;
    begin(2, 1);
    assert_int_equal(plan_learn(&plan, 2, 0, slice_str("a")), ERR_INVAL);
    assert_false(plan_wants(&plan, 2));
    plan_close(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_maps_are_done_at_once),
        cmocka_unit_test(it_waits_for_news_then_opens_one_stream_per_worker),
        cmocka_unit_test(a_broken_stream_is_tried_again_after_a_pause_that_doubles),
        cmocka_unit_test(a_worker_is_blamed_for_what_is_missing_and_given_up_in_the_end),
        cmocka_unit_test(what_is_spoilt_waits_for_what_is_not),
        cmocka_unit_test(nobody_is_blamed_where_nothing_is_missing_any_more),
        cmocka_unit_test(no_pause_is_longer_than_the_longest),
        cmocka_unit_test(workers_are_asked_in_turn),
        cmocka_unit_test(a_map_run_again_elsewhere_frees_its_old_worker),
        cmocka_unit_test(an_end_without_what_was_promised_counts_as_failure),
        cmocka_unit_test(an_end_that_was_ours_is_no_failure),
        cmocka_unit_test(an_end_with_everything_is_no_failure_and_news_open_it_again),
        cmocka_unit_test(idle_streams_make_room_for_waiting_workers),
        cmocka_unit_test(a_worker_that_is_not_asked_is_not_closed),
        cmocka_unit_test(the_first_to_be_tried_again_is_waited_for),
        cmocka_unit_test(what_is_here_and_was_made_again_is_wanted_from_nobody),
        cmocka_unit_test(whoever_has_given_something_is_blamed_for_the_rest_alone),
        cmocka_unit_test(a_map_out_of_range_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
