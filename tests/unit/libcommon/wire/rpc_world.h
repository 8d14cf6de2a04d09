/* SPDX-License-Identifier: Apache-2.0
 * rpc_world: a server and a link on one loop, over real sockets, for the tests of rpc. */
#ifndef QUERN_TEST_WIRE_RPC_WORLD_H
#define QUERN_TEST_WIRE_RPC_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <unistd.h>

#include "libcommon/base/clock.h"
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

static inline void on_say(struct rpc_call *call, const void *ask, void *arg)
{
    (void)arg;
    rpc_answer(call, ask);
}

static inline void on_later(struct rpc_call *call, const void *ask, void *arg)
{
    (void)ask;
    struct side *side = arg;
    side->later[side->later_count++] = call;
}

static inline void on_fail(struct rpc_call *call, const void *ask, void *arg)
{
    (void)arg;
    const struct echo_text *text = ask;
    rpc_fail(call, -(int)text->number, SLICE_FMT, SLICE_ARG(text->text));
}

static inline void on_note(struct rpc_call *call, const void *ask, void *arg)
{
    (void)ask;
    struct side *side = arg;
    side->notes++;
    rpc_answer(call, NULL);
}

static inline void on_raw(struct rpc_call *call, const void *ask, void *arg)
{
    struct side *side = arg;
    side->has_parts = rpc_answer_detach(call, ask, &side->parts) == 0;
}

static rpc_handler *const handlers[ECHO_METHOD_COUNT] = {
    [ECHO_AT_SAY] = on_say,      [ECHO_AT_LATER] = on_later, [ECHO_AT_FAIL] = on_fail,
    [ECHO_AT_NOTE] = on_note,    [ECHO_AT_RAW] = on_raw,     [ECHO_AT_ONCE] = on_say,
    [ECHO_AT_RECORDED] = on_say,
};

static inline void on_up_server(struct rpc_peer *peer, void *arg)
{
    struct world *w = arg;
    w->server_side.peer = peer;
    w->server_side.ups++;
}

static inline void on_down_server(struct rpc_peer *peer, int code, void *arg)
{
    struct world *w = arg;
    if (w->server_side.peer == peer)
        w->server_side.peer = NULL;
    w->server_side.downs++;
    w->server_side.down_code = code;
}

static inline void on_up_client(struct rpc_peer *peer, void *arg)
{
    struct world *w = arg;
    w->client_side.peer = peer;
    w->client_side.ups++;
}

static inline void on_down_client(struct rpc_peer *peer, int code, void *arg)
{
    (void)peer;
    struct world *w = arg;
    w->client_side.peer = NULL;
    w->client_side.downs++;
    w->client_side.down_code = code;
}

static inline void on_link_error(const struct err *err, void *arg)
{
    struct world *w = arg;
    w->link_err = *err;
    w->link_errs++;
}

/* ---- the world ---- */

static inline int setup(void **state)
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

static inline int teardown(void **state)
{
    struct world *w = *state;
    rpc_link_close(w->link);
    rpc_server_close(w->server);
    loop_free(w->loop);
    rmdir(w->dir);
    free(w);
    return 0;
}

static inline void turn_until_(struct world *w, bool (*is_done)(struct world *w), const char *what)
{
    uint64_t limit_ms = clock_mono_ms() + WAIT_MS;
    while (!is_done(w)) {
        if (clock_mono_ms() > limit_ms)
            fail_msg("in vain waited for: %s", what);
        loop_turn(w->loop, 20);
    }
}
#define turn_until(w, is_done) turn_until_(w, is_done, #is_done)

static inline void turn_for(struct world *w, uint64_t ms)
{
    uint64_t limit_ms = clock_mono_ms() + ms;
    while (clock_mono_ms() < limit_ms)
        loop_turn(w->loop, 5);
}

static inline bool both_up(struct world *w)
{
    return w->client_side.peer && w->server_side.peer;
}
static inline bool client_down(struct world *w)
{
    return !w->client_side.peer;
}
static inline bool server_down(struct world *w)
{
    return !w->server_side.peer;
}
static inline bool link_failed(struct world *w)
{
    return w->link_errs > 0;
}
static inline bool one_later(struct world *w)
{
    return w->server_side.later_count == 1;
}

static inline void start_server(struct world *w, const char *address)
{
    assert_int_equal(rpc_server_open(w->loop, address, &w->server_conf, &w->server, &w->err), 0);
    snprintf(w->address, sizeof(w->address), "%s", rpc_server_address(w->server));
}

static inline void start_link(struct world *w)
{
    assert_int_equal(rpc_link_open(w->loop, w->address, &w->client_conf, &w->link, &w->err), 0);
}

static inline void connect_both(struct world *w)
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

static inline void on_done(void *arg, int code, const void *answer, const struct err *err)
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

static inline struct question *new_question(struct world *w)
{
    struct question *q = calloc(1, sizeof(*q));
    q->w = w;
    q->wait = (struct rpc_wait){.done = on_done, .arg = q, .timeout_ms = WAIT_MS};
    return q;
}

static inline void wait_done(struct question *q)
{
    uint64_t limit_ms = clock_mono_ms() + 2 * WAIT_MS;
    while (q->dones == 0 && clock_mono_ms() < limit_ms)
        loop_turn(q->w->loop, 20);
    assert_int_equal(q->dones, 1);
}

static inline int ask(struct question *q, struct rpc_peer *peer, const struct msg_method *method,
                      const char *text, uint64_t number)
{
    struct echo_text body = {slice_str(text), number};
    q->dones = 0;
    rpc_ask(peer, method, &body, &q->wait);
    assert_int_equal(q->dones, 0); /* never from inside */
    wait_done(q);
    return q->code;
}

#endif
