/* SPDX-License-Identifier: Apache-2.0
 * Workers that go, come back or lose what they made, and a jobtracker that begins again. */
#include "tests/unit/jobtracker/events/core_fixture.h"

static void a_lost_worker_takes_its_running_tasks_and_its_map_outputs_with_it(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 2, 1);
    struct jt_job *job = submit(f, 2, 1, NULL);
    struct jt_attempt *m = running_on(a);
    assert_true(done(f, m));
    assert_int_equal(job->stages[0].outputs_missing, 1);
    struct jt_worker *b = worker(f, "b", 2, 1);
    f->now += jt_config_default.worker_timeout_ms / 2;
    jt_on_beat(&f->core, b, f->now);
    f->now += jt_config_default.worker_timeout_ms / 2 + 1;
    jt_on_tick(&f->core, f->now);
    assert_false(a->is_live);
    assert_int_equal(job->stages[0].outputs_missing, 2);
    assert_int_equal(job->stages[0].done, 0);
    assert_int_equal(job->stages[0].running, 2);
    assert_int_equal(count(f, JT_WRITE_LOST), 1);
    list_each (&b->attempts, it)
        assert_ptr_equal(list_entry(it, struct jt_attempt, on_worker)->worker, b);
}

static void map_outputs_are_not_made_again_once_no_reduce_needs_them(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 1, 1);
    struct jt_job *job = submit(f, 1, 1, NULL);
    assert_true(done(f, running_on(a)));
    assert_true(done(f, running_on(a))); /* the reduce */
    assert_int_equal(job->stages[1].done, 1);
    worker(f, "a", 1, 2); /* it restarts */
    assert_int_equal(job->stages[0].done, 1);
    finish_all(f);
    assert_int_equal(job->state, JT_JOB_COMMITTING);
}

static void a_worker_that_restarts_is_a_new_one(void **state)
{
    struct fixture *f = *state;
    worker(f, "a", 1, 1);
    struct jt_job *job = submit(f, 1, 0, NULL);
    struct jt_attempt *old =
        list_first(&job->stages[0].tasks[0].attempts, struct jt_attempt, of_task);
    struct jt_worker *a = worker(f, "a", 1, 2);
    assert_int_equal(old->state, JT_ATTEMPT_KILLED);
    assert_non_null(running_on(a));
    assert_ptr_not_equal(running_on(a), old);
}

static void a_worker_that_only_reconnects_keeps_its_work(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 1, 1);
    submit(f, 1, 0, NULL);
    struct jt_attempt *old = running_on(a);
    jt_on_disconnect(&f->core, a, f->now);
    worker(f, "a", 1, 1);
    struct attempt_id id = id_of(old);
    assert_true(jt_on_held(&f->core, a, &id, f->now));
    assert_ptr_equal(running_on(a), old);
}

static void an_order_that_went_down_with_the_connection_is_given_again(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 2, 1);
    struct jt_job *job = submit(f, 2, 1, NULL);
    struct jt_attempt *kept = running_on(a);
    struct jt_attempt *lost = list_entry(kept->on_worker.next, struct jt_attempt, on_worker);
    struct attempt_id id = id_of(kept);
    struct jt_task *task = lost->task;
    jt_on_disconnect(&f->core, a, f->now);
    worker(f, "a", 2, 1);
    assert_true(jt_on_held(&f->core, a, &id, f->now));
    jt_on_held_all(&f->core, a, f->now);
    assert_int_equal(kept->state, JT_ATTEMPT_RUNNING);
    assert_int_equal(lost->state, JT_ATTEMPT_KILLED);
    assert_int_equal(task->running, 1);
    assert_int_equal(job->stages[0].failed_attempts, 0);
    finish_all(f);
    assert_int_equal(job->state, JT_JOB_COMMITTING);
}

static void a_reduce_whose_worker_reconnects_hears_of_all_outputs_again(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 1, 1);
    submit(f, 1, 1, NULL);
    assert_true(done(f, running_on(a)));
    struct attempt_id id = id_of(running_on(a));
    size_t jobs = count(f, JT_TELL_JOB), outputs = count(f, JT_TELL_OUTPUTS);
    jt_on_disconnect(&f->core, a, f->now);
    worker(f, "a", 1, 1);
    assert_true(jt_on_held(&f->core, a, &id, f->now));
    assert_int_equal(count(f, JT_TELL_JOB), jobs + 1);
    assert_int_equal(count(f, JT_TELL_OUTPUTS), outputs + 1);
    const struct jt_effect *told = &f->core.effects[f->core.effect_count - 1];
    assert_int_equal(told->kind, JT_TELL_OUTPUTS);
    assert_int_equal(told->from, 0);
    assert_int_equal(told->to, 1);
}

