/* SPDX-License-Identifier: Apache-2.0
 * Short tasks several at a time: when there are rows, how long they are, who has the core, and that
 * each of a row is an attempt like any other. */
#include "jobtracker/schedule/row.h"
#include "tests/unit/jobtracker/events/core_fixture.h"

static struct jt_worker *row_worker(struct fixture *f, const char *name, uint32_t cores)
{
    struct jt_worker_offer offer = {
        .name = slice_str(name),
        .rack = slice_str("/r"),
        .host = slice_str("h"),
        .cores = cores,
        .memory = cores * GIB,
        .incarnation = 1,
        .takes_rows = true,
    };
    struct jt_worker *w = jt_on_register(&f->core, &offer, f->now);
    jt_on_beat(&f->core, w, f->now);
    return w;
}

static bool done_in(struct fixture *f, struct jt_attempt *a, uint64_t us, bool may_follow)
{
    struct attempt_id id = id_of(a);
    struct jt_progress p = {.may_follow = may_follow, .took_us = us};
    return jt_on_done(&f->core, a->worker, &id, &p, slice_str("result"), f->now);
}

static void given_back(struct fixture *f, struct jt_attempt *a)
{
    struct attempt_id id = id_of(a);
    jt_on_failed(&f->core, a->worker, &id, JT_FAULT_NONE, "given back", f->now);
}

/* 60 maps on one worker of one core, of which so many were done in 20 us each. */
static struct jt_job *after(struct fixture *f, struct jt_worker *w, int dones)
{
    struct jt_job *job = submit(f, 60, 0, NULL);
    job->stages[0].kind = JT_STAGE_MAP;
    for (int i = 0; i < dones; i++)
        assert_true(done_in(f, running_on(w), 20, true));
    return job;
}

static size_t running(const struct jt_worker *w)
{
    size_t n = 0;
    list_each (&w->attempts, it)
        n++;
    return n;
}

static void rows_come_only_when_several_tasks_were_short(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w = row_worker(f, "w", 1);
    after(f, w, JT_ROW_PROVEN - 1);
    assert_int_equal(running(w), 1);
    assert_true(done_in(f, running_on(w), 20, true));
    assert_true(running(w) > 4);
    assert_int_equal(w->cores_used, 1);
    assert_int_equal(w->memory_used, GIB);
}

static void a_worker_that_does_not_know_rows_gets_none(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w = row_worker(f, "w", 1);
    w->takes_rows = false;
    after(f, w, JT_ROW_PROVEN);
    assert_int_equal(running(w), 1);
}

static void a_long_task_or_one_that_leaves_something_ends_the_rows(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w = row_worker(f, "w", 1);
    struct jt_job *job = after(f, w, JT_ROW_PROVEN);
    assert_true(jt_row_size(&job->stages[0], &f->core.fleet) > 1);
    assert_true(done_in(f, running_on(w), JT_ROW_US, true));
    assert_int_equal(jt_row_size(&job->stages[0], &f->core.fleet), 1);
    job->stages[0].brief_count = JT_ROW_PROVEN;
    assert_true(done_in(f, running_on(w), 20, false));
    assert_int_equal(jt_row_size(&job->stages[0], &f->core.fleet), 1);
}

static void a_row_is_no_longer_than_its_time_and_leaves_something_for_others(void **state)
{
    struct jt_fleet fleet = {.cores = 9};
    struct jt_stage stage = {.brief_count = JT_ROW_PROVEN, .brief_us = 20, .waiting = 100000};
    (void)state;
    assert_int_equal(jt_row_size(&stage, &fleet), JT_ROW_MAX);
    stage.brief_us = JT_ROW_US / 4;
    assert_int_equal(jt_row_size(&stage, &fleet), 3);
    stage.brief_us = 20;
    stage.waiting = 100;
    assert_int_equal(jt_row_size(&stage, &fleet), 6);
    stage.waiting = 19;
    assert_int_equal(jt_row_size(&stage, &fleet), 1);
}

static void who_ends_leaves_the_core_to_the_next_of_the_row(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w = row_worker(f, "w", 1);
    after(f, w, JT_ROW_PROVEN);
    struct jt_attempt *front = running_on(w);
    struct jt_attempt *second = list_entry(front->in_row.next, struct jt_attempt, in_row);
    size_t n = running(w);
    assert_int_equal(second->taken.cores, 0);
    assert_ptr_equal(jt_row_front(second), front);
    f->now += 3;
    assert_true(done_in(f, front, 20, true));
    assert_int_equal(running(w), n - 1); /* its core is not free */
    assert_int_equal(second->taken.cores, 1);
    assert_int_equal(second->start_ms, f->now);
    assert_int_equal(w->cores_used, 1);
}

