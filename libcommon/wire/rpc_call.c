/* SPDX-License-Identifier: Apache-2.0
 * The answerer's side. A call owns a copy of its question's bytes, so that it can be answered
 * later; calls and their arenas are used again, so that answering at once costs no allocation. */
#include "libcommon/wire/rpc_call.h"

#include <stdarg.h>

#include "libcommon/base/doing.h"
#include "libcommon/wire/rpc_inside.h"

#define SPARE_CALLS_MAX  256
#define ARENA_KEEP_BYTES (16U << 10)

/* ---- life ---- */

static struct rpc_call *take_call(struct rpc_core *core)
{
    struct rpc_call *call = list_first(&core->spare_calls, struct rpc_call, link);
    if (!call)
        return mem_calloc(1, sizeof(*call));
    list_remove(&call->link);
    core->spare_count--;
    return call;
}

static void free_call(struct rpc_call *call)
{
    arena_release(&call->arena);
    mem_free(call);
}

static void give_call(struct rpc_core *core, struct rpc_call *call)
{
    if (core->spare_count >= SPARE_CALLS_MAX) {
        free_call(call);
        return;
    }
    if (call->arena.total > ARENA_KEEP_BYTES)
        arena_release(&call->arena);
    else
        arena_reset(&call->arena);
    list_push_front(&core->spare_calls, &call->link);
    core->spare_count++;
}

void rpc_calls_free_spares(struct rpc_core *core)
{
    list_each_safe (&core->spare_calls, it)
        free_call(list_entry(it, struct rpc_call, link));
    list_init(&core->spare_calls);
}

static bool has_too_much(const struct rpc_peer *peer)
{
    return peer->call_count >= peer->core->conf.calls_max || peer->call_bytes >= RPC_CALL_BYTES_MAX;
}

/* Reading stops and goes on with the number of unanswered calls. */
static void update_pause(struct rpc_peer *peer)
{
    bool must_pause = has_too_much(peer);
    if (must_pause == peer->is_paused)
        return;
    peer->is_paused = must_pause;
    if (peer->state == PEER_UP)
        conn_pause(peer->conn, must_pause);
}

static void end_call(struct rpc_call *call)
{
    struct rpc_peer *peer = call->peer;
    peer->call_count--;
    peer->call_bytes -= call->bytes;
    update_pause(peer);
    give_call(peer->core, call);
    rpc_peer_unref(peer);
}

/* ---- arriving ---- */

static void refuse(struct rpc_peer *peer, const struct frame *frame, int code, const char *text)
{
    if (!(frame->flags & FRAME_ONEWAY))
        (void)frame_put_error(conn_out(peer->conn), frame->type, frame->call, code, text);
}

static bool may_call(const struct rpc_peer *peer, const struct rpc_route *route)
{
    return !route->roles || (route->roles & HELLO_ROLE(peer->role));
}

static struct rpc_call *new_call(struct rpc_peer *peer, const struct rpc_route *route,
                                 const struct frame *frame)
{
    struct rpc_call *call = take_call(peer->core);
    if (!call)
        return NULL;
    call->peer = peer;
    call->method = route->method;
    call->call = frame->call;
    call->is_oneway = (frame->flags & FRAME_ONEWAY) || (route->method->flags & MSG_ONEWAY);
    call->deadline_ms =
        frame->deadline_ms ? loop_now_ms(peer->core->loop) + frame->deadline_ms : UINT64_MAX;
    call->bytes = frame->body.len;
    peer->refs++;
    peer->call_count++;
    peer->call_bytes += call->bytes;
    return call;
}

