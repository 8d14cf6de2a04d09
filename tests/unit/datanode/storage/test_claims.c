/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "datanode/storage/claims.h"
#include "libcommon/base/mem.h"

struct party {
    struct dn_claim claim;
    int granted, preempted;
};

static void on_granted(struct dn_claim *claim)
{
    CONTAINER_OF(claim, struct party, claim)->granted++;
}

static void on_preempted(struct dn_claim *claim)
{
    CONTAINER_OF(claim, struct party, claim)->preempted++;
}

#define PARTY ((struct party){.claim = {.granted = on_granted, .preempted = on_preempted}})

static void a_free_block_is_granted_at_once(void **state)
{
    (void)state;
    struct dn_claims claims = DN_CLAIMS_INIT;
    struct party a = PARTY, b = PARTY;
    assert_int_equal(dn_claims_ask(&claims, &a.claim, 1, false), 0);
    assert_int_equal(dn_claims_ask(&claims, &b.claim, 2, false), 0);
    assert_int_equal(a.granted, 1);
    assert_int_equal(b.granted, 1);
    assert_true(dn_claim_is_held(&a.claim));
    dn_claims_drop(&claims, &a.claim);
    dn_claims_drop(&claims, &b.claim);
    assert_false(dn_claims_is_taken(&claims, 1));
    dn_claims_release(&claims);
}

static void the_others_wait_in_line_and_are_served_in_order(void **state)
{
    (void)state;
    struct dn_claims claims = DN_CLAIMS_INIT;
    struct party a = PARTY, b = PARTY, c = PARTY;
    dn_claims_ask(&claims, &a.claim, 1, false);
    dn_claims_ask(&claims, &b.claim, 1, false);
    dn_claims_ask(&claims, &c.claim, 1, false);
    assert_int_equal(b.granted + c.granted + a.preempted, 0);
    dn_claims_drop(&claims, &a.claim);
    assert_int_equal(b.granted, 1);
    assert_int_equal(c.granted, 0);
    dn_claims_drop(&claims, &b.claim);
    assert_int_equal(c.granted, 1);
    dn_claims_drop(&claims, &c.claim);
    dn_claims_release(&claims);
}

static void a_holder_is_told_once_to_end_and_keeps_the_block_until_it_has(void **state)
{
    (void)state;
    struct dn_claims claims = DN_CLAIMS_INIT;
    struct party writer = PARTY, recovery = PARTY, later = PARTY;
    dn_claims_ask(&claims, &writer.claim, 1, false);
    dn_claims_ask(&claims, &recovery.claim, 1, true);
    dn_claims_ask(&claims, &later.claim, 1, true);
    assert_int_equal(writer.preempted, 1);
    assert_true(dn_claim_is_held(&writer.claim));
    assert_int_equal(recovery.granted, 0);
    dn_claims_drop(&claims, &writer.claim);
    assert_int_equal(recovery.granted, 1);
    assert_int_equal(recovery.preempted, 0); /* asked for before it held anything */
    dn_claims_drop(&claims, &recovery.claim);
    dn_claims_drop(&claims, &later.claim);
    dn_claims_release(&claims);
}

static void one_that_gives_up_waiting_is_skipped(void **state)
{
    (void)state;
    struct dn_claims claims = DN_CLAIMS_INIT;
    struct party a = PARTY, b = PARTY, c = PARTY;
    dn_claims_ask(&claims, &a.claim, 1, false);
    dn_claims_ask(&claims, &b.claim, 1, false);
    dn_claims_ask(&claims, &c.claim, 1, false);
    dn_claims_drop(&claims, &b.claim);
    dn_claims_drop(&claims, &b.claim); /* harmless */
    dn_claims_drop(&claims, &a.claim);
    assert_int_equal(b.granted, 0);
    assert_int_equal(c.granted, 1);
    dn_claims_drop(&claims, &c.claim);
    dn_claims_release(&claims);
}

static void no_memory_leaves_the_asker_idle(void **state)
{
    (void)state;
    struct dn_claims claims = DN_CLAIMS_INIT;
    struct party a = PARTY;
    for (uint64_t n = 1; n <= 2; n++) {
        mem_fail_after(n);
        assert_int_equal(dn_claims_ask(&claims, &a.claim, 1, false), ERR_NOMEM);
        mem_fail_after(0);
        assert_false(dn_claim_is_held(&a.claim));
    }
    assert_int_equal(a.granted, 0);
    dn_claims_release(&claims);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_free_block_is_granted_at_once),
        cmocka_unit_test(the_others_wait_in_line_and_are_served_in_order),
        cmocka_unit_test(a_holder_is_told_once_to_end_and_keeps_the_block_until_it_has),
        cmocka_unit_test(one_that_gives_up_waiting_is_skipped),
        cmocka_unit_test(no_memory_leaves_the_asker_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
