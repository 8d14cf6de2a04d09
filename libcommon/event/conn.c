/* SPDX-License-Identifier: Apache-2.0
 * Input is read into the loop's scratch buffer, and only what on_data leaves behind moves to `in`.
 * Output waits in an outq, whose gathering buffer comes from the loop's spare ones and goes back
 * there. */
#include "libcommon/event/conn.h"

#include <errno.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/sm.h"
#include "libcommon/event/loop_inside.h"
#include "libcommon/event/outq.h"
#include "libcommon/event/resolve.h"

#define IN_MAX_DEFAULT   (16U << 20)
#define OUT_HIGH_DEFAULT (4U << 20)
#define READ_MIN         (16U << 10)
#define CLOSING_MS       5000 /* for the last output to leave */
#define STALL_MS_DEFAULT 120000
#define LINGER_MS        1000 /* for the peer to see it and close in turn */

enum conn_state { CONN_CONNECTING, CONN_OPEN, CONN_CLOSING, CONN_CLOSED };

static const struct sm_state conn_states[] = {
    [CONN_CONNECTING] = {"connecting", SM_TO(CONN_OPEN) | SM_TO(CONN_CLOSED), SM_INITIAL},
    [CONN_OPEN] = {"open", SM_TO(CONN_CLOSING) | SM_TO(CONN_CLOSED), SM_INITIAL},
    [CONN_CLOSING] = {"closing", SM_TO(CONN_CLOSED), 0},
    [CONN_CLOSED] = {"closed", 0, SM_FINAL},
};
static const struct sm_table conn_sm = {"conn", conn_states, ARRAY_LEN(conn_states)};

struct conn {
    struct loop *loop;
    struct loop_watch *watch;
    const struct conn_ops *ops;
    void *arg;
    int fd;
    unsigned state; /* enum conn_state */
    int code;       /* why closed */
    struct conn_limits limits;

    struct buf in;   /* left over from earlier reads */
    struct buf *now; /* what on_data is looking at; NULL outside of it */
    size_t want;

    struct outq outq;
    struct buf sink; /* conn_out of a closed conn */

    bool is_paused;   /* by the user */
    bool is_full;     /* too much output waits: not reading */
    bool is_blocked;  /* the socket takes no more for now */
    bool must_linger; /* there was output when the close was asked for */
    bool is_detached; /* the reaper must not call on_close */
    bool is_unix;
    bool is_local;
    uid_t uid;

    struct loop_timer timer; /* connecting, closing */
    struct loop_task flush, deliver, reap;
    struct resolve *resolve;
    char peer[72];
};

static void on_ready(int fd, unsigned ready, void *arg);
static void flush_now(void *arg);

/* ---- the end ---- */

static void free_conn(struct conn *conn)
{
    outq_release(&conn->outq);
    buf_release(&conn->in);
    buf_release(&conn->sink);
    loop_count_conn(conn->loop, -1);
    mem_free(conn);
}

static void reap(void *arg)
{
    struct conn *conn = arg;
    if (!conn->is_detached)
        conn->ops->on_close(conn, conn->code, conn->arg);
    free_conn(conn);
}

/* From any state but closed: let go of loop and descriptor, tell and free at the turn's end. */
static void finish(struct conn *conn, int code)
{
    if (conn->state == CONN_CLOSED)
        return;
    sm_move(&conn_sm, &conn->state, CONN_CLOSED);
    conn->code = code;
    loop_unwatch(conn->watch);
    conn->watch = NULL;
    loop_timer_stop(&conn->timer);
    loop_undefer(&conn->flush);
    loop_undefer(&conn->deliver);
    if (conn->resolve)
        resolve_forget(conn->resolve);
    if (conn->fd >= 0 && !conn->is_detached)
        close(conn->fd);
    conn->fd = -1;
    loop_defer(conn->loop, &conn->reap, reap, conn);
}

