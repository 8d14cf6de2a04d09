/* SPDX-License-Identifier: Apache-2.0
 * What strangers and bad programs do to the data port. */
#include "tests/unit/datanode/serve/serve_fixture.h"

#include "libcommon/base/rand.h"

static int raw_connect(struct node *n)
{
    int fd = -1;
    assert_int_equal(sock_connect(n->address, soon(), &fd, NULL), 0);
    return fd;
}

static void expect_end(int fd)
{
    uint8_t sink[4096];
    while (sock_recv_some(fd, sink, sizeof(sink), soon()) > 0)
        ;
    close(fd);
}

static void say_hello(int fd, uint16_t flags, const char *cluster)
{
    struct identity self = {.role = WIRE_CLIENT, .cluster = cluster, .node = "x"};
    struct buf out = BUF_INIT;
    assert_int_equal(hello_put(&out, &self, flags), 0);
    assert_int_equal(sock_send_all(fd, out.data, out.len, soon()), 0);
    buf_release(&out);
}

static void session_count(struct node *n, void *arg)
{
    *(size_t *)arg = n->serve->session_count;
}

static void expect_sessions(struct node *n, size_t want)
{
    size_t count = want + 1;
    for (int i = 0; i < 1000 && count != want; i++) {
        on_loop(n, session_count, &count);
        if (count != want)
            usleep(2000);
    }
    assert_int_equal(count, want);
}

static void what_is_no_quern_is_hung_up_on(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    static const char *const strangers[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "hrpc\x09\x00\x00",
                                            "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
                                            "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"};
    for (size_t i = 0; i < ARRAY_LEN(strangers); i++) {
        int fd = raw_connect(&c->node[0]);
        assert_int_equal(sock_send_all(fd, strangers[i], strlen(strangers[i]), soon()), 0);
        if (i == 1) /* too short to be sure: it may go on */
            close(fd);
        else
            expect_end(fd);
    }
    struct rand rand;
    rand_init(&rand, 7);
    for (int i = 0; i < 60; i++) {
        uint8_t noise[200];
        for (size_t b = 0; b < sizeof(noise); b++)
            noise[b] = (uint8_t)rand_u64(&rand);
        int fd = raw_connect(&c->node[0]);
        assert_int_equal(sock_send_all(fd, noise, 1 + rand_below(&rand, 199), soon()), 0);
        shutdown(fd, SHUT_WR);
        expect_end(fd);
    }
    expect_sessions(&c->node[0], 0);
    cluster_close(c);
}

static void another_clusters_client_is_refused_at_the_hello(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    int fd = raw_connect(&c->node[0]);
    say_hello(fd, 0, "c2");
    expect_end(fd);
    expect_sessions(&c->node[0], 0);
    cluster_close(c);
}

/* After a good hello: frames that claim too much, or are cut short, or come a byte at a time. */
static void frames_that_lie_end_the_connection_and_nothing_else(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    write_block(c, 3, 7, 5000, 1);
    static const uint32_t lengths[] = {0, 1, 19, 1U << 30, UINT32_MAX, (128U << 10) + 1};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct peer p;
        uint8_t header[20] = {0};
        peer_open(&p, c->node[0].address);
        put_u32(header, lengths[i]);
        put_u16(header + 4, DATA_READ);
        assert_int_equal(sock_send_all(p.fd, header, sizeof(header), soon()), 0);
        expect_end(p.fd);
        p.fd = -1;
        peer_close(&p);
    }
    /* a body that claims a list of four thousand million nodes */
    static const uint8_t bomb[] = {0x97, 0x93, 1, 2, 3, 0, 0, 0xdd, 0xff, 0xff, 0xff, 0xff};
    struct peer p;
    uint8_t frame[20 + sizeof(bomb)] = {0};
    peer_open(&p, c->node[0].address);
    put_u32(frame, sizeof(frame));
    put_u16(frame + 4, DATA_WRITE);
    memcpy(frame + 20, bomb, sizeof(bomb));
    assert_int_equal(sock_send_all(p.fd, frame, sizeof(frame), soon()), 0);
    uint8_t answer[FRAME_HEADER_BYTES];
    assert_int_equal(sock_recv_exact(p.fd, answer, sizeof(answer), soon()), 0);
    assert_int_equal(get_u16(answer + 6), FRAME_ANSWER | FRAME_ERROR);
    peer_close(&p);
    expect_bytes(&c->node[0], 3, 0, 5000);
    cluster_close(c);
}

