/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/event/listen.h"
#include "libcommon/event/sock.h"
#include "libcommon/event/thread.h"

static struct err err;

static void pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

static uint64_t soon(uint64_t ms)
{
    return clock_mono_ms() + ms;
}

/* ---- addresses ---- */

static void addresses_are_read_and_shown_alike(void **state)
{
    (void)state;
    static const char *const same[] = {"10.0.0.5:8020", "[::1]:80", "/tmp/x.sock"};
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        struct sock_addr addr;
        char text[SOCK_TEXT_MAX];
        assert_int_equal(sock_resolve(same[i], true, &addr, &err), 0);
        assert_string_equal(sock_addr_text(&addr, text, sizeof(text)), same[i]);
    }
    struct sock_addr addr;
    char text[SOCK_TEXT_MAX];
    assert_int_equal(sock_resolve("localhost:1", true, &addr, &err), 0);
    assert_string_equal(sock_addr_text(&addr, text, sizeof(text)), "127.0.0.1:1");
    assert_int_equal(sock_resolve(":99", true, &addr, &err), 0);
    assert_string_equal(sock_addr_text(&addr, text, sizeof(text)), "0.0.0.0:99");
}

static void a_name_needs_a_resolver_and_may_be_unknown(void **state)
{
    (void)state;
    struct sock_addr addr;
    assert_int_equal(sock_resolve("some.host:1", true, &addr, &err), ERR_RETRY);
    assert_int_equal(sock_resolve("no.such.host.invalid:1", false, &addr, &err), ERR_UNREACHABLE);
    assert_non_null(strstr(err.msg, "cannot find host \"no.such.host.invalid\""));
}

static void what_is_no_address_is_refused_with_words(void **state)
{
    (void)state;
    static const char *const bad[] = {"",           "host",   "host:", "host:x",
                                      "host:65536", "::1]:5", "[::1:5"};
    char long_path[200], long_host[400];
    struct sock_addr addr;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        err.msg[0] = 0;
        int rc = sock_resolve(bad[i], false, &addr, &err);
        assert_true(rc == ERR_INVAL || rc == ERR_UNREACHABLE);
        assert_true(err.msg[0] != 0);
    }
    memset(long_path, 'x', sizeof(long_path));
    long_path[0] = '/';
    long_path[199] = 0;
    assert_int_equal(sock_resolve(long_path, false, &addr, &err), ERR_INVAL);
    assert_non_null(strstr(err.msg, "at most 107 bytes"));
    memset(long_host, 'h', sizeof(long_host));
    memcpy(long_host + 390, ":1", 3);
    assert_int_equal(sock_resolve(long_host, false, &addr, &err), ERR_INVAL);
}

static void loopback_and_unix_are_local_and_others_are_not(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        bool is_local;
    } cases[] = {{"127.0.0.1:1", true}, {"127.9.9.9:1", true}, {"[::1]:1", true},    {"/x", true},
                 {"localhost:1", true}, {"10.0.0.1:1", false}, {"0.0.0.0:1", false}, {":1", false},
                 {"[::]:1", false},     {"[fe80::1]:1", false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool is_local = !cases[i].is_local;
        assert_int_equal(sock_is_local(cases[i].address, &is_local, &err), 0);
        if (is_local != cases[i].is_local)
            fail_msg("%s", cases[i].address);
    }
}

/* ---- connecting ---- */

static void connecting_works_over_tcp_and_unix(void **state)
{
    (void)state;
    static const char *const addresses[] = {"127.0.0.1:0", "/tmp/test_sock.connect"};
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        int listener, fd;
        char bound[SOCK_TEXT_MAX];
        assert_int_equal(listen_socket(addresses[i], 0600, &listener, bound, &err), 0);
        assert_int_equal(sock_connect(bound, soon(5000), &fd, &err), 0);
        int other = accept(listener, NULL, NULL);
        assert_true(other >= 0);
        assert_int_equal(sock_send_all(fd, "hi", 2, soon(5000)), 0);
        char got[2];
        assert_int_equal(sock_recv_exact(other, got, 2, soon(5000)), 0);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        close(other);
        close(fd);
        close(listener);
    }
    unlink("/tmp/test_sock.connect");
}

static void loopback_is_not_paced_and_small_frames_leave_at_once(void **state)
{
    (void)state;
    struct sock_addr near, far;
    char control[16] = "", before[16] = "", after[16] = "";
    int no_delay = 0, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(sock_resolve("10.0.0.5:80", true, &far, &err), 0);
    assert_int_equal(sock_resolve("127.0.0.1:80", true, &near, &err), 0);
    getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, before, &(socklen_t){sizeof(before)});
    sock_tune_tcp(fd, &far);
    getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, after, &(socklen_t){sizeof(after)});
    assert_string_equal(after, before); /* the operator's choice */
    getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &(socklen_t){sizeof(no_delay)});
    assert_int_not_equal(no_delay, 0);
    sock_tune_tcp(fd, &near);
    getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, control, &(socklen_t){sizeof(control)});
    assert_string_equal(control, "reno");
    close(fd);
}

