/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/rand.h"
#include "libcommon/codec/crc32c.h"
#include "libcommon/proto/data/packet.h"

static struct packet_header some_header(void)
{
    return (struct packet_header){
        .data_len = 1300, .flags = PACKET_SYNC, .sums = 3, .seq = 77, .offset = 512 * 9};
}

static void expect_refused(struct packet_header h)
{
    uint8_t bytes[PACKET_HEADER_BYTES];
    struct packet_header got = {.seq = 4711};
    packet_header_encode(&h, bytes);
    assert_int_equal(packet_header_decode(bytes, &got), ERR_PROTO);
    assert_int_equal(got.seq, 4711); /* untouched on failure */
}

static void a_header_lies_where_the_page_says(void **state)
{
    (void)state;
    uint8_t bytes[PACKET_HEADER_BYTES];
    struct packet_header h = some_header(), got = {0};
    packet_header_encode(&h, bytes);
    assert_memory_equal(bytes, "QPK1", 4);
    assert_int_equal(get_u32(bytes + 4), 1300);
    assert_int_equal(get_u16(bytes + 8), PACKET_SYNC);
    assert_int_equal(get_u16(bytes + 10), 3);
    assert_int_equal(get_u64(bytes + 12), 77);
    assert_int_equal(get_u64(bytes + 20), 512 * 9);
    assert_int_equal(get_u32(bytes + 28), crc32c(0, bytes, 28));
    assert_int_equal(packet_header_decode(bytes, &got), 0);
    assert_memory_equal(&got, &h, sizeof(h));
}

static void every_single_flipped_bit_is_noticed(void **state)
{
    (void)state;
    uint8_t bytes[PACKET_HEADER_BYTES], ack_bytes[PACKET_ACK_BYTES];
    struct packet_header h = some_header(), got = {0};
    struct packet_ack ack = {.seq = 5, .count = 2, .status = {0, ERR_CLOSED}}, got_ack = {0};
    packet_header_encode(&h, bytes);
    packet_ack_encode(&ack, ack_bytes);
    for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(packet_header_decode(bytes, &got), ERR_PROTO);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * 52; bit++) { /* the last four bytes mean nothing yet */
        ack_bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(packet_ack_decode(ack_bytes, &got_ack), ERR_PROTO);
        ack_bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void sizes_beyond_the_limits_are_refused(void **state)
{
    (void)state;
    struct packet_header h = some_header();
    h.data_len = PACKET_DATA_MAX + 512, h.sums = PACKET_SUMS_MAX + 1;
    expect_refused(h);
    h = some_header(), h.data_len = UINT32_MAX, h.sums = 3;
    expect_refused(h);
    h = some_header(), h.offset = UINT64_MAX - 511;
    expect_refused(h);
}

static void counts_at_odds_with_the_length_are_refused(void **state)
{
    (void)state;
    struct packet_header h = some_header();
    h.sums = 2;
    expect_refused(h);
    h = some_header(), h.flags = PACKET_RING;
    expect_refused(h); /* ring packets have no sums */
    h = some_header(), h.flags = PACKET_BEAT;
    expect_refused(h); /* a beat has no data */
    h = some_header(), h.offset = 100;
    expect_refused(h); /* not at a chunk's start */
    h = some_header(), h.flags = 0x4000;
    expect_refused(h);
}

static void packets_without_data_may_stand_anywhere(void **state)
{
    (void)state;
    uint8_t bytes[PACKET_HEADER_BYTES];
    struct packet_header h = {.flags = PACKET_LAST, .offset = 1001}, got = {0};
    packet_header_encode(&h, bytes);
    assert_int_equal(packet_header_decode(bytes, &got), 0);
    assert_int_equal(got.offset, 1001);
}

static void an_ack_carries_the_status_of_each_node(void **state)
{
    (void)state;
    uint8_t bytes[PACKET_ACK_BYTES];
    struct packet_ack ack = {
        .seq = 9, .count = 3, .flags = PACKET_SYNC, .status = {0, ERR_CHECKSUM, ERR_CLOSED}};
    struct packet_ack got = {0};
    packet_ack_encode(&ack, bytes);
    assert_memory_equal(bytes, "QAK1", 4);
    assert_int_equal(packet_ack_decode(bytes, &got), 0);
    assert_memory_equal(&got, &ack, sizeof(ack));
}

static void hostile_acks_are_refused(void **state)
{
    (void)state;
    uint8_t bytes[PACKET_ACK_BYTES];
    struct packet_ack got = {0};
    struct packet_ack none = {.count = 0}, many = {.count = PIPELINE_MAX + 1};
    struct packet_ack odd = {.count = 1, .status = {1}};
    packet_ack_encode(&none, bytes);
    assert_int_equal(packet_ack_decode(bytes, &got), ERR_PROTO);
    packet_ack_encode(&many, bytes);
    assert_int_equal(packet_ack_decode(bytes, &got), ERR_PROTO);
    packet_ack_encode(&odd, bytes);
    assert_int_equal(packet_ack_decode(bytes, &got), ERR_PROTO);
}

static void random_bytes_are_never_a_header(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 1);
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[PACKET_ACK_BYTES];
        for (size_t b = 0; b < sizeof(bytes); b++)
            bytes[b] = (uint8_t)rand_u64(&rand);
        if (i % 2) /* with the right magic, too */
            memcpy(bytes, i % 4 == 1 ? "QPK1" : "QAK1", 4);
        struct packet_header h;
        struct packet_ack ack;
        assert_int_equal(packet_header_decode(bytes, &h), ERR_PROTO);
        assert_int_equal(packet_ack_decode(bytes, &ack), ERR_PROTO);
    }
}

