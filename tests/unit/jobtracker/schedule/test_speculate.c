/* SPDX-License-Identifier: Apache-2.0
 * Who is a straggler, how many copies there are at a time, and where they go. */
#include "jobtracker/schedule/speculate.h"
#include "tests/unit/jobtracker/events/core_fixture.h"

#define NODES 10

/* 20 maps on ten nodes of two cores; after a second so many of them are done, the first ones. */
static struct jt_stage *twenty(struct fixture *f, uint32_t dones)
{
    char name[16];
    for (int i = 0; i < NODES; i++) {
        snprintf(name, sizeof(name), "w%d", i);
        worker(f, name, 2, 1);
    }
    struct jt_job *job = submit(f, 20, 1, NULL);
    job->stages[1].most_running = 1; /* the others stay free */
    f->now += 1000;
    for (uint32_t i = 0; i < dones; i++)
        assert_true(done(f, list_first(&job->stages[0].attempts, struct jt_attempt, of_stage)));
    return job->stages;
}

static void look(struct fixture *f, uint32_t times)
{
    while (times-- > 0) {
        f->now += 500;
        jt_on_tick(&f->core, f->now);
    }
}

static struct jt_attempt *oldest(const struct jt_stage *stage)
{
    return list_first(&stage->attempts, struct jt_attempt, of_stage);
}

static void before_most_of_a_stage_is_done_nothing_is_copied(void **state)
{
    struct fixture *f = *state;
    struct jt_stage *maps = twenty(f, 14);
    look(f, 20);
    assert_int_equal(maps->speculative, 0);
    assert_true(done(f, oldest(maps)));
    look(f, 2);
    assert_true(maps->speculative > 0);
}

static void a_tenth_of_the_tasks_is_copied_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct jt_stage *maps = twenty(f, 16);
    look(f, 10);
    assert_int_equal(maps->copies, 2);
    assert_int_equal(maps->speculative, 2);
}

static void a_task_has_one_copy_however_long_it_takes(void **state)
{
    struct fixture *f = *state;
    struct jt_stage *maps = twenty(f, 19);
    look(f, 20);
    assert_int_equal(maps->speculative, 1);
    assert_int_equal(oldest(maps)->task->running, 2);
}

/* How much it has to read was not known, and it is more than others had. */
static void what_reads_as_fast_as_the_others_is_no_straggler(void **state)
{
    struct fixture *f = *state;
    struct jt_stage *maps = twenty(f, 19);
    struct jt_attempt *last = oldest(maps);
    last->task->bytes = 0;
    f->now += 9000;
    struct attempt_id id = id_of(last);
    struct jt_progress healthy = {10000, 0, 10, 10, 0}, crawls = {5000, 0, 10, 10, 0};
    jt_on_progress(&f->core, last->worker, &id, &healthy, f->now);
    assert_false(jt_attempt_is_slow(last, f->now));
    jt_on_progress(&f->core, last->worker, &id, &crawls, f->now);
    assert_true(jt_attempt_is_slow(last, f->now));
}

/* It reads ten bytes where others read a thousand: to wait any longer would only cost time. */
static void what_is_three_times_as_slow_is_known_as_soon_as_it_is_late(void **state)
{
    struct fixture *f = *state;
    struct jt_stage *maps = twenty(f, 19);
    struct jt_attempt *last = oldest(maps);
    struct attempt_id id = id_of(last);
    const struct jt_progress crawls = {10, 1000, 10, 10, 0}, half = {500, 1000, 10, 10, 0};
    jt_on_progress(&f->core, last->worker, &id, &crawls, f->now);
    assert_int_equal(f->now - last->start_ms, jt_stage_mean_ms(maps));
    assert_true(jt_attempt_is_slow(last, f->now));
    assert_false(jt_attempt_is_slow(last, f->now - 1));
    jt_on_progress(&f->core, last->worker, &id, &half, f->now);
    assert_false(jt_attempt_is_slow(last, f->now + 499));
    assert_true(jt_attempt_is_slow(last, f->now + 500));
}

/* Its code has not been given a record yet: it may be in its setup, or on a node that stands still.
 */
static void where_no_byte_is_counted_a_third_more_time_is_enough(void **state)
{
    struct fixture *f = *state;
    struct jt_stage *maps = twenty(f, 19);
    struct jt_attempt *last = oldest(maps);
    uint64_t mean = jt_stage_mean_ms(maps);
    for (uint64_t total = 0; total <= 1000; total += 1000) {
        last->bytes_total = total;
        assert_false(jt_attempt_is_slow(last, last->start_ms + mean + mean / 3 - 1));
        assert_true(jt_attempt_is_slow(last, last->start_ms + mean + mean / 3));
    }
}

