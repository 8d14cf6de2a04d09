/* SPDX-License-Identifier: Apache-2.0
 * Who runs which task, when, and what makes room for what; and the second try of a straggler. */
#include "jobtracker/jobs/locality.h"
#include "jobtracker/jobs/waits.h"
#include "tests/unit/jobtracker/events/core_fixture.h"

static void a_task_is_given_to_the_node_that_holds_its_input(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 1, 1), *b = worker(f, "b", 1, 1);
    struct jt_job *job = submit(f, 1, 0, "b");
    (void)job;
    assert_null(running_on(a));
    assert_non_null(running_on(b));
    assert_int_equal(running_on(b)->locality, JT_NODE_LOCAL);
}

static void a_job_declines_a_remote_node_only_for_so_long(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *b = worker(f, "b", 1, 1);
    submit(f, 2, 0, "b"); /* b takes one, the other waits for it */
    struct jt_worker *a = worker(f, "a", 1, 1);
    assert_null(running_on(a));
    f->now += 2 * jt_config_default.locality_wait_ms;
    jt_on_tick(&f->core, f->now);
    assert_non_null(running_on(a));
    assert_non_null(running_on(b));
}

static void quick_tasks_whose_input_lies_on_one_node_do_not_leave_the_others_idle(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 1, 1), *b = worker(f, "b", 1, 1);
    submit(f, 20, 0, "b");
    for (int i = 0; i < 5; i++) { /* each ends before the delay is over, and the next begins */
        assert_null(running_on(a));
        f->now += jt_config_default.locality_wait_ms / 2;
        assert_true(done(f, running_on(b)));
        jt_on_tick(&f->core, f->now);
        if (running_on(a))
            return;
    }
    fail_msg("one node does it all, and the other has nothing to do");
}

static void tasks_are_admitted_while_their_cores_and_memory_fit(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 8, 1);
    struct jt_job *wide =
        submit_asking(f, 8, (struct jt_submit){.map.cores = 3, .map.memory = GIB});
    assert_int_equal(wide->stages[0].running, 2);
    assert_int_equal(a->cores_used, 6);
    struct jt_job *fat = submit_asking(f, 8, (struct jt_submit){.map.memory = 5 * GIB});
    assert_int_equal(fat->stages[0].running, 1);
    assert_int_equal(a->memory_used, 7 * GIB);
    assert_true(done(f, running_on(a)));
    assert_true(a->cores_used <= 8 && a->memory_used <= 8 * GIB);
    struct jt_job *never = submit_asking(f, 1, (struct jt_submit){.map.cores = 9});
    char text[200];
    assert_non_null(jt_waits_for(&f->core, never, text, sizeof(text)));
    assert_string_equal(text, "a map task asks for 9 cores, the largest worker offers 8: "
                              "-D mapreduce.map.cpu.vcores=8 would do, or more worker.cores");
}

static void a_job_that_asks_for_more_memory_than_any_worker_has_says_so(void **state)
{
    struct fixture *f = *state;
    worker(f, "a", 1, 1);
    struct jt_split split = {.bytes = 1};
    struct jt_submit s = {.name = slice_str("j"),
                          .user = slice_str("u"),
                          .splits = &split,
                          .split_count = 1,
                          .map.memory = 64 * GIB};
    struct jt_job *job = jt_on_submit(&f->core, 0, &s, f->now);
    char text[200];
    assert_non_null(jt_waits_for(&f->core, job, text, sizeof(text)));
    assert_string_equal(text,
                        "a map task asks for 64 G of memory, the largest worker offers 1 G: "
                        "-D mapreduce.map.memory.mb=1024 would do, or a larger worker.memory");
}

static void a_default_of_memory_bends_to_the_worker(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *small = worker(f, "small", 1, 1), *large = worker(f, "large", 4, 1);
    struct jt_submit like = {.map = {.memory = 3 * GIB, .bends = true}};
    struct jt_job *job = submit_asking(f, 2, like);
    assert_int_equal(job->stages[0].running, 2);
    assert_int_equal(small->memory_used, GIB);
    assert_int_equal(large->memory_used, 3 * GIB);
}

