/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/event/thread.h"

#include <errno.h>
#include <signal.h>

#include "libcommon/base/fault.h"
#include "libcommon/base/mem.h"

static void must(int rc, const char *what)
{
    if (rc != 0)
        BUG("%s: error %d", what, rc);
}

void mutex_init(struct mutex *mutex)
{
    must(pthread_mutex_init(&mutex->handle, NULL), "mutex_init");
}

void mutex_release(struct mutex *mutex)
{
    must(pthread_mutex_destroy(&mutex->handle), "mutex_release");
}

void mutex_lock(struct mutex *mutex)
{
    must(pthread_mutex_lock(&mutex->handle), "mutex_lock");
}

void mutex_unlock(struct mutex *mutex)
{
    must(pthread_mutex_unlock(&mutex->handle), "mutex_unlock");
}

bool mutex_trylock(struct mutex *mutex)
{
    int code = pthread_mutex_trylock(&mutex->handle);
    if (code == EBUSY)
        return false;
    must(code, "mutex_trylock");
    return true;
}

void cond_init(struct cond *cond)
{
    pthread_condattr_t attr;
    must(pthread_condattr_init(&attr), "cond_init");
    must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC), "cond_init");
    must(pthread_cond_init(&cond->handle, &attr), "cond_init");
    must(pthread_condattr_destroy(&attr), "cond_init");
}

void cond_release(struct cond *cond)
{
    must(pthread_cond_destroy(&cond->handle), "cond_release");
}

void cond_wait(struct cond *cond, struct mutex *mutex)
{
    must(pthread_cond_wait(&cond->handle, &mutex->handle), "cond_wait");
}

int cond_wait_until(struct cond *cond, struct mutex *mutex, uint64_t deadline_ms)
{
    struct timespec at = {.tv_sec = (time_t)(deadline_ms / 1000),
                          .tv_nsec = (long)(deadline_ms % 1000) * 1000000L};
    if (deadline_ms / 1000 > INT64_MAX / 4)
        at.tv_sec = INT32_MAX;
    int rc = pthread_cond_timedwait(&cond->handle, &mutex->handle, &at);
    if (rc == ETIMEDOUT)
        return ERR_TIMEOUT;
    must(rc, "cond_wait_until");
    return 0;
}

void cond_signal(struct cond *cond)
{
    must(pthread_cond_signal(&cond->handle), "cond_signal");
}

void cond_broadcast(struct cond *cond)
{
    must(pthread_cond_broadcast(&cond->handle), "cond_broadcast");
}

/* What the new thread needs to know; it frees this. */
struct start {
    void (*fn)(void *arg);
    void *arg;
    char name[16];
};

static void *thread_main(void *arg)
{
    struct start start = *(struct start *)arg;
    mem_free(arg);
    (void)pthread_setname_np(pthread_self(), start.name); /* only for people watching */
    start.fn(start.arg);
    return NULL;
}

int thread_start(struct thread *thread, const char *name, void (*fn)(void *arg), void *arg,
                 struct err *err)
{
    struct start *start = mem_alloc(sizeof(*start));
    if (!start)
        return err_set(err, ERR_NOMEM, "cannot start thread %s: out of memory", name);
    *start = (struct start){.fn = fn, .arg = arg};
    snprintf(start->name, sizeof(start->name), "%s", name);
    sigset_t all, before;
    sigfillset(&all);
    must(pthread_sigmask(SIG_SETMASK, &all, &before), "thread_start");
    int rc = fault_errno(fault_hit("thread.start"));
    if (rc == 0)
        rc = pthread_create(&thread->handle, NULL, thread_main, start);
    must(pthread_sigmask(SIG_SETMASK, &before, NULL), "thread_start");
    if (rc != 0) {
        mem_free(start);
        return err_errno(err, rc, "cannot start thread %s", name);
    }
    return 0;
}

void thread_join(struct thread *thread)
{
    must(pthread_join(thread->handle, NULL), "thread_join");
}

void thread_detach(struct thread *thread)
{
    must(pthread_detach(thread->handle), "thread_detach");
}
