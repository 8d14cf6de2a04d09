/* SPDX-License-Identifier: Apache-2.0
 * Who makes room for whoever is below its share: when, and which of its tasks. */
#include "tests/unit/jobtracker/events/core_fixture.h"

#define WAIT (jt_config_default.share_wait_ms)

static void later(struct fixture *f, uint64_t ms)
{
    f->now += ms;
    jt_on_tick(&f->core, f->now);
}

static void who_began_last_makes_room(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *first = worker(f, "first", 1, 1);
    struct jt_job *big = submit(f, 8, 0, NULL);
    f->now += 1000;
    struct jt_worker *last = worker(f, "last", 1, 1);
    assert_int_equal(big->stages[0].running, 2);
    struct jt_job *small = submit(f, 1, 0, NULL);
    later(f, 1);
    later(f, WAIT);
    assert_int_equal(small->stages[0].running, 1);
    assert_ptr_equal(running_on(last)->task->stage->job, small);
    assert_ptr_equal(running_on(first)->task->stage->job, big);
}

/* Of all stages of a job, and not of its first. */
static void a_reduce_that_began_behind_a_map_makes_room_before_it(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 1, 1), *b = worker(f, "b", 1, 1);
    struct jt_job *big = submit(f, 2, 2, NULL);
    f->now += 1000;
    assert_true(done(f, running_on(b)));
    assert_int_equal(running_on(b)->task->stage->kind, JT_STAGE_REDUCE);
    struct jt_job *small = submit(f, 1, 0, NULL);
    later(f, 1);
    later(f, WAIT);
    assert_ptr_equal(running_on(b)->task->stage->job, small);
    assert_ptr_equal(running_on(a)->task->stage->job, big);
}

/* What it lacked once, and got, does not count when it lacks something again. */
static void nobody_makes_room_before_it_has_been_asked_long_enough(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 1, 1), *b = worker(f, "b", 1, 1);
    struct jt_job *big = submit(f, 20, 0, NULL), *small = submit(f, 1, 0, NULL);
    later(f, WAIT / 2);
    assert_int_equal(small->stages[0].running, 0);
    assert_true(done(f, running_on(b)));
    assert_ptr_equal(running_on(b)->task->stage->job, small);
    later(f, 10 * WAIT);
    jt_on_priority(&f->core, big, 4, f->now);
    jt_kill_attempt(&f->core, running_on(b), "it is in the way");
    jt_on_beat(&f->core, a, f->now);
    assert_ptr_equal(running_on(b)->task->stage->job, big);
    jt_on_priority(&f->core, big, 2, f->now);
    later(f, 1);
    later(f, WAIT / 2);
    assert_int_equal(small->stages[0].running, 0);
    later(f, WAIT);
    assert_int_equal(small->stages[0].running, 1);
    assert_int_equal(big->stages[0].running, 1);
}

static void nobody_makes_room_for_what_a_job_may_not_have(void **state)
{
    struct fixture *f = *state;
    worker(f, "w", 4, 1);
    struct jt_job *big = submit(f, 8, 0, NULL);
    struct jt_submit like = {.priority = 2, .map.memory = GIB, .most_memory = GIB + GIB / 2};
    struct jt_job *small = submit_asking(f, 2, like);
    for (int i = 0; i < 4; i++)
        later(f, WAIT);
    assert_int_equal(small->stages[0].running, 1);
    assert_int_equal(big->stages[0].running, 3);
    assert_int_equal(big->stages[0].killed_attempts, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(who_began_last_makes_room),
        CASE(a_reduce_that_began_behind_a_map_makes_room_before_it),
        CASE(nobody_makes_room_before_it_has_been_asked_long_enough),
        CASE(nobody_makes_room_for_what_a_job_may_not_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