/* Where no map had anything to read there is no output to be told of, only that they are all. */
static void a_reduce_of_nothing_whose_worker_reconnects_hears_that_it_is_all(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 1, 1);
    submit(f, 0, 1, NULL);
    struct attempt_id id = id_of(running_on(a));
    size_t outputs = count(f, JT_TELL_OUTPUTS);
    assert_int_equal(outputs, 1);
    jt_on_disconnect(&f->core, a, f->now);
    worker(f, "a", 1, 1);
    assert_true(jt_on_held(&f->core, a, &id, f->now));
    assert_int_equal(count(f, JT_TELL_OUTPUTS), outputs + 1);
}

static void one_reduce_among_many_cannot_condemn_a_map_output_alone(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 8, 1);
    struct jt_job *job = submit(f, 1, 6, NULL);
    assert_true(done(f, running_on(a)));
    assert_int_equal(job->stages[1].running, 6);
    struct attempt_id id = id_of(running_on(a));
    uint64_t map = 0;
    jt_on_fetch_failed(&f->core, &id, slice_str("a"), &map, 1, f->now);
    assert_int_equal(job->stages[0].done, 1);
    jt_on_fetch_failed(&f->core, &id, slice_str("a"), &map, 1, f->now);
    jt_on_fetch_failed(&f->core, &id, slice_str("a"), &map, 1, f->now);
    assert_int_equal(job->stages[0].done, 0);
}

static void three_reports_condemn_it_however_many_reduces_fetch(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 16, 1);
    struct jt_job *job = submit(f, 1, 12, NULL);
    assert_true(done(f, running_on(a)));
    struct attempt_id id = id_of(running_on(a));
    struct jt_worker *b = worker(f, "b", 1, 1);
    uint64_t map = 0;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(job->stages[0].done, 1);
        jt_on_fetch_failed(&f->core, &id, slice_str("a"), &map, 1, f->now);
    }
    assert_int_equal(job->stages[0].done, 0);
    /* What was said of the former output is not held against the next. */
    assert_int_equal(job->stages[0].ended_ms, 0);
    f->now += 100;
    assert_true(done(f, running_on(b)));
    assert_int_equal(job->stages[0].ended_ms, f->now);
    jt_on_fetch_failed(&f->core, &id, slice_str("b"), &map, 1, f->now);
    assert_int_equal(job->stages[0].done, 1);
}

static void what_is_no_complaint_about_who_has_the_output_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 4, 1);
    worker(f, "b", 4, 1);
    struct jt_job *job = submit(f, 1, 1, NULL);
    struct attempt_id map = id_of(running_on(a));
    assert_true(done(f, running_on(a)));
    struct jt_attempt *reduce = list_first(&job->stages[1].attempts, struct jt_attempt, of_stage);
    struct attempt_id id = id_of(reduce);
    uint64_t maps[] = {0, UINT64_MAX, 7};
    jt_on_output_damaged(&f->core, &id, slice_str("b"), maps, 3, f->now); /* it lies on a */
    jt_on_output_damaged(&f->core, &id, slice_str("nobody"), maps, 3, f->now);
    jt_on_output_damaged(&f->core, &map, slice_str("a"), maps, 3, f->now);
    jt_kill_attempt(&f->core, reduce, "it is in the way");
    jt_on_output_damaged(&f->core, &id, slice_str("a"), maps, 3, f->now); /* runs no more */
    assert_int_equal(job->stages[0].done, 1);
}

static void a_reduce_that_has_seen_wrong_sums_itself_is_believed_at_once(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 8, 1);
    struct jt_job *job = submit(f, 1, 6, NULL);
    assert_true(done(f, running_on(a)));
    struct attempt_id id = id_of(running_on(a));
    uint64_t map = 0;
    struct jt_worker *b = worker(f, "b", 1, 1);
    const struct jt_task *task = &job->stages[0].tasks[0];
    const struct jt_attempt *first = task->winner;
    jt_on_output_damaged(&f->core, &id, slice_str("a"), &map, 1, f->now);
    assert_int_equal(job->stages[0].done, 0);
    assert_string_equal(first->why, "its output could not be read any more");
    assert_true(jt_task_failed_on(task, a));
    assert_ptr_equal(running_on(b)->task, task); /* though there is room on a */
    assert_true(done(f, running_on(b)));
    assert_int_equal(a->doubts, 1);
}

