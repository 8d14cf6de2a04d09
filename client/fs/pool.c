/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fs/pool.h"

void fs_pool_init(struct fs_pool *pool, unsigned threads, size_t limit)
{
    *pool = (struct fs_pool){.limit = limit ? limit : 1};
    pool->thread_max = threads > FS_POOL_THREADS_MAX ? FS_POOL_THREADS_MAX : threads;
    mutex_init(&pool->lock);
    cond_init(&pool->changed);
    list_init(&pool->waiting);
    list_init(&pool->in_order);
}

/* Lock held on entry and exit. */
static void run_first(struct fs_pool *pool)
{
    struct fs_job *job = list_first(&pool->waiting, struct fs_job, link);
    list_remove(&job->link);
    mutex_unlock(&pool->lock);
    job->run(job);
    mutex_lock(&pool->lock);
    job->is_finished = true;
    cond_broadcast(&pool->changed);
}

static void work(void *arg)
{
    struct fs_pool *pool = arg;
    mutex_lock(&pool->lock);
    for (;;) {
        if (!list_is_empty(&pool->waiting))
            run_first(pool);
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
    struct fs_job *head = list_first(&pool->in_order, struct fs_job, in_order);
    if (head->is_finished)
        reap(pool);
    else if (!list_is_empty(&pool->waiting))
        run_first(pool);
    else
        cond_wait(&pool->changed, &pool->lock);
}

void fs_pool_add(struct fs_pool *pool, struct fs_job *job)
{
    job->is_finished = false;
    mutex_lock(&pool->lock);
    bool others_wait = !list_is_empty(&pool->waiting);
    list_push_back(&pool->waiting, &job->link);
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
