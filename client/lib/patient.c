/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/patient.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"
#include "libcommon/base/mem.h"

#define READERS_MAX  32
#define LINGER_MS    10000
#define SAMPLE_EVERY (64U << 10)

/* What a reader is to do: bytes from a descriptor, or the pages of a mapping. */
struct errand {
    void *map;
    int fd;
    size_t size;
    uint64_t off;
};

/* A thread that reads. Idle ones are in the list; one that was given up puts itself back there. */
struct reader {
    struct list link;
    struct cl_patient *patient;
    struct cond changed;
    struct cl_files *files; /* of what is asked for; NULL = none */
    struct errand errand;
    int rc;
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

static int populate(void *map, size_t size)
{
    if (fault_errno(fault_hit("client.read.populate")))
        return ERR_IO;
    while (madvise(map, size, MADV_POPULATE_READ) != 0) {
        if (errno == EINVAL)
            return ERR_UNSUPPORTED;
        if (errno == EFAULT || errno == EHWPOISON)
            return ERR_IO; /* the signal that touching it would have been */
        if (errno != EINTR && errno != EAGAIN)
            return err_from_errno(errno);
    }
    return 0;
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

static int run_errand(struct reader *r)
{
    const struct errand *e = &r->errand;
    return e->map ? populate(e->map, e->size) : read_fully(e->fd, r->buffer, e->size, e->off);
}

/* Lock held; without it while it reads. */
static void read_one(struct reader *r)
{
    struct cl_patient *p = r->patient;
    mutex_unlock(&p->lock);
    fault_hit("client.read.disk");
    int rc = run_errand(r);
    cl_files_unref(r->files);
    mutex_lock(&p->lock);
    r->files = NULL;
    r->rc = rc;
    r->is_done = true;
    if (r->is_given_up) { /* nobody takes it: it is idle again by itself */
        if (r->errand.map)
            munmap(r->errand.map, r->errand.size);
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
    if (r->rc == 0 && buffer)
        memcpy(buffer, r->buffer, r->errand.size);
    p->busy--;
    list_push_front(&p->idle, &r->link);
    cond_signal(&r->changed);
    return r->rc;
}

static int send_reader(struct cl_patient *p, struct cl_files *files, const struct errand *errand,
                       void *buffer, uint64_t wait_ms)
{
    struct reader *r = NULL;
    mutex_lock(&p->lock);
    int rc = take_reader(p, &r);
    if (rc == 0) {
        atomic_fetch_add(&files->refs, 1);
        r->files = files;
        r->errand = *errand;
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
    const struct errand errand = {NULL, fd, size - (size_t)n, off + (uint64_t)n};
    return send_reader(patient, files, &errand, out + n, wait_ms);
}

/* Is it all in the cache? Samples say so: it is filled and emptied by many pages at a time. */
static bool seems_cached(int fd, uint64_t off, size_t size)
{
    uint8_t byte;
    for (size_t at = 0; at < size; at += SAMPLE_EVERY)
        if (read_cached(fd, &byte, 1, off + at) != 1)
            return false;
    return read_cached(fd, &byte, 1, off + size - 1) == 1;
}

void *cl_patient_map(struct cl_patient *patient, struct cl_files *files, unsigned which,
                     size_t size, uint64_t off, uint64_t wait_ms, int *ret_rc)
{
    int fd = files->fd[which];
    bool is_cold = fault_hit("client.read.cached") == FAULT_DROP;
    void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, (off_t)off);
    if (map == MAP_FAILED) {
        *ret_rc = err_from_errno(errno);
        return NULL;
    }
    (void)madvise(map, size, MADV_SEQUENTIAL); /* else the kernel reads around each page */
    const struct errand errand = {map, -1, size, 0};
    if (!is_cold && (files->is_memory[which] || seems_cached(fd, off, size)))
        *ret_rc = populate(map, size);
    else
        *ret_rc = send_reader(patient, files, &errand, NULL, wait_ms);
    if (*ret_rc != 0 && *ret_rc != ERR_TIMEOUT) /* then it is the reader's */
        munmap(map, size);
    return *ret_rc == 0 ? map : NULL;
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
