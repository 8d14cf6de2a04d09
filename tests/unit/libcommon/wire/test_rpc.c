/* SPDX-License-Identifier: Apache-2.0
 * rpc: servers and links on one loop, over real sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <malloc.h>
#include <pwd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/str.h"
#include "libcommon/wire/rpc.h"
#include "tests/unit/libcommon/wire/echo.h"

#define WAIT_MS 5000

struct side {
    struct rpc_peer *peer; /* the last that came up */
    unsigned ups, downs;
    int down_code;
    unsigned notes;
    struct rpc_call *later[2048]; /* calls not yet answered */
    size_t later_count;
    struct conn_parts parts;
    bool has_parts;
};

struct world {
    struct loop *loop;
    struct err err;
    struct identity server_id, client_id;
    struct side server_side, client_side;
    struct rpc_service server_service, client_service;
    struct rpc_conf server_conf, client_conf;
    struct rpc_server *server;
    struct rpc_link *link;
    struct err link_err;
    unsigned link_errs;
    char address[SOCK_TEXT_MAX];
    char dir[64];
};

/* ---- what the server does ---- */

static void on_say(struct rpc_call *call, const void *ask, void *arg)
{
    (void)arg;
    rpc_answer(call, ask);
}

static void on_later(struct rpc_call *call, const void *ask, void *arg)
{
    (void)ask;
    struct side *side = arg;
    side->later[side->later_count++] = call;
}

static void on_fail(struct rpc_call *call, const void *ask, void *arg)
{
    (void)arg;
    const struct echo_text *text = ask;
    rpc_fail(call, -(int)text->number, SLICE_FMT, SLICE_ARG(text->text));
}

static void on_note(struct rpc_call *call, const void *ask, void *arg)
{
    (void)ask;
    struct side *side = arg;
    side->notes++;
    rpc_answer(call, NULL);
}

static void on_raw(struct rpc_call *call, const void *ask, void *arg)
{
    struct side *side = arg;
    side->has_parts = rpc_answer_detach(call, ask, &side->parts) == 0;
}

static rpc_handler *const handlers[ECHO_METHOD_COUNT] = {
    [ECHO_AT_SAY] = on_say,      [ECHO_AT_LATER] = on_later, [ECHO_AT_FAIL] = on_fail,
    [ECHO_AT_NOTE] = on_note,    [ECHO_AT_RAW] = on_raw,     [ECHO_AT_ONCE] = on_say,
    [ECHO_AT_RECORDED] = on_say,
};

static void on_up_server(struct rpc_peer *peer, void *arg)
{
    struct world *w = arg;
    w->server_side.peer = peer;
    w->server_side.ups++;
}

static void on_down_server(struct rpc_peer *peer, int code, void *arg)
{
    struct world *w = arg;
    if (w->server_side.peer == peer)
        w->server_side.peer = NULL;
    w->server_side.downs++;
    w->server_side.down_code = code;
}

static void on_up_client(struct rpc_peer *peer, void *arg)
{
    struct world *w = arg;
    w->client_side.peer = peer;
    w->client_side.ups++;
}

static void on_down_client(struct rpc_peer *peer, int code, void *arg)
{
    (void)peer;
    struct world *w = arg;
    w->client_side.peer = NULL;
    w->client_side.downs++;
    w->client_side.down_code = code;
}

static void on_link_error(const struct err *err, void *arg)
{
    struct world *w = arg;
    w->link_err = *err;
    w->link_errs++;
}

/* ---- the world ---- */

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    w->loop = loop_new(&w->err);
    snprintf(w->dir, sizeof(w->dir), "/tmp/test_rpc.XXXXXX");
    if (!w->loop || !mkdtemp(w->dir))
        return -1;
    loop_set_slow_ms(w->loop, 0);
    w->server_id = (struct identity){WIRE_NAMENODE, "c1", "host1", "boss", "boot1", 1};
    w->client_id = (struct identity){WIRE_CLIENT, "", "host2", "alice", "boot2", 2};
    w->server_service =
        (struct rpc_service){ECHO_methods, handlers, ECHO_METHOD_COUNT, 0, &w->server_side};
    w->client_service = w->server_service;
    w->client_service.arg = &w->client_side;
    w->server_conf = (struct rpc_conf){.self = &w->server_id,
                                       .services = &w->server_service,
                                       .service_count = 1,
                                       .on_peer_up = on_up_server,
                                       .on_peer_down = on_down_server,
                                       .arg = w};
    w->client_conf = (struct rpc_conf){.self = &w->client_id,
                                       .services = &w->client_service,
                                       .service_count = 1,
                                       .on_peer_up = on_up_client,
                                       .on_peer_down = on_down_client,
                                       .on_link_error = on_link_error,
                                       .arg = w,
                                       .retry_min_ms = 5,
                                       .retry_max_ms = 20};
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    rpc_link_close(w->link);
    rpc_server_close(w->server);
    loop_free(w->loop);
    rmdir(w->dir);
    free(w);
    return 0;
}

