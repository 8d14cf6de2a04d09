/* SPDX-License-Identifier: Apache-2.0
 * rpc: questions, answers, links and their ends. */
#include <pwd.h>

#include "tests/unit/libcommon/wire/rpc_world.h"

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
