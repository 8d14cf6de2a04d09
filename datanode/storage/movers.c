/* SPDX-License-Identifier: Apache-2.0
 * The lock guards the queue and the counts of threads; everything else is the loop's. A thread that
 * ends notes itself in `ended`; the loop joins it on its next pass. */
#include "datanode/storage/movers.h"

#include <stdatomic.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/event/thread.h"

#define IDLE_MS  60000U
#define SWEEP_MS 500U
#define CALM_MS  100U /* a thread waits so long for its peer while nobody wants the thread */
#define HASTE_MS 20U

struct mover {
    struct list link;
    struct thread thread;
    struct dn_movers *movers;
};

struct dn_movers {
    struct dn_movers_conf conf;
    struct mutex lock;
    struct cond has_work;
    struct list queue; /* of dn_move */
    struct list ended; /* of mover: to be joined */
    unsigned threads, idle;
    _Atomic unsigned queued;
    _Atomic bool is_closing;
    /* the loop's */
    struct list parked; /* of dn_move */
    unsigned active, parked_count;
    struct loop_timer sweep;
};

/* ---- on the threads ---- */

static void park(struct dn_move *move);

static void done_on_loop(void *arg)
{
    struct dn_move *move = arg;
    if (move->wants_park) {
        park(move);
        return;
    }
    move->movers->active--;
    move->done(move);
}

uint64_t dn_move_patience_ms(const struct dn_move *move)
{
    return atomic_load(&move->movers->queued) > 0 ? HASTE_MS : CALM_MS;
}

bool dn_move_must_end(const struct dn_move *move)
{
    return atomic_load(&move->movers->is_closing);
}

/* The next move, or NULL when this thread should end. Called and left with the lock held. */
static struct dn_move *next_move(struct dn_movers *m)
{
    uint64_t until = clock_mono_ms() + IDLE_MS;
    while (list_is_empty(&m->queue)) {
        if (m->is_closing || clock_mono_ms() >= until)
            return NULL;
        m->idle++;
        (void)cond_wait_until(&m->has_work, &m->lock, until);
        m->idle--;
    }
    struct dn_move *move = list_first(&m->queue, struct dn_move, link);
    list_remove(&move->link);
    m->queued--;
    return move;
}

static void run_thread(void *arg)
{
    struct mover *self = arg;
    struct dn_movers *m = self->movers;
    struct dn_move *move;
    mutex_lock(&m->lock);
    while ((move = next_move(m)) != NULL) {
        mutex_unlock(&m->lock);
        move->wants_park = false;
        move->has_run = true;
        move->run(move);
        loop_post(m->conf.loop, &move->task, done_on_loop, move);
        mutex_lock(&m->lock);
    }
    m->threads--;
    list_push_back(&m->ended, &self->link);
    mutex_unlock(&m->lock);
}

struct call {
    struct loop_task task;
    struct dn_move *move;
    void (*fn)(struct dn_move *move);
    struct mutex lock;
    struct cond is_over_cond;
    bool is_over;
};

static void call_on_loop(void *arg)
{
    struct call *call = arg;
    call->fn(call->move);
    mutex_lock(&call->lock);
    call->is_over = true;
    cond_signal(&call->is_over_cond);
    mutex_unlock(&call->lock);
}

void dn_movers_call(struct dn_move *move, void (*fn)(struct dn_move *move))
{
    struct call call = {.move = move, .fn = fn};
    mutex_init(&call.lock);
    cond_init(&call.is_over_cond);
    loop_post(move->movers->conf.loop, &call.task, call_on_loop, &call);
    mutex_lock(&call.lock);
    while (!call.is_over)
        cond_wait(&call.is_over_cond, &call.lock);
    mutex_unlock(&call.lock);
    cond_release(&call.is_over_cond);
    mutex_release(&call.lock);
}

/* ---- on the loop ---- */

static void join_ended(struct dn_movers *m)
{
    struct list ended;
    list_init(&ended);
    mutex_lock(&m->lock);
    while (!list_is_empty(&m->ended)) {
        struct list *item = m->ended.next;
        list_remove(item);
        list_push_back(&ended, item);
    }
    mutex_unlock(&m->lock);
    while (!list_is_empty(&ended)) {
        struct mover *mover = list_first(&ended, struct mover, link);
        list_remove(&mover->link);
        thread_join(&mover->thread);
        mem_free(mover);
    }
}

static int start_thread(struct dn_movers *m)
{
    struct err err = {0};
    struct mover *mover = mem_calloc(1, sizeof(*mover));
    if (!mover)
        return ERR_NOMEM;
    mover->movers = m;
    m->threads++; /* the lock is held: the thread waits for it before it looks */
    int rc = thread_start(&mover->thread, "mover", run_thread, mover, &err);
    if (rc != 0) {
        log_warn("dn.movers", "%s", err.msg);
        m->threads--;
        mem_free(mover);
    }
    return rc;
}

/* ---- parking ---- */

/* In line again, for whichever thread comes. It is never refused: it has begun. */
static void resume(struct dn_move *move)
{
    struct dn_movers *m = move->movers;
    for (size_t i = 0; i < DN_PARK_FDS; i++) {
        loop_unwatch(move->watches[i]);
        move->watches[i] = NULL;
    }
    loop_timer_stop(&move->timer);
    list_remove(&move->link);
    m->parked_count--;
    mutex_lock(&m->lock);
    list_push_back(&m->queue, &move->link);
    bool needs_thread = m->idle <= m->queued++;
    if (needs_thread && m->threads < m->conf.threads_max)
        (void)start_thread(m); /* without a new one the others will do */
    bool is_alone = m->threads == 0;
    if (is_alone) {
        list_remove(&move->link);
        m->queued--;
    }
    cond_signal(&m->has_work);
    mutex_unlock(&m->lock);
    if (is_alone) /* the next turn tries again */
        park(move);
}

