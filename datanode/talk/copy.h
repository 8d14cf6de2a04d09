/* SPDX-License-Identifier: Apache-2.0
 * copy: send a finalized replica to other nodes, as the namenode ordered. Every byte is verified as
 * it is read, and by each receiver; the targets have it durable, or not at all. */
#ifndef QUERN_DN_TALK_COPY_H
#define QUERN_DN_TALK_COPY_H

#include "datanode/storage/storage.h"
#include "datanode/talk/pace.h"
#include "datanode/talk/peer.h"
#include "libcommon/event/thread.h"

/* What all copies of this node share. Any thread. */
struct dn_copy_pace {
    struct mutex lock;
    struct dn_pace pace;
};
void dn_copy_pace_init(struct dn_copy_pace *pace, uint64_t bytes_per_s);
void dn_copy_pace_release(struct dn_copy_pace *pace);
void dn_copy_pace_set(struct dn_copy_pace *pace, uint64_t bytes_per_s);

struct dn_copy {
    const struct identity *self;
    struct dn_volume *volume;
    struct dn_replica replica; /* as it was when the order came: finalized */
    struct msg_node_list targets;
    struct dn_buffers *pieces; /* piece_bytes and room for their sums */
    size_t piece_bytes;
    uint64_t timeout_ms;
    struct dn_copy_pace *pace;
    const _Atomic bool *stop; /* set: end between two packets */
};

/* On a mover's thread. 0: all targets have it. ERR_CHECKSUM, ERR_CORRUPT ...: our own replica is
 * damaged (*ret_is_ours). Else who failed and why is in err.
 * Fault point: dn.copy.packet (corrupt, drop: the connection breaks). */
int dn_copy_run(const struct dn_copy *copy, bool *ret_is_ours, struct err *err);

#endif
