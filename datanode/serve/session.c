/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/serve/session.h"

#include <stdarg.h>
#include <unistd.h>

#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/sm.h"

#define IN_MAX_BYTES (128U << 10) /* no request is larger: sixteen nodes and their names */

enum state { HELLO, IDLE, SERVING, MOVING, CLOSED };
static const struct sm_state states[] = {
    [HELLO] = {"HELLO", SM_TO(IDLE) | SM_TO(CLOSED), SM_INITIAL},
    [IDLE] = {"IDLE", SM_TO(SERVING) | SM_TO(CLOSED), 0},
    [SERVING] = {"SERVING", SM_TO(IDLE) | SM_TO(MOVING) | SM_TO(CLOSED), 0},
    [MOVING] = {"MOVING", SM_TO(IDLE) | SM_TO(CLOSED), 0},
    [CLOSED] = {"CLOSED", 0, SM_FINAL},
};
static const struct sm_table session_sm = {"session", states, ARRAY_LEN(states)};

static void move(struct dn_session *s, enum state to)
{
    sm_move(&session_sm, &s->state, to);
}

/* ---- end ---- */

static void reap(void *arg)
{
    struct dn_session *s = arg;
    arena_release(&s->arena);
    buf_release(&s->pending);
    buf_release(&s->unsent);
    mem_free(s);
}

/* Without a conn: tell the keeper, and go at the end of the turn. */
static void finish(struct dn_session *s)
{
    if (s->state == CLOSED)
        return;
    move(s, CLOSED);
    loop_timer_stop(&s->timer);
    s->conf->on_closed(s, s->conf->arg);
    loop_defer(s->conf->loop, &s->reap, reap, s);
}

static void hang_up(struct dn_session *s)
{
    if (s->conn)
        conn_close(s->conn); /* on_close goes on */
    else
        finish(s);
}

void dn_session_close(struct dn_session *session)
{
    session->is_gone = true;
    if (session->state == HELLO || session->state == IDLE)
        hang_up(session);
}

static void on_silence(void *arg)
{
    struct dn_session *s = arg;
    if (s->state == HELLO)
        log_info("dn.serve", "%s connected and said nothing: closing", s->peer);
    hang_up(s);
}

/* The peer ended it. A request under way goes on, its answer to nobody. */
static void on_close(struct conn *conn, int code, void *arg)
{
    (void)conn;
    (void)code;
    struct dn_session *s = arg;
    s->conn = NULL;
    s->is_gone = true;
    if (s->state != SERVING)
        finish(s);
}

/* ---- requests ---- */

static void refuse_stream(struct dn_session *s, const struct err *why)
{
    struct err err = *why;
    if (s->state == HELLO && hello_stranger(buf_slice(&s->pending), s->peer, &err) == 0)
        err_wrap(&err, "%s does not speak quern's protocol", s->peer);
    log_warn("dn.serve", "%s: %s: closing", s->peer, err.msg);
    conn_close(s->conn);
}

static void keep_user(struct dn_session *s, struct slice said)
{
    uid_t uid;
    if (conn_peer_uid(s->conn, &uid) == 0)
        identity_user_of(uid, s->user, sizeof(s->user));
    else
        snprintf(s->user, sizeof(s->user), SLICE_FMT, SLICE_ARG(said));
}

/* False when the stream ended here. */
static bool take_hello(struct dn_session *s, const struct frame *frame)
{
    struct arena arena = ARENA_INIT;
    struct hello hello;
    struct err err = {0};
    struct hello_want want = {s->conf->self, 0, s->peer};
    int rc = hello_check(frame, &want, &arena, &hello, &err);
    if (rc == 0)
        keep_user(s, hello.user);
    arena_release(&arena);
    if (rc == 0) {
        (void)hello_put(conn_out(s->conn), s->conf->self, FRAME_ANSWER); /* the conn tells */
        move(s, IDLE);
        loop_timer_stop(&s->timer);
        return loop_after(s->conf->loop, &s->timer, s->conf->idle_ms, on_silence, s) == 0;
    }
    log_warn("dn.serve", "refused: %s", err.msg);
    (void)frame_put_error(conn_out(s->conn), FRAME_HELLO, 0, err.code, err.msg);
    conn_close(s->conn);
    return false;
}

static const struct msg_method *find_method(uint16_t type)
{
    for (size_t i = 0; i < DATA_METHOD_COUNT; i++)
        if (DATA_methods[i].type == type)
            return &DATA_methods[i];
    return NULL;
}

static void take_request(struct dn_session *s, const struct frame *frame)
{
    struct err err = {0};
    move(s, SERVING);
    loop_timer_stop(&s->timer);
    conn_pause(s->conn, true);
    s->call = frame->call;
    s->type = frame->type;
    s->method = find_method(frame->type);
    if (!s->method || (frame->flags & (FRAME_ANSWER | FRAME_ONEWAY))) {
        dn_session_fail(s, ERR_UNSUPPORTED, "no such request: 0x%04x", frame->type);
        return;
    }
    void *ask = arena_alloc(&s->arena, s->method->ask->size);
    int rc = ask ? msg_decode(s->method->ask, frame->body, &s->arena, ask, &err)
                 : err_set(&err, ERR_NOMEM, "out of memory");
    if (rc != 0)
        dn_session_fail(s, rc, "%s: %s", s->method->name, err.msg);
    else
        s->conf->on_request(s, s->method, ask, s->conf->arg);
}

/* What the request points to must live until it is answered: out of the input, into the arena. */
static bool keep_body(struct dn_session *s, struct frame *frame)
{
    arena_reset(&s->arena);
    frame->body = slice_keep(frame->body, &s->arena);
    return frame->body.data != NULL;
}

