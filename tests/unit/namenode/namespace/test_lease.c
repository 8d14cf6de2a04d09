/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"
#include "namenode/namespace/lease.h"

#define HARD 1200000

static struct nn_leases leases;

static int setup(void **state)
{
    (void)state;
    nn_leases_init(&leases);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    nn_leases_release(&leases);
    return 0;
}

static void all_files_of_a_client_live_as_long_as_he_renews(void **state)
{
    (void)state;
    assert_int_equal(nn_leases_add(&leases, 10, 1, 0), 0);
    assert_int_equal(nn_leases_add(&leases, 11, 1, 0), 0);
    assert_int_equal(nn_leases_add(&leases, 20, 2, 0), 0);
    assert_true(nn_leases_renew(&leases, 1, HARD - 1));
    const struct nn_holder *over = nn_leases_over(&leases, HARD, HARD);
    assert_non_null(over);
    assert_int_equal(over->client, 2);
    nn_leases_remove(&leases, 20);
    assert_null(nn_leases_over(&leases, HARD, HARD));
    assert_false(nn_lease_is_over(nn_leases_find(&leases, 11), HARD, HARD));
    assert_true(nn_lease_is_over(nn_leases_find(&leases, 11), HARD, 2 * HARD - 1));
}

static void opening_a_file_renews_too(void **state)
{
    (void)state;
    assert_int_equal(nn_leases_add(&leases, 10, 1, 0), 0);
    assert_int_equal(nn_leases_add(&leases, 11, 1, 500), 0);
    assert_true(nn_lease_is_over(nn_leases_find(&leases, 10), 60, 560));
    assert_false(nn_lease_is_over(nn_leases_find(&leases, 10), 60, 559));
}

static void a_client_without_files_is_forgotten(void **state)
{
    (void)state;
    assert_int_equal(nn_leases_add(&leases, 10, 1, 0), 0);
    nn_leases_remove(&leases, 10);
    assert_false(nn_leases_renew(&leases, 1, 5));
    assert_null(nn_leases_find(&leases, 10));
    assert_null(nn_leases_over(&leases, 0, 100));
    nn_leases_remove(&leases, 10);
}

static void a_file_passes_to_another_holder(void **state)
{
    (void)state;
    assert_int_equal(nn_leases_add(&leases, 10, 1, 0), 0);
    assert_int_equal(nn_leases_move(&leases, 10, NN_LEASE_NAMENODE, 100), 0);
    assert_int_equal(nn_leases_find(&leases, 10)->holder->client, NN_LEASE_NAMENODE);
    assert_false(nn_leases_renew(&leases, 1, 100));
    assert_int_equal(nn_leases_move(&leases, 10, NN_LEASE_NAMENODE, 200), 0);
    assert_int_equal(nn_leases_find(&leases, 10)->holder->renewed_ms, 200);
}

static void everybody_gets_a_full_term_after_a_restart(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 100; i++)
        assert_int_equal(nn_leases_add(&leases, i, i, 0), 0);
    nn_leases_renew_all(&leases, 5 * HARD);
    assert_null(nn_leases_over(&leases, HARD, 6 * HARD - 1));
    assert_non_null(nn_leases_over(&leases, HARD, 6 * HARD));
}

static void no_memory_changes_nothing(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        mem_fail_after(n);
        int rc = nn_leases_add(&leases, 10, 1, 0);
        bool has_failed = mem_has_failed();
        mem_fail_after(0);
        if (rc == 0)
            break;
        assert_true(has_failed);
        assert_null(nn_leases_find(&leases, 10));
        assert_false(nn_leases_renew(&leases, 1, 1));
    }
    for (uint64_t n = 1;; n++) {
        mem_fail_after(n);
        int rc = nn_leases_move(&leases, 10, 2, 0);
        mem_fail_after(0);
        if (rc == 0)
            break;
        assert_int_equal(nn_leases_find(&leases, 10)->holder->client, 1);
    }
    assert_int_equal(nn_leases_find(&leases, 10)->holder->client, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_files_of_a_client_live_as_long_as_he_renews, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(opening_a_file_renews_too, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_without_files_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_passes_to_another_holder, setup, teardown),
        cmocka_unit_test_setup_teardown(everybody_gets_a_full_term_after_a_restart, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(no_memory_changes_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
