/* SPDX-License-Identifier: Apache-2.0
 * One function per event; each ends in settle(), which unblocks stages, ends jobs, and hands free
 * cores out, so that no caller can forget to. */
#include "jobtracker/jobs/events.h"

#include <inttypes.h>

#include "jobtracker/schedule/locality.h"
#include "jobtracker/schedule/pick.h"
#include "jobtracker/schedule/speculate.h"
#include "libcommon/base/str.h"

#define SPECULATION_EVERY_MS 200
/* Attempts of a jobtracker's n-th life are numbered from n * this: none is ever used twice. */
#define ATTEMPTS_PER_LIFE 1000

const struct jt_config jt_config_default = {
    .max_attempts = JT_ATTEMPTS,
    .worker_timeout_ms = 30000,
    .reconnect_ms = 5000,
    .locality_wait_ms = 100,
    .resume_grace_ms = 15000,
    .preempt_ms = 1000,
    .slowstart_percent = 5,
    .speculative = true,
    .speculate_percent = 10,
    .speculate_after_percent = 75,
    .job_worker_failures = 3,
};

void jt_core_init(struct jt_core *core, const struct jt_config *config, uint64_t now_ms)
{
    *core = (struct jt_core){.config = *config, .next_job = 1, .now_ms = now_ms};
    core->start_ms = now_ms;
    jt_fleet_init(&core->fleet);
    list_init(&core->all);
    list_init(&core->active);
}

void jt_core_release(struct jt_core *core)
{
    list_each_safe (&core->all, it)
        jt_job_free(list_entry(it, struct jt_job, all));
    hmap_release(&core->jobs);
    jt_fleet_release(&core->fleet);
    mem_free(core->effects);
}

void jt_effects_clear(struct jt_core *core)
{
    core->effect_count = 0;
}

/* Never NULL: when memory is out, the effect goes to a spare place and the core says so. */
struct jt_effect *jt_effect_add(struct jt_core *core, enum jt_effect_kind kind, struct jt_job *job)
{
    static _Thread_local struct jt_effect spare;
    struct jt_effect *effect = &spare;
    if (mem_grow(&core->effects, &core->effect_cap, core->effect_count, sizeof(struct jt_effect)) ==
        0)
        effect = &core->effects[core->effect_count++];
    else
        core->out_of_memory = true;
    *effect = (struct jt_effect){.kind = kind, .job = job};
    return effect;
}

struct jt_job *jt_core_job(const struct jt_core *core, uint64_t number)
{
    struct hmap_node *n = hmap_find(&core->jobs, hash_u64(number));
    for (; n; n = hmap_find_next(n)) {
        struct jt_job *job = CONTAINER_OF(n, struct jt_job, by_number);
        if (job->number == number)
            return job;
    }
    return NULL;
}

void jt_core_forget(struct jt_core *core, struct jt_job *job)
{
    BUG_ON(!jt_job_is_over(job));
    hmap_remove(&core->jobs, &job->by_number);
    jt_job_free(job);
}

/* --- tasks begin to wait --------------------------------------------------------------------- */

static void wait_for_worker(struct jt_core *core, struct jt_task *task)
{
    jt_task_move(task, JT_TASK_WAITING);
    task->waiting_since_ms = core->now_ms;
    if (jt_locality_add(task->stage, task, &core->fleet) != 0)
        core->out_of_memory = true;
    core->must_schedule = true;
}

static void unblock(struct jt_core *core, struct jt_stage *stage)
{
    for (uint32_t i = 0; i < stage->count; i++)
        if (stage->tasks[i].state == JT_TASK_BLOCKED)
            wait_for_worker(core, &stage->tasks[i]);
}

/* --- telling workers ------------------------------------------------------------------------- */

static void tell_outputs(struct jt_core *core, struct jt_link *link)
{
    struct jt_job *job = link->job;
    bool complete = job->outputs_missing == 0;
    if (link->outputs_told == job->output_count && link->told_complete == complete)
        return;
    struct jt_effect *effect = jt_effect_add(core, JT_TELL_OUTPUTS, job);
    effect->worker = link->worker;
    effect->from = link->outputs_told;
    effect->to = job->output_count;
    effect->complete = complete;
    link->outputs_told = job->output_count;
    link->told_complete = complete;
}

/* Reducing workers want the places of outputs; holding workers want to know that all maps are done
 * and their streams may end. */
