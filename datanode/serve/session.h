/* SPDX-License-Identifier: Apache-2.0
 * session: one connection to the data port or the unix socket: hello, then one request after the
 * other. Between requests, and while a request is served on the loop, the loop has the socket;
 * while block bytes flow a mover's thread has it.
 *
 *          hello            a request            answer, fail
 *   HELLO -------> IDLE ---------------> SERVING -------------> IDLE
 *                    ^                      | detach
 *                    |        attach        v
 *                    +------------------- MOVING --- end ---> (closed)
 *
 * An idle session costs a connection and this struct, nothing else; one that says nothing for a
 * long time is closed. Requests that are sent ahead wait until the one before is answered. Loop
 * thread only. */
#ifndef QUERN_DN_SERVE_SESSION_H
#define QUERN_DN_SERVE_SESSION_H

#include "libcommon/base/list.h"
#include "libcommon/event/conn.h"
#include "libcommon/proto/data/messages.h"
#include "libcommon/wire/frame.h"
#include "libcommon/wire/hello.h"

#define DN_SESSION_TEXT_MAX 128

struct dn_session;

/* Whoever keeps sessions (serve/blocks). */
struct dn_session_conf {
    struct loop *loop;
    const struct identity *self;
    uint64_t hello_ms, idle_ms; /* the longest silence */
    /* A request: `ask` (a struct of method->ask) lives until it is answered. Must end with exactly
     * one of dn_session_answer, _fail, _end. */
    void (*on_request)(struct dn_session *session, const struct msg_method *method, const void *ask,
                       void *arg);
    void (*on_closed)(struct dn_session *session, void *arg); /* it is freed behind this */
    void *arg;
};

struct dn_session {
    const struct dn_session_conf *conf;
    struct list link;  /* the keeper's */
    struct conn *conn; /* NULL while a mover has the socket, and when the peer is gone */
    struct loop_timer timer;
    struct loop_task reap;
    struct arena arena; /* of the request */
    struct buf pending; /* bytes that came and are not understood yet */
    struct buf unsent;  /* of what the loop had to send when the socket was detached */
    char peer[DN_SESSION_TEXT_MAX];
    char user[HELLO_TEXT_MAX + 1];   /* who asks; on the unix socket the kernel's word */
    const struct msg_method *method; /* of the request being served */
    uint64_t call;
    uint16_t type;
    unsigned state;
    bool is_pumping;
    bool is_unix; /* descriptors can be passed */
    bool is_gone; /* the peer went while its request was served */
};

/* Takes fd. NULL when memory is out. `conf` is borrowed for life. */
struct dn_session *dn_session_open(const struct dn_session_conf *conf, int fd, bool is_unix);
/* Close it: now when idle, else when its request is over. */
void dn_session_close(struct dn_session *session);

/* ---- ends of a request ---- */

void dn_session_answer(struct dn_session *session, const void *answer);
void dn_session_fail(struct dn_session *session, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The socket was used up, or is worth nothing any more. Takes fd (-1 = it was never detached). */
void dn_session_end(struct dn_session *session, int fd);

/* ---- block bytes ---- */

/* Take the socket (non-blocking) for a thread's use. ERR_CLOSED when the peer is gone; ERR_PROTO
 * when bytes have come that nobody asked for. End the session then. */
int dn_session_detach(struct dn_session *session, int *ret_fd);
/* Give it back, standing between requests; `first` goes out before anything else. */
void dn_session_attach(struct dn_session *session, int fd, struct slice first);
/* The frame of the answer or error, for a thread to send. Whoever has the socket may call one of
 * them, once, from his thread. 0, ERR_NOMEM or ERR_TOOBIG. */
int dn_session_put_answer(struct dn_session *session, const void *answer, struct buf *out);
int dn_session_put_error(struct dn_session *session, const struct err *err, struct buf *out);

#endif
