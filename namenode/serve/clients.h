/* SPDX-License-Identifier: Apache-2.0
 * clients: the conversation of clients, jobtrackers and workers with the namenode (proto/cl_nn).
 *
 *   clients.c         the table, and what every request goes through (turn.h)
 *   clients_names.c   mkdir, rename, delete, attributes, listings
 *   clients_write.c   create, blocks, pipelines
 *   closing.c         COMPLETE: waits for replicas
 *   clients_read.c    where blocks are, bad ones
 *   clients_admin.c   report, safe mode, publish
 *   clients_image.c   an image now, a new segment, a copy of the image
 *   metasave.c        the block side's lists as text
 *   fsck.c            the check of a tree, page by page */
#ifndef QUERN_NAMENODE_SERVE_CLIENTS_H
#define QUERN_NAMENODE_SERVE_CLIENTS_H

#include "libcommon/proto/cl_nn/messages.h"
#include "libcommon/wire/rpc.h"

struct namenode;

struct nn_clients {
    struct namenode *nn;
    struct hmap closing; /* closing.c: COMPLETE calls that wait, by file */
    size_t closing_count;
    struct list below;     /* below.c: calls whose caller's permissions are being looked at */
    struct list metasaves; /* metasave.c: those being written */
    uint64_t below_done;   /* ... and of the one that goes on now: the directory's id */
    uint32_t ls_limit;
    uint64_t trash_interval_ms;
};

void nn_clients_init(struct nn_clients *clients, struct namenode *nn);
/* Calls that still wait for replicas are failed: the process ends. */
void nn_clients_release(struct nn_clients *clients);
/* For the services of the namenode's rpc server. */
struct rpc_service nn_clients_service(struct nn_clients *clients);
/* Requests of a method since the process began; `method` is an index of CL2NN_methods. */
uint64_t nn_clients_calls(size_t method);
/* The calls that below.c has; the process ends. */
void nn_clients_release_below(struct nn_clients *clients);
/* Those of metasave.c, likewise. */
void nn_clients_release_metasaves(struct nn_clients *clients);
/* The block side's hook: this block has the replicas its file's close waits for. */
void nn_clients_on_ready(struct nn_clients *clients, uint32_t block);

#endif
