/* SPDX-License-Identifier: Apache-2.0
 * conn: one side is a conn, the other usually the plain end of a socket pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/event/conn.h"
#include "libcommon/event/listen.h"

#define WAIT_MS 5000

struct end {
    struct loop *loop;
    struct conn *conn;
    int fd; /* the plain end */
    struct buf got;
    size_t leave; /* on_data leaves this many bytes unconsumed */
    unsigned opens, datas, drains, closes;
    int code;
    size_t want;
    bool must_close, must_abort, must_detach;
    struct conn_parts parts;
    int detach_rc;
};

static void on_open(struct conn *conn, void *arg)
{
    (void)conn;
    ((struct end *)arg)->opens++;
}

static void on_data(struct conn *conn, struct buf *in, void *arg)
{
    struct end *end = arg;
    end->datas++;
    size_t take = in->len > end->leave ? in->len - end->leave : 0;
    buf_append(&end->got, in->data, take);
    buf_consume(in, take);
    if (end->want)
        conn_want(conn, end->want);
    if (end->must_close)
        conn_close(conn);
    if (end->must_abort)
        conn_abort(conn);
    if (end->must_detach)
        end->detach_rc = conn_detach(conn, &end->parts);
}

static void on_close(struct conn *conn, int code, void *arg)
{
    (void)conn;
    struct end *end = arg;
    end->closes++;
    end->code = code;
    end->conn = NULL;
}

static void on_drained(struct conn *conn, void *arg)
{
    (void)conn;
    ((struct end *)arg)->drains++;
}

static const struct conn_ops ops = {on_open, on_data, on_close, on_drained};

static int setup(void **state)
{
    struct end *end = calloc(1, sizeof(*end));
    int fds[2];
    end->loop = loop_new(NULL);
    if (!end->loop || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0 ||
        fcntl(fds[0], F_SETFL, O_NONBLOCK) != 0)
        return -1;
    end->conn = conn_new(end->loop, fds[0], &ops, end);
    end->fd = fds[1];
    *state = end;
    return end->conn ? 0 : -1;
}

static int teardown(void **state)
{
    struct end *end = *state;
    if (end->conn)
        conn_abort(end->conn);
    loop_free(end->loop);
    close(end->fd);
    buf_release(&end->got);
    free(end);
    return 0;
}

static void turns_for(struct end *end, uint64_t ms)
{
    uint64_t limit_ms = clock_mono_ms() + ms;
    do
        loop_turn(end->loop, 2);
    while (clock_mono_ms() < limit_ms);
}

static void wait_count(struct end *end, const unsigned *count, unsigned wanted)
{
    uint64_t limit_ms = clock_mono_ms() + WAIT_MS;
    while (*count < wanted && clock_mono_ms() < limit_ms)
        loop_turn(end->loop, 20);
    assert_int_equal(*count, wanted);
}

static void say(struct end *end, const char *text)
{
    assert_int_equal(sock_send_all(end->fd, text, strlen(text), clock_mono_ms() + WAIT_MS), 0);
}

static void expect_text(struct end *end, const char *text)
{
    char got[64] = "";
    assert_int_equal(sock_recv_exact(end->fd, got, strlen(text), clock_mono_ms() + WAIT_MS), 0);
    assert_string_equal(got, text);
}

/* ---- input ---- */

static void bytes_arrive_and_what_is_left_comes_again_in_front(void **state)
{
    struct end *end = *state;
    end->leave = 2;
    say(end, "abcde");
    wait_count(end, &end->datas, 1);
    assert_string_equal(buf_cstr(&end->got), "abc");
    end->leave = 0;
    say(end, "fg");
    wait_count(end, &end->datas, 2);
    assert_string_equal(buf_cstr(&end->got), "abcdefg");
}

