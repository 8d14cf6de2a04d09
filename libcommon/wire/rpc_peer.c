/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/wire/rpc_peer.h"

#include <unistd.h>

#include "libcommon/base/log.h"
#include "libcommon/base/sm.h"
#include "libcommon/wire/rpc_inside.h"

static const struct sm_state peer_states[] = {
    [PEER_HELLO] = {"hello", SM_TO(PEER_UP) | SM_TO(PEER_DOWN), SM_INITIAL},
    [PEER_UP] = {"up", SM_TO(PEER_LENT) | SM_TO(PEER_DOWN), 0},
    [PEER_LENT] = {"lent", SM_TO(PEER_UP) | SM_TO(PEER_DOWN), 0},
    [PEER_DOWN] = {"down", 0, SM_FINAL},
};
static const struct sm_table peer_sm = {"rpc peer", peer_states, ARRAY_LEN(peer_states)};

/* One frame over, and what a read may bring behind it. */
#define IN_MAX_BYTES (FRAME_MAX_BYTES + (256U << 10))

/* ---- the end ---- */

void rpc_peer_unref(struct rpc_peer *peer)
{
    if (--peer->refs > 0)
        return;
    hmap_release(&peer->waits);
    rpc_core_unref(peer->core);
    mem_free(peer->names);
    mem_free(peer);
}

void rpc_peer_down(struct rpc_peer *peer, int code, const struct err *err)
{
    struct rpc_core *core = peer->core;
    if (peer->state == PEER_DOWN)
        return;
    bool was_up = peer->state != PEER_HELLO;
    sm_move(&peer_sm, &peer->state, PEER_DOWN);
    loop_timer_stop(&peer->hello_timer);
    loop_undefer(&peer->down_task);
    /* First, because each of those told below may close the server or the link. */
    if (!core->is_closed)
        core->on_gone(peer, was_up ? NULL : err);
    rpc_waits_fail_all(peer);
    if (was_up && !core->is_closed && core->conf.on_peer_down)
        core->conf.on_peer_down(peer, code, core->conf.arg);
    rpc_peer_unref(peer);
}

void rpc_peer_end(struct rpc_peer *peer)
{
    peer->refs++;
    rpc_peer_down(peer, 0, NULL);
    if (peer->conn)
        conn_close(peer->conn);
    rpc_peer_unref(peer);
}

static void on_close(struct conn *conn, int code, void *arg)
{
    (void)conn;
    struct rpc_peer *peer = arg;
    struct err err;
    if (peer->state == PEER_HELLO)
        hello_unreachable(&err, code ? code : ERR_CLOSED, peer->address, peer->core->conf.roles);
    rpc_peer_down(peer, code, &err);
    peer->conn = NULL;
    rpc_peer_unref(peer);
}

static void on_lent_closed(void *arg)
{
    rpc_peer_down(arg, 0, NULL);
}

void rpc_peer_close(struct rpc_peer *peer)
{
    if (peer->conn)
        conn_close(peer->conn);
    else if (peer->state == PEER_LENT)
        loop_defer(peer->core->loop, &peer->down_task, on_lent_closed, peer);
}

/* ---- hello ---- */

/* Servers meet port scanners and lost clients: say so, but not more than once a second. */
static void log_refusal(const struct rpc_core *core, const char *why)
{
    static _Atomic uint64_t last_ms;
    uint64_t now_ms = loop_now_ms(core->loop);
    if (now_ms - last_ms < 1000)
        return;
    last_ms = now_ms;
    log_warn("rpc", "refused a connection: %s", why);
}

static void answer_browser(struct rpc_peer *peer)
{
    static const char page[] =
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n"
        "Connection: close\r\n\r\nThis is a quern RPC port. The status pages "
        "are on the daemon's http port.\n";
    conn_send(peer->conn, slice_of(page, sizeof(page) - 1));
}

static void hello_failed(struct rpc_peer *peer, const struct err *err, bool is_stranger)
{
    struct conn *conn = peer->conn;
    if (!peer->is_asking) {
        log_refusal(peer->core, err->msg);
        if (!is_stranger)
            (void)frame_put_error(conn_out(conn), FRAME_HELLO, 0, err->code, err->msg);
        else if (strstr(err->msg, "web page"))
            answer_browser(peer);
    }
    rpc_peer_down(peer, err->code, err); /* the conn's reference is still there */
    conn_close(conn);
}

