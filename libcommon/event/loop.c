/* SPDX-License-Identifier: Apache-2.0
 * The loop makes one pass of libevent per turn (EVLOOP_ONCE) and does the rest itself: libevent
 * knows nothing of our timers but one event, `tick`, set to the earliest of them. Timers live in a
 * heap with ties in order of start, so that what happens in a turn does not depend on libevent's
 * heap. */
#include "libcommon/event/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/metric.h"
#include "libcommon/event/loop_inside.h"
#include "libcommon/event/thread.h"

#define SLOW_MS_DEFAULT 50
#define CPU_EVERY_MS    10 /* asking costs as much as a small turn */
#define SPARES          64
#define SPARE_MAX_BYTES (64U << 10)
#define NO_TIMER        UINT64_MAX
#define DRAIN_MS        7000 /* longer than a conn's closing and lingering together */
#define DRAIN_TURN_MS   50
#define FOREVER_MS      (3600U * 1000U) /* a wait without end is cut into hours */

METRIC_COUNTER(slow_callbacks, "quern_loop_slow_callbacks_total",
               "callbacks that held the loop longer than its limit");

struct loop_signal_watch {
    struct event *event;
    struct loop *loop;
    void (*fn)(int signo, void *arg);
    void *arg;
    struct loop_signal_watch *next;
};

struct loop {
    struct event_base *base;
    struct event tick, wake;
    uint64_t tick_at_ms; /* NO_TIMER = not set */
    int wake_fd;
    struct heap timers;
    struct list deferred, hooks, flushes;
    struct loop_hook *next_hook; /* of the walk under way: a hook may remove itself or others */
    struct loop_signal_watch *signals;

    uint64_t now_ms;
    uint64_t mark_us; /* when the last callback ended */
    uint64_t slow_us;
    uint64_t cpu_us; /* computed by cpu_at_ms, or when the last slow callback ended */
    uint64_t cpu_at_ms;
    bool in_turn; /* has the clock been read since waiting? */

    struct buf scratch;
    struct buf spares[SPARES];
    unsigned spare_count;
    unsigned holds; /* threads that will still post */
    int conns;      /* not yet freed */

    /* other threads come here */
    struct mutex lock;
    struct list posted;
    bool is_woken;
    bool must_stop;
};

/* ---- clock and blame ---- */

void loop_callback_begin(struct loop *loop)
{
    if (loop->in_turn)
        return;
    loop->in_turn = true;
    loop->mark_us = clock_mono_us();
    loop->now_ms = loop->mark_us / 1000;
    if (loop->now_ms - loop->cpu_at_ms >= CPU_EVERY_MS) {
        loop->cpu_at_ms = loop->now_ms;
        loop->cpu_us = clock_cpu_us();
    }
}

void loop_blame(struct loop *loop, const char *name)
{
    uint64_t now_us = clock_mono_us(), took_us = now_us - loop->mark_us;
    loop->mark_us = now_us;
    if (__builtin_expect(took_us > loop->slow_us, 0)) {
        uint64_t cpu_us = clock_cpu_us(), most_us = cpu_us - loop->cpu_us;
        loop->cpu_us = cpu_us;
        metric_add(&slow_callbacks, 1);
        log_warn("loop", "%s held the loop for %llu ms, computing for %llu ms at most", name,
                 (unsigned long long)took_us / 1000,
                 (unsigned long long)(most_us < took_us ? most_us : took_us) / 1000);
    }
}

void loop_set_slow_ms(struct loop *loop, uint64_t slow_ms)
{
    loop->slow_us = slow_ms ? slow_ms * 1000 : UINT64_MAX;
}

uint64_t loop_now_ms(const struct loop *loop)
{
    return loop->now_ms;
}

/* ---- life ---- */

static void on_libevent_log(int severity, const char *msg)
{
    if (severity >= EVENT_LOG_WARN)
        log_warn("loop", "libevent: %s", msg);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    loop_callback_begin(arg);
    uint64_t count;
    if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
        BUG("reading the wake-up descriptor: errno %d", errno);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct loop *loop = arg;
    loop->tick_at_ms = NO_TIMER; /* waking is all: the turn looks at the timers anyway */
}

