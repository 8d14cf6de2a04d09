/* SPDX-License-Identifier: Apache-2.0
 * The life of a job: its stages, its tasks that fail, and its end. */
#include "tests/unit/jobtracker/events/core_fixture.h"

static void a_job_runs_its_maps_then_its_reduces_then_publishes(void **state)
{
    struct fixture *f = *state;
    worker(f, "a", 2, 1);
    struct jt_job *job = submit(f, 5, 2, NULL);
    assert_int_equal(job->state, JT_JOB_RUNNING);
    assert_int_equal(job->stages[0].running, 2);
    assert_int_equal(count(f, JT_TELL_JOB), 1);
    assert_int_equal(count(f, JT_TELL_RUN), 2);
    finish_all(f);
    assert_int_equal(job->stages[0].done, 5);
    assert_int_equal(job->stages[1].done, 2);
    assert_int_equal(job->state, JT_JOB_COMMITTING);
    assert_int_equal(count(f, JT_PUBLISH), 1);
    jt_on_published(&f->core, job, 0, NULL, f->now);
    assert_int_equal(job->state, JT_JOB_SUCCEEDED);
    assert_int_equal(count(f, JT_WRITE_END), 1);
    assert_int_equal(count(f, JT_TELL_END), 1);
}

static void a_job_without_input_ends_too(void **state)
{
    struct fixture *f = *state;
    worker(f, "a", 1, 1);
    struct jt_job *job = submit(f, 0, 1, NULL);
    finish_all(f);
    assert_int_equal(job->state, JT_JOB_COMMITTING);
}

static void a_job_without_reducers_publishes_what_its_maps_wrote(void **state)
{
    struct fixture *f = *state;
    worker(f, "a", 1, 1);
    struct jt_job *job = submit(f, 3, 0, NULL);
    assert_int_equal(job->stages[0].kind, JT_STAGE_MAP_OUT);
    finish_all(f);
    assert_int_equal(count(f, JT_PUBLISH), 1);
    assert_int_equal(count(f, JT_TELL_OUTPUTS), 0);
}

static void a_failed_task_is_tried_elsewhere_and_four_failures_end_the_job(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w[2] = {worker(f, "a", 1, 1), worker(f, "b", 1, 1)};
    struct jt_job *job = submit(f, 1, 0, NULL);
    struct jt_worker *last = NULL;
    for (int i = 0; i < 4; i++) {
        struct jt_attempt *a = running_on(w[0]) ? running_on(w[0]) : running_on(w[1]);
        assert_non_null(a);
        if (i == 1)
            assert_ptr_not_equal(a->worker, last);
        last = a->worker;
        has_failed(f, a, true);
        f->now += 300;
        jt_on_tick(&f->core, f->now);
    }
    assert_int_equal(job->state, JT_JOB_FAILED);
    assert_non_null(job->culprit);
    assert_int_equal(count(f, JT_CLEAN_UP), 1);
}

static void a_kill_that_is_not_the_tasks_fault_does_not_count(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 1, 1);
    struct jt_job *job = submit(f, 1, 0, NULL);
    for (int i = 0; i < JT_NODE_FAILURES - 1; i++) {
        has_failed(f, running_on(a), false);
        f->now += 300;
        jt_on_tick(&f->core, f->now);
    }
    assert_int_equal(job->state, JT_JOB_RUNNING);
    assert_int_equal(job->stages[0].tasks[0].failures, 0);
}

static void who_stops_an_attempt_says_if_it_used_up_a_try(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 1, 1);
    struct jt_job *job = submit_asking(f, 1, (struct jt_submit){.map_attempts = 2});
    struct jt_attempt *first = running_on(a);
    for (int i = 0; i < 5; i++) {
        assert_true(jt_on_stop(&f->core, running_on(a), false, "killed by u", f->now));
        f->now += 300;
        jt_on_tick(&f->core, f->now);
    }
    assert_int_equal(job->stages[0].killed_attempts, 5);
    assert_int_equal(count(f, JT_TELL_KILL), 5);
    assert_string_equal(first->why, "killed by u");
    assert_false(jt_on_stop(&f->core, first, true, "failed by u", f->now));
    assert_true(jt_on_stop(&f->core, running_on(a), true, "failed by u", f->now));
    assert_int_equal(job->state, JT_JOB_RUNNING);
    f->now += 300;
    jt_on_tick(&f->core, f->now);
    assert_true(jt_on_stop(&f->core, running_on(a), true, "failed by u", f->now));
    assert_int_equal(job->state, JT_JOB_FAILED);
    assert_string_equal(job->why, "map 0 failed 2 times");
    assert_int_equal(a->failures, 0);
}