static void tell_outputs_to_all(struct jt_core *core, struct jt_job *job)
{
    list_each (&job->links, it) {
        struct jt_link *link = list_entry(it, struct jt_link, of_job);
        if (link->worker->is_live && link->told_job &&
            (link->reducing > 0 || link->told_complete != (job->outputs_missing == 0)))
            tell_outputs(core, link);
    }
}

static bool tell_job(struct jt_core *core, struct jt_link *link)
{
    if (!link)
        return false;
    if (!link->told_job) {
        jt_effect_add(core, JT_TELL_JOB, link->job)->worker = link->worker;
        link->told_job = true;
        link->outputs_told = 0;
        link->told_complete = false;
    }
    return true;
}

/* --- attempts begin and end ------------------------------------------------------------------ */

uint64_t jt_task_memory(const struct jt_task *task, const struct jt_worker *worker)
{
    if (task->stage->memory)
        return task->stage->memory;
    return worker->cores ? worker->memory / worker->cores : 0;
}

bool jt_launch(struct jt_core *core, struct jt_task *task, struct jt_worker *worker,
               enum jt_locality locality, bool is_speculative)
{
    struct jt_stage *stage = task->stage;
    struct jt_link *link = jt_link_get(stage->job, worker);
    struct jt_attempt *attempt = link ? jt_attempt_new(task, worker, core->now_ms) : NULL;
    if (!attempt) {
        core->out_of_memory = true;
        return false;
    }
    attempt->is_speculative = is_speculative;
    attempt->locality = locality;
    attempt->memory = jt_task_memory(task, worker);
    jt_worker_take(&core->fleet, worker, attempt->memory);
    list_push_back(&worker->attempts, &attempt->on_worker);
    task->running++;
    link->running++;
    link->reducing += stage->kind == JT_STAGE_REDUCE;
    if (task->state == JT_TASK_WAITING)
        jt_task_move(task, JT_TASK_RUNNING);
    if (stage->started_ms == 0)
        stage->started_ms = core->now_ms;
    stage->speculative += is_speculative;
    if (!is_speculative)
        stage->locality[locality]++;
    if (stage->job->state == JT_JOB_WAITING)
        sm_move(&jt_job_states, &stage->job->state, JT_JOB_RUNNING);
    stage->job->version++;
    tell_job(core, link);
    struct jt_effect *effect = jt_effect_add(core, JT_TELL_RUN, stage->job);
    effect->worker = worker;
    effect->attempt = attempt;
    if (stage->kind == JT_STAGE_REDUCE)
        tell_outputs(core, link);
    return true;
}

/* The attempt stops running, whatever comes of it. */
static void detach(struct jt_core *core, struct jt_attempt *attempt, enum jt_attempt_state to)
{
    struct jt_task *task = attempt->task;
    struct jt_link *link = jt_link_find(task->stage->job, attempt->worker);
    sm_move(&jt_attempt_states, &attempt->state, to);
    attempt->end_ms = core->now_ms;
    list_remove(&attempt->on_worker);
    if (attempt->worker->is_live)
        jt_worker_give_back(&core->fleet, attempt->worker, attempt->memory);
    task->running--;
    if (link) {
        link->running--;
        link->reducing -= task->stage->kind == JT_STAGE_REDUCE;
    }
    task->stage->failed_attempts += to == JT_ATTEMPT_FAILED;
    task->stage->killed_attempts += to == JT_ATTEMPT_KILLED;
    task->stage->job->version++;
    core->must_schedule = true;
}

static void wait_if_nothing_runs(struct jt_core *core, struct jt_task *task)
{
    if (task->state == JT_TASK_RUNNING && task->running == 0 && !jt_job_is_over(task->stage->job))
        wait_for_worker(core, task);
}

void jt_kill_attempt(struct jt_core *core, struct jt_attempt *attempt, const char *why)
{
    detach(core, attempt, JT_ATTEMPT_KILLED);
    if (attempt->worker->is_live) {
        struct jt_effect *effect = jt_effect_add(core, JT_TELL_KILL, attempt->task->stage->job);
        effect->worker = attempt->worker;
        effect->attempt = attempt;
        effect->why = why;
    }
    wait_if_nothing_runs(core, attempt->task);
}

static void kill_running(struct jt_core *core, struct jt_task *task, const char *why)
{
    list_each_safe (&task->attempts, it) {
        struct jt_attempt *attempt = list_entry(it, struct jt_attempt, of_task);
        if (attempt->state == JT_ATTEMPT_RUNNING)
            jt_kill_attempt(core, attempt, why);
    }
}

