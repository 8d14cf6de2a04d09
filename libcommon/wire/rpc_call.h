/* SPDX-License-Identifier: Apache-2.0
 * rpc_call: a question that has arrived, as its handler sees it. Part of rpc.h. */
#ifndef QUERN_WIRE_RPC_CALL_H
#define QUERN_WIRE_RPC_CALL_H

#include "libcommon/event/conn.h"
#include "libcommon/wire/hello.h"

struct rpc_peer;
struct rpc_call;

/* Answer now or later, exactly once (also a MSG_ONEWAY call, whose answer goes nowhere). `ask`, the
 * decoded message, and all it points to live until then. When the peer is gone meanwhile the answer
 * is dropped in silence. */
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

/* Each ends the call. */
void rpc_answer(struct rpc_call *call,
                const void *answer); /* struct of method->answer; NULL = void */
void rpc_fail(struct rpc_call *call, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void rpc_fail_err(struct rpc_call *call, const struct err *err);
/* Answer, then take the connection out of the rpc's hands for raw bytes; the parts' unsent bytes
 * hold the answer. With 0 the peer stays, without a connection: asking it fails, answers to its
 * other calls are dropped, and it waits for rpc_peer_resume or rpc_peer_close. ERR_CLOSED when it
 * was gone already. Inside a `done` the answer being looked at is gone afterwards. */
int rpc_answer_detach(struct rpc_call *call, const void *answer, struct conn_parts *ret);

const struct msg_method *rpc_call_method(const struct rpc_call *call);
struct rpc_peer *rpc_call_peer(const struct rpc_call *call); /* NULL once it is gone */
const char *rpc_call_user(const struct rpc_call *call);      /* also when the peer is gone */
const char *rpc_call_address(const struct rpc_call *call);   /* likewise */
uint64_t rpc_call_deadline_ms(const struct rpc_call *call);  /* loop time; UINT64_MAX = none */
struct arena *rpc_call_arena(struct rpc_call *call); /* dies with the call: room for the handler */
struct slice
rpc_call_bytes(const struct rpc_call *call); /* what `ask` was decoded from; likewise */

#endif
