/* SPDX-License-Identifier: Apache-2.0
 * status: what /status.json and the status page show of the jobtracker. */
#include "jobtracker/life.h"
#include "jobtracker/record.h"
#include "libcommon/base/str.h"

#define JOBS_SHOWN 50

static void progress_text(const struct jt_job *job, char *out, size_t cap)
{
    size_t n = 0;
    out[0] = 0;
    for (uint32_t s = 0; s < job->stage_count && n < cap; s++) {
        static const char *const names[] = {"map", "map", "reduce", "commit"};
        const struct jt_stage *stage = &job->stages[s];
        if (stage->kind == JT_STAGE_COMMIT)
            continue;
        int len = snprintf(out + n, cap - n, "%s%s %u/%u", n ? ", " : "", names[stage->kind],
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
    status_cell(st, sm_name(&jt_job_states, job->state));
    progress_text(job, text, sizeof(text));
    status_cell(st, text);
    status_cell_u64(st, record->splits.bytes);
    status_cell_u64(st, until - job->submitted_ms);
    char waits[256];
    const char *why = job->why ? job->why : jt_waits_for(&jt->core, job, waits, sizeof(waits));
    status_cell(st, why ? why : "");
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
        status_cell(st, worker->is_live ? "live" : "lost");
        status_cell_u64(st, worker->cores);
        status_cell_u64(st, worker->cores_used);
        status_cell_u64(st, worker->memory);
        status_cell_u64(st, worker->memory_used);
        status_cell_u64(st, worker->failures);
        status_cell(st, worker->rack ? worker->rack : "");
        status_cell_u64(st, jobtracker_now(jt) - worker->last_beat_ms);
    }
}

void jobtracker_status(void *state, struct status *st)
{
    const struct jobtracker *jt = state;
    uint64_t active = 0, shown = 0;
    list_each (&jt->core.active, it)
        active++;
    status_count(st, "jobs running", active, "#jobs");
    status_count(st, "workers live", jt->core.fleet.live, "#workers");
    status_count(st, "epoch", jt->epoch, "");
    status_count(st, "journal durable", joblog_durable(jt->log), "");
    if (jt->core.fleet.live == 0)
        status_note(st, "warn", "no worker is registered: jobs wait");
    status_table(st, "jobs", "Jobs", "job|name|user|state|tasks done|input:bytes|elapsed:ms|note");
    for (struct list *it = jt->core.all.prev; it != &jt->core.all && shown < JOBS_SHOWN;
         it = it->prev, shown++)
        show_job(jt, list_entry(it, struct jt_job, all), st);
    show_workers(jt, st);
}