void rpc_calls_arrive(struct rpc_peer *peer, const struct frame *frame)
{
    const struct rpc_route *route = rpc_core_route(peer->core, frame->type);
    char text[160];
    struct err err;
    if (!route || !route->handler) {
        snprintf(text, sizeof(text), "%s (0x%04x) is not known here",
                 route ? route->method->name : "a call", frame->type);
        refuse(peer, frame, ERR_UNSUPPORTED, text);
        return;
    }
    if (!may_call(peer, route)) {
        snprintf(text, sizeof(text), "a %s may not call %s", wire_role_name(peer->role),
                 route->method->name);
        refuse(peer, frame, ERR_ACCESS, text);
        return;
    }
    struct rpc_call *call = new_call(peer, route, frame);
    if (!call) {
        refuse(peer, frame, ERR_NOMEM, "out of memory");
        return;
    }
    call->body = slice_keep(frame->body, &call->arena);
    void *ask = arena_alloc(&call->arena, route->method->ask->size);
    if (!call->body.data || !ask) {
        rpc_fail(call, ERR_NOMEM, "%s: out of memory", route->method->name);
        return;
    }
    if (msg_decode(route->method->ask, call->body, &call->arena, ask, &err) != 0) {
        rpc_fail_err(call, &err);
        return;
    }
    update_pause(peer);
    doing_set(route->method->name, frame->call);
    route->handler(call, ask, route->arg);
    doing_set(NULL, 0);
    loop_blame(peer->core->loop, route->method->name);
}

/* ---- answering ---- */

static void put_answer(struct rpc_call *call, const void *answer)
{
    static const struct msg_void nothing;
    const struct msg_desc *desc = answer ? call->method->answer : &msg_void_desc;
    struct frame frame = {.type = call->method->type, .flags = FRAME_ANSWER, .call = call->call};
    struct buf *out = conn_out(call->peer->conn);
    if (frame_put(out, &frame, desc, answer ? answer : &nothing) == ERR_TOOBIG)
        (void)frame_put_error(out, call->method->type, call->call, ERR_TOOBIG,
                              "the answer is too big for one frame");
}

static bool can_answer(const struct rpc_call *call)
{
    return !call->is_oneway && call->peer->state == PEER_UP;
}

void rpc_answer(struct rpc_call *call, const void *answer)
{
    if (can_answer(call))
        put_answer(call, answer);
    end_call(call);
}

static void put_failure(struct rpc_call *call, int code, const char *text)
{
    if (can_answer(call))
        (void)frame_put_error(conn_out(call->peer->conn), call->method->type, call->call, code,
                              text);
    end_call(call);
}

void rpc_fail(struct rpc_call *call, int code, const char *fmt, ...)
{
    char text[ERR_MSG_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    put_failure(call, code, text);
}

void rpc_fail_err(struct rpc_call *call, const struct err *err)
{
    put_failure(call, err->code, err->msg);
}

int rpc_answer_detach(struct rpc_call *call, const void *answer, struct conn_parts *ret)
{
    struct rpc_peer *peer = call->peer;
    int rc = ERR_CLOSED;
    if (can_answer(call)) {
        put_answer(call, answer);
        if (peer->in) {
            buf_consume(peer->in, peer->in_at);
            peer->in = NULL;
        }
        rc = conn_detach(peer->conn, ret);
    }
    if (rc == 0) {
        peer->state = PEER_LENT;
        peer->conn = NULL;
        rpc_peer_unref(peer); /* the conn's */
    }
    end_call(call);
    return rc;
}

/* ---- asking about it ---- */

const struct msg_method *rpc_call_method(const struct rpc_call *call)
{
    return call->method;
}

struct rpc_peer *rpc_call_peer(const struct rpc_call *call)
{
    return call->peer->state == PEER_DOWN ? NULL : call->peer;
}

const char *rpc_call_user(const struct rpc_call *call)
{
    return call->peer->user;
}

const char *rpc_call_address(const struct rpc_call *call)
{
    return call->peer->address;
}

uint64_t rpc_call_deadline_ms(const struct rpc_call *call)
{
    return call->deadline_ms;
}

struct slice rpc_call_bytes(const struct rpc_call *call)
{
    return call->body;
}

struct arena *rpc_call_arena(struct rpc_call *call)
{
    return &call->arena;
}
