/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "datanode/storage/agree.h"

#define FIN(g, l)                                        \
    {                                                    \
        .state = DN_REPLICA_FINALIZED, .gs = g, .len = l \
    }
#define RBW(g, l)                                  \
    {                                              \
        .state = DN_REPLICA_RBW, .gs = g, .len = l \
    }
#define RWR(g, l)                                  \
    {                                              \
        .state = DN_REPLICA_RWR, .gs = g, .len = l \
    }
#define OUT(c)    \
    {             \
        .code = c \
    }

#define GS 5

static const struct dn_agreeing unflushed = {.gs = GS};

static void expect_flushed(struct dn_vote *votes, size_t count, uint64_t flushed, uint64_t len,
                           const char *takes_part)
{
    uint64_t got = UINT64_MAX;
    struct dn_agreeing block = {.gs = GS, .flushed = flushed};
    assert_int_equal(dn_agree(votes, count, &block, &got), 0);
    assert_int_equal(got, len);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(votes[i].takes_part, takes_part[i] == 'y');
}

static void expect(struct dn_vote *votes, size_t count, uint64_t len, const char *takes_part)
{
    expect_flushed(votes, count, 0, len, takes_part);
}

static void a_finalized_replica_decides(void **state)
{
    (void)state;
    struct dn_vote votes[] = {RBW(5, 900), FIN(5, 1000), RBW(5, 1000), RWR(5, 400)};
    expect(votes, 4, 1000, "nyyn");
}

static void else_the_shortest_that_was_being_written_decides(void **state)
{
    (void)state;
    struct dn_vote votes[] = {RBW(5, 900), RBW(5, 800), RBW(5, 0), RWR(5, 850), RWR(5, 100)};
    expect(votes, 5, 800, "yynyn");
}

static void else_the_shortest_of_the_restarted(void **state)
{
    (void)state;
    struct dn_vote votes[] = {RWR(5, 900), RWR(5, 800), OUT(ERR_UNREACHABLE)};
    expect(votes, 3, 800, "yyn");
}

static void a_power_cut_on_one_does_not_shorten_what_another_kept_of_the_flushed(void **state)
{
    (void)state;
    struct dn_vote cut[] = {RWR(5, 300), RWR(5, 900), RWR(5, 800)};
    expect_flushed(cut, 3, 700, 800, "nyy");
    struct dn_vote rotten[] = {RBW(5, 100), RWR(5, 900)};
    expect_flushed(rotten, 2, 700, 900, "ny");
    struct dn_vote final[] = {FIN(5, 600), RWR(5, 900)};
    expect_flushed(final, 2, 700, 600, "yn");
}

static void when_nobody_kept_all_of_the_flushed_the_most_is_saved(void **state)
{
    (void)state;
    struct dn_vote votes[] = {RWR(5, 300), RWR(5, 600), OUT(ERR_NOENT), RBW(5, 0), RWR(4, 700)};
    expect_flushed(votes, 5, 700, 600, "nynnn");
}

static void a_replica_that_missed_a_pipeline_has_no_say(void **state)
{
    (void)state;
    struct dn_vote votes[] = {RBW(4, 100), FIN(4, 50), RBW(5, 900), RBW(6, 950)};
    expect(votes, 4, 900, "nnyy");
}

static void nobody_holding_a_byte_is_an_answer_only_when_all_have_spoken(void **state)
{
    (void)state;
    uint64_t len = 7;
    struct dn_vote all[] = {RBW(5, 0), OUT(ERR_NOENT), RWR(5, 0)};
    expect(all, 3, 0, "nnn");
    struct dn_vote some[] = {RBW(5, 0), OUT(ERR_TIMEOUT)};
    assert_int_equal(dn_agree(some, 2, &unflushed, &len), ERR_NONODE);
    assert_int_equal(len, 7);
}

static void an_empty_finalized_block_stays_one(void **state)
{
    (void)state;
    struct dn_vote votes[] = {FIN(5, 0), RBW(5, 0), OUT(ERR_TIMEOUT)};
    expect(votes, 3, 0, "yyn");
}

static void finalized_replicas_of_different_length_are_not_guessed_about(void **state)
{
    (void)state;
    uint64_t len = 0;
    struct dn_vote votes[] = {FIN(5, 100), FIN(5, 101)};
    assert_int_equal(dn_agree(votes, 2, &unflushed, &len), ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_finalized_replica_decides),
        cmocka_unit_test(else_the_shortest_that_was_being_written_decides),
        cmocka_unit_test(else_the_shortest_of_the_restarted),
        cmocka_unit_test(a_power_cut_on_one_does_not_shorten_what_another_kept_of_the_flushed),
        cmocka_unit_test(when_nobody_kept_all_of_the_flushed_the_most_is_saved),
        cmocka_unit_test(a_replica_that_missed_a_pipeline_has_no_say),
        cmocka_unit_test(nobody_holding_a_byte_is_an_answer_only_when_all_have_spoken),
        cmocka_unit_test(an_empty_finalized_block_stays_one),
        cmocka_unit_test(finalized_replicas_of_different_length_are_not_guessed_about),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
