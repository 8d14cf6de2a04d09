/* SPDX-License-Identifier: Apache-2.0
 * workq: work that would block (fsync, disk, hashing, sorting) runs on one of N threads and comes
 * back to the loop as a call.
 *
 *       submit                a thread is free          run returns
 *   idle ------> queued ------------------> running ------------> finished --- done(), on the loop
 *                  | cancel -> idle, done is not called
 *
 * A struct work belongs to the submitter, usually inside a bigger struct; it must stay until done
 * was called or cancel said true. run() may touch only what the work owns; the loop's data is the
 * loop's. Works start in the order submitted; with one thread they also finish in it. */
#ifndef QUERN_EVENT_WORKQ_H
#define QUERN_EVENT_WORKQ_H

#include "libcommon/event/loop.h"

struct workq;
struct work {
    struct list link;
    void (*run)(struct work *work);  /* on a thread */
    void (*done)(struct work *work); /* on the loop; may submit the same work again, or free it */
    int state;
};
#define WORK_INIT ((struct work){0})

/* NULL with err when threads cannot be started. `name` is what ps -L shows. */
struct workq *workq_new(struct loop *loop, const char *name, unsigned threads, struct err *err);
/* Loop thread only. */
void workq_submit(struct workq *workq, struct work *work, void (*run)(struct work *work),
                  void (*done)(struct work *work));
/* True: it had not started, will never run, and done will not be called. False: done will come (or
 * it was not submitted at all). Loop thread only. */
bool workq_cancel(struct workq *workq, struct work *work);
/* Submitted and not yet done. */
size_t workq_pending(const struct workq *workq);
/* Runs all that is queued, calls every done, ends the threads, frees. done callbacks called from
 * here may not submit. NULL is fine. */
void workq_free(struct workq *workq);

#endif
