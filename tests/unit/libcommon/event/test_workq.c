/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/event/thread.h"
#include "libcommon/event/workq.h"

static struct loop *loop;

struct job {
    struct work work;
    int in, out;
    unsigned dones;
    struct workq *workq;
};

static atomic_int running, most;

static void square(struct work *work)
{
    struct job *job = CONTAINER_OF(work, struct job, work);
    int now = atomic_fetch_add(&running, 1) + 1;
    if (now > atomic_load(&most))
        atomic_store(&most, now);
    usleep(2000);
    job->out = job->in * job->in;
    atomic_fetch_sub(&running, 1);
}

static void count_done(struct work *work)
{
    CONTAINER_OF(work, struct job, work)->dones++;
}

static int setup(void **state)
{
    (void)state;
    loop = loop_new(NULL);
    return loop ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    loop_free(loop);
    return 0;
}

static void turn_until_idle(struct workq *workq)
{
    uint64_t limit_ms = clock_mono_ms() + 10000;
    while (workq_pending(workq) > 0 && clock_mono_ms() < limit_ms)
        loop_turn(loop, 50);
    assert_int_equal(workq_pending(workq), 0);
}

static void work_runs_on_threads_and_is_done_on_the_loop(void **state)
{
    (void)state;
    struct workq *workq = workq_new(loop, "square", 3, NULL);
    struct job jobs[60] = {0};
    atomic_store(&most, 0);
    for (int i = 0; i < 60; i++) {
        jobs[i].in = i;
        workq_submit(workq, &jobs[i].work, square, count_done);
    }
    turn_until_idle(workq);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(jobs[i].out, i * i);
        assert_int_equal(jobs[i].dones, 1);
    }
    assert_in_range(atomic_load(&most), 2, 3);
    workq_free(workq);
}

static int order[32], order_count;
static void note_order(struct work *work)
{
    order[order_count++] = CONTAINER_OF(work, struct job, work)->in;
}

static void one_thread_keeps_the_order(void **state)
{
    (void)state;
    struct workq *workq = workq_new(loop, "one", 1, NULL);
    struct job jobs[32] = {0};
    order_count = 0;
    for (int i = 0; i < 32; i++) {
        jobs[i].in = i;
        workq_submit(workq, &jobs[i].work, note_order, count_done);
    }
    turn_until_idle(workq);
    for (int i = 0; i < 32; i++)
        assert_int_equal(order[i], i);
    workq_free(workq);
}

/* A gate keeps the only thread busy, so that what comes behind it has surely not started. */
struct gate {
    struct work work;
    struct mutex lock;
    struct cond opened;
    bool is_open;
    unsigned dones;
};

static void pass_gate(struct work *work)
{
    struct gate *gate = CONTAINER_OF(work, struct gate, work);
    mutex_lock(&gate->lock);
    while (!gate->is_open)
        cond_wait(&gate->opened, &gate->lock);
    mutex_unlock(&gate->lock);
}

static void gate_done(struct work *work)
{
    CONTAINER_OF(work, struct gate, work)->dones++;
}

static void open_gate(struct gate *gate)
{
    mutex_lock(&gate->lock);
    gate->is_open = true;
    cond_signal(&gate->opened);
    mutex_unlock(&gate->lock);
}

static void work_that_has_not_started_can_be_cancelled(void **state)
{
    (void)state;
    struct workq *workq = workq_new(loop, "one", 1, NULL);
    struct gate gate = {.lock = MUTEX_INIT};
    struct job job = {0}, idle = {0};
    cond_init(&gate.opened);
    workq_submit(workq, &gate.work, pass_gate, gate_done);
    workq_submit(workq, &job.work, square, count_done);
    assert_int_equal(workq_pending(workq), 2);
    assert_true(workq_cancel(workq, &job.work));
    assert_false(workq_cancel(workq, &job.work));
    assert_false(workq_cancel(workq, &idle.work));
    open_gate(&gate);
    turn_until_idle(workq);
    assert_int_equal(job.dones, 0);
    assert_int_equal(gate.dones, 1);
    assert_false(workq_cancel(workq, &gate.work));
    workq_free(workq);
    cond_release(&gate.opened);
}

static void submit_again(struct work *work)
{
    struct job *job = CONTAINER_OF(work, struct job, work);
    if (++job->dones < 5)
        workq_submit(job->workq, work, square, submit_again);
}

static void done_may_submit_the_same_work_again(void **state)
{
    (void)state;
    struct job job = {.in = 2};
    job.workq = workq_new(loop, "one", 1, NULL);
    workq_submit(job.workq, &job.work, square, submit_again);
    turn_until_idle(job.workq);
    assert_int_equal(job.dones, 5);
    workq_free(job.workq);
}

static void freeing_runs_what_is_queued_and_tells_it(void **state)
{
    (void)state;
    struct workq *workq = workq_new(loop, "two", 2, NULL);
    struct job jobs[10] = {0};
    for (int i = 0; i < 10; i++) {
        jobs[i].in = i;
        workq_submit(workq, &jobs[i].work, square, count_done);
    }
    workq_free(workq);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(jobs[i].dones, 1);
        assert_int_equal(jobs[i].out, i * i);
    }
    loop_turn(loop, 0); /* its wake-up must not reach freed memory */
    workq_free(NULL);
}

static void a_condition_wait_ends_at_its_deadline(void **state)
{
    (void)state;
    struct mutex lock;
    struct cond cond;
    mutex_init(&lock);
    cond_init(&cond);
    uint64_t start_ms = clock_mono_ms();
    mutex_lock(&lock);
    while (cond_wait_until(&cond, &lock, start_ms + 15) == 0)
        ;
    mutex_unlock(&lock);
    assert_in_range(clock_mono_ms() - start_ms, 15, 1000);
    cond_release(&cond);
    mutex_release(&lock);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(work_runs_on_threads_and_is_done_on_the_loop),
        CASE(one_thread_keeps_the_order),
        CASE(work_that_has_not_started_can_be_cancelled),
        CASE(done_may_submit_the_same_work_again),
        CASE(freeing_runs_what_is_queued_and_tells_it),
        CASE(a_condition_wait_ends_at_its_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
