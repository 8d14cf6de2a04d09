/* SPDX-License-Identifier: Apache-2.0
 * rpc: questions and answers over one connection, both ways, asynchronous, on a loop.
 *
 * A *server* accepts connections, a *link* keeps one connection to an address alive. Either gives
 * *peers*: connected, hello done. From then on both sides are equal: each may ask, each answers the
 * methods of the services in its conf.
 *
 *      asker:   rpc_ask(peer, method, &ask, wait)  ... wait->done(arg, code, answer, err)
 *      answerer: handler(call, ask, arg)           ... rpc_answer(call, &answer) or rpc_fail(call,
 * ...)
 *
 * Loop thread only. All answers of a turn leave in one write per connection. */
#ifndef QUERN_WIRE_RPC_H
#define QUERN_WIRE_RPC_H

#include "libcommon/base/hmap.h"
#include "libcommon/event/conn.h"
#include "libcommon/event/loop.h"
#include "libcommon/wire/hello.h"

struct rpc_peer;
struct rpc_call;

/* ---- answering ---- */

/* Answer now or later, exactly once. `ask` (the decoded message) and all it points to live until
 * then. When the peer is gone meanwhile the answer is dropped in silence. */
typedef void rpc_handler(struct rpc_call *call, const void *ask, void *arg);

/* One conversation: method table and handlers, same order, same length. A NULL handler answers
 * ERR_UNSUPPORTED. `roles`: which HELLO_ROLEs may call it, 0 = all; others get ERR_ACCESS. */
struct rpc_service {
    const struct msg_method *methods;
    rpc_handler *const *handlers;
    size_t count;
    uint32_t roles;
    void *arg;
};

void rpc_answer(struct rpc_call *call,
                const void *answer); /* struct of method->answer; NULL = void */
void rpc_fail(struct rpc_call *call, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void rpc_fail_err(struct rpc_call *call, const struct err *err);
/* Answer, then take the connection out of the rpc's hands for raw bytes. ERR_CLOSED when the peer
 * is gone; the call is over either way, and with 0 the peer too (on_peer_down comes, other calls of
 * that peer are dropped). The parts' unsent bytes hold the answer. */
int rpc_answer_detach(struct rpc_call *call, const void *answer, struct conn_parts *ret);

const struct msg_method *rpc_call_method(const struct rpc_call *call);
struct rpc_peer *rpc_call_peer(const struct rpc_call *call); /* NULL once it is gone */
const char *rpc_call_user(const struct rpc_call *call);      /* also when the peer is gone */
const char *rpc_call_address(const struct rpc_call *call);
uint64_t rpc_call_deadline_ms(const struct rpc_call *call); /* loop time; UINT64_MAX = none */
struct arena *rpc_call_arena(struct rpc_call *call); /* dies with the call: room for the handler */

/* ---- peers ---- */

/* Between on_peer_up and the return of on_peer_down. Strings are never NULL. */
const char *rpc_peer_user(const struct rpc_peer *peer); /* unix socket: the kernel's word */
const char *rpc_peer_node(const struct rpc_peer *peer);
const char *rpc_peer_address(const struct rpc_peer *peer);
const char *rpc_peer_boot(const struct rpc_peer *peer);
const char *rpc_peer_cluster(const struct rpc_peer *peer);
uint64_t rpc_peer_netns(const struct rpc_peer *peer);
enum wire_role rpc_peer_role(const struct rpc_peer *peer);
void rpc_peer_set_data(struct rpc_peer *peer, void *data);
void *rpc_peer_data(const struct rpc_peer *peer);
size_t rpc_peer_queued_bytes(const struct rpc_peer *peer);
/* After queued output has left; on_peer_down follows from the loop. */
void rpc_peer_close(struct rpc_peer *peer);

/* ---- asking ---- */

/* One question on its way; zeroed = idle. The asker fills done, arg, timeout_ms (0 = 60 s) and
 * keeps it in place until done was called or it was cancelled. done is called exactly once, never
 * from inside rpc_ask. code 0: `answer` is the decoded struct, valid until done returns. Else the
 * code the other side failed with, ERR_TIMEOUT, ERR_CLOSED (connection lost: it may or may not have
 * been done), ERR_UNREACHABLE (never sent), ERR_TOOBIG, ERR_PROTO, ERR_NOMEM; err is never NULL
 * then and reads "NAME at ADDRESS: why". */
typedef void rpc_done(void *arg, int code, const void *answer, const struct err *err);
struct rpc_wait {
    rpc_done *done;
    void *arg;
    uint32_t timeout_ms;
    /* private from here */
    struct hmap_node by_call;
    struct list link;
    struct loop_timer timer;
    struct loop_task task;
    struct rpc_peer *peer;
    const struct msg_method *method;
    uint64_t call;
    int state;
    int code;
};
void rpc_ask(struct rpc_peer *peer, const struct msg_method *method, const void *ask,
             struct rpc_wait *wait);
void rpc_tell(struct rpc_peer *peer, const struct msg_method *method,
              const void *ask); /* MSG_ONEWAY */
/* Forget it: done will not be called. Nothing is sent. Harmless when idle. */
void rpc_cancel(struct rpc_wait *wait);
static inline bool rpc_is_waiting(const struct rpc_wait *wait)
{
    return wait->state != 0;
}

/* ---- servers and links ---- */

struct rpc_conf {
    const struct identity *self;        /* borrowed for life */
    const struct rpc_service *services; /* borrowed for life; may be none */
    size_t service_count;
    void (*on_peer_up)(struct rpc_peer *peer, void *arg);             /* may be NULL */
    void (*on_peer_down)(struct rpc_peer *peer, int code, void *arg); /* may be NULL. Waits of that
                                                               peer have been told before */
    void *arg;
    uint32_t roles; /* HELLO_ROLEs that may connect / be connected to; 0 = any */
    /* server only; 0 = the default */
    unsigned unix_mode;        /* of a unix socket's path: 0666 (who it is the kernel says) */
    uint32_t peers_max;        /* 10000: further ones are told so and closed */
    uint32_t hello_timeout_ms; /* 10000 */
    uint32_t calls_max;        /* unanswered calls per peer before we stop reading from it: 1024 */
    /* link only; 0 = the default */
    uint32_t connect_timeout_ms;                             /* 10000 */
    uint32_t retry_min_ms;                                   /* 100; doubles up to */
    uint32_t retry_max_ms;                                   /* 5000; a quarter of it is chance */
    void (*on_link_error)(const struct err *err, void *arg); /* an attempt failed; may be NULL: then
                                                               each new reason is logged once */
};

struct rpc_server;
int rpc_server_open(struct loop *loop, const char *address, const struct rpc_conf *conf,
                    struct rpc_server **ret, struct err *err);
const char *rpc_server_address(const struct rpc_server *server); /* as bound */
size_t rpc_server_peers(const struct rpc_server *server);
/* Stops listening and closes every peer (on_peer_down comes from the loop or from here); memory
 * goes at the end of a later turn, so the loop must turn once more before loop_free. NULL is fine.
 */
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
