/* SPDX-License-Identifier: Apache-2.0
 * stream_out: a file being written.
 *
 *   write   bytes -> ring -> whole packets -> first datanode -> the others      acks come back
 *   hflush  all bytes acknowledged: in the OS cache of every replica
 *   close   last packet acknowledged (on disk everywhere) -> the namenode saw min(2, r) replicas
 *
 *   (no block) --bytes for a packet--> allocated, chain set up --> streaming --> finished --> (no
 *       ^          or flush, close         | a node refuses:        | a node fails:        block)
 *       |                                  | given up, asked again  | new stamp, survivors
 *       |                                  v without it             v cut to acked, go on
 *       +------- nobody is left, but every byte is still in the ring: a new block elsewhere
 *
 * There is no thread: acks are read by whoever writes, whenever there is no room or something is
 * waited for. Idle streams are kept alive by the handle's renewal thread. Memory: one ring and one
 * packet's checksums, whatever the size of the file. The first failure sticks. */
#ifndef QUERN_CLIENT_STREAM_OUT_H
#define QUERN_CLIENT_STREAM_OUT_H

#include "client/lib/handle.h"

struct cl_out;
struct cl_out_options {
    uint32_t mode;      /* umask applied */
    uint32_t full_mode; /* not applied */
    uint32_t replication;
    uint64_t block_size;
    bool overwrite, create_parents;
    bool will_write; /* there are bytes for it: its first block is asked for at once */
    bool append;     /* go on with a file that is there: of the others only new_block counts */
    bool new_block;  /* and leave its last block alone */
};

/* `path` is normal, copied. */
int cl_out_open(struct qn_fs *fs, const char *path, const struct cl_out_options *options,
                struct cl_out **ret, struct err *err);
int cl_out_write(struct cl_out *out, const void *data, size_t size, struct err *err);
int cl_out_flush(struct cl_out *out, bool to_disk, struct err *err);
uint64_t cl_out_length(struct cl_out *out);
/* The stream is gone after each of these. */
int cl_out_close(struct cl_out *out, struct err *err);
/* Closes, and gives the file its final name `to` (normal), if its name still means what we wrote
 * and not another writer's file. On failure it is removed, if it is still ours. */
int cl_out_close_as(struct cl_out *out, const char *to, bool overwrite, struct err *err);
void cl_out_abort(
    struct cl_out *out);              /* and removes the file, if it is still ours and we made it */
void cl_out_free(struct cl_out *out); /* and leaves the file to its lease */

/* For renewal: if nothing was sent since `before_ms`, say that we live. Never waits. */
void cl_out_beat(struct cl_out *out, uint64_t before_ms);
struct list *cl_out_link(struct cl_out *out);
struct cl_out *cl_out_of_link(struct list *link);

#endif
