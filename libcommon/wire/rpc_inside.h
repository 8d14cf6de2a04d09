/* SPDX-License-Identifier: Apache-2.0
 * rpc_inside: what servers, links, peers and calls share. Private to wire/rpc_*.c.
 *
 * A core belongs to one server or link and outlives it while peers or unanswered calls refer to it;
 * once is_closed nothing of the conf is called any more. */
#ifndef QUERN_WIRE_RPC_INSIDE_H
#define QUERN_WIRE_RPC_INSIDE_H

#include "libcommon/base/mem.h"
#include "libcommon/wire/rpc.h"

/* Calls of one peer may hold this much before we stop reading from it. */
#define RPC_CALL_BYTES_MAX (32U << 20)

struct rpc_route {
    const struct msg_method *method; /* NULL = no such type */
    rpc_handler *handler;
    void *arg;
    uint32_t roles;
};

struct rpc_core {
    struct loop *loop;
    struct rpc_conf conf;
    struct rpc_route *pages[256]; /* by high byte of the type, then by low byte */
    struct list spare_calls;
    unsigned spare_count;
    struct arena answers; /* one answer at a time is decoded here */
    struct list failing;  /* waits that could not be sent, to be told at the turn's end */
    struct loop_task fail_task;
    unsigned refs;
    bool is_closed;
    const char *address; /* the link's, for messages; "" in a server */
    char why[256];       /* link: why it is down */
    /* the server or link: a peer is up; it is gone (err only if it never was up) */
    void (*on_up)(struct rpc_peer *peer);
    void (*on_gone)(struct rpc_peer *peer, const struct err *err);
    void *owner;
};

enum peer_state { PEER_HELLO, PEER_UP, PEER_LENT, PEER_DOWN };

struct rpc_peer {
    struct list link; /* of the server's peers */
    struct rpc_core *core;
    struct conn *conn; /* NULL while lent, and once closed */
    unsigned state;    /* enum peer_state */
    unsigned refs;     /* being alive, the conn, each call, on_data on the stack */
    bool is_asking;    /* we connected: our hello goes first */
    bool is_paused;
    struct loop_timer hello_timer;
    struct loop_task down_task;

    struct hmap waits; /* by call number */
    struct list asked; /* the same, oldest first */
    uint64_t next_call;

    uint32_t call_count; /* of theirs, not yet answered */
    size_t call_bytes;

    struct buf *in; /* being parsed, and how far */
    size_t in_at;

    uint32_t role;
    uint64_t netns;
    char *names; /* one allocation; the next four point into it */
    const char *user, *node, *cluster, *boot;
    void *data;
    char address[72];
};

struct rpc_call {
    struct list link; /* of spare calls */
    struct rpc_peer *peer;
    const struct msg_method *method;
    uint64_t call;
    uint64_t deadline_ms;
    struct arena arena;
    struct slice body;
    size_t bytes;
    bool is_oneway;
};

/* core: rpc.c */
int rpc_core_new(struct loop *loop, const struct rpc_conf *conf, struct rpc_core **ret,
                 struct err *err);
void rpc_core_close(struct rpc_core *core); /* tell failing waits, call nobody from now on */
void rpc_core_unref(struct rpc_core *core);
const struct rpc_route *rpc_core_route(const struct rpc_core *core, uint16_t type);
/* wait->done(code) at the turn's end, never having been sent. */
void rpc_core_fail(struct rpc_core *core, struct rpc_wait *wait, const struct msg_method *method,
                   int code);

/* peers: rpc_peer.c */
/* On a connected socket (takes fd, also on failure), or towards an address. NULL: out of memory, or
 * err says why. */
struct rpc_peer *rpc_peer_accept(struct rpc_core *core, int fd);
struct rpc_peer *rpc_peer_connect(struct rpc_core *core, const char *address, struct err *err);
/* Not usable any more, from this moment; what was queued still leaves. */
void rpc_peer_down(struct rpc_peer *peer, int code, const struct err *err);
void rpc_peer_end(struct rpc_peer *peer); /* rpc_peer_down, then close the conn */
void rpc_peer_unref(struct rpc_peer *peer);

/* waits: rpc.c */
void rpc_waits_answer(struct rpc_peer *peer, const struct frame *frame);
void rpc_waits_fail_all(struct rpc_peer *peer);

/* calls: rpc_call.c */
void rpc_calls_arrive(struct rpc_peer *peer, const struct frame *frame);
void rpc_calls_free_spares(struct rpc_core *core);

#endif
