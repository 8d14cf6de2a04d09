/* SPDX-License-Identifier: Apache-2.0
 * The asker's side: questions on their way, and the core that servers and links share. */
#include "libcommon/wire/rpc.h"

#include "libcommon/wire/rpc_inside.h"

#define TIMEOUT_DEFAULT_MS 60000
#define ANSWERS_KEEP_BYTES (64U << 10)

/*          rpc_ask                    answer, time-out, lost connection, rpc_cancel
 *   idle ----------> asked ---------------------------------------------> idle
 *     |                                                                    ^
 *     +------------> failing (could not be sent) ---- end of the turn -----+          */
enum wait_state { WAIT_IDLE, WAIT_ASKED, WAIT_FAILING };

/* ---- the core ---- */

static int add_service(struct rpc_core *core, const struct rpc_service *service)
{
    for (size_t i = 0; i < service->count; i++) {
        const struct msg_method *method = &service->methods[i];
        struct rpc_route **page = &core->pages[method->type >> 8];
        if (!*page)
            *page = mem_calloc(256, sizeof(struct rpc_route));
        if (!*page)
            return ERR_NOMEM;
        struct rpc_route *route = &(*page)[method->type & 0xff];
        if (route->method)
            BUG("%s and %s have the same type 0x%04x", route->method->name, method->name,
                method->type);
        *route = (struct rpc_route){method, service->handlers[i], service->arg, service->roles};
    }
    return 0;
}

static void fill_defaults(struct rpc_conf *conf)
{
    if (!conf->calls_max)
        conf->calls_max = 1024;
    if (!conf->hello_timeout_ms)
        conf->hello_timeout_ms = 10000;
    if (!conf->peers_max)
        conf->peers_max = 10000;
    if (!conf->unix_mode)
        conf->unix_mode = 0666;
    if (!conf->connect_timeout_ms)
        conf->connect_timeout_ms = 10000;
    if (!conf->retry_min_ms)
        conf->retry_min_ms = 100;
    if (!conf->retry_max_ms)
        conf->retry_max_ms = 5000;
}

int rpc_core_new(struct loop *loop, const struct rpc_conf *conf, struct rpc_core **ret,
                 struct err *err)
{
    struct rpc_core *core = mem_calloc(1, sizeof(*core));
    if (!core)
        return err_set(err, ERR_NOMEM, "cannot prepare for calls: out of memory");
    core->loop = loop;
    core->conf = *conf;
    core->refs = 1;
    core->address = "";
    list_init(&core->spare_calls);
    list_init(&core->failing);
    fill_defaults(&core->conf);
    for (size_t i = 0; i < conf->service_count; i++) {
        if (add_service(core, &conf->services[i]) != 0) {
            rpc_core_unref(core);
            return err_set(err, ERR_NOMEM, "cannot prepare for calls: out of memory");
        }
    }
    *ret = core;
    return 0;
}

void rpc_core_unref(struct rpc_core *core)
{
    if (--core->refs > 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(core->pages); i++)
        mem_free(core->pages[i]);
    rpc_calls_free_spares(core);
    arena_release(&core->answers);
    mem_free(core);
}

const struct rpc_route *rpc_core_route(const struct rpc_core *core, uint16_t type)
{
    const struct rpc_route *page = core->pages[type >> 8];
    return page && page[type & 0xff].method ? &page[type & 0xff] : NULL;
}

/* ---- ending a wait ---- */

static void forget(struct rpc_wait *wait)
{
    if (wait->state == WAIT_ASKED)
        hmap_remove(&wait->peer->waits, &wait->by_call);
    list_remove(&wait->link);
    loop_timer_stop(&wait->timer);
    wait->state = WAIT_IDLE;
}

static void tell_failed(struct rpc_wait *wait, int code, const char *address, const char *why)
{
    struct err err;
    const struct msg_method *method = wait->method;
    forget(wait);
    err_set(&err, code, "%s at %s: %s", method->name, address, why);
    wait->done(wait->arg, code, NULL, &err);
}

void rpc_cancel(struct rpc_wait *wait)
{
    if (wait->state != WAIT_IDLE)
        forget(wait);
}

static void tell_failing(void *arg)
{
    struct rpc_core *core = arg;
    struct list now;
    /* those that fail again from inside done are told in the next turn */
    list_init(&now);
    while (!list_is_empty(&core->failing)) {
        struct list *first = core->failing.next;
        list_remove(first);
        list_push_back(&now, first);
    }
    core->refs++;
    while (!list_is_empty(&now)) {
        struct rpc_wait *wait = list_first(&now, struct rpc_wait, link);
        bool has_why = wait->code == ERR_UNREACHABLE && core->why[0];
        tell_failed(wait, wait->code, *core->address ? core->address : "a peer that is gone",
                    has_why ? core->why : err_text(wait->code));
    }
    rpc_core_unref(core);
}

void rpc_core_fail(struct rpc_core *core, struct rpc_wait *wait, const struct msg_method *method,
                   int code)
{
    wait->method = method;
    wait->state = WAIT_FAILING;
    wait->code = code;
    list_push_back(&core->failing, &wait->link);
    loop_defer(core->loop, &core->fail_task, tell_failing, core);
}

void rpc_core_close(struct rpc_core *core)
{
    tell_failing(core);
    core->is_closed = true;
    loop_undefer(&core->fail_task);
    rpc_core_unref(core);
}

