/* SPDX-License-Identifier: Apache-2.0
 * The core of the jobtracker, driven by hand: workers that say what a test wants them to say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "jobtracker/jobs/attempts.h"
#include "jobtracker/jobs/events.h"
#include "libcommon/base/ids.h"

#define GIB ((uint64_t)1 << 30)

struct fixture {
    struct jt_core core;
    uint64_t now;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct jt_config config = jt_config_default;
    assert_non_null(f);
    f->now = 1000;
    jt_core_init(&f->core, &config, f->now);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    assert_false(f->core.out_of_memory);
    jt_core_release(&f->core);
    free(f);
    return 0;
}

static struct jt_worker *worker(struct fixture *f, const char *name, uint32_t cores,
                                uint64_t incarnation)
{
    struct jt_worker_offer offer = {
        .name = slice_str(name),
        .rack = slice_str("/r"),
        .host = slice_str("h"),
        .cores = cores,
        .memory = cores * GIB,
        .incarnation = incarnation,
    };
    struct jt_worker *w = jt_on_register(&f->core, &offer, f->now);
    jt_on_beat(&f->core, w, f->now);
    return w;
}

static struct jt_job *submit(struct fixture *f, uint32_t maps, uint32_t reduces, const char *node)
{
    struct slice nodes[1] = {slice_str(node ? node : "")};
    struct jt_split splits[64] = {0};
    for (uint32_t i = 0; i < maps; i++) {
        splits[i].bytes = 1000;
        splits[i].nodes = nodes;
        splits[i].node_count = node != NULL;
    }
    struct jt_submit s = {.name = slice_str("j"),
                          .user = slice_str("u"),
                          .priority = 2,
                          .partitions = reduces,
                          .splits = splits,
                          .split_count = maps};
    return jt_on_submit(&f->core, 0, &s, f->now);
}

static size_t count(const struct fixture *f, enum jt_effect_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < f->core.effect_count; i++)
        n += f->core.effects[i].kind == kind;
    return n;
}

static struct attempt_id id_of(const struct jt_attempt *a)
{
    return (struct attempt_id){
        {0, a->task->stage->job->number}, a->task->stage->index, a->task->index, a->number};
}

static struct jt_attempt *running_on(struct jt_worker *w)
{
    return list_first(&w->attempts, struct jt_attempt, on_worker);
}

static bool done(struct fixture *f, struct jt_attempt *a)
{
    struct attempt_id id = id_of(a);
    struct jt_progress p = {1000, 1000, 10, 10, 0};
    return jt_on_done(&f->core, a->worker, &id, &p, slice_str("result"), f->now);
}

static void has_failed(struct fixture *f, struct jt_attempt *a, bool counts)
{
    struct attempt_id id = id_of(a);
    jt_on_failed(&f->core, a->worker, &id, counts, "because", f->now);
}

/* Let every running attempt finish, until nothing runs. */
static void finish_all(struct fixture *f)
{
    bool again = true;
    while (again) {
        again = false;
        list_each (&f->core.fleet.all, it) {
            struct jt_attempt *a = running_on(list_entry(it, struct jt_worker, all));
            if (a) {
                f->now += 10;
                assert_true(done(f, a));
                again = true;
                break;
            }
        }
        f->now += 50;
        jt_on_tick(&f->core, f->now);
    }
}

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

static struct jt_job *submit_asking(struct fixture *f, uint32_t maps, struct jt_submit asking)
{
    struct jt_split splits[64] = {0};
    asking.name = slice_str("j");
    asking.user = slice_str("u");
    asking.splits = splits;
    asking.split_count = maps;
    return jt_on_submit(&f->core, 0, &asking, f->now);
}

static void tasks_are_admitted_while_their_cores_and_memory_fit(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 8, 1);
    struct jt_job *wide =
        submit_asking(f, 8, (struct jt_submit){.map_cores = 3, .map_memory = GIB});
    assert_int_equal(wide->stages[0].running, 2);
    assert_int_equal(a->cores_used, 6);
    struct jt_job *fat = submit_asking(f, 8, (struct jt_submit){.map_memory = 5 * GIB});
    assert_int_equal(fat->stages[0].running, 1);
    assert_int_equal(a->memory_used, 7 * GIB);
    assert_true(done(f, running_on(a)));
    assert_true(a->cores_used <= 8 && a->memory_used <= 8 * GIB);
    struct jt_job *never = submit_asking(f, 1, (struct jt_submit){.map_cores = 9});
    char text[200];
    assert_non_null(jt_waits_for(&f->core, never, text, sizeof(text)));
    assert_string_equal(text, "a task asks for 9 cores, the largest worker offers 8");
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

static void a_lost_worker_takes_its_running_tasks_and_its_map_outputs_with_it(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 2, 1);
    struct jt_job *job = submit(f, 2, 1, NULL);
    struct jt_attempt *m = running_on(a);
    assert_true(done(f, m));
    assert_int_equal(job->outputs_missing, 1);
    struct jt_worker *b = worker(f, "b", 2, 1);
    f->now += jt_config_default.worker_timeout_ms / 2;
    jt_on_beat(&f->core, b, f->now);
    f->now += jt_config_default.worker_timeout_ms / 2 + 1;
    jt_on_tick(&f->core, f->now);
    assert_false(a->is_live);
    assert_int_equal(job->outputs_missing, 2);
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

