/* SPDX-License-Identifier: Apache-2.0
 * A task that no worker has room for, because small ones take each core as it comes free: a worker
 * is kept free for it, that one only, and no longer than it is of use. */
#include "jobtracker/schedule/speculate.h"
#include "tests/unit/jobtracker/events/core_fixture.h"

#define RESERVE (jt_config_default.reserve_ms)

/* Nobody makes room by force here. */
static int open_calmly(void **state)
{
    int rc = setup(state);
    ((struct fixture *)*state)->core.config.share_wait_ms = 0;
    return rc;
}

#define CALM_CASE(name) cmocka_unit_test_setup_teardown(name, open_calmly, teardown)

static void later(struct fixture *f, uint64_t ms)
{
    f->now += ms;
    jt_on_tick(&f->core, f->now);
}

/* Maps of a gibibyte each: as many as a worker has cores. */
static struct jt_job *submit_small(struct fixture *f, uint32_t maps)
{
    return submit_asking(f, maps, (struct jt_submit){.priority = 2, .map.memory = GIB});
}

static struct jt_job *submit_large(struct fixture *f, uint32_t maps)
{
    return submit_asking(f, maps, (struct jt_submit){.priority = 2, .map.memory = 4 * GIB});
}

static uint32_t on(const struct jt_worker *w, const struct jt_job *job)
{
    uint32_t n = 0;
    list_each (&w->attempts, it)
        n += list_entry(it, struct jt_attempt, on_worker)->task->stage->job == job;
    return n;
}

/* One of the job's tasks there is done. */
static void one_done(struct fixture *f, struct jt_worker *w, const struct jt_job *job)
{
    list_each (&w->attempts, it) {
        struct jt_attempt *attempt = list_entry(it, struct jt_attempt, on_worker);
        if (attempt->task->stage->job == job) {
            f->now += 10;
            assert_true(done(f, attempt));
            return;
        }
    }
    fail();
}

static void a_worker_is_kept_free_for_what_nobody_has_room_for(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w = worker(f, "w", 4, 1);
    struct jt_job *small = submit_small(f, 40), *large = submit_large(f, 1);
    one_done(f, w, small);
    assert_int_equal(on(w, small), 4); /* the time has not come */
    assert_null(w->reserved_for);
    later(f, RESERVE);
    one_done(f, w, small);
    assert_ptr_equal(w->reserved_for, &large->stages[0]);
    for (uint32_t left = 3; left > 1; left--) {
        one_done(f, w, small);
        later(f, 10);
        assert_int_equal(on(w, small), left - 1);
        assert_int_equal(on(w, large), 0);
    }
    one_done(f, w, small);
    assert_int_equal(on(w, large), 1);
    assert_null(w->reserved_for);
    one_done(f, w, large);
    assert_int_equal(on(w, small), 4);
}

/* Not a job that is new either; others are free to have what is free elsewhere. */
static void nobody_else_begins_there_meanwhile(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w = worker(f, "w", 4, 1), *other = worker(f, "other", 2, 1);
    struct jt_job *small = submit_small(f, 40), *large = submit_large(f, 1);
    one_done(f, w, small);
    later(f, RESERVE);
    one_done(f, w, small);
    one_done(f, w, small);
    assert_ptr_equal(w->reserved_for, &large->stages[0]);
    struct jt_job *late = submit_small(f, 2);
    later(f, 1);
    assert_int_equal(late->stages[0].running, 0);
    struct jt_job *near = submit(f, 1, 0, "w"); /* its input is there */
    later(f, 1);
    assert_int_equal(near->stages[0].running, 0);
    one_done(f, other, small);
    later(f, 1);
    assert_int_equal(on(other, late), 1);
    assert_int_equal(on(w, late), 0);
    assert_int_equal(on(w, small), 2);
}

