/* SPDX-License-Identifier: Apache-2.0
 * The lock guards the queue and the counts of threads; everything else is the loop's. A thread that
 * ends notes itself in `ended`; the loop joins it on its next pass. */
#include "datanode/serve/movers.h"

#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/event/thread.h"

#define IDLE_MS  60000U
#define SWEEP_MS 500U

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
    unsigned queued, threads, idle;
    bool is_closing;
    /* the loop's */
    unsigned active;
    struct loop_timer sweep;
};

/* ---- on the threads ---- */

static void done_on_loop(void *arg)
{
    struct dn_move *move = arg;
    move->movers->active--;
    move->done(move);
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

/* Refuse what has waited for too long. */
static void sweep(void *arg)
{
    struct dn_movers *m = arg;
    uint64_t now = loop_now_ms(m->conf.loop);
    join_ended(m);
    for (;;) {
        mutex_lock(&m->lock);
        struct dn_move *move = list_first(&m->queue, struct dn_move, link);
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
    mutex_lock(&movers->lock);
    movers->is_closing = true;
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

int dn_movers_submit(struct dn_movers *movers, struct dn_move *move, struct err *err)
{
    struct dn_movers *m = movers;
    int rc = 0;
    move->movers = m;
    move->was_refused = false;
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
