/* SPDX-License-Identifier: Apache-2.0
 * chan: blocking calls against an rpc server that lives on a thread of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/event/listen.h"
#include "libcommon/event/thread.h"
#include "libcommon/wire/chan.h"
#include "libcommon/wire/rpc.h"
#include "tests/unit/libcommon/wire/echo.h"

#define WAIT_MS 5000

/* ---- the server ---- */

struct server {
    struct thread thread;
    struct loop *loop;
    struct rpc_server *rpc;
    char address[SOCK_TEXT_MAX];
    atomic_int ups;     /* connections that said hello */
    atomic_int arrived; /* questions of the methods that may be dropped */
    atomic_int drops;   /* so many of them are dropped with their connection */
    atomic_int stops;   /* so many of them are answered by one that is stopping */
    struct list laters; /* questions answered after a while */
    struct conn_parts parts;
    bool is_running;
};

struct later {
    struct list link;
    struct loop_timer timer;
    struct rpc_call *call;
    struct echo_text answer;
};

static void on_say(struct rpc_call *call, const void *ask, void *arg)
{
    struct server *server = arg;
    atomic_fetch_add(&server->arrived, 1);
    if (atomic_load(&server->drops) > 0) {
        atomic_fetch_sub(&server->drops, 1);
        rpc_peer_close(rpc_call_peer(call));
    }
    if (atomic_load(&server->stops) > 0) {
        atomic_fetch_sub(&server->stops, 1);
        rpc_fail(call, ERR_CLOSED, "the server is stopping");
        return;
    }
    rpc_answer(call, ask);
}

static void answer_later(void *arg)
{
    struct later *later = arg;
    list_remove(&later->link);
    rpc_answer(later->call, &later->answer);
}

/* Answers after `number` ms. */
static void on_later(struct rpc_call *call, const void *ask, void *arg)
{
    struct server *server = arg;
    const struct echo_text *text = ask;
    struct later *later = arena_calloc(rpc_call_arena(call), 1, sizeof(*later));
    later->call = call;
    list_push_back(&server->laters, &later->link);
    later->answer = *text;
    assert_int_equal(loop_after(server->loop, &later->timer, text->number, answer_later, later), 0);
}

static void on_fail(struct rpc_call *call, const void *ask, void *arg)
{
    (void)arg;
    const struct echo_text *text = ask;
    rpc_fail(call, -(int)text->number, SLICE_FMT, SLICE_ARG(text->text));
}

/* The answer, then raw: the byte r with a descriptor, and then frames again. */
static void on_raw(struct rpc_call *call, const void *ask, void *arg)
{
    struct server *server = arg;
    struct rpc_peer *peer = rpc_call_peer(call);
    assert_int_equal(rpc_answer_detach(call, ask, &server->parts), 0);
    struct buf *unsent = &server->parts.unsent;
    int fd = server->parts.fd;
    assert_int_equal(sock_send_all(fd, unsent->data, unsent->len, SOCK_FOREVER), 0);
    buf_release(unsent);
    if (sock_send_fds(fd, slice_str("r"), &fd, 1, SOCK_FOREVER) != 0)
        assert_int_equal(sock_send_all(fd, "r", 1, SOCK_FOREVER), 0); /* TCP */
    assert_int_equal(rpc_peer_resume(peer, &server->parts), 0);
}

static void on_note(struct rpc_call *call, const void *ask, void *arg)
{
    (void)ask;
    struct server *server = arg;
    atomic_fetch_add(&server->arrived, 1);
    rpc_answer(call, NULL);
}

static rpc_handler *const handlers[ECHO_METHOD_COUNT] = {
    [ECHO_AT_SAY] = on_say,      [ECHO_AT_LATER] = on_later, [ECHO_AT_FAIL] = on_fail,
    [ECHO_AT_NOTE] = on_note,    [ECHO_AT_RAW] = on_raw,     [ECHO_AT_ONCE] = on_say,
    [ECHO_AT_RECORDED] = on_say,
};