static int start_waiting(struct loop *loop, struct err *err)
{
    loop->base = event_base_new();
    if (!loop->base)
        return err_set(err, ERR_NOMEM, "cannot start the event loop: libevent refuses");
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd < 0)
        return err_errno(err, errno, "cannot start the event loop");
    if (event_assign(&loop->wake, loop->base, loop->wake_fd, EV_READ | EV_PERSIST, on_wake, loop) ||
        event_add(&loop->wake, NULL) || event_assign(&loop->tick, loop->base, -1, 0, on_tick, loop))
        return err_set(err, ERR_NOMEM, "cannot start the event loop: out of memory");
    return 0;
}

struct loop *loop_new(struct err *err)
{
    event_set_log_callback(on_libevent_log);
    struct loop *loop = mem_calloc(1, sizeof(*loop));
    if (!loop) {
        err_set(err, ERR_NOMEM, "cannot start the event loop: out of memory");
        return NULL;
    }
    loop->wake_fd = -1;
    loop->tick_at_ms = NO_TIMER;
    list_init(&loop->deferred);
    list_init(&loop->hooks);
    list_init(&loop->flushes);
    list_init(&loop->posted);
    mutex_init(&loop->lock);
    loop_set_slow_ms(loop, SLOW_MS_DEFAULT);
    loop->now_ms = clock_mono_ms();
    if (start_waiting(loop, err) != 0 || !buf_reserve(&loop->scratch, LOOP_SCRATCH_BYTES)) {
        if (!loop->scratch.data)
            err_set(err, ERR_NOMEM, "cannot start the event loop: out of memory");
        loop_free(loop);
        return NULL;
    }
    return loop;
}

/* Closing connections still send their last words and are freed, threads that will post do so. */
static void drain(struct loop *loop)
{
    uint64_t until_ms = clock_mono_ms() + DRAIN_MS;
    while (loop->holds > 0 || !list_is_empty(&loop->deferred) ||
           (loop->conns > 0 && clock_mono_ms() < until_ms))
        loop_turn(loop, DRAIN_TURN_MS);
    if (loop->conns > 0)
        log_error("loop", "%d connections have never been closed", loop->conns);
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    drain(loop);
    while (loop->signals) {
        struct loop_signal_watch *next = loop->signals->next;
        event_free(loop->signals->event);
        mem_free(loop->signals);
        loop->signals = next;
    }
    if (loop->base) {
        if (event_initialized(&loop->wake))
            event_del(&loop->wake);
        if (event_initialized(&loop->tick))
            event_del(&loop->tick);
        event_base_free(loop->base);
    }
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    while (loop->spare_count)
        buf_release(&loop->spares[--loop->spare_count]);
    buf_release(&loop->scratch);
    heap_release(&loop->timers);
    mutex_release(&loop->lock);
    mem_free(loop);
}

/* ---- the turn ---- */

static bool set_tick(struct loop *loop, uint64_t at_ms, uint64_t now_ms)
{
    if (at_ms >= loop->tick_at_ms)
        return true; /* waking too early is harmless, and cheaper than setting it again */
    uint64_t wait_ms = at_ms > now_ms ? at_ms - now_ms : 0;
    struct timeval tv = {.tv_sec = (time_t)(wait_ms / 1000),
                         .tv_usec = (suseconds_t)(wait_ms % 1000) * 1000};
    if (evtimer_add(&loop->tick, &tv) != 0)
        return false;
    loop->tick_at_ms = at_ms;
    return true;
}

