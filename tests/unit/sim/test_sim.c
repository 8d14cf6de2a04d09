/* SPDX-License-Identifier: Apache-2.0
 * sim: the simulated world itself: order, lives, connections, casts, partitions, and that a seed
 * repeats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"
#include "tests/sim/scenario.h"

struct note {
    struct sim_msg head;
    int number;
};

/* What one host heard, in order. */
struct box {
    struct sim_host host;
    int heard[256];
    unsigned count, cuts;
};

static struct sim_msg *copy(const struct sim_msg *msg)
{
    struct note *note = mem_alloc(sizeof(*note));
    memcpy(note, CONTAINER_OF(msg, struct note, head), sizeof(*note));
    return &note->head;
}

static struct sim_msg *note_new(int number)
{
    struct note *note = mem_calloc(1, sizeof(*note));
    note->head = (struct sim_msg){.name = "note", .copy = copy};
    note->number = number;
    return &note->head;
}

static void on_message(struct sim_host *host, struct sim_host *from, struct sim_conn *conn,
                       struct sim_msg *msg)
{
    struct box *box = CONTAINER_OF(host, struct box, host);
    (void)from;
    (void)conn;
    if (box->count < ARRAY_LEN(box->heard))
        box->heard[box->count++] = CONTAINER_OF(msg, struct note, head)->number;
}

static void on_cut(struct sim_host *host, struct sim_conn *conn)
{
    (void)conn;
    CONTAINER_OF(host, struct box, host)->cuts++;
}

static const struct sim_host_ops ops = {.on_message = on_message, .on_cut = on_cut};

struct pair {
    struct sim sim;
    struct box a, b;
};

static void start(struct pair *p, uint64_t seed)
{
    memset(p, 0, sizeof(*p));
    sim_init(&p->sim, seed, false);
    sim_host_add(&p->sim, &p->a.host, "a", &ops);
    sim_host_add(&p->sim, &p->b.host, "b", &ops);
}

static void run_all(struct pair *p)
{
    while (sim_step(&p->sim))
        continue;
}

static void count_up(void *arg)
{
    ++*(int *)arg;
}

static int order[8], order_count;
static void note_order(void *arg)
{
    order[order_count++] = (int)(intptr_t)arg;
}

static void events_run_by_time_and_equal_times_in_order_of_asking(void **state)
{
    (void)state;
    struct pair p;
    order_count = 0;
    start(&p, 1);
    sim_after(&p.sim, NULL, 20, note_order, (void *)(intptr_t)3);
    sim_after(&p.sim, NULL, 10, note_order, (void *)(intptr_t)1);
    sim_after(&p.sim, NULL, 10, note_order, (void *)(intptr_t)2);
    run_all(&p);
    assert_int_equal(order_count, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(order[i], i + 1);
    sim_release(&p.sim);
}

static void what_a_host_planned_dies_with_it(void **state)
{
    (void)state;
    struct pair p;
    int ran = 0;
    start(&p, 1);
    sim_after(&p.sim, &p.a.host, 10, count_up, &ran);
    sim_host_crash(&p.a.host);
    sim_host_start(&p.a.host);
    sim_after(&p.sim, &p.a.host, 20, count_up, &ran);
    run_all(&p);
    assert_int_equal(ran, 1);
    sim_release(&p.sim);
}

static void a_connection_keeps_order_whatever_the_delays(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 30; seed++) {
        struct pair p;
        start(&p, seed);
        p.sim.net.delay_max_ms = 500;
        struct sim_conn *conn = sim_connect(&p.a.host, &p.b.host);
        for (int i = 0; i < 100; i++)
            sim_send(conn, &p.a.host, note_new(i));
        run_all(&p);
        assert_int_equal(p.b.count, 100);
        for (int i = 0; i < 100; i++)
            assert_int_equal(p.b.heard[i], i);
        sim_release(&p.sim);
    }
}

static void a_crash_cuts_connections_and_drops_what_is_under_way(void **state)
{
    (void)state;
    struct pair p;
    start(&p, 1);
    p.sim.net = (struct sim_net){.delay_min_ms = 100, .delay_max_ms = 100};
    struct sim_conn *conn = sim_connect(&p.a.host, &p.b.host);
    sim_send(conn, &p.a.host, note_new(1));
    sim_send(conn, &p.b.host, note_new(2));
    sim_host_crash(&p.b.host);
    assert_false(sim_conn_is_up(conn));
    assert_null(sim_connect(&p.a.host, &p.b.host));
    run_all(&p);
    assert_int_equal(p.a.count + p.b.count, 0);
    assert_int_equal(p.a.cuts, 1);
    assert_int_equal(p.b.cuts, 0);
    sim_release(&p.sim);
}