static const struct identity namenode = {WIRE_NAMENODE, "c1", "host1", "boss", "boot1", 7};
static const struct identity client = {WIRE_CLIENT, "", "host2", "alice", "boot2", 0};

static void server_main(void *arg)
{
    struct server *server = arg;
    loop_run(server->loop);
    while (!list_is_empty(&server->laters)) {
        struct later *later = list_first(&server->laters, struct later, link);
        loop_timer_stop(&later->timer);
        answer_later(later);
    }
    rpc_server_close(server->rpc);
    loop_free(server->loop);
}

static void on_up(struct rpc_peer *peer, void *arg)
{
    (void)peer;
    struct server *server = arg;
    atomic_fetch_add(&server->ups, 1);
}

static void start(struct server *server, const char *address)
{
    struct rpc_service service = {ECHO_methods, handlers, ECHO_METHOD_COUNT, 0, server};
    struct rpc_conf conf = {.self = &namenode,
                            .services = &service,
                            .service_count = 1,
                            .on_peer_up = on_up,
                            .arg = server};
    struct err err;
    list_init(&server->laters);
    server->loop = loop_new(&err);
    assert_non_null(server->loop);
    if (rpc_server_open(server->loop, address, &conf, &server->rpc, &err) != 0)
        fail_msg("%s", err.msg);
    snprintf(server->address, sizeof(server->address), "%s", rpc_server_address(server->rpc));
    assert_int_equal(thread_start(&server->thread, "server", server_main, server, &err), 0);
    server->is_running = true;
}

static void stop(struct server *server)
{
    if (!server->is_running)
        return;
    loop_stop(server->loop);
    thread_join(&server->thread);
    server->is_running = false;
}

/* ---- fixture ---- */

struct world {
    struct server server;
    struct chan *chan;
    struct arena arena;
    struct err err;
    struct echo_text answer;
};

static int open_chan(struct world *w, const char *address)
{
    struct chan_conf conf = {
        .address = address, .self = &client, .role = WIRE_NAMENODE, .timeout_ms = 1000};
    return chan_open(&conf, &w->chan, &w->err);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    *state = w;
    start(&w->server, "127.0.0.1:0");
    return open_chan(w, w->server.address);
}

static int teardown(void **state)
{
    struct world *w = *state;
    chan_close(w->chan);
    stop(&w->server);
    arena_release(&w->arena);
    free(w);
    return 0;
}

static int call(struct world *w, const struct msg_method *method, const char *text, uint64_t number,
                uint32_t timeout_ms)
{
    struct echo_text ask = {slice_str(text), number};
    w->err = (struct err){0};
    return chan_call(w->chan, method, &ask, &w->arena, &w->answer, timeout_ms, &w->err);
}

/* ---- cases ---- */

static void a_call_is_answered(void **state)
{
    struct world *w = *state;
    assert_int_equal(call(w, ECHO_METHOD(SAY), "hello", 42, WAIT_MS), 0);
    assert_true(slice_is(w->answer.text, "hello"));
    assert_int_equal(w->answer.number, 42);
    assert_string_equal(chan_peer_node(w->chan), "host1");
    assert_string_equal(chan_peer_cluster(w->chan), "c1");
    assert_string_equal(chan_peer_boot(w->chan), "boot1");
    assert_int_equal(chan_peer_netns(w->chan), 7);
    assert_string_equal(chan_address(w->chan), w->server.address);
}

static void an_error_comes_back_with_its_very_text(void **state)
{
    struct world *w = *state;
    assert_int_equal(call(w, ECHO_METHOD(FAIL), "rm: `/x': No such file", (uint64_t)-ERR_NOENT, 0),
                     ERR_NOENT);
    assert_string_equal(w->err.msg, "rm: `/x': No such file");
    assert_int_equal(call(w, ECHO_METHOD(MISSING), "", 0, WAIT_MS), ERR_UNSUPPORTED);
    struct echo_text ask = {slice_str("no err wanted"), (uint64_t)-ERR_IO};
    assert_int_equal(chan_call(w->chan, ECHO_METHOD(FAIL), &ask, &w->arena, NULL, 0, NULL), ERR_IO);
}