static void turn_until_(struct world *w, bool (*is_done)(struct world *w), const char *what)
{
    uint64_t limit_ms = clock_mono_ms() + WAIT_MS;
    while (!is_done(w)) {
        if (clock_mono_ms() > limit_ms)
            fail_msg("in vain waited for: %s", what);
        loop_turn(w->loop, 20);
    }
}
#define turn_until(w, is_done) turn_until_(w, is_done, #is_done)

static void turn_for(struct world *w, uint64_t ms)
{
    uint64_t limit_ms = clock_mono_ms() + ms;
    while (clock_mono_ms() < limit_ms)
        loop_turn(w->loop, 5);
}

static bool both_up(struct world *w)
{
    return w->client_side.peer && w->server_side.peer;
}
static bool client_down(struct world *w)
{
    return !w->client_side.peer;
}
static bool server_down(struct world *w)
{
    return !w->server_side.peer;
}
static bool link_failed(struct world *w)
{
    return w->link_errs > 0;
}
static bool one_later(struct world *w)
{
    return w->server_side.later_count == 1;
}

static void start_server(struct world *w, const char *address)
{
    assert_int_equal(rpc_server_open(w->loop, address, &w->server_conf, &w->server, &w->err), 0);
    snprintf(w->address, sizeof(w->address), "%s", rpc_server_address(w->server));
}

static void start_link(struct world *w)
{
    assert_int_equal(rpc_link_open(w->loop, w->address, &w->client_conf, &w->link, &w->err), 0);
}

static void connect_both(struct world *w)
{
    start_server(w, "127.0.0.1:0");
    start_link(w);
    turn_until(w, both_up);
}

/* ---- one question ---- */

struct question {
    struct rpc_wait wait;
    struct world *w;
    unsigned dones;
    int code;
    char text[256];
    uint64_t number;
    struct err err;
};

static void on_done(void *arg, int code, const void *answer, const struct err *err)
{
    struct question *q = arg;
    q->dones++;
    q->code = code;
    assert_true((code == 0) == (err == NULL));
    if (err)
        q->err = *err;
    if (answer && q->wait.method->answer == &echo_text_desc) {
        const struct echo_text *text = answer;
        snprintf(q->text, sizeof(q->text), SLICE_FMT, SLICE_ARG(text->text));
        q->number = text->number;
    }
}

static struct question *new_question(struct world *w)
{
    struct question *q = calloc(1, sizeof(*q));
    q->w = w;
    q->wait = (struct rpc_wait){.done = on_done, .arg = q, .timeout_ms = WAIT_MS};
    return q;
}

static void wait_done(struct question *q)
{
    uint64_t limit_ms = clock_mono_ms() + 2 * WAIT_MS;
    while (q->dones == 0 && clock_mono_ms() < limit_ms)
        loop_turn(q->w->loop, 20);
    assert_int_equal(q->dones, 1);
}

static int ask(struct question *q, struct rpc_peer *peer, const struct msg_method *method,
               const char *text, uint64_t number)
{
    struct echo_text body = {slice_str(text), number};
    q->dones = 0;
    rpc_ask(peer, method, &body, &q->wait);
    assert_int_equal(q->dones, 0); /* never from inside */
    wait_done(q);
    return q->code;
}

/* ---- cases ---- */

static void a_question_is_answered(void **state)
{
    struct world *w = *state;
    struct question *q = new_question(w);
    connect_both(w);
    assert_int_equal(ask(q, w->client_side.peer, ECHO_METHOD(SAY), "hello", 42), 0);
    assert_string_equal(q->text, "hello");
    assert_int_equal(q->number, 42);
    free(q);
}

static void either_side_may_ask(void **state)
{
    struct world *w = *state;
    struct question *q = new_question(w);
    connect_both(w);
    assert_int_equal(ask(q, w->server_side.peer, ECHO_METHOD(SAY), "back", 1), 0);
    assert_string_equal(q->text, "back");
    free(q);
}

static void both_know_who_the_other_is(void **state)
{
    struct world *w = *state;
    connect_both(w);
    const struct rpc_peer *client = w->server_side.peer, *server = w->client_side.peer;
    assert_string_equal(rpc_peer_user(client), "alice");
    assert_string_equal(rpc_peer_node(client), "host2");
    assert_string_equal(rpc_peer_boot(client), "boot2");
    assert_int_equal(rpc_peer_role(client), WIRE_CLIENT);
    assert_int_equal(rpc_peer_netns(client), 2);
    assert_string_equal(rpc_peer_cluster(server), "c1");
    assert_int_equal(rpc_peer_role(server), WIRE_NAMENODE);
    assert_string_equal(rpc_peer_address(server), w->address);
}