static void update_watch(struct conn *conn)
{
    if (conn->state == CONN_CONNECTING || conn->state == CONN_CLOSED)
        return;
    bool reads = conn->state == CONN_OPEN
                     ? !conn->is_paused && !conn->is_full
                     : !conn->is_blocked; /* closing: wait for the peer's end */
    unsigned ready = (reads ? LOOP_READ : 0U) | (conn->is_blocked ? LOOP_WRITE : 0U);
    if (loop_watch_change(conn->watch, ready) != 0)
        finish(conn, ERR_NOMEM);
}

/* ---- input ---- */

static void deliver(struct conn *conn, struct buf *in)
{
    conn->want = 0;
    conn->now = in;
    conn->ops->on_data(conn, in, conn->arg);
    conn->now = NULL;
}

/* Left-over input, without new bytes having come: after a pause, or of a conn that was attached. */
static void on_deliver(void *arg)
{
    struct conn *conn = arg;
    if (conn->state != CONN_OPEN || conn->is_paused || conn->in.len == 0)
        return;
    deliver(conn, &conn->in);
    if (conn->state == CONN_OPEN && conn->in.len == 0)
        buf_release(&conn->in);
}

static void keep_rest(struct conn *conn, struct buf *from)
{
    if (conn->state != CONN_OPEN)
        return;
    if (from != &conn->in && from->len > 0)
        buf_append(&conn->in, from->data, from->len);
    if (buf_failed(&conn->in))
        finish(conn, ERR_NOMEM);
    else if (conn->in.len > conn->limits.in_max_bytes)
        finish(conn, ERR_TOOBIG);
    else if (conn->in.len == 0)
        buf_release(&conn->in);
}

static void read_some(struct conn *conn)
{
    struct buf *to = conn->in.len ? &conn->in : loop_scratch(conn->loop);
    uint8_t *at = buf_reserve(to, to == &conn->in ? READ_MIN : 0);
    if (!at) {
        finish(conn, ERR_NOMEM);
        return;
    }
    ssize_t n = recv(conn->fd, at, to->cap - to->len, MSG_DONTWAIT);
    if (n > 0) {
        to->len += (size_t)n;
        if (to->len >= conn->want)
            deliver(conn, to);
        keep_rest(conn, to);
    } else if (n == 0) {
        finish(conn, ERR_EOF);
    } else if (errno != EAGAIN && errno != EINTR) {
        finish(conn, errno == ECONNRESET ? ERR_CLOSED : err_from_errno(errno));
    }
}

/* Closing: all is sent; throw away what still comes until the peer has closed too. Closing with
 * unread bytes would reset the connection and could take our last words back. */
