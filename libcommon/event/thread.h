/* SPDX-License-Identifier: Apache-2.0
 * thread: mutex, condition and thread, so that the layers above need no pthread. A failing lock is
 * a bug of ours and aborts; only starting a thread can fail. Times are monotonic. */
#ifndef QUERN_EVENT_THREAD_H
#define QUERN_EVENT_THREAD_H

#include <pthread.h>

#include "libcommon/base/err.h"

struct mutex {
    pthread_mutex_t handle;
};
#define MUTEX_INIT ((struct mutex){PTHREAD_MUTEX_INITIALIZER})
void mutex_init(struct mutex *mutex);
void mutex_release(struct mutex *mutex);
void mutex_lock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);
/* False, at once, when somebody has it. */
bool mutex_trylock(struct mutex *mutex);

struct cond {
    pthread_cond_t handle;
};
void cond_init(struct cond *cond);
void cond_release(struct cond *cond);
void cond_wait(struct cond *cond, struct mutex *mutex);
/* Until signalled or clock_mono_ms() reaches deadline_ms: 0 or ERR_TIMEOUT. Wakes early at times.
 */
int cond_wait_until(struct cond *cond, struct mutex *mutex, uint64_t deadline_ms);
void cond_signal(struct cond *cond);
void cond_broadcast(struct cond *cond);

struct thread {
    pthread_t handle;
};
/* Runs fn(arg) on a new thread called `name` (15 bytes are kept) with all signals blocked, so that
 * signals reach the loop's thread. Must be joined, or detached. */
int thread_start(struct thread *thread, const char *name, void (*fn)(void *arg), void *arg,
                 struct err *err);
void thread_join(struct thread *thread);
/* Nobody waits for its end; what it uses must outlive it. */
void thread_detach(struct thread *thread);

#endif
