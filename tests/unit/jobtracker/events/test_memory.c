/* SPDX-License-Identifier: Apache-2.0
 * Each allocation of the core fails once, at every place of a job's life and of its resumption.
 * Then the event says so, or the core says that it is out of memory (and its process ends before
 * anything leaves it), or the job ends as if nothing had been. Never a job that hangs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "jobtracker/events/events.h"

#define MANY 4000

struct world {
    struct jt_core core;
    uint64_t now;
};

static struct jt_worker *come(struct world *w, const char *name)
{
    struct jt_worker_offer offer = {
        .name = slice_str(name),
        .rack = slice_str("/r"),
        .cores = 2,
        .memory = 2 << 20,
        .incarnation = 1,
    };
    struct jt_worker *worker = jt_on_register(&w->core, &offer, w->now);
    if (worker)
        jt_on_held_all(&w->core, worker, w->now);
    return worker;
}

static struct jt_job *submit(struct world *w)
{
    struct slice node = slice_str("a");
    struct jt_split splits[5] = {{.bytes = 10, .nodes = &node, .node_count = 1}};
    struct jt_submit s = {
        .name = slice_str("j"),
        .user = slice_str("u"),
        .partitions = 2,
        .splits = splits,
        .split_count = ARRAY_LEN(splits),
    };
    return jt_on_submit(&w->core, 0, &s, w->now);
}

/* One attempt ends; a failed one now and then. false = nothing runs. */
static bool step(struct world *w, int i)
{
    struct jt_progress p = {10, 10, 1, 1, 0};
    list_each (&w->core.fleet.all, it) {
        struct jt_worker *worker = list_entry(it, struct jt_worker, all);
        struct jt_attempt *a = list_first(&worker->attempts, struct jt_attempt, on_worker);
        if (!a)
            continue;
        struct attempt_id id = {
            {0, a->task->stage->job->number}, a->task->stage->index, a->task->index, a->number};
        if (i == 2 || i == 8)
            jt_on_failed(&w->core, worker, &id, JT_FAULT_TASK, "because", w->now);
        else
            jt_on_done(&w->core, worker, &id, &p, slice_str("result"), w->now);
        return true;
    }
    return false;
}

static void live(struct world *w, struct jt_job *job)
{
    struct jt_worker *a = come(w, "a"), *b = come(w, "b");
    for (int i = 0; i < 100 && !w->core.out_of_memory && job->state != JT_JOB_COMMITTING; i++) {
        a = a ? a : come(w, "a"); /* whose registration was refused comes again */
        b = b ? b : come(w, "b");
        w->now += 50;
        jt_on_beat(&w->core, a, w->now);
        jt_on_beat(&w->core, b, w->now);
        (void)step(w, i);
        jt_on_tick(&w->core, w->now);
        if (i == 6)
            come(w, "a"); /* its connection was broken: what it ran is lost */
    }
}

static void verify(const struct world *w, const struct jt_job *job, uint64_t n)
{
    if (!w->core.out_of_memory && job && job->state != JT_JOB_COMMITTING)
        fail_msg("the job hangs after allocation %llu failed", (unsigned long long)n);
}

static bool one_life(uint64_t n, bool is_resumed)
{
    struct world w = {.now = 1000};
    struct jt_config config = jt_config_default;
    mem_fail_after(0);
    jt_core_init(&w.core, &config, w.now);
    mem_fail_after(n);
    struct jt_job *job = submit(&w);
    struct attempt_id id = {{0, 1}, 0, 3, 0};
    if (job && is_resumed) {
        jt_on_resumed(&w.core, job,
                      &(struct jt_resumed){id, slice_str("a"), slice_str("result"), {0}}, w.now);
        id.task = 4;
        jt_on_resumed(&w.core, job,
                      &(struct jt_resumed){id, slice_str("gone"), slice_str("result"), {0}}, w.now);
        jt_on_resumed_lost(&w.core, job, &id);
        jt_on_resume_end(&w.core, 2, w.now);
        w.now += config.resume_grace_ms;
    }
    if (job)
        live(&w, job);
    bool has_failed = mem_has_failed();
    mem_fail_after(0);
    verify(&w, job, n);
    jt_core_release(&w.core);
    return has_failed;
}

static void no_failed_allocation_leaves_a_job_hanging(void **state)
{
    (void)state;
    uint64_t n = 1;
    while (n < MANY && one_life(n, false))
        n++;
    assert_in_range(n, 30, MANY - 1);
}

static void nor_one_while_a_journal_is_read_again(void **state)
{
    (void)state;
    uint64_t n = 1;
    while (n < MANY && one_life(n, true))
        n++;
    assert_in_range(n, 30, MANY - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_failed_allocation_leaves_a_job_hanging),
        cmocka_unit_test(nor_one_while_a_journal_is_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
