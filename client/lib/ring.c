/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcommon/base/mem.h"

void cl_rings_init(struct cl_rings *rings)
{
    *rings = (struct cl_rings){0};
    mutex_init(&rings->lock);
    list_init(&rings->idle);
}

void cl_rings_release(struct cl_rings *rings)
{
    list_each_safe (&rings->idle, it)
        cl_ring_drop(list_entry(it, struct cl_ring, link));
    list_init(&rings->idle);
    mutex_release(&rings->lock);
}

void cl_ring_drop(struct cl_ring *ring)
{
    if (!ring)
        return;
    if (ring->data)
        munmap(ring->data, CL_RING_BYTES);
    if (ring->fd >= 0)
        close(ring->fd);
    mem_free(ring);
}

static int ring_new(struct cl_ring **ret)
{
    struct cl_ring *ring = mem_calloc(1, sizeof(*ring));
    if (!ring)
        return ERR_NOMEM;
    list_init(&ring->link);
    ring->fd = memfd_create("quern-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (ring->fd < 0 || ftruncate(ring->fd, CL_RING_BYTES) != 0 ||
        fcntl(ring->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        int code = err_from_errno(errno);
        cl_ring_drop(ring);
        return code;
    }
    void *data = mmap(NULL, CL_RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
    if (data == MAP_FAILED) {
        cl_ring_drop(ring);
        return ERR_NOMEM;
    }
    ring->data = data;
    *ret = ring;
    return 0;
}

int cl_ring_get(struct cl_rings *rings, struct cl_ring **ret)
{
    mutex_lock(&rings->lock);
    struct cl_ring *ring = list_first(&rings->idle, struct cl_ring, link);
    if (ring) {
        list_remove(&ring->link);
        rings->count--;
    }
    mutex_unlock(&rings->lock);
    if (!ring)
        return ring_new(ret);
    *ret = ring;
    return 0;
}

void cl_ring_put(struct cl_rings *rings, struct cl_ring *ring)
{
    if (!ring)
        return;
    mutex_lock(&rings->lock);
    bool keep = rings->count < CL_RINGS_KEPT;
    if (keep) {
        list_push_front(&rings->idle, &ring->link);
        rings->count++;
    }
    mutex_unlock(&rings->lock);
    if (!keep)
        cl_ring_drop(ring);
}