static void on_a_unix_socket_the_kernel_says_who_calls(void **state)
{
    struct world *w = *state;
    char path[80];
    snprintf(path, sizeof(path), "%s/s", w->dir);
    start_server(w, path);
    start_link(w);
    turn_until(w, both_up);
    assert_string_equal(rpc_peer_user(w->server_side.peer), getpwuid(geteuid())->pw_name);
}

static void an_answer_may_come_later_and_in_any_order(void **state)
{
    struct world *w = *state;
    struct question *a = new_question(w), *b = new_question(w);
    connect_both(w);
    struct echo_text one = {slice_str("one"), 1}, two = {slice_str("two"), 2};
    rpc_ask(w->client_side.peer, ECHO_METHOD(LATER), &one, &a->wait);
    rpc_ask(w->client_side.peer, ECHO_METHOD(LATER), &two, &b->wait);
    while (w->server_side.later_count < 2)
        loop_turn(w->loop, 20);
    rpc_answer(w->server_side.later[1], &two);
    wait_done(b);
    assert_int_equal(a->dones, 0);
    rpc_answer(w->server_side.later[0], &one);
    wait_done(a);
    assert_string_equal(a->text, "one");
    assert_string_equal(b->text, "two");
    free(a);
    free(b);
}

static void a_failure_brings_its_code_and_its_very_text(void **state)
{
    struct world *w = *state;
    struct question *q = new_question(w);
    connect_both(w);
    assert_int_equal(ask(q, w->client_side.peer, ECHO_METHOD(FAIL), "mkdir: `/a': File exists",
                         (uint64_t)-ERR_EXIST),
                     ERR_EXIST);
    assert_string_equal(q->err.msg, "mkdir: `/a': File exists");
    free(q);
}

static void a_method_without_handler_says_so(void **state)
{
    struct world *w = *state;
    struct question *q = new_question(w);
    connect_both(w);
    assert_int_equal(ask(q, w->client_side.peer, ECHO_METHOD(MISSING), "", 0), ERR_UNSUPPORTED);
    assert_string_equal(q->err.msg, "ECHO_MISSING (0x0f06) is not known here");
    free(q);
}

static void a_service_is_closed_to_other_roles(void **state)
{
    struct world *w = *state;
    struct question *q = new_question(w);
    w->server_service.roles = HELLO_ROLE(WIRE_DATANODE);
    connect_both(w);
    assert_int_equal(ask(q, w->client_side.peer, ECHO_METHOD(SAY), "", 0), ERR_ACCESS);
    assert_string_equal(q->err.msg, "a client may not call ECHO_SAY");
    free(q);
}

static void no_answer_in_time_is_a_timeout(void **state)
{
    struct world *w = *state;
    struct question *q = new_question(w);
    connect_both(w);
    q->wait.timeout_ms = 30;
    uint64_t start_ms = clock_mono_ms();
    assert_int_equal(ask(q, w->client_side.peer, ECHO_METHOD(LATER), "", 0), ERR_TIMEOUT);
    assert_true(clock_mono_ms() - start_ms >= 30);
    assert_non_null(strstr(q->err.msg, "ECHO_LATER at 127.0.0.1:"));
    /* the server knew how long we would wait, and its late answer does no harm */
    assert_true(rpc_call_deadline_ms(w->server_side.later[0]) <= loop_now_ms(w->loop) + 30);
    rpc_answer(w->server_side.later[0], NULL);
    turn_for(w, 20);
    assert_int_equal(ask(q, w->client_side.peer, ECHO_METHOD(SAY), "still", 0), 0);
    free(q);
}

static void a_cancelled_question_is_not_told(void **state)
{
    struct world *w = *state;
    struct question *q = new_question(w);
    connect_both(w);
    struct echo_text body = {slice_str("x"), 0};
    rpc_ask(w->client_side.peer, ECHO_METHOD(LATER), &body, &q->wait);
    turn_until(w, one_later);
    rpc_cancel(&q->wait);
    rpc_cancel(&q->wait);
    assert_false(rpc_is_waiting(&q->wait));
    rpc_answer(w->server_side.later[0], &body);
    turn_for(w, 30);
    assert_int_equal(q->dones, 0);
    free(q);
}

static void a_oneway_message_arrives_and_is_not_answered(void **state)
{
    struct world *w = *state;
    connect_both(w);
    struct echo_text body = {slice_str("x"), 0};
    rpc_tell(w->client_side.peer, ECHO_METHOD(NOTE), &body);
    while (w->server_side.notes == 0)
        loop_turn(w->loop, 20);
    turn_for(w, 10);
    assert_int_equal(rpc_peer_queued_bytes(w->server_side.peer), 0);
    assert_int_equal(w->client_side.downs, 0);
}

