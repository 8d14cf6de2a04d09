/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/endings.h"

#include "jobtracker/account.h"
#include "jobtracker/reasons.h"
#include "jobtracker/record.h"
#include "jobtracker/serve/watchers.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"
#include "libcommon/base/log.h"
#include "libcommon/base/metric.h"

/* Finished jobs that are answered from memory; older ones from the history. */
#define OVER_MAX 100
/* How long the history waits for company: its fsyncs are not to stand in the way of the next job's.
 */
#define TOGETHER_MS 200
#define TOGETHER    64 /* endings at most: each has some files open */

METRIC_COUNTER(jobs_succeeded, "quern_jt_jobs_total{end=\"succeeded\"}", "jobs ended, by how");
METRIC_COUNTER(jobs_failed, "quern_jt_jobs_total{end=\"failed\"}", "jobs ended, by how");
METRIC_COUNTER(jobs_killed, "quern_jt_jobs_total{end=\"killed\"}", "jobs ended, by how");

#define ENDING_FILES 5 /* beside .status */

struct ending {
    struct list link; /* of jt->endings, or of a batch */
    struct job_id id;
    uint64_t index; /* of its END */
    struct buf json, status, logs, places, attempts;
    struct buf submit; /* of a job that did not succeed: for a replay */
    uint64_t wall_ms, keep_ms;
    struct outfile files[ENDING_FILES]; /* begun, not committed yet */
    size_t file_count;
    bool has_failed; /* something of it could not be written */
};

/* Endings whose history is being written. */
struct batch {
    struct work work;
    struct jobtracker *jt;
    struct list endings;
};

static void ending_free(struct ending *e)
{
    list_remove(&e->link);
    buf_release(&e->json);
    buf_release(&e->status);
    buf_release(&e->logs);
    buf_release(&e->places);
    buf_release(&e->attempts);
    buf_release(&e->submit);
    mem_free(e);
}

/* --- writing it down ------------------------------------------------------------------------- */

/* What a replay will want must not leave, being old, before the history that tells of the job. (It
 * may by half that time: then it need not be written anew for each failure.) */
static void keep_blobs(struct blobs *blobs, const struct ending *e)
{
    struct arena arena = ARENA_INIT;
    struct cl2jt_replay spec;
    struct err err = {0};
    int rc = msg_decode(&cl2jt_replay_desc, buf_slice(&e->submit), &arena, &spec, &err);
    if (rc == 0)
        rc = blobs_renew(blobs, spec.job.plugin_digest, e->wall_ms, e->keep_ms / 2, &err);
    if (rc == 0 && spec.job.splits_digest.len)
        rc = blobs_renew(blobs, spec.job.splits_digest, e->wall_ms, e->keep_ms / 2, &err);
    for (size_t i = 0; rc == 0 && i < spec.job.sides.n; i++)
        rc = blobs_renew(blobs, spec.job.sides.v[i].digest, e->wall_ms, e->keep_ms / 2, &err);
    if (rc != 0)
        log_warn("jt.history", "a job that failed may not be replayed for long: %s", err_text(rc));
    arena_release(&arena);
}

/* The job's end counts all the same. */
static void has_failed(struct ending *e, const struct err *err)
{
    e->has_failed = true;
    log_error("jt.history", "%s", err->msg);
}

static void begin_file(struct history *history, struct ending *e, const char *suffix,
                       const struct buf *data)
{
    struct err err = {0};
    if (e->has_failed)
        return;
    if (history_begin(history, e->id, suffix, buf_slice(data), &e->files[e->file_count], &err) == 0)
        e->file_count++;
    else
        has_failed(e, &err);
}

static void begin_all_but_status(struct history *history, struct ending *e)
{
    begin_file(history, e, ".json", &e->json);
    if (e->submit.len)
        begin_file(history, e, ".submit", &e->submit);
    if (e->logs.len)
        begin_file(history, e, ".log", &e->logs);
    begin_file(history, e, ".places", &e->places);
    begin_file(history, e, ".attempts", &e->attempts);
}

static void commit_files(struct ending *e)
{
    struct err err = {0};
    for (size_t i = 0; i < e->file_count; i++) {
        if (e->has_failed)
            outfile_abort(&e->files[i]);
        else if (outfile_commit_unnamed(&e->files[i], &err) != 0)
            has_failed(e, &err);
    }
    e->file_count = 0;
}