static void casts_are_lost_doubled_and_overtaken_as_the_conditions_say(void **state)
{
    (void)state;
    struct pair p;
    bool was_overtaken = false;
    start(&p, 7);
    p.sim.net = (struct sim_net){.delay_min_ms = 1,
                                 .delay_max_ms = 5,
                                 .lose_one_in = 10,
                                 .double_one_in = 5,
                                 .late_one_in = 5,
                                 .late_ms = 1000};
    for (int i = 0; i < 150; i++)
        sim_cast(&p.a.host, &p.b.host, note_new(i));
    run_all(&p);
    unsigned times[150] = {0}, lost = 0, doubled = 0;
    for (unsigned i = 0; i < p.b.count; i++) {
        times[p.b.heard[i]]++;
        was_overtaken = was_overtaken || (i && p.b.heard[i] < p.b.heard[i - 1]);
    }
    for (int i = 0; i < 150; i++) {
        lost += times[i] == 0;
        doubled += times[i] > 1;
    }
    assert_true(lost > 3 && lost < 40);
    assert_true(doubled > 10 && doubled < 60);
    assert_true(was_overtaken);
    sim_release(&p.sim);
}

static void a_partition_works_one_way_until_it_is_healed(void **state)
{
    (void)state;
    struct pair p;
    start(&p, 1);
    sim_part(&p.sim, &p.a.host, &p.b.host);
    sim_cast(&p.a.host, &p.b.host, note_new(1));
    sim_cast(&p.b.host, &p.a.host, note_new(2));
    assert_null(sim_connect(&p.b.host, &p.a.host)); /* a connection needs both ways */
    run_all(&p);
    assert_int_equal(p.b.count, 0);
    assert_int_equal(p.a.count, 1);
    sim_heal(&p.sim);
    sim_cast(&p.a.host, &p.b.host, note_new(3));
    run_all(&p);
    assert_int_equal(p.b.count, 1);
    sim_release(&p.sim);
}

/* ---- scenarios ---- */

static uint64_t drift; /* what a forgetful author might keep between runs */
static int *value;

static void draw(void *arg)
{
    struct sim *sim = arg;
    sim_trace(sim, "%llu", (unsigned long long)(rand_u64(&sim->rand) + drift));
    if (sim->steps == 50 && sim->seed == 13)
        sim_fail(sim, "thirteen");
    sim_after(sim, NULL, 10, draw, sim);
}

static void setup(struct sim *sim)
{
    value = mem_calloc(1, sizeof(*value));
    sim_after(sim, NULL, 1, draw, sim);
}
static void check(struct sim *sim)
{
    (void)sim;
}
static bool is_settled(struct sim *sim)
{
    return sim->seed != 14;
}
static void teardown(struct sim *sim)
{
    (void)sim;
    mem_free(value);
}
static void drifting_teardown(struct sim *sim)
{
    teardown(sim);
    drift++;
}

static struct sim_scenario scenario = {.name = "x",
                                       .about = "",
                                       .steps = 100,
                                       .heal_ms = 1000,
                                       .setup = setup,
                                       .check = check,
                                       .heal = check,
                                       .is_settled = is_settled,
                                       .teardown = teardown};

static void a_seed_repeats_to_the_last_line_and_another_differs(void **state)
{
    (void)state;
    struct sim_outcome one = sim_run(&scenario, 1, 0, false);
    struct sim_outcome again = sim_run(&scenario, 1, 0, false);
    struct sim_outcome other = sim_run(&scenario, 2, 0, false);
    assert_false(one.has_failed);
    assert_true(one.hash == again.hash && one.steps == again.steps);
    assert_true(one.hash != other.hash);
    assert_false(sim_run_twice(&scenario, 1, 0).has_failed);
}

static void something_kept_between_runs_is_found_out(void **state)
{
    (void)state;
    scenario.teardown = drifting_teardown;
    struct sim_outcome outcome = sim_run_twice(&scenario, 1, 0);
    scenario.teardown = teardown;
    assert_true(outcome.has_failed);
    assert_non_null(strstr(outcome.failure, "two runs differ"));
}

static void a_broken_invariant_and_a_world_that_never_settles_are_failures(void **state)
{
    (void)state;
    struct sim_outcome broken = sim_run(&scenario, 13, 0, false);
    assert_true(broken.has_failed);
    assert_string_equal(broken.failure, "thirteen");
    assert_int_equal(broken.steps, 50);
    struct sim_outcome restless = sim_run(&scenario, 14, 0, false);
    assert_true(restless.has_failed);
    assert_non_null(strstr(restless.failure, "not settled 1 s after"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_run_by_time_and_equal_times_in_order_of_asking),
        cmocka_unit_test(what_a_host_planned_dies_with_it),
        cmocka_unit_test(a_connection_keeps_order_whatever_the_delays),
        cmocka_unit_test(a_crash_cuts_connections_and_drops_what_is_under_way),
        cmocka_unit_test(casts_are_lost_doubled_and_overtaken_as_the_conditions_say),
        cmocka_unit_test(a_partition_works_one_way_until_it_is_healed),
        cmocka_unit_test(a_seed_repeats_to_the_last_line_and_another_differs),
        cmocka_unit_test(something_kept_between_runs_is_found_out),
        cmocka_unit_test(a_broken_invariant_and_a_world_that_never_settles_are_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