static void wait_for_events(struct loop *loop, uint64_t wait_ms)
{
    int flags = EVLOOP_ONCE;
    mutex_lock(&loop->lock);
    bool has_work = !list_is_empty(&loop->posted);
    mutex_unlock(&loop->lock);
    if (has_work || wait_ms == 0 || !list_is_empty(&loop->deferred) ||
        !list_is_empty(&loop->flushes)) {
        flags |= EVLOOP_NONBLOCK;
    } else {
        uint64_t now_ms = clock_mono_ms(), at_ms = now_ms + wait_ms;
        struct heap_node *first = heap_min(&loop->timers);
        if (first && first->key < at_ms)
            at_ms = first->key;
        if (at_ms <= now_ms || !set_tick(loop, at_ms, now_ms))
            flags |= EVLOOP_NONBLOCK;
    }
    loop->in_turn = false;
    if (event_base_loop(loop->base, flags) < 0)
        BUG("libevent cannot wait: errno %d", errno);
    loop_callback_begin(loop); /* nothing was ready: the clock has not been read yet */
}

static void run_timers(struct loop *loop)
{
    /* No more than there are now, so that one that restarts itself with 0 ms cannot hold the turn.
     */
    for (size_t left = loop->timers.count; left > 0; left--) {
        struct heap_node *node = heap_min(&loop->timers);
        if (!node || node->key > loop->now_ms)
            break;
        struct loop_timer *timer = CONTAINER_OF(node, struct loop_timer, node);
        uint64_t due_ms = node->key;
        const char *name = timer->name;
        heap_remove(&loop->timers, node);
        if (timer->every_ms) {
            uint64_t next_ms = due_ms + timer->every_ms;
            if (next_ms <= loop->now_ms)
                next_ms = loop->now_ms + timer->every_ms;
            /* the place it has just left is free: this cannot fail */
            BUG_ON(heap_add(&loop->timers, node, next_ms) != 0);
        } else {
            timer->loop = NULL;
        }
        timer->fn(timer->arg);
        loop_blame(loop, name);
    }
}

static void list_take_all(struct list *from, struct list *to)
{
    list_init(to);
    if (list_is_empty(from))
        return;
    *to = *from;
    to->next->prev = to;
    to->prev->next = to;
    list_init(from);
}

static void run_tasks(struct loop *loop, struct list *tasks)
{
    struct loop_task *task;
    while ((task = list_first(tasks, struct loop_task, link))) {
        const char *name = task->name;
        list_remove(&task->link);
        task->is_queued = false;
        task->fn(task->arg);
        loop_blame(loop, name);
    }
}

/* Poster threads look at is_queued and link, so a task leaves the list under the lock, and may be
 * posted again from then on. Those posted meanwhile wait for the next turn. */
static void run_posted(struct loop *loop)
{
    struct list tasks;
    mutex_lock(&loop->lock);
    list_take_all(&loop->posted, &tasks);
    loop->is_woken = false;
    while (!list_is_empty(&tasks)) {
        struct loop_task *task = list_first(&tasks, struct loop_task, link);
        loop_fn *fn = task->fn;
        void *arg = task->arg;
        const char *name = task->name;
        list_remove(&task->link);
        task->is_queued = false;
        mutex_unlock(&loop->lock);
        fn(arg);
        loop_blame(loop, name);
        mutex_lock(&loop->lock);
    }
    mutex_unlock(&loop->lock);
}

static void run_hooks(struct loop *loop)
{
    struct list *at = loop->hooks.next;
    while (at != &loop->hooks) {
        struct loop_hook *hook = list_entry(at, struct loop_hook, link);
        const char *name = hook->name;
        loop->next_hook = list_entry(at->next, struct loop_hook, link);
        hook->fn(hook->arg);
        at = &loop->next_hook->link;
        loop_blame(loop, name);
    }
    loop->next_hook = NULL;
}

void loop_turn(struct loop *loop, uint64_t wait_ms)
{
    struct list tasks;
    wait_for_events(loop, wait_ms);
    run_timers(loop);
    run_posted(loop);
    list_take_all(&loop->deferred, &tasks);
    run_tasks(loop, &tasks);
    run_hooks(loop);
    list_take_all(&loop->flushes, &tasks);
    run_tasks(loop, &tasks);
}