static void a_oneway_call_does_not_wait(void **state)
{
    struct world *w = *state;
    assert_int_equal(call(w, ECHO_METHOD(NOTE), "", 0, WAIT_MS), 0);
    for (int i = 0; i < 1000 && atomic_load(&w->server.arrived) == 0; i++)
        usleep(1000);
    assert_int_equal(atomic_load(&w->server.arrived), 1);
}

static void a_late_answer_is_a_timeout_and_does_not_disturb_the_next_call(void **state)
{
    struct world *w = *state;
    uint64_t start_ms = clock_mono_ms();
    assert_int_equal(call(w, ECHO_METHOD(LATER), "late", 60, 20), ERR_TIMEOUT);
    assert_in_range(clock_mono_ms() - start_ms, 20, 55);
    assert_non_null(strstr(w->err.msg, "ECHO_LATER at 127.0.0.1:"));
    assert_non_null(strstr(w->err.msg, "no answer within 20 ms"));
    assert_int_equal(call(w, ECHO_METHOD(LATER), "next", 80, WAIT_MS), 0);
    assert_true(slice_is(w->answer.text, "next"));
}

static void nobody_there_is_told_with_the_role(void **state)
{
    struct world *w = *state;
    struct chan *chan = NULL;
    struct chan_conf conf = {.address = w->server.address, .self = &client, .role = WIRE_NAMENODE};
    stop(&w->server);
    char wanted[200];
    snprintf(wanted, sizeof(wanted),
             "cannot reach %s: connection refused: is the namenode running?", w->server.address);
    assert_int_equal(chan_open(&conf, &chan, &w->err), ERR_REFUSED);
    assert_string_equal(w->err.msg, wanted);
    conf.address = "/tmp/no.such.sock";
    assert_int_equal(chan_open(&conf, &chan, &w->err), ERR_NOENT);
    assert_int_equal(call(w, ECHO_METHOD(ONCE), "", 0, 500), ERR_REFUSED);
    assert_string_equal(w->err.msg, wanted);
}

static void the_wrong_daemon_is_told(void **state)
{
    struct world *w = *state;
    struct chan *chan = NULL;
    struct chan_conf conf = {
        .address = w->server.address, .self = &client, .role = WIRE_JOBTRACKER};
    assert_int_equal(chan_open(&conf, &chan, &w->err), ERR_ACCESS);
    assert_non_null(strstr(w->err.msg, "is a namenode, which this client does not talk to"));
}

/* A server that says `bytes` to whoever connects, after having heard something. */
struct stranger {
    struct thread thread;
    int listener;
    const char *bytes;
};

static void stranger_main(void *arg)
{
    struct stranger *stranger = arg;
    char room[200];
    struct sock_addr addr = {.len = sizeof(addr.storage)};
    int fd;
    while ((fd = accept(stranger->listener, (struct sockaddr *)&addr.storage, &addr.len)) < 0)
        usleep(1000);
    (void)sock_recv_some(fd, room, sizeof(room), clock_mono_ms() + WAIT_MS);
    (void)sock_send_all(fd, stranger->bytes, strlen(stranger->bytes), clock_mono_ms() + WAIT_MS);
    close(fd);
}

static void check_stranger(struct world *w, const char *bytes, const char *wanted)
{
    struct stranger stranger = {.bytes = bytes};
    char bound[SOCK_TEXT_MAX];
    struct chan *chan = NULL;
    assert_int_equal(listen_socket("127.0.0.1:0", 0, &stranger.listener, bound, &w->err), 0);
    assert_int_equal(thread_start(&stranger.thread, "stranger", stranger_main, &stranger, NULL), 0);
    struct chan_conf conf = {.address = bound, .self = &client, .role = WIRE_NAMENODE};
    assert_true(chan_open(&conf, &chan, &w->err) != 0);
    if (!strstr(w->err.msg, wanted))
        fail_msg("%s", w->err.msg);
    thread_join(&stranger.thread);
    close(stranger.listener);
}