static void what_is_wanted_is_waited_for(void **state)
{
    struct end *end = *state;
    end->leave = 100;
    end->want = 6;
    say(end, "ab");
    wait_count(end, &end->datas, 1);
    end->leave = 0;
    end->want = 0;
    say(end, "cd");
    turns_for(end, 10);
    assert_int_equal(end->datas, 1);
    say(end, "ef");
    wait_count(end, &end->datas, 2);
    assert_string_equal(buf_cstr(&end->got), "abcdef");
}

static void a_paused_conn_does_not_read_and_then_goes_on(void **state)
{
    struct end *end = *state;
    end->leave = 3;
    say(end, "abc");
    wait_count(end, &end->datas, 1);
    conn_pause(end->conn, true);
    conn_pause(end->conn, true);
    say(end, "def");
    turns_for(end, 10);
    assert_int_equal(end->datas, 1);
    end->leave = 0;
    conn_pause(end->conn, false);
    loop_turn(end->loop, 20); /* what was left comes without waiting for more */
    assert_true(end->got.len >= 3);
    turns_for(end, 10);
    assert_string_equal(buf_cstr(&end->got), "abcdef");
}

static void input_that_nobody_consumes_has_a_limit(void **state)
{
    struct end *end = *state;
    char block[4096] = {0};
    end->leave = SIZE_MAX;
    conn_set_limits(end->conn, (struct conn_limits){.in_max_bytes = 10000});
    for (int i = 0; i < 3; i++)
        assert_int_equal(sock_send_all(end->fd, block, sizeof(block), clock_mono_ms() + WAIT_MS),
                         0);
    wait_count(end, &end->closes, 1);
    assert_int_equal(end->code, ERR_TOOBIG);
}

static void the_peers_end_is_told_once(void **state)
{
    struct end *end = *state;
    say(end, "last words");
    assert_int_equal(shutdown(end->fd, SHUT_RDWR), 0);
    wait_count(end, &end->closes, 1);
    assert_string_equal(buf_cstr(&end->got), "last words");
    assert_int_equal(end->code, ERR_EOF);
    turns_for(end, 10);
    assert_int_equal(end->closes, 1);
}

/* ---- output ---- */

static void what_is_sent_in_a_turn_leaves_at_its_end_in_order(void **state)
{
    struct end *end = *state;
    struct buf whole = BUF_INIT;
    buf_append_str(&whole, "two ");
    conn_send(end->conn, slice_str("one "));
    conn_send_buf(end->conn, &whole);
    assert_null(whole.data);
    buf_append_str(conn_out(end->conn), "three");
    assert_int_equal(conn_queued_bytes(end->conn), 13);
    loop_turn(end->loop, 0);
    assert_int_equal(conn_queued_bytes(end->conn), 0);
    assert_int_equal(end->drains, 1);
    expect_text(end, "one two three");
}

static void a_slow_peer_gets_everything_and_is_not_read_from_meanwhile(void **state)
{
    struct end *end = *state;
    enum { PIECE = 100000, PIECES = 30 };
    conn_set_limits(end->conn, (struct conn_limits){.out_high_bytes = 200000});
    uint8_t *got = malloc(PIECE);
    for (int i = 0; i < PIECES; i++) {
        struct buf piece = BUF_INIT;
        memset(buf_reserve(&piece, PIECE), i, PIECE);
        piece.len = PIECE;
        if (i % 2)
            conn_send_buf(end->conn, &piece);
        else
            conn_send(end->conn, buf_slice(&piece));
        buf_release(&piece);
    }
    loop_turn(end->loop, 0);
    assert_true(conn_queued_bytes(end->conn) > 1000000);
    say(end, "more!");
    turns_for(end, 10);
    assert_int_equal(end->datas, 0); /* it asks without listening */
    for (int i = 0; i < PIECES; i++) {
        for (size_t have = 0; have < PIECE;) {
            ssize_t n = sock_recv_some(end->fd, got + have, PIECE - have, clock_mono_ms() + 5);
            if (n > 0)
                have += (size_t)n;
            else
                assert_int_equal(n, ERR_TIMEOUT);
            loop_turn(end->loop, 0);
        }
        assert_int_equal(got[0], i);
        assert_int_equal(got[PIECE - 1], i);
    }
    wait_count(end, &end->drains, 1);
    wait_count(end, &end->datas, 1);
    free(got);
}

