/* SPDX-License-Identifier: Apache-2.0
 * http: requests written by hand over plain sockets, so that what goes over the wire is seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <sys/resource.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/event/http.h"
#include "libcommon/event/sock.h"

#define WAIT_MS 5000

struct world {
    struct loop *loop;
    struct http_server *server;
    struct buf heard;
    struct http_request *later;
    unsigned laters;
};

/* ---- handlers ---- */

static void on_show(struct http_request *req, void *arg)
{
    (void)arg;
    static const char *const methods[] = {"GET", "HEAD", "PUT", "POST", "DELETE", "OTHER"};
    const char *q = http_query(req, "q"), *flag = http_query(req, "flag");
    const char *header = http_header(req, "X-Test");
    struct slice body = http_body(req);
    http_reply_text(req, 200, "%s %s q=%s flag=%s x=%s body=" SLICE_FMT " from=%s\n",
                    methods[http_method(req)], http_path(req), q ? q : "none", flag ? flag : "none",
                    header ? header : "none", SLICE_ARG(body), http_peer(req));
}

static void on_named(struct http_request *req, void *arg)
{
    http_reply(req, 201, "text/x-name", slice_str(arg));
}

static void on_later(struct http_request *req, void *arg)
{
    struct world *w = arg;
    w->later = req;
    w->laters++;
}

/* ---- fixture ---- */

static char name_a[] = "a", name_ab[] = "ab", name_root[] = "root";

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct err err;
    *state = w;
    w->loop = loop_new(&err);
    if (!w->loop || http_server_new(w->loop, "127.0.0.1:0", &w->server, &err) != 0)
        return -1;
    return http_route(w->server, "/show", on_show, NULL) ||
           http_route(w->server, "/later", on_later, w) ||
           http_route(w->server, "/a", on_named, name_a) ||
           http_route(w->server, "/a/b/", on_named, name_ab);
}

static int teardown(void **state)
{
    struct world *w = *state;
    http_server_free(w->server);
    loop_free(w->loop);
    buf_release(&w->heard);
    free(w);
    return 0;
}

static int dial(struct world *w)
{
    int fd = -1;
    struct err err;
    assert_int_equal(
        sock_connect(http_server_address(w->server), clock_mono_ms() + WAIT_MS, &fd, &err), 0);
    return fd;
}

/* Listen until the other side closes, or until `until` was heard (NULL = until it closes). */
static const char *hear(struct world *w, int fd, const char *until)
{
    uint64_t limit_ms = clock_mono_ms() + WAIT_MS;
    buf_clear(&w->heard);
    while (clock_mono_ms() < limit_ms) {
        loop_turn(w->loop, 2);
        uint8_t *at = buf_reserve(&w->heard, 4096);
        ssize_t n = sock_recv_some(fd, at, 4096, clock_mono_ms() + 1);
        if (n > 0)
            w->heard.len += (size_t)n;
        if ((n < 0 && n != ERR_TIMEOUT) || (until && strstr(buf_cstr(&w->heard), until)))
            return buf_cstr(&w->heard);
    }
    fail_msg("in vain waited for %s in: %s", until ? until : "the end", buf_cstr(&w->heard));
    return NULL;
}

static const char *ask(struct world *w, const char *request)
{
    int fd = dial(w);
    assert_int_equal(sock_send_all(fd, request, strlen(request), clock_mono_ms() + WAIT_MS), 0);
    const char *heard = hear(w, fd, NULL);
    close(fd);
    return heard;
}

#define END "Host: localhost\r\nConnection: close\r\n\r\n"

static void expect_in(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no \"%s\" in: %s", part, text);
}

/* ---- cases ---- */

static void a_request_reaches_its_handler_with_all_its_parts(void **state)
{
    struct world *w = *state;
    const char *got =
        ask(w, "GET /show/a%20b?q=1%2B+2&flag&other=x HTTP/1.1\r\nX-Test: yes\r\n" END);
    expect_in(got, "HTTP/1.1 200");
    expect_in(got, "Content-Type: text/plain; charset=utf-8\r\n");
    expect_in(got, "X-Content-Type-Options: nosniff\r\n");
    expect_in(got, "GET /show/a b q=1+ 2 flag= x=yes body= from=127.0.0.1\n");
    got = ask(w, "PUT /show HTTP/1.1\r\nContent-Length: 5\r\n" END "hello");
    expect_in(got, "PUT /show q=none flag=none x=none body=hello");
    expect_in(ask(w, "DELETE /show?Q=x HTTP/1.1\r\n" END), "DELETE /show q=x");
    expect_in(ask(w, "POST /show HTTP/1.1\r\nContent-Length: 0\r\n" END), "POST /show");
}