static void something_else_on_the_port_is_recognised(void **state)
{
    struct world *w = *state;
    check_stranger(w, "HTTP/1.1 400 Bad Request\r\n\r\n", "is a web server's port");
    check_stranger(w, "\x77\x77\x77\x77 org.apache.hadoop.ipc.RPC$VersionMismatch",
                   "speaks Hadoop's protocol, not quern's: reach it as webhdfs://127.0.0.1:9870");
    check_stranger(w, "SSH-2.0-x\r\n", "is an SSH server");
    check_stranger(w, "", "closed the connection instead of saying hello: is it a namenode?");
    check_stranger(w, "\xff\xff\xff\xff\xff", "does not speak quern's protocol");
}

static void reads_are_asked_again_when_the_connection_breaks(void **state)
{
    struct world *w = *state;
    atomic_store(&w->server.drops, 2);
    assert_int_equal(call(w, ECHO_METHOD(SAY), "again", 1, WAIT_MS), 0);
    assert_true(slice_is(w->answer.text, "again"));
    assert_int_equal(atomic_load(&w->server.arrived), 3);
}

static void recorded_changes_are_asked_again_too(void **state)
{
    struct world *w = *state;
    atomic_store(&w->server.drops, 1);
    assert_int_equal(call(w, ECHO_METHOD(RECORDED), "again", 1, WAIT_MS), 0);
    assert_int_equal(atomic_load(&w->server.arrived), 2);
}

static void one_that_stops_is_asked_again_as_if_it_were_dead(void **state)
{
    struct world *w = *state;
    atomic_store(&w->server.stops, 2);
    assert_int_equal(call(w, ECHO_METHOD(SAY), "again", 1, WAIT_MS), 0);
    assert_int_equal(atomic_load(&w->server.arrived), 3);
    atomic_store(&w->server.stops, 1);
    assert_int_equal(call(w, ECHO_METHOD(RECORDED), "again", 1, WAIT_MS), 0);
    atomic_store(&w->server.stops, 1);
    assert_int_equal(call(w, ECHO_METHOD(ONCE), "once", 1, WAIT_MS), ERR_CLOSED);
    atomic_store(&w->server.stops, 1000);
    assert_int_equal(call(w, ECHO_METHOD(SAY), "in vain", 1, 100), ERR_CLOSED);
    assert_string_equal(w->err.msg, "the server is stopping");
}

static void other_changes_are_never_asked_twice(void **state)
{
    struct world *w = *state;
    atomic_store(&w->server.drops, 1);
    assert_int_equal(call(w, ECHO_METHOD(ONCE), "once", 1, WAIT_MS), ERR_CLOSED);
    assert_non_null(strstr(w->err.msg, "the connection was lost"));
    assert_int_equal(atomic_load(&w->server.arrived), 1);
    assert_int_equal(call(w, ECHO_METHOD(ONCE), "next", 1, WAIT_MS), 0); /* over a new one */
}

static void a_server_that_restarted_meanwhile_is_not_noticed_by_any_call(void **state)
{
    struct world *w = *state;
    char address[SOCK_TEXT_MAX];
    memcpy(address, w->server.address, sizeof(address));
    assert_int_equal(call(w, ECHO_METHOD(SAY), "before", 1, WAIT_MS), 0);
    stop(&w->server);
    start(&w->server, address);
    /* not even by one that may not be asked twice: it had not been sent */
    assert_int_equal(call(w, ECHO_METHOD(ONCE), "after", 1, WAIT_MS), 0);
    assert_int_equal(atomic_load(&w->server.arrived), 2);
}

