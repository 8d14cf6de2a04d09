/* SPDX-License-Identifier: Apache-2.0
 * datanode: connections to datanodes, kept and used again: a connection is taken, carries one
 * request (and the packets behind its answer), and is given back when it stands between requests,
 * or dropped when it does not. */
#ifndef QUERN_CLIENT_TALK_DATANODE_H
#define QUERN_CLIENT_TALK_DATANODE_H

#include "libcommon/base/list.h"
#include "libcommon/event/thread.h"
#include "libcommon/proto/data/messages.h"
#include "libcommon/proto/data/packet.h"
#include "libcommon/wire/chan.h"

struct cl_peers {
    struct mutex lock;
    struct list idle; /* newest first */
    size_t count;
    const struct identity *self; /* borrowed */
    uint32_t timeout_ms;
};

struct cl_peer {
    struct list link;
    struct cl_peers *peers;
    struct chan *chan;
    char *address;
    uint64_t idle_since_ms;
    int fd;              /* while packets flow; else -1 */
    unsigned behind;     /* nodes whose answers this one's wait for */
    bool is_owed_answer; /* one may still come: not to be used again */
};

void cl_peers_init(struct cl_peers *peers, const struct identity *self, uint32_t timeout_ms);
void cl_peers_release(struct cl_peers *peers); /* every peer must have been given back */

/* "host:port", or the path of a unix socket. An idle connection, or a new one. */
int cl_peer_get(struct cl_peers *peers, const char *address, struct cl_peer **ret, struct err *err);
/* An idle one that lives, or NULL. */
struct cl_peer *cl_peer_get_idle(struct cl_peers *peers, const char *address);
/* A connection somebody else made, with its hellos said and no answer owed, joins the idle ones.
 * Takes the descriptor, and closes it when there is no memory. */
void cl_peer_adopt(struct cl_peers *peers, const char *address, int fd);
/* It stands between two requests: keep it. */
void cl_peer_put(struct cl_peer *peer);
/* It stands in the middle of something: close it. NULL is fine. */
void cl_peer_drop(struct cl_peer *peer);

/* What is asked now is passed on to so many nodes, itself counted: more patience for each. Until it
 * is given back. */
void cl_peer_set_behind(struct cl_peer *peer, unsigned behind);
/* `at` is a DATA_AT_ number. */
int cl_peer_ask(struct cl_peer *peer, unsigned at, const void *ask, struct arena *arena,
                void *ret_answer, struct err *err);
/* Bytes instead of messages from here on: peer->fd may be used. ERR_CLOSED. */
int cl_peer_begin_packets(struct cl_peer *peer);
/* ... and messages again. */
void cl_peer_end_packets(struct cl_peer *peer);

/* When what is sent or awaited now must have come. */
uint64_t cl_peer_deadline(const struct cl_peer *peer);

/* One packet's header and sums; its data is the caller's to receive. `sums` holds PACKET_SUMS_MAX.
 * For PACKET_FAILED the error is received too, and returned. */
int cl_peer_recv_header(struct cl_peer *peer, struct packet_header *ret, uint32_t *sums,
                        struct err *err);

/* "host:port" of a node's data port. Returns `out`. */
char *cl_node_address(const struct msg_node *node, char *out, size_t cap);

#endif