static void requests_nobody_knows_are_answered_and_the_next_is_served(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer p;
    write_block(c, 3, 7, 5000, 1);
    peer_open(&p, c->node[0].address);
    struct buf out = BUF_INIT;
    struct frame strange = {.type = 0x03ff, .call = 1}, oneway = {.type = DATA_READ, .call = 2};
    struct msg_block block = {.id = 3};
    oneway.flags = FRAME_ONEWAY;
    assert_int_equal(frame_put(&out, &strange, &msg_block_desc, &block), 0);
    assert_int_equal(frame_put(&out, &oneway, &msg_block_desc, &block), 0);
    struct frame ask = {.type = DATA_REPLICA, .call = 3}; /* all three sent ahead */
    assert_int_equal(frame_put(&out, &ask, &msg_block_desc, &block), 0);
    assert_int_equal(sock_send_all(p.fd, out.data, out.len, soon()), 0);
    buf_release(&out);
    for (uint64_t call = 1; call <= 3; call++) {
        uint8_t head[FRAME_HEADER_BYTES], body[1000];
        assert_int_equal(sock_recv_exact(p.fd, head, sizeof(head), soon()), 0);
        assert_int_equal(get_u64(head + 8), call);
        assert_int_equal(!!(get_u16(head + 6) & FRAME_ERROR), call < 3);
        assert_int_equal(sock_recv_exact(p.fd, body, get_u32(head) - sizeof(head), soon()), 0);
    }
    peer_close(&p);
    cluster_close(c);
}

static void a_request_may_come_a_byte_at_a_time(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer p;
    write_block(c, 3, 7, 5000, 1);
    peer_open(&p, c->node[0].address);
    struct buf out = BUF_INIT;
    struct frame ask = {.type = DATA_REPLICA, .call = 3};
    struct msg_block block = {.id = 3};
    assert_int_equal(frame_put(&out, &ask, &msg_block_desc, &block), 0);
    for (size_t i = 0; i < out.len; i++) {
        assert_int_equal(sock_send_all(p.fd, out.data + i, 1, soon()), 0);
        usleep(500);
    }
    buf_release(&out);
    uint8_t head[FRAME_HEADER_BYTES];
    assert_int_equal(sock_recv_exact(p.fd, head, sizeof(head), soon()), 0);
    assert_int_equal(get_u16(head + 6), FRAME_ANSWER);
    peer_close(&p);
    cluster_close(c);
}

static void bytes_ahead_of_the_answer_end_a_write(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer p;
    peer_open(&p, c->node[0].address);
    struct buf out = BUF_INIT;
    struct frame frame = {.type = DATA_WRITE, .call = 1};
    struct data_write ask = {.block = {.id = 3, .gs = 7}, .block_size = BLOCK_BYTES};
    assert_int_equal(frame_put(&out, &frame, &data_write_desc, &ask), 0);
    buf_append(&out, "QPK1", 4);
    assert_int_equal(sock_send_all(p.fd, out.data, out.len, soon()), 0);
    buf_release(&out);
    expect_end(p.fd);
    p.fd = -1;
    peer_close(&p);
    assert_int_equal(replica_of(&c->node[0], 3).id, 0);
    cluster_close(c);
}

static void threads(struct node *n, void *arg)
{
    (void)n;
    FILE *f = fopen("/proc/self/status", "re");
    char line[128];
    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, "Threads:", 8) == 0)
            *(unsigned long *)arg = strtoul(line + 8, NULL, 10);
    if (f)
        fclose(f);
}

static void idle_connections_cost_no_threads_and_hold_up_nobody(void **state)
{
    (void)state;
    enum { IDLE = 400 };
    struct cluster *c = cluster_open(1, NULL);
    int fds[IDLE];
    unsigned long before = 0, after = 0;
    write_block(c, 3, 7, 5000, 1);
    wait_idle(&c->node[0]);
    on_loop(&c->node[0], threads, &before);
    for (int i = 0; i < IDLE; i++) {
        fds[i] = raw_connect(&c->node[0]);
        if (i % 2) /* half of them have said hello */
            say_hello(fds[i], 0, "c1");
    }
    expect_sessions(&c->node[0], IDLE);
    on_loop(&c->node[0], threads, &after);
    assert_int_equal(after, before);
    expect_bytes(&c->node[0], 3, 0, 5000);
    write_block(c, 4, 7, 5000, 1);
    for (int i = 0; i < IDLE; i++)
        close(fds[i]);
    expect_sessions(&c->node[0], 0);
    cluster_close(c);
}

int main(void)
{
    if (!getenv("TEST_VERBOSE"))
        log_set_level(LOG_ERROR_ + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_quern_is_hung_up_on),
        cmocka_unit_test(another_clusters_client_is_refused_at_the_hello),
        cmocka_unit_test(frames_that_lie_end_the_connection_and_nothing_else),
        cmocka_unit_test(requests_nobody_knows_are_answered_and_the_next_is_served),
        cmocka_unit_test(a_request_may_come_a_byte_at_a_time),
        cmocka_unit_test(bytes_ahead_of_the_answer_end_a_write),
        cmocka_unit_test(idle_connections_cost_no_threads_and_hold_up_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