/* --- jobs end -------------------------------------------------------------------------------- */

static void end_job(struct jt_core *core, struct jt_job *job, enum jt_job_state state,
                    const char *why)
{
    sm_move(&jt_job_states, &job->state, state);
    job->ended_ms = core->now_ms;
    job->version++;
    if (why && !job->why)
        job->why = str_dup(why);
    for (uint32_t i = 0; i < job->stage_count; i++)
        for (uint32_t t = 0; t < job->stages[i].count; t++)
            kill_running(core, &job->stages[i].tasks[t], "the job is over");
    list_remove(&job->active);
    jt_effect_add(core, JT_WRITE_END, job);
    if (state != JT_JOB_SUCCEEDED)
        jt_effect_add(core, JT_CLEAN_UP, job);
    list_each_safe (&job->links, it) {
        struct jt_link *link = list_entry(it, struct jt_link, of_job);
        if (link->told_job && link->worker->is_live)
            jt_effect_add(core, JT_TELL_END, job)->worker = link->worker;
        list_remove(&link->of_worker);
        list_remove(&link->of_job);
        mem_free(link);
    }
}

/* --- after every event ----------------------------------------------------------------------- */

/* A fetching stage gets workers once what it reads is wholly handed out and begun to be done. */
static bool may_begin(const struct jt_core *core, const struct jt_stage *stage)
{
    const struct jt_job *job = stage->job;
    if (stage->kind == JT_STAGE_COMMIT) {
        for (uint32_t i = 0; i < job->stage_count; i++)
            if (&job->stages[i] != stage && !jt_stage_is_done(&job->stages[i]))
                return false;
        return true;
    }
    if (stage->reads_from == JT_NO_STAGE)
        return true;
    const struct jt_stage *before = &job->stages[stage->reads_from];
    return before->waiting == 0 && before->blocked == 0 &&
           (uint64_t)before->done * 100 >= (uint64_t)before->count * core->config.slowstart_percent;
}

static void advance(struct jt_core *core, struct jt_job *job)
{
    bool all_done = true;
    for (uint32_t i = 0; i < job->stage_count; i++) {
        struct jt_stage *stage = &job->stages[i];
        if (stage->blocked > 0 && may_begin(core, stage))
            unblock(core, stage);
        if (jt_stage_is_done(stage) && stage->ended_ms == 0)
            stage->ended_ms = core->now_ms;
        all_done = all_done && jt_stage_is_done(stage);
    }
    if (all_done && !job->has_published) {
        if (job->state == JT_JOB_WAITING)
            sm_move(&jt_job_states, &job->state, JT_JOB_RUNNING);
        sm_move(&jt_job_states, &job->state, JT_JOB_COMMITTING);
        job->has_published = true;
        job->version++;
        jt_effect_add(core, JT_PUBLISH, job);
    }
}

static void settle(struct jt_core *core, struct jt_job *job)
{
    if (job && !jt_job_is_over(job))
        advance(core, job);
    if (!core->must_schedule)
        return;
    core->must_schedule = false;
    jt_schedule(core);
    /* Handing a stage out wholly may let the next one begin. */
    list_each_safe (&core->active, it)
        advance(core, list_entry(it, struct jt_job, active));
    if (core->must_schedule) {
        core->must_schedule = false;
        jt_schedule(core);
    }
}

/* --- jobs ------------------------------------------------------------------------------------ */

static void insert_active(struct jt_core *core, struct jt_job *job)
{
    struct list *at = core->active.next;
    while (at != &core->active) {
        struct jt_job *other = list_entry(at, struct jt_job, active);
        if (other->priority < job->priority ||
            (other->priority == job->priority && other->number > job->number))
            break;
        at = at->next;
    }
    list_add_before(at, &job->active);
}

static struct jt_job *add_job(struct jt_core *core, uint64_t number, const struct jt_submit *submit)
{
    if (number == 0)
        number = core->next_job;
    struct jt_job *job = jt_job_new(number, submit, core->now_ms);
    if (!job || hmap_add(&core->jobs, &job->by_number, hash_u64(number)) != 0) {
        jt_job_free(job);
        return NULL;
    }
    if (number >= core->next_job)
        core->next_job = number + 1;
    list_push_back(&core->all, &job->all);
    insert_active(core, job);
    return job;
}

