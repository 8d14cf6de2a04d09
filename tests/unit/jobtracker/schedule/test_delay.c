/* SPDX-License-Identifier: Apache-2.0
 * Waiting for a place near the input: for how long, how far at each step, and that who waits is
 * always asked again. */
#include "tests/unit/jobtracker/events/core_fixture.h"

#define WAIT (jt_config_default.locality_wait_ms)

static struct jt_worker *on_rack(struct fixture *f, const char *name, const char *rack)
{
    struct jt_worker_offer offer = {.name = slice_str(name),
                                    .rack = slice_str(rack),
                                    .host = slice_str("h"),
                                    .cores = 1,
                                    .memory = GIB,
                                    .incarnation = 1};
    struct jt_worker *w = jt_on_register(&f->core, &offer, f->now);
    jt_on_beat(&f->core, w, f->now);
    return w;
}

static void later(struct fixture *f, uint64_t ms)
{
    f->now += ms;
    jt_on_tick(&f->core, f->now);
}

static void a_job_takes_another_node_of_the_rack_before_it_goes_further(void **state)
{
    struct fixture *f = *state;
    on_rack(f, "home", "/r");
    submit(f, 3, 0, "home");
    struct jt_worker *far = on_rack(f, "far", "/far"), *near = on_rack(f, "near", "/r");
    assert_null(running_on(near));
    later(f, WAIT);
    assert_non_null(running_on(near));
    assert_int_equal(running_on(near)->locality, JT_RACK_LOCAL);
    assert_null(running_on(far));
    later(f, WAIT);
    assert_non_null(running_on(far));
    assert_int_equal(running_on(far)->locality, JT_REMOTE);
}

/* On `home` two have run, for 10 ms each; 18 are left, and a worker far away has come. */
static struct jt_worker *quick_tasks(struct fixture *f, struct jt_stage **ret)
{
    struct jt_worker *home = on_rack(f, "home", "/r");
    *ret = submit(f, 20, 0, "home")->stages;
    for (int i = 0; i < 2; i++) {
        f->now += 10;
        assert_true(done(f, running_on(home)));
    }
    struct jt_worker *far = on_rack(f, "far", "/far");
    assert_null(running_on(far));
    return far;
}

static void nobody_waits_longer_for_a_place_than_the_remote_read_would_cost(void **state)
{
    struct fixture *f = *state;
    struct jt_stage *maps;
    struct jt_worker *far = quick_tasks(f, &maps);
    later(f, 5);
    assert_null(running_on(far));
    later(f, 5);
    assert_non_null(running_on(far));
}

/* What it waited for quick tasks is not long enough for long ones: it declines again, and must be
 * asked again. */
static void a_job_whose_tasks_turn_out_longer_is_asked_again(void **state)
{
    struct fixture *f = *state;
    struct jt_stage *maps;
    struct jt_worker *far = quick_tasks(f, &maps);
    later(f, 10);
    assert_non_null(running_on(far));
    jt_stage_note_run(maps, 100000); /* a long one has ended */
    assert_true(done(f, running_on(far)));
    assert_null(running_on(far));
    later(f, WAIT);
    later(f, WAIT);
    assert_non_null(running_on(far));
}

/* It waited once, until its place was free; when it waits again it has all its time again, and when
 * that is over it is asked. */
static void who_waits_again_later_waits_anew_and_is_asked_again(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *home = on_rack(f, "home", "/r");
    struct jt_submit urgent = {.priority = 4};
    submit(f, 1, 0, "home");
    struct jt_job *job = submit(f, 1, 0, "home");
    struct jt_worker *far = on_rack(f, "far", "/far");
    later(f, WAIT / 2);
    assert_true(done(f, running_on(home)));
    assert_ptr_equal(running_on(home)->task->stage->job, job);
    assert_true(done(f, running_on(far))); /* the end of the first job */
    later(f, WAIT);
    later(f, WAIT); /* its delay is over, and nothing of it waits */
    assert_null(running_on(far));

    struct jt_attempt *attempt = running_on(home);
    struct jt_split split = {
        .bytes = 1, .nodes = &(struct slice){(const uint8_t *)"home", 4}, .node_count = 1};
    urgent.splits = &split;
    urgent.split_count = 1;
    urgent.name = urgent.user = slice_str("u");
    struct jt_job *first = jt_on_submit(&f->core, 0, &urgent, f->now);
    jt_kill_attempt(&f->core, attempt, "it is in the way");
    jt_on_beat(&f->core, home, f->now);
    assert_ptr_equal(running_on(home)->task->stage->job, first);
    assert_int_equal(job->stages[0].waiting, 1);
    assert_null(running_on(far));
    later(f, WAIT);
    assert_null(running_on(far));
    later(f, WAIT);
    assert_non_null(running_on(far));
    assert_ptr_equal(running_on(far)->task->stage->job, job);
}

static void a_task_goes_home_at_once_though_many_others_are_free(void **state)
{
    struct fixture *f = *state;
    char name[16];
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof(name), "w%d", i);
        on_rack(f, name, "/r");
    }
    struct jt_worker *home = on_rack(f, "home", "/r");
    submit(f, 1, 0, "home");
    assert_non_null(running_on(home));
}

/* An event asks so many jobs; those that none of them let come to it are asked at the next tick. */
static void a_worker_that_many_jobs_decline_is_offered_to_the_others_too(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *far = on_rack(f, "far", "/far");
    struct jt_job *holder = submit(f, 1, 0, NULL);
    on_rack(f, "home", "/r");
    for (int i = 0; i < 20; i++)
        submit(f, 2, 0, "home");
    struct jt_job *job = submit(f, 1, 0, NULL);
    jt_on_kill(&f->core, holder, "to make room", f->now);
    assert_null(running_on(far));
    later(f, 1);
    assert_non_null(running_on(far));
    assert_ptr_equal(running_on(far)->task->stage->job, job);
}

/* Nobody gains room by that, so only the tick can ask. */
static void who_waited_for_another_node_goes_back_when_that_is_lost(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *b = worker(f, "b", 1, 1);
    submit(f, 1, 0, NULL); /* it holds b */
    struct jt_worker *a = worker(f, "a", 3, 1);
    submit(f, 1, 0, NULL);
    has_failed(f, running_on(a), true);
    assert_null(running_on(a));
    later(f, 3 * WAIT);
    assert_null(running_on(a));
    for (int i = 0; i < 8; i++) { /* b is silent */
        f->now += jt_config_default.worker_timeout_ms / 4;
        jt_on_beat(&f->core, a, f->now);
        jt_on_tick(&f->core, f->now);
    }
    assert_false(b->is_live);
    assert_int_equal(a->cores_used, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_job_takes_another_node_of_the_rack_before_it_goes_further),
        CASE(nobody_waits_longer_for_a_place_than_the_remote_read_would_cost),
        CASE(a_job_whose_tasks_turn_out_longer_is_asked_again),
        CASE(who_waits_again_later_waits_anew_and_is_asked_again),
        CASE(a_task_goes_home_at_once_though_many_others_are_free),
        CASE(a_worker_that_many_jobs_decline_is_offered_to_the_others_too),
        CASE(who_waited_for_another_node_goes_back_when_that_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
