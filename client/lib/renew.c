/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/renew.h"

#include "client/lib/handle.h"
#include "client/lib/stream_out.h"
#include "libcommon/base/clock.h"

#define LINGER_MS 10000 /* the thread stays for so long without a writer */
#define ASK_MS    3000

void cl_renew_init(struct cl_renew *renew, struct qn_fs *fs)
{
    *renew = (struct cl_renew){.fs = fs};
    mutex_init(&renew->lock);
    cond_init(&renew->changed);
    list_init(&renew->writers);
}

/* Short, because closing the handle waits for it; a failure is tried again soon, and writers learn
 * of a lost lease themselves. */
static bool tell_namenode(struct cl_renew *renew)
{
    struct arena arena = ARENA_INIT;
    const struct cl2nn_renew ask = {.client = renew->fs->namenode.client_id};
    int rc = chan_call(renew->fs->namenode.chan, &CL2NN_methods[CL2NN_AT_RENEW], &ask, &arena, NULL,
                       ASK_MS, NULL);
    arena_release(&arena);
    return rc == 0;
}

static uint64_t beat_ms(const struct cl_renew *renew)
{
    uint64_t by_timeout = renew->fs->timeout_ms / 4;
    return by_timeout < renew->every_ms ? by_timeout : renew->every_ms;
}

/* Lock held. */
static void beat_all(struct cl_renew *renew, uint64_t now_ms)
{
    uint64_t before_ms = now_ms - beat_ms(renew);
    list_each (&renew->writers, it)
        cl_out_beat(cl_out_of_link(it), before_ms);
}

static void run(void *arg)
{
    struct cl_renew *renew = arg;
    uint64_t renewed_ms = clock_mono_ms(), used_ms = renewed_ms;
    mutex_lock(&renew->lock);
    while (!renew->is_ending) {
        uint64_t now_ms = clock_mono_ms();
        bool has_writers = !list_is_empty(&renew->writers);
        if (has_writers)
            used_ms = now_ms;
        else if (now_ms - used_ms >= LINGER_MS)
            break;
        if (has_writers)
            beat_all(renew, now_ms);
        if (has_writers && now_ms - renewed_ms >= renew->every_ms) {
            mutex_unlock(&renew->lock);
            if (tell_namenode(renew))
                renewed_ms = now_ms;
            mutex_lock(&renew->lock);
        }
        uint64_t pause_ms = beat_ms(renew) / 2 + 1;
        (void)cond_wait_until(&renew->changed, &renew->lock, now_ms + pause_ms);
    }
    renew->is_running = false;
    mutex_unlock(&renew->lock);
}

int cl_renew_add(struct cl_renew *renew, struct cl_out *out, struct err *err)
{
    int rc = 0;
    mutex_lock(&renew->lock);
    if (!renew->is_running && renew->has_thread) {
        thread_join(&renew->thread); /* it is on its last steps */
        renew->has_thread = false;
    }
    if (!renew->is_running) {
        rc = thread_start(&renew->thread, "qn-renew", run, renew, err);
        renew->has_thread = renew->is_running = rc == 0;
    }
    if (rc == 0)
        list_push_back(&renew->writers, cl_out_link(out));
    mutex_unlock(&renew->lock);
    return rc;
}

void cl_renew_remove(struct cl_renew *renew, struct cl_out *out)
{
    mutex_lock(&renew->lock);
    list_remove(cl_out_link(out));
    mutex_unlock(&renew->lock);
}

void cl_renew_release(struct cl_renew *renew)
{
    mutex_lock(&renew->lock);
    renew->is_ending = true;
    cond_broadcast(&renew->changed);
    mutex_unlock(&renew->lock);
    if (renew->has_thread)
        thread_join(&renew->thread);
    cond_release(&renew->changed);
    mutex_release(&renew->lock);
}