static bool take_stop(struct loop *loop)
{
    mutex_lock(&loop->lock);
    bool must_stop = loop->must_stop;
    loop->must_stop = false;
    mutex_unlock(&loop->lock);
    return must_stop;
}

void loop_run(struct loop *loop)
{
    while (!take_stop(loop))
        loop_turn(loop, FOREVER_MS);
}

/* Under the lock: the loop may be freed as soon as it sees why it was woken. */
static void wake(struct loop *loop)
{
    uint64_t one = 1;
    if (write(loop->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
        BUG("writing the wake-up descriptor: errno %d", errno);
}

void loop_stop(struct loop *loop)
{
    mutex_lock(&loop->lock);
    loop->must_stop = true;
    wake(loop);
    mutex_unlock(&loop->lock);
}

/* ---- timers ---- */

int loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t ms, uint64_t every_ms,
                     loop_fn *fn, void *arg, const char *name)
{
    loop_timer_stop(timer);
    uint64_t at_ms;
    if (__builtin_add_overflow(clock_mono_ms(), ms, &at_ms))
        at_ms = UINT64_MAX;
    timer->node = HEAP_NODE_INIT;
    int rc = heap_add(&loop->timers, &timer->node, at_ms);
    if (rc != 0)
        return rc;
    timer->loop = loop;
    timer->fn = fn;
    timer->arg = arg;
    timer->name = name;
    timer->every_ms = every_ms;
    return 0;
}

void loop_timer_stop(struct loop_timer *timer)
{
    if (!timer->loop)
        return;
    heap_remove(&timer->loop->timers, &timer->node);
    timer->loop = NULL;
}

/* ---- tasks and hooks ---- */

static void fill(struct loop_task *task, loop_fn *fn, void *arg, const char *name)
{
    task->fn = fn;
    task->arg = arg;
    task->name = name;
    task->is_queued = true;
}

void loop_task_post(struct loop *loop, struct loop_task *task, loop_fn *fn, void *arg,
                    const char *name)
{
    mutex_lock(&loop->lock);
    if (!task->is_queued) {
        fill(task, fn, arg, name);
        list_push_back(&loop->posted, &task->link);
        if (!loop->is_woken)
            wake(loop);
        loop->is_woken = true;
    }
    mutex_unlock(&loop->lock);
}

void loop_unpost(struct loop *loop, struct loop_task *task)
{
    mutex_lock(&loop->lock);
    loop_undefer(task);
    mutex_unlock(&loop->lock);
}

void loop_task_defer(struct loop *loop, struct loop_task *task, loop_fn *fn, void *arg,
                     const char *name)
{
    if (task->is_queued)
        return;
    fill(task, fn, arg, name);
    list_push_back(&loop->deferred, &task->link);
}

void loop_undefer(struct loop_task *task)
{
    if (!task->is_queued)
        return;
    task->is_queued = false;
    list_remove(&task->link);
}

void loop_flush_later(struct loop *loop, struct loop_task *task, loop_fn *fn, void *arg)
{
    if (task->is_queued)
        return;
    fill(task, fn, arg, "writing to a connection");
    list_push_back(&loop->flushes, &task->link);
}

void loop_hook_add(struct loop *loop, struct loop_hook *hook, loop_fn *fn, void *arg,
                   const char *name)
{
    *hook = (struct loop_hook){.fn = fn, .arg = arg, .name = name};
    list_push_back(&loop->hooks, &hook->link);
    hook->loop = loop;
}

void loop_hook_remove(struct loop_hook *hook)
{
    if (!hook->loop)
        return;
    if (hook->loop->next_hook == hook)
        hook->loop->next_hook = list_entry(hook->link.next, struct loop_hook, link);
    list_remove(&hook->link);
    hook->loop = NULL;
}

/* ---- descriptors and signals ---- */

/* One event per direction, because adding or dropping one direction is then one epoll_ctl. */
struct loop_watch {
    struct event read, write;
    struct loop *loop;
    loop_watch_fn *fn;
    void *arg;
    const char *name;
    unsigned ready;
};

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct loop_watch *watch = arg;
    struct loop *loop = watch->loop;
    const char *name = watch->name; /* fn may end the watch */
    loop_callback_begin(loop);
    watch->fn(fd, what & EV_READ ? LOOP_READ : LOOP_WRITE, watch->arg);
    loop_blame(loop, name);
}

