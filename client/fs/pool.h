/* SPDX-License-Identifier: Apache-2.0
 * pool: jobs that run side by side and are reported in the order they were given, so that many
 * small files do not wait for one fsync after another and messages still come out in order.
 *
 * Small files wait for fsyncs, big ones for cores and disks, which many at once only disturb: of
 * heavy jobs fewer run side by side than of others.
 *
 * Threads are started only when a second job comes while one is waiting; a single job runs on the
 * caller's thread in fs_pool_drain. add and drain belong to one thread. */
#ifndef QUERN_FS_POOL_H
#define QUERN_FS_POOL_H

#include "libcommon/base/list.h"
#include "libcommon/event/thread.h"

#define FS_POOL_THREADS_MAX 64

struct fs_job {
    struct list link, in_order;
    void (*run)(struct fs_job *job);  /* on any thread */
    void (*done)(struct fs_job *job); /* on the caller's, in order; owns the job again */
    bool is_heavy;                    /* set before it is added */
    bool is_finished;
};

struct fs_pool {
    struct mutex lock;
    struct cond changed;
    struct list waiting, heavy; /* not yet begun */
    struct list in_order;       /* not yet done */
    size_t count;               /* jobs in in_order */
    size_t limit;               /* of count */
    unsigned thread_max, thread_count;
    unsigned heavy_max, heavy_running;
    bool is_ending;
    struct thread threads[FS_POOL_THREADS_MAX];
};

struct fs_pool_limits {
    unsigned threads; /* jobs side by side */
    unsigned heavy;   /* heavy ones of them */
    size_t queue;     /* jobs that are not done; add waits for one to be */
};
void fs_pool_init(struct fs_pool *pool, const struct fs_pool_limits *limits);
void fs_pool_add(struct fs_pool *pool, struct fs_job *job);
/* Until every job is done. */
void fs_pool_drain(struct fs_pool *pool);
/* Drains and ends the threads. */
void fs_pool_release(struct fs_pool *pool);

#endif
