/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fs/pool.h"

void fs_pool_init(struct fs_pool *pool, const struct fs_pool_limits *limits)
{
    *pool = (struct fs_pool){.limit = limits->queue ? limits->queue : 1};
    pool->thread_max =
        limits->threads > FS_POOL_THREADS_MAX ? FS_POOL_THREADS_MAX : limits->threads;
    pool->heavy_max = limits->heavy ? limits->heavy : 1;
    mutex_init(&pool->lock);
    cond_init(&pool->changed);
    list_init(&pool->waiting);
    list_init(&pool->heavy);
    list_init(&pool->in_order);
}

/* The job to begin now; NULL: none may. The longer ones first. */
static struct fs_job *next(const struct fs_pool *pool)
{
    if (!list_is_empty(&pool->heavy) && pool->heavy_running < pool->heavy_max)
        return list_first(&pool->heavy, struct fs_job, link);
    return list_first(&pool->waiting, struct fs_job, link);
}

/* Lock held on entry and exit. */
static void run_job(struct fs_pool *pool, struct fs_job *job)
{
    bool is_heavy = job->is_heavy;
    list_remove(&job->link);
    pool->heavy_running += is_heavy;
    mutex_unlock(&pool->lock);
    job->run(job);
    mutex_lock(&pool->lock);
    pool->heavy_running -= is_heavy;
    job->is_finished = true;
    cond_broadcast(&pool->changed);
}

static void work(void *arg)
{
    struct fs_pool *pool = arg;
    mutex_lock(&pool->lock);
    for (;;) {
        struct fs_job *job = next(pool);
        if (job)
            run_job(pool, job);
        else if (pool->is_ending)
            break;
        else
            cond_wait(&pool->changed, &pool->lock);
    }
    mutex_unlock(&pool->lock);
}

/* Report what is finished at the head of the order. Lock held, given back during done(). */
static void reap(struct fs_pool *pool)
{
    struct fs_job *job = NULL;
    while ((job = list_first(&pool->in_order, struct fs_job, in_order)) && job->is_finished) {
        list_remove(&job->in_order);
        pool->count--;
        mutex_unlock(&pool->lock);
        job->done(job);
        mutex_lock(&pool->lock);
    }
}

/* One step towards an emptier pool: report, work ourselves, or wait. Lock held. */
static void step(struct fs_pool *pool)
{
    struct fs_job *head = list_first(&pool->in_order, struct fs_job, in_order), *job = next(pool);
    if (head->is_finished)
        reap(pool);
    else if (job)
        run_job(pool, job);
    else
        cond_wait(&pool->changed, &pool->lock);
}

void fs_pool_add(struct fs_pool *pool, struct fs_job *job)
{
    job->is_finished = false;
    mutex_lock(&pool->lock);
    bool others_wait = next(pool) != NULL;
    list_push_back(job->is_heavy ? &pool->heavy : &pool->waiting, &job->link);
    list_push_back(&pool->in_order, &job->in_order);
    pool->count++;
    /* The caller works too when it has to wait: one thread less than asked for. */
    if (others_wait && pool->thread_count + 1 < pool->thread_max &&
        thread_start(&pool->threads[pool->thread_count], "fs-copy", work, pool, NULL) == 0)
        pool->thread_count++;
    cond_broadcast(&pool->changed);
    reap(pool);
    while (pool->count >= pool->limit)
        step(pool);
    mutex_unlock(&pool->lock);
}

void fs_pool_drain(struct fs_pool *pool)
{
    mutex_lock(&pool->lock);
    while (pool->count)
        step(pool);
    mutex_unlock(&pool->lock);
}

void fs_pool_release(struct fs_pool *pool)
{
    fs_pool_drain(pool);
    mutex_lock(&pool->lock);
    pool->is_ending = true;
    cond_broadcast(&pool->changed);
    mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->thread_count; i++)
        thread_join(&pool->threads[i]);
    cond_release(&pool->changed);
    mutex_release(&pool->lock);
}
