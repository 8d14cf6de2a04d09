/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/jobtracker.h"

#include "jobtracker/reasons.h"
#include "jobtracker/record.h"
#include "jobtracker/serve/clients.h"
#include "jobtracker/serve/orders.h"
#include "jobtracker/talk/namenode.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/metric.h"

/* Finished jobs that are answered from memory; older ones from the history. */
#define OVER_MAX 100

METRIC_COUNTER(jobs_succeeded, "quern_jt_jobs_total{end=\"succeeded\"}", "jobs ended, by how");
METRIC_COUNTER(jobs_failed, "quern_jt_jobs_total{end=\"failed\"}", "jobs ended, by how");
METRIC_COUNTER(jobs_killed, "quern_jt_jobs_total{end=\"killed\"}", "jobs ended, by how");

uint64_t jobtracker_now(const struct jobtracker *jt)
{
    return loop_now_ms(jt->loop);
}

struct task_attempt jobtracker_attempt_id(const struct jobtracker *jt,
                                          const struct jt_attempt *attempt)
{
    const struct jt_task *task = attempt->task;
    return (struct task_attempt){jt->cluster_ms, task->stage->job->number, task->stage->index,
                                 task->index, attempt->number};
}

struct attempt_id jobtracker_core_id(const struct task_attempt *id)
{
    return (struct attempt_id){{id->cluster_ms, id->job}, id->stage, id->task, id->attempt};
}

uint64_t jobtracker_journal(struct jobtracker *jt, enum joblog_type type, const void *record)
{
    struct err err = {0};
    uint64_t index = joblog_append(jt->log, type, record, &err);
    if (index == 0)
        daemon_exit(jt->daemon, 1, "%s", err.msg);
    else
        jt->last_index = index;
    return index;
}

/* What is published must be in the journal: a next life that had forgotten a winner would run that
 * task again and publish something else. */
void jobtracker_publish_ready(struct jobtracker *jt)
{
    uint64_t durable = joblog_durable(jt->log);
    list_each_safe (&jt->core.active, it) {
        struct jt_job *job = list_entry(it, struct jt_job, active);
        struct record *record = record_of(job);
        if (record->publish_index == 0 || record->publish_index > durable)
            continue;
        record->publish_index = 0;
        namenode_publish(jt, job);
    }
}

static void write_done(struct jobtracker *jt, const struct jt_attempt *attempt)
{
    struct joblog_done record = {
        .id = jobtracker_attempt_id(jt, attempt),
        .worker = slice_str(attempt->worker->name),
        .result = attempt->task->result,
    };
    jobtracker_journal(jt, JOBLOG_DONE, &record);
}

static void write_lost(struct jobtracker *jt, const struct jt_attempt *attempt)
{
    struct joblog_lost record = {jobtracker_attempt_id(jt, attempt)};
    log_info("jt.jobs",
             "the output of task %u (attempt %u) of job %llu on %s is lost: it runs again",
             attempt->task->index, attempt->number, (unsigned long long)record.id.job,
             attempt->worker->name);
    jobtracker_journal(jt, JOBLOG_LOST, &record);
}

/* --- the end of a job: history first, then END, then people are told ------------------------- */

struct ending {
    struct work work;
    struct jobtracker *jt;
    struct job_id id;
    struct buf json, status, logs, places;
    int rc;
    struct err err;
};

static void ending_free(struct ending *e)
{
    buf_release(&e->json);
    buf_release(&e->status);
    buf_release(&e->logs);
    buf_release(&e->places);
    mem_free(e);
}

static void ending_run(struct work *work)
{
    struct ending *e = CONTAINER_OF(work, struct ending, work);
    struct history *history = &e->jt->history;
    e->rc = history_write(history, e->id, ".json", buf_slice(&e->json), &e->err);
    if (e->rc == 0 && e->logs.len)
        e->rc = history_write(history, e->id, ".log", buf_slice(&e->logs), &e->err);
    if (e->rc == 0)
        e->rc = history_write(history, e->id, ".places", buf_slice(&e->places), &e->err);
    if (e->rc == 0)
        e->rc = history_write(history, e->id, ".status", buf_slice(&e->status), &e->err);
}

static void forget_oldest(struct jobtracker *jt)
{
    while (jt->over_count > OVER_MAX) {
        struct record *record = list_first(&jt->over, struct record, over);
        if (!list_is_empty(&record->watchers))
            return;
        struct jt_job *job = record->job;
        list_remove(&record->over);
        jt->over_count--;
        record_free(record);
        jt_core_forget(&jt->core, job);
    }
}