static void whoever_has_more_nodes_behind_it_waits_longer(void **state)
{
    (void)state;
    static const uint64_t timeouts[] = {100, 2000, 60000, 600000};
    for (size_t i = 0; i < 4; i++)
        for (size_t behind = 0; behind < PIPELINE_MAX; behind++) {
            uint64_t less = pipeline_patience_ms(timeouts[i], behind);
            uint64_t more = pipeline_patience_ms(timeouts[i], behind + 1);
            assert_in_range(more - less, timeouts[i] < 20000 ? timeouts[i] / 4 : 5000, 5000);
        }
    assert_int_equal(pipeline_patience_ms(60000, 0), 60000);
}

static void a_report_says_nearly_what_was_put_in(void **state)
{
    (void)state;
    static const uint32_t ms[] = {0, 1,  2,   3,   4,     5,       7,        8,
                                  9, 15, 100, 300, 12345, 3600000, 900000000};
    for (size_t i = 0; i < sizeof(ms) / sizeof(ms[0]); i++) {
        struct packet_report in = {.count = 3}, out;
        uint8_t raw[PACKET_REPORT_BYTES];
        for (size_t k = 0; k < 3; k++)
            in.lag[k] = (struct packet_lag){ms[i], PACKET_LAG_NONE};
        packet_report_encode(&in, raw);
        assert_true(packet_is_report(raw));
        assert_int_equal(packet_report_decode(raw, &out), 0);
        assert_int_equal(out.count, 3);
        assert_int_equal(out.lag[2].link_ms, PACKET_LAG_NONE);
        assert_true(out.lag[1].disk_ms <= ms[i] && out.lag[1].disk_ms >= ms[i] - ms[i] / 5);
    }
}

static void a_damaged_report_is_refused_and_none_is_an_ack(void **state)
{
    (void)state;
    struct packet_report in = {.count = 2}, out;
    struct packet_ack ack = {.count = 2};
    uint8_t raw[PACKET_REPORT_BYTES];
    packet_report_encode(&in, raw);
    assert_int_not_equal(packet_ack_decode(raw, &ack), 0);
    for (size_t bit = 0; bit < 52 * 8; bit++) {
        raw[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_not_equal(packet_report_decode(raw, &out), 0);
        raw[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    in.count = 0;
    packet_report_encode(&in, raw);
    assert_int_not_equal(packet_report_decode(raw, &out), 0);
    in.count = PIPELINE_MAX + 1;
    packet_report_encode(&in, raw);
    assert_int_not_equal(packet_report_decode(raw, &out), 0);
    packet_ack_encode(&ack, raw);
    assert_false(packet_is_report(raw));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_says_nearly_what_was_put_in),
        cmocka_unit_test(a_damaged_report_is_refused_and_none_is_an_ack),
        cmocka_unit_test(a_header_lies_where_the_page_says),
        cmocka_unit_test(every_single_flipped_bit_is_noticed),
        cmocka_unit_test(sizes_beyond_the_limits_are_refused),
        cmocka_unit_test(counts_at_odds_with_the_length_are_refused),
        cmocka_unit_test(packets_without_data_may_stand_anywhere),
        cmocka_unit_test(an_ack_carries_the_status_of_each_node),
        cmocka_unit_test(hostile_acks_are_refused),
        cmocka_unit_test(random_bytes_are_never_a_header),
        cmocka_unit_test(whoever_has_more_nodes_behind_it_waits_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
