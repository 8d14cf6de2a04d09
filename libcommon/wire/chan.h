/* SPDX-License-Identifier: Apache-2.0
 * chan: blocking questions for client libraries, tools and tasks. No loop, no thread of its own;
 * may be used from several threads at once: their questions share the connection, each waits only
 * for its own answer.
 *
 * A call whose connection breaks is asked again over a new one, with back-off, until its time is
 * over: when its method is MSG_READS or MSG_RECORDED, or when it had not been sent yet; never
 * otherwise, for it may have been done. An answer of ERR_CLOSED (the other side stops) counts as a
 * broken connection; every other answer is final, errors too. */
#ifndef QUERN_WIRE_CHAN_H
#define QUERN_WIRE_CHAN_H

#include <stdatomic.h>

#include "libcommon/wire/hello.h"

struct chan;
struct chan_conf {
    const char *address;         /* copied */
    const struct identity *self; /* borrowed for life */
    enum wire_role role;         /* who must answer there; 0 = anyone. Also for messages */
    uint32_t timeout_ms;         /* for connecting and the hello; 0 = 10 s */
    /* NULL, or where the socket is shown from the first moment on (-1 = there is none), so that
     * another thread may shut it down to end whatever waits for it. A stolen one stays shown. */
    atomic_int *shown;
};

/* Connects. "cannot reach 127.0.0.1:8020: connection refused: is the namenode running?" */
int chan_open(const struct chan_conf *conf, struct chan **ret, struct err *err);
/* One over a connection that is there, with its hellos said and no answer owed. Takes the
 * descriptor (non-blocking). ERR_NOMEM: not taken. What chan_peer_ tells is empty. */
int chan_adopt_fd(const struct chan_conf *conf, int fd, struct chan **ret);
/* No other thread may be in a call. NULL is fine. */
void chan_close(struct chan *chan);

/* Ask and wait. *ret_answer (a struct of method->answer) points into the arena, as does all in it;
 * it may be NULL when the answer is not needed. timeout_ms 0 = 60 s. The code the other side failed
 * with comes back with its text, unchanged. Others: ERR_TIMEOUT, ERR_REFUSED, ERR_UNREACHABLE,
 * ERR_CLOSED, ERR_PROTO ..., with the address in the message. */
int chan_call(struct chan *chan, const struct msg_method *method, const void *ask,
              struct arena *arena, void *ret_answer, uint32_t timeout_ms, struct err *err);

/* Who answered the hello; strings are never NULL and live until the next call. */
const char *chan_peer_node(const struct chan *chan);
const char *chan_peer_cluster(const struct chan *chan);
const char *chan_peer_boot(const struct chan *chan);
uint64_t chan_peer_netns(const struct chan *chan);
const char *chan_address(const struct chan *chan);

/* For conversations that turn into raw bytes after the first answer: takes the descriptor out
 * (non-blocking, nothing read beyond the last answer, so that passed descriptors are not lost) and
 * closes the chan, which is freed. ERR_BUSY while another call is under way, ERR_CLOSED when the
 * connection is down: the chan stays then. */
int chan_steal_fd(struct chan *chan, int *ret_fd);
/* The same, for a while: the chan is busy (other threads' calls wait) until the descriptor is given
 * back. is_usable false: the stream is not at the beginning of an answer, the next call connects
 * anew. */
int chan_lend_fd(struct chan *chan, int *ret_fd);
void chan_return_fd(struct chan *chan, bool is_usable);

#endif
