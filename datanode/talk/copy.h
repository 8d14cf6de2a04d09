/* SPDX-License-Identifier: Apache-2.0
 * copy: send a replica to other nodes: a finalized one, as the namenode ordered, or one that is
 * being written, to a node that joins its pipeline. Every byte is verified as it is read, and by
 * each receiver; the targets have it durable, or not at all. */
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
    struct dn_replica replica; /* as it was when the order came; its files are not written to */
    /* The stage it goes as. JOIN: at least `least` bytes of it, all of which is verified first,
     * under the stamp `gs`. */
    enum data_write_stage stage;
    uint64_t least, gs, block_size;
    struct msg_node_list targets;
    struct dn_buffers *pieces; /* piece_bytes and room for their sums */
    size_t piece_bytes;
    uint64_t timeout_ms;
    struct dn_copy_pace *pace; /* NULL = as fast as it goes */
    const _Atomic bool *stop;  /* set: end between two packets */
};

/* How it failed. */
struct dn_copy_fault {
    bool is_ours;                  /* our own replica is damaged */
    char node[HELLO_TEXT_MAX + 1]; /* who is to blame otherwise */
};

/* On a mover's thread. 0: all targets have it. ERR_CHECKSUM, ERR_CORRUPT ...: why not.
 * Fault point: dn.copy.packet (corrupt, drop: the connection breaks). */
int dn_copy_run(const struct dn_copy *copy, struct dn_copy_fault *ret, struct err *err);

#endif