static void a_head_request_gets_the_headers_only(void **state)
{
    struct world *w = *state;
    const char *got = ask(w, "HEAD /a HTTP/1.1\r\n" END);
    expect_in(got, "HTTP/1.1 201");
    expect_in(got, "Content-Length: 1\r\n");
    const char *body = strstr(got, "\r\n\r\n");
    assert_non_null(body);
    assert_int_equal(strlen(body), 4);
}

static void the_longest_prefix_wins_and_ends_at_a_slash(void **state)
{
    struct world *w = *state;
    expect_in(ask(w, "GET /a HTTP/1.1\r\n" END), "\r\n\r\na");
    expect_in(ask(w, "GET /a/x HTTP/1.1\r\n" END), "\r\n\r\na");
    expect_in(ask(w, "GET /a/b/c HTTP/1.1\r\n" END), "\r\n\r\nab");
    expect_in(ask(w, "GET /a/b HTTP/1.1\r\n" END), "\r\n\r\na");
    expect_in(ask(w, "GET /abc HTTP/1.1\r\n" END), "HTTP/1.1 404");
    expect_in(ask(w, "GET / HTTP/1.1\r\n" END), "HTTP/1.1 404");
    assert_int_equal(http_route(w->server, "/", on_named, name_root), 0);
    expect_in(ask(w, "GET / HTTP/1.1\r\n" END), "\r\n\r\nroot");
    expect_in(ask(w, "GET /abc HTTP/1.1\r\n" END), "\r\n\r\nroot");
}

static void a_host_name_that_is_not_ours_is_refused(void **state)
{
    struct world *w = *state;
    static const char *const good[] = {"127.0.0.1", "127.0.0.1:9870", "[::1]:80",  "localhost:1",
                                       "LOCALHOST", "10.1.2.3:80",    "my.name:80"};
    static const char *const bad[] = {"evil.example", "evil.example:9870", "127.0.0.1.evil.example",
                                      "localhost.evil.example", "my.name.evil.example"};
    char request[256], own[128] = "";
    assert_int_equal(http_allow_host(w->server, "my.name"), 0);
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        snprintf(request, sizeof(request),
                 "GET /a HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", good[i]);
        expect_in(ask(w, request), "HTTP/1.1 201");
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(request, sizeof(request),
                 "GET /a HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", bad[i]);
        expect_in(ask(w, request), "HTTP/1.1 403");
    }
    assert_int_equal(gethostname(own, sizeof(own) - 1), 0);
    snprintf(request, sizeof(request), "GET /a HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
             own);
    expect_in(ask(w, request), "HTTP/1.1 201");
}

static void nonsense_is_refused_and_the_server_lives(void **state)
{
    struct world *w = *state;
    (void)ask(w, "NONSENSE\r\n\r\n");
    expect_in(ask(w, "GET /a%00b HTTP/1.1\r\n" END), "HTTP/1.1 400");
    http_set_body_max(w->server, 10);
    expect_in(ask(w, "PUT /show HTTP/1.1\r\nContent-Length: 11\r\n" END "hello world"),
              "HTTP/1.1 413");
    struct buf big = BUF_INIT;
    buf_append_str(&big, "GET /a HTTP/1.1\r\nX-Big: ");
    for (int i = 0; i < 20000; i++)
        buf_append_byte(&big, 'x');
    buf_append_str(&big, "\r\n" END);
    const char *got = ask(w, buf_cstr(&big));
    assert_null(strstr(got, "HTTP/1.1 201"));
    buf_release(&big);
    expect_in(ask(w, "GET /a HTTP/1.1\r\n" END), "HTTP/1.1 201");
}

/* Who speaks quern's protocol here must not wait for an answer that never comes. */
static void a_frame_instead_of_a_request_is_refused_at_once(void **state)
{
    struct world *w = *state;
    static const char frame[] = "\x20\0\0\0\x51\x55\0\0 no newline anywhere";
    int fd = dial(w);
    assert_int_equal(sock_send_all(fd, frame, sizeof(frame), clock_mono_ms() + WAIT_MS), 0);
    expect_in(hear(w, fd, NULL), "HTTP/1."); /* and the connection ends */
    close(fd);
    struct buf body = BUF_INIT; /* NULs further on are nobody's business */
    buf_append_str(&body, "PUT /show HTTP/1.1\r\nContent-Length: 4\r\n" END);
    fd = dial(w);
    assert_int_equal(sock_send_all(fd, body.data, body.len, clock_mono_ms() + WAIT_MS), 0);
    loop_turn(w->loop, 2);
    assert_int_equal(sock_send_all(fd, "\0\0\0\0", 4, clock_mono_ms() + WAIT_MS), 0);
    expect_in(hear(w, fd, NULL), "PUT /show");
    close(fd);
    buf_release(&body);
}

static void several_requests_share_a_connection(void **state)
{
    struct world *w = *state;
    int fd = dial(w);
    for (int i = 0; i < 3; i++) {
        static const char request[] = "GET /show HTTP/1.1\r\nHost: localhost\r\n\r\n";
        assert_int_equal(sock_send_all(fd, request, strlen(request), clock_mono_ms() + WAIT_MS), 0);
        hear(w, fd, "from=127.0.0.1\n");
    }
    close(fd);
}

