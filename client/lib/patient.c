/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/patient.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"
#include "libcommon/base/mem.h"

#define READERS_MAX 32
#define LINGER_MS   10000

/* A thread that reads. Idle ones are in the list; one that was given up puts itself back there. */
struct reader {
    struct list link;
    struct cl_patient *patient;
    struct cond changed;
    struct cl_files *files; /* of the read that is asked for; NULL = none */
    int fd, rc;
    size_t size;
    uint64_t off;
    bool is_done, is_given_up;
    uint8_t buffer[CL_PATIENT_MAX];
};

struct cl_patient {
    struct mutex lock;
    struct cond changed;
    struct list idle; /* struct reader */
    unsigned readers, busy;
    unsigned refs; /* the handle, and each reader */
    bool is_ending;
};

/* ---- descriptors ---- */

static bool is_memory(int fd)
{
    struct statfs st;
    return fstatfs(fd, &st) == 0 && (st.f_type == TMPFS_MAGIC || st.f_type == RAMFS_MAGIC);
}

struct cl_files *cl_files_new(const int fd[2])
{
    struct cl_files *files = mem_calloc(1, sizeof(*files));
    for (size_t i = 0; i < 2; i++) {
        if (!files) {
            close(fd[i]);
            continue;
        }
        files->fd[i] = fd[i];
        files->is_memory[i] = is_memory(fd[i]);
    }
    if (files)
        atomic_init(&files->refs, 1);
    return files;
}

void cl_files_unref(struct cl_files *files)
{
    if (atomic_fetch_sub(&files->refs, 1) > 1)
        return;
    close(files->fd[0]);
    close(files->fd[1]);
    mem_free(files);
}

/* ---- reading ---- */

