/* SPDX-License-Identifier: Apache-2.0
 * members: how many datanodes the cluster has, as far as a close asks.
 *
 * A close waits for min(2, wanted) fsynced replicas, but a cluster that never had a second datanode
 * cannot give a second one. Registrations are forgotten at a restart, and then one node back before
 * the others would look like the whole cluster; so the first datanodes ever registered are
 * journaled state, as many as a close may ask for. They are never taken back: a node that is gone
 * for good is no reason to be content with less.
 *
 * A datanode under another name, or with fresh directories, is the one it was. (Two that exchanged
 * one of these are seen to be two when both are registered.)
 *
 * Pure. In byte order of names, so that equal sets are equal in an image. */
#ifndef QUERN_NN_BLOCKS_MEMBERS_H
#define QUERN_NN_BLOCKS_MEMBERS_H

#include "libcommon/base/slice.h"

#define NN_CLOSE_REPLICAS 2 /* finalized replicas that a close waits for, if so many are wanted */

struct nn_member {
    char *name, *uuid; /* owned */
};

struct nn_members {
    struct nn_member v[NN_CLOSE_REPLICAS];
    uint32_t count;
};

void nn_members_release(struct nn_members *members);
/* One of them has this name, or these directories. */
bool nn_members_has(const struct nn_members *members, struct slice name, struct slice uuid);
/* One of them has both. */
bool nn_members_has_exactly(const struct nn_members *members, struct slice name, struct slice uuid);
/* Copies them. 0, also when exactly that is there or there are enough; ERR_NOMEM. */
int nn_members_add(struct nn_members *members, struct slice name, struct slice uuid);

#endif