void rpc_waits_fail_all(struct rpc_peer *peer)
{
    struct rpc_wait *wait;
    while ((wait = list_first(&peer->asked, struct rpc_wait, link)))
        tell_failed(wait, ERR_CLOSED, peer->address, "the connection was lost");
}

static void on_timeout(void *arg)
{
    struct rpc_wait *wait = arg;
    char why[64];
    snprintf(why, sizeof(why), "no answer within %u ms", wait->timeout_ms);
    tell_failed(wait, ERR_TIMEOUT, wait->peer->address, why);
}

/* ---- asking ---- */

/* What is asked: a message, or its bytes. */
struct question {
    const void *ask;
    struct slice bytes; /* data NULL: `ask` is to be encoded */
};

static int send_question(struct rpc_peer *peer, const struct msg_method *method,
                         const struct question *question, struct frame *frame)
{
    struct buf *out = conn_out(peer->conn);
    frame->type = method->type;
    if (!question->bytes.data)
        return frame_put(out, frame, method->ask, question->ask);
    size_t begin = frame_begin(out, frame);
    buf_append_slice(out, question->bytes);
    return frame_end(out, begin);
}

static void put_question(struct rpc_peer *peer, const struct msg_method *method,
                         const struct question *question, struct rpc_wait *wait)
{
    BUG_ON(wait->state != WAIT_IDLE);
    struct rpc_core *core = peer->core;
    if (peer->state != PEER_UP) {
        rpc_core_fail(core, wait, method, ERR_UNREACHABLE);
        return;
    }
    if (!wait->timeout_ms)
        wait->timeout_ms = TIMEOUT_DEFAULT_MS;
    struct frame frame = {.call = ++peer->next_call, .deadline_ms = wait->timeout_ms};
    int rc = loop_timer_start(core->loop, &wait->timer, wait->timeout_ms, 0, on_timeout, wait,
                              method->name);
    if (rc == 0)
        rc = hmap_add(&peer->waits, &wait->by_call, frame.call);
    if (rc == 0) {
        rc = send_question(peer, method, question, &frame);
        if (rc != 0)
            hmap_remove(&peer->waits, &wait->by_call);
    }
    if (rc != 0) {
        loop_timer_stop(&wait->timer);
        rpc_core_fail(core, wait, method, rc);
        return;
    }
    wait->state = WAIT_ASKED;
    wait->peer = peer;
    wait->method = method;
    wait->call = frame.call;
    list_push_back(&peer->asked, &wait->link);
}

void rpc_ask(struct rpc_peer *peer, const struct msg_method *method, const void *ask,
             struct rpc_wait *wait)
{
    put_question(peer, method, &(struct question){.ask = ask}, wait);
}

void rpc_ask_encoded(struct rpc_peer *peer, const struct msg_method *method, struct slice ask,
                     struct rpc_wait *wait)
{
    put_question(peer, method, &(struct question){.bytes = ask}, wait);
}

void rpc_tell(struct rpc_peer *peer, const struct msg_method *method, const void *ask)
{
    struct frame frame = {.flags = FRAME_ONEWAY};
    if (peer->state == PEER_UP)
        (void)send_question(peer, method, &(struct question){.ask = ask},
                            &frame); /* nobody waits to hear of a failure */
}

/* ---- being answered ---- */

static struct rpc_wait *find_wait(struct rpc_peer *peer, uint64_t call)
{
    for (struct hmap_node *n = hmap_find(&peer->waits, call); n; n = hmap_find_next(n)) {
        struct rpc_wait *wait = CONTAINER_OF(n, struct rpc_wait, by_call);
        if (wait->call == call)
            return wait;
    }
    return NULL;
}

static int decode_error(struct rpc_core *core, const struct frame *frame, struct err *err)
{
    struct frame_error error;
    int rc = msg_decode(&frame_error_desc, frame->body, &core->answers, &error, err);
    if (rc != 0)
        return rc;
    int code = error.code < 0 && error.code > -1000 ? (int)error.code : ERR_FAILED;
    return err_set(err, code, SLICE_FMT, SLICE_ARG(error.text));
}

static int decode_answer(struct rpc_core *core, const struct msg_method *method,
                         const struct frame *frame, void **ret_answer, struct err *err)
{
    int rc = ERR_PROTO;
    void *answer = arena_alloc(&core->answers, method->answer->size);
    if (!answer)
        return err_set(err, ERR_NOMEM, "%s: out of memory decoding the answer", method->name);
    if (frame->type != method->type)
        err_set(err, rc, "an answer of type 0x%04x", frame->type);
    else
        rc = msg_decode(method->answer, frame->body, &core->answers, answer, err);
    if (rc != 0)
        err_wrap(err, "the answer to %s", method->name);
    *ret_answer = answer;
    return rc;
}

void rpc_waits_answer(struct rpc_peer *peer, const struct frame *frame)
{
    struct rpc_core *core = peer->core;
    struct rpc_wait *wait = find_wait(peer, frame->call);
    struct err err;
    void *answer = NULL;
    if (!wait)
        return; /* it was cancelled, or too late */
    const struct msg_method *method = wait->method;
    forget(wait);
    int rc = frame->flags & FRAME_ERROR ? decode_error(core, frame, &err)
                                        : decode_answer(core, method, frame, &answer, &err);
    wait->done(wait->arg, rc, rc == 0 ? answer : NULL, rc == 0 ? NULL : &err);
    loop_blame(core->loop, method->name);
    if (core->answers.total > ANSWERS_KEEP_BYTES)
        arena_release(&core->answers);
    else
        arena_reset(&core->answers);
}
