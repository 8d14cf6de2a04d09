/* SPDX-License-Identifier: Apache-2.0
 * block_read: bytes of one replica, verified. Two ways to the same bytes:
 *
 *   over a socket   READ, then packets with their checksums. A reader may stay in the middle of a
 *                   long answer and go on from there later: then the datanode and the kernel's
 *                   buffers read ahead for it.
 *   by descriptors  on the same node: block file and checksum file, read with pread. Mapped only
 *                   for who asks for a view: a disk that vanishes is an error here and may be a
 *                   SIGBUS there. A disk that says nothing is left after a time (patient.h), like a
 *                   silent datanode.
 *
 * Nothing is ever returned that did not match its checksum. */
#ifndef QUERN_CLIENT_BLOCK_READ_H
#define QUERN_CLIENT_BLOCK_READ_H

#include "client/lib/blocks.h"
#include "client/lib/handle.h"
#include "client/lib/patient.h"

/* --- over a socket ---------------------------------------------------------------------------- */

/* One answer in progress; zeroed = none. Belongs to one thread at a time. */
struct cl_remote {
    struct cl_peer *peer; /* NULL = idle */
    uint64_t id;          /* the block */
    uint64_t pos;         /* next byte of the block that can be taken */
    uint64_t end;         /* of the answer */
    uint8_t *packet;      /* PACKET_DATA_MAX bytes, made when first needed */
    uint64_t packet_off;  /* block offset of packet[0] */
    uint32_t packet_len;  /* verified bytes in it */
    uint32_t *sums;
    bool is_last;  /* the answer's last packet has come */
    uint64_t node; /* hash of its name; with what came from it, and the waiting for that, since the
                      reader set them to 0 */
    uint64_t taken, waited_us;
};
void cl_remote_release(struct cl_remote *remote);
/* Ask `node` for [off, off + len) of the block. What was in progress is dropped. */
int cl_remote_start(struct qn_fs *fs, struct cl_remote *remote, const struct msg_node *node,
                    const struct cl_block *block, uint64_t off, uint64_t len, struct err *err);
/* Take exactly `size` bytes from remote->pos on (within its end). On failure it is idle. */
int cl_remote_take(struct cl_remote *remote, void *buffer, size_t size, struct err *err);
/* Can bytes be taken from `off` of this block without asking again? Small gaps are skipped. */
bool cl_remote_can_go_on(const struct cl_remote *remote, uint64_t id, uint64_t off);
int cl_remote_skip_to(struct cl_remote *remote, uint64_t off, struct err *err);
/* The answer is used up or not wanted: the connection is kept if it stands between requests. */
void cl_remote_stop(struct cl_remote *remote);

/* --- by descriptors --------------------------------------------------------------------------- */

struct cl_local {
    struct list link;
    uint64_t id, gs, len;
    struct cl_files *files; /* data, checksums */
    struct cl_patient *patient;
    uint64_t wait_ms; /* for the disk */
    uint32_t sums_off;
    unsigned refs; /* of those who keep it (locals.h), under their lock */
};
/* ERR_RETRY: not finalized, read it over a socket. */
int cl_local_open(struct qn_fs *fs, const struct msg_node *node, const struct cl_block *block,
                  struct cl_local **ret, struct err *err);
void cl_local_close(struct cl_local *local);
/* Exactly `size` bytes at `off`; ERR_CHECKSUM, ERR_IO, ERR_EOF (shorter than it should be),
 * ERR_TIMEOUT (the disk is silent). Any thread. */
int cl_local_read(const struct cl_local *local, void *buffer, size_t size, uint64_t off,
                  struct err *err);
/* The same bytes without a copy: verified pages of the block file, until qn_view_release, whatever
 * becomes of `local` or the file's name. ERR_UNSUPPORTED: not on this kernel. */
int cl_local_view(const struct cl_local *local, size_t size, uint64_t off, struct qn_view *ret,
                  struct err *err);

#endif