static void a_demand_is_too_large_where_no_single_worker_gives_all_of_it(void **state)
{
    struct fixture *f = *state;
    struct jt_fleet *fleet = &f->core.fleet;
    struct jt_worker_offer fat = {.name = slice_str("fat"), .cores = 2, .memory = 8 * GIB};
    struct jt_demand tall = {.cores = 2, .memory = 8 * GIB}, wide = {.cores = 4}, both = tall;
    char text[256];
    assert_non_null(jt_fleet_put(fleet, &fat, f->now));
    worker(f, "wide", 4, 1);
    both.cores = 4;
    both.is_reduce = true;
    assert_null(jt_demand_too_large(&tall, fleet, false, text, sizeof(text)));
    assert_null(jt_demand_too_large(&wide, fleet, false, text, sizeof(text)));
    assert_non_null(jt_demand_too_large(&both, fleet, false, text, sizeof(text)));
    assert_non_null(strstr(text, "a reduce task asks for 4 cores and 8 G of memory, and no worker "
                                 "offers both"));
    both.bends = true;
    assert_null(jt_demand_too_large(&both, fleet, false, text, sizeof(text)));
}

static void a_lost_worker_may_come_back_for_a_large_demand(void **state)
{
    struct fixture *f = *state;
    struct jt_demand large = {.cores = 1, .memory = 4 * GIB};
    char text[256];
    jt_worker_lose(&f->core.fleet, worker(f, "large", 4, 1));
    worker(f, "small", 1, 1);
    assert_null(jt_demand_too_large(&large, &f->core.fleet, true, text, sizeof(text)));
    assert_non_null(jt_demand_too_large(&large, &f->core.fleet, false, text, sizeof(text)));
}

static void a_higher_priority_goes_first(void **state)
{
    struct fixture *f = *state;
    struct jt_job *low = submit(f, 1, 0, NULL), *high = submit(f, 1, 0, NULL);
    jt_on_priority(&f->core, high, 4, f->now);
    worker(f, "a", 1, 1);
    assert_int_equal(high->stages[0].running, 1);
    assert_int_equal(low->stages[0].running, 0);
}

static void reduces_begin_only_when_every_map_is_handed_out(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 2, 1);
    struct jt_job *job = submit(f, 3, 1, NULL);
    assert_true(done(f, running_on(a)));
    assert_int_equal(job->stages[1].running, 0); /* the third map took the core */
    assert_true(done(f, running_on(a)));
    assert_int_equal(job->stages[1].running, 1);
    assert_int_equal(job->stages[0].running, 1);
}

static void reduces_begin_when_so_many_maps_are_done_as_their_job_says(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 16, 1);
    struct jt_submit half = {.partitions = 1, .has_slowstart = true, .slowstart_percent = 50};
    struct jt_job *late = submit_asking(f, 4, half);
    assert_true(done(f, running_on(a)));
    assert_int_equal(late->stages[1].running, 0);
    assert_true(done(f, running_on(a)));
    assert_int_equal(late->stages[1].running, 1);
    half.slowstart_percent = 0;
    struct jt_job *early = submit_asking(f, 4, half);
    assert_int_equal(early->stages[1].running, 1);
}

static void a_reduce_makes_room_for_a_map_that_must_run_again(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 1, 1);
    struct jt_job *job = submit(f, 1, 1, NULL);
    assert_true(done(f, running_on(a)));
    struct jt_attempt *reduce = running_on(a);
    assert_int_equal(reduce->task->stage->kind, JT_STAGE_REDUCE);
    struct attempt_id id = id_of(reduce);
    uint64_t map = 0;
    jt_on_fetch_failed(&f->core, &id, slice_str("a"), &map, 1, f->now);
    assert_int_equal(job->stages[0].waiting, 1);
    f->now += jt_config_default.preempt_ms + 1;
    jt_on_beat(&f->core, a, f->now);
    jt_on_tick(&f->core, f->now);
    assert_int_equal(reduce->state, JT_ATTEMPT_KILLED);
    assert_int_equal(job->stages[0].running, 1);
    finish_all(f);
    assert_int_equal(job->state, JT_JOB_COMMITTING);
}

/* As after a replay, when tasks that were done in another life stood in line first. */
static void a_map_that_waits_behind_many_that_are_done_is_still_seen(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 1, 1);
    struct jt_stage *maps = submit(f, 2, 1, NULL)->stages;
    assert_true(done(f, running_on(a)));
    assert_true(done(f, running_on(a)));
    jt_locality_trim(maps, &maps->anywhere);
    for (int i = 0; i < 100; i++)
        assert_int_equal(jt_locality_add(maps, &maps->tasks[0], &f->core.fleet), 0);
    struct jt_attempt *reduce = running_on(a);
    struct attempt_id id = id_of(reduce);
    uint64_t map = 1;
    jt_on_fetch_failed(&f->core, &id, slice_str("a"), &map, 1, f->now);
    assert_int_equal(maps->waiting, 1);
    f->now += jt_config_default.preempt_ms + 1;
    jt_on_beat(&f->core, a, f->now);
    jt_on_tick(&f->core, f->now);
    assert_int_equal(reduce->state, JT_ATTEMPT_KILLED);
}

