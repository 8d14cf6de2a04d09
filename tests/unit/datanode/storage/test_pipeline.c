/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "datanode/storage/pipeline.h"
#include "libcommon/base/rand.h"

#define MAX_LEN 100000

static struct dn_pipeline p; /* some tens of KiB: not for the stack */

static void begin(bool has_mirror, uint64_t start_len)
{
    struct dn_pipeline_conf conf = {.start_len = start_len,
                                    .max_len = MAX_LEN,
                                    .has_mirror = has_mirror,
                                    .idle_ms = 1000,
                                    .ack_ms = 500};
    dn_pipeline_init(&p, &conf, 0);
}

static int packet(uint64_t seq, uint64_t offset, uint32_t len, unsigned flags)
{
    struct dn_packet packet = {
        .seq = seq, .offset = offset, .len = len, .flags = flags, .tail_sum = (uint32_t)seq + 100};
    return dn_pipeline_accept(&p, &packet, 0);
}

static void mirror_says(uint64_t seq, unsigned count, int last_status)
{
    struct dn_ack ack = {.seq = seq, .count = count};
    ack.status[count - 1] = last_status;
    assert_int_equal(dn_pipeline_mirror_ack(&p, &ack, 0), 0);
}

static void expect_ack(uint64_t seq, unsigned count, int last_status)
{
    struct dn_ack ack;
    assert_true(dn_pipeline_pop_ack(&p, &ack));
    assert_int_equal(ack.seq, seq);
    assert_int_equal(ack.count, count);
    for (unsigned i = 0; i + 1 < count; i++)
        assert_int_equal(ack.status[i], 0);
    assert_int_equal(ack.status[count - 1], last_status);
}

static void expect_no_ack(void)
{
    struct dn_ack ack;
    assert_false(dn_pipeline_pop_ack(&p, &ack));
}

static void the_last_node_acknowledges_what_it_has_written(void **state)
{
    (void)state;
    begin(false, 0);
    assert_int_equal(packet(10, 0, 1024, 0), 0);
    assert_int_equal(packet(11, 1024, 1024, 0), 0);
    expect_no_ack();
    dn_pipeline_written(&p, 1024);
    expect_ack(10, 1, 0);
    expect_no_ack();
    assert_int_equal(p.acked_len, 1024);
    dn_pipeline_written(&p, 2048);
    expect_ack(11, 1, 0);
}

static void an_ack_waits_for_everybody_behind_us(void **state)
{
    (void)state;
    begin(true, 0);
    packet(0, 0, 1024, 0);
    packet(1, 1024, 1024, 0);
    dn_pipeline_written(&p, 2048);
    expect_no_ack();
    assert_int_equal(p.acked_len, 0); /* nor may a reader see it */
    mirror_says(0, 2, 0);
    expect_ack(0, 3, 0);
    expect_no_ack();
    mirror_says(1, 2, 0);
    expect_ack(1, 3, 0);
    assert_int_equal(p.acked_len, 2048);
}

static void an_ack_from_behind_waits_for_our_own_disk(void **state)
{
    (void)state;
    begin(true, 0);
    packet(0, 0, 1024, 0);
    mirror_says(0, 1, 0);
    expect_no_ack();
    dn_pipeline_written(&p, 1024);
    expect_ack(0, 2, 0);
}

static void a_packet_must_continue_the_one_before(void **state)
{
    (void)state;
    begin(false, 0);
    assert_int_equal(packet(5, 0, 1024, 0), 0);
    assert_int_equal(packet(7, 1024, 512, 0), ERR_PROTO); /* a seq is missing */
    assert_int_equal(packet(5, 1024, 512, 0), ERR_PROTO);
    assert_int_equal(packet(6, 1536, 512, 0), ERR_PROTO); /* a hole */
    assert_int_equal(packet(6, 512, 512, 0), ERR_PROTO);  /* over what we have */
    assert_int_equal(packet(6, 1024, 512, 0), 0);
}

static void a_partial_chunk_is_continued_from_its_start(void **state)
{
    (void)state;
    begin(false, 0);
    assert_int_equal(packet(0, 0, 700, 0), 0);
    assert_int_equal(packet(1, 700, 100, 0), ERR_PROTO);
    assert_int_equal(packet(1, 512, 100, 0), ERR_PROTO); /* forgets bytes it has sent */
    assert_int_equal(packet(1, 512, 300, 0), 0);
    dn_pipeline_written(&p, 812);
    expect_ack(0, 1, 0);
    assert_int_equal(p.acked_len, 700);
    assert_int_equal(p.acked_tail_sum, 100); /* that of the chunk as it was at 700 */
    expect_ack(1, 1, 0);
    assert_int_equal(p.acked_len, 812);
    assert_int_equal(p.acked_tail_sum, 101);
}

static void nothing_fits_beyond_the_block_or_behind_its_end(void **state)
{
    (void)state;
    begin(false, MAX_LEN / 512 * 512);
    assert_int_equal(packet(0, MAX_LEN / 512 * 512, 512, 0), ERR_TOOBIG);
    assert_int_equal(packet(0, 0, 0, DN_PACKET_LAST), 0);
    assert_int_equal(packet(1, 0, 0, 0), ERR_PROTO);
}

