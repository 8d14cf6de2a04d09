/* SPDX-License-Identifier: Apache-2.0
 * Peers that keep a move waiting: they cost no thread, and what they get in the end is right. */
#include "tests/unit/datanode/serve/serve_fixture.h"

#define STALLERS 24U
#define THREADS  4U

static const struct node_options few_threads = {.threads = THREADS, .timeout_ms = 20000};
/* What a unix socket's buffers cannot hold (a TCP one's grow). */
static const uint64_t LONG = BLOCK_BYTES;

static void see_parked(struct node *n, void *arg)
{
    *(unsigned *)arg = dn_movers_parked(n->serve->movers);
}

static void wait_parked(struct node *n, unsigned want)
{
    unsigned parked = 0;
    for (int i = 0; i < 2000; i++) {
        on_loop(n, see_parked, &parked);
        if (parked >= want)
            return;
        usleep(5000);
    }
    fail_msg("%u of %u are parked", parked, want);
}

/* Asks for all of the block, and reads nothing but the answer. */
static void stall_reading(struct peer *p, struct node *n, uint64_t id)
{
    struct data_read ask = {.block = {.id = id}, .length = LONG};
    struct data_reading answer = {0};
    peer_open(p, n->unix_path);
    assert_int_equal(peer_ask(p, DATA_AT_READ, &ask, &answer, NULL), 0);
    assert_int_equal(answer.length, LONG);
}

static void expect_the_rest(struct peer *p, uint64_t id)
{
    struct reading r = {0};
    bool is_last = false;
    while (!is_last && r.failed == 0)
        r.failed = recv_packet(p, &r, &is_last);
    assert_int_equal(r.failed, 0);
    assert_int_equal(r.len, LONG);
    for (uint64_t i = 0; i < r.len; i++)
        if (r.data[i] != pattern(id, i))
            fail_msg("byte %u is wrong", (unsigned)i);
    mem_free(r.data);
}

static void readers_that_stall_take_no_threads_from_others(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, &few_threads);
    struct peer stalled[STALLERS];
    write_block(c, 1, 7, LONG, 1);
    for (unsigned i = 0; i < STALLERS; i++)
        stall_reading(&stalled[i], &c->node[0], 1);
    write_block(c, 2, 7, LONG, 1);
    expect_bytes(&c->node[0], 2, 0, LONG);
    wait_parked(&c->node[0], STALLERS);
    for (unsigned i = 0; i < STALLERS; i += 13)
        expect_the_rest(&stalled[i], 1);
    for (unsigned i = 0; i < STALLERS; i++)
        peer_close(&stalled[i]);
    wait_idle(&c->node[0]);
    cluster_close(c);
}

static void writers_that_stall_take_no_threads_from_others(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, &few_threads);
    struct peer open[STALLERS];
    for (unsigned i = 0; i < STALLERS; i++) { /* some between packets, some have sent nothing yet */
        struct chain chain = {.cluster = c, .count = 1, .id = 10 + i, .gs = 7};
        open_chain(&open[i], &chain);
        if (i % 2)
            continue;
        send_packet(&open[i], 0, 1000, 0);
        expect_acks(&open[i], 0, 0, 1);
    }
    write_block(c, 2, 7, LONG, 1);
    expect_bytes(&c->node[0], 2, 0, LONG);
    wait_parked(&c->node[0], STALLERS);
    expect_bytes(&c->node[0], 10, 0, 1000); /* what was acknowledged is read meanwhile */
    for (unsigned i = 0; i < STALLERS; i++) {
        stream(&open[i], i % 2 ? 0 : 1000, 30000 + i, 1);
        peer_close(&open[i]);
        expect_bytes(&c->node[0], 10 + i, 0, 30000 + i);
    }
    wait_idle(&c->node[0]);
    cluster_close(c);
}

