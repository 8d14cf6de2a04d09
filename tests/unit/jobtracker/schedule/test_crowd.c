/* SPDX-License-Identifier: Apache-2.0
 * Scheduling seen from above: whole clusters in virtual time (tests/sim/crowd). How much work an
 * event is, who gets what share of the cluster, how local maps are, what a slow node costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/sim/crowd.h"

#define NORMAL ((struct jt_submit){.priority = 2})

static struct jt_submit in_queue(const char *queue)
{
    return (struct jt_submit){.priority = 2, .queue = slice_str(queue)};
}

static void set_queues(struct crowd *crowd, const struct jt_queue_conf *confs, size_t count)
{
    assert_int_equal(jt_queues_configure(&crowd->core.queues, confs, count), 0);
}

static const struct jt_queue *queue_of(const struct crowd *crowd, const char *name)
{
    const struct jt_queue *queue = jt_queue_find(&crowd->core.queues, slice_str(name));
    assert_non_null(queue);
    return queue;
}

/* --- what an event costs --------------------------------------------------------------------- */

static uint64_t uneven(const struct crowd *crowd, const struct jt_attempt *a)
{
    return 200 +
           hash_u64(crowd->conf.seed ^ a->task->index ^ a->task->stage->job->number << 32) % 800;
}

/* Steps of the core per event, and the most in one event or tick, in a cluster that is full. */
static void cost(uint32_t workers, uint32_t jobs, double *ret_mean, uint64_t *ret_most)
{
    struct crowd *crowd = crowd_new(
        &(struct crowd_conf){.workers = workers, .cores = 2, .racks = 8, .work_ms = uneven});
    for (uint32_t i = 0; i < jobs; i++)
        crowd_submit(crowd, NORMAL, 4 * workers * 4 / jobs + 20, 3);
    crowd_run(crowd, crowd->now + 1000); /* until it is full of tasks of all ages */
    crowd->events = crowd->event_steps = crowd->most_steps = 0;
    crowd_run(crowd, crowd->now + 1500);
    assert_true(crowd->events > workers);
    *ret_mean = (double)crowd->event_steps / (double)crowd->events;
    *ret_most = crowd->most_steps;
    crowd_free(crowd);
}

static void with_twice_the_jobs_an_event_costs_what_it_did(void **state)
{
    double few, many;
    uint64_t most_few, most_many;
    (void)state;
    cost(100, 20, &few, &most_few);
    for (uint32_t jobs = 40; jobs <= 320; jobs *= 2) {
        cost(100, jobs, &many, &most_many);
        print_message("%u jobs: %.1f steps an event, at most %llu\n", jobs, many,
                      (unsigned long long)most_many);
        assert_true(many < 30);
        assert_true(most_many < 3000);
    }
}

static void with_twice_the_workers_an_event_costs_what_it_did(void **state)
{
    double mean;
    uint64_t most;
    (void)state;
    for (uint32_t workers = 50; workers <= 800; workers *= 2) {
        cost(workers, 20, &mean, &most);
        print_message("%u workers: %.1f steps an event, at most %llu\n", workers, mean,
                      (unsigned long long)most);
        assert_true(mean < 30);
        assert_true(most < 3000);
    }
}

/* --- shares ---------------------------------------------------------------------------------- */

/* Core-milliseconds each queue had, sampled after every event. */
struct usage {
    uint64_t last_ms;
    double had[4];
};

static void sample(struct crowd *crowd)
{
    struct usage *usage = crowd->conf.arg;
    uint64_t ms = crowd->now - usage->last_ms;
    for (uint32_t i = 0; i < crowd->core.queues.count && i < 4; i++)
        usage->had[i] += (double)(crowd->core.queues.items[i]->used.cores * ms);
    usage->last_ms = crowd->now;
}

