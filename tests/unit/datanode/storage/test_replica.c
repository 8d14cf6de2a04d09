/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "datanode/storage/replica.h"
#include "libcommon/base/mem.h"

static struct dn_replica some(enum dn_replica_state state, uint64_t gs, uint64_t len)
{
    return (struct dn_replica){.id = 7, .gs = gs, .len = len, .state = (uint8_t)state};
}

static void expect(const struct dn_replica *r, enum dn_replica_state state, uint64_t gs,
                   uint64_t len)
{
    assert_string_equal(dn_replica_state_name(r->state), dn_replica_state_name(state));
    assert_int_equal(r->gs, gs);
    assert_int_equal(r->len, len);
}

static void a_replica_is_found_by_its_id_until_it_is_removed(void **state)
{
    (void)state;
    struct dn_replicas map;
    assert_int_equal(dn_replicas_init(&map), 0);
    for (uint64_t id = 1; id <= 5000; id++) {
        struct dn_replica r = {.id = id * 977, .gs = id, .state = DN_REPLICA_FINALIZED};
        assert_non_null(dn_replicas_add(&map, &r));
    }
    for (uint64_t id = 1; id <= 5000; id += 2)
        dn_replicas_remove(&map, dn_replicas_find(&map, id * 977));
    assert_int_equal(dn_replicas_count(&map), 2500);
    for (uint64_t id = 1; id <= 5000; id++) {
        struct dn_replica *r = dn_replicas_find(&map, id * 977);
        if (id % 2)
            assert_null(r);
        else
            assert_int_equal(r->gs, id);
    }
    assert_null(dn_replicas_find(&map, 5));
    dn_replicas_release(&map);
}

static void no_memory_is_an_answer_not_a_crash(void **state)
{
    (void)state;
    struct dn_replicas map;
    mem_fail_after(1);
    assert_int_equal(dn_replicas_init(&map), ERR_NOMEM);
    mem_fail_after(0);
    dn_replicas_release(&map);
    assert_int_equal(dn_replicas_init(&map), 0);
    struct dn_replica r = some(DN_REPLICA_RBW, 1, 0);
    mem_fail_after(1);
    assert_null(dn_replicas_add(&map, &r));
    mem_fail_after(0);
    assert_int_equal(dn_replicas_count(&map), 0);
    dn_replicas_release(&map);
}

static void only_what_is_being_written_can_be_finalized(void **state)
{
    (void)state;
    struct dn_replica rbw = some(DN_REPLICA_RBW, 3, 10), tmp = some(DN_REPLICA_TEMPORARY, 3, 10);
    struct dn_replica rwr = some(DN_REPLICA_RWR, 3, 10), rur = some(DN_REPLICA_RUR, 3, 10);
    assert_int_equal(dn_replica_finalize(&rbw, 99), 0);
    expect(&rbw, DN_REPLICA_FINALIZED, 3, 99);
    assert_int_equal(dn_replica_finalize(&tmp, 99), 0);
    assert_int_equal(dn_replica_finalize(&rwr, 99), ERR_INVAL);
    assert_int_equal(dn_replica_finalize(&rur, 99), ERR_INVAL);
    assert_int_equal(dn_replica_finalize(&rbw, 99), ERR_INVAL);
    expect(&rwr, DN_REPLICA_RWR, 3, 10);
}

static void a_pipeline_goes_on_only_with_a_newer_stamp_and_enough_bytes(void **state)
{
    (void)state;
    struct dn_replica r = some(DN_REPLICA_RBW, 5, 1000);
    assert_int_equal(dn_replica_resume(&r, 6, 7, 900), ERR_STALE); /* ours missed a pipeline */
    assert_int_equal(dn_replica_resume(&r, 5, 5, 900), ERR_STALE);
    assert_int_equal(dn_replica_resume(&r, 4, 4, 900), ERR_STALE);
    assert_int_equal(dn_replica_resume(&r, 5, 6, 1001), ERR_EOF);
    expect(&r, DN_REPLICA_RBW, 5, 1000);
    assert_int_equal(dn_replica_resume(&r, 5, 6, 900), 0);
    expect(&r, DN_REPLICA_RBW, 6, 900);
    /* an attempt that reached only some nodes is followed by one with a newer stamp */
    assert_int_equal(dn_replica_resume(&r, 5, 9, 900), 0);
    expect(&r, DN_REPLICA_RBW, 9, 900);
}