static void a_sync_is_acknowledged_when_it_is_on_disk(void **state)
{
    (void)state;
    begin(false, 0);
    packet(0, 0, 1024, DN_PACKET_SYNC);
    assert_int_equal(dn_pipeline_need(&p), DN_NEED_NOTHING);
    dn_pipeline_written(&p, 1024);
    assert_int_equal(dn_pipeline_need(&p), DN_NEED_SYNC);
    expect_no_ack();
    dn_pipeline_synced(&p);
    assert_int_equal(dn_pipeline_need(&p), DN_NEED_NOTHING);
    struct dn_ack ack;
    assert_true(dn_pipeline_pop_ack(&p, &ack));
    assert_true(ack.is_synced);
}

static void the_last_packet_is_acknowledged_when_the_block_is_finalized(void **state)
{
    (void)state;
    begin(false, 0);
    packet(0, 0, 1024, 0);
    packet(1, 0, 0, DN_PACKET_LAST);
    dn_pipeline_written(&p, 512);
    assert_int_equal(dn_pipeline_need(&p), DN_NEED_NOTHING);
    dn_pipeline_written(&p, 1024);
    assert_int_equal(dn_pipeline_need(&p), DN_NEED_FINALIZE);
    expect_ack(0, 1, 0);
    expect_no_ack();
    assert_false(dn_pipeline_is_over(&p));
    dn_pipeline_finalized(&p);
    expect_ack(1, 1, 0);
    assert_true(dn_pipeline_is_over(&p));
}

static void a_node_that_dies_behind_us_is_named_by_its_place(void **state)
{
    (void)state;
    begin(true, 0);
    packet(0, 0, 512, 0);
    packet(1, 512, 512, 0);
    dn_pipeline_written(&p, 1024);
    mirror_says(0, 2, 0);
    dn_pipeline_mirror_failed(&p, ERR_CLOSED);
    expect_ack(0, 3, 0); /* acknowledged before it died: good */
    expect_ack(1, 2, ERR_CLOSED);
    assert_true(dn_pipeline_is_over(&p));
    assert_int_equal(p.acked_len, 512);
}

static void a_failure_further_down_goes_up_with_its_place(void **state)
{
    (void)state;
    begin(true, 0);
    packet(0, 0, 512, 0);
    struct dn_ack ack = {.seq = 0, .count = 2, .status = {0, ERR_IO}};
    assert_int_equal(dn_pipeline_mirror_ack(&p, &ack, 0), 0);
    expect_ack(0, 3, ERR_IO); /* at once, our own disk or not */
    expect_no_ack();
}

static void our_own_failure_blames_nobody_behind_us(void **state)
{
    (void)state;
    begin(true, 0);
    packet(0, 0, 512, 0);
    mirror_says(0, 1, 0);
    dn_pipeline_local_failed(&p, ERR_NOSPC);
    dn_pipeline_local_failed(&p, ERR_IO);
    expect_ack(0, 1, ERR_NOSPC);
    assert_true(dn_pipeline_is_over(&p));
    assert_int_equal(p.acked_len, 0);
}

static void a_broken_chain_is_not_finalized_here(void **state)
{
    (void)state;
    begin(true, 0);
    packet(0, 0, 512, DN_PACKET_LAST);
    dn_pipeline_mirror_failed(&p, ERR_CLOSED);
    dn_pipeline_written(&p, 512);
    assert_int_equal(dn_pipeline_need(&p), DN_NEED_NOTHING);
    expect_ack(0, 2, ERR_CLOSED);
}

static void acks_that_nobody_waits_for_are_refused(void **state)
{
    (void)state;
    struct dn_ack ack = {.seq = 0, .count = 1};
    begin(false, 0);
    packet(0, 0, 512, 0);
    assert_int_equal(dn_pipeline_mirror_ack(&p, &ack, 0), ERR_PROTO);
    begin(true, 0);
    assert_int_equal(dn_pipeline_mirror_ack(&p, &ack, 0), ERR_PROTO);
    packet(0, 0, 512, 0);
    ack.seq = 1;
    assert_int_equal(dn_pipeline_mirror_ack(&p, &ack, 0), ERR_PROTO);
    ack.seq = 0, ack.count = DN_PIPELINE_CHAIN;
    assert_int_equal(dn_pipeline_mirror_ack(&p, &ack, 0), ERR_PROTO);
}

static void a_silent_downstream_is_given_up(void **state)
{
    (void)state;
    begin(true, 0);
    assert_int_equal(dn_pipeline_expire(&p, 600), 0); /* it owes us nothing yet */
    struct dn_packet packet = {.seq = 0, .len = 512};
    dn_pipeline_accept(&p, &packet, 700);
    packet.seq = 1, packet.offset = 512;
    dn_pipeline_accept(&p, &packet, 710);
    dn_pipeline_written(&p, 1024);
    assert_int_equal(dn_pipeline_deadline_ms(&p), 1200);
    struct dn_ack ack = {.seq = 0, .count = 1};
    dn_pipeline_mirror_ack(&p, &ack, 1100); /* slow, but alive */
    expect_ack(0, 2, 0);
    assert_int_equal(dn_pipeline_expire(&p, 1599), 0);
    expect_no_ack();
    assert_int_equal(dn_pipeline_expire(&p, 1600), 0);
    expect_ack(1, 2, ERR_TIMEOUT);
}

