/* SPDX-License-Identifier: Apache-2.0
 * rpc servers among strangers, hostile peers and crowds: plain sockets on the other side. */
#include <malloc.h>
#include <sys/resource.h>

#include "tests/unit/libcommon/wire/rpc_world.h"

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
    while (side->later_count < MAX)
        loop_turn(w->loop, 20);
    for (size_t answered = 0; answered < CALLS; answered++) {
        turn_for(w, 1);
        assert_true(side->later_count - answered <= MAX);
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
