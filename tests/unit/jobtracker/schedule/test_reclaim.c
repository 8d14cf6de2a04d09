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

/* Two of four cores may be taken: a task that wants all memory does not fit then either, and waits
 * until a worker is kept free for it. */
static void nobody_is_ended_for_a_task_that_does_not_fit_then_either(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w = worker(f, "w", 4, 1);
    struct jt_job *big = submit(f, 30, 0, NULL);
    struct jt_submit like = {.priority = 2, .map.memory = 4 * GIB};
    struct jt_job *small = submit_asking(f, 1, like);
    for (int i = 0; i < 8; i++)
        later(f, WAIT);
    assert_int_equal(big->stages[0].running, 4);
    for (int i = 0; i < 20 && small->stages[0].running == 0; i++) {
        assert_true(done(f, running_on(w)));
        later(f, WAIT);
    }
    assert_int_equal(small->stages[0].running, 1);
    assert_int_equal(big->stages[0].killed_attempts, 0);
}

/* Two jobs of a queue that is above its share: each alone has enough to give, the queue has not. */
static void what_a_queue_gives_is_counted_over_its_jobs(void **state)
{
    struct fixture *f = *state;
    struct jt_queue_conf confs[1] = {{.name = slice_str("prod"), .weight = 1}};
    assert_int_equal(jt_queues_configure(&f->core.queues, confs, 1), 0);
    worker(f, "w", 4, 1);
    struct jt_job *one = submit(f, 8, 0, NULL), *other = submit(f, 8, 0, NULL);
    for (int i = 0; i < 8; i++)
        later(f, WAIT);
    uint32_t before = one->stages[0].killed_attempts;
    assert_int_equal(other->stages[0].running, 2);
    struct jt_submit like = {.queue = slice_str("prod"), .priority = 2, .map.memory = 3 * GIB};
    struct jt_job *wants = submit_asking(f, 1, like);
    for (int i = 0; i < 8; i++)
        later(f, WAIT);
    assert_int_equal(wants->stages[0].running, 0);
    assert_int_equal(one->stages[0].running + other->stages[0].running, 4);
    assert_int_equal(one->stages[0].killed_attempts, before);
    assert_int_equal(other->stages[0].killed_attempts, 0);
}

static void as_many_are_ended_as_a_large_task_needs(void **state)
{
    struct fixture *f = *state;
    worker(f, "a", 4, 1);
    worker(f, "b", 4, 1);
    struct jt_job *big = submit(f, 16, 0, NULL);
    struct jt_submit like = {.priority = 2, .map.memory = 3 * GIB};
    struct jt_job *small = submit_asking(f, 1, like);
    later(f, 1);
    later(f, WAIT);
    assert_int_equal(small->stages[0].running, 1);
    assert_int_equal(big->stages[0].killed_attempts, 3);
}

/* The youngest runs where a third job, that has no more than its share, is in the way. */
static void a_large_task_is_made_room_for_where_there_can_be_enough(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *crowded = worker(f, "crowded", 4, 1);
    struct jt_submit like = {.priority = 2, .map.memory = 2 * GIB};
    struct jt_job *third = submit_asking(f, 1, like);
    struct jt_worker *other = worker(f, "other", 4, 1);
    struct jt_job *big = submit(f, 16, 0, NULL);
    f->now += 1000;
    jt_kill_attempt(&f->core, list_entry(crowded->attempts.prev, struct jt_attempt, on_worker),
                    "it is to begin last");
    later(f, 1);
    assert_int_equal(big->stages[0].running, 6);
    assert_ptr_equal(running_on(crowded)->task->stage->job, third);
    like.map.memory = 4 * GIB;
    struct jt_job *wants = submit_asking(f, 1, like);
    later(f, 1);
    later(f, WAIT);
    assert_int_equal(wants->stages[0].running, 1);
    assert_ptr_equal(running_on(other)->task->stage->job, wants);
    assert_int_equal(third->stages[0].running, 1);
    assert_int_equal(big->stages[0].killed_attempts, 1 + 4);
}

static void cores_of_a_node_that_is_left_out_are_not_shared_out(void **state)
{
    struct fixture *f = *state;
    struct jt_queue_conf confs[1] = {{.name = slice_str("prod"), .weight = 1}};
    assert_int_equal(jt_queues_configure(&f->core.queues, confs, 1), 0);
    struct jt_worker *out = worker(f, "out", 1, 1);
    worker(f, "a", 1, 1);
    worker(f, "b", 1, 1);
    jt_worker_exclude(&f->core.fleet, out, f->now + 100 * WAIT);
    struct jt_split splits[8] = {0};
    struct jt_submit like = {.name = slice_str("j"),
                             .user = slice_str("u"),
                             .queue = slice_str("prod"),
                             .priority = 2,
                             .splits = splits,
                             .split_count = ARRAY_LEN(splits)};
    struct jt_job *big = jt_on_submit(&f->core, 0, &like, f->now);
    assert_int_equal(big->stages[0].running, 2);
    struct jt_job *small = submit(f, 1, 0, NULL);
    later(f, 1);
    later(f, WAIT);
    assert_int_equal(small->stages[0].running, 1);
    assert_int_equal(big->stages[0].running, 1);
    assert_int_equal(f->core.fleet.cores, 2);
    worker(f, "out", 1, 2); /* it has been started anew */
    assert_int_equal(f->core.fleet.cores, 3);
    assert_int_equal(f->core.fleet.memory, 3 * GIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(who_began_last_makes_room),
        CASE(a_reduce_that_began_behind_a_map_makes_room_before_it),
        CASE(nobody_makes_room_before_it_has_been_asked_long_enough),
        CASE(nobody_makes_room_for_what_a_job_may_not_have),
        CASE(nobody_is_ended_for_a_task_that_does_not_fit_then_either),
        CASE(what_a_queue_gives_is_counted_over_its_jobs),
        CASE(as_many_are_ended_as_a_large_task_needs),
        CASE(a_large_task_is_made_room_for_where_there_can_be_enough),
        CASE(cores_of_a_node_that_is_left_out_are_not_shared_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