static void no_copy_of_a_straggler_begins_there_either(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w = worker(f, "w", 4, 1), *other = worker(f, "other", 1, 1);
    struct jt_job *small = submit_small(f, 8);
    submit_large(f, 1);
    f->now += 500;
    for (int i = 0; i < 3; i++)
        one_done(f, w, small);
    later(f, RESERVE);
    for (int i = 0; i < 3; i++)
        one_done(f, w, small);
    assert_non_null(w->reserved_for);
    assert_int_equal(on(w, small), 1);
    for (int i = 0; i < 20; i++)
        later(f, RESERVE);
    assert_true(jt_attempt_is_slow(running_on(other), f->now));
    assert_int_equal(small->stages[0].speculative, 0);
}

/* Only who could ever have room: and one only. */
static void a_worker_that_is_too_small_is_not_kept(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *tiny = worker(f, "tiny", 2, 1), *w = worker(f, "w", 4, 1),
                     *second = worker(f, "second", 4, 1);
    struct jt_job *small = submit_small(f, 60), *large = submit_large(f, 2);
    one_done(f, tiny, small);
    later(f, RESERVE);
    one_done(f, tiny, small);
    assert_null(tiny->reserved_for);
    later(f, 1);
    one_done(f, w, small);
    later(f, 1);
    one_done(f, second, small);
    assert_ptr_equal(w->reserved_for, &large->stages[0]);
    assert_null(second->reserved_for);
    assert_int_equal(on(second, small), 4);
}

static void a_worker_is_given_back_with_the_job_it_was_kept_for(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w = worker(f, "w", 4, 1);
    struct jt_job *small = submit_small(f, 40), *large = submit_large(f, 1);
    one_done(f, w, small);
    later(f, RESERVE);
    one_done(f, w, small);
    one_done(f, w, small);
    assert_int_equal(on(w, small), 2);
    jt_on_kill(&f->core, large, "nobody wants it", f->now);
    assert_null(w->reserved_for);
    later(f, 1);
    assert_int_equal(on(w, small), 4);
}

static void when_there_is_room_elsewhere_the_worker_is_given_back(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w = worker(f, "w", 4, 1);
    struct jt_job *small = submit_small(f, 6), *large = submit_large(f, 1);
    one_done(f, w, small);
    later(f, RESERVE);
    one_done(f, w, small);
    assert_ptr_equal(w->reserved_for, &large->stages[0]);
    struct jt_worker *fresh = worker(f, "fresh", 8, 1);
    assert_int_equal(on(fresh, large), 1);
    assert_null(w->reserved_for);
    struct jt_job *late = submit_small(f, 1);
    later(f, 1);
    assert_int_equal(late->stages[0].running, 1);
}

static void when_the_worker_is_gone_another_is_kept(void **state)
{
    struct fixture *f = *state;
    struct jt_worker *w = worker(f, "w", 4, 1), *second = worker(f, "second", 4, 1);
    struct jt_job *small = submit_small(f, 60), *large = submit_large(f, 1);
    one_done(f, w, small);
    later(f, RESERVE);
    one_done(f, w, small);
    assert_ptr_equal(w->reserved_for, &large->stages[0]);
    jt_on_disconnect(&f->core, w, f->now);
    for (int i = 0; i < 40 && w->is_live; i++) {
        jt_on_beat(&f->core, second, f->now);
        later(f, 1000);
    }
    assert_false(w->is_live);
    assert_null(w->reserved_for);
    one_done(f, second, small);
    assert_ptr_equal(second->reserved_for, &large->stages[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CALM_CASE(a_worker_is_kept_free_for_what_nobody_has_room_for),
        CALM_CASE(nobody_else_begins_there_meanwhile),
        CALM_CASE(no_copy_of_a_straggler_begins_there_either),
        CALM_CASE(a_worker_that_is_too_small_is_not_kept),
        CALM_CASE(a_worker_is_given_back_with_the_job_it_was_kept_for),
        CALM_CASE(when_there_is_room_elsewhere_the_worker_is_given_back),
        CALM_CASE(when_the_worker_is_gone_another_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
