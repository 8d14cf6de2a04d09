/* SPDX-License-Identifier: Apache-2.0
 * The registry of workers: who is live, what is free. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "jobtracker/fleet/workers.h"

static struct jt_fleet fleet;

static int setup(void **state)
{
    (void)state;
    jt_fleet_init(&fleet);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    jt_fleet_release(&fleet);
    return 0;
}

static struct jt_worker *put(const char *name, uint32_t cores, uint64_t memory)
{
    struct jt_worker_offer offer = {
        .name = slice_str(name), .cores = cores, .memory = memory, .incarnation = 1};
    struct jt_worker *worker = jt_fleet_put(&fleet, &offer, 10);
    assert_non_null(worker);
    return worker;
}

static size_t free_workers(void)
{
    size_t n = 0;
    list_each (&fleet.free, it)
        n++;
    return n;
}

static void a_worker_is_free_until_its_last_core_is_taken(void **state)
{
    struct jt_worker *w = put("a", 2, 100);
    (void)state;
    jt_worker_take(&fleet, w, (struct jt_need){1, 10});
    assert_int_equal(free_workers(), 1);
    jt_worker_take(&fleet, w, (struct jt_need){1, 10});
    assert_int_equal(free_workers(), 0);
    jt_worker_give_back(&fleet, w, (struct jt_need){1, 10});
    assert_int_equal(free_workers(), 1);
    assert_int_equal(w->memory_used, 10);
}

static void a_task_fits_only_while_the_sum_of_memory_does(void **state)
{
    struct jt_worker *w = put("a", 4, 100);
    (void)state;
    assert_true(jt_worker_fits(w, (struct jt_need){1, 100}));
    assert_false(jt_worker_fits(w, (struct jt_need){1, 101}));
    jt_worker_take(&fleet, w, (struct jt_need){1, 60});
    assert_true(jt_worker_fits(w, (struct jt_need){1, 40}));
    assert_false(jt_worker_fits(w, (struct jt_need){1, 41}));
}

static void a_lost_worker_stays_known_and_is_live_again_when_it_comes_back(void **state)
{
    struct jt_worker *w = put("a", 2, 100);
    (void)state;
    put("b", 1, 50);
    jt_worker_take(&fleet, w, (struct jt_need){1, 10});
    jt_worker_lose(&fleet, w);
    assert_int_equal(fleet.live, 1);
    assert_int_equal(fleet.most_memory, 50);
    assert_ptr_equal(jt_fleet_find(&fleet, slice_str("a")), w);
    assert_false(jt_worker_fits(w, (struct jt_need){1, 1}));
    assert_ptr_equal(put("a", 2, 100), w);
    assert_int_equal(w->cores_used, 0);
    assert_int_equal(fleet.live, 2);
    assert_int_equal(fleet.most_memory, 100);
}

static void a_name_nobody_registered_is_not_found(void **state)
{
    (void)state;
    put("a", 1, 1);
    assert_null(jt_fleet_find(&fleet, slice_str("aa")));
    assert_null(jt_fleet_find(&fleet, slice_str("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_worker_is_free_until_its_last_core_is_taken, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_task_fits_only_while_the_sum_of_memory_does, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            a_lost_worker_stays_known_and_is_live_again_when_it_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_nobody_registered_is_not_found, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