static void discard(struct conn *conn)
{
    struct buf *to = loop_scratch(conn->loop);
    ssize_t n = recv(conn->fd, to->data, to->cap, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        finish(conn, 0);
}

void conn_want(struct conn *conn, size_t bytes)
{
    conn->want = bytes;
}

void conn_pause(struct conn *conn, bool paused)
{
    if (conn->is_paused == paused)
        return;
    conn->is_paused = paused;
    update_watch(conn);
    if (!paused && conn->state == CONN_OPEN)
        loop_defer(conn->loop, &conn->deliver, on_deliver, conn);
}

/* ---- output ---- */

size_t conn_queued_bytes(const struct conn *conn)
{
    return outq_bytes(&conn->outq);
}

static void sent(struct conn *conn, size_t bytes)
{
    outq_sent(&conn->outq, bytes);
    if (conn->outq.out.len == 0)
        loop_spare_give(conn->loop, &conn->outq.out);
}

static int send_some(struct conn *conn)
{
    while (conn_queued_bytes(conn) > 0) {
        ssize_t n = outq_send(&conn->outq, conn->fd);
        if (n >= 0)
            sent(conn, (size_t)n);
        else if (errno == EAGAIN)
            return ERR_RETRY;
        else if (errno != EINTR)
            return errno == EPIPE || errno == ECONNRESET ? ERR_CLOSED : err_from_errno(errno);
    }
    return 0;
}

static void output_gone(struct conn *conn)
{
    if (conn->state == CONN_OPEN) {
        if (conn->ops->on_drained)
            conn->ops->on_drained(conn, conn->arg);
        return;
    }
    if (!conn->must_linger || shutdown(conn->fd, SHUT_WR) != 0 ||
        loop_timer_start(conn->loop, &conn->timer, LINGER_MS, 0, conn->timer.fn, conn,
                         conn->timer.name) != 0)
        finish(conn, 0);
}

static void on_stalled(void *arg)
{
    finish(arg, ERR_TIMEOUT);
}

/* After sending what the socket would take: 0 = everything, ERR_RETRY = it is full. */
static void settle(struct conn *conn, int rc, bool has_moved)
{
    size_t queued = conn_queued_bytes(conn), high = conn->limits.out_high_bytes;
    conn->is_blocked = rc == ERR_RETRY;
    conn->is_full = queued > (conn->is_full ? high / 2 : high);
    update_watch(conn);
    if (conn->state != CONN_OPEN)
        return;
    if (!conn->is_blocked)
        loop_timer_stop(&conn->timer);
    else if ((has_moved || !loop_timer_is_running(&conn->timer)) &&
             loop_after(conn->loop, &conn->timer, conn->limits.stall_ms, on_stalled, conn) != 0)
        finish(conn, ERR_NOMEM);
}

static void flush_now(void *arg)
{
    struct conn *conn = arg;
    if (conn->state != CONN_OPEN && conn->state != CONN_CLOSING)
        return;
    if (buf_failed(&conn->outq.out)) {
        finish(conn, ERR_NOMEM);
        return;
    }
    size_t queued = conn_queued_bytes(conn);
    int rc = send_some(conn);
    if (rc != 0 && rc != ERR_RETRY) {
        finish(conn, rc);
        return;
    }
    settle(conn, rc, conn_queued_bytes(conn) < queued);
    if (rc == 0 && queued > 0 && conn->state != CONN_CLOSED)
        output_gone(conn);
}

static bool can_send(const struct conn *conn)
{
    return conn->state == CONN_OPEN || conn->state == CONN_CONNECTING;
}

struct buf *conn_out(struct conn *conn)
{
    if (!can_send(conn)) {
        buf_clear(&conn->sink);
        return &conn->sink;
    }
    struct buf *out = &conn->outq.out;
    if (!out->data && !out->failed)
        *out = loop_spare_take(conn->loop);
    if (conn->state == CONN_OPEN && !conn->is_blocked)
        loop_flush_later(conn->loop, &conn->flush, flush_now, conn);
    return out;
}

void conn_send(struct conn *conn, struct slice bytes)
{
    buf_append_slice(conn_out(conn), bytes);
}

void conn_send_buf(struct conn *conn, struct buf *bytes)
{
    if (conn_out(conn) == &conn->outq.out)
        outq_push(&conn->outq, bytes); /* if that fails, flushing ends the conn */
    buf_release(bytes);
}

/* ---- readiness ---- */

static void opened(struct conn *conn);

static void on_ready(int fd, unsigned ready, void *arg)
{
    (void)fd;
    struct conn *conn = arg;
    if (conn->state == CONN_CONNECTING) {
        int rc = sock_connected(conn->fd);
        if (rc != 0)
            finish(conn, rc);
        else
            opened(conn);
    } else if (ready & LOOP_WRITE) {
        flush_now(conn);
    } else if (conn->state == CONN_OPEN) {
        read_some(conn);
    } else if (conn->state == CONN_CLOSING) {
        discard(conn);
    }
}

/* ---- beginning ---- */

static void learn_peer(struct conn *conn)
{
    pid_t pid;
    struct sock_addr addr = {.len = sizeof(addr.storage)};
    if (sock_peer_cred(conn->fd, &conn->uid, &pid) == 0) {
        conn->is_unix = conn->is_local = true;
        snprintf(conn->peer, sizeof(conn->peer), "unix:pid %d", (int)pid);
        return;
    }
    sock_set_keepalive(conn->fd);
    if (getpeername(conn->fd, (struct sockaddr *)&addr.storage, &addr.len) == 0) {
        sock_addr_text(&addr, conn->peer, sizeof(conn->peer));
        conn->is_local = sock_addr_is_local(&addr);
        sock_tune_tcp(conn->fd, &addr);
    } else {
        snprintf(conn->peer, sizeof(conn->peer), "unknown"); /* gone already */
    }
}

static struct conn *create(struct loop *loop, const struct conn_ops *ops, void *arg)
{
    struct conn *conn = mem_calloc(1, sizeof(*conn));
    if (!conn)
        return NULL;
    conn->loop = loop;
    conn->ops = ops;
    conn->arg = arg;
    conn->fd = -1;
    outq_init(&conn->outq);
    conn_set_limits(conn, (struct conn_limits){0});
    loop_count_conn(loop, 1);
    return conn;
}

struct conn *conn_new(struct loop *loop, int fd, const struct conn_ops *ops, void *arg)
{
    struct conn_parts parts = {.fd = fd};
    return conn_attach(loop, &parts, ops, arg);
}

struct conn *conn_attach(struct loop *loop, struct conn_parts *parts, const struct conn_ops *ops,
                         void *arg)
{
    struct conn *conn = create(loop, ops, arg);
    if (!conn)
        goto fail;
    conn->watch = loop_watch(loop, parts->fd, LOOP_READ, on_ready, conn);
    if (!conn->watch)
        goto fail;
    conn->fd = parts->fd;
    conn->state = CONN_OPEN;
    learn_peer(conn);
    conn->in = parts->unread;
    if (conn->in.len > 0)
        loop_defer(loop, &conn->deliver, on_deliver, conn);
    if (parts->unsent.len > 0)
        conn_send_buf(conn, &parts->unsent);
    return conn;

fail:
    if (conn)
        free_conn(conn);
    close(parts->fd);
    buf_release(&parts->unread);
    buf_release(&parts->unsent);
    return NULL;
}

static void on_connect_timeout(void *arg)
{
    finish(arg, ERR_TIMEOUT);
}

static void opened(struct conn *conn)
{
    loop_timer_stop(&conn->timer);
    sm_move(&conn_sm, &conn->state, CONN_OPEN);
    learn_peer(conn);
    update_watch(conn);
    if (conn->state == CONN_OPEN && conn->ops->on_open)
        conn->ops->on_open(conn, conn->arg);
    flush_now(conn);
}

static void on_opened_at_once(void *arg)
{
    opened(arg);
}

static void connect_to(struct conn *conn, const struct sock_addr *addr)
{
    int rc = sock_connect_start(addr, &conn->fd);
    if (rc != 0 && rc != ERR_RETRY) {
        finish(conn, rc);
        return;
    }
    conn->watch = loop_watch(conn->loop, conn->fd, rc == 0 ? 0U : LOOP_WRITE, on_ready, conn);
    if (!conn->watch)
        finish(conn, ERR_NOMEM);
    else if (rc == 0)
        loop_defer(conn->loop, &conn->deliver, on_opened_at_once, conn);
    else
        conn->is_blocked = true; /* what the watch is set to */
}

static void on_resolved(void *arg, int code, const struct sock_addr *addr)
{
    struct conn *conn = arg;
    conn->resolve = NULL;
    if (code == 0)
        connect_to(conn, addr);
    else
        finish(conn, code);
}

int conn_connect(struct loop *loop, const char *address, uint64_t timeout_ms,
                 const struct conn_ops *ops, void *arg, struct conn **ret, struct err *err)
{
    struct sock_addr addr;
    int found = sock_resolve(address, true, &addr, err);
    if (found != 0 && found != ERR_RETRY)
        return found;
    struct conn *conn = create(loop, ops, arg);
    if (!conn)
        return err_set(err, ERR_NOMEM, "cannot reach %s: out of memory", address);
    snprintf(conn->peer, sizeof(conn->peer), "%s", address);
    int rc = loop_after(loop, &conn->timer, timeout_ms, on_connect_timeout, conn);
    if (rc != 0)
        err_set(err, rc, "cannot reach %s: out of memory", address);
    else if (found == ERR_RETRY)
        rc = resolve_start(loop, address, on_resolved, conn, &conn->resolve, err);
    if (rc != 0) {
        loop_timer_stop(&conn->timer);
        free_conn(conn);
        return rc;
    }
    if (found == 0)
        connect_to(conn, &addr);
    *ret = conn;
    return 0;
}

/* ---- closing ---- */

static void on_closing_timeout(void *arg)
{
    finish(arg, 0);
}

void conn_close(struct conn *conn)
{
    if (conn->state == CONN_CONNECTING)
        finish(conn, 0);
    if (conn->state != CONN_OPEN)
        return;
    sm_move(&conn_sm, &conn->state, CONN_CLOSING);
    conn->must_linger = conn_queued_bytes(conn) > 0;
    if (!conn->must_linger ||
        loop_after(conn->loop, &conn->timer, CLOSING_MS, on_closing_timeout, conn) != 0)
        finish(conn, 0);
    else
        update_watch(conn);
}

void conn_abort(struct conn *conn)
{
    finish(conn, 0);
}

int conn_detach(struct conn *conn, struct conn_parts *ret)
{
    if (conn->state != CONN_OPEN || buf_failed(&conn->outq.out))
        return ERR_CLOSED;
    struct conn_parts parts = {.fd = conn->fd, .unread = BUF_INIT, .unsent = BUF_INIT};
    struct iovec iov[OUTQ_IOVS];
    /* gathered in one buffer; pieces are few, and rare where conns are detached */
    for (size_t n; (n = outq_gather(&conn->outq, iov)) > 0; sent(conn, iov[0].iov_len))
        buf_append(&parts.unsent, iov[0].iov_base, iov[0].iov_len);
    if (conn->now && conn->now != &conn->in)
        buf_append(&parts.unread, conn->now->data, conn->now->len);
    if (buf_failed(&parts.unsent) || buf_failed(&parts.unread)) {
        buf_release(&parts.unsent);
        buf_release(&parts.unread);
        finish(conn, ERR_NOMEM);
        return ERR_NOMEM;
    }
    if (!conn->now || conn->now == &conn->in) {
        parts.unread = conn->in;
        conn->in = BUF_INIT;
    }
    conn->is_detached = true;
    finish(conn, 0);
    *ret = parts;
    return 0;
}

/* ---- asking about it ---- */

void conn_set_limits(struct conn *conn, struct conn_limits limits)
{
    conn->limits = limits;
    if (!limits.in_max_bytes)
        conn->limits.in_max_bytes = IN_MAX_DEFAULT;
    if (!limits.out_high_bytes)
        conn->limits.out_high_bytes = OUT_HIGH_DEFAULT;
    if (!limits.stall_ms)
        conn->limits.stall_ms = STALL_MS_DEFAULT;
}

bool conn_is_open(const struct conn *conn)
{
    return conn->state == CONN_OPEN;
}

const char *conn_peer(const struct conn *conn)
{
    return conn->peer;
}

bool conn_is_local(const struct conn *conn)
{
    return conn->is_local;
}

int conn_peer_uid(const struct conn *conn, uid_t *ret_uid)
{
    if (!conn->is_unix)
        return ERR_UNSUPPORTED;
    *ret_uid = conn->uid;
    return 0;
}
