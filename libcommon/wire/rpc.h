/* SPDX-License-Identifier: Apache-2.0
 * rpc: questions and answers over one connection, both ways, asynchronous, on a loop.
 *
 * A *server* accepts connections, a *link* keeps one connection to an address alive. Either gives
 * *peers*: connected, hello done. From then on both sides are equal: each may ask, each answers the
 * methods of the services in its conf.
 *
 *      asker:    rpc_ask(peer, method, &ask, wait)  ...  wait->done(arg, code, answer, err)
 *      answerer: handler(call, ask, arg)  ...  rpc_answer(call, &answer) or rpc_fail(call, ...)
 *
 * Loop thread only. All answers of a turn leave in one write per connection. A peer with too many
 * unanswered calls, or too many bytes in them, is not read from until some are answered. */
#ifndef QUERN_WIRE_RPC_H
#define QUERN_WIRE_RPC_H

#include "libcommon/base/hmap.h"
#include "libcommon/event/loop.h"
#include "libcommon/wire/rpc_call.h"
#include "libcommon/wire/rpc_peer.h"

/* ---- asking ---- */

/* code 0: `answer` is the decoded struct, valid until done returns. Else err is not NULL, and code
 * is what the other side failed with (its text unchanged), or ERR_TIMEOUT, ERR_CLOSED (the
 * connection was lost: it may or may not have been done), ERR_UNREACHABLE (never sent), ERR_TOOBIG,
 * ERR_PROTO, ERR_NOMEM with a text that names method and address. */
typedef void rpc_done(void *arg, int code, const void *answer, const struct err *err);

/* One question on its way; zeroed = idle. The asker fills the first three and keeps it in place
 * until done was called or it was cancelled. done is called exactly once, never from inside
 * rpc_ask; it may ask again with the same wait. */
struct rpc_wait {
    rpc_done *done;
    void *arg;
    uint32_t timeout_ms; /* 0 = 60 s */
    /* private from here */
    struct hmap_node by_call;
    struct list link;
    struct loop_timer timer;
    struct rpc_peer *peer;
    const struct msg_method *method;
    uint64_t call;
    int state;
    int code;
};
void rpc_ask(struct rpc_peer *peer, const struct msg_method *method, const void *ask,
             struct rpc_wait *wait);
/* The same with the message's bytes, as msg_encode made them. */
void rpc_ask_encoded(struct rpc_peer *peer, const struct msg_method *method, struct slice ask,
                     struct rpc_wait *wait);
/* For MSG_ONEWAY methods. */
void rpc_tell(struct rpc_peer *peer, const struct msg_method *method, const void *ask);
/* Forget it: done will not be called. Nothing is sent. Harmless when idle. */
void rpc_cancel(struct rpc_wait *wait);
static inline bool rpc_is_waiting(const struct rpc_wait *wait)
{
    return wait->state != 0;
}

/* ---- servers and links ---- */

struct rpc_conf {
    const struct identity *self; /* borrowed for life */
    const struct rpc_service
        *services; /* borrowed until opened; may be none. Handlers' args for life */
    size_t service_count;
    /* May be NULL. Questions of a peer that goes down have been told (ERR_CLOSED) before. code 0:
     * we closed it; ERR_EOF: it did. */
    void (*on_peer_up)(struct rpc_peer *peer, void *arg);
    void (*on_peer_down)(struct rpc_peer *peer, int code, void *arg);
    /* link: an attempt to connect failed. NULL: each new reason is logged once. */
    void (*on_link_error)(const struct err *err, void *arg);
    void *arg;
    uint32_t roles;            /* HELLO_ROLEs that may be at the other end; 0 = any */
    uint32_t calls_max;        /* unanswered calls per peer; 0 = 1024 */
    uint32_t hello_timeout_ms; /* 0 = 10 s */
    uint32_t peers_max;        /* server: further ones are told so and closed; 0 = 10000 */
    unsigned unix_mode;        /* server: of a unix socket's path; 0 = 0666, the kernel says who */
    uint32_t connect_timeout_ms; /* link; 0 = 10 s */
    uint32_t retry_min_ms;       /* link: wait after a failure, doubling; 0 = 100 ms */
    uint32_t retry_max_ms;       /* ... up to this; 0 = 5 s. A quarter of it is chance */
};

struct rpc_server;
int rpc_server_open(struct loop *loop, const char *address, const struct rpc_conf *conf,
                    struct rpc_server **ret, struct err *err);
const char *rpc_server_address(const struct rpc_server *server); /* as bound */
size_t rpc_server_peers(const struct rpc_server *server); /* connections, hello done or not */
/* Stops listening and brings every peer down, from here: afterwards nothing of the conf is called
 * any more. Answers already given still leave. Calls not yet answered must still be, as ever. NULL
 * is fine. */
void rpc_server_close(struct rpc_server *server);

struct rpc_link;
/* Starts connecting at once. Fails only for ERR_NOMEM and addresses that are none. */
int rpc_link_open(struct loop *loop, const char *address, const struct rpc_conf *conf,
                  struct rpc_link **ret, struct err *err);
struct rpc_peer *rpc_link_peer(const struct rpc_link *link); /* NULL while down */
/* As rpc_ask; while the link is down done gets ERR_UNREACHABLE with the last reason. */
void rpc_link_ask(struct rpc_link *link, const struct msg_method *method, const void *ask,
                  struct rpc_wait *wait);
void rpc_link_retry_now(struct rpc_link *link); /* forget the back-off */
void rpc_link_close(struct rpc_link *link);     /* as rpc_server_close */

#endif