struct jt_job *jt_on_submit(struct jt_core *core, uint64_t number, const struct jt_submit *submit,
                            uint64_t now_ms)
{
    core->now_ms = now_ms;
    struct jt_job *job = add_job(core, number, submit);
    if (job)
        settle(core, job);
    return job;
}

void jt_on_kill(struct jt_core *core, struct jt_job *job, const char *why, uint64_t now_ms)
{
    core->now_ms = now_ms;
    /* Once PUBLISH is on its way the output may already be there: its answer decides. */
    if (jt_job_is_over(job) || job->has_published)
        return;
    end_job(core, job, JT_JOB_KILLED, why);
    settle(core, job);
}

void jt_on_priority(struct jt_core *core, struct jt_job *job, uint32_t priority, uint64_t now_ms)
{
    core->now_ms = now_ms;
    job->priority = priority;
    job->version++;
    if (!jt_job_is_over(job)) {
        list_remove(&job->active);
        insert_active(core, job);
    }
}

void jt_on_published(struct jt_core *core, struct jt_job *job, int code, const char *why,
                     uint64_t now_ms)
{
    core->now_ms = now_ms;
    if (jt_job_is_over(job) || job->state != JT_JOB_COMMITTING)
        return;
    end_job(core, job, code == 0 ? JT_JOB_SUCCEEDED : JT_JOB_FAILED, why);
    settle(core, job);
}

/* --- workers --------------------------------------------------------------------------------- */

/* A done task whose output is gone runs again, if somebody still needs it. */
static void lose_output(struct jt_core *core, struct jt_task *task)
{
    struct jt_job *job = task->stage->job;
    struct jt_attempt *winner = task->winner;
    if (task->state != JT_TASK_DONE || !winner || !jt_stage_is_needed(task->stage))
        return;
    sm_move(&jt_attempt_states, &winner->state, JT_ATTEMPT_KILLED);
    task->stage->killed_attempts++;
    jt_effect_add(core, JT_WRITE_LOST, job)->attempt = winner;
    task->winner = NULL;
    task->fetch_reports = 0;
    if (!winner->is_probation)
        job->outputs_missing++;
    winner->is_probation = false;
    mem_free((void *)(uintptr_t)task->result.data);
    task->result = slice_of(NULL, 0);
    job->version++;
    task->stage->ended_ms = 0;
    wait_for_worker(core, task);
    tell_outputs_to_all(core, job);
}

static void lose_outputs_of(struct jt_core *core, struct jt_worker *worker)
{
    list_each_safe (&core->active, it) {
        struct jt_job *job = list_entry(it, struct jt_job, active);
        for (uint32_t s = 0; s < job->stage_count; s++) {
            struct jt_stage *stage = &job->stages[s];
            if (!jt_stage_is_needed(stage))
                continue;
            for (uint32_t t = 0; t < stage->count; t++)
                if (stage->tasks[t].winner && stage->tasks[t].winner->worker == worker)
                    lose_output(core, &stage->tasks[t]);
        }
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
    list_each_safe (&worker->links, it) {
        struct jt_link *link = list_entry(it, struct jt_link, of_worker);
        link->told_job = false;
        link->outputs_told = 0;
        link->told_complete = false;
    }
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
        return worker;
    }
    if (worker && worker->is_live)
        lose_worker(core, worker);
    worker = jt_fleet_put(&core->fleet, offer, now_ms);
    core->must_schedule = worker != NULL;
    return worker;
}

static struct jt_attempt *find_attempt(const struct jt_core *core, const struct attempt_id *id)
{
    struct jt_job *job = jt_core_job(core, id->job.number);
    struct jt_task *task = job ? jt_job_task(job, id->stage, id->task) : NULL;
    return task ? jt_attempt_find(task, id->attempt) : NULL;
}

static int place_output(struct jt_core *core, struct jt_attempt *attempt)
{
    struct jt_job *job = attempt->task->stage->job;
    if (mem_grow(&job->outputs, &job->output_cap, job->output_count, sizeof(struct jt_output)) !=
        0) {
        core->out_of_memory = true;
        return ERR_NOMEM;
    }
    job->outputs[job->output_count++] = (struct jt_output){
        attempt->task->stage->index, attempt->task->index, attempt->number, attempt->worker};
    BUG_ON(job->outputs_missing == 0);
    job->outputs_missing--;
    tell_outputs_to_all(core, job);
    return 0;
}