static void a_task_that_no_node_can_run_fails_its_job_after_each_had_its_turns(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w[6];
    const char *names[6] = {"a", "b", "c", "d", "e", "f"};
    for (int i = 0; i < 6; i++)
        w[i] = worker(f, names[i], 1, 1);
    struct jt_job *job = submit(f, 1, 0, NULL);
    int attempts = 0;
    while (job->state == JT_JOB_RUNNING && attempts < 100) {
        for (int i = 0; i < 6; i++)
            if (running_on(w[i])) {
                has_failed(f, running_on(w[i]), false);
                attempts++;
            }
        f->now += 300;
        jt_on_tick(&f->core, f->now);
    }
    assert_int_equal(job->state, JT_JOB_FAILED);
    assert_int_equal(attempts, 12);
    assert_string_equal(job->why, "no node could run map 0 in 12 attempts");
    assert_non_null(job->culprit);
}

static void a_failed_task_waits_for_another_node_however_busy_that_is(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 1, 1), *b = worker(f, "b", 1, 1);
    struct jt_job *job = submit(f, 2, 0, NULL);
    struct jt_task *task = running_on(a)->task;
    has_failed(f, running_on(a), true);
    for (int i = 0; i < 20; i++) {
        f->now += 300;
        jt_on_beat(&f->core, a, f->now);
        jt_on_beat(&f->core, b, f->now);
        jt_on_tick(&f->core, f->now);
        assert_true(running_on(a) == NULL || running_on(a)->task != task);
    }
    assert_int_equal(job->stages[0].waiting, 1);
    assert_true(done(f, running_on(b)));
    assert_non_null(running_on(b));
    assert_ptr_equal(running_on(b)->task, task);
}

static void a_job_that_fails_here_and_there_on_every_node_still_ends(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w[3] = {worker(f, "a", 1, 1), worker(f, "b", 1, 1), worker(f, "c", 1, 1)};
    struct jt_job *job = submit(f, 12, 0, NULL);
    for (int i = 0; i < 200 && job->state == JT_JOB_RUNNING; i++) {
        for (int k = 0; k < 3; k++) { /* each task fails once, on whichever node it meets first */
            struct jt_attempt *x = running_on(w[k]);
            if (x && x->task->failures == 0)
                has_failed(f, x, true);
            else if (x)
                assert_true(done(f, x));
        }
        f->now += 300;
        for (int k = 0; k < 3; k++)
            jt_on_beat(&f->core, w[k], f->now);
        jt_on_tick(&f->core, f->now);
    }
    assert_int_equal(job->state, JT_JOB_COMMITTING);
    assert_int_equal(job->stages[0].failed_attempts, 12);
}

static void a_job_that_fails_often_on_a_node_gets_no_more_of_it_until_it_is_another(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *bad = worker(f, "bad", 1, 1);
    worker(f, "b", 1, 1);
    worker(f, "c", 1, 1);
    submit(f, 30, 0, NULL);
    for (uint32_t i = 0; i < jt_config_default.job_worker_failures; i++) {
        assert_non_null(running_on(bad));
        has_failed(f, running_on(bad), true);
    }
    f->now += 1000;
    jt_on_tick(&f->core, f->now);
    assert_null(running_on(bad));
    bad = worker(f, "bad", 1, 2);
    assert_non_null(running_on(bad));
}

static void a_job_may_say_how_often_its_tasks_are_tried(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 1, 1);
    struct jt_job *job = submit_asking(f, 1, (struct jt_submit){.map_attempts = 1});
    has_failed(f, running_on(a), true);
    assert_int_equal(job->state, JT_JOB_FAILED);
    assert_string_equal(job->why, "map 0 failed 1 time");
}

static void wanted_memory(struct fixture *f, struct jt_attempt *a)
{
    struct attempt_id id = id_of(a);
    jt_on_failed(&f->core, a->worker, &id, JT_FAULT_MEMORY, "because", f->now);
    f->now += 300;
    jt_on_tick(&f->core, f->now);
}