static void a_peer_that_takes_nothing_is_given_up(void **state)
{
    struct end *end = *state;
    struct buf big = BUF_INIT;
    assert_non_null(buf_reserve(&big, 4 << 20));
    memset(big.data, 0, 4 << 20);
    big.len = 4 << 20;
    conn_set_limits(end->conn, (struct conn_limits){.stall_ms = 30});
    conn_send_buf(end->conn, &big);
    wait_count(end, &end->closes, 1);
    assert_int_equal(end->code, ERR_TIMEOUT);
}

static void sending_to_a_peer_that_is_gone_is_told_by_on_close(void **state)
{
    struct end *end = *state;
    char bytes[] = "x";
    say(end, bytes);
    close(end->fd);
    end->fd = -1;
    conn_send(end->conn, slice_str("hello?"));
    loop_turn(end->loop, 0);
    wait_count(end, &end->closes, 1);
    assert_true(end->code == ERR_CLOSED || end->code == ERR_EOF);
}

static void output_without_memory_closes_the_conn(void **state)
{
    struct end *end = *state;
    mem_fail_after(1);
    conn_send(end->conn, slice_str("x"));
    mem_fail_after(0);
    conn_send(end->conn, slice_str("y")); /* must not go out without the x */
    wait_count(end, &end->closes, 1);
    assert_int_equal(end->code, ERR_NOMEM);
    char byte;
    assert_int_equal(sock_recv_exact(end->fd, &byte, 1, clock_mono_ms() + WAIT_MS), ERR_EOF);
}

/* ---- closing ---- */

static void close_lets_the_output_leave_first(void **state)
{
    struct end *end = *state;
    struct buf big = BUF_INIT;
    enum { LEN = 1 << 20 };
    uint8_t *got = malloc(LEN);
    memset(buf_reserve(&big, LEN), 7, LEN);
    big.len = LEN;
    conn_send_buf(end->conn, &big);
    conn_close(end->conn);
    conn_send(end->conn, slice_str("too late"));
    say(end, "nobody listens");
    for (size_t have = 0; have < LEN;) {
        ssize_t n = sock_recv_some(end->fd, got + have, LEN - have, clock_mono_ms() + 5);
        have += n > 0 ? (size_t)n : 0;
        assert_true(n > 0 || n == ERR_TIMEOUT);
        loop_turn(end->loop, 0);
    }
    assert_int_equal(sock_recv_exact(end->fd, got, 1, clock_mono_ms() + WAIT_MS), ERR_EOF);
    assert_int_equal(shutdown(end->fd, SHUT_RDWR), 0);
    wait_count(end, &end->closes, 1);
    assert_int_equal(end->code, 0);
    assert_int_equal(end->datas, 0);
    free(got);
}

static void closing_does_not_wait_for_ever_for_a_peer_that_stays(void **state)
{
    struct end *end = *state;
    conn_send(end->conn, slice_str("bye"));
    conn_close(end->conn);
    uint64_t start_ms = clock_mono_ms();
    wait_count(end, &end->closes, 1);
    assert_in_range(clock_mono_ms() - start_ms, 900, 3000);
}

static void nothing_is_called_from_inside_close_and_once_from_the_loop(void **state)
{
    struct end *end = *state;
    struct conn *conn = end->conn;
    conn_close(conn);
    conn_close(conn);
    conn_abort(conn);
    assert_int_equal(end->closes, 0);
    assert_false(conn_is_open(conn));
    loop_turn(end->loop, 0);
    assert_int_equal(end->closes, 1);
    assert_int_equal(end->code, 0);
}

static void a_conn_may_be_closed_or_aborted_inside_on_data(void **state)
{
    struct end *end = *state;
    end->must_close = end->must_abort = true;
    say(end, "abc");
    wait_count(end, &end->closes, 1);
    assert_int_equal(end->datas, 1);
}

/* ---- changing hands ---- */