static void a_reduce_that_has_seen_wrong_sums_itself_is_believed_at_once(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *a = worker(f, "a", 8, 1);
    struct jt_job *job = submit(f, 1, 6, NULL);
    assert_true(done(f, running_on(a)));
    struct attempt_id id = id_of(running_on(a));
    uint64_t map = 0;
    jt_on_output_damaged(&f->core, &id, slice_str("a"), &map, 1, f->now);
    assert_int_equal(job->stages[0].done, 0);
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

static void a_job_that_asks_for_more_memory_than_any_worker_has_says_so(void **state)
{
    struct fixture *f = *state;
    worker(f, "a", 1, 1);
    struct jt_split split = {.bytes = 1};
    struct jt_submit s = {.name = slice_str("j"),
                          .user = slice_str("u"),
                          .splits = &split,
                          .split_count = 1,
                          .map_memory = 64 * GIB};
    struct jt_job *job = jt_on_submit(&f->core, 0, &s, f->now);
    char text[200];
    assert_non_null(jt_waits_for(&f->core, job, text, sizeof(text)));
    assert_string_equal(text, "a task asks for 64 G of memory, the largest worker offers 1 G");
}

static void what_was_done_before_a_restart_is_not_done_again(void **state)
{
    struct fixture *f = *state;
    struct jt_job *job = submit(f, 2, 1, NULL);
    struct attempt_id id = {{0, job->number}, 0, 1, 3};
    jt_on_resumed(&f->core, job, &id, slice_str("a"), slice_str("r"), f->now);
    jt_on_resume_end(&f->core, 2, f->now);
    struct jt_worker *a = worker(f, "a", 1, 7);
    assert_true(jt_on_held(&f->core, a, &id, f->now));
    assert_int_equal(job->outputs_missing, 1);
    jt_on_beat(&f->core, a, f->now);
    assert_int_equal(running_on(a)->task->index, 0);
    assert_true(running_on(a)->number >= 2000);
    finish_all(f);
    assert_int_equal(job->state, JT_JOB_COMMITTING);
}

static void a_job_that_was_all_done_is_published_whatever_is_resumed_behind_it(void **state)
{
    struct fixture *f = *state;
    jt_on_resume_begin(&f->core);
    struct jt_job *job = submit(f, 1, 0, NULL);
    for (uint32_t stage = 0; stage < job->stage_count; stage++) {
        struct attempt_id id = {{0, job->number}, stage, 0, 0};
        jt_on_resumed(&f->core, job, &id, slice_str("a"), slice_str("r"), f->now);
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
    jt_on_resumed(&f->core, job, &id, slice_str("gone"), slice_str("r"), f->now);
    jt_on_resume_end(&f->core, 2, f->now);
    f->now += jt_config_default.resume_grace_ms + 1;
    jt_on_tick(&f->core, f->now);
    assert_int_equal(job->stages[0].done, 0);
    worker(f, "a", 1, 1);
    finish_all(f);
    assert_int_equal(job->state, JT_JOB_COMMITTING);
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
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_job_runs_its_maps_then_its_reduces_then_publishes),
        CASE(a_job_without_input_ends_too),
        CASE(a_job_without_reducers_publishes_what_its_maps_wrote),
        CASE(a_task_is_given_to_the_node_that_holds_its_input),
        CASE(a_job_declines_a_remote_node_only_for_so_long),
        CASE(a_failed_task_is_tried_elsewhere_and_four_failures_end_the_job),
        CASE(a_kill_that_is_not_the_tasks_fault_does_not_count),
        CASE(a_task_that_no_node_can_run_fails_its_job_after_each_had_its_turns),
        CASE(a_failed_task_waits_for_another_node_however_busy_that_is),
        CASE(a_job_that_fails_here_and_there_on_every_node_still_ends),
        CASE(tasks_are_admitted_while_their_cores_and_memory_fit),
        CASE(a_job_may_say_how_often_its_tasks_are_tried),
        CASE(the_first_to_finish_wins_and_the_other_is_killed),
        CASE(a_lost_worker_takes_its_running_tasks_and_its_map_outputs_with_it),
        CASE(map_outputs_are_not_made_again_once_no_reduce_needs_them),
        CASE(a_worker_that_restarts_is_a_new_one),
        CASE(a_worker_that_only_reconnects_keeps_its_work),
        CASE(an_order_that_went_down_with_the_connection_is_given_again),
        CASE(a_reduce_whose_worker_reconnects_hears_of_all_outputs_again),
        CASE(reduces_begin_only_when_every_map_is_handed_out),
        CASE(a_reduce_makes_room_for_a_map_that_must_run_again),
        CASE(the_reduce_that_makes_room_is_one_on_a_node_where_the_map_may_run),
        CASE(maps_that_may_only_run_where_other_jobs_reduces_wait_still_run),
        CASE(one_reduce_among_many_cannot_condemn_a_map_output_alone),
        CASE(a_reduce_that_has_seen_wrong_sums_itself_is_believed_at_once),
        CASE(a_higher_priority_goes_first),
        CASE(a_killed_job_kills_what_runs_and_publishes_nothing),
        CASE(once_the_output_is_being_published_a_kill_comes_too_late),
        CASE(a_refused_publication_fails_the_job),
        CASE(a_straggler_gets_one_copy_on_another_node_and_a_big_task_none),
        CASE(a_straggler_gets_its_copy_though_reduces_that_wait_for_it_hold_every_core),
        CASE(the_slower_of_two_tasks_is_a_straggler_too),
        CASE(a_slow_node_is_forgiven_when_it_is_slow_no_more),
        CASE(a_job_that_asks_for_more_memory_than_any_worker_has_says_so),
        CASE(what_was_done_before_a_restart_is_not_done_again),
        CASE(a_job_that_was_all_done_is_published_whatever_is_resumed_behind_it),
        CASE(an_output_whose_worker_does_not_come_back_is_made_again),
        CASE(a_forgotten_job_gives_its_memory_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