static void a_lost_connection_ends_every_question_before_the_peer_goes_down(void **state)
{
    struct world *w = *state;
    struct question *q = new_question(w);
    connect_both(w);
    struct echo_text body = {slice_str("x"), 0};
    rpc_ask(w->client_side.peer, ECHO_METHOD(LATER), &body, &q->wait);
    turn_until(w, one_later);
    rpc_peer_close(w->server_side.peer);
    wait_done(q);
    assert_int_equal(q->code, ERR_CLOSED);
    assert_non_null(strstr(q->err.msg, "the connection was lost"));
    turn_until(w, server_down);
    /* the call outlives its peer; its answer is dropped in silence */
    assert_null(rpc_call_peer(w->server_side.later[0]));
    assert_string_equal(rpc_call_user(w->server_side.later[0]), "alice");
    rpc_answer(w->server_side.later[0], &body);
    free(q);
}

static void a_link_comes_back_when_the_server_does(void **state)
{
    struct world *w = *state;
    struct question *q = new_question(w);
    connect_both(w);
    rpc_server_close(w->server);
    w->server = NULL;
    turn_until(w, client_down);
    turn_until(w, link_failed);
    assert_int_equal(w->link_err.code, ERR_REFUSED);
    struct echo_text body = {slice_str("x"), 0};
    rpc_link_ask(w->link, ECHO_METHOD(SAY), &body, &q->wait);
    wait_done(q);
    assert_int_equal(q->code, ERR_UNREACHABLE);
    assert_non_null(strstr(q->err.msg, "is the server running?"));
    char address[SOCK_TEXT_MAX];
    memcpy(address, w->address, sizeof(address));
    start_server(w, address);
    turn_until(w, both_up);
    assert_int_equal(w->client_side.ups, 2);
    assert_int_equal(ask(q, rpc_link_peer(w->link), ECHO_METHOD(SAY), "again", 0), 0);
    free(q);
}

static void a_link_waits_longer_after_each_failure(void **state)
{
    struct world *w = *state;
    snprintf(w->address, sizeof(w->address), "%s/nobody", w->dir);
    w->client_conf.retry_min_ms = 10;
    w->client_conf.retry_max_ms = 80;
    start_link(w);
    turn_for(w, 400); /* 10 20 40 80 80 80 80, give or take a quarter */
    assert_in_range(w->link_errs, 4, 9);
    assert_int_equal(w->link_err.code, ERR_NOENT);
}

static void asking_a_peer_that_is_down_fails_at_the_turns_end(void **state)
{
    struct world *w = *state;
    struct question *q = new_question(w);
    snprintf(w->address, sizeof(w->address), "%s/nobody", w->dir);
    start_link(w);
    assert_null(rpc_link_peer(w->link));
    struct echo_text body = {slice_str("x"), 0};
    rpc_link_ask(w->link, ECHO_METHOD(SAY), &body, &q->wait);
    assert_int_equal(q->dones, 0);
    loop_turn(w->loop, 0);
    assert_int_equal(q->dones, 1);
    assert_int_equal(q->code, ERR_UNREACHABLE);
    /* and closing the link tells those that still wait */
    rpc_link_ask(w->link, ECHO_METHOD(SAY), &body, &q->wait);
    rpc_link_close(w->link);
    w->link = NULL;
    assert_int_equal(q->dones, 2);
    free(q);
}

/* done asks again from inside, with the same wait */
static void on_done_again(void *arg, int code, const void *answer, const struct err *err)
{
    struct question *q = arg;
    on_done(arg, code, answer, err);
    struct echo_text body = {slice_str("again"), q->dones};
    if (q->dones < 5)
        rpc_ask(q->w->client_side.peer, ECHO_METHOD(SAY), &body, &q->wait);
}

static void done_may_ask_again_with_the_same_wait(void **state)
{
    struct world *w = *state;
    struct question *q = new_question(w);
    connect_both(w);
    q->wait.done = on_done_again;
    struct echo_text body = {slice_str("first"), 0};
    rpc_ask(w->client_side.peer, ECHO_METHOD(SAY), &body, &q->wait);
    for (int i = 0; i < 1000 && q->dones < 5; i++)
        loop_turn(w->loop, 20);
    assert_int_equal(q->dones, 5);
    free(q);
}

static void on_done_closing(void *arg, int code, const void *answer, const struct err *err)
{
    struct question *q = arg;
    on_done(arg, code, answer, err);
    rpc_link_close(q->w->link);
    q->w->link = NULL;
}

static void a_link_may_be_closed_from_inside_done(void **state)
{
    struct world *w = *state;
    struct question *q = new_question(w);
    connect_both(w);
    q->wait.done = on_done_closing;
    assert_int_equal(ask(q, w->client_side.peer, ECHO_METHOD(SAY), "x", 0), 0);
    turn_until(w, server_down);
    free(q);
}

