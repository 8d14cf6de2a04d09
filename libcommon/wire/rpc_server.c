/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/log.h"
#include "libcommon/event/listen.h"
#include "libcommon/wire/rpc_inside.h"

struct rpc_server {
    struct rpc_core *core;
    struct listener *listener;
    struct list peers;
    size_t peer_count;
};

static void on_up(struct rpc_peer *peer)
{
    (void)peer; /* it has been on the list since it was accepted */
}

static void on_gone(struct rpc_peer *peer, const struct err *err)
{
    (void)err; /* refusals have been logged */
    struct rpc_server *server = peer->core->owner;
    list_remove(&peer->link);
    server->peer_count--;
}

/* ---- one too many ---- */

static void ignore_data(struct conn *conn, struct buf *in, void *arg)
{
    (void)conn, (void)arg;
    buf_clear(in);
}

static void ignore_close(struct conn *conn, int code, void *arg)
{
    (void)conn, (void)code, (void)arg;
}

static void turn_away(struct rpc_server *server, int fd)
{
    static const struct conn_ops ops = {.on_data = ignore_data, .on_close = ignore_close};
    struct conn *conn = conn_new(server->core->loop, fd, &ops, NULL);
    if (!conn)
        return;
    (void)frame_put_error(conn_out(conn), FRAME_HELLO, 0, ERR_LIMIT, "too many connections");
    conn_close(conn);
}

static void on_accept(int fd, const struct sock_addr *from, void *arg)
{
    (void)from;
    struct rpc_server *server = arg;
    if (server->peer_count >= server->core->conf.peers_max) {
        turn_away(server, fd);
        return;
    }
    struct rpc_peer *peer = rpc_peer_accept(server->core, fd);
    if (!peer) {
        log_error("rpc", "%s: dropped a connection: out of memory",
                  listen_address(server->listener));
        return;
    }
    list_push_back(&server->peers, &peer->link);
    server->peer_count++;
}

int rpc_server_open(struct loop *loop, const char *address, const struct rpc_conf *conf,
                    struct rpc_server **ret, struct err *err)
{
    struct rpc_server *server = mem_calloc(1, sizeof(*server));
    if (!server)
        return err_set(err, ERR_NOMEM, "cannot listen on %s: out of memory", address);
    list_init(&server->peers);
    int rc = rpc_core_new(loop, conf, &server->core, err);
    if (rc != 0)
        goto fail_core;
    server->core->owner = server;
    server->core->on_up = on_up;
    server->core->on_gone = on_gone;
    struct listen_conf listen_conf = {.address = address,
                                      .unix_mode = server->core->conf.unix_mode,
                                      .on_accept = on_accept,
                                      .arg = server};
    rc = listen_open(loop, &listen_conf, &server->listener, err);
    if (rc != 0)
        goto fail_listen;
    *ret = server;
    return 0;

fail_listen:
    rpc_core_close(server->core);
fail_core:
    mem_free(server);
    return rc;
}

const char *rpc_server_address(const struct rpc_server *server)
{
    return listen_address(server->listener);
}

size_t rpc_server_peers(const struct rpc_server *server)
{
    return server->peer_count;
}

void rpc_server_close(struct rpc_server *server)
{
    if (!server)
        return;
    struct rpc_peer *peer;
    listen_close(server->listener);
    while ((peer = list_first(&server->peers, struct rpc_peer, link)))
        rpc_peer_end(peer);
    rpc_core_close(server->core);
    mem_free(server);
}