static void a_detached_conn_gives_descriptor_and_both_leftovers(void **state)
{
    struct end *end = *state;
    end->leave = 3;
    end->must_detach = true;
    conn_send(end->conn, slice_str("answer"));
    say(end, "askRAW");
    wait_count(end, &end->datas, 1);
    end->conn = NULL;
    turns_for(end, 5);
    assert_int_equal(end->closes, 0); /* detached, not closed */
    assert_int_equal(end->detach_rc, 0);
    assert_true(slice_is(buf_slice(&end->parts.unread), "RAW"));
    /* and it lives on as another conn, which sees and sends the leftovers */
    end->must_detach = false;
    end->leave = 0;
    end->conn = conn_attach(end->loop, &end->parts, &ops, end);
    assert_non_null(end->conn);
    wait_count(end, &end->datas, 2);
    assert_string_equal(buf_cstr(&end->got), "askRAW");
    turns_for(end, 5);
    expect_text(end, "answer");
}

static void unsent_output_is_given_with_the_descriptor(void **state)
{
    struct end *end = *state;
    struct buf piece = BUF_INIT;
    buf_append_str(&piece, "piece ");
    conn_send(end->conn, slice_str("one "));
    conn_send_buf(end->conn, &piece);
    conn_send(end->conn, slice_str("two"));
    assert_int_equal(conn_detach(end->conn, &end->parts), 0);
    end->conn = NULL;
    assert_true(slice_is(buf_slice(&end->parts.unsent), "one piece two"));
    assert_int_equal(end->parts.unread.len, 0);
    buf_release(&end->parts.unsent);
    close(end->parts.fd);
}

static void a_closed_conn_cannot_be_detached(void **state)
{
    struct end *end = *state;
    conn_abort(end->conn);
    assert_int_equal(conn_detach(end->conn, &end->parts), ERR_CLOSED);
}

/* ---- connecting ---- */

static void forget_fd(int fd, const struct sock_addr *peer, void *arg)
{
    (void)peer, (void)arg;
    close(fd);
}

static struct conn *connect_to(struct end *end, const char *address, uint64_t timeout_ms)
{
    struct conn *conn = NULL;
    struct err err;
    conn_abort(end->conn); /* the pair is not needed */
    turns_for(end, 1);
    end->closes = 0;
    assert_int_equal(conn_connect(end->loop, address, timeout_ms, &ops, end, &conn, &err), 0);
    end->conn = conn;
    return conn;
}

static void connecting_opens_and_sends_what_was_queued(void **state)
{
    struct end *end = *state;
    static const char *const addresses[] = {"127.0.0.1:0", "/tmp/test_conn.sock"};
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        int listener;
        char bound[SOCK_TEXT_MAX], got[6] = "";
        struct err err;
        assert_int_equal(listen_socket(addresses[i], 0600, &listener, bound, &err), 0);
        end->opens = 0;
        struct conn *conn = connect_to(end, bound, WAIT_MS);
        conn_send(conn, slice_str("early"));
        assert_int_equal(end->opens, 0);
        wait_count(end, &end->opens, 1);
        turns_for(end, 2);
        int other = accept(listener, NULL, NULL);
        assert_int_equal(sock_recv_exact(other, got, 5, clock_mono_ms() + WAIT_MS), 0);
        assert_string_equal(got, "early");
        assert_true(conn_is_local(conn));
        close(other);
        close(listener);
        wait_count(end, &end->closes, 1);
        conn = NULL;
        end->conn = conn_new(end->loop, dup(end->fd), &ops, end);
    }
    unlink("/tmp/test_conn.sock");
}

static void connecting_to_nobody_fails_with_the_reason(void **state)
{
    struct end *end = *state;
    int listener;
    char bound[SOCK_TEXT_MAX];
    struct err err;
    assert_int_equal(listen_socket("127.0.0.1:0", 0, &listener, bound, &err), 0);
    close(listener);
    connect_to(end, bound, WAIT_MS);
    wait_count(end, &end->closes, 1);
    assert_int_equal(end->code, ERR_REFUSED);
    assert_int_equal(end->opens, 0);
}

