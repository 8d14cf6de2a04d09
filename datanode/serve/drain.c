/* SPDX-License-Identifier: Apache-2.0
 * `done` is the only thing both threads look at without the lock: the relay asks for it with every
 * packet. The descriptor is written after it is set, and read before it is taken back, so that no
 * wake-up is lost and none is left over for the next run. */
#include "datanode/serve/drain.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "libcommon/base/fault.h"
#include "libcommon/base/mem.h"
#include "libcommon/event/thread.h"

struct dn_drain {
    struct dn_blockfile *file;
    struct thread thread;
    struct mutex lock;
    struct cond changed;
    int fd;
    bool is_idle; /* the relay's own view */
    /* with the lock */
    bool has_run, must_end;
    uint64_t off;
    struct slice data;
    const uint8_t *sums;
    int code; /* of the run, before `done` is set */
    _Atomic bool done;
};

static void finish(struct dn_drain *d, int code)
{
    uint64_t one = 1;
    d->has_run = false;
    d->code = code;
    atomic_store_explicit(&d->done, true, memory_order_release);
    if (write(d->fd, &one, sizeof(one)) < 0)
        BUG("telling that a run is written: errno %d", errno);
    cond_signal(&d->changed);
}

static void write_runs(void *arg)
{
    struct dn_drain *d = arg;
    mutex_lock(&d->lock);
    for (;;) {
        while (!d->has_run && !d->must_end)
            cond_wait(&d->changed, &d->lock);
        if (!d->has_run)
            break;
        mutex_unlock(&d->lock);
        int rc = fault_errno(fault_hit("dn.write.drain")) ? ERR_IO : 0;
        if (rc == 0)
            rc = dn_blockfile_write(d->file, d->off, d->data, d->sums);
        mutex_lock(&d->lock);
        finish(d, rc);
    }
    mutex_unlock(&d->lock);
}

struct dn_drain *dn_drain_start(struct dn_blockfile *file)
{
    struct dn_drain *d = mem_calloc(1, sizeof(*d));
    int fd = d ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
    if (fd < 0) {
        mem_free(d);
        return NULL;
    }
    d->file = file;
    d->fd = fd;
    d->is_idle = true;
    mutex_init(&d->lock);
    cond_init(&d->changed);
    if (thread_start(&d->thread, "dn-drain", write_runs, d, NULL) == 0)
        return d;
    cond_release(&d->changed);
    mutex_release(&d->lock);
    close(fd);
    mem_free(d);
    return NULL;
}

void dn_drain_stop(struct dn_drain *drain)
{
    if (!drain)
        return;
    mutex_lock(&drain->lock);
    drain->must_end = true;
    cond_signal(&drain->changed);
    mutex_unlock(&drain->lock);
    thread_join(&drain->thread);
    cond_release(&drain->changed);
    mutex_release(&drain->lock);
    close(drain->fd);
    mem_free(drain);
}

void dn_drain_write(struct dn_drain *drain, uint64_t off, struct slice data, const uint8_t *sums)
{
    BUG_ON(!drain->is_idle);
    drain->is_idle = false;
    mutex_lock(&drain->lock);
    drain->off = off;
    drain->data = data;
    drain->sums = sums;
    drain->has_run = true;
    cond_signal(&drain->changed);
    mutex_unlock(&drain->lock);
}

bool dn_drain_is_idle(const struct dn_drain *drain)
{
    return drain->is_idle;
}

bool dn_drain_take(struct dn_drain *drain, int *ret_code)
{
    uint64_t count;
    if (drain->is_idle || !atomic_load_explicit(&drain->done, memory_order_acquire))
        return false;
    mutex_lock(&drain->lock); /* the thread has written to the descriptor when it lets go of it */
    *ret_code = drain->code;
    if (read(drain->fd, &count, sizeof(count)) < 0)
        BUG("asking whether a run is written: errno %d", errno);
    atomic_store_explicit(&drain->done, false, memory_order_relaxed);
    mutex_unlock(&drain->lock);
    drain->is_idle = true;
    return true;
}

void dn_drain_wait(struct dn_drain *drain)
{
    mutex_lock(&drain->lock);
    while (!drain->is_idle && drain->has_run)
        cond_wait(&drain->changed, &drain->lock);
    mutex_unlock(&drain->lock);
}

int dn_drain_fd(const struct dn_drain *drain)
{
    return drain->is_idle ? -1 : drain->fd;
}