static void one_that_fails_is_charged_and_the_others_are_not(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w = row_worker(f, "w", 1);
    struct jt_job *job = after(f, w, JT_ROW_PROVEN);
    struct jt_attempt *front = running_on(w);
    struct jt_task *failed = front->task;
    struct jt_task *behind = list_entry(front->in_row.next, struct jt_attempt, in_row)->task;
    has_failed(f, front, true);
    while (behind->running)
        given_back(f, running_on(w));
    assert_int_equal(failed->failures, 1);
    assert_int_equal(behind->failures + behind->node_failures, 0);
    assert_false(jt_task_failed_on(behind, w));
    assert_int_equal(job->stages[0].failed_attempts, 1);
    assert_int_equal(jt_row_size(&job->stages[0], &f->core.fleet), 1);
    while (!jt_stage_is_done(&job->stages[0]))
        assert_true(done_in(f, running_on(w), 20, true));
}

static void what_failed_before_is_tried_alone(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w = row_worker(f, "w", 1);
    after(f, w, JT_ROW_PROVEN);
    struct jt_task *failed = running_on(w)->task;
    has_failed(f, running_on(w), true);
    while (failed->state != JT_TASK_DONE) {
        struct jt_attempt *a = running_on(w);
        if (a->task == failed)
            assert_true(list_is_empty(&a->in_row));
        assert_true(done_in(f, a, 20, true));
    }
}

/* Nobody stands before one that failed, or behind one. */
static void what_failed_before_stands_in_no_row(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w = row_worker(f, "w", 1);
    struct jt_stage *maps = after(f, w, JT_ROW_PROVEN)->stages;
    uint32_t first = UINT32_MAX;
    for (uint32_t i = 0; i < maps->count; i++) {
        if (maps->tasks[i].state == JT_TASK_WAITING) {
            maps->tasks[i].failures = first == UINT32_MAX || i % 2;
            first = first == UINT32_MAX ? i : first;
        }
    }
    for (size_t n = running(w); n > 0; n--)
        assert_true(done_in(f, running_on(w), 20, true));
    assert_int_equal(running_on(w)->task->index, first);
    assert_int_equal(running(w), 1);
    assert_true(done_in(f, running_on(w), 20, true));
    while (running(w) > 0 && maps->waiting > 0) {
        assert_true(running(w) == 1 || running_on(w)->task->failures == 0);
        list_each (&w->attempts, it) {
            struct jt_attempt *a = list_entry(it, struct jt_attempt, on_worker);
            assert_true(list_is_empty(&a->in_row) || a->task->failures == 0);
        }
        assert_true(done_in(f, running_on(w), 20, true));
    }
}

static void what_writes_files_itself_goes_alone(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w = row_worker(f, "w", 1);
    struct jt_job *job = submit(f, 60, 0, NULL);
    assert_int_equal(job->stages[0].kind, JT_STAGE_MAP_OUT);
    for (int i = 0; i < 2 * JT_ROW_PROVEN; i++)
        assert_true(done_in(f, running_on(w), 20, true));
    assert_int_equal(running(w), 1);
}

static void a_row_is_within_what_its_job_may_run_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w = row_worker(f, "w", 1);
    struct jt_job *job = submit(f, 60, 0, NULL);
    job->stages[0].kind = JT_STAGE_MAP;
    job->stages[0].most_running = 3;
    for (int i = 0; i < JT_ROW_PROVEN; i++)
        assert_true(done_in(f, running_on(w), 20, true));
    assert_int_equal(running(w), 3);
}

/* Of those behind one whose input is here, too. */
static void nobody_comes_from_afar_because_of_a_row(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *home = row_worker(f, "home", 1);
    struct slice nodes[2] = {slice_str("home"), slice_str("away")};
    struct jt_split splits[60] = {0};
    for (uint32_t i = 0; i < 60; i++) {
        splits[i].nodes = &nodes[i < 20 ? 0 : 1];
        splits[i].node_count = 1;
    }
    struct jt_worker *away = row_worker(f, "away", 1);
    submit(f, 1, 0, "away"); /* which is busy */
    struct jt_submit s = {.name = slice_str("j"),
                          .user = slice_str("u"),
                          .priority = 2,
                          .partitions = 1,
                          .splits = splits,
                          .split_count = 60};
    struct jt_stage *maps = jt_on_submit(&f->core, 0, &s, f->now)->stages;
    assert_non_null(running_on(away));
    while (maps->done < 20) {
        f->now += 10; /* so that it may wait a little for a place */
        assert_true(done_in(f, running_on(home), 20, true));
        assert_true(maps->done != JT_ROW_PROVEN || running(home) > 4);
    }
    for (uint32_t i = 0; i < 60; i++)
        assert_int_equal(maps->tasks[i].state, i < 20 ? JT_TASK_DONE : JT_TASK_WAITING);
}

