/* SPDX-License-Identifier: Apache-2.0
 * A node where tasks fail that go well elsewhere is left out for a while, and comes back. */
#include "tests/unit/jobtracker/events/core_fixture.h"

#include "jobtracker/schedule/exclude.h"

/* Of each of four nodes one core is there. */
static struct jt_worker *four(struct fixture *f)
{
    struct jt_worker *a = worker(f, "a", 1, 1);
    worker(f, "b", 1, 1);
    worker(f, "c", 1, 1);
    worker(f, "d", 1, 1);
    return a;
}

/* Everybody beats meanwhile. */
static void later(struct fixture *f, uint64_t ms)
{
    f->now += ms;
    list_each (&f->core.fleet.all, it)
        list_entry(it, struct jt_worker, all)->last_beat_ms = f->now;
    jt_on_tick(&f->core, f->now);
}

/* Elsewhere it goes well. */
static void fails_on(struct fixture *f, struct jt_worker *w, enum jt_fault fault)
{
    submit(f, 1, 0, w->name);
    struct jt_attempt *attempt = running_on(w);
    assert_non_null(attempt);
    struct attempt_id id = id_of(attempt);
    jt_on_failed(&f->core, w, &id, fault, "because", f->now);
    later(f, 1000); /* nobody waits for its place any more */
    finish_all(f);
}

static void three_jobs_that_fail_on_a_node_and_go_well_elsewhere_leave_it_out(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = four(f);
    for (int i = 0; i < EXCLUDE_JOBS; i++) {
        assert_string_equal(jt_worker_state(a), "live");
        fails_on(f, a, i == 1 ? JT_FAULT_NODE : JT_FAULT_TASK);
    }
    assert_string_equal(jt_worker_state(a), "excluded");
    assert_int_equal(a->failures, EXCLUDE_JOBS); /* the node's own counts as well */
    assert_int_equal(jt_worker_excluded_ms(a, f->now + 5), a->excluded_until_ms - f->now - 5);
    assert_int_equal(count(f, JT_SAY_EXCLUDED), 1);
    submit(f, 4, 0, "a");
    later(f, 1000);
    assert_null(running_on(a));
    finish_all(f);
}

static void of_three_nodes_one_is_left_out_and_each_time_for_twice_as_long(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 1, 1);
    worker(f, "b", 1, 1);
    worker(f, "c", 1, 1);
    for (int i = 0; i < EXCLUDE_JOBS - 1; i++)
        fails_on(f, a, JT_FAULT_TASK);
    for (uint64_t times = 1; times <= EXCLUDE_TIMES; times *= 2) {
        fails_on(f, a, JT_FAULT_TASK);
        assert_string_equal(jt_worker_state(a), "excluded");
        uint64_t ms = a->excluded_until_ms - f->now, full = times * f->core.config.exclude_ms;
        assert_in_range(ms, full - full / 10, full);
        later(f, ms);
    }
}

static void tasks_of_one_job_count_once_and_one_that_goes_well_there_later_does_not(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 4, 1);
    submit(f, 1, 0, NULL);
    finish_all(f);
    submit(f, 1, 0, NULL);
    has_failed(f, running_on(a), true);
    later(f, 1000);
    assert_true(done(f, running_on(a))); /* there is no other node */
    assert_int_equal(a->doubts, 0);
    finish_all(f);
    struct jt_job *job = submit(f, 4, 0, NULL);
    assert_int_equal(job->stages[0].running, 4);
    worker(f, "b", 4, 1);
    while (running_on(a) && job->stages[0].failed_attempts < 4)
        has_failed(f, running_on(a), true);
    later(f, 1000);
    finish_all(f);
    assert_int_equal(a->doubts, 1);
}

/* What went well there takes back what its job said against it, and the job may say it again. */
static void a_job_may_doubt_a_node_again_that_did_well_between(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 3, 1), *b = worker(f, "b", 1, 1);
    submit(f, 3, 0, "a");
    for (int doubts = 1; doubts >= 0; doubts--) {
        has_failed(f, running_on(a), true);
        later(f, 1000);
        assert_true(done(f, running_on(b)));
        assert_int_equal(a->doubts, 1);
        if (doubts)
            assert_true(done(f, running_on(a)));
        assert_int_equal(a->doubts, doubts == 0);
    }
}

