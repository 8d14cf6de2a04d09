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

/* What each event makes of each state, said again: a state, or a refusal. */
static const char *const expected[DN_REPLICA_STATES][DN_EVENTS] = {
    [DN_REPLICA_FINALIZED] = {"-EXIST", "-EXIST", "-INVAL", "-INVAL", "RBW", "RUR", "-STALE",
                              "FINALIZED", "GONE"},
    [DN_REPLICA_RBW] = {"-EXIST", "-EXIST", "-INVAL", "FINALIZED", "RBW", "RUR", "-STALE", "RWR",
                        "GONE"},
    [DN_REPLICA_RWR] = {"-EXIST", "-EXIST", "-INVAL", "-INVAL", "-INVAL", "RUR", "-STALE", "RWR",
                        "GONE"},
    [DN_REPLICA_RUR] = {"-EXIST", "-EXIST", "-INVAL", "-INVAL", "-BUSY", "RUR", "FINALIZED", "RWR",
                        "GONE"},
    [DN_REPLICA_TEMPORARY] = {"-EXIST", "-EXIST", "RBW", "FINALIZED", "-INVAL", "-INVAL", "-STALE",
                              "GONE", "GONE"},
    [DN_REPLICA_GONE] = {"RBW", "TEMPORARY", "-NOENT", "-NOENT", "-NOENT", "-NOENT", "-NOENT",
                         "GONE", "-NOENT"},
};

static void every_state_meets_every_event(void **state)
{
    (void)state;
    for (unsigned s = 0; s < DN_REPLICA_STATES; s++) {
        for (unsigned e = 0; e < DN_EVENTS; e++) {
            enum dn_replica_state to = DN_REPLICA_STATES;
            int rc = dn_replica_next(s, DN_REPLICA_RBW, e, &to);
            char got[64];
            if (rc == 0)
                snprintf(got, sizeof(got), "%s %s %s", dn_replica_state_name(s),
                         dn_replica_event_name(e), dn_replica_state_name(to));
            else
                snprintf(got, sizeof(got), "%s %s -%s", dn_replica_state_name(s),
                         dn_replica_event_name(e), err_name(rc));
            char want[64];
            snprintf(want, sizeof(want), "%s %s %s", dn_replica_state_name(s),
                     dn_replica_event_name(e), expected[s][e]);
            assert_string_equal(got, want);
        }
    }
}

static void what_a_restart_makes_of_a_recovery_depends_on_what_it_was(void **state)
{
    (void)state;
    static const enum dn_replica_state before[] = {DN_REPLICA_FINALIZED, DN_REPLICA_RBW,
                                                   DN_REPLICA_RWR};
    static const enum dn_replica_state after[] = {DN_REPLICA_FINALIZED, DN_REPLICA_RWR,
                                                  DN_REPLICA_RWR};
    for (unsigned i = 0; i < 3; i++) {
        enum dn_replica_state to = DN_REPLICA_STATES;
        assert_int_equal(dn_replica_next(DN_REPLICA_RUR, before[i], DN_EVENT_RESTART, &to), 0);
        assert_int_equal(to, after[i]);
    }
}

/* Every call on every state with every stamp around its own: what is refused leaves all as it was,
 * what is done never takes a stamp back. */
static void no_call_takes_a_stamp_back_or_does_half(void **state)
{
    (void)state;
    for (unsigned s = 0; s < DN_REPLICA_GONE; s++) {
        for (uint64_t gs = 3; gs <= 7; gs++) {
            for (unsigned call = 0; call < 5; call++) {
                struct dn_replica r = some(s, 5, 1000), was;
                r.before = DN_REPLICA_RBW;
                r.promised = s == DN_REPLICA_RUR ? 6 : 0;
                was = r;
                int rc = call == 0   ? dn_replica_finalize(&r, 900)
                         : call == 1 ? dn_replica_convert(&r, 900)
                         : call == 2 ? dn_replica_resume(&r, 5, gs, 900)
                         : call == 3 ? dn_replica_promise(&r, gs, 900)
                                     : dn_replica_settle(&r, gs, 900);
                if (rc != 0)
                    assert_memory_equal(&r, &was, sizeof(r));
                assert_true(r.gs >= 5 && r.promised >= (r.state == DN_REPLICA_RUR ? 6 : 0));
                if (rc == 0)
                    assert_int_equal(r.len, 900);
            }
        }
    }
}

static void a_copy_of_a_block_being_written_joins_once(void **state)
{
    (void)state;
    struct dn_replica tmp = some(DN_REPLICA_TEMPORARY, 5, 0);
    assert_int_equal(dn_replica_convert(&tmp, 700), 0);
    expect(&tmp, DN_REPLICA_RBW, 5, 700);
    assert_int_equal(dn_replica_convert(&tmp, 800), ERR_INVAL);
    assert_int_equal(dn_replica_resume(&tmp, 5, 6, 700), 0);
    expect(&tmp, DN_REPLICA_RBW, 6, 700);
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
        cmocka_unit_test(every_state_meets_every_event),
        cmocka_unit_test(what_a_restart_makes_of_a_recovery_depends_on_what_it_was),
        cmocka_unit_test(no_call_takes_a_stamp_back_or_does_half),
        cmocka_unit_test(a_copy_of_a_block_being_written_joins_once),
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