static void on_down_closing(struct rpc_peer *peer, int code, void *arg)
{
    struct world *w = arg;
    on_down_client(peer, code, arg);
    rpc_link_close(w->link);
    w->link = NULL;
}

static void a_link_may_be_closed_from_inside_on_peer_down(void **state)
{
    struct world *w = *state;
    w->client_conf.on_peer_down = on_down_closing;
    connect_both(w);
    rpc_peer_close(w->server_side.peer);
    turn_until(w, client_down);
    turn_for(w, 20);
    assert_null(w->link);
}

static void on_handler_closing(struct rpc_call *call, const void *ask_, void *arg)
{
    (void)ask_;
    struct world *w = arg;
    rpc_answer(call, NULL);
    rpc_server_close(w->server);
    w->server = NULL;
}

static void a_server_may_be_closed_from_inside_a_handler_and_its_answer_still_leaves(void **state)
{
    struct world *w = *state;
    struct question *q = new_question(w);
    rpc_handler *const closing[ECHO_METHOD_COUNT] = {[ECHO_AT_FAIL] = on_handler_closing};
    w->server_service.handlers = closing;
    w->server_service.arg = w;
    connect_both(w);
    assert_int_equal(ask(q, w->client_side.peer, ECHO_METHOD(FAIL), "x", 0), 0);
    assert_int_equal(w->server_side.downs, 1);
    turn_until(w, client_down);
    free(q);
}

static bool has_parts(struct world *w)
{
    return w->server_side.has_parts;
}

static void a_connection_is_lent_for_raw_bytes_and_given_back(void **state)
{
    struct world *w = *state;
    struct question *raw = new_question(w), *next = new_question(w);
    connect_both(w);
    struct rpc_peer *peer = w->server_side.peer;
    struct conn_parts *parts = &w->server_side.parts;
    struct echo_text body = {slice_str("raw"), 7};
    rpc_ask(w->client_side.peer, ECHO_METHOD(RAW), &body, &raw->wait);
    rpc_ask(w->client_side.peer, ECHO_METHOD(SAY), &body, &next->wait);
    turn_until(w, has_parts);
    assert_true(parts->unsent.len > 0 && parts->unread.len > 0); /* answer, second question */
    turn_for(w, 20);
    assert_int_equal(raw->dones + next->dones, 0);
    assert_int_equal(sock_send_all(parts->fd, parts->unsent.data, parts->unsent.len, SOCK_FOREVER),
                     0);
    buf_release(&parts->unsent);
    wait_done(raw);
    assert_string_equal(raw->text, "raw");
    assert_int_equal(rpc_peer_resume(peer, parts), 0);
    wait_done(next);
    assert_int_equal(next->code, 0);
    assert_int_equal(w->server_side.downs, 0);
    free(raw);
    free(next);
}

static void a_lent_peer_may_be_closed_instead(void **state)
{
    struct world *w = *state;
    struct question *q = new_question(w);
    connect_both(w);
    struct echo_text body = {slice_str("raw"), 7};
    rpc_ask(w->client_side.peer, ECHO_METHOD(RAW), &body, &q->wait);
    turn_until(w, has_parts);
    struct question *other = new_question(w);
    rpc_ask(w->server_side.peer, ECHO_METHOD(SAY), &body, &other->wait);
    wait_done(other);
    assert_int_equal(other->code, ERR_UNREACHABLE); /* lent: cannot be asked */
    rpc_peer_close(w->server_side.peer);
    assert_int_equal(w->server_side.downs, 0);
    turn_until(w, server_down);
    close(w->server_side.parts.fd);
    buf_release(&w->server_side.parts.unsent);
    buf_release(&w->server_side.parts.unread);
    wait_done(q);
    assert_int_equal(q->code, ERR_CLOSED);
    free(q);
    free(other);
}

/* ---- strangers and hostile peers: plain sockets ---- */

static int dial(struct world *w)
{
    int fd = -1;
    assert_int_equal(sock_connect(w->address, clock_mono_ms() + WAIT_MS, &fd, &w->err), 0);
    return fd;
}

/* Turn the loop until the other side has closed fd; what it said is in `said`. */
static void hear_out(struct world *w, int fd, struct buf *said)
{
    uint64_t limit_ms = clock_mono_ms() + WAIT_MS;
    for (;;) {
        assert_true(clock_mono_ms() < limit_ms);
        loop_turn(w->loop, 5);
        uint8_t *at = buf_reserve(said, 4096);
        ssize_t n = sock_recv_some(fd, at, 4096, clock_mono_ms() + 1);
        if (n == ERR_TIMEOUT)
            continue;
        if (n < 0)
            break;
        said->len += (size_t)n;
    }
    close(fd);
}

static void say(int fd, const void *bytes, size_t len)
{
    assert_int_equal(sock_send_all(fd, bytes, len, clock_mono_ms() + WAIT_MS), 0);
}