/* But for the last one: jobs fail there, and say why. */
static void where_nothing_can_begin_nothing_is_tried_before_it_registers_anew(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 2, 1), *b = worker(f, "b", 1, 1);
    struct jt_worker *c = worker(f, "c", 1, 1);
    struct jt_job *job = submit(f, 5, 0, NULL);
    struct attempt_id id = id_of(running_on(a)), next = id_of(running_on(b));
    jt_on_failed(&f->core, a, &id, JT_FAULT_NODE_SPENT, "no directory", f->now);
    assert_string_equal(jt_worker_state(a), "excluded");
    assert_true(jt_worker_excluded_ms(a, f->now) == JT_FOR_GOOD);
    assert_int_equal(job->stages[0].running, 3); /* what runs there runs on */
    id = id_of(running_on(a));
    jt_on_failed(&f->core, a, &id, JT_FAULT_NODE_SPENT, "no directory", f->now);
    assert_int_equal(f->core.fleet.excluded_count, 1);
    later(f, 10 * EXCLUDE_TIMES * f->core.config.exclude_ms);
    assert_string_equal(jt_worker_state(a), "excluded");
    jt_on_failed(&f->core, b, &next, JT_FAULT_NODE_SPENT, "no directory", f->now);
    assert_string_equal(jt_worker_state(b), "excluded");
    struct attempt_id last = id_of(running_on(c));
    jt_on_failed(&f->core, c, &last, JT_FAULT_NODE_SPENT, "no directory", f->now);
    assert_string_equal(jt_worker_state(c), "live");
    assert_int_equal(job->stages[0].tasks[last.task].failures, 0);
    a = worker(f, "a", 2, 2);
    assert_string_equal(jt_worker_state(a), "live");
    finish_all(f);
}

static void it_comes_back_on_trial_and_the_second_time_is_twice_as_long(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = four(f);
    for (int i = 0; i < EXCLUDE_JOBS; i++)
        fails_on(f, a, JT_FAULT_TASK);
    uint64_t first = a->excluded_until_ms - f->now;
    later(f, a->excluded_until_ms - f->now);
    assert_string_equal(jt_worker_state(a), "live");
    assert_int_equal(count(f, JT_SAY_EXCLUDED), 2);
    fails_on(f, a, JT_FAULT_TASK);
    assert_string_equal(jt_worker_state(a), "excluded");
    assert_in_range(a->excluded_until_ms - f->now, 2 * first, 2 * f->core.config.exclude_ms);
    later(f, a->excluded_until_ms - f->now);
    submit(f, 1, 0, "a");
    assert_non_null(running_on(a));
    finish_all(f); /* it is well again */
    for (int i = 0; i < EXCLUDE_JOBS - 1; i++)
        fails_on(f, a, JT_FAULT_TASK);
    assert_string_equal(jt_worker_state(a), "live");
}

static void however_often_it_was_left_out_it_comes_back(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = four(f);
    a->exclusions = 10;
    for (int i = 0; i < EXCLUDE_JOBS; i++)
        fails_on(f, a, JT_FAULT_TASK);
    assert_string_equal(jt_worker_state(a), "excluded");
    assert_true(a->excluded_until_ms <= f->now + EXCLUDE_TIMES * f->core.config.exclude_ms);
}

static void a_new_incarnation_is_a_new_node(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = four(f);
    for (int i = 0; i < EXCLUDE_JOBS; i++)
        fails_on(f, a, JT_FAULT_TASK);
    worker(f, "a", 1, 2);
    assert_string_equal(jt_worker_state(a), "live");
    assert_int_equal(f->core.fleet.excluded_count, 0);
    fails_on(f, a, JT_FAULT_TASK);
    assert_string_equal(jt_worker_state(a), "live");
}

/* One job's failures, a success between two, too little memory: none says that a node is bad. */
static void what_is_no_evidence_excludes_nobody(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = four(f);
    struct jt_job *job = submit(f, 1, 0, "a");
    for (int i = 0; i < 4; i++) { /* its own fault: it goes well nowhere */
        has_failed(f, list_first(&job->stages[0].attempts, struct jt_attempt, of_stage), true);
        later(f, 1000);
    }
    assert_int_equal(job->state, JT_JOB_FAILED);
    for (int i = 0; i < 2 * EXCLUDE_JOBS; i++)
        fails_on(f, a, JT_FAULT_MEMORY);
    for (int i = 0; i < 2 * EXCLUDE_JOBS; i++) {
        fails_on(f, a, JT_FAULT_TASK);
        submit(f, 1, 0, "a");
        finish_all(f);
    }
    assert_int_equal(a->exclusions, 0);
    assert_int_equal(count(f, JT_SAY_EXCLUDED), 0);
}

static void no_more_than_a_third_is_left_out(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = four(f), *b = jt_fleet_find(&f->core.fleet, slice_str("b"));
    for (int i = 0; i < EXCLUDE_JOBS; i++)
        fails_on(f, a, JT_FAULT_TASK);
    for (int i = 0; i < 2 * EXCLUDE_JOBS; i++)
        fails_on(f, b, JT_FAULT_TASK);
    assert_string_equal(jt_worker_state(b), "live");
    assert_int_equal(f->core.fleet.excluded_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(of_three_nodes_one_is_left_out_and_each_time_for_twice_as_long),
        CASE(tasks_of_one_job_count_once_and_one_that_goes_well_there_later_does_not),
        CASE(a_job_may_doubt_a_node_again_that_did_well_between),
        CASE(where_nothing_can_begin_nothing_is_tried_before_it_registers_anew),
        CASE(three_jobs_that_fail_on_a_node_and_go_well_elsewhere_leave_it_out),
        CASE(it_comes_back_on_trial_and_the_second_time_is_twice_as_long),
        CASE(however_often_it_was_left_out_it_comes_back),
        CASE(a_new_incarnation_is_a_new_node),
        CASE(what_is_no_evidence_excludes_nobody),
        CASE(no_more_than_a_third_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