/* What a next life knows of how long its tasks take, it has from the one before. */
static void a_task_that_runs_again_after_a_restart_is_as_young_as_it_is(void **state)
{
    struct fixture *f = *state;
    f->now += 100000;
    jt_on_resume_begin(&f->core);
    struct jt_job *job = submit(f, 2, 0, NULL);
    struct jt_stage *maps = &job->stages[0];
    jt_on_resumed(&f->core, job,
                  &(struct jt_resumed){{{0, job->number}, 0, 0, 0},
                                       slice_str("w0"),
                                       slice_str("r"),
                                       {.bytes_in = 1000, .took_us = 10000000}},
                  f->now);
    jt_on_resume_end(&f->core, 2, f->now);
    const struct jt_attempt *was = maps->tasks[0].winner;
    assert_int_equal(was->end_ms - was->start_ms, 10000);
    assert_int_equal(jt_stage_mean_ms(maps), 10000);
    worker(f, "w0", 1, 1);
    worker(f, "w1", 1, 1);
    look(f, 20);
    assert_int_equal(maps->running, 1);
    assert_int_equal(maps->speculative, 0);
    look(f, 20);
    assert_int_equal(maps->speculative, 1);
}

static void what_runs_on_a_slow_node_is_copied_at_once(void **state)
{
    struct fixture *f = *state;
    struct jt_stage *maps = twenty(f, 10);
    struct jt_worker *slow = oldest(maps)->worker;
    slow->slow_tasks = JT_SLOW_TASKS;
    look(f, 2);
    assert_int_equal(maps->speculative, 1); /* of two tasks on each node one was done */
    assert_int_equal(slow->slow_tasks, JT_SLOW_TASKS + 1);
}

static void a_copy_goes_neither_to_a_slow_node_nor_to_where_the_task_failed(void **state)
{
    struct fixture *f = *state;
    struct jt_stage *maps = twenty(f, 19);
    struct jt_attempt *last = oldest(maps);
    list_each (&f->core.fleet.all, it) {
        struct jt_worker *w = list_entry(it, struct jt_worker, all);
        if (w->number % 2)
            w->slow_tasks = JT_SLOW_TASKS;
        else
            jt_task_blame(last->task, w);
    }
    look(f, 4);
    uint32_t blamed = 0;
    list_each (&f->core.fleet.all, it)
        blamed += jt_task_failed_on(last->task, list_entry(it, struct jt_worker, all));
    assert_int_equal(blamed, JT_FAILED_ON); /* of five the last four are remembered */
    assert_int_equal(maps->speculative, 1); /* so one may have it */
    list_each (&last->task->attempts, it) {
        const struct jt_attempt *attempt = list_entry(it, struct jt_attempt, of_task);
        assert_true(attempt == last || attempt->worker->slow_tasks < JT_SLOW_TASKS);
        assert_true(attempt == last || !jt_task_failed_on(last->task, attempt->worker));
    }
}

static void a_job_that_wants_no_copies_gets_none(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 1, 1);
    worker(f, "b", 1, 1);
    struct jt_job *job =
        submit_asking(f, 2, (struct jt_submit){.priority = 2, .map_no_copies = true});
    f->now += 1000;
    assert_true(done(f, running_on(a)));
    look(f, 20);
    assert_int_equal(job->stages[0].speculative, 0);
}

static void a_copy_is_within_what_its_job_may_have(void **state)
{
    struct fixture *f = *state;
    worker(f, "a", 1, 1);
    worker(f, "b", 1, 1);
    struct jt_submit like = {.priority = 2, .map.memory = GIB, .most_memory = GIB};
    struct jt_stage *maps = submit_asking(f, 2, like)->stages;
    f->now += 1000;
    assert_true(done(f, oldest(maps)));
    look(f, 20);
    assert_int_equal(maps->running, 1);
    assert_int_equal(maps->speculative, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(before_most_of_a_stage_is_done_nothing_is_copied),
        CASE(a_tenth_of_the_tasks_is_copied_at_a_time),
        CASE(a_task_has_one_copy_however_long_it_takes),
        CASE(what_reads_as_fast_as_the_others_is_no_straggler),
        CASE(what_is_three_times_as_slow_is_known_as_soon_as_it_is_late),
        CASE(where_no_byte_is_counted_a_third_more_time_is_enough),
        CASE(a_task_that_runs_again_after_a_restart_is_as_young_as_it_is),
        CASE(what_runs_on_a_slow_node_is_copied_at_once),
        CASE(a_copy_goes_neither_to_a_slow_node_nor_to_where_the_task_failed),
        CASE(a_job_that_wants_no_copies_gets_none),
        CASE(a_copy_is_within_what_its_job_may_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
