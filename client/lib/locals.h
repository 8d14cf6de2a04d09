/* SPDX-License-Identifier: Apache-2.0
 * locals: the replicas of this node that a stream reads, with their descriptors. Those used last
 * are kept, so that a program that jumps between a few blocks does not ask the datanode each time.
 * Any thread. */
#ifndef QUERN_CLIENT_LOCALS_H
#define QUERN_CLIENT_LOCALS_H

#include "client/lib/block_read.h"

struct cl_locals {
    struct mutex lock;
    struct list kept; /* struct cl_local, last used first */
    unsigned count;
};
void cl_locals_init(struct cl_locals *locals);
/* Nobody holds one any more. */
void cl_locals_release(struct cl_locals *locals);

/* The block's replica on `node`: one that is kept, or opened now (see cl_local_open). The caller
 * holds it until cl_locals_give. */
int cl_locals_take(struct cl_locals *locals, struct qn_fs *fs, const struct msg_node *node,
                   const struct cl_block *block, struct cl_local **ret, struct err *err);
/* `is_good`: reading it went well; one that failed is not kept. */
void cl_locals_give(struct cl_locals *locals, struct cl_local *local, bool is_good);

#endif