static void a_task_that_had_too_little_memory_gets_twice_as_much_once(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 4, 1);
    struct jt_job *job = submit_asking(f, 2, (struct jt_submit){.map.memory = GIB / 2});
    struct jt_task *other = &job->stages[0].tasks[1];
    assert_int_equal(a->memory_used, GIB);
    wanted_memory(f, jt_attempt_find(&job->stages[0].tasks[0], 0));
    assert_int_equal(a->memory_used, GIB + GIB / 2);
    assert_int_equal(jt_attempt_find(&job->stages[0].tasks[0], 1)->taken.memory, GIB);
    assert_int_equal(jt_attempt_find(other, 0)->taken.memory, GIB / 2);
    wanted_memory(f, jt_attempt_find(&job->stages[0].tasks[0], 1));
    assert_int_equal(jt_attempt_find(&job->stages[0].tasks[0], 2)->taken.memory, GIB);
    assert_int_equal(job->stages[0].tasks[0].failures, 2);
    finish_all(f);
    assert_int_equal(a->memory_used, 0);
    assert_int_equal(job->state, JT_JOB_COMMITTING);
}

static void where_twice_the_memory_is_not_to_be_had_all_there_is_must_do(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 1, 1);
    struct jt_job *job = submit_asking(f, 1, (struct jt_submit){.map.memory = GIB / 4 * 3});
    wanted_memory(f, running_on(a));
    assert_non_null(running_on(a));
    assert_int_equal(running_on(a)->taken.memory, GIB);
    finish_all(f);
    assert_int_equal(job->state, JT_JOB_COMMITTING);
}

static void a_killed_job_kills_what_runs_and_publishes_nothing(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 2, 1);
    struct jt_job *job = submit(f, 2, 1, NULL);
    jt_on_kill(&f->core, job, "enough", f->now);
    assert_int_equal(job->state, JT_JOB_KILLED);
    assert_int_equal(a->cores_used, 0);
    assert_int_equal(count(f, JT_TELL_KILL), 2);
    assert_int_equal(count(f, JT_PUBLISH), 0);
    assert_int_equal(count(f, JT_CLEAN_UP), 1);
}

static void once_the_output_is_being_published_a_kill_comes_too_late(void **state)
{
    struct fixture *f = *state;
    worker(f, "a", 1, 1);
    struct jt_job *job = submit(f, 1, 0, NULL);
    finish_all(f);
    jt_on_kill(&f->core, job, "enough", f->now);
    assert_int_equal(job->state, JT_JOB_COMMITTING);
    jt_on_published(&f->core, job, 0, NULL, f->now);
    assert_int_equal(job->state, JT_JOB_SUCCEEDED);
}

static void a_refused_publication_fails_the_job(void **state)
{
    struct fixture *f = *state;
    worker(f, "a", 1, 1);
    struct jt_job *job = submit(f, 1, 0, NULL);
    finish_all(f);
    jt_on_published(&f->core, job, ERR_EXIST, "/out exists", f->now);
    assert_int_equal(job->state, JT_JOB_FAILED);
    assert_string_equal(job->why, "/out exists");
}

static void a_forgotten_job_gives_its_memory_back(void **state)
{
    struct fixture *f = *state;
    worker(f, "a", 1, 1);
    for (int i = 0; i < 20; i++) {
        struct jt_job *job = submit(f, 3, 2, NULL);
        finish_all(f);
        jt_on_published(&f->core, job, 0, NULL, f->now);
        jt_effects_clear(&f->core);
        jt_core_forget(&f->core, job);
    }
    assert_int_equal(f->core.jobs.count, 0);
    assert_true(list_is_empty(&f->core.all));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_job_runs_its_maps_then_its_reduces_then_publishes),
        CASE(a_job_without_input_ends_too),
        CASE(a_job_without_reducers_publishes_what_its_maps_wrote),
        CASE(a_failed_task_is_tried_elsewhere_and_four_failures_end_the_job),
        CASE(a_kill_that_is_not_the_tasks_fault_does_not_count),
        CASE(who_stops_an_attempt_says_if_it_used_up_a_try),
        CASE(a_task_that_no_node_can_run_fails_its_job_after_each_had_its_turns),
        CASE(a_failed_task_waits_for_another_node_however_busy_that_is),
        CASE(a_job_that_fails_here_and_there_on_every_node_still_ends),
        CASE(a_job_that_fails_often_on_a_node_gets_no_more_of_it_until_it_is_another),
        CASE(a_job_may_say_how_often_its_tasks_are_tried),
        CASE(a_task_that_had_too_little_memory_gets_twice_as_much_once),
        CASE(where_twice_the_memory_is_not_to_be_had_all_there_is_must_do),
        CASE(a_killed_job_kills_what_runs_and_publishes_nothing),
        CASE(once_the_output_is_being_published_a_kill_comes_too_late),
        CASE(a_refused_publication_fails_the_job),
        CASE(a_forgotten_job_gives_its_memory_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
