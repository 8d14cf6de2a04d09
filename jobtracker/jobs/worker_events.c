/* SPDX-License-Identifier: Apache-2.0
 * events: workers come, beat and go. */
#include "jobtracker/jobs/attempts.h"
#include "jobtracker/jobs/events.h"
#include "jobtracker/jobs/outputs.h"
#include "jobtracker/jobs/settle.h"
#include "libcommon/base/str.h"

static void lose_outputs_of(struct jt_core *core, struct jt_worker *worker)
{
    list_each_safe (&core->active, it) {
        struct jt_job *job = list_entry(it, struct jt_job, active);
        /* The last first: what is lost there makes those before it needed again. */
        for (uint32_t s = job->stage_count; s-- > 0;) {
            struct jt_stage *stage = &job->stages[s];
            if (!jt_stage_is_needed(stage))
                continue;
            for (uint32_t t = 0; t < stage->count; t++)
                if (stage->tasks[t].winner && stage->tasks[t].winner->worker == worker)
                    jt_output_lose(core, &stage->tasks[t]);
        }
    }
}

/* What was on its way when the connection broke may never have come: it is told again. */
static void forget_what_was_told(struct jt_worker *worker)
{
    list_each (&worker->links, it) {
        struct jt_link *link = list_entry(it, struct jt_link, of_worker);
        link->told_job = false;
        link->outputs_told = 0;
        link->told_complete = 0;
    }
}

static void lose_worker(struct jt_core *core, struct jt_worker *worker)
{
    jt_worker_lose(&core->fleet, worker);
    list_each_safe (&worker->attempts, it) {
        struct jt_attempt *attempt = list_entry(it, struct jt_attempt, on_worker);
        attempt->why = attempt->why ? attempt->why : str_dup("its worker was lost");
        jt_kill_attempt(core, attempt, "worker lost");
    }
    forget_what_was_told(worker);
    lose_outputs_of(core, worker);
    core->must_schedule = true;
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
    worker = jt_fleet_put(&core->fleet, offer, now_ms);
    core->must_schedule = worker != NULL;
    return worker;
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
}

void jt_lose_silent_workers(struct jt_core *core)
{
    list_each_safe (&core->fleet.all, it) {
        struct jt_worker *worker = list_entry(it, struct jt_worker, all);
        if (worker->is_live && core->now_ms > worker->last_beat_ms + core->config.worker_timeout_ms)
            lose_worker(core, worker);
    }
}