static void on_hello_timeout(void *arg)
{
    struct rpc_peer *peer = arg;
    struct err err;
    err_set(&err, ERR_TIMEOUT, "%s: no hello within %u ms", peer->address,
            peer->core->conf.hello_timeout_ms);
    hello_failed(peer, &err, false);
}

static char *put_name(char *at, struct slice s, const char **ret)
{
    if (s.len)
        memcpy(at, s.data, s.len);
    at[s.len] = 0;
    *ret = at;
    return at + s.len + 1;
}

static int keep_names(struct rpc_peer *peer, const struct hello *hello)
{
    char kernel_user[HELLO_TEXT_MAX + 1];
    struct slice user = hello->user;
    uid_t uid;
    if (conn_peer_uid(peer->conn, &uid) == 0)
        user = slice_str(identity_user_of(uid, kernel_user, sizeof(kernel_user)));
    char *at = mem_alloc(user.len + hello->node.len + hello->cluster.len + hello->boot.len + 4);
    if (!at)
        return ERR_NOMEM;
    peer->names = at;
    at = put_name(at, user, &peer->user);
    at = put_name(at, hello->node, &peer->node);
    at = put_name(at, hello->cluster, &peer->cluster);
    put_name(at, hello->boot, &peer->boot);
    peer->role = hello->role;
    peer->netns = hello->netns;
    return 0;
}

static void on_hello(struct rpc_peer *peer, const struct frame *frame)
{
    struct rpc_core *core = peer->core;
    struct arena arena = ARENA_INIT;
    struct hello hello;
    struct err err;
    struct hello_want want = {core->conf.self, core->conf.roles, peer->address};
    int rc = hello_check(frame, &want, &arena, &hello, &err);
    if (rc == 0 && keep_names(peer, &hello) != 0)
        rc = err_set(&err, ERR_NOMEM, "out of memory");
    if (rc == 0 && !peer->is_asking)
        (void)hello_put(conn_out(peer->conn), core->conf.self, FRAME_ANSWER); /* the conn tells */
    arena_release(&arena);
    if (rc != 0) {
        hello_failed(peer, &err, false);
        return;
    }
    loop_timer_stop(&peer->hello_timer);
    sm_move(&peer_sm, &peer->state, PEER_UP);
    core->on_up(peer);
    if (peer->state == PEER_UP && core->conf.on_peer_up)
        core->conf.on_peer_up(peer, core->conf.arg);
}

/* ---- frames ---- */

static void bad_stream(struct rpc_peer *peer, const struct buf *in, const struct err *why)
{
    struct err err = *why;
    if (peer->state == PEER_HELLO) {
        bool is_stranger = hello_stranger(buf_slice(in), peer->address, &err) != 0;
        if (!is_stranger)
            err_wrap(&err, "%s does not speak quern's protocol", peer->address);
        hello_failed(peer, &err, is_stranger);
        return;
    }
    log_warn("rpc", "%s %s sent %s: closing", wire_role_name(peer->role), peer->address, why->msg);
    conn_abort(peer->conn);
}

static void on_frame(struct rpc_peer *peer, const struct frame *frame)
{
    if (peer->state == PEER_HELLO)
        on_hello(peer, frame);
    else if (frame->flags & FRAME_ANSWER)
        rpc_waits_answer(peer, frame);
    else
        rpc_calls_arrive(peer, frame);
}

static bool goes_on(const struct rpc_peer *peer)
{
    return (peer->state == PEER_HELLO || peer->state == PEER_UP) && !peer->is_paused &&
           conn_is_open(peer->conn);
}

static void on_data(struct conn *conn, struct buf *in, void *arg)
{
    struct rpc_peer *peer = arg;
    peer->refs++;
    peer->in = in;
    peer->in_at = 0;
    while (peer->in && goes_on(peer)) { /* a handler may have detached it, and resumed another */
        struct frame frame;
        struct err err;
        size_t used;
        size_t max = peer->state == PEER_HELLO ? FRAME_HELLO_MAX_BYTES : FRAME_MAX_BYTES;
        int rc = frame_parse(slice_of(in->data + peer->in_at, in->len - peer->in_at), max, &frame,
                             &used, &err);
        if (rc == ERR_RETRY) {
            conn_want(conn, used);
            break;
        }
        if (rc != 0) {
            bad_stream(peer, in, &err);
            break;
        }
        peer->in_at += used;
        on_frame(peer, &frame);
    }
    if (peer->in)
        buf_consume(in, peer->in_at);
    peer->in = NULL;
    rpc_peer_unref(peer);
}