static void an_answer_may_come_later(void **state)
{
    struct world *w = *state;
    int fd = dial(w);
    static const char request[] = "GET /later HTTP/1.1\r\n" END;
    assert_int_equal(sock_send_all(fd, request, strlen(request), clock_mono_ms() + WAIT_MS), 0);
    while (w->laters == 0)
        loop_turn(w->loop, 20);
    http_set_header(w->later, "X-Later", "yes");
    http_reply_text(w->later, 200, "at last");
    const char *got = hear(w, fd, "at last");
    expect_in(got, "X-Later: yes");
    close(fd);
}

static void answering_a_client_that_has_gone_does_nothing(void **state)
{
    struct world *w = *state;
    int fd = dial(w);
    static const char request[] = "GET /later HTTP/1.1\r\n" END;
    assert_int_equal(sock_send_all(fd, request, strlen(request), clock_mono_ms() + WAIT_MS), 0);
    while (w->laters == 0)
        loop_turn(w->loop, 20);
    close(fd);
    for (int turn = 0; turn < 5; turn++)
        loop_turn(w->loop, 2);
    http_reply_text(w->later, 200, "anybody there?");
    expect_in(ask(w, "GET /a HTTP/1.1\r\n" END), "HTTP/1.1 201");
}

static void answering_after_the_server_was_freed_does_nothing(void **state)
{
    struct world *w = *state;
    int fd = dial(w);
    static const char request[] = "GET /later HTTP/1.1\r\n" END;
    assert_int_equal(sock_send_all(fd, request, strlen(request), clock_mono_ms() + WAIT_MS), 0);
    while (w->laters == 0)
        loop_turn(w->loop, 20);
    http_server_free(w->server);
    w->server = NULL;
    assert_null(http_query(w->later, "q"));
    assert_string_equal(http_path(w->later), "/later");
    http_reply_text(w->later, 200, "too late");
    close(fd);
}

static void a_taken_address_is_told(void **state)
{
    struct world *w = *state;
    struct http_server *second = NULL;
    struct err err;
    assert_int_equal(http_server_new(w->loop, http_server_address(w->server), &second, &err),
                     ERR_BUSY);
    expect_in(err.msg, "is taken by process ");
    mem_fail_after(1);
    assert_int_equal(http_server_new(w->loop, "127.0.0.1:0", &second, &err), ERR_NOMEM);
    mem_fail_after(0);
}

static void without_descriptors_the_server_waits_instead_of_spinning(void **state)
{
    struct world *w = *state;
    struct rlimit before, few;
    int filler[256], count = 0;
    static const char request[] = "GET /a HTTP/1.1\r\n" END;
    int fd = dial(w); /* in the queue, not accepted yet */
    assert_int_equal(sock_send_all(fd, request, strlen(request), clock_mono_ms() + WAIT_MS), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (count < 256 && (filler[count] = dup(fd)) >= 0)
        count++;
    uint64_t start_ms = clock_mono_ms();
    unsigned turns = 0;
    for (; clock_mono_ms() - start_ms < 50; turns++)
        loop_turn(w->loop, 10);
    while (count > 0)
        close(filler[--count]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(turns < 30);
    expect_in(hear(w, fd, NULL), "HTTP/1.1 201");
    close(fd);
}

static void a_server_freed_while_it_waits_for_descriptors_is_not_woken(void **state)
{
    struct world *w = *state;
    struct rlimit before, few;
    int filler[256], count = 0, fd = dial(w);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (count < 256 && (filler[count] = dup(fd)) >= 0)
        count++;
    loop_turn(w->loop, 10);
    while (count > 0)
        close(filler[--count]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    http_server_free(w->server);
    w->server = NULL;
    uint64_t start_ms = clock_mono_ms();
    while (clock_mono_ms() - start_ms < 150)
        loop_turn(w->loop, 20);
    close(fd);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_request_reaches_its_handler_with_all_its_parts),
        CASE(a_head_request_gets_the_headers_only),
        CASE(the_longest_prefix_wins_and_ends_at_a_slash),
        CASE(a_host_name_that_is_not_ours_is_refused),
        CASE(nonsense_is_refused_and_the_server_lives),
        CASE(a_frame_instead_of_a_request_is_refused_at_once),
        CASE(several_requests_share_a_connection),
        CASE(an_answer_may_come_later),
        CASE(answering_a_client_that_has_gone_does_nothing),
        CASE(answering_after_the_server_was_freed_does_nothing),
        CASE(a_taken_address_is_told),
        CASE(without_descriptors_the_server_waits_instead_of_spinning),
        CASE(a_server_freed_while_it_waits_for_descriptors_is_not_woken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