static int commit_all(struct batch *batch)
{
    struct err err = {0};
    list_each (&batch->endings, it)
        commit_files(list_entry(it, struct ending, link));
    int rc = history_sync(&batch->jt->history, &err);
    if (rc != 0)
        log_error("jt.history", "%s", err.msg);
    return rc;
}

/* Two fsyncs of the directory for all of them: .status vouches for the others. */
static void batch_run(struct work *work)
{
    struct batch *batch = CONTAINER_OF(work, struct batch, work);
    struct history *history = &batch->jt->history;
    list_each (&batch->endings, it) {
        struct ending *e = list_entry(it, struct ending, link);
        if (e->submit.len)
            keep_blobs(&batch->jt->blobs, e);
        begin_all_but_status(history, e);
    }
    if (commit_all(batch) != 0)
        return;
    list_each (&batch->endings, it)
        begin_file(history, list_entry(it, struct ending, link), ".status",
                   &list_entry(it, struct ending, link)->status);
    (void)commit_all(batch);
}

void endings_forget(struct jobtracker *jt, uint64_t before_wall_ms)
{
    struct record *record;
    while ((record = list_first(&jt->over, struct record, over)) != NULL) {
        bool is_old = record->ended_wall_ms < before_wall_ms;
        if ((jt->over_count <= OVER_MAX && !is_old) || !list_is_empty(&record->watchers))
            return;
        struct jt_job *job = record->job;
        list_remove(&record->over);
        jt->over_count--;
        record_free(record);
        jt_core_forget(&jt->core, job);
    }
}

/* Records below the SUBMIT of every job that is not history are not needed any more. */
static void drop_old_records(struct jobtracker *jt)
{
    uint64_t keep = jt->epoch_index;
    const struct record *oldest = list_first(&jt->unwritten, struct record, unwritten);
    if (oldest && oldest->submit_index < keep)
        keep = oldest->submit_index;
    joblog_drop_below(jt->log, keep);
}

static void write_next(struct jobtracker *jt);

static void batch_done(struct work *work)
{
    struct batch *batch = CONTAINER_OF(work, struct batch, work);
    struct jobtracker *jt = batch->jt;
    list_each_safe (&batch->endings, it) {
        struct ending *e = list_entry(it, struct ending, link);
        struct record *record = record_of(jt_core_job(&jt->core, e->id.number));
        list_remove(&record->unwritten);
        list_push_back(&jt->over, &record->over);
        jt->over_count++;
        ending_free(e);
    }
    mem_free(batch);
    jt->writes_history = false;
    if (jt->is_stopping)
        return;
    drop_old_records(jt);
    endings_forget(jt, 0);
    write_next(jt);
}

static void write_batch(void *arg)
{
    struct jobtracker *jt = arg;
    uint64_t durable = joblog_durable(jt->log);
    struct batch *batch = mem_calloc(1, sizeof(*batch));
    if (!batch) {
        daemon_exit(jt->daemon, 1, "out of memory");
        return;
    }
    fault_hit("jt.history.write");
    batch->jt = jt;
    list_init(&batch->endings);
    size_t n = 0;
    list_each_safe (&jt->endings, it) {
        struct ending *e = list_entry(it, struct ending, link);
        if (e->index > durable || n++ == TOGETHER)
            break;
        list_remove(&e->link);
        list_push_back(&batch->endings, &e->link);
    }
    jt->writes_history = true;
    workq_submit(jt->workq, &batch->work, batch_run, batch_done);
}

static void write_next(struct jobtracker *jt)
{
    if (list_is_empty(&jt->endings) || jt->writes_history || jt->is_stopping ||
        loop_timer_is_running(&jt->write_history) ||
        list_first(&jt->endings, struct ending, link)->index > joblog_durable(jt->log))
        return;
    if (loop_after(jt->loop, &jt->write_history, TOGETHER_MS, write_batch, jt) != 0)
        daemon_exit(jt->daemon, 1, "out of memory");
}

void endings_durable(struct jobtracker *jt)
{
    write_next(jt);
}