static void the_reduce_that_makes_room_is_one_on_a_node_where_the_map_may_run(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 2, 1), *b = worker(f, "b", 1, 1);
    struct jt_job *job = submit(f, 3, 3, NULL);
    assert_true(done(f, running_on(b)));
    struct jt_attempt *on_b = running_on(b);
    assert_int_equal(on_b->task->stage->kind, JT_STAGE_REDUCE);
    f->now += 10;
    assert_true(done(f, running_on(a)));
    struct jt_attempt *map = NULL, *on_a = NULL; /* the youngest reduce, and what it waits for */
    list_each (&a->attempts, it) {
        struct jt_attempt *x = list_entry(it, struct jt_attempt, on_worker);
        *(x->task->stage->kind == JT_STAGE_MAP ? &map : &on_a) = x;
    }
    assert_non_null(map);
    assert_non_null(on_a);
    struct jt_task *task = map->task;
    has_failed(f, map, true);
    assert_int_equal(task->state, JT_TASK_WAITING);
    assert_int_equal(job->stages[1].running, 2); /* no reduce takes the core a map waits for */
    f->now += jt_config_default.preempt_ms + 1;
    jt_on_beat(&f->core, a, f->now);
    jt_on_beat(&f->core, b, f->now);
    jt_on_tick(&f->core, f->now);
    assert_int_equal(on_a->state, JT_ATTEMPT_RUNNING);
    assert_int_equal(on_b->state, JT_ATTEMPT_KILLED);
    assert_ptr_equal(running_on(b)->task, task);
    finish_all(f);
    assert_int_equal(job->state, JT_JOB_COMMITTING);
}

static void maps_that_may_only_run_where_other_jobs_reduces_wait_still_run(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w[2];
    struct jt_job *job[2];
    for (int i = 0; i < 2;
         i++) { /* each job has a reduce on one node, and a map that failed there */
        w[i] = worker(f, i ? "b" : "a", 1, 1);
        job[i] = submit(f, 1, 1, i ? "b" : "a");
        assert_true(done(f, running_on(w[i])));
    }
    for (int i = 0; i < 2; i++) {
        struct attempt_id id = id_of(running_on(w[i]));
        uint64_t map = 0;
        jt_on_fetch_failed(&f->core, &id, slice_str(w[i]->name), &map, 1, f->now);
        assert_int_equal(job[i]->stages[0].waiting, 1);
    }
    for (int i = 0; i < 200 && job[0]->stages[0].done + job[1]->stages[0].done < 2; i++) {
        f->now += 100;
        for (int k = 0; k < 2; k++) {
            jt_on_beat(&f->core, w[k], f->now);
            struct jt_attempt *x = running_on(w[k]);
            if (x && x->task->stage->kind == JT_STAGE_MAP)
                assert_true(done(f, x));
        }
        jt_on_tick(&f->core, f->now);
    }
    finish_all(f);
    assert_int_equal(job[0]->state, JT_JOB_COMMITTING);
    assert_int_equal(job[1]->state, JT_JOB_COMMITTING);
}

static void the_first_to_finish_wins_and_the_other_is_killed(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 1, 1);
    struct jt_job *job = submit(f, 1, 0, NULL);
    struct jt_worker *b = worker(f, "b", 1, 1);
    struct jt_attempt *first = running_on(a);
    assert_true(jt_launch(&f->core, &job->stages[0].tasks[0], b, JT_REMOTE, true));
    struct jt_attempt *copy = running_on(b);
    assert_true(done(f, copy));
    assert_int_equal(first->state, JT_ATTEMPT_KILLED);
    assert_false(done(f, first));
    assert_true(done(f, copy)); /* said again: the answer stays the same */
    assert_ptr_equal(job->stages[0].tasks[0].winner, copy);
}