static void nobody_listening_is_refused_at_once(void **state)
{
    (void)state;
    int listener, fd;
    char bound[SOCK_TEXT_MAX];
    assert_int_equal(listen_socket("127.0.0.1:0", 0, &listener, bound, &err), 0);
    close(listener);
    assert_int_equal(sock_connect(bound, soon(5000), &fd, &err), ERR_REFUSED);
    assert_non_null(strstr(err.msg, "cannot reach 127.0.0.1:"));
    assert_int_equal(sock_connect("/tmp/no.such.sock", soon(5000), &fd, &err), ERR_NOENT);
}

/* ---- bytes ---- */

struct sender {
    struct thread thread;
    int fd;
    const uint8_t *data;
    size_t len;
    int rc;
};

static void send_all(void *arg)
{
    struct sender *sender = arg;
    sender->rc = sock_send_all(sender->fd, sender->data, sender->len, SOCK_FOREVER);
    close(sender->fd);
}

static void megabytes_arrive_whole_over_small_buffers(void **state)
{
    (void)state;
    int fds[2];
    enum { LEN = 3 << 20 };
    uint8_t *data = malloc(LEN), *got = malloc(LEN);
    for (size_t i = 0; i < LEN; i++)
        data[i] = (uint8_t)(i * 2654435761U >> 13);
    pair(fds);
    assert_int_equal(sock_set_buffers(fds[0], 8192, 8192), 0);
    struct sender sender = {.fd = fds[0], .data = data, .len = LEN};
    assert_int_equal(thread_start(&sender.thread, "send", send_all, &sender, &err), 0);
    assert_int_equal(sock_recv_exact(fds[1], got, LEN, soon(20000)), 0);
    thread_join(&sender.thread);
    assert_int_equal(sender.rc, 0);
    assert_memory_equal(data, got, LEN);
    assert_int_equal(sock_recv_exact(fds[1], got, 1, soon(1000)), ERR_EOF);
    close(fds[1]);
    free(data);
    free(got);
}

static void pieces_are_sent_in_order_empty_ones_too(void **state)
{
    (void)state;
    int fds[2];
    char got[6];
    pair(fds);
    char ab[] = "ab", none[] = "", c[] = "c", def[] = "def";
    struct iovec iov[] = {{ab, 2}, {none, 0}, {c, 1}, {NULL, 0}, {def, 3}};
    assert_int_equal(sock_writev_all(fds[0], iov, ARRAY_LEN(iov), soon(1000)), 0);
    assert_int_equal(sock_recv_exact(fds[1], got, 6, soon(1000)), 0);
    assert_memory_equal(got, "abcdef", 6);
    close(fds[0]);
    close(fds[1]);
}

static void a_silent_peer_is_a_timeout_both_ways(void **state)
{
    (void)state;
    int fds[2];
    char byte, *big = calloc(1, 8 << 20);
    pair(fds);
    uint64_t start_ms = clock_mono_ms();
    assert_int_equal(sock_recv_exact(fds[0], &byte, 1, soon(20)), ERR_TIMEOUT);
    assert_int_equal(sock_send_all(fds[0], big, 8 << 20, soon(20)), ERR_TIMEOUT);
    assert_in_range(clock_mono_ms() - start_ms, 40, 2000);
    close(fds[0]);
    close(fds[1]);
    free(big);
}

static void a_stream_cut_in_the_middle_is_not_an_end(void **state)
{
    (void)state;
    int fds[2];
    char got[4];
    pair(fds);
    assert_int_equal(sock_send_all(fds[0], "ab", 2, soon(1000)), 0);
    close(fds[0]);
    assert_int_equal(sock_recv_exact(fds[1], got, 4, soon(1000)), ERR_CLOSED);
    assert_int_equal(sock_send_all(fds[1], "x", 1, soon(1000)), ERR_CLOSED); /* and no SIGPIPE */
    close(fds[1]);
}

static void on_alarm(int signo)
{
    (void)signo;
}