/* Records below every unfinished job's SUBMIT are not needed any more. */
static void drop_old_records(struct jobtracker *jt)
{
    uint64_t keep = jt->epoch_index;
    list_each (&jt->core.all, it) {
        const struct record *record = record_of(list_entry(it, struct jt_job, all));
        if (!record->end_index && record->submit_index < keep)
            keep = record->submit_index;
    }
    joblog_drop_below(jt->log, keep);
}

static void ending_done(struct work *work)
{
    struct ending *e = CONTAINER_OF(work, struct ending, work);
    struct jobtracker *jt = e->jt;
    struct jt_job *job = jt_core_job(&jt->core, e->id.number);
    struct record *record = record_of(job);
    if (e->rc != 0)
        log_error("jt.history", "%s", e->err.msg); /* the job's end still counts */
    struct joblog_end end = {job->number, job->state, slice_str(job->why ? job->why : ""),
                             record->ended_wall_ms};
    if (!jt->is_stopping) {
        record->end_index = jobtracker_journal(jt, JOBLOG_END, &end);
        list_push_back(&jt->over, &record->over);
        jt->over_count++;
        drop_old_records(jt);
        forget_oldest(jt);
    }
    ending_free(e);
}

static void end_job(struct jobtracker *jt, struct jt_job *job)
{
    struct record *record = record_of(job);
    struct arena arena = ARENA_INIT;
    struct cl2jt_status status;
    struct ending *e = mem_calloc(1, sizeof(*e));
    if (!e) {
        daemon_exit(jt->daemon, 1, "out of memory");
        return;
    }
    record->ended_wall_ms = clock_wall_ms();
    metric_add(job->state == JT_JOB_SUCCEEDED ? &jobs_succeeded
               : job->state == JT_JOB_KILLED  ? &jobs_killed
                                              : &jobs_failed,
               1);
    record_finish(record);
    reasons_find(jt, record);
    log_info("jt.jobs", "job %llu %s%s%s", (unsigned long long)job->number,
             sm_name(&jt_job_states, job->state), job->why ? ": " : "", job->why ? job->why : "");
    e->jt = jt;
    e->id = (struct job_id){jt->cluster_ms, job->number};
    int rc = record_history(jt, record, &e->json);
    if (rc == 0)
        rc = record_status(jt, record, &arena, &status);
    if (rc == 0)
        msg_encode(&cl2jt_status_desc, &status, &e->status);
    record_places(record, &e->places);
    buf_append_slice(&e->logs, buf_slice(&record->last_words));
    arena_release(&arena);
    if (rc == 0 && !buf_failed(&e->status) && !buf_failed(&e->places)) {
        workq_submit(jt->workq, &e->work, ending_run, ending_done);
        return;
    }
    /* Nobody has been told: the next process ends it again, and can write down how it was. */
    ending_free(e);
    daemon_exit(jt->daemon, 1, "out of memory");
}

/* --- effects --------------------------------------------------------------------------------- */

static void carry_out(struct jobtracker *jt, const struct jt_effect *effect)
{
    switch (effect->kind) {
    case JT_WRITE_DONE:
        write_done(jt, effect->attempt);
        break;
    case JT_WRITE_LOST:
        write_lost(jt, effect->attempt);
        break;
    case JT_WRITE_END:
        end_job(jt, effect->job);
        break;
    case JT_PUBLISH:
        record_of(effect->job)->publish_index = jt->last_index;
        break;
    case JT_CLEAN_UP:
        namenode_clean_up(jt, effect->job);
        break;
    default:
        orders_send(jt, effect);
    }
}

void jobtracker_carry_out(struct jobtracker *jt)
{
    if (jt->is_replaying || jt->is_stopping)
        return;
    if (jt->core.out_of_memory) { /* something may be missing among them: nothing leaves */
        jt_effects_clear(&jt->core);
        daemon_exit(jt->daemon, 1, "out of memory");
        return;
    }
    for (size_t i = 0; i < jt->core.effect_count; i++) {
        struct jt_effect effect = jt->core.effects[i]; /* the array may move meanwhile */
        carry_out(jt, &effect);
    }
    jt_effects_clear(&jt->core);
    jobtracker_publish_ready(jt);
    if (jt->core.out_of_memory)
        daemon_exit(jt->daemon, 1, "out of memory");
}