/* One frame, if there is one and its time has come. False = nothing more to do now. */
static bool take_frame(struct dn_session *s)
{
    struct frame frame;
    size_t used = 0;
    struct err err = {0};
    if (!s->conn || !conn_is_open(s->conn) || (s->state != HELLO && s->state != IDLE))
        return false;
    size_t max = s->state == HELLO ? FRAME_HELLO_MAX_BYTES : IN_MAX_BYTES;
    int rc = frame_parse(buf_slice(&s->pending), max, &frame, &used, &err);
    if (rc == ERR_RETRY)
        return false;
    if (rc == 0 && s->state != HELLO && !keep_body(s, &frame))
        rc = err_set(&err, ERR_NOMEM, "out of memory");
    if (rc != 0) {
        refuse_stream(s, &err);
        return false;
    }
    if (s->state == HELLO) {
        bool is_welcome = take_hello(s, &frame);
        buf_consume(&s->pending, used);
        return is_welcome;
    }
    buf_consume(&s->pending, used);
    take_request(s, &frame);
    return true;
}

/* Requests may be answered from inside: the outermost call goes on then. */
static void pump(struct dn_session *s)
{
    if (s->is_pumping)
        return;
    s->is_pumping = true;
    while (take_frame(s))
        ;
    s->is_pumping = false;
    if (s->pending.len == 0)
        buf_release(&s->pending); /* an idle session owns no memory it does not need */
}

static void on_data(struct conn *conn, struct buf *in, void *arg)
{
    struct dn_session *s = arg;
    buf_append_slice(&s->pending, buf_slice(in));
    buf_consume(in, in->len);
    if (buf_failed(&s->pending))
        conn_abort(conn);
    else
        pump(s);
}

static const struct conn_ops session_ops = {.on_data = on_data, .on_close = on_close};

/* ---- opening ---- */

struct dn_session *dn_session_open(const struct dn_session_conf *conf, int fd, bool is_unix)
{
    struct dn_session *s = mem_calloc(1, sizeof(*s));
    if (!s) {
        close(fd);
        return NULL;
    }
    s->conf = conf;
    s->is_unix = is_unix;
    s->state = HELLO;
    list_init(&s->link);
    if (loop_after(conf->loop, &s->timer, conf->hello_ms, on_silence, s) != 0) {
        close(fd);
        mem_free(s);
        return NULL;
    }
    s->conn = conn_new(conf->loop, fd, &session_ops, s);
    if (!s->conn) {
        loop_timer_stop(&s->timer);
        mem_free(s);
        return NULL;
    }
    conn_set_limits(s->conn, (struct conn_limits){.in_max_bytes = IN_MAX_BYTES});
    snprintf(s->peer, sizeof(s->peer), "%s", conn_peer(s->conn));
    return s;
}

/* ---- ends of a request ---- */

/* Between requests again, or not at all any more. */
static void rest(struct dn_session *s)
{
    move(s, IDLE);
    if (s->is_gone || !s->conn ||
        loop_after(s->conf->loop, &s->timer, s->conf->idle_ms, on_silence, s) != 0) {
        hang_up(s);
        return;
    }
    conn_pause(s->conn, false);
    pump(s);
}

void dn_session_answer(struct dn_session *session, const void *answer)
{
    if (session->conn)
        (void)dn_session_put_answer(session, answer, conn_out(session->conn));
    rest(session);
}

void dn_session_fail(struct dn_session *session, int code, const char *fmt, ...)
{
    struct err err = {.code = code};
    va_list args;
    va_start(args, fmt);
    vsnprintf(err.msg, sizeof(err.msg), fmt, args);
    va_end(args);
    if (session->conn)
        (void)dn_session_put_error(session, &err, conn_out(session->conn));
    rest(session);
}

void dn_session_end(struct dn_session *session, int fd)
{
    if (fd >= 0)
        close(fd);
    session->is_gone = true;
    rest(session);
}

/* ---- block bytes ---- */

int dn_session_detach(struct dn_session *session, int *ret_fd)
{
    struct conn_parts parts;
    if (!session->conn || session->is_gone)
        return ERR_CLOSED;
    if (session->pending.len > 0)
        return ERR_PROTO;
    int rc = conn_detach(session->conn, &parts);
    if (rc != 0)
        return rc;
    session->conn = NULL;
    move(session, MOVING);
    buf_release(&session->pending);
    session->unsent = parts.unsent;
    session->pending = parts.unread;
    *ret_fd = parts.fd;
    return 0;
}

void dn_session_attach(struct dn_session *session, int fd, struct slice first)
{
    buf_release(&session->unsent);
    session->conn = conn_new(session->conf->loop, fd, &session_ops, session);
    if (session->conn) {
        conn_set_limits(session->conn, (struct conn_limits){.in_max_bytes = IN_MAX_BYTES});
        conn_send(session->conn, first);
    }
    rest(session);
}

int dn_session_put_answer(struct dn_session *session, const void *answer, struct buf *out)
{
    struct frame frame = {.type = session->type, .flags = FRAME_ANSWER, .call = session->call};
    struct msg_void nothing = {0};
    buf_append_slice(out, buf_slice(&session->unsent));
    buf_release(&session->unsent);
    return frame_put(out, &frame, session->method->answer, answer ? answer : &nothing);
}

int dn_session_put_error(struct dn_session *session, const struct err *err, struct buf *out)
{
    buf_append_slice(out, buf_slice(&session->unsent));
    buf_release(&session->unsent);
    return frame_put_error(out, session->type, session->call, err->code, err->msg);
}