void endings_stop(struct jobtracker *jt)
{
    loop_timer_stop(&jt->write_history);
    list_each_safe (&jt->endings, it) /* the next life finds their END, and no history */
        ending_free(list_entry(it, struct ending, link));
}

/* --- the end --------------------------------------------------------------------------------- */

static int describe_replay(const struct record *record, struct arena *arena, struct buf *out)
{
    struct cl2jt_replay replay;
    int rc = account_replay(record, arena, &replay);
    if (rc == 0)
        msg_encode(&cl2jt_replay_desc, &replay, out);
    return rc == 0 && buf_failed(out) ? ERR_NOMEM : rc;
}

static int describe(struct jobtracker *jt, struct record *record, struct ending *e)
{
    struct arena arena = ARENA_INIT;
    struct cl2jt_status status;
    record_finish(record);
    reasons_find(jt, record);
    int rc = record_history(jt, record, &e->json);
    if (rc == 0)
        rc = record_status(jt, record, &arena, &status);
    if (rc == 0)
        msg_encode(&cl2jt_status_desc, &status, &e->status);
    record_places(record, &e->places);
    struct cl2jt_attempts rows;
    if (rc == 0)
        rc = account_rows(record, 0, UINT64_MAX, &arena, &rows);
    if (rc == 0)
        msg_encode(&cl2jt_attempts_desc, &rows, &e->attempts);
    buf_append_slice(&e->logs, buf_slice(&record->last_words));
    if (rc == 0 && record->job->state != JT_JOB_SUCCEEDED)
        rc = describe_replay(record, &arena, &e->submit);
    e->wall_ms = clock_wall_ms();
    e->keep_ms = conf_ms(daemon_conf(jt->daemon), "mapreduce.jobhistory.max-age-ms");
    arena_release(&arena);
    return rc == 0 && !buf_failed(&e->status) && !buf_failed(&e->attempts) &&
                   !buf_failed(&e->places)
               ? 0
               : ERR_NOMEM;
}

/* NULL: memory is out, and the process ends. Nobody has been told: the next one ends the job again,
 * and can write down how it was. */
static struct ending *ending_new(struct jobtracker *jt, struct jt_job *job, uint64_t wall_ms)
{
    struct record *record = record_of(job);
    struct ending *e = mem_calloc(1, sizeof(*e));
    if (e) {
        list_init(&e->link);
        e->id = (struct job_id){jt->cluster_ms, job->number};
        record->ended_wall_ms = wall_ms;
    }
    if (!e || describe(jt, record, e) != 0) {
        if (e)
            ending_free(e);
        daemon_exit(jt->daemon, 1, "out of memory");
        return NULL;
    }
    list_push_back(&jt->endings, &e->link);
    return e;
}

void endings_begin(struct jobtracker *jt, struct jt_job *job)
{
    struct record *record = record_of(job);
    struct ending *e = ending_new(jt, job, clock_wall_ms());
    if (!e)
        return;
    metric_add(job->state == JT_JOB_SUCCEEDED ? &jobs_succeeded
               : job->state == JT_JOB_KILLED  ? &jobs_killed
                                              : &jobs_failed,
               1);
    log_info("jt.jobs", "job %llu %s%s%s", (unsigned long long)job->number,
             sm_name(&jt_job_states, job->state), job->why ? ": " : "", job->why ? job->why : "");
    struct joblog_end end = {job->number, job->state, slice_str(job->why ? job->why : ""),
                             record->ended_wall_ms};
    e->index = record->end_index = jobtracker_journal(jt, JOBLOG_END, &end);
    if (watchers_may_hear_end(jt, record))
        watchers_tell_end(jt, record);
    else
        list_push_back(&jt->ended, &record->ended);
}

void endings_resume(struct jobtracker *jt, struct jt_job *job, uint64_t end_index, uint64_t wall_ms)
{
    struct record *record = record_of(job);
    uint64_t ran_ms = wall_ms > record->spec.wall_ms ? wall_ms - record->spec.wall_ms : 0;
    job->ended_ms = job->submitted_ms + ran_ms;
    struct ending *e = ending_new(jt, job, wall_ms);
    if (e)
        e->index = record->end_index = end_index;
    write_next(jt);
}
