/* SPDX-License-Identifier: Apache-2.0
 * Two lists under one lock: queued works, taken by threads, and finished ones, taken by the loop in
 * one go; so a burst of finished works wakes the loop once. */
#include "libcommon/event/workq.h"

#include "libcommon/base/mem.h"
#include "libcommon/event/thread.h"

enum work_state { WORK_IDLE, WORK_QUEUED, WORK_RUNNING, WORK_FINISHED };

struct workq {
    struct loop *loop;
    struct mutex lock;
    struct cond more;
    struct list queued, finished;
    struct loop_task task;
    size_t pending; /* loop's side: submitted, done not yet called */
    bool is_closing;
    unsigned thread_count;
    struct thread threads[];
};

static void on_finished(void *arg);

static void workq_main(void *arg)
{
    struct workq *workq = arg;
    mutex_lock(&workq->lock);
    for (;;) {
        struct work *work = list_first(&workq->queued, struct work, link);
        if (!work) {
            if (workq->is_closing)
                break;
            cond_wait(&workq->more, &workq->lock);
            continue;
        }
        list_remove(&work->link);
        work->state = WORK_RUNNING;
        mutex_unlock(&workq->lock);
        work->run(work);
        mutex_lock(&workq->lock);
        work->state = WORK_FINISHED;
        list_push_back(&workq->finished, &work->link);
        loop_post(workq->loop, &workq->task, on_finished, workq);
    }
    mutex_unlock(&workq->lock);
}

static struct work *take_finished(struct workq *workq)
{
    mutex_lock(&workq->lock);
    struct work *work = list_first(&workq->finished, struct work, link);
    if (work) {
        list_remove(&work->link);
        work->state = WORK_IDLE;
    }
    mutex_unlock(&workq->lock);
    return work;
}

static void on_finished(void *arg)
{
    struct workq *workq = arg;
    struct work *work;
    while ((work = take_finished(workq))) {
        workq->pending--;
        work->done(work);
    }
}

static void end_threads(struct workq *workq)
{
    mutex_lock(&workq->lock);
    workq->is_closing = true;
    cond_broadcast(&workq->more);
    mutex_unlock(&workq->lock);
    while (workq->thread_count > 0)
        thread_join(&workq->threads[--workq->thread_count]);
}

static void release(struct workq *workq)
{
    cond_release(&workq->more);
    mutex_release(&workq->lock);
    mem_free(workq);
}

struct workq *workq_new(struct loop *loop, const char *name, unsigned threads, struct err *err)
{
    struct workq *workq = mem_calloc(1, sizeof(*workq) + threads * sizeof(struct thread));
    if (!workq) {
        err_set(err, ERR_NOMEM, "cannot start threads %s: out of memory", name);
        return NULL;
    }
    workq->loop = loop;
    mutex_init(&workq->lock);
    cond_init(&workq->more);
    list_init(&workq->queued);
    list_init(&workq->finished);
    while (workq->thread_count < threads) {
        struct thread *thread = &workq->threads[workq->thread_count];
        if (thread_start(thread, name, workq_main, workq, err) != 0) {
            end_threads(workq);
            release(workq);
            return NULL;
        }
        workq->thread_count++;
    }
    return workq;
}

void workq_submit(struct workq *workq, struct work *work, void (*run)(struct work *work),
                  void (*done)(struct work *work))
{
    mutex_lock(&workq->lock);
    BUG_ON(work->state != WORK_IDLE || workq->is_closing);
    work->run = run;
    work->done = done;
    work->state = WORK_QUEUED;
    list_push_back(&workq->queued, &work->link);
    cond_signal(&workq->more);
    mutex_unlock(&workq->lock);
    workq->pending++;
}

bool workq_cancel(struct workq *workq, struct work *work)
{
    mutex_lock(&workq->lock);
    bool was_queued = work->state == WORK_QUEUED;
    if (was_queued) {
        list_remove(&work->link);
        work->state = WORK_IDLE;
    }
    mutex_unlock(&workq->lock);
    if (was_queued)
        workq->pending--;
    return was_queued;
}

size_t workq_pending(const struct workq *workq)
{
    return workq->pending;
}

void workq_free(struct workq *workq)
{
    if (!workq)
        return;
    end_threads(workq);
    on_finished(workq);
    loop_unpost(workq->loop, &workq->task);
    release(workq);
}
