/* SPDX-License-Identifier: Apache-2.0
 * ring: the memory a writer keeps a block's unacknowledged bytes in. The byte at offset x of the
 * block lies at x % size. It is a memfd sealed against growing and shrinking, so that a datanode on
 * the same node can map it and take the bytes without another copy; over TCP it is just memory.
 * Rings are kept with the handle and used again, so their pages are faulted in once. */
#ifndef QUERN_CLIENT_RING_H
#define QUERN_CLIENT_RING_H

#include "libcommon/base/list.h"
#include "libcommon/event/thread.h"

#define CL_RING_BYTES (8U << 20)
#define CL_RINGS_KEPT 32

struct cl_ring {
    struct list link;
    uint8_t *data;
    int fd;
};
struct cl_rings {
    struct mutex lock;
    struct list idle;
    size_t count;
};

void cl_rings_init(struct cl_rings *rings);
void cl_rings_release(struct cl_rings *rings);
int cl_ring_get(struct cl_rings *rings, struct cl_ring **ret);  /* ERR_NOMEM, ERR_LIMIT ... */
void cl_ring_put(struct cl_rings *rings, struct cl_ring *ring); /* NULL is fine */
/* It may be mapped elsewhere by somebody who has not finished: free it instead of using it again.
 */
void cl_ring_drop(struct cl_ring *ring);

#endif