static void a_block_whose_close_failed_can_be_written_on(void **state)
{
    (void)state;
    struct dn_replica r = some(DN_REPLICA_FINALIZED, 5, 1000);
    assert_int_equal(dn_replica_resume(&r, 5, 6, 800), 0);
    expect(&r, DN_REPLICA_RBW, 6, 800);
}

static void a_replica_that_a_restart_left_is_not_written_on(void **state)
{
    (void)state;
    struct dn_replica rwr = some(DN_REPLICA_RWR, 5, 1000), rur = some(DN_REPLICA_RUR, 5, 1000);
    assert_int_equal(dn_replica_resume(&rwr, 5, 6, 800), ERR_INVAL);
    assert_int_equal(dn_replica_resume(&rur, 5, 6, 800), ERR_BUSY);
}

static void a_recovery_stamp_must_be_greater_than_any_seen(void **state)
{
    (void)state;
    struct dn_replica r = some(DN_REPLICA_RBW, 5, 1000);
    assert_int_equal(dn_replica_promise(&r, 5, 990), ERR_STALE);
    assert_int_equal(dn_replica_promise(&r, 8, 990), 0);
    expect(&r, DN_REPLICA_RUR, 5, 990);
    assert_int_equal(r.before, DN_REPLICA_RBW);
    assert_int_equal(dn_replica_promise(&r, 8, 990), ERR_STALE);
    assert_int_equal(dn_replica_promise(&r, 7, 990), ERR_STALE);
    assert_int_equal(dn_replica_promise(&r, 9, 990), 0);
    assert_int_equal(r.before, DN_REPLICA_RBW);
    struct dn_replica tmp = some(DN_REPLICA_TEMPORARY, 5, 1000);
    assert_int_equal(dn_replica_promise(&tmp, 9, 990), ERR_INVAL);
}

/* Two recoveries overlap; the older one comes to its end last. */
static void an_older_recovery_that_finishes_last_changes_nothing(void **state)
{
    (void)state;
    struct dn_replica r = some(DN_REPLICA_RBW, 5, 1000);
    assert_int_equal(dn_replica_promise(&r, 6, 1000), 0);
    assert_int_equal(dn_replica_promise(&r, 7, 1000), 0);
    assert_int_equal(dn_replica_settle(&r, 6, 900), ERR_STALE);
    assert_int_equal(dn_replica_settle(&r, 7, 1000), 0);
    expect(&r, DN_REPLICA_FINALIZED, 7, 1000);
    assert_int_equal(dn_replica_settle(&r, 6, 900), ERR_STALE);
    assert_int_equal(dn_replica_promise(&r, 6, 900), ERR_STALE);
    expect(&r, DN_REPLICA_FINALIZED, 7, 1000);
}

static void a_recovery_never_lengthens_nor_cuts_what_was_finalized(void **state)
{
    (void)state;
    struct dn_replica rbw = some(DN_REPLICA_RBW, 5, 1000);
    assert_int_equal(dn_replica_promise(&rbw, 6, 1000), 0);
    assert_int_equal(dn_replica_settle(&rbw, 6, 1001), ERR_EOF);
    assert_int_equal(dn_replica_settle(&rbw, 6, 700), 0);
    struct dn_replica fin = some(DN_REPLICA_FINALIZED, 5, 1000);
    assert_int_equal(dn_replica_promise(&fin, 6, 1000), 0);
    assert_int_equal(dn_replica_settle(&fin, 6, 700), ERR_INVAL);
    assert_int_equal(dn_replica_settle(&fin, 6, 1000), 0);
    expect(&fin, DN_REPLICA_FINALIZED, 6, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replica_is_found_by_its_id_until_it_is_removed),
        cmocka_unit_test(no_memory_is_an_answer_not_a_crash),
        cmocka_unit_test(only_what_is_being_written_can_be_finalized),
        cmocka_unit_test(a_pipeline_goes_on_only_with_a_newer_stamp_and_enough_bytes),
        cmocka_unit_test(a_block_whose_close_failed_can_be_written_on),
        cmocka_unit_test(a_replica_that_a_restart_left_is_not_written_on),
        cmocka_unit_test(a_recovery_stamp_must_be_greater_than_any_seen),
        cmocka_unit_test(an_older_recovery_that_finishes_last_changes_nothing),
        cmocka_unit_test(a_recovery_never_lengthens_nor_cuts_what_was_finalized),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