static void restart_soon(void *arg)
{
    struct server *server = arg;
    char address[SOCK_TEXT_MAX];
    memcpy(address, server->address, sizeof(address));
    usleep(60000);
    start(server, address);
}

static void a_call_waits_for_a_server_that_is_coming_back(void **state)
{
    struct world *w = *state;
    struct thread thread;
    stop(&w->server);
    assert_int_equal(thread_start(&thread, "restart", restart_soon, &w->server, NULL), 0);
    assert_int_equal(call(w, ECHO_METHOD(SAY), "patient", 1, WAIT_MS), 0);
    thread_join(&thread);
}

static void an_attempt_that_failed_is_not_told_when_another_succeeded(void **state)
{
    struct world *w = *state;
    struct thread thread;
    stop(&w->server);
    assert_int_equal(thread_start(&thread, "restart", restart_soon, &w->server, NULL), 0);
    assert_int_equal(call(w, ECHO_METHOD(SAY), "patient", 1, WAIT_MS), 0);
    thread_join(&thread);
    assert_int_equal(w->err.code, 0);
    assert_string_equal(w->err.msg, "");
}

/* ---- threads ---- */

enum { THREADS = 8, CALLS = 200 };
struct caller {
    struct thread thread;
    struct chan *chan;
    unsigned number;
    unsigned good;
};

static void caller_main(void *arg)
{
    struct caller *caller = arg;
    struct arena arena = ARENA_INIT;
    for (unsigned i = 0; i < CALLS; i++) {
        struct echo_text ask = {slice_str("x"), caller->number * CALLS + i}, answer;
        const struct msg_method *method = i % 50 == 7 ? ECHO_METHOD(LATER) : ECHO_METHOD(SAY);
        if (i % 50 == 7)
            ask.number = 1 + caller->number; /* ms */
        if (chan_call(caller->chan, method, &ask, &arena, &answer, WAIT_MS, NULL) == 0 &&
            answer.number == ask.number)
            caller->good++;
        arena_reset(&arena);
    }
    arena_release(&arena);
}

