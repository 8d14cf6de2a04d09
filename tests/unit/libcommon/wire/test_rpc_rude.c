/* SPDX-License-Identifier: Apache-2.0
 * rpc: a link whose other end is rude, and more questions at once than anybody reads. */
#include "libcommon/event/listen.h"
#include "tests/unit/libcommon/wire/rpc_world.h"

/* ---- a port that answers in its own way ---- */

struct port {
    struct listener *listener;
    unsigned accepted;
    int held[64]; /* accepted and kept, nothing is ever read from them */
    bool slams;   /* closes at once instead */
};

static void on_accept(int fd, const struct sock_addr *from, void *arg)
{
    (void)from;
    struct port *port = arg;
    assert_true(port->accepted < ARRAY_LEN(port->held));
    port->held[port->accepted++] = port->slams ? (close(fd), -1) : fd;
}

static void open_port(struct world *w, struct port *port)
{
    struct listen_conf conf = {.address = "127.0.0.1:0", .on_accept = on_accept, .arg = port};
    assert_int_equal(listen_open(w->loop, &conf, &port->listener, &w->err), 0);
    snprintf(w->address, sizeof(w->address), "%s", listen_address(port->listener));
}

static void close_port(struct port *port)
{
    listen_close(port->listener);
    for (unsigned i = 0; i < port->accepted; i++)
        if (port->held[i] >= 0)
            close(port->held[i]);
}

/* ---- cases ---- */

static void a_server_that_never_says_hello_is_given_up_and_tried_again(void **state)
{
    struct world *w = *state;
    struct port port = {0};
    struct question *q = new_question(w);
    open_port(w, &port);
    w->client_conf.hello_timeout_ms = w->client_conf.connect_timeout_ms = 20;
    start_link(w);
    turn_until(w, link_failed);
    assert_int_equal(w->link_err.code, ERR_TIMEOUT);
    assert_non_null(strstr(w->link_err.msg, "no hello within 20 ms"));
    /* a question meanwhile is told at once, and why */
    struct echo_text text = {slice_str("anybody"), 1};
    rpc_link_ask(w->link, ECHO_METHOD(SAY), &text, &q->wait);
    wait_done(q);
    assert_int_equal(q->code, ERR_UNREACHABLE);
    assert_non_null(strstr(q->err.msg, "no hello within 20 ms"));
    while (port.accepted < 3)
        loop_turn(w->loop, 20);
    rpc_link_close(w->link);
    w->link = NULL;
    close_port(&port);
    free(q);
}

static void a_server_that_closes_at_once_is_not_hammered(void **state)
{
    struct world *w = *state;
    struct port port = {.slams = true};
    open_port(w, &port);
    w->client_conf.retry_min_ms = 10;
    w->client_conf.retry_max_ms = 1000;
    start_link(w);
    turn_for(w, 300); /* 0, 10, 30, 70, 150, 310: some five */
    assert_in_range(port.accepted, 3, 8);
    assert_non_null(strstr(w->link_err.msg, "closed"));
    assert_int_equal(w->client_side.ups, 0);
    rpc_link_close(w->link);
    w->link = NULL;
    close_port(&port);
}

#define MANY 10000

static void ten_thousand_questions_in_flight_each_get_their_own_end(void **state)
{
    struct world *w = *state;
    struct question *all = calloc(MANY, sizeof(*all));
    size_t told = 0, cancelled = 0, asked = 0;
    char text[32];
    connect_both(w);
    for (size_t i = 0; i < MANY; i++) {
        all[i].w = w;
        all[i].wait = (struct rpc_wait){.done = on_done, .arg = &all[i], .timeout_ms = 60000};
        snprintf(text, sizeof(text), "question %zu", i);
        struct echo_text ask = {slice_str(text), i};
        rpc_ask(w->client_side.peer, i % 10 ? ECHO_METHOD(SAY) : ECHO_METHOD(LATER), &ask,
                &all[i].wait);
        asked++;
    }
    for (size_t i = 3; i < MANY; i += 7, cancelled++) /* while they are on their way */
        rpc_cancel(&all[i].wait);
    for (uint64_t limit_ms = clock_mono_ms() + WAIT_MS; told + cancelled < asked;) {
        assert_true(clock_mono_ms() < limit_ms);
        loop_turn(w->loop, 20);
        while (w->server_side.later_count > 0) { /* the youngest first */
            struct echo_text late = {slice_str("late"), 7};
            rpc_answer(w->server_side.later[--w->server_side.later_count], &late);
        }
        told = 0;
        for (size_t i = 0; i < MANY; i++)
            told += all[i].dones;
    }
    for (size_t i = 0; i < MANY; i++) {
        snprintf(text, sizeof(text), "question %zu", i);
        assert_int_equal(all[i].dones, i % 7 != 3);
        assert_false(rpc_is_waiting(&all[i].wait));
        if (all[i].dones)
            assert_string_equal(all[i].text, i % 10 ? text : "late");
    }
    free(all);
}

static void questions_cut_off_in_flight_all_hear_of_it_once(void **state)
{
    struct world *w = *state;
    struct question *all = calloc(2000, sizeof(*all));
    connect_both(w);
    for (size_t i = 0; i < 2000; i++) {
        all[i].w = w;
        all[i].wait = (struct rpc_wait){.done = on_done, .arg = &all[i], .timeout_ms = 60000};
        struct echo_text ask = {slice_str("never"), i};
        rpc_ask(w->client_side.peer, ECHO_METHOD(LATER), &ask, &all[i].wait);
    }
    turn_for(w, 20);
    rpc_server_close(w->server);
    w->server = NULL;
    turn_until(w, client_down);
    for (size_t i = 0; i < 2000; i++) {
        assert_int_equal(all[i].dones, 1);
        assert_int_equal(all[i].code, ERR_CLOSED);
    }
    while (w->server_side.later_count > 0) /* their handlers may answer all the same */
        rpc_answer(w->server_side.later[--w->server_side.later_count], NULL);
    free(all);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_server_that_never_says_hello_is_given_up_and_tried_again),
        CASE(a_server_that_closes_at_once_is_not_hammered),
        CASE(ten_thousand_questions_in_flight_each_get_their_own_end),
        CASE(questions_cut_off_in_flight_all_hear_of_it_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