/* Half a header, half a body: no thread waits for the rest. */
static void halves_of_packets_take_no_threads_from_others(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, &few_threads);
    struct peer half[8];
    struct parcel parcel[8];
    for (unsigned i = 0; i < 8; i++) {
        struct chain chain = {.cluster = c, .count = 1, .id = 10 + i, .gs = 7};
        open_chain(&half[i], &chain);
        parcel[i] = make_parcel(&half[i], 0, 3000, PACKET_LAST);
        size_t head = i % 2 ? sizeof(parcel[i].header) : 5;
        assert_int_equal(sock_send_all(half[i].fd, parcel[i].header, head, soon()), 0);
        if (i % 2) {
            assert_int_equal(sock_send_all(half[i].fd, parcel[i].sums, parcel[i].sums_len, soon()),
                             0);
            assert_int_equal(sock_send_all(half[i].fd, parcel[i].data, 777, soon()), 0);
        }
    }
    write_block(c, 2, 7, LONG, 1);
    wait_parked(&c->node[0], 8);
    for (unsigned i = 0; i < 8; i++) {
        struct parcel *p = &parcel[i];
        size_t head = i % 2 ? sizeof(p->header) : 5, body = i % 2 ? 777 : 0;
        assert_int_equal(
            sock_send_all(half[i].fd, p->header + head, sizeof(p->header) - head, soon()), 0);
        if (i % 2 == 0)
            assert_int_equal(sock_send_all(half[i].fd, p->sums, p->sums_len, soon()), 0);
        assert_int_equal(sock_send_all(half[i].fd, p->data + body, p->data_len - body, soon()), 0);
        expect_acks(&half[i], 0, 0, 1);
        mem_free(p->sums);
        mem_free(p->data);
        peer_close(&half[i]);
        expect_bytes(&c->node[0], 10 + i, 0, 3000);
    }
    cluster_close(c);
}

static void who_stalls_for_the_time_out_is_given_up(void **state)
{
    (void)state;
    const struct node_options options = {.threads = THREADS, .timeout_ms = 500};
    struct cluster *c = cluster_open(1, &options);
    struct peer reader, writer;
    write_block(c, 1, 7, LONG, 1);
    stall_reading(&reader, &c->node[0], 1);
    struct chain chain = {.cluster = c, .count = 1, .id = 2, .gs = 7};
    open_chain(&writer, &chain);
    send_packet(&writer, 0, 1000, 0);
    wait_idle(&c->node[0]);
    expect_state(&c->node[0], 2, DN_REPLICA_RBW, 7, 1000);
    peer_close(&reader);
    peer_close(&writer);
    cluster_close(c);
}

static void a_parked_writer_is_told_to_end_by_a_recovery(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, &few_threads);
    struct peer first, second;
    struct chain chain = {.cluster = c, .count = 1, .id = 2, .gs = 7};
    open_chain(&first, &chain);
    send_packet(&first, 0, 1000, 0);
    expect_acks(&first, 0, 0, 1);
    wait_parked(&c->node[0], 1);
    struct chain again = {.cluster = c,
                          .count = 1,
                          .id = 2,
                          .gs = 7,
                          .new_gs = 8,
                          .len = 1000,
                          .stage = DATA_WRITE_RECOVER};
    open_chain(&second, &again);
    stream(&second, 1000, 5000, 1);
    expect_bytes(&c->node[0], 2, 0, 5000);
    peer_close(&first);
    peer_close(&second);
    cluster_close(c);
}

static void a_node_with_parked_peers_closes_at_once(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, &few_threads);
    struct peer reader, writer;
    write_block(c, 1, 7, LONG, 1);
    stall_reading(&reader, &c->node[0], 1);
    struct chain chain = {.cluster = c, .count = 1, .id = 2, .gs = 7};
    open_chain(&writer, &chain);
    wait_parked(&c->node[0], 2);
    uint64_t began_ms = clock_mono_ms();
    cluster_close(c);
    assert_true(clock_mono_ms() < began_ms + 5000);
    peer_close(&reader);
    peer_close(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OVER_TCP(readers_that_stall_take_no_threads_from_others),
        BOTH_WAYS(writers_that_stall_take_no_threads_from_others),
        OVER_TCP(halves_of_packets_take_no_threads_from_others),
        BOTH_WAYS(who_stalls_for_the_time_out_is_given_up),
        OVER_TCP(a_parked_writer_is_told_to_end_by_a_recovery),
        BOTH_WAYS(a_node_with_parked_peers_closes_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