static void run_callers(struct world *w, struct caller *callers)
{
    for (unsigned i = 0; i < THREADS; i++) {
        callers[i] = (struct caller){.chan = w->chan, .number = i};
        assert_int_equal(thread_start(&callers[i].thread, "caller", caller_main, &callers[i], NULL),
                         0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        thread_join(&callers[i].thread);
}

static void many_threads_share_one_connection_and_each_gets_his_own_answer(void **state)
{
    struct world *w = *state;
    struct caller callers[THREADS];
    run_callers(w, callers);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(callers[i].good, CALLS);
    assert_int_equal(atomic_load(&w->server.ups), 1);
}

static void threads_survive_connections_that_break_under_them(void **state)
{
    struct world *w = *state;
    struct caller callers[THREADS];
    atomic_store(&w->server.drops, 20);
    run_callers(w, callers);
    for (unsigned i = 0; i < THREADS; i++) /* a LATER that was under way may be lost, reads not */
        assert_in_range(callers[i].good, CALLS - CALLS / 50, CALLS);
    assert_int_equal(atomic_load(&w->server.drops), 0);
}

#define SLOW_MS 3000

static void slow_main(void *arg)
{
    struct caller *caller = arg;
    struct arena arena = ARENA_INIT;
    struct echo_text ask = {slice_str("slow"), SLOW_MS}, answer;
    caller->good =
        chan_call(caller->chan, ECHO_METHOD(LATER), &ask, &arena, &answer, WAIT_MS, NULL) == 0;
    arena_release(&arena);
}

static void a_quick_call_does_not_wait_for_a_slow_one(void **state)
{
    struct world *w = *state;
    struct caller slow = {.chan = w->chan};
    assert_int_equal(thread_start(&slow.thread, "slow", slow_main, &slow, NULL), 0);
    usleep(30000); /* it reads now, for itself and for us */
    uint64_t start_ms = clock_mono_ms();
    for (int i = 0; i < 10; i++)
        assert_int_equal(call(w, ECHO_METHOD(SAY), "quick", 1, WAIT_MS), 0);
    assert_true(clock_mono_ms() - start_ms < SLOW_MS / 2);
    assert_int_equal(call(w, ECHO_METHOD(LATER), "mine", 10000, 20), ERR_TIMEOUT);
    thread_join(&slow.thread);
    assert_int_equal(slow.good, 1);
}

/* ---- raw bytes ---- */

static void a_conversation_turns_raw_and_comes_back(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 3; i++) {
        int fd;
        char byte;
        assert_int_equal(call(w, ECHO_METHOD(RAW), "raw", 1, WAIT_MS), 0);
        assert_int_equal(chan_lend_fd(w->chan, &fd), 0);
        assert_int_equal(chan_lend_fd(w->chan, &fd), ERR_BUSY);
        assert_int_equal(sock_recv_exact(fd, &byte, 1, clock_mono_ms() + WAIT_MS), 0);
        assert_int_equal(byte, 'r');
        assert_int_equal(call(w, ECHO_METHOD(SAY), "no", 1, 20), ERR_TIMEOUT);
        chan_return_fd(w->chan, true);
        assert_int_equal(call(w, ECHO_METHOD(SAY), "yes", 1, WAIT_MS), 0);
        assert_int_equal(atomic_load(&w->server.ups), 1);
    }
    int fd;
    assert_int_equal(chan_lend_fd(w->chan, &fd), 0);
    chan_return_fd(w->chan, false);
    assert_int_equal(call(w, ECHO_METHOD(SAY), "anew", 1, WAIT_MS), 0);
}

static void descriptors_behind_an_answer_are_not_lost(void **state)
{
    struct world *w = *state;
    char path[64];
    snprintf(path, sizeof(path), "/tmp/test_chan.%d", (int)getpid());
    chan_close(w->chan);
    stop(&w->server);
    start(&w->server, path);
    assert_int_equal(open_chan(w, path), 0);
    int fd;
    char byte;
    struct sock_fds fds;
    assert_int_equal(call(w, ECHO_METHOD(RAW), "raw", 1, WAIT_MS), 0);
    usleep(20000); /* answer and descriptor both wait in the socket */
    assert_int_equal(chan_steal_fd(w->chan, &fd), 0);
    w->chan = NULL;
    assert_int_equal(sock_recv_fds(fd, &byte, 1, &fds, clock_mono_ms() + WAIT_MS), 0);
    assert_int_equal(fds.count, 1);
    close(fds.fd[0]);
    close(fd);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_call_is_answered),
        CASE(an_error_comes_back_with_its_very_text),
        CASE(a_oneway_call_does_not_wait),
        CASE(a_late_answer_is_a_timeout_and_does_not_disturb_the_next_call),
        CASE(nobody_there_is_told_with_the_role),
        CASE(the_wrong_daemon_is_told),
        CASE(something_else_on_the_port_is_recognised),
        CASE(reads_are_asked_again_when_the_connection_breaks),
        CASE(recorded_changes_are_asked_again_too),
        CASE(one_that_stops_is_asked_again_as_if_it_were_dead),
        CASE(other_changes_are_never_asked_twice),
        CASE(a_server_that_restarted_meanwhile_is_not_noticed_by_any_call),
        CASE(a_call_waits_for_a_server_that_is_coming_back),
        CASE(an_attempt_that_failed_is_not_told_when_another_succeeded),
        CASE(many_threads_share_one_connection_and_each_gets_his_own_answer),
        CASE(threads_survive_connections_that_break_under_them),
        CASE(a_quick_call_does_not_wait_for_a_slow_one),
        CASE(a_conversation_turns_raw_and_comes_back),
        CASE(descriptors_behind_an_answer_are_not_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