static void check_refusal(struct buf *said, int code, const char *text)
{
    struct frame frame;
    struct frame_error error;
    struct arena arena = ARENA_INIT;
    size_t used;
    assert_int_equal(frame_parse(buf_slice(said), FRAME_MAX_BYTES, &frame, &used, NULL), 0);
    assert_int_equal(frame.flags, FRAME_ANSWER | FRAME_ERROR);
    assert_int_equal(msg_decode(&frame_error_desc, frame.body, &arena, &error, NULL), 0);
    assert_int_equal(error.code, code);
    if (!memmem(error.text.data, error.text.len, text, strlen(text)))
        fail_msg(SLICE_FMT, SLICE_ARG(error.text));
    arena_release(&arena);
    buf_release(said);
}

static void a_browser_is_told_where_it_is(void **state)
{
    struct world *w = *state;
    struct buf said = BUF_INIT;
    start_server(w, "127.0.0.1:0");
    int fd = dial(w);
    say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27);
    hear_out(w, fd, &said);
    assert_non_null(strstr(buf_cstr(&said), "HTTP/1.1 400"));
    assert_non_null(strstr(buf_cstr(&said), "quern RPC port"));
    buf_release(&said);
    assert_int_equal(rpc_server_peers(w->server), 0);
}

static void garbage_and_other_protocols_are_closed_without_harm(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *bytes;
        size_t len;
    } words[] = {
        {"hrpc\x09\x00\x00\x00", 8}, {"\x16\x03\x01\x02\x00", 5}, {"\0\0\0\0\0\0\0\0", 8},
        {"\xff\xff\xff\xff", 4},     {"\x01\x10\x00\x00", 4},
    };
    start_server(w, "127.0.0.1:0");
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct buf said = BUF_INIT;
        int fd = dial(w);
        say(fd, words[i].bytes, words[i].len);
        hear_out(w, fd, &said);
        buf_release(&said);
    }
    assert_int_equal(rpc_server_peers(w->server), 0);
    assert_int_equal(w->server_side.ups, 0);
}

static void put_hello(struct buf *out, const struct hello *hello)
{
    struct frame frame = {.type = FRAME_HELLO};
    assert_int_equal(frame_put(out, &frame, &hello_desc, hello), 0);
}

static void a_wrong_hello_is_answered_with_the_reason(void **state)
{
    struct world *w = *state;
    struct hello good = {.magic = slice_str(WIRE_MAGIC),
                         .version_min = 1,
                         .version_max = 1,
                         .role = WIRE_CLIENT,
                         .user = slice_str("eve")};
    struct hello magic = good, version = good, cluster = good, user = good, role = good;
    magic.magic = slice_str("QUARK");
    version.version_min = version.version_max = 9;
    cluster.cluster = slice_str("other");
    user.user = slice_str("a\nb");
    role.role = WIRE_WORKER;
    const struct {
        const struct hello *hello;
        int code;
        const char *text;
    } wrong[] = {
        {&magic, ERR_PROTO, "not quern's"},
        {&version, ERR_VERSION, "speaks protocol 9 to 9, this program 1 to 1"},
        {&cluster, ERR_FOREIGN, "belongs to cluster other, this namenode to c1"},
        {&user, ERR_PROTO, "impossibly"},
        {&role, ERR_ACCESS, "is a worker, which this namenode does not talk to"},
    };
    w->server_conf.roles = HELLO_ROLE(WIRE_CLIENT);
    start_server(w, "127.0.0.1:0");
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct buf said = BUF_INIT, hello = BUF_INIT;
        int fd = dial(w);
        put_hello(&hello, wrong[i].hello);
        say(fd, hello.data, hello.len);
        hear_out(w, fd, &said);
        check_refusal(&said, wrong[i].code, wrong[i].text);
        buf_release(&hello);
    }
    assert_int_equal(w->server_side.ups, 0);
}

static void a_refused_link_tells_the_servers_reason(void **state)
{
    struct world *w = *state;
    w->client_id.cluster = "c2";
    start_server(w, "127.0.0.1:0");
    start_link(w);
    turn_until(w, link_failed);
    assert_int_equal(w->link_err.code, ERR_FOREIGN);
    assert_non_null(strstr(w->link_err.msg, "belongs to cluster c2, this namenode to c1"));
}

static void whoever_does_not_say_hello_in_time_is_dropped(void **state)
{
    struct world *w = *state;
    struct buf said = BUF_INIT;
    w->server_conf.hello_timeout_ms = 40;
    start_server(w, "127.0.0.1:0");
    int fd = dial(w);
    say(fd, "\x40\x00\x00\x00", 4); /* a slow sender: the beginning of a frame */
    hear_out(w, fd, &said);
    check_refusal(&said, ERR_TIMEOUT, "no hello within 40 ms");
    assert_int_equal(rpc_server_peers(w->server), 0);
}

