/* SPDX-License-Identifier: Apache-2.0
 * Large streams, of which runs are written on a thread of their own while more is received. Packets
 * of a quarter of a mebibyte, each a run; from the fourth on they are worth a drain. */
#include "tests/unit/datanode/serve/serve_fixture.h"

#define PACKET   (256U << 10)
#define INLINE   3U /* packets before the drain's first */
#define SLOW     "dn.write.drain=1:delay250"
#define SLOW_MS  250U
#define LEN(n)   ((uint64_t)(n)*PACKET)
#define RING     (8U << 20)
#define BLOCK_ID 3

static struct cluster *open_stream(struct peer *p, const char *fault)
{
    struct node_options options = {.direct_min = 65536, .ring_bytes = RING};
    struct cluster *c = cluster_open(1, &options);
    struct chain chain = {.cluster = c, .count = 1, .id = BLOCK_ID, .gs = 7, .ring_bytes = RING};
    open_chain(p, &chain);
    assert_int_equal(fault_arm(fault, NULL), 0);
    return c;
}

static void close_stream(struct cluster *c, struct peer *p)
{
    assert_int_equal(fault_arm(NULL, NULL), 0);
    peer_close(p);
    cluster_close(c);
}

static void send_packets(struct peer *p, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        send_packet(p, LEN(i), PACKET, 0);
}

static void bytes_are_acknowledged_when_they_are_in_the_file_and_not_before(void **state)
{
    (void)state;
    struct peer p;
    struct cluster *c = open_stream(&p, SLOW);
    send_packets(&p, 0, INLINE);
    expect_acks(&p, 0, INLINE - 1, 1);
    uint64_t start = clock_mono_ms();
    send_packets(&p, INLINE, 6);
    expect_acks(&p, INLINE, INLINE, 1);
    assert_true(clock_mono_ms() - start >= SLOW_MS);
    expect_bytes(&c->node[0], BLOCK_ID, 0, LEN(INLINE + 1));
    expect_acks(&p, INLINE + 1, 5, 1);
    send_packet(&p, LEN(6), 0, PACKET_LAST);
    expect_acks(&p, 6, 6, 1);
    expect_bytes(&c->node[0], BLOCK_ID, 0, LEN(6));
    close_stream(c, &p);
}

/* The run being written ends behind what is to be synced. */
static void a_sync_waits_for_the_run_that_is_being_written(void **state)
{
    (void)state;
    struct peer p;
    struct cluster *c = open_stream(&p, SLOW);
    send_packets(&p, 0, INLINE);
    expect_acks(&p, 0, INLINE - 1, 1);
    uint64_t start = clock_mono_ms();
    send_packets(&p, INLINE, 5);
    send_packet(&p, LEN(5), PACKET, PACKET_SYNC);
    expect_acks(&p, INLINE, 4, 1);
    assert_true(recv_ack(&p).flags & PACKET_SYNC);
    assert_true(clock_mono_ms() - start >= SLOW_MS);
    send_packet(&p, LEN(6), 0, PACKET_SYNC);
    send_packet(&p, LEN(6), 77, PACKET_LAST);
    expect_acks(&p, 6, 7, 1);
    expect_bytes(&c->node[0], BLOCK_ID, 0, LEN(6) + 77);
    close_stream(c, &p);
}

static void a_disk_that_fails_under_a_run_is_told_and_nothing_is_acknowledged_after_it(void **state)
{
    (void)state;
    struct peer p;
    struct cluster *c = open_stream(&p, "dn.write.drain=2:eio");
    send_packets(&p, 0, INLINE + 1);
    expect_acks(&p, 0, INLINE, 1);
    send_packets(&p, INLINE + 1, INLINE + 2);
    assert_int_equal(recv_ack(&p).status[0], ERR_IO);
    wait_idle(&c->node[0]);
    expect_state(&c->node[0], BLOCK_ID, DN_REPLICA_RBW, 7, LEN(INLINE + 1));
    close_stream(c, &p);
}

static void damage_is_told_while_a_run_is_being_written(void **state)
{
    (void)state;
    struct peer p;
    struct cluster *c = open_stream(&p, SLOW ",dn.write.packet=5:corrupt");
    send_packets(&p, 0, 5);
    /* How many of the four were told before depends on how many had come at once. */
    uint64_t told = 0;
    struct packet_ack ack;
    while ((ack = recv_ack(&p)).status[0] == 0)
        assert_int_equal(ack.seq, told++);
    assert_int_equal(ack.status[0], ERR_CHECKSUM);
    wait_idle(&c->node[0]);
    struct dn_replica r = replica_of(&c->node[0], BLOCK_ID);
    assert_int_equal(r.state, DN_REPLICA_RBW);
    assert_in_range(r.len, LEN(told), LEN(5) - 1); /* the damaged packet is no part of it */
    close_stream(c, &p);
}

static void what_has_arrived_is_kept_when_the_client_goes_while_a_run_is_being_written(void **state)
{
    (void)state;
    struct peer p;
    struct cluster *c = open_stream(&p, SLOW);
    send_packets(&p, 0, 6);
    expect_acks(&p, 0, INLINE - 1, 1);
    assert_int_equal(shutdown(p.fd, SHUT_WR), 0);
    wait_idle(&c->node[0]);
    expect_state(&c->node[0], BLOCK_ID, DN_REPLICA_RBW, 7, LEN(6));
    close_stream(c, &p);
}

/* The ring is as large as one run: receiving has to wait for the disk, and goes on again. */
static void a_ring_that_is_full_of_unwritten_bytes_takes_no_more(void **state)
{
    (void)state;
    struct peer p;
    struct node_options options = {.direct_min = 65536, .ring_bytes = PACKET};
    struct cluster *c = cluster_open(1, &options);
    struct chain chain = {.cluster = c, .count = 1, .id = BLOCK_ID, .gs = 7};
    open_chain(&p, &chain);
    assert_int_equal(fault_arm(SLOW, NULL), 0);
    send_packets(&p, 0, 7);
    send_packet(&p, LEN(7), 0, PACKET_LAST);
    expect_acks(&p, 0, 7, 1);
    expect_bytes(&c->node[0], BLOCK_ID, 0, LEN(7));
    close_stream(c, &p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH_WAYS(bytes_are_acknowledged_when_they_are_in_the_file_and_not_before),
        BOTH_WAYS(a_sync_waits_for_the_run_that_is_being_written),
        BOTH_WAYS(a_disk_that_fails_under_a_run_is_told_and_nothing_is_acknowledged_after_it),
        OVER_TCP(damage_is_told_while_a_run_is_being_written),
        BOTH_WAYS(what_has_arrived_is_kept_when_the_client_goes_while_a_run_is_being_written),
        OVER_TCP(a_ring_that_is_full_of_unwritten_bytes_takes_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