static void a_signal_does_not_end_a_wait(void **state)
{
    (void)state;
    int fds[2];
    char byte;
    struct sigaction action = {.sa_handler = on_alarm}, before; /* no SA_RESTART */
    struct itimerspec every = {{0, 2000000}, {0, 2000000}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    timer_t timer;
    pair(fds);
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    assert_int_equal(timer_settime(timer, 0, &every, NULL), 0);
    uint64_t start_ms = clock_mono_ms();
    assert_int_equal(sock_recv_exact(fds[0], &byte, 1, soon(30)), ERR_TIMEOUT);
    assert_true(clock_mono_ms() - start_ms >= 30);
    timer_delete(timer);
    sigaction(SIGALRM, &before, NULL);
    close(fds[0]);
    close(fds[1]);
}

/* ---- descriptors ---- */

static size_t open_fds(void)
{
    size_t count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void descriptors_are_passed_with_their_bytes(void **state)
{
    (void)state;
    int fds[2], pipes[2];
    struct sock_fds got;
    char bytes[5], byte;
    size_t before = open_fds();
    pair(fds);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(sock_send_fds(fds[0], slice_str("hello"), pipes, 2, soon(1000)), 0);
    close(pipes[0]);
    close(pipes[1]);
    assert_int_equal(sock_recv_fds(fds[1], bytes, 5, &got, soon(1000)), 0);
    assert_memory_equal(bytes, "hello", 5);
    assert_int_equal(got.count, 2);
    assert_true(fcntl(got.fd[0], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(got.fd[1], "x", 1), 1);
    assert_int_equal(read(got.fd[0], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    close(got.fd[0]);
    close(got.fd[1]);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(open_fds(), before);
}

static void bytes_without_descriptors_are_fine_and_a_closed_peer_is_told(void **state)
{
    (void)state;
    int fds[2];
    struct sock_fds got = {.count = 9};
    char bytes[4];
    pair(fds);
    assert_int_equal(sock_send_fds(fds[0], slice_str("x"), fds, 0, soon(100)), ERR_INVAL);
    assert_int_equal(sock_send_fds(fds[0], slice_str(""), fds, 1, soon(100)), ERR_INVAL);
    assert_int_equal(sock_send_all(fds[0], "abc", 3, soon(100)), 0);
    assert_int_equal(sock_recv_fds(fds[1], bytes, 3, &got, soon(1000)), 0);
    assert_int_equal(got.count, 0);
    assert_int_equal(sock_recv_fds(fds[1], bytes, 1, &got, soon(10)), ERR_TIMEOUT);
    close(fds[0]);
    assert_int_equal(sock_recv_fds(fds[1], bytes, 1, &got, soon(1000)), ERR_EOF);
    close(fds[1]);
}

static void more_descriptors_than_fit_are_closed_and_refused(void **state)
{
    (void)state;
    int fds[2], many[SOCK_FDS_MAX];
    struct sock_fds got;
    char bytes[2];
    pair(fds);
    for (size_t i = 0; i < SOCK_FDS_MAX; i++)
        many[i] = fds[0];
    assert_int_equal(sock_send_fds(fds[0], slice_str("a"), many, SOCK_FDS_MAX, soon(1000)), 0);
    assert_int_equal(sock_send_fds(fds[0], slice_str("b"), many, 1, soon(1000)), 0);
    size_t before = open_fds();
    assert_int_equal(sock_recv_fds(fds[1], bytes, 2, &got, soon(1000)), ERR_PROTO);
    assert_int_equal(open_fds(), before);
    close(fds[0]);
    close(fds[1]);
}

static void the_peer_of_a_unix_socket_is_known_and_of_tcp_is_not(void **state)
{
    (void)state;
    int fds[2];
    uid_t uid = 12345;
    pid_t pid = 0;
    pair(fds);
    assert_int_equal(sock_peer_cred(fds[0], &uid, &pid), 0);
    assert_int_equal(uid, geteuid());
    assert_int_equal(pid, getpid());
    close(fds[0]);
    close(fds[1]);
    int tcp = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(sock_peer_cred(tcp, &uid, &pid), ERR_UNSUPPORTED);
    close(tcp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_shown_alike),
        cmocka_unit_test(a_name_needs_a_resolver_and_may_be_unknown),
        cmocka_unit_test(what_is_no_address_is_refused_with_words),
        cmocka_unit_test(loopback_and_unix_are_local_and_others_are_not),
        cmocka_unit_test(connecting_works_over_tcp_and_unix),
        cmocka_unit_test(loopback_is_not_paced_and_small_frames_leave_at_once),
        cmocka_unit_test(nobody_listening_is_refused_at_once),
        cmocka_unit_test(megabytes_arrive_whole_over_small_buffers),
        cmocka_unit_test(pieces_are_sent_in_order_empty_ones_too),
        cmocka_unit_test(a_silent_peer_is_a_timeout_both_ways),
        cmocka_unit_test(a_stream_cut_in_the_middle_is_not_an_end),
        cmocka_unit_test(a_signal_does_not_end_a_wait),
        cmocka_unit_test(descriptors_are_passed_with_their_bytes),
        cmocka_unit_test(bytes_without_descriptors_are_fine_and_a_closed_peer_is_told),
        cmocka_unit_test(more_descriptors_than_fit_are_closed_and_refused),
        cmocka_unit_test(the_peer_of_a_unix_socket_is_known_and_of_tcp_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