struct loop_watch *loop_watch_start(struct loop *loop, int fd, unsigned ready, loop_watch_fn *fn,
                                    void *arg, const char *name)
{
    struct loop_watch *watch = mem_calloc(1, sizeof(*watch));
    if (!watch)
        return NULL;
    watch->loop = loop;
    watch->fn = fn;
    watch->arg = arg;
    watch->name = name;
    if (event_assign(&watch->read, loop->base, fd, EV_READ | EV_PERSIST, on_ready, watch) != 0 ||
        event_assign(&watch->write, loop->base, fd, EV_WRITE | EV_PERSIST, on_ready, watch) != 0 ||
        loop_watch_change(watch, ready) != 0) {
        loop_unwatch(watch);
        return NULL;
    }
    return watch;
}

static int switch_event(struct event *event, bool is_on, bool want)
{
    if (is_on == want)
        return 0;
    return (want ? event_add(event, NULL) : event_del(event)) == 0 ? 0 : ERR_NOMEM;
}

int loop_watch_change(struct loop_watch *watch, unsigned ready)
{
    int rc = switch_event(&watch->read, watch->ready & LOOP_READ, ready & LOOP_READ);
    if (rc != 0)
        return rc;
    watch->ready = (watch->ready & LOOP_WRITE) | (ready & LOOP_READ);
    rc = switch_event(&watch->write, watch->ready & LOOP_WRITE, ready & LOOP_WRITE);
    if (rc != 0)
        return rc;
    watch->ready = ready;
    return 0;
}

void loop_unwatch(struct loop_watch *watch)
{
    if (!watch)
        return;
    if (event_initialized(&watch->read))
        event_del(&watch->read);
    if (event_initialized(&watch->write))
        event_del(&watch->write);
    mem_free(watch);
}

static void on_signal(evutil_socket_t signo, short what, void *arg)
{
    (void)what;
    struct loop_signal_watch *watch = arg;
    loop_callback_begin(watch->loop);
    watch->fn((int)signo, watch->arg);
    loop_blame(watch->loop, "a signal's callback");
}

int loop_signal(struct loop *loop, int signo, void (*fn)(int signo, void *arg), void *arg)
{
    struct loop_signal_watch *watch = mem_calloc(1, sizeof(*watch));
    if (!watch)
        return ERR_NOMEM;
    *watch = (struct loop_signal_watch){.loop = loop, .fn = fn, .arg = arg, .next = loop->signals};
    watch->event = evsignal_new(loop->base, signo, on_signal, watch);
    if (!watch->event || evsignal_add(watch->event, NULL) != 0) {
        if (watch->event)
            event_free(watch->event);
        mem_free(watch);
        return ERR_NOMEM;
    }
    loop->signals = watch;
    return 0;
}

/* ---- for the rest of event/ ---- */

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

void loop_hold(struct loop *loop)
{
    loop->holds++;
}

void loop_unhold(struct loop *loop)
{
    loop->holds--;
}

void loop_count_conn(struct loop *loop, int change)
{
    loop->conns += change;
}

struct buf *loop_scratch(struct loop *loop)
{
    buf_clear(&loop->scratch);
    return &loop->scratch;
}

struct buf loop_spare_take(struct loop *loop)
{
    return loop->spare_count ? loop->spares[--loop->spare_count] : BUF_INIT;
}

void loop_spare_give(struct loop *loop, struct buf *buf)
{
    if (buf->data && buf->cap <= SPARE_MAX_BYTES && loop->spare_count < SPARES) {
        buf_clear(buf);
        loop->spares[loop->spare_count++] = *buf;
        *buf = BUF_INIT;
    } else {
        buf_release(buf);
    }
}