static void a_frame_sent_byte_by_byte_is_understood(void **state)
{
    struct world *w = *state;
    struct buf hello = BUF_INIT;
    start_server(w, "127.0.0.1:0");
    int fd = dial(w);
    hello_put(&hello, &w->client_id, 0);
    for (size_t i = 0; i < hello.len; i++) {
        say(fd, hello.data + i, 1);
        loop_turn(w->loop, 1);
    }
    turn_for(w, 20);
    assert_int_equal(w->server_side.ups, 1);
    buf_release(&hello);
    close(fd);
}

static void one_connection_too_many_is_told_so(void **state)
{
    struct world *w = *state;
    struct buf said = BUF_INIT;
    w->server_conf.peers_max = 1;
    connect_both(w);
    int fd = dial(w);
    hear_out(w, fd, &said);
    check_refusal(&said, ERR_LIMIT, "too many connections");
    assert_int_equal(rpc_server_peers(w->server), 1);
}

static void hostile_frames_after_the_hello_hurt_only_their_sender(void **state)
{
    struct world *w = *state;
    struct question *q = new_question(w);
    connect_both(w);
    struct buf bytes = BUF_INIT, said = BUF_INIT;
    int fd = dial(w);
    hello_put(&bytes, &w->client_id, 0);
    /* a question whose body claims four thousand million items */
    struct frame frame = {.type = ECHO_SAY, .call = 1};
    size_t begin = frame_begin(&bytes, &frame);
    buf_append(&bytes, "\xdd\xff\xff\xff\xff", 5);
    assert_int_equal(frame_end(&bytes, begin), 0);
    /* an answer to nothing, and then a length that cannot be */
    struct frame answer = {.type = ECHO_SAY, .flags = FRAME_ANSWER, .call = 99};
    begin = frame_begin(&bytes, &answer);
    assert_int_equal(frame_end(&bytes, begin), 0);
    buf_append(&bytes, "\xff\xff\xff\x7f", 4);
    say(fd, bytes.data, bytes.len);
    hear_out(w, fd, &said);
    assert_int_equal(ask(q, w->client_side.peer, ECHO_METHOD(SAY), "fine", 0), 0);
    buf_release(&bytes);
    buf_release(&said);
    free(q);
}

static void too_many_unanswered_calls_stop_the_reading(void **state)
{
    struct world *w = *state;
    enum { CALLS = 100, MAX = 8 };
    struct question *q[CALLS];
    w->server_conf.calls_max = MAX;
    connect_both(w);
    struct echo_text body = {slice_str("x"), 0};
    for (int i = 0; i < CALLS; i++) {
        q[i] = new_question(w);
        rpc_ask(w->client_side.peer, ECHO_METHOD(LATER), &body, &q[i]->wait);
    }
    struct side *side = &w->server_side;
    for (size_t answered = 0; answered < CALLS; answered++) {
        turn_for(w, 1);
        assert_true(side->later_count - answered <= MAX);
        if (answered == 0)
            assert_int_equal(side->later_count, MAX);
        while (side->later_count <= answered)
            loop_turn(w->loop, 20);
        rpc_answer(side->later[answered], &body);
    }
    for (int i = 0; i < CALLS; i++) {
        wait_done(q[i]);
        assert_int_equal(q[i]->code, 0);
        free(q[i]);
    }
}

static void an_answer_too_big_for_a_frame_is_an_error_and_the_connection_lives(void **state)
{
    struct world *w = *state;
    struct question *q = new_question(w);
    connect_both(w);
    struct echo_text body = {slice_str("x"), 0};
    rpc_ask(w->client_side.peer, ECHO_METHOD(LATER), &body, &q->wait);
    turn_until(w, one_later);
    size_t len = FRAME_MAX_BYTES;
    char *big = calloc(1, len);
    struct echo_text answer = {slice_of(big, len), 0};
    rpc_answer(w->server_side.later[0], &answer);
    wait_done(q);
    assert_int_equal(q->code, ERR_TOOBIG);
    /* and so is a question */
    rpc_ask(w->client_side.peer, ECHO_METHOD(SAY), &answer, &q->wait);
    q->dones = 0;
    wait_done(q);
    assert_int_equal(q->code, ERR_TOOBIG);
    /* what just fits goes through */
    answer.text.len -= 64;
    rpc_ask(w->client_side.peer, ECHO_METHOD(SAY), &answer, &q->wait);
    q->dones = 0;
    wait_done(q);
    assert_int_equal(q->code, 0);
    free(big);
    free(q);
}