static void a_silent_upstream_is_given_up_unless_it_waits_for_us(void **state)
{
    (void)state;
    begin(false, 0);
    struct dn_packet packet = {.seq = 0, .len = 512};
    dn_pipeline_accept(&p, &packet, 500);
    assert_int_equal(dn_pipeline_expire(&p, 5000), 0); /* our disk is slow: not its fault */
    dn_pipeline_written(&p, 512);
    expect_ack(0, 1, 0);
    assert_int_equal(dn_pipeline_expire(&p, 5999), 0);
    assert_int_equal(dn_pipeline_expire(&p, 6000), ERR_TIMEOUT);
}

static void the_window_is_bounded(void **state)
{
    (void)state;
    begin(false, 0);
    for (uint64_t i = 0; i < DN_PIPELINE_SLOTS; i++)
        assert_int_equal(packet(i, 0, 0, 0), 0);
    assert_true(dn_pipeline_is_full(&p));
    assert_int_equal(packet(DN_PIPELINE_SLOTS, 0, 0, 0), ERR_LIMIT);
    expect_ack(0, 1, 0);
    assert_int_equal(packet(DN_PIPELINE_SLOTS, 0, 0, 0), 0);
}

static void a_resumed_pipeline_starts_from_what_was_acknowledged(void **state)
{
    (void)state;
    begin(false, 700);
    assert_int_equal(p.acked_len, 700);
    assert_int_equal(packet(44, 512, 600, 0), 0);
    dn_pipeline_written(&p, 1112);
    expect_ack(44, 1, 0);
    assert_int_equal(p.acked_len, 1112);
}

/* Whatever happens in whatever order: acks come in order, and never before their conditions. */
static void random_histories_keep_the_promises(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct rand rand;
        rand_init(&rand, seed);
        begin(true, 0);
        uint64_t sent = 0, acked = 0, mirrored = 0, len = 0;
        for (int step = 0; step < 400 && !dn_pipeline_is_over(&p); step++) {
            struct dn_ack ack = {.seq = mirrored, .count = 1};
            switch (rand_below(&rand, 5)) {
            case 0:
                if (len + 512 <= MAX_LEN / 4 && packet(sent, len, 512, 0) == 0)
                    sent++, len += 512;
                break;
            case 1:
                dn_pipeline_written(&p, p.written + rand_below(&rand, p.received - p.written + 1));
                break;
            case 2:
                if (mirrored < sent) {
                    assert_int_equal(dn_pipeline_mirror_ack(&p, &ack, 0), 0);
                    mirrored++;
                }
                break;
            case 3:
                if (rand_chance(&rand, 50))
                    dn_pipeline_mirror_failed(&p, ERR_CLOSED);
                break;
            default:
                while (dn_pipeline_pop_ack(&p, &ack)) {
                    assert_int_equal(ack.seq, acked++);
                    if (ack.status[1] == 0) {
                        assert_true(acked * 512 <= p.written);
                        assert_true(acked <= mirrored);
                        assert_int_equal(p.acked_len, acked * 512);
                    }
                }
            }
            assert_true(p.acked_len <= p.written);
            if (p.bad_count > 0)
                mirrored = sent; /* it says nothing more */
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_node_acknowledges_what_it_has_written),
        cmocka_unit_test(an_ack_waits_for_everybody_behind_us),
        cmocka_unit_test(an_ack_from_behind_waits_for_our_own_disk),
        cmocka_unit_test(a_packet_must_continue_the_one_before),
        cmocka_unit_test(a_partial_chunk_is_continued_from_its_start),
        cmocka_unit_test(nothing_fits_beyond_the_block_or_behind_its_end),
        cmocka_unit_test(a_sync_is_acknowledged_when_it_is_on_disk),
        cmocka_unit_test(the_last_packet_is_acknowledged_when_the_block_is_finalized),
        cmocka_unit_test(a_node_that_dies_behind_us_is_named_by_its_place),
        cmocka_unit_test(a_failure_further_down_goes_up_with_its_place),
        cmocka_unit_test(our_own_failure_blames_nobody_behind_us),
        cmocka_unit_test(a_broken_chain_is_not_finalized_here),
        cmocka_unit_test(acks_that_nobody_waits_for_are_refused),
        cmocka_unit_test(a_silent_downstream_is_given_up),
        cmocka_unit_test(a_silent_upstream_is_given_up_unless_it_waits_for_us),
        cmocka_unit_test(the_window_is_bounded),
        cmocka_unit_test(a_resumed_pipeline_starts_from_what_was_acknowledged),
        cmocka_unit_test(random_histories_keep_the_promises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
