/* SPDX-License-Identifier: Apache-2.0
 * loop: the one thread that owns a daemon's state waits here, for sockets, timers, signals and what
 * other threads hand in. libevent does the waiting; nobody outside this folder sees it.
 *
 * A turn is: wait · callbacks of ready sockets and signals · due timers · posted tasks · deferred
 * tasks · turn-end hooks · queued bytes of all connections are written. So answers given during a
 * turn leave with one write per connection, and a hook sees everything the turn has changed (the
 * namenode hands its log buffer to the fsync thread there: that is group commit).
 *
 * Everything here belongs to the loop's thread, except loop_post and loop_stop, which any thread
 * may call. Timers, tasks and hooks are structs of their owner (zeroed = idle), so starting one
 * needs no allocation; the owner keeps them in place until they have run or were stopped.
 *
 * Nobody frees himself inside his own callback: he asks for a deferred task (loop_defer) and frees
 * there, when no caller up the stack can still touch him.
 *
 * A callback that takes longer than loop_set_slow_ms (50) is logged with its function's name, and
 * with how much of that the thread can have computed: the rest it waited, for a disk or for a
 * machine that is busy with others. */
#ifndef QUERN_EVENT_LOOP_H
#define QUERN_EVENT_LOOP_H

#include "libcommon/base/heap.h"
#include "libcommon/base/list.h"

struct loop;
typedef void loop_fn(void *arg);

/* NULL when memory or descriptors are out (err says). */
struct loop *loop_new(struct err *err);
/* Not from inside loop_run. Turns on while connections are closing (at most 7 s). Timers, hooks and
 * watches must have been stopped, connections and listeners closed before. NULL is fine. */
void loop_free(struct loop *loop);

/* Turns until loop_stop. May be called again afterwards. */
void loop_run(struct loop *loop);
/* One turn, waiting at most wait_ms for something to happen (tests, and the end of programs). */
void loop_turn(struct loop *loop, uint64_t wait_ms);
/* loop_run returns after the present turn. Any thread; also before loop_run (which then makes no
 * turn at all). */
void loop_stop(struct loop *loop);

/* Monotonic; read once a turn, just after waiting. */
uint64_t loop_now_ms(const struct loop *loop);

/* For those who hand one callback on to many: the time since the last callback ended, or since the
 * last loop_blame, was spent by `name`; it is logged if it was slow. */
void loop_blame(struct loop *loop, const char *name);
void loop_set_slow_ms(struct loop *loop, uint64_t slow_ms); /* 0 = never log */

/* ---- timers ---- */
struct loop_timer {
    struct heap_node node;
    struct loop *loop; /* NULL = not running */
    loop_fn *fn;
    void *arg;
    const char *name;
    uint64_t every_ms; /* 0 = once */
};
/* Run fn(arg) once in `ms`, or again and again each `ms` (first after `ms`; late turns are not made
 * up for). A running timer is restarted. 0 or ERR_NOMEM. Both put the callback's name down. */
#define loop_after(loop, timer, ms, fn, arg) loop_timer_start(loop, timer, ms, 0, fn, arg, #fn)
#define loop_every(loop, timer, ms, fn, arg) loop_timer_start(loop, timer, ms, ms, fn, arg, #fn)
int loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t ms, uint64_t every_ms,
                     loop_fn *fn, void *arg, const char *name);
void loop_timer_stop(struct loop_timer *timer); /* harmless when not running */
static inline bool loop_timer_is_running(const struct loop_timer *timer)
{
    return timer->loop != NULL;
}

/* ---- tasks: run once, soon ---- */
struct loop_task {
    struct list link;
    loop_fn *fn;
    void *arg;
    const char *name;
    bool is_queued; /* under the loop's lock for posted tasks */
};
/* On the loop's thread, in its next turn. Any thread; wakes the loop. A task that is still waiting
 * to run is not queued twice. Whatever the poster wrote before is seen by fn. */
#define loop_post(loop, task, fn, arg) loop_task_post(loop, task, fn, arg, #fn)
void loop_task_post(struct loop *loop, struct loop_task *task, loop_fn *fn, void *arg,
                    const char *name);
/* Take a posted task back before it ran, when no thread will post it any more. Loop thread only. */
void loop_unpost(struct loop *loop, struct loop_task *task);
/* At the end of this turn; asked for from a deferred task: at the end of the next one. */
#define loop_defer(loop, task, fn, arg) loop_task_defer(loop, task, fn, arg, #fn)
void loop_task_defer(struct loop *loop, struct loop_task *task, loop_fn *fn, void *arg,
                     const char *name);
/* Take a deferred task back before it ran. */
void loop_undefer(struct loop_task *task);

/* ---- hooks ---- */
struct loop_hook {
    struct list link;
    struct loop *loop; /* NULL = not registered */
    loop_fn *fn;
    void *arg;
    const char *name;
};
/* After every turn's callbacks and before connections write, in order of registration. */
#define loop_on_turn_end(loop, hook, fn, arg) loop_hook_add(loop, hook, fn, arg, #fn)
void loop_hook_add(struct loop *loop, struct loop_hook *hook, loop_fn *fn, void *arg,
                   const char *name);
void loop_hook_remove(struct loop_hook *hook); /* harmless when zeroed or removed */

/* ---- descriptors and signals ---- */
enum loop_ready { LOOP_READ = 1, LOOP_WRITE = 2 };
typedef void loop_watch_fn(int fd, unsigned ready, void *arg); /* ready: enum loop_ready bits */
struct loop_watch;
/* Level-triggered. Borrows fd, which must stay open until loop_unwatch. NULL when memory is out.
 * Regular files cannot be watched. */
#define loop_watch(loop, fd, ready, fn, arg) loop_watch_start(loop, fd, ready, fn, arg, #fn)
struct loop_watch *loop_watch_start(struct loop *loop, int fd, unsigned ready, loop_watch_fn *fn,
                                    void *arg, const char *name);
int loop_watch_change(struct loop_watch *watch, unsigned ready); /* 0 bits = pause */
void loop_unwatch(struct loop_watch *watch); /* NULL is fine; also inside its own callback */

/* fn(signo) on the loop's thread, until the loop is freed. One loop per process may do this. */
int loop_signal(struct loop *loop, int signo, void (*fn)(int signo, void *arg), void *arg);

#endif