static void a_straggler_gets_one_copy_on_another_node_and_a_big_task_none(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 8, 1);
    struct jt_job *job = submit(f, 8, 0, NULL);
    struct jt_attempt *slow = running_on(a),
                      *big = list_entry(slow->on_worker.next, struct jt_attempt, on_worker);
    f->now += 1000;
    while (job->stages[0].done < 6) {
        struct jt_attempt *x = list_entry(a->attempts.prev, struct jt_attempt, on_worker);
        assert_true(done(f, x));
    }
    struct jt_worker *b = worker(f, "b", 4, 1);
    f->now += 9000;
    jt_on_beat(&f->core, a, f->now);
    jt_on_beat(&f->core, b, f->now);
    struct attempt_id slow_id = id_of(slow), big_id = id_of(big);
    struct jt_progress crawl = {1000, 1000, 1, 1, 0}, healthy = {12000, 20000, 1, 1, 0};
    jt_on_progress(&f->core, a, &slow_id, &crawl, f->now);
    jt_on_progress(&f->core, a, &big_id, &healthy, f->now);
    jt_on_tick(&f->core, f->now);
    jt_on_tick(&f->core, f->now + 1000);
    assert_int_equal(job->stages[0].speculative, 1);
    assert_non_null(running_on(b));
    assert_ptr_equal(running_on(b)->task, slow->task);
    assert_int_equal(big->task->running, 1);
}

static void a_straggler_gets_its_copy_though_reduces_that_wait_for_it_hold_every_core(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 1, 1), *b = worker(f, "b", 3, 1);
    struct jt_job *job = submit(f, 8, 3, NULL);
    struct jt_attempt *slow = running_on(a);
    f->now += 1000;
    while (job->stages[0].done < 7)
        assert_true(done(f, running_on(b)));
    assert_int_equal(job->stages[1].running, 3);
    assert_true(list_is_empty(&f->core.fleet.free));
    f->now += 9000;
    jt_on_beat(&f->core, a, f->now);
    jt_on_beat(&f->core, b, f->now);
    jt_on_tick(&f->core, f->now);
    assert_int_equal(job->stages[0].speculative, 1);
    assert_int_equal(slow->task->running, 2);
    assert_int_equal(job->stages[1].killed_attempts, 1);
    assert_int_equal(job->stages[1].running, 2);
    finish_all(f);
    assert_int_equal(job->state, JT_JOB_COMMITTING);
}

static void the_slower_of_two_tasks_is_a_straggler_too(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 1, 1), *b = worker(f, "b", 1, 1);
    struct jt_job *job = submit(f, 2, 0, NULL);
    struct jt_attempt *slow = running_on(a);
    f->now += 1000;
    assert_true(done(f, running_on(b)));
    f->now += 9000;
    jt_on_beat(&f->core, a, f->now);
    jt_on_beat(&f->core, b, f->now);
    jt_on_tick(&f->core, f->now);
    assert_int_equal(job->stages[0].speculative, 1);
    assert_ptr_equal(running_on(b)->task, slow->task);
}

static void a_slow_node_is_forgiven_when_it_is_slow_no_more(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 1, 1);
    submit(f, 4, 0, NULL);
    a->slow_tasks = JT_SLOW_TASKS;
    f->now += 100;
    assert_true(done(f, running_on(a)));
    assert_false(jt_worker_is_slow(a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_task_is_given_to_the_node_that_holds_its_input),
        CASE(a_job_declines_a_remote_node_only_for_so_long),
        CASE(quick_tasks_whose_input_lies_on_one_node_do_not_leave_the_others_idle),
        CASE(tasks_are_admitted_while_their_cores_and_memory_fit),
        CASE(a_job_that_asks_for_more_memory_than_any_worker_has_says_so),
        CASE(a_default_of_memory_bends_to_the_worker),
        CASE(a_demand_is_too_large_where_no_single_worker_gives_all_of_it),
        CASE(a_lost_worker_may_come_back_for_a_large_demand),
        CASE(a_higher_priority_goes_first),
        CASE(reduces_begin_only_when_every_map_is_handed_out),
        CASE(reduces_begin_when_so_many_maps_are_done_as_their_job_says),
        CASE(a_reduce_makes_room_for_a_map_that_must_run_again),
        CASE(a_map_that_waits_behind_many_that_are_done_is_still_seen),
        CASE(the_reduce_that_makes_room_is_one_on_a_node_where_the_map_may_run),
        CASE(maps_that_may_only_run_where_other_jobs_reduces_wait_still_run),
        CASE(the_first_to_finish_wins_and_the_other_is_killed),
        CASE(a_straggler_gets_one_copy_on_another_node_and_a_big_task_none),
        CASE(a_straggler_gets_its_copy_though_reduces_that_wait_for_it_hold_every_core),
        CASE(the_slower_of_two_tasks_is_a_straggler_too),
        CASE(a_slow_node_is_forgiven_when_it_is_slow_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
