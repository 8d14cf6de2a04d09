/* SPDX-License-Identifier: Apache-2.0
 * Nothing of a job runs: why, in one line. */
#include "jobtracker/jobs/queues.h"
#include "jobtracker/jobs/waits.h"
#include "tests/unit/jobtracker/events/core_fixture.h"

static void assert_waits(struct fixture *f, const struct jt_job *job, const char *why)
{
    char text[256];
    assert_int_equal(job->stages[0].running, 0);
    assert_non_null(jt_waits_for(&f->core, job, text, sizeof(text)));
    assert_string_equal(text, why);
}

static void set_queue(struct fixture *f, struct jt_queue_conf conf)
{
    conf.name = slice_str("q");
    conf.weight = 1;
    assert_int_equal(jt_queues_configure(&f->core.queues, &conf, 1), 0);
}

static struct jt_submit in_queue(struct jt_demand asks)
{
    return (struct jt_submit){.queue = slice_str("q"), .map = asks};
}

static void a_job_of_which_something_runs_waits_for_nothing(void **state)
{
    struct fixture *f = *state;
    char text[256];
    struct jt_job *job = submit(f, 2, 0, NULL);
    assert_waits(f, job, "no worker is registered");
    worker(f, "a", 1, 1);
    assert_null(jt_waits_for(&f->core, job, text, sizeof(text)));
}

static void cores_and_memory_that_others_have_are_named(void **state)
{
    struct fixture *f = *state;
    worker(f, "a", 2, 1);
    submit_asking(f, 1, (struct jt_submit){.map.memory = GIB + 1});
    struct jt_job *job = submit_asking(f, 1, (struct jt_submit){.map.memory = GIB});
    assert_waits(f, job, "no worker has 1 core and 1 G of memory free at a time");
    submit_asking(f, 1, (struct jt_submit){.map.memory = 1});
    assert_waits(f, job, "every core is taken by other jobs");
}

static void a_queue_that_runs_one_job_at_a_time_is_named(void **state)
{
    struct fixture *f = *state;
    set_queue(f, (struct jt_queue_conf){.most_running = 1});
    worker(f, "a", 4, 1);
    submit_asking(f, 1, in_queue((struct jt_demand){0}));
    assert_waits(f, submit_asking(f, 1, in_queue((struct jt_demand){0})),
                 "queue q runs 1 job at a time");
}

static void a_queue_that_has_all_it_may_have_is_named(void **state)
{
    struct fixture *f = *state;
    set_queue(f, (struct jt_queue_conf){.most_cores = 1});
    worker(f, "a", 4, 1);
    submit_asking(f, 1, in_queue((struct jt_demand){0}));
    assert_waits(f, submit_asking(f, 1, in_queue((struct jt_demand){0})),
                 "queue q has as much of the cluster as it may have");
}

static void a_task_that_is_more_than_its_queue_or_job_may_have_is_told(void **state)
{
    struct fixture *f = *state;
    set_queue(f, (struct jt_queue_conf){.most_cores = 1});
    worker(f, "a", 4, 1);
    assert_waits(f, submit_asking(f, 1, in_queue((struct jt_demand){.cores = 2})),
                 "a map task takes 2 of the cores and 2 G of memory, more than queue q may have in "
                 "all: ask for less, or another queue (`quern queue -list`)");
    struct jt_submit bounded = {.map.memory = GIB, .most_memory = GIB / 2};
    assert_waits(f, submit_asking(f, 1, bounded),
                 "a map task takes 1 G of memory, and all of the job together may have 512 M "
                 "(mapreduce.job.running.memory.limit)");
}

static void a_queue_of_less_than_a_core_has_one(void **state)
{
    struct fixture *f = *state;
    set_queue(f, (struct jt_queue_conf){.most_percent = 10});
    worker(f, "a", 4, 1);
    struct jt_job *job = submit_asking(f, 3, in_queue((struct jt_demand){0}));
    assert_int_equal(job->stages[0].running, 1);
}

static void what_was_taken_unseen_is_refused_once_the_workers_are_there(void **state)
{
    struct fixture *f = *state;
    jt_on_resume_begin(&f->core);
    struct jt_job *old = submit_asking(f, 1, (struct jt_submit){.map.memory = 9 * GIB});
    jt_on_resume_end(&f->core, 2, f->now);
    f->now += 10;
    struct jt_job *fits = submit(f, 1, 0, NULL);
    struct jt_job *large = submit_asking(f, 1, (struct jt_submit){.map.memory = 9 * GIB});
    worker(f, "a", 1, 1);
    assert_waits(f, large,
                 "a map task asks for 9 G of memory, the largest worker offers 1 G: "
                 "-D mapreduce.map.memory.mb=1024 would do, or a larger worker.memory");
    f->now += jt_config_default.resume_grace_ms;
    jt_on_beat(&f->core, jt_fleet_find(&f->core.fleet, slice_str("a")), f->now);
    jt_on_tick(&f->core, f->now);
    assert_int_equal(large->state, JT_JOB_FAILED);
    assert_non_null(strstr(large->why, "a map task asks for 9 G of memory"));
    assert_int_equal(fits->state, JT_JOB_RUNNING);
    assert_int_equal(old->state, JT_JOB_WAITING); /* its worker may be on its way */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_job_of_which_something_runs_waits_for_nothing),
        CASE(cores_and_memory_that_others_have_are_named),
        CASE(a_queue_that_runs_one_job_at_a_time_is_named),
        CASE(a_queue_that_has_all_it_may_have_is_named),
        CASE(a_task_that_is_more_than_its_queue_or_job_may_have_is_told),
        CASE(a_queue_of_less_than_a_core_has_one),
        CASE(what_was_taken_unseen_is_refused_once_the_workers_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