static void queues_share_by_their_weights(void **state)
{
    static const struct jt_queue_conf confs[] = {
        {.name = {(const uint8_t *)"default", 7}, .weight = 1},
        {.name = {(const uint8_t *)"b", 1}, .weight = 2},
        {.name = {(const uint8_t *)"c", 1}, .weight = 5}};
    struct usage usage = {0};
    (void)state;
    struct crowd *crowd = crowd_new(&(struct crowd_conf){
        .workers = 40, .cores = 4, .work_ms = uneven, .watch = sample, .arg = &usage});
    set_queues(crowd, confs, 3);
    /* As many jobs each, or rather not: it must not matter. */
    for (int i = 0; i < 12; i++)
        crowd_submit(crowd, in_queue("default"), 300, 0);
    crowd_submit(crowd, in_queue("b"), 2000, 3);
    for (int i = 0; i < 3; i++)
        crowd_submit(crowd, in_queue("c"), 2000, 3);
    crowd_run(crowd, crowd->now + 2000);
    usage = (struct usage){.last_ms = crowd->now};
    crowd_run(crowd, crowd->now + 8000);
    double all = usage.had[0] + usage.had[1] + usage.had[2];
    for (int i = 0; i < 3; i++) {
        double share = usage.had[i] / all, due = confs[i].weight / 8.0;
        print_message("%.*s: %.3f of %.3f\n", SLICE_ARG(confs[i].name), share, due);
        assert_true(share > due * 0.95 && share < due * 1.05);
    }
    assert_true(all > 0.97 * 160 * 8000); /* and nothing lies idle for it */
    crowd_free(crowd);
}

/* --- ten thousand workers -------------------------------------------------------------------- */

#define GREAT_QUEUES 4

/* As many jobs in each of four queues, 200 tasks each, on workers of one core. */
static struct crowd *great_crowd(uint32_t workers, uint32_t jobs, struct usage *usage)
{
    static const char *const names[GREAT_QUEUES] = {"default", "b", "c", "d"};
    struct jt_queue_conf confs[GREAT_QUEUES];
    struct crowd *crowd = crowd_new(&(struct crowd_conf){.workers = workers,
                                                         .cores = 1,
                                                         .racks = 40,
                                                         .work_ms = uneven,
                                                         .watch = sample,
                                                         .arg = usage});
    for (uint32_t i = 0; i < GREAT_QUEUES; i++)
        confs[i] = (struct jt_queue_conf){.name = slice_str(names[i]), .weight = i + 1};
    set_queues(crowd, confs, GREAT_QUEUES);
    for (uint32_t i = 0; i < jobs; i++)
        crowd_submit(crowd, in_queue(names[i % GREAT_QUEUES]), 200, 3);
    return crowd;
}

/* While all queues want more than there is. */
static void assert_shares(struct crowd *crowd, struct usage *usage)
{
    double all = 0;
    crowd_run(crowd, crowd->now + 1000);
    *usage = (struct usage){.last_ms = crowd->now};
    crowd->events = crowd->event_steps = 0;
    crowd_run(crowd, crowd->now + 2000);
    for (int i = 0; i < GREAT_QUEUES; i++)
        all += usage->had[i];
    for (int i = 0; i < GREAT_QUEUES; i++) {
        double due = (i + 1) / 10.0;
        assert_true(usage->had[i] > all * due * 0.95 && usage->had[i] < all * due * 1.05);
    }
    assert_true(all > 0.97 * 2000 * crowd->conf.workers);
}

static double a_great_crowd(uint32_t workers, uint32_t jobs)
{
    struct usage usage = {0};
    struct crowd *crowd = great_crowd(workers, jobs, &usage);
    uint64_t begun = crowd->now;
    assert_shares(crowd, &usage);
    double mean = (double)crowd->event_steps / (double)crowd->events;
    crowd_run(crowd, crowd->now + 60000);
    for (uint32_t i = 1; i <= jobs; i++) {
        assert_int_equal(crowd->jobs[i].state, JT_JOB_SUCCEEDED);
        assert_true(crowd->jobs[i].begun_ms < begun + 1500); /* nobody waits for others to end */
    }
    crowd_free(crowd);
    print_message("%u workers, %u jobs: %.1f steps an event\n", workers, jobs, mean);
    return mean;
}

static void
ten_thousand_workers_and_a_hundred_thousand_tasks_are_shared_and_cost_little(void **state)
{
    (void)state;
    double quarter = a_great_crowd(2500, 125);
    double all = a_great_crowd(10000, 500);
    assert_true(all < 30 && all < quarter * 1.25); /* four times of everything: a logarithm */
}