static void a_name_is_looked_up_off_the_loop(void **state)
{
    struct end *end = *state;
    connect_to(end, "no.such.host.invalid:1", WAIT_MS);
    assert_int_equal(end->closes, 0);
    wait_count(end, &end->closes, 1);
    assert_int_equal(end->code, ERR_UNREACHABLE);
}

static void a_conn_may_be_aborted_while_its_name_is_looked_up(void **state)
{
    struct end *end = *state;
    struct conn *conn = connect_to(end, "no.such.host.invalid:1", WAIT_MS);
    conn_abort(conn);
    turns_for(end, 1);
    assert_int_equal(end->closes, 1); /* loop_free waits for the thread */
}

static void an_address_that_is_none_fails_at_once(void **state)
{
    struct end *end = *state;
    struct conn *conn = NULL;
    struct err err;
    assert_int_equal(conn_connect(end->loop, "nonsense", 100, &ops, end, &conn, &err), ERR_INVAL);
    assert_null(conn);
}

/* ---- peers ---- */

static void a_unix_peer_is_known_by_the_kernel(void **state)
{
    struct end *end = *state;
    uid_t uid = 1;
    assert_int_equal(conn_peer_uid(end->conn, &uid), 0);
    assert_int_equal(uid, geteuid());
    assert_true(conn_is_local(end->conn));
    assert_non_null(strstr(conn_peer(end->conn), "unix:pid "));
}

static void a_listener_tells_its_port_and_its_path_goes_with_it(void **state)
{
    struct end *end = *state;
    struct listener *listener = NULL;
    struct err err;
    struct listen_conf conf = {.address = "127.0.0.1:0", .on_accept = forget_fd};
    assert_int_equal(listen_open(end->loop, &conf, &listener, &err), 0);
    assert_true(listen_port(listener) > 0);
    listen_close(listener);
    conf.address = "/tmp/test_conn.listen";
    assert_int_equal(listen_open(end->loop, &conf, &listener, &err), 0);
    assert_int_equal(listen_port(listener), 0);
    assert_string_equal(listen_address(listener), "/tmp/test_conn.listen");
    listen_close(listener);
    assert_int_not_equal(access("/tmp/test_conn.listen", F_OK), 0);
    listen_close(NULL);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(bytes_arrive_and_what_is_left_comes_again_in_front),
        CASE(what_is_wanted_is_waited_for),
        CASE(a_paused_conn_does_not_read_and_then_goes_on),
        CASE(input_that_nobody_consumes_has_a_limit),
        CASE(the_peers_end_is_told_once),
        CASE(what_is_sent_in_a_turn_leaves_at_its_end_in_order),
        CASE(a_slow_peer_gets_everything_and_is_not_read_from_meanwhile),
        CASE(a_peer_that_takes_nothing_is_given_up),
        CASE(sending_to_a_peer_that_is_gone_is_told_by_on_close),
        CASE(output_without_memory_closes_the_conn),
        CASE(close_lets_the_output_leave_first),
        CASE(closing_does_not_wait_for_ever_for_a_peer_that_stays),
        CASE(nothing_is_called_from_inside_close_and_once_from_the_loop),
        CASE(a_conn_may_be_closed_or_aborted_inside_on_data),
        CASE(a_detached_conn_gives_descriptor_and_both_leftovers),
        CASE(unsent_output_is_given_with_the_descriptor),
        CASE(a_closed_conn_cannot_be_detached),
        CASE(connecting_opens_and_sends_what_was_queued),
        CASE(connecting_to_nobody_fails_with_the_reason),
        CASE(a_name_is_looked_up_off_the_loop),
        CASE(a_conn_may_be_aborted_while_its_name_is_looked_up),
        CASE(an_address_that_is_none_fails_at_once),
        CASE(a_unix_peer_is_known_by_the_kernel),
        CASE(a_listener_tells_its_port_and_its_path_goes_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
