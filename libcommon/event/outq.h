/* SPDX-License-Identifier: Apache-2.0
 * outq: bytes that wait to be sent. Small ones gather in `out`; a whole buffer handed over becomes
 * a piece (what was gathered before it too), so that order is kept and nothing big is copied.
 * Pieces come before `out`. Loop thread only. */
#ifndef QUERN_EVENT_OUTQ_H
#define QUERN_EVENT_OUTQ_H

#include <sys/types.h>
#include <sys/uio.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/list.h"

#define OUTQ_IOVS 64

struct outq {
    struct list pieces;
    size_t piece_bytes; /* unsent, in pieces */
    struct buf out;     /* where to append; one that fails makes a hole in the stream */
    size_t out_off;     /* of it, sent so far */
};

void outq_init(struct outq *q);
void outq_release(struct outq *q);
static inline size_t outq_bytes(const struct outq *q)
{
    return q->piece_bytes + q->out.len - q->out_off;
}

/* Takes the content of *bytes, which is empty after; without memory q->out has failed. */
void outq_push(struct outq *q, struct buf *bytes);
/* The first bytes, in order; how many of `iov` were filled. 0 = nothing waits. */
size_t outq_gather(const struct outq *q, struct iovec iov[OUTQ_IOVS]);
/* One send(2) that does not block, of what is there; its answer, and errno. */
ssize_t outq_send(const struct outq *q, int fd);
/* So many have left. */
void outq_sent(struct outq *q, size_t bytes);

#endif
