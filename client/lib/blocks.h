/* SPDX-License-Identifier: Apache-2.0
 * blocks: what a reader knows of where a file's blocks are: in order of offset, filled page by page
 * as the namenode tells. Pure; guarded by the stream's lock. */
#ifndef QUERN_CLIENT_BLOCKS_H
#define QUERN_CLIENT_BLOCKS_H

#include "libcommon/base/mem.h"
#include "libcommon/proto/cl_nn/messages.h"

#define CL_BLOCK_NODES 16

/* Nodes met so far; their strings live as long as the cache. */
struct cl_nodes {
    struct msg_node **v;
    size_t n, cap;
    struct arena arena;
};
void cl_nodes_release(struct cl_nodes *nodes);
/* The one that is equal in all fields, or a copy; NULL when memory is out. */
const struct msg_node *cl_nodes_intern(struct cl_nodes *nodes, const struct msg_node *node);

/* Small enough to be copied out of the lock: nodes are borrowed from the cache. */
struct cl_block {
    uint64_t id, gs, len, offset;
    bool is_corrupt;
    uint32_t node_count;
    const struct msg_node *nodes[CL_BLOCK_NODES]; /* nearest first */
};

struct cl_blocks {
    struct cl_block *v;
    size_t n, cap;
    struct cl_nodes nodes;
};
void cl_blocks_release(struct cl_blocks *blocks);
/* What the namenode says now replaces what was known of the same places. 0, ERR_NOMEM, or ERR_PROTO
 * for an answer whose blocks overlap or are out of order (nothing is taken then). */
int cl_blocks_merge(struct cl_blocks *blocks, const struct msg_located_block_list *answer);
/* The block that holds the byte at `offset`; NULL when it is not known. */
const struct cl_block *cl_blocks_find(const struct cl_blocks *blocks, uint64_t offset);
/* The last block known; NULL when there is none. */
struct cl_block *cl_blocks_last(struct cl_blocks *blocks);

#endif