/* ---- beginning ---- */

static void on_open(struct conn *conn, void *arg)
{
    struct rpc_peer *peer = arg;
    (void)hello_put(conn_out(conn), peer->core->conf.self, 0); /* a failed buf closes the conn */
}

static const struct conn_ops peer_ops = {
    .on_open = on_open, .on_data = on_data, .on_close = on_close};

static struct rpc_peer *create(struct rpc_core *core)
{
    struct rpc_peer *peer = mem_calloc(1, sizeof(*peer));
    if (!peer)
        return NULL;
    peer->core = core;
    core->refs++;
    peer->refs = 1;
    peer->user = peer->node = peer->cluster = peer->boot = "";
    list_init(&peer->link);
    list_init(&peer->asked);
    return peer;
}

static void adopt(struct rpc_peer *peer, struct conn *conn)
{
    peer->conn = conn;
    peer->refs++;
    conn_set_limits(conn, (struct conn_limits){.in_max_bytes = IN_MAX_BYTES});
}

struct rpc_peer *rpc_peer_accept(struct rpc_core *core, int fd)
{
    struct rpc_peer *peer = create(core);
    if (!peer || loop_after(core->loop, &peer->hello_timer, core->conf.hello_timeout_ms,
                            on_hello_timeout, peer) != 0) {
        close(fd);
        goto fail;
    }
    struct conn *conn = conn_new(core->loop, fd, &peer_ops, peer);
    if (!conn)
        goto fail;
    snprintf(peer->address, sizeof(peer->address), "%s", conn_peer(conn));
    adopt(peer, conn);
    return peer;

fail:
    if (peer) {
        loop_timer_stop(&peer->hello_timer);
        rpc_peer_unref(peer);
    }
    return NULL;
}

struct rpc_peer *rpc_peer_connect(struct rpc_core *core, const char *address, struct err *err)
{
    struct conn *conn = NULL;
    struct rpc_peer *peer = create(core);
    if (!peer) {
        err_set(err, ERR_NOMEM, "cannot reach %s: out of memory", address);
        return NULL;
    }
    peer->is_asking = true;
    snprintf(peer->address, sizeof(peer->address), "%s", address);
    if (loop_after(core->loop, &peer->hello_timer,
                   core->conf.connect_timeout_ms + core->conf.hello_timeout_ms, on_hello_timeout,
                   peer) != 0) {
        err_set(err, ERR_NOMEM, "cannot reach %s: out of memory", address);
    } else if (conn_connect(core->loop, address, core->conf.connect_timeout_ms, &peer_ops, peer,
                            &conn, err) == 0) {
        adopt(peer, conn);
        return peer;
    }
    loop_timer_stop(&peer->hello_timer);
    rpc_peer_unref(peer);
    return NULL;
}

int rpc_peer_resume(struct rpc_peer *peer, struct conn_parts *parts)
{
    BUG_ON(peer->state != PEER_LENT);
    struct conn *conn = conn_attach(peer->core->loop, parts, &peer_ops, peer);
    if (!conn) {
        rpc_peer_close(peer);
        return ERR_NOMEM;
    }
    adopt(peer, conn);
    sm_move(&peer_sm, &peer->state, PEER_UP);
    if (peer->is_paused)
        conn_pause(conn, true);
    return 0;
}

/* ---- asking about it ---- */

const char *rpc_peer_user(const struct rpc_peer *peer)
{
    return peer->user;
}

const char *rpc_peer_node(const struct rpc_peer *peer)
{
    return peer->node;
}

const char *rpc_peer_address(const struct rpc_peer *peer)
{
    return peer->address;
}

const char *rpc_peer_boot(const struct rpc_peer *peer)
{
    return peer->boot;
}

const char *rpc_peer_cluster(const struct rpc_peer *peer)
{
    return peer->cluster;
}

uint64_t rpc_peer_netns(const struct rpc_peer *peer)
{
    return peer->netns;
}

enum wire_role rpc_peer_role(const struct rpc_peer *peer)
{
    return (enum wire_role)peer->role;
}

void rpc_peer_set_data(struct rpc_peer *peer, void *data)
{
    peer->data = data;
}

void *rpc_peer_data(const struct rpc_peer *peer)
{
    return peer->data;
}

size_t rpc_peer_queued_bytes(const struct rpc_peer *peer)
{
    return peer->conn ? conn_queued_bytes(peer->conn) : 0;
}
