/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/serve/blocks.h"

#include <malloc.h>
#include <unistd.h>

#include "datanode/serve/write.h"
#include "libcommon/base/doing.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/metric.h"
#include "libcommon/base/str.h"

#define SESSIONS_MAX     10000U
#define HELLO_MS         10000U
#define IDLE_MS          (5U * 60U * 1000U)
#define BUFFERS_KEPT     64U
#define TRIM_MS          10000U /* memory nobody needed for so long goes back to the system */
#define PIECE_SUMS_BYTES ((PACKET_SUMS_MAX * DN_SUM_BYTES + 4095U) / 4096U * 4096U)

METRIC_GAUGE(sessions_open, "quern_dn_sessions", "connections to the data port and unix socket");

static dn_serve_handler *const handlers[DATA_METHOD_COUNT] = {
    [DATA_AT_WRITE] = dn_serve_write,
    [DATA_AT_READ] = dn_serve_read,
    [DATA_AT_LOCAL_READ] = dn_serve_local_read,
    [DATA_AT_LOCAL_WRITE] = dn_serve_local_write,
    [DATA_AT_REPLICA] = dn_serve_replica,
    [DATA_AT_RECOVER_INIT] = dn_serve_recover_init,
    [DATA_AT_RECOVER_COMMIT] = dn_serve_recover_commit,
    [DATA_AT_CHECKSUM] = dn_serve_checksum,
    [DATA_AT_TRANSFER] = dn_serve_transfer,
    [DATA_AT_RECONFIG] = dn_serve_reconfig,
    [DATA_AT_LEVEL] = dn_serve_level,
    [DATA_AT_MANAGE] = dn_serve_manage,
};

static void on_request(struct dn_session *session, const struct msg_method *method, const void *ask,
                       void *arg)
{
    struct dn_serve *serve = arg;
    if (serve->is_closing) {
        dn_session_fail(session, ERR_CLOSED, "%s: the datanode is stopping", serve->conf.node);
        return;
    }
    bool is_operators =
        method == &DATA_methods[DATA_AT_RECONFIG] || method == &DATA_methods[DATA_AT_MANAGE];
    if (!serve->is_registered && !is_operators) {
        dn_session_fail(session, ERR_RETRY, "%s: not registered with a namenode yet",
                        serve->conf.node);
        return;
    }
    doing_set(method->name, session->call);
    handlers[method - DATA_methods](serve, session, ask);
    doing_set(NULL, 0);
}

static void on_closed(struct dn_session *session, void *arg)
{
    struct dn_serve *serve = arg;
    list_remove(&session->link);
    serve->session_count--;
    metric_set(&sessions_open, serve->session_count);
}

static void accept_one(struct dn_serve *serve, int fd, bool is_unix)
{
    if (serve->session_count >= SESSIONS_MAX) {
        log_warn("dn.serve", "%u connections are open: one more refused", SESSIONS_MAX);
        close(fd);
        return;
    }
    struct dn_session *session = dn_session_open(&serve->session_conf, fd, is_unix);
    if (!session)
        return;
    list_push_back(&serve->sessions, &session->link);
    metric_set(&sessions_open, ++serve->session_count);
}

static void on_accept_tcp(int fd, const struct sock_addr *peer, void *arg)
{
    (void)peer;
    sock_set_keepalive(fd);
    accept_one(arg, fd, false);
}

static void on_accept_unix(int fd, const struct sock_addr *peer, void *arg)
{
    (void)peer;
    accept_one(arg, fd, true);
}

/* Hadoop's way to give several datanodes of one host sockets of their own. */
static char *socket_path(const struct dn_serve *s)
{
    const char *path = s->conf.unix_address, *at = strstr(path, "_PORT");
    if (!at)
        return str_dup(path);
    return str_printf("%.*s%u%s", (int)(at - path), path, listen_port(s->tcp), at + 5);
}

static int listen_both(struct dn_serve *s, struct err *err)
{
    struct listen_conf tcp = {.address = s->conf.tcp_address, .on_accept = on_accept_tcp, .arg = s};
    int rc = listen_open(s->conf.loop, &tcp, &s->tcp, err);
    if (rc != 0 || s->conf.unix_address[0] == '\0')
        return rc;
    char *path = socket_path(s);
    /* Anybody on this machine may come: what he may read is decided as for any other client. */
    struct listen_conf local = {
        .address = path, .unix_mode = 0666, .on_accept = on_accept_unix, .arg = s};
    rc = path ? listen_open(s->conf.loop, &local, &s->local, err)
              : err_set(err, ERR_NOMEM, "data port: out of memory");
    mem_free(path);
    return rc;
}

static void trim(void *arg)
{
    struct dn_serve *serve = arg;
    if (dn_buffers_trim(serve->rings) + dn_buffers_trim(serve->pieces) > 0)
        (void)malloc_trim(0); /* a burst is over: what the allocator kept of it, too */
}

int dn_serve_open(const struct dn_serve_conf *conf, struct dn_serve **ret, struct err *err)
{
    struct dn_serve *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return err_set(err, ERR_NOMEM, "data port: out of memory");
    s->conf = *conf;
    list_init(&s->sessions);
    list_init(&s->writes);
    list_init(&s->transfers);
    s->session_conf = (struct dn_session_conf){.loop = conf->loop,
                                               .self = conf->self,
                                               .hello_ms = HELLO_MS,
                                               .idle_ms = IDLE_MS,
                                               .on_request = on_request,
                                               .on_closed = on_closed,
                                               .arg = s};
    struct dn_movers_conf movers = {.loop = conf->loop,
                                    .threads_max = conf->threads_max,
                                    .queue_max = conf->threads_max,
                                    .wait_ms = conf->timeout_ms / 4 + 1};
    s->movers = dn_movers_new(&movers);
    s->rings = dn_buffers_new(conf->ring_bytes, BUFFERS_KEPT);
    /* a piece and its checksums */
    s->pieces = dn_buffers_new(conf->piece_bytes + PIECE_SUMS_BYTES, BUFFERS_KEPT);
    int rc = s->movers && s->rings && s->pieces
                 ? listen_both(s, err)
                 : err_set(err, ERR_NOMEM, "data port: out of memory");
    if (rc == 0 && loop_every(conf->loop, &s->trim, TRIM_MS, trim, s) != 0)
        rc = err_set(err, ERR_NOMEM, "data port: out of memory");
    if (rc != 0) {
        dn_serve_close(s);
        return rc;
    }
    *ret = s;
    return 0;
}

void dn_serve_registered(struct dn_serve *serve)
{
    serve->is_registered = true;
}

uint16_t dn_serve_port(const struct dn_serve *serve)
{
    return listen_port(serve->tcp);
}

const char *dn_serve_socket(const struct dn_serve *serve)
{
    return serve->local ? listen_address(serve->local) : "";
}

void dn_serve_close(struct dn_serve *serve)
{
    if (!serve)
        return;
    serve->is_closing = true;
    loop_timer_stop(&serve->trim);
    listen_close(serve->tcp);
    listen_close(serve->local);
    dn_write_cancel_all(serve);
    dn_transfer_cancel_all(serve);
    list_each_safe (&serve->sessions, it)
        dn_session_close(list_entry(it, struct dn_session, link));
    dn_movers_free(serve->movers);
    while (serve->session_count > 0)
        loop_turn(serve->conf.loop, 10);
    loop_turn(serve->conf.loop, 0); /* listeners and sessions give their memory back */
    dn_buffers_free(serve->rings);
    dn_buffers_free(serve->pieces);
    mem_free(serve);
}