bool jt_on_held(struct jt_core *core, struct jt_worker *worker, const struct attempt_id *id,
                uint64_t now_ms)
{
    core->now_ms = now_ms;
    struct jt_attempt *attempt = find_attempt(core, id);
    if (!attempt || attempt->worker != worker || jt_job_is_over(attempt->task->stage->job))
        return false;
    if (attempt->state == JT_ATTEMPT_RUNNING)
        return true;
    if (attempt->task->winner != attempt)
        return false;
    struct jt_link *link = jt_link_get(attempt->task->stage->job, worker);
    if (!link)
        return false;
    tell_job(core, link);
    if (attempt->is_probation) {
        attempt->is_probation = false;
        place_output(core, attempt);
    }
    tell_outputs(core, link);
    return true;
}

void jt_on_beat(struct jt_core *core, struct jt_worker *worker, uint64_t now_ms)
{
    core->now_ms = now_ms;
    worker->last_beat_ms = now_ms;
    settle(core, NULL);
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

/* --- attempts -------------------------------------------------------------------------------- */

static struct jt_attempt *find_running(const struct jt_core *core, const struct jt_worker *worker,
                                       const struct attempt_id *id)
{
    struct jt_attempt *attempt = find_attempt(core, id);
    bool ok = attempt && attempt->worker == worker && attempt->state == JT_ATTEMPT_RUNNING;
    return ok ? attempt : NULL;
}

static void take_progress(struct jt_attempt *attempt, const struct jt_progress *progress)
{
    attempt->bytes_in = progress->bytes_in;
    attempt->bytes_total = progress->bytes_total;
    attempt->records_in = progress->records_in;
    attempt->records_out = progress->records_out;
    attempt->idle_ms = progress->idle_ms;
}

void jt_on_progress(struct jt_core *core, struct jt_worker *worker, const struct attempt_id *id,
                    const struct jt_progress *progress, uint64_t now_ms)
{
    core->now_ms = now_ms;
    struct jt_attempt *attempt = find_running(core, worker, id);
    if (!attempt)
        return;
    take_progress(attempt, progress);
    attempt->task->stage->job->version++;
}

/* 0, or ERR_NOMEM: then the attempt cannot be taken as the winner. */
static int keep_result(struct jt_task *task, struct slice result)
{
    uint8_t *copy = mem_alloc(result.len);
    if (!copy)
        return ERR_NOMEM;
    if (result.len)
        memcpy(copy, result.data, result.len);
    mem_free((void *)(uintptr_t)task->result.data);
    task->result = slice_of(copy, result.len);
    return 0;
}

bool jt_on_done(struct jt_core *core, struct jt_worker *worker, const struct attempt_id *id,
                const struct jt_progress *progress, struct slice result, uint64_t now_ms)
{
    core->now_ms = now_ms;
    struct jt_attempt *attempt = find_attempt(core, id);
    if (attempt && attempt->worker == worker && attempt->task->winner == attempt)
        return true; /* said again, because the first answer was lost */
    attempt = find_running(core, worker, id);
    if (!attempt || keep_result(attempt->task, result) != 0)
        return false;
    struct jt_task *task = attempt->task;
    struct jt_stage *stage = task->stage;
    take_progress(attempt, progress);
    detach(core, attempt, JT_ATTEMPT_DONE);
    task->winner = attempt;
    jt_task_move(task, JT_TASK_DONE);
    kill_running(core, task, "another attempt was first");
    stage->done_ms_total += attempt->end_ms - attempt->start_ms;
    jt_speculate_note(stage, attempt);
    jt_effect_add(core, JT_WRITE_DONE, stage->job)->attempt = attempt;
    if (stage->kind == JT_STAGE_MAP)
        place_output(core, attempt);
    settle(core, stage->job);
    return true;
}

static void fail_job(struct jt_core *core, struct jt_task *task)
{
    struct jt_job *job = task->stage->job;
    static const char *const words[] = {"map", "map", "reduce", "commit"};
    char why[160];
    snprintf(why, sizeof(why), "%s %" PRIu32 " failed %" PRIu32 " times", words[task->stage->kind],
             task->index, task->failures);
    job->culprit = task;
    end_job(core, job, JT_JOB_FAILED, why);
}

void jt_on_failed(struct jt_core *core, struct jt_worker *worker, const struct attempt_id *id,
                  bool counts, const char *why, uint64_t now_ms)
{
    core->now_ms = now_ms;
    struct jt_attempt *attempt = find_running(core, worker, id);
    if (!attempt)
        return;
    struct jt_task *task = attempt->task;
    struct jt_job *job = task->stage->job;
    attempt->why = why ? str_dup(why) : NULL;
    detach(core, attempt, counts ? JT_ATTEMPT_FAILED : JT_ATTEMPT_KILLED);
    jt_task_blame(task, worker);
    if (counts) {
        struct jt_link *link = jt_link_find(job, worker);
        if (link)
            link->failures++;
        worker->failures++;
        task->failures++;
    }
    if (task->failures >= core->config.max_attempts)
        fail_job(core, task);
    else
        wait_if_nothing_runs(core, task);
    settle(core, job);
}

/* --- fetch failures -------------------------------------------------------------------------- */

static uint32_t reducing(const struct jt_job *job)
{
    uint32_t n = 0;
    list_each (&job->links, it)
        n += list_entry(it, struct jt_link, of_job)->reducing;
    return n;
}

/* One reduce alone may be the one at fault; three reports, or half of those that fetch, are not. */
void jt_on_fetch_failed(struct jt_core *core, const struct attempt_id *reduce, struct slice source,
                        const uint64_t *maps, size_t count, uint64_t now_ms)
{
    core->now_ms = now_ms;
    struct jt_attempt *attempt = find_attempt(core, reduce);
    struct jt_worker *worker = jt_fleet_find(&core->fleet, source);
    if (!attempt || attempt->state != JT_ATTEMPT_RUNNING || !worker)
        return;
    struct jt_job *job = attempt->task->stage->job;
    uint32_t from = attempt->task->stage->reads_from, fetchers = reducing(job);
    for (size_t i = 0; i < count; i++) {
        struct jt_task *task =
            maps[i] <= UINT32_MAX ? jt_job_task(job, from, (uint32_t)maps[i]) : NULL;
        if (!task || !task->winner || task->winner->worker != worker)
            continue;
        task->fetch_reports++;
        if (task->fetch_reports >= 3 || task->fetch_reports * 2 >= fetchers) {
            jt_task_blame(task, worker);
            lose_output(core, task);
        }
    }
    settle(core, job);
}

/* --- time ------------------------------------------------------------------------------------ */

/* Outputs promised before a restart whose worker has not come back in time. */
static void end_probation(struct jt_core *core)
{
    if (core->now_ms < core->start_ms + core->config.resume_grace_ms)
        return;
    list_each_safe (&core->active, it) {
        struct jt_job *job = list_entry(it, struct jt_job, active);
        for (uint32_t s = 0; job->is_resumed && s < job->stage_count; s++)
            for (uint32_t t = 0; t < job->stages[s].count; t++) {
                struct jt_task *task = &job->stages[s].tasks[t];
                if (task->winner && task->winner->is_probation)
                    lose_output(core, task);
            }
        job->is_resumed = false;
    }
}

static struct jt_attempt *youngest_reduce(const struct jt_job *job)
{
    struct jt_attempt *youngest = NULL;
    list_each (&job->links, it) {
        const struct jt_link *link = list_entry(it, struct jt_link, of_job);
        if (link->reducing == 0)
            continue;
        list_each (&link->worker->attempts, a) {
            struct jt_attempt *attempt = list_entry(a, struct jt_attempt, on_worker);
            if (attempt->task->stage->job == job && attempt->task->stage->kind == JT_STAGE_REDUCE &&
                (!youngest || attempt->start_ms > youngest->start_ms))
                youngest = attempt;
        }
    }
    return youngest;
}

/* A map that must run again may find every core held by reduces that wait for it. */
static void preempt(struct jt_core *core, struct jt_job *job)
{
    for (uint32_t s = 0; s < job->stage_count; s++) {
        struct jt_stage *stage = &job->stages[s];
        if (stage->kind != JT_STAGE_MAP || stage->waiting == 0)
            continue;
        for (uint32_t t = 0; t < stage->count; t++) {
            struct jt_task *task = &stage->tasks[t];
            if (task->state != JT_TASK_WAITING ||
                core->now_ms < task->waiting_since_ms + core->config.preempt_ms)
                continue;
            struct jt_attempt *victim = youngest_reduce(job);
            if (victim)
                jt_kill_attempt(core, victim, "makes room for a map that runs again");
            task->waiting_since_ms = core->now_ms;
            return;
        }
    }
}

void jt_on_tick(struct jt_core *core, uint64_t now_ms)
{
    core->now_ms = now_ms;
    list_each_safe (&core->fleet.all, it) {
        struct jt_worker *worker = list_entry(it, struct jt_worker, all);
        if (worker->is_live && now_ms > worker->last_beat_ms + core->config.worker_timeout_ms)
            lose_worker(core, worker);
    }
    end_probation(core);
    list_each_safe (&core->active, it)
        preempt(core, list_entry(it, struct jt_job, active));
    core->must_schedule = true; /* delays may have run out */
    settle(core, NULL);
    if (now_ms >= core->next_speculation_ms) {
        core->next_speculation_ms = now_ms + SPECULATION_EVERY_MS;
        jt_speculate(core);
    }
}

/* --- a jobtracker's next life ---------------------------------------------------------------- */

static struct jt_worker *expect_worker(struct jt_core *core, struct slice name)
{
    struct jt_worker *worker = jt_fleet_find(&core->fleet, name);
    if (worker)
        return worker;
    struct jt_worker_offer offer = {.name = name};
    worker = jt_fleet_put(&core->fleet, &offer, core->now_ms);
    if (worker)
        jt_worker_lose(&core->fleet, worker);
    return worker;
}

void jt_on_resumed(struct jt_core *core, struct jt_job *job, const struct attempt_id *id,
                   struct slice worker_name, struct slice result, uint64_t now_ms)
{
    core->now_ms = now_ms;
    struct jt_task *task = jt_job_task(job, id->stage, id->task);
    struct jt_worker *worker = expect_worker(core, worker_name);
    if (!task || !worker || jt_job_is_over(job) || task->state == JT_TASK_DONE)
        return;
    struct jt_attempt *attempt = jt_attempt_new(task, worker, now_ms);
    if (!attempt || keep_result(task, result) != 0) {
        core->out_of_memory = true;
        return;
    }
    attempt->number = id->attempt;
    attempt->end_ms = now_ms;
    sm_move(&jt_attempt_states, &attempt->state, JT_ATTEMPT_DONE);
    attempt->is_probation = task->stage->kind == JT_STAGE_MAP;
    task->winner = attempt;
    jt_task_move(task, JT_TASK_DONE);
    job->is_resumed = true;
}

void jt_on_resumed_lost(struct jt_core *core, struct jt_job *job, const struct attempt_id *id)
{
    struct jt_task *task = jt_job_task(job, id->stage, id->task);
    if (task && task->winner && task->winner->number == id->attempt)
        lose_output(core, task);
}

void jt_on_resume_end(struct jt_core *core, uint32_t epoch, uint64_t now_ms)
{
    core->now_ms = core->start_ms = now_ms;
    list_each_safe (&core->active, it) {
        struct jt_job *job = list_entry(it, struct jt_job, active);
        for (uint32_t s = 0; s < job->stage_count; s++)
            for (uint32_t t = 0; t < job->stages[s].count; t++)
                job->stages[s].tasks[t].next_attempt = epoch * ATTEMPTS_PER_LIFE;
        advance(core, job);
    }
    settle(core, NULL);
}

/* --- why nothing runs ------------------------------------------------------------------------ */

const char *jt_waits_for(const struct jt_core *core, const struct jt_job *job, char *out,
                         size_t cap)
{
    if (jt_job_is_over(job) || job->state == JT_JOB_COMMITTING)
        return NULL;
    uint32_t running = 0;
    uint64_t wants = 0;
    for (uint32_t s = 0; s < job->stage_count; s++) {
        running += job->stages[s].running;
        if (job->stages[s].waiting && job->stages[s].memory > wants)
            wants = job->stages[s].memory;
    }
    if (running > 0)
        return NULL;
    char a[32], b[32];
    if (core->fleet.live == 0)
        snprintf(out, cap, "no worker is registered");
    else if (wants > core->fleet.most_memory)
        snprintf(out, cap, "a task asks for %s of memory, the largest worker offers %s",
                 str_human(wants, a, sizeof(a)), str_human(core->fleet.most_memory, b, sizeof(b)));
    else if (list_is_empty(&core->fleet.free))
        snprintf(out, cap, "every core is taken by other jobs");
    else
        return NULL;
    return out;
}