static void on_ready(int fd, unsigned ready, void *arg)
{
    (void)fd;
    (void)ready;
    resume(arg);
}

static void on_time(void *arg)
{
    resume(arg);
}

static void park(struct dn_move *move)
{
    struct dn_movers *m = move->movers;
    uint64_t now = clock_mono_ms(), wait_ms = 0;
    bool is_watched = !atomic_load(&m->is_closing);
    list_push_back(&m->parked, &move->link);
    m->parked_count++;
    for (size_t i = 0; is_watched && i < DN_PARK_FDS; i++) {
        if (move->park.fds[i].fd < 0)
            continue;
        move->watches[i] =
            loop_watch(m->conf.loop, move->park.fds[i].fd, move->park.fds[i].ready, on_ready, move);
        is_watched = move->watches[i] != NULL;
    }
    if (is_watched && move->park.until_ms > now)
        wait_ms = move->park.until_ms - now;
    (void)loop_after(m->conf.loop, &move->timer, wait_ms, on_time, move); /* else the sweep */
}

static void wake_all(struct dn_movers *m)
{
    list_each_safe (&m->parked, it)
        resume(list_entry(it, struct dn_move, link));
}

/* The longest waiting one that has never run: only such a one can still be refused. */
static struct dn_move *first_fresh(struct dn_movers *m)
{
    list_each (&m->queue, it) {
        struct dn_move *move = list_entry(it, struct dn_move, link);
        if (!move->has_run)
            return move;
    }
    return NULL;
}

/* Refuse what has waited for too long. */
static void sweep(void *arg)
{
    struct dn_movers *m = arg;
    uint64_t now = loop_now_ms(m->conf.loop);
    join_ended(m);
    list_each_safe (&m->parked, it) { /* there was no memory for its timer */
        struct dn_move *move = list_entry(it, struct dn_move, link);
        if (!loop_timer_is_running(&move->timer))
            resume(move);
    }
    for (;;) {
        mutex_lock(&m->lock);
        struct dn_move *move = first_fresh(m);
        bool is_late = move && now >= move->queued_ms + m->conf.wait_ms;
        if (is_late) {
            list_remove(&move->link);
            m->queued--;
        }
        mutex_unlock(&m->lock);
        if (!is_late)
            return;
        move->was_refused = true;
        done_on_loop(move);
    }
}

struct dn_movers *dn_movers_new(const struct dn_movers_conf *conf)
{
    struct dn_movers *m = mem_calloc(1, sizeof(*m));
    if (!m)
        return NULL;
    m->conf = *conf;
    mutex_init(&m->lock);
    cond_init(&m->has_work);
    list_init(&m->queue);
    list_init(&m->ended);
    list_init(&m->parked);
    if (loop_every(conf->loop, &m->sweep, SWEEP_MS, sweep, m) != 0) {
        dn_movers_free(m);
        return NULL;
    }
    return m;
}

/* Posted dones run in loop turns: so turn the loop until all have. */
void dn_movers_free(struct dn_movers *movers)
{
    if (!movers)
        return;
    loop_timer_stop(&movers->sweep);
    atomic_store(&movers->is_closing, true);
    wake_all(movers);
    mutex_lock(&movers->lock);
    cond_broadcast(&movers->has_work);
    mutex_unlock(&movers->lock);
    for (;;) {
        mutex_lock(&movers->lock);
        unsigned left = movers->threads;
        mutex_unlock(&movers->lock);
        if (left == 0 && movers->active == 0)
            break;
        loop_turn(movers->conf.loop, 5);
    }
    join_ended(movers);
    cond_release(&movers->has_work);
    mutex_release(&movers->lock);
    mem_free(movers);
}

int dn_movers_submit(struct dn_movers *movers, struct dn_move *move, struct err *err)
{
    struct dn_movers *m = movers;
    int rc = 0;
    move->movers = m;
    move->was_refused = move->has_run = move->wants_park = false;
    move->queued_ms = loop_now_ms(m->conf.loop);
    mutex_lock(&m->lock);
    bool needs_thread = m->idle <= m->queued;
    if (needs_thread && m->threads < m->conf.threads_max)
        rc = start_thread(m);
    else if (needs_thread && m->queued >= m->conf.queue_max)
        rc = ERR_BUSY;
    if (rc != ERR_BUSY && m->threads > 0) { /* without a new thread the others will do */
        list_push_back(&m->queue, &move->link);
        m->queued++;
        rc = 0;
        cond_signal(&m->has_work);
    }
    mutex_unlock(&m->lock);
    if (rc == 0)
        m->active++;
    else if (rc == ERR_BUSY)
        err_set(err, rc,
                "busy: %u transfers are running and %u waiting "
                "(dfs.datanode.max.transfer.threads)",
                m->conf.threads_max, m->conf.queue_max);
    else
        err_set(err, rc, "cannot start a thread to move bytes: %s", err_text(rc));
    return rc;
}

unsigned dn_movers_active(const struct dn_movers *movers)
{
    return movers->active;
}

unsigned dn_movers_parked(const struct dn_movers *movers)
{
    return movers->parked_count;
}