static int read_fully(int fd, uint8_t *buffer, size_t size, uint64_t off)
{
    while (size > 0) {
        ssize_t n = pread(fd, buffer, size, (off_t)off);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? err_from_errno(errno) : ERR_EOF;
        buffer += n;
        off += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

/* What is there without waiting for a disk: so many bytes, or an error. */
static ssize_t read_cached(int fd, uint8_t *buffer, size_t size, uint64_t off)
{
    size_t done = 0;
    while (done < size) {
        const struct iovec into = {buffer + done, size - done};
        ssize_t n = preadv2(fd, &into, 1, (off_t)(off + done), RWF_NOWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            return ERR_EOF;
        if (n < 0 && (errno == EAGAIN || errno == EOPNOTSUPP))
            break;
        if (n < 0)
            return err_from_errno(errno);
        done += (size_t)n;
    }
    return (ssize_t)done;
}

/* ---- the threads ---- */

static void unref(struct cl_patient *p, bool is_locked)
{
    if (!is_locked)
        mutex_lock(&p->lock);
    bool is_last = --p->refs == 0;
    mutex_unlock(&p->lock);
    if (!is_last)
        return;
    cond_release(&p->changed);
    mutex_release(&p->lock);
    mem_free(p);
}

/* Lock held; without it while it reads. */
static void read_one(struct reader *r)
{
    struct cl_patient *p = r->patient;
    mutex_unlock(&p->lock);
    fault_hit("client.read.disk");
    int rc = read_fully(r->fd, r->buffer, r->size, r->off);
    cl_files_unref(r->files);
    mutex_lock(&p->lock);
    r->files = NULL;
    r->rc = rc;
    r->is_done = true;
    if (r->is_given_up) { /* nobody takes it: it is idle again by itself */
        p->busy--;
        list_push_front(&p->idle, &r->link);
        cond_broadcast(&p->changed);
    }
    cond_signal(&r->changed);
}

static void run(void *arg)
{
    struct reader *r = arg;
    struct cl_patient *p = r->patient;
    mutex_lock(&p->lock);
    uint64_t idle_ms = clock_mono_ms();
    for (;;) {
        bool is_idle = !list_is_empty(&r->link);
        if (r->files) {
            read_one(r);
            idle_ms = clock_mono_ms();
            continue;
        }
        if (is_idle && (p->is_ending || clock_mono_ms() >= idle_ms + LINGER_MS))
            break;
        (void)cond_wait_until(&r->changed, &p->lock, clock_mono_ms() + LINGER_MS);
    }
    list_remove(&r->link);
    p->readers--;
    cond_broadcast(&p->changed);
    cond_release(&r->changed);
    mem_free(r);
    unref(p, true);
}

/* An idle one, or a new one; it is the caller's until it is given back. Lock held. */
static int take_reader(struct cl_patient *p, struct reader **ret)
{
    struct reader *r = NULL;
    struct thread thread;
    if (!list_is_empty(&p->idle)) {
        r = list_first(&p->idle, struct reader, link);
        list_remove(&r->link);
        p->busy++;
        *ret = r;
        return 0;
    }
    if (p->readers >= READERS_MAX)
        return ERR_BUSY;
    r = mem_calloc(1, sizeof(*r));
    if (!r)
        return ERR_NOMEM;
    r->patient = p;
    list_init(&r->link);
    cond_init(&r->changed);
    if (thread_start(&thread, "qn-disk", run, r, NULL) != 0) {
        cond_release(&r->changed);
        mem_free(r);
        return ERR_LIMIT;
    }
    thread_detach(&thread);
    p->readers++;
    p->refs++;
    p->busy++;
    *ret = r;
    return 0;
}

static int wait_for(struct reader *r, void *buffer, uint64_t wait_ms)
{
    struct cl_patient *p = r->patient;
    uint64_t until_ms = clock_mono_ms() + wait_ms;
    while (!r->is_done && clock_mono_ms() < until_ms)
        (void)cond_wait_until(&r->changed, &p->lock, until_ms);
    if (!r->is_done) {
        r->is_given_up = true;
        return ERR_TIMEOUT;
    }
    if (r->rc == 0)
        memcpy(buffer, r->buffer, r->size);
    p->busy--;
    list_push_front(&p->idle, &r->link);
    cond_signal(&r->changed);
    return r->rc;
}

static int read_aside(struct cl_patient *p, struct cl_files *files, int fd, void *buffer,
                      size_t size, uint64_t off, uint64_t wait_ms)
{
    struct reader *r = NULL;
    mutex_lock(&p->lock);
    int rc = take_reader(p, &r);
    if (rc == 0) {
        atomic_fetch_add(&files->refs, 1);
        r->files = files;
        r->fd = fd;
        r->size = size;
        r->off = off;
        r->is_done = r->is_given_up = false;
        cond_signal(&r->changed);
        rc = wait_for(r, buffer, wait_ms);
    }
    mutex_unlock(&p->lock);
    return rc;
}

int cl_patient_pread(struct cl_patient *patient, struct cl_files *files, unsigned which,
                     void *buffer, size_t size, uint64_t off, uint64_t wait_ms)
{
    int fd = files->fd[which];
    uint8_t *out = buffer;
    bool is_cold = fault_hit("client.read.cached") == FAULT_DROP;
    if (files->is_memory[which] && !is_cold)
        return read_fully(fd, out, size, off);
    ssize_t n = is_cold ? 0 : read_cached(fd, out, size, off);
    if (n < 0 || (size_t)n == size)
        return n < 0 ? (int)n : 0;
    return read_aside(patient, files, fd, out + n, size - (size_t)n, off + (uint64_t)n, wait_ms);
}

/* ---- life ---- */

struct cl_patient *cl_patient_new(void)
{
    struct cl_patient *p = mem_calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    mutex_init(&p->lock);
    cond_init(&p->changed);
    list_init(&p->idle);
    p->refs = 1;
    return p;
}

void cl_patient_close(struct cl_patient *patient)
{
    if (!patient)
        return;
    mutex_lock(&patient->lock);
    patient->is_ending = true;
    list_each (&patient->idle, it)
        cond_signal(&list_entry(it, struct reader, link)->changed);
    while (patient->readers > patient->busy)
        cond_wait(&patient->changed, &patient->lock);
    unref(patient, true);
}