static void what_a_queue_does_not_want_the_others_have(void **state)
{
    static const struct jt_queue_conf confs[] = {
        {.name = {(const uint8_t *)"idle", 4}, .weight = 100},
        {.name = {(const uint8_t *)"busy", 4}, .weight = 1}};
    (void)state;
    struct crowd *crowd =
        crowd_new(&(struct crowd_conf){.workers = 10, .cores = 4, .task_ms = 1000});
    set_queues(crowd, confs, 2);
    struct jt_job *job = crowd_submit(crowd, in_queue("busy"), 400, 0);
    crowd_run(crowd, crowd->now + 500);
    assert_int_equal(crowd_running(job), 40);
    crowd_free(crowd);
}

static void a_low_priority_is_little_and_not_nothing(void **state)
{
    (void)state;
    struct crowd *crowd =
        crowd_new(&(struct crowd_conf){.workers = 20, .cores = 4, .work_ms = uneven});
    struct jt_job *low = crowd_submit(crowd, (struct jt_submit){.priority = 0}, 20, 0);
    uint64_t number = low->number;
    for (int i = 0; i < 30; i++)
        crowd_submit(crowd, (struct jt_submit){.priority = 2}, 400, 0);
    crowd_run(crowd, crowd->now + 10000);
    assert_true(crowd->jobs[number].begun_ms > 0);
    crowd_run(crowd, crowd->now + 600000);
    for (uint64_t i = 1; i <= 31; i++)
        assert_int_equal(crowd->jobs[i].state, JT_JOB_SUCCEEDED);
    crowd_free(crowd);
}

/* Tasks of a minute hold every core; a small job comes, in the same queue or in another. */
static void late_small_job(const char *queue)
{
    static const struct jt_queue_conf confs[] = {
        {.name = {(const uint8_t *)"other", 5}, .weight = 1}};
    struct crowd *crowd =
        crowd_new(&(struct crowd_conf){.workers = 20, .cores = 4, .task_ms = 60000});
    set_queues(crowd, confs, 1);
    struct jt_job *big = crowd_submit(crowd, in_queue("default"), 400, 3);
    crowd_run(crowd, crowd->now + 5000);
    assert_int_equal(crowd_running(big), 80);
    struct jt_job *small = crowd_submit(crowd, in_queue(queue), 10, 3);
    crowd_run(crowd, crowd->now + 1000);
    assert_int_equal(crowd_running(small), 10);
    assert_int_equal(crowd_running(big), 70);
    assert_int_equal(crowd->kills, 10);
    crowd_run(crowd, crowd->now + 10000); /* and that was all: nobody is robbed in return */
    assert_int_equal(crowd->kills, 10);
    crowd_free(crowd);
}

static void a_late_small_job_has_its_share_within_a_second(void **state)
{
    (void)state;
    late_small_job("default");
    late_small_job("other");
}

static void a_queue_gets_back_its_share_but_no_more_of_what_others_hold(void **state)
{
    static const struct jt_queue_conf confs[] = {{.name = {(const uint8_t *)"a", 1}, .weight = 3},
                                                 {.name = {(const uint8_t *)"b", 1}, .weight = 1}};
    (void)state;
    struct crowd *crowd =
        crowd_new(&(struct crowd_conf){.workers = 10, .cores = 4, .task_ms = 60000});
    set_queues(crowd, confs, 2);
    crowd_submit(crowd, in_queue("a"), 100, 0);
    crowd_run(crowd, crowd->now + 2000);
    crowd_submit(crowd, in_queue("b"), 100, 0);
    crowd_run(crowd, crowd->now + 3000);
    assert_int_equal(queue_of(crowd, "a")->used.cores, 30);
    assert_int_equal(queue_of(crowd, "b")->used.cores, 10);
    assert_int_equal(crowd->kills, 10);
    crowd_free(crowd);
}

