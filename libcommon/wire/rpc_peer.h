/* SPDX-License-Identifier: Apache-2.0
 * rpc_peer: who is at the other end. Valid from on_peer_up until on_peer_down returns. Part of
 * rpc.h.
 *
 *                     hello done               rpc_answer_detach
 *   (connected) ------------------> up ------------------------------> lent
 *        |                          |  ^------------------------------  |
 *        | hello wrong or late      |          rpc_peer_resume          | rpc_peer_close
 *        v                          v                                   v
 *     (dropped)                    down <--------------------------------              */
#ifndef QUERN_WIRE_RPC_PEER_H
#define QUERN_WIRE_RPC_PEER_H

#include "libcommon/event/conn.h"
#include "libcommon/wire/hello.h"

struct rpc_peer;

/* Strings are never NULL. */
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

/* Queued output still leaves; on_peer_down follows from the loop. */
void rpc_peer_close(struct rpc_peer *peer);
/* Give a lent connection back: takes the parts. ERR_NOMEM: on_peer_down follows. */
int rpc_peer_resume(struct rpc_peer *peer, struct conn_parts *parts);

#endif