static void many_pipelined_questions_are_answered_with_few_writes(void **state)
{
    struct world *w = *state;
    enum { COUNT = 500 };
    struct question *q[COUNT];
    connect_both(w);
    for (int i = 0; i < COUNT; i++) {
        struct echo_text body = {slice_str("x"), (uint64_t)i};
        q[i] = new_question(w);
        rpc_ask(w->client_side.peer, ECHO_METHOD(SAY), &body, &q[i]->wait);
    }
    int turns = 0;
    while (q[COUNT - 1]->dones == 0 && turns < 50) {
        loop_turn(w->loop, 20);
        turns++;
    }
    assert_true(turns <= 10);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(q[i]->number, i);
        free(q[i]);
    }
}

static void memory_running_out_anywhere_in_a_question_is_an_error_and_no_more(void **state)
{
    struct world *w = *state;
    struct question *q = new_question(w);
    connect_both(w);
    bool has_failed = true;
    for (uint64_t n = 1; n < 200 && has_failed; n++) {
        turn_until(w, both_up);
        struct echo_text body = {slice_str("x"), n};
        q->dones = 0;
        mem_fail_after(n);
        rpc_ask(w->client_side.peer, ECHO_METHOD(SAY), &body, &q->wait);
        wait_done(q);
        has_failed = mem_has_failed();
        mem_fail_after(0);
        assert_true(has_failed || q->code == 0);
        turn_for(w, 1);
    }
    assert_false(has_failed);
    free(q);
}

static void two_thousand_idle_connections_cost_little_and_the_next_is_served(void **state)
{
    struct world *w = *state;
    enum { COUNT = 2000 };
    int *fds = calloc(COUNT, sizeof(*fds));
    struct buf hello = BUF_INIT;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < 2 * COUNT + 100) {
        limit.rlim_cur = 2 * COUNT + 100;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    }
    start_server(w, "127.0.0.1:0");
    hello_put(&hello, &w->client_id, 0);
    loop_turn(w->loop, 1);
    struct mallinfo2 before = mallinfo2();
    for (int i = 0; i < COUNT; i++) {
        fds[i] = dial(w);
        say(fds[i], hello.data, hello.len);
        loop_turn(w->loop, 1);
    }
    while (w->server_side.ups < COUNT)
        loop_turn(w->loop, 10);
    struct mallinfo2 after = mallinfo2(); /* counts nothing under sanitizers */
    size_t each = (after.uordblks - before.uordblks) / COUNT;
    assert_true(each < 4096);
    start_link(w);
    turn_until(w, both_up);
    struct question *q = new_question(w);
    assert_int_equal(ask(q, w->client_side.peer, ECHO_METHOD(SAY), "served", 0), 0);
    for (int i = 0; i < COUNT; i++)
        close(fds[i]);
    while (rpc_server_peers(w->server) > 1)
        loop_turn(w->loop, 10);
    free(q);
    free(fds);
    buf_release(&hello);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_question_is_answered),
        CASE(either_side_may_ask),
        CASE(both_know_who_the_other_is),
        CASE(on_a_unix_socket_the_kernel_says_who_calls),
        CASE(an_answer_may_come_later_and_in_any_order),
        CASE(a_failure_brings_its_code_and_its_very_text),
        CASE(a_method_without_handler_says_so),
        CASE(a_service_is_closed_to_other_roles),
        CASE(no_answer_in_time_is_a_timeout),
        CASE(a_cancelled_question_is_not_told),
        CASE(a_oneway_message_arrives_and_is_not_answered),
        CASE(a_lost_connection_ends_every_question_before_the_peer_goes_down),
        CASE(a_link_comes_back_when_the_server_does),
        CASE(a_link_waits_longer_after_each_failure),
        CASE(asking_a_peer_that_is_down_fails_at_the_turns_end),
        CASE(done_may_ask_again_with_the_same_wait),
        CASE(a_link_may_be_closed_from_inside_done),
        CASE(a_link_may_be_closed_from_inside_on_peer_down),
        CASE(a_server_may_be_closed_from_inside_a_handler_and_its_answer_still_leaves),
        CASE(a_connection_is_lent_for_raw_bytes_and_given_back),
        CASE(a_lent_peer_may_be_closed_instead),
        CASE(a_browser_is_told_where_it_is),
        CASE(garbage_and_other_protocols_are_closed_without_harm),
        CASE(a_wrong_hello_is_answered_with_the_reason),
        CASE(a_refused_link_tells_the_servers_reason),
        CASE(whoever_does_not_say_hello_in_time_is_dropped),
        CASE(a_frame_sent_byte_by_byte_is_understood),
        CASE(one_connection_too_many_is_told_so),
        CASE(hostile_frames_after_the_hello_hurt_only_their_sender),
        CASE(too_many_unanswered_calls_stop_the_reading),
        CASE(an_answer_too_big_for_a_frame_is_an_error_and_the_connection_lives),
        CASE(many_pipelined_questions_are_answered_with_few_writes),
        CASE(memory_running_out_anywhere_in_a_question_is_an_error_and_no_more),
        CASE(two_thousand_idle_connections_cost_little_and_the_next_is_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
