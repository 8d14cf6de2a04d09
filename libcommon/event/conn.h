/* SPDX-License-Identifier: Apache-2.0
 * conn: a buffered byte stream over a non-blocking socket, on a loop.
 *
 *   conn_connect            connected              conn_close            output gone, or 5 s over
 *   ------------> connecting --------> open ----------------> closing ---------------+
 *   conn_new -------------------------> |   conn_abort, peer's end, error             v
 *                                       +---------------------------------------> closed --> freed
 *
 * on_close is called once, always from the loop and never from inside another call here, whoever
 * closed; the conn is freed after it returns. After conn_close/conn_abort no other callback comes.
 * Sending to a conn that is closing or closed is harmless and goes nowhere.
 *
 * Bytes sent during a turn leave at its end with one writev. An idle conn owns no buffers. Reading
 * stops by itself while more than `out_high_bytes` wait to be sent, so that a peer that asks
 * without listening cannot fill our memory. */
#ifndef QUERN_EVENT_CONN_H
#define QUERN_EVENT_CONN_H

#include "libcommon/base/buf.h"
#include "libcommon/event/loop.h"
#include "libcommon/event/sock.h"

struct conn;
struct conn_ops {
    /* conn_connect only: connected. May be NULL. */
    void (*on_open)(struct conn *conn, void *arg);
    /* There are bytes. Consume (buf_consume, once at the end for speed) what you understood; what
     * is left comes again, in front, when more has arrived. Do not keep pointers into `in`. */
    void (*on_data)(struct conn *conn, struct buf *in, void *arg);
    /* code: 0 after conn_close/conn_abort, ERR_EOF when the peer ended the stream, else what failed
     * (ERR_TOOBIG: `in` grew over in_max_bytes; ERR_TIMEOUT: connecting, or a stall). */
    void (*on_close)(struct conn *conn, int code, void *arg);
    /* All queued output has left. May be NULL. */
    void (*on_drained)(struct conn *conn, void *arg);
};

struct conn_limits {
    size_t in_max_bytes;   /* unconsumed input; 0 = 16 MiB */
    size_t out_high_bytes; /* 0 = 4 MiB */
    uint32_t stall_ms;     /* queued output and the peer takes none of it: give up; 0 = 2 min */
};

/* What a conn is made of, when its descriptor changes hands (conn_detach, conn_attach). */
struct conn_parts {
    int fd;            /* non-blocking */
    struct buf unread; /* read from it but not consumed */
    struct buf unsent; /* queued but not yet sent: goes first */
};

/* Takes fd (closed on failure too): connected, any kind of stream socket. NULL when memory is out.
 * `ops` is borrowed for the conn's life. */
struct conn *conn_new(struct loop *loop, int fd, const struct conn_ops *ops, void *arg);
/* Connects in the background; on_open or on_close(code) follows. Names are resolved on a thread.
 * Fails at once only for ERR_NOMEM and addresses that are none. */
int conn_connect(struct loop *loop, const char *address, uint64_t timeout_ms,
                 const struct conn_ops *ops, void *arg, struct conn **ret, struct err *err);
/* The inverse of conn_detach: takes the parts, also on failure. Bytes read before come to on_data
 * in the next turn. NULL when memory is out. */
struct conn *conn_attach(struct loop *loop, struct conn_parts *parts, const struct conn_ops *ops,
                         void *arg);
void conn_set_limits(struct conn *conn, struct conn_limits limits);

void conn_send(struct conn *conn, struct slice bytes); /* copies */
/* Takes the content; *bytes is empty after. */
void conn_send_buf(struct conn *conn, struct buf *bytes);
/* Where to append output in place, to save the copy; good until the next call on this conn. What is
 * appended counts as sent. A buf that fails closes the conn (ERR_NOMEM). */
struct buf *conn_out(struct conn *conn);
size_t conn_queued_bytes(const struct conn *conn);
/* on_data need not come before `bytes` unconsumed ones are there (a big frame's length is known
 * from its first bytes). Counts for the next call only. */
void conn_want(struct conn *conn, size_t bytes);
/* Stop and go on reading (our own back-pressure). */
void conn_pause(struct conn *conn, bool paused);

void conn_close(struct conn *conn); /* after the queued output has left */
void conn_abort(struct conn *conn); /* now */
bool conn_is_open(const struct conn *conn);

/* Take the descriptor away: nothing more is called, the conn is gone. May be called inside on_data
 * (consume first). Gives the parts. ERR_CLOSED when it is not open. */
int conn_detach(struct conn *conn, struct conn_parts *ret);

/* The other end: "10.0.0.5:41234", or "unix:pid 4711" for a unix socket. */
const char *conn_peer(const struct conn *conn);
bool conn_is_local(const struct conn *conn); /* loopback or unix */
/* Unix sockets: SO_PEERCRED. ERR_UNSUPPORTED on TCP. */
int conn_peer_uid(const struct conn *conn, uid_t *ret_uid);

#endif