/* Stragglers are looked for among the oldest. */
static void whoever_gets_the_core_is_the_youngest_of_its_stage(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w = row_worker(f, "w", 1);
    struct jt_stage *maps = after(f, w, JT_ROW_PROVEN)->stages;
    uint64_t last = 0;
    f->now += 10;
    assert_true(done_in(f, running_on(w), 20, true));
    f->now += 10;
    row_worker(f, "x", 1);
    f->now += 10;
    assert_true(done_in(f, running_on(w), 20, true));
    list_each (&maps->attempts, it) {
        const struct jt_attempt *a = list_entry(it, struct jt_attempt, of_stage);
        if (a->taken.cores == 0)
            continue;
        assert_true(a->start_ms >= last);
        last = a->start_ms;
    }
    assert_int_equal(last, f->now);
}

static void a_lost_worker_loses_all_of_its_row(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w = row_worker(f, "w", 1);
    struct jt_job *job = after(f, w, JT_ROW_PROVEN);
    f->now += jt_config_default.worker_timeout_ms + 1;
    jt_on_tick(&f->core, f->now);
    assert_int_equal(running(w), 0);
    assert_int_equal(job->stages[0].running, 0);
    assert_int_equal(job->claim.used.cores, 0);
    assert_int_equal(f->core.fleet.live, 0);
}

static void a_row_that_makes_room_ends_as_a_whole(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w = row_worker(f, "w", 1);
    struct jt_job *job = after(f, w, JT_ROW_PROVEN);
    uint32_t waiting = job->stages[0].waiting, n = (uint32_t)running(w);
    jt_kill_row(&f->core, list_entry(running_on(w)->in_row.prev, struct jt_attempt, in_row), "why");
    assert_int_equal(running(w), 0);
    assert_int_equal(w->cores_used, 0);
    assert_int_equal(job->stages[0].waiting, waiting + n);
    assert_int_equal(job->claim.used.cores, 0);
}

static void a_job_that_is_killed_has_nothing_of_its_rows_left(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w = row_worker(f, "w", 2);
    struct jt_job *job = after(f, w, JT_ROW_PROVEN);
    assert_true(running(w) > 4);
    jt_on_kill(&f->core, job, "killed by its user", f->now);
    assert_int_equal(running(w), 0);
    assert_int_equal(w->cores_used, 0);
    assert_int_equal(w->memory_used, 0);
}

static void those_behind_are_told_in_the_same_order(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w = row_worker(f, "w", 1);
    after(f, w, JT_ROW_PROVEN - 1);
    jt_effects_clear(&f->core);
    assert_true(done_in(f, running_on(w), 20, true));
    size_t first = 0;
    while (f->core.effects[first].kind != JT_TELL_RUN)
        first++;
    assert_false(f->core.effects[first].is_behind);
    for (size_t i = 1; i < running(w); i++) {
        assert_int_equal(f->core.effects[first + i].kind, JT_TELL_RUN);
        assert_true(f->core.effects[first + i].is_behind);
        assert_ptr_equal(f->core.effects[first + i].worker, w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(rows_come_only_when_several_tasks_were_short),
        CASE(a_worker_that_does_not_know_rows_gets_none),
        CASE(a_long_task_or_one_that_leaves_something_ends_the_rows),
        cmocka_unit_test(a_row_is_no_longer_than_its_time_and_leaves_something_for_others),
        CASE(who_ends_leaves_the_core_to_the_next_of_the_row),
        CASE(one_that_fails_is_charged_and_the_others_are_not),
        CASE(what_failed_before_is_tried_alone),
        CASE(what_failed_before_stands_in_no_row),
        CASE(what_writes_files_itself_goes_alone),
        CASE(a_row_is_within_what_its_job_may_run_at_a_time),
        CASE(nobody_comes_from_afar_because_of_a_row),
        CASE(whoever_gets_the_core_is_the_youngest_of_its_stage),
        CASE(a_lost_worker_loses_all_of_its_row),
        CASE(a_row_that_makes_room_ends_as_a_whole),
        CASE(a_job_that_is_killed_has_nothing_of_its_rows_left),
        CASE(those_behind_are_told_in_the_same_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
