/* SPDX-License-Identifier: Apache-2.0
 * status: what /status.json and the status page show of the jobtracker. */
#include "jobtracker/account.h"
#include "jobtracker/jobs/waits.h"
#include "jobtracker/life.h"
#include "jobtracker/record.h"
#include "jobtracker/serve/past.h"
#include "libcommon/base/metric.h"
#include "libcommon/base/str.h"

METRIC_GAUGE(jobs_running, "quern_jt_running_jobs", "jobs submitted and not ended");
METRIC_GAUGE(workers_live, "quern_jt_live_workers", "workers heard of lately");
METRIC_GAUGE(workers_lost, "quern_jt_lost_workers", "workers known and not heard of");
METRIC_GAUGE(cores, "quern_jt_cores", "cores of live workers");
METRIC_GAUGE(cores_used, "quern_jt_cores_used", "of these, given to running attempts");
METRIC_GAUGE(memory, "quern_jt_memory_bytes", "task memory of live workers");
METRIC_GAUGE(memory_used, "quern_jt_memory_used_bytes", "of this, given to running attempts");
METRIC_GAUGE(durable, "quern_jt_durable_index", "last journal record that is on disk");
METRIC_GAUGE(epoch, "quern_jt_epoch", "how often a jobtracker took over this journal");

static uint64_t count_active(const struct jobtracker *jt)
{
    uint64_t active = 0;
    list_each (&jt->core.active, it)
        active++;
    return active;
}

void jobtracker_measure(void *state)
{
    const struct jobtracker *jt = state;
    uint64_t sum[4] = {0}, known = 0;
    list_each (&jt->core.fleet.all, it) {
        const struct jt_worker *worker = list_entry(it, struct jt_worker, all);
        known++;
        if (!worker->is_live)
            continue;
        sum[0] += worker->cores;
        sum[1] += worker->cores_used;
        sum[2] += worker->memory;
        sum[3] += worker->memory_used;
    }
    metric_set(&jobs_running, count_active(jt));
    metric_set(&workers_live, jt->core.fleet.live);
    metric_set(&workers_lost, known - jt->core.fleet.live);
    metric_set(&cores, sum[0]);
    metric_set(&cores_used, sum[1]);
    metric_set(&memory, sum[2]);
    metric_set(&memory_used, sum[3]);
    metric_set(&durable, joblog_durable(jt->log));
    metric_set(&epoch, jt->epoch);
}

static void progress_text(const struct jt_job *job, char *out, size_t cap)
{
    size_t n = 0;
    out[0] = 0;
    for (uint32_t s = 0; s < job->stage_count && n < cap; s++) {
        const struct jt_stage *stage = &job->stages[s];
        if (stage->kind == JT_STAGE_COMMIT)
            continue;
        int len = snprintf(out + n, cap - n, "%s%s %u/%u", n ? ", " : "", account_stage_name(stage),
                           stage->done, stage->count);
        n += len > 0 ? (size_t)len : 0;
    }
}

static void show_job(const struct jobtracker *jt, const struct jt_job *job, struct status *st)
{
    const struct record *record = record_of(job);
    char text[160], user[64], number[32];
    uint64_t until = job->ended_ms ? job->ended_ms : jobtracker_now(jt);
    snprintf(number, sizeof(number), "%llu", (unsigned long long)job->number);
    status_row(st);
    status_cell(st, number);
    status_cell(st, job->name);
    snprintf(user, sizeof(user), SLICE_FMT, SLICE_ARG(record->spec.user));
    status_cell(st, user);
    status_cell(st, job->claim.queue->name);
    status_cell(st, sm_name(&jt_job_states, job->state));
    progress_text(job, text, sizeof(text));
    status_cell(st, text);
    status_cell_u64(st, record->splits.bytes);
    status_cell_u64(st, until - job->submitted_ms);
    char waits[256];
    const char *why = job->why ? job->why : jt_waits_for(&jt->core, job, waits, sizeof(waits));
    status_cell(st, why ? why : "");
}

static void cell_of(struct status *st, struct slice text)
{
    char cell[256];
    snprintf(cell, sizeof(cell), SLICE_FMT, SLICE_ARG(text));
    status_cell(st, cell);
}

