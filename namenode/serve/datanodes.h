/* SPDX-License-Identifier: Apache-2.0
 * datanodes: the conversation that datanodes start with the namenode (proto/dn_nn): they register,
 * beat and report; at the end of every turn of the loop the orders that came out of it are pushed
 * over each node's connection, each with our term.
 *
 *   REGISTER  -> rack looked up (a script may take a moment) -> registered, or refused with a
 * reason FULL_REPORT, CHANGES, COPIED, RECOVERED -> namenode/blocks -> orders, hooks connection
 * lost -> the node keeps its state, but gets no work until it is back
 *
 * Nothing here changes the namespace: what does (a block ready, a recovery ended, a stamp wanted)
 * goes through the hooks given to nn_blocks_init. Answers to datanodes wait for nothing. */
#ifndef QUERN_NAMENODE_SERVE_DATANODES_H
#define QUERN_NAMENODE_SERVE_DATANODES_H

#include "libcommon/daemon/racks.h"
#include "libcommon/proto/dn_nn/messages.h"
#include "libcommon/wire/rpc.h"
#include "namenode/blocks/events.h"
#include "namenode/serve/admission.h"

struct nn_datanodes_conf {
    struct loop *loop;
    struct nn_blocks *blocks;             /* borrowed */
    struct racks *racks;                  /* borrowed */
    const struct nn_admission *admission; /* borrowed; NULL = everybody may come, and serves */
    const char *cluster_id;               /* borrowed */
    uint64_t term;
    uint64_t (*highest_gs)(void *ctx); /* the last stamp given out */
    void *ctx;
};

struct nn_datanodes;
/* Begins to let time pass for the block side (nn_blocks_step). NULL when memory is out. */
struct nn_datanodes *nn_datanodes_new(const struct nn_datanodes_conf *conf);
/* Before the rpc server is closed: questions under way are forgotten. NULL is fine. */
void nn_datanodes_free(struct nn_datanodes *d);

/* For the services of the namenode's rpc server. */
struct rpc_service nn_datanodes_service(struct nn_datanodes *d);
/* From the server's on_peer_down, for every peer whose role is WIRE_DATANODE. */
void nn_datanodes_peer_down(struct nn_datanodes *d, struct rpc_peer *peer);
/* The operator's wishes were read anew: apply them to all nodes. 0 or ERR_NOMEM. */
int nn_datanodes_admit(struct nn_datanodes *d);

/* How clients reach a node; strings borrowed from the registry, good for this turn. */
void nn_datanodes_fill(const struct nn_blocks *blocks, uint32_t node, struct msg_node *ret);

#endif