static void where_a_share_is_no_whole_core_who_has_none_is_given_one(void **state)
{
    static const struct jt_queue_conf confs[] = {{.name = {(const uint8_t *)"a", 1}, .weight = 9},
                                                 {.name = {(const uint8_t *)"b", 1}, .weight = 1}};
    (void)state;
    struct crowd *crowd =
        crowd_new(&(struct crowd_conf){.workers = 2, .cores = 1, .task_ms = 60000});
    set_queues(crowd, confs, 2);
    crowd_submit(crowd, in_queue("a"), 10, 0);
    crowd_run(crowd, crowd->now + 1000);
    struct jt_job *jobs[3];
    for (int i = 0; i < 3; i++)
        jobs[i] = crowd_submit(crowd, in_queue("b"), 10, 0);
    crowd_run(crowd, crowd->now + 20000);
    assert_int_equal(queue_of(crowd, "a")->used.cores, 1);
    assert_int_equal(crowd_running(jobs[0]) + crowd_running(jobs[1]) + crowd_running(jobs[2]), 1);
    assert_int_equal(crowd->kills, 1);
    crowd_free(crowd);
}

static void many_small_tasks_do_not_keep_a_big_one_out(void **state)
{
    (void)state;
    struct crowd *crowd =
        crowd_new(&(struct crowd_conf){.workers = 4, .cores = 4, .work_ms = uneven});
    crowd->core.config.share_wait_ms = 0; /* not by what makes room for shares */
    for (int i = 0; i < 20; i++)
        crowd_submit(crowd, NORMAL, 200, 0);
    crowd_run(crowd, crowd->now + 1000);
    struct jt_job *big =
        crowd_submit(crowd, (struct jt_submit){.priority = 2, .map.cores = 4}, 3, 0);
    uint64_t number = big->number;
    crowd_run(crowd, crowd->now + 6000);
    assert_true(crowd->jobs[number].begun_ms > 0);
    crowd_free(crowd);
}

/* --- limits ---------------------------------------------------------------------------------- */

static void stays_below(struct crowd *crowd)
{
    const uint32_t *most = crowd->conf.arg;
    list_each (&crowd->core.active, it) {
        const struct jt_job *job = list_entry(it, struct jt_job, active);
        assert_true(job->stages[0].running <= most[0]);
        assert_true(job->stage_count < 3 || job->stages[1].running <= most[1]);
        assert_true(job->claim.used.memory <= (uint64_t)11 << 30);
    }
    assert_true(queue_of(crowd, "small")->used.cores <= 6);
    assert_true(queue_of(crowd, "default")->used.cores <= 20);
}

static void jobs_and_queues_keep_to_their_limits(void **state)
{
    static const struct jt_queue_conf confs[] = {
        {.name = {(const uint8_t *)"small", 5}, .weight = 1, .most_cores = 6},
        {.name = {(const uint8_t *)"default", 7}, .weight = 1, .most_percent = 50}};
    uint32_t most[] = {8, 2};
    (void)state;
    struct crowd *crowd = crowd_new(&(struct crowd_conf){
        .workers = 10, .cores = 4, .work_ms = uneven, .watch = stays_below, .arg = most});
    set_queues(crowd, confs, 2);
    struct jt_submit like = {.priority = 2,
                             .most_maps = 8,
                             .most_reduces = 2,
                             .partitions = 6,
                             .most_memory = (uint64_t)11 << 30,
                             .map.memory = (uint64_t)2 << 30};
    for (int i = 0; i < 4; i++) {
        like.queue = slice_str(i % 2 ? "small" : "default");
        crowd_submit(crowd, like, 40, 3);
    }
    crowd_run(crowd, crowd->now + 300000);
    for (uint64_t i = 1; i <= 4; i++)
        assert_int_equal(crowd->jobs[i].state, JT_JOB_SUCCEEDED);
    crowd_free(crowd);
}

static void a_job_has_as_many_tasks_at_a_time_as_it_may_until_it_ends(void **state)
{
    (void)state;
    for (uint32_t most = 1; most <= 3; most++) {
        struct crowd *crowd =
            crowd_new(&(struct crowd_conf){.workers = 4, .cores = 4, .task_ms = 1000});
        struct jt_job *job = crowd_submit(
            crowd, (struct jt_submit){.priority = 2, .most_maps = most, .most_reduces = most}, 12,
            6);
        uint64_t number = job->number, begun = crowd->now;
        for (uint64_t second = 0; second < 12 / most; second++) {
            crowd_run(crowd, begun + 1000 * second + 500);
            assert_int_equal(crowd_running(job), most);
        }
        crowd_run(crowd, begun + 60000);
        assert_int_equal(crowd->jobs[number].state, JT_JOB_SUCCEEDED);
        crowd_free(crowd);
    }
}