static void what_was_done_before_a_restart_is_not_done_again(void **state)
{
    struct fixture *f = *state;
    struct jt_job *job = submit(f, 2, 1, NULL);
    struct attempt_id id = {{0, job->number}, 0, 1, 3};
    jt_on_resumed(&f->core, job, &(struct jt_resumed){id, slice_str("a"), slice_str("r"), {0}},
                  f->now);
    jt_on_resume_end(&f->core, 2, f->now);
    struct jt_worker *a = worker(f, "a", 1, 7);
    assert_true(jt_on_held(&f->core, a, &id, f->now));
    assert_int_equal(job->stages[0].outputs_missing, 1);
    jt_on_beat(&f->core, a, f->now);
    assert_int_equal(running_on(a)->task->index, 0);
    assert_true(running_on(a)->number >= 2000);
    finish_all(f);
    assert_int_equal(job->state, JT_JOB_COMMITTING);
}

/* The journal is told in its order: done, lost, done anew. */
static void what_was_lost_before_a_restart_counts_no_more(void **state)
{
    struct fixture *f = *state;
    jt_on_resume_begin(&f->core);
    struct jt_job *job = submit(f, 1, 1, NULL);
    struct jt_resumed was = {{{0, job->number}, 0, 0, 3}, slice_str("a"), slice_str("r"), {0}};
    jt_on_resumed(&f->core, job, &was, f->now);
    jt_on_resumed_lost(&f->core, job, &was.id);
    assert_int_equal(job->stages[0].done, 0);
    was.id.attempt = 4;
    jt_on_resumed(&f->core, job, &was, f->now);
    jt_on_resumed_lost(&f->core, job, &(struct attempt_id){{0, job->number}, 0, 0, 3});
    assert_int_equal(job->stages[0].done, 1);
    was.id.attempt = 5; /* nothing was lost: it is none of ours */
    jt_on_resumed(&f->core, job, &was, f->now);
    jt_on_resume_end(&f->core, 2, f->now);
    assert_int_equal(job->stages[0].tasks[0].winner->number, 4);
}

static void a_job_that_was_all_done_is_published_whatever_is_resumed_behind_it(void **state)
{
    struct fixture *f = *state;
    jt_on_resume_begin(&f->core);
    struct jt_job *job = submit(f, 1, 0, NULL);
    for (uint32_t stage = 0; stage < job->stage_count; stage++) {
        struct attempt_id id = {{0, job->number}, stage, 0, 0};
        jt_on_resumed(&f->core, job, &(struct jt_resumed){id, slice_str("a"), slice_str("r"), {0}},
                      f->now);
    }
    submit(f, 1, 0, NULL);
    jt_effects_clear(&f->core); /* nobody listens to a replay */
    jt_on_resume_end(&f->core, 2, f->now);
    assert_int_equal(job->state, JT_JOB_COMMITTING);
    assert_int_equal(count(f, JT_PUBLISH), 1);
}

static void an_output_whose_worker_does_not_come_back_is_made_again(void **state)
{
    struct fixture *f = *state;
    struct jt_job *job = submit(f, 1, 1, NULL);
    struct attempt_id id = {{0, job->number}, 0, 0, 0};
    jt_on_resumed(&f->core, job, &(struct jt_resumed){id, slice_str("gone"), slice_str("r"), {0}},
                  f->now);
    jt_on_resume_end(&f->core, 2, f->now);
    f->now += jt_config_default.resume_grace_ms + 1;
    jt_on_tick(&f->core, f->now);
    assert_int_equal(job->stages[0].done, 0);
    worker(f, "a", 1, 1);
    finish_all(f);
    assert_int_equal(job->state, JT_JOB_COMMITTING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_lost_worker_takes_its_running_tasks_and_its_map_outputs_with_it),
        CASE(map_outputs_are_not_made_again_once_no_reduce_needs_them),
        CASE(a_worker_that_restarts_is_a_new_one),
        CASE(a_worker_that_only_reconnects_keeps_its_work),
        CASE(an_order_that_went_down_with_the_connection_is_given_again),
        CASE(a_reduce_whose_worker_reconnects_hears_of_all_outputs_again),
        CASE(a_reduce_of_nothing_whose_worker_reconnects_hears_that_it_is_all),
        CASE(one_reduce_among_many_cannot_condemn_a_map_output_alone),
        CASE(three_reports_condemn_it_however_many_reduces_fetch),
        CASE(what_is_no_complaint_about_who_has_the_output_changes_nothing),
        CASE(a_reduce_that_has_seen_wrong_sums_itself_is_believed_at_once),
        CASE(what_was_done_before_a_restart_is_not_done_again),
        CASE(what_was_lost_before_a_restart_counts_no_more),
        CASE(a_job_that_was_all_done_is_published_whatever_is_resumed_behind_it),
        CASE(an_output_whose_worker_does_not_come_back_is_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