/* One that ended before this jobtracker started, as the history tells it. */
static void show_earlier(const struct cl2jt_status *job, struct status *st)
{
    char id[24], progress[160] = "";
    size_t n = 0;
    snprintf(id, sizeof(id), "%llu", (unsigned long long)job->id.job);
    for (size_t s = 0; s < job->stages.n && n < sizeof(progress); s++) {
        const struct cl2jt_stage *stage = &job->stages.v[s];
        if (slice_is(stage->name, "commit"))
            continue;
        int len = snprintf(progress + n, sizeof(progress) - n, "%s" SLICE_FMT " %u/%u",
                           n ? ", " : "", SLICE_ARG(stage->name), stage->done, stage->tasks);
        n += len > 0 ? (size_t)len : 0;
    }
    status_row(st);
    status_cell(st, id);
    cell_of(st, job->name);
    cell_of(st, job->user);
    cell_of(st, job->queue);
    status_cell(st, job->state <= CL2JT_KILLED ? sm_name(&jt_job_states, job->state) : "?");
    status_cell(st, progress);
    status_cell_u64(st, job->bytes);
    status_cell_u64(st, job->elapsed_ms);
    cell_of(st, job->why);
}

static void show_jobs(const struct jobtracker *jt, struct status *st)
{
    size_t shown = 0;
    status_table(st, "jobs", "Jobs",
                 "job:job|name|user|queue|state|tasks done|input:bytes|elapsed:ms|note");
    for (struct list *it = jt->core.all.prev; it != &jt->core.all && shown < PAST_SHOWN;
         it = it->prev, shown++)
        show_job(jt, list_entry(it, struct jt_job, all), st);
    for (size_t i = 0; i < jt->earlier_count && shown < PAST_SHOWN; i++, shown++)
        show_earlier(&jt->earlier[i], st);
}

static void show_workers(const struct jobtracker *jt, struct status *st)
{
    status_table(st, "workers", "Workers",
                 "node|state|cores:count|in use:count|memory:bytes|memory in use:bytes|"
                 "failures:count|rack|last heard:ms");
    list_each (&jt->core.fleet.all, it) {
        const struct jt_worker *worker = list_entry(it, struct jt_worker, all);
        status_row(st);
        status_cell(st, worker->name);
        status_cell(st, jt_worker_state(worker));
        status_cell_u64(st, worker->cores);
        status_cell_u64(st, worker->cores_used);
        status_cell_u64(st, worker->memory);
        status_cell_u64(st, worker->memory_used);
        status_cell_u64(st, worker->failures);
        status_cell(st, worker->rack ? worker->rack : "");
        status_cell_u64(st, jobtracker_now(jt) - worker->last_beat_ms);
    }
}

static void show_queues(const struct jobtracker *jt, struct status *st)
{
    status_table(st, "queues", "Queues",
                 "queue|weight:count|cores in use:count|its share:count|memory in use:bytes|"
                 "jobs running:count|jobs waiting:count");
    for (uint32_t i = 0; i < jt->core.queues.count; i++) {
        const struct jt_queue *queue = jt->core.queues.items[i];
        status_row(st);
        status_cell(st, queue->name);
        status_cell_u64(st, queue->conf.weight);
        status_cell_u64(st, queue->used.cores);
        status_cell_u64(st, queue->fair / JT_UNITS);
        status_cell_u64(st, queue->used.memory);
        status_cell_u64(st, queue->rich.count);
        status_cell_u64(st, queue->job_count - queue->rich.count);
    }
}

static void note_excluded(const struct jobtracker *jt, const struct jt_worker *worker,
                          struct status *st)
{
    uint64_t ms = jt_worker_excluded_ms(worker, jobtracker_now(jt));
    if (ms == JT_FOR_GOOD)
        status_note(st, "error",
                    "%s gets no tasks: none of its local directories is usable (its log tells what "
                    "failed): mend one and start the worker again",
                    worker->name);
    else
        status_note(st, "warn",
                    "%s gets no tasks for another %llu s: those of several jobs failed there and "
                    "then went well elsewhere (its log tells how)",
                    worker->name, (unsigned long long)ms / 1000 + 1);
}

void jobtracker_status(void *state, struct status *st)
{
    const struct jobtracker *jt = state;
    status_count(st, "jobs running", count_active(jt), "#jobs");
    status_count(st, "workers live", jt->core.fleet.live, "#workers");
    status_count(st, "epoch", jt->epoch, "");
    status_count(st, "journal durable", joblog_durable(jt->log), "");
    if (jt->core.fleet.live == 0)
        status_note(st, "warn", "no worker is registered: jobs wait");
    list_each (&jt->core.fleet.excluded, it)
        note_excluded(jt, list_entry(it, struct jt_worker, excluded), st);
    show_jobs(jt, st);
    show_queues(jt, st);
    show_workers(jt, st);
}
