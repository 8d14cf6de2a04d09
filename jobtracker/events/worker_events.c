/* SPDX-License-Identifier: Apache-2.0
 * events: workers come, beat and go. */
#include "jobtracker/events/events.h"
#include "jobtracker/events/settle.h"
#include "jobtracker/jobs/attempts.h"
#include "jobtracker/jobs/outputs.h"
#include "jobtracker/schedule/pick.h"
#include "libcommon/base/str.h"

static void lose_outputs_of(struct jt_core *core, struct jt_worker *worker)
{
    list_each_safe (&worker->held, it) {
        struct jt_attempt *attempt = list_entry(it, struct jt_attempt, on_worker);
        list_remove(&attempt->on_worker);
        jt_output_lose(core, attempt->task);
    }
}

/* What was on its way when the connection broke may never have come: it is told again. */
static void forget_what_was_told(struct jt_worker *worker)
{
    list_each (&worker->links, it)
        list_entry(it, struct jt_link, of_worker)->told_job = false;
}

static void lose_worker(struct jt_core *core, struct jt_worker *worker)
{
    jt_worker_lose(&core->fleet, worker);
    list_each_safe (&worker->attempts, it) {
        struct jt_attempt *attempt = list_entry(it, struct jt_attempt, on_worker);
        attempt->why = attempt->why ? attempt->why : str_dup("its worker was lost");
        attempt->is_cut_off = true;
        jt_kill_attempt(core, attempt, "worker lost");
    }
    if (worker->reserved_for)
        jt_reserve(core, worker->reserved_for, NULL);
    list_remove(&worker->offered);
    jt_forgive(worker);
    forget_what_was_told(worker);
    lose_outputs_of(core, worker);
}

struct jt_worker *jt_on_register(struct jt_core *core, const struct jt_worker_offer *offer,
                                 uint64_t now_ms)
{
    core->now_ms = now_ms;
    struct jt_worker *worker = jt_fleet_find(&core->fleet, offer->name);
    if (worker && worker->is_live && worker->incarnation == offer->incarnation) {
        worker->last_beat_ms = now_ms;
        forget_what_was_told(worker);
        return worker;
    }
    if (worker && worker->is_live)
        lose_worker(core, worker);
    return jt_fleet_put(&core->fleet, offer, now_ms);
}

bool jt_on_held(struct jt_core *core, struct jt_worker *worker, const struct attempt_id *id,
                uint64_t now_ms)
{
    core->now_ms = now_ms;
    struct jt_attempt *attempt = jt_core_attempt(core, id);
    if (!attempt || attempt->worker != worker || jt_job_is_over(attempt->task->stage->job))
        return false;
    bool is_running = attempt->state == JT_ATTEMPT_RUNNING;
    if (!is_running && attempt->task->winner != attempt)
        return false;
    struct jt_link *link = jt_link_get(attempt->task->stage->job, worker);
    if (!link) {
        core->out_of_memory = true;
        return false;
    }
    attempt->is_confirmed = true;
    jt_tell_job(core, link);
    if (attempt->is_probation) {
        attempt->is_probation = false;
        jt_output_place(core, attempt);
    }
    jt_outputs_tell(core, link);
    return true;
}

void jt_on_held_all(struct jt_core *core, struct jt_worker *worker, uint64_t now_ms)
{
    core->now_ms = now_ms;
    list_each_safe (&worker->attempts, it) {
        struct jt_attempt *attempt = list_entry(it, struct jt_attempt, on_worker);
        if (!attempt->is_confirmed)
            jt_kill_attempt(core, attempt, "its order was lost");
        attempt->is_confirmed = false;
    }
    jt_settle(core, NULL);
}

void jt_on_beat(struct jt_core *core, struct jt_worker *worker, uint64_t now_ms)
{
    core->now_ms = now_ms;
    worker->last_beat_ms = now_ms;
    jt_settle(core, NULL);
}

/* A broken connection is not yet a dead worker: it has reconnect_ms to come back. */
void jt_on_disconnect(struct jt_core *core, struct jt_worker *worker, uint64_t now_ms)
{
    core->now_ms = now_ms;
    if (!worker->is_live || core->config.worker_timeout_ms <= core->config.reconnect_ms)
        return;
    uint64_t early = core->config.worker_timeout_ms - core->config.reconnect_ms;
    worker->last_beat_ms = now_ms > early ? now_ms - early : 0;
    jt_worker_doubt(&core->fleet, worker);
}

void jt_lose_silent_workers(struct jt_core *core)
{
    struct jt_worker *worker;
    while ((worker = jt_fleet_silent(&core->fleet, core->now_ms, core->config.worker_timeout_ms)))
        lose_worker(core, worker);
}