static void a_job_that_may_have_less_than_the_memory_of_a_core_ends(void **state)
{
    (void)state;
    struct crowd *crowd =
        crowd_new(&(struct crowd_conf){.workers = 2, .cores = 4, .task_ms = 1000});
    const uint64_t share = crowd->core.fleet.most_memory / 4;
    struct jt_submit like = {.priority = 2, .most_memory = share / 2, .map.memory = share / 4};
    like.reduce.memory = share / 2;
    crowd_submit(crowd, like, 4, 1);
    crowd_run(crowd, crowd->now + 60000);
    assert_int_equal(crowd->jobs[1].state, JT_JOB_SUCCEEDED);
    crowd_free(crowd);
}

static void a_queue_runs_so_many_jobs_at_a_time_and_then_the_next(void **state)
{
    static const struct jt_queue_conf confs[] = {
        {.name = {(const uint8_t *)"one", 3}, .weight = 1, .most_running = 1}};
    (void)state;
    struct crowd *crowd =
        crowd_new(&(struct crowd_conf){.workers = 2, .cores = 4, .task_ms = 1000});
    set_queues(crowd, confs, 1);
    struct jt_job *first = crowd_submit(crowd, in_queue("one"), 4, 0);
    struct jt_job *second = crowd_submit(crowd, in_queue("one"), 4, 0);
    struct jt_submit high = in_queue("one");
    high.priority = 4;
    struct jt_job *third = crowd_submit(crowd, high, 4, 0);
    crowd_run(crowd, crowd->now + 500);
    assert_int_equal(crowd_running(first), 4);
    assert_int_equal(crowd_running(second) + crowd_running(third), 0);
    crowd_run(crowd, crowd->now + 1700); /* its commit takes a second, too */
    assert_int_equal(crowd_running(second), 0);
    assert_int_equal(crowd_running(third), 4); /* it goes before those of less priority */
    crowd_run(crowd, crowd->now + 60000);
    for (uint64_t i = 1; i <= 3; i++)
        assert_int_equal(crowd->jobs[i].state, JT_JOB_SUCCEEDED);
    crowd_free(crowd);
}

/* --- locality -------------------------------------------------------------------------------- */

static double local_share(const struct crowd *crowd, uint64_t first, uint64_t last)
{
    double local = 0, all = 0;
    for (uint64_t j = first; j <= last; j++)
        for (int i = 0; i < 4; i++) {
            all += crowd->jobs[j].locality[i];
            local += i == JT_NODE_LOCAL ? crowd->jobs[j].locality[i] : 0;
        }
    return local / all;
}

static void on_an_idle_cluster_of_five_maps_run_where_their_input_is(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct crowd *crowd = crowd_new(
            &(struct crowd_conf){.workers = 5, .cores = 4, .seed = seed, .work_ms = uneven});
        for (int i = 0; i < 4; i++) { /* one after another, of several waves or less than one */
            static const uint32_t maps[] = {10, 20, 60, 200};
            crowd_submit(crowd, NORMAL, maps[i], 3);
            crowd_run(crowd, UINT64_MAX);
        }
        assert_true(local_share(crowd, 1, 4) >= 0.95);
        crowd_free(crowd);
    }
}

static void under_load_most_maps_still_do(void **state)
{
    (void)state;
    struct crowd *crowd =
        crowd_new(&(struct crowd_conf){.workers = 50, .cores = 4, .racks = 5, .work_ms = uneven});
    uint32_t jobs = 0;
    for (int i = 0; i < 60; i++) { /* small and big ones, coming all the time */
        for (int k = 0; k < 4; k++, jobs++)
            crowd_submit(crowd, NORMAL, 5 + (uint32_t)rand_below(&crowd->rand, k ? 30 : 300), 3);
        crowd_run(crowd, crowd->now + 500);
    }
    crowd_run(crowd, UINT64_MAX);
    double share = local_share(crowd, 1, jobs);
    print_message("%.3f of all maps ran where their input was\n", share);
    assert_true(share >= 0.8);
    crowd_free(crowd);
}

/* --- slow nodes, and big tasks --------------------------------------------------------------- */

static uint64_t time_of(uint32_t slow, uint32_t percent, struct jt_submit like)
{
    struct crowd *crowd = crowd_new(
        &(struct crowd_conf){.workers = 10, .cores = 4, .has_beats = true, .task_ms = 2000});
    for (uint32_t i = 0; i < slow; i++)
        crowd_slow(crowd, i, percent);
    crowd_submit(crowd, like, 200, 3);
    crowd_run(crowd, UINT64_MAX);
    uint64_t ms = crowd->jobs[1].ended_ms - crowd->jobs[1].begun_ms;
    assert_int_equal(crowd->jobs[1].state, JT_JOB_SUCCEEDED);
    crowd_free(crowd);
    return ms;
}

static void a_slow_node_costs_at_most_one_and_a_half_task_times(void **state)
{
    (void)state;
    uint64_t healthy = time_of(0, 100, NORMAL);
    for (uint32_t percent = 150; percent <= 10000; percent *= 2) {
        uint64_t ms = time_of(1, percent, NORMAL);
        print_message("a node at 1/%.1f of its speed: %llu ms instead of %llu\n", percent / 100.0,
                      (unsigned long long)ms, (unsigned long long)healthy);
        assert_true(ms <= healthy + 3000);
    }
}

static uint64_t some_are_big(const struct crowd *crowd, const struct jt_attempt *a)
{
    (void)crowd;
    return 1000 * (a->task->bytes / 1000000) + hash_u64(a->task->index) % 200;
}

static void a_task_that_merely_has_more_data_is_never_copied(void **state)
{
    (void)state;
    for (int has_beats = 0; has_beats < 2; has_beats++) {
        struct crowd *crowd = crowd_new(&(struct crowd_conf){
            .workers = 10, .cores = 4, .has_beats = has_beats, .work_ms = some_are_big});
        struct jt_job *job = crowd_submit(crowd, NORMAL, 100, 0);
        for (uint32_t i = 0; i < 100; i += 9)
            job->stages[0].tasks[i].bytes *= 10; /* before any is done: they have just begun */
        crowd_run(crowd, UINT64_MAX);
        assert_int_equal(crowd->jobs[1].state, JT_JOB_SUCCEEDED);
        assert_int_equal(crowd->jobs[1].copies, 0);
        crowd_free(crowd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_twice_the_jobs_an_event_costs_what_it_did),
        cmocka_unit_test(with_twice_the_workers_an_event_costs_what_it_did),
        cmocka_unit_test(queues_share_by_their_weights),
        cmocka_unit_test(
            ten_thousand_workers_and_a_hundred_thousand_tasks_are_shared_and_cost_little),
        cmocka_unit_test(what_a_queue_does_not_want_the_others_have),
        cmocka_unit_test(a_low_priority_is_little_and_not_nothing),
        cmocka_unit_test(a_late_small_job_has_its_share_within_a_second),
        cmocka_unit_test(a_queue_gets_back_its_share_but_no_more_of_what_others_hold),
        cmocka_unit_test(where_a_share_is_no_whole_core_who_has_none_is_given_one),
        cmocka_unit_test(many_small_tasks_do_not_keep_a_big_one_out),
        cmocka_unit_test(jobs_and_queues_keep_to_their_limits),
        cmocka_unit_test(a_job_has_as_many_tasks_at_a_time_as_it_may_until_it_ends),
        cmocka_unit_test(a_job_that_may_have_less_than_the_memory_of_a_core_ends),
        cmocka_unit_test(a_queue_runs_so_many_jobs_at_a_time_and_then_the_next),
        cmocka_unit_test(on_an_idle_cluster_of_five_maps_run_where_their_input_is),
        cmocka_unit_test(under_load_most_maps_still_do),
        cmocka_unit_test(a_slow_node_costs_at_most_one_and_a_half_task_times),
        cmocka_unit_test(a_task_that_merely_has_more_data_is_never_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
