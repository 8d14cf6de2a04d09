/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/serve/clients.h"

#include "jobtracker/queueing.h"
#include "jobtracker/serve/logs.h"
#include "jobtracker/serve/past.h"
#include "jobtracker/serve/watchers.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"

#define LIST_MAX       1000

#define REDUCERS_MAX   100000U
#define PARTITIONS_MAX 400000U

/* --- finding a job --------------------------------------------------------------------------- */

static bool is_ours(const struct jobtracker *jt, const struct cl2jt_job *id)
{
    return id->cluster_ms == 0 || id->cluster_ms == jt->cluster_ms;
}

struct record *clients_find(const struct jobtracker *jt, const struct cl2jt_job *id)
{
    struct jt_job *job = is_ours(jt, id) ? jt_core_job(&jt->core, id->job) : NULL;
    return job ? record_of(job) : NULL;
}

void clients_no_such_job(struct rpc_call *call, const struct cl2jt_job *id)
{
    rpc_fail(call, ERR_NOENT, "no job %llu here (`quern job -list all` shows what is known)",
             (unsigned long long)id->job);
}

bool clients_may_change(const struct jobtracker *jt, const struct rpc_call *call,
                        struct slice owner)
{
    const char *user = rpc_call_user(call);
    return slice_is(owner, user) || strcmp(user, jt->self.user) == 0;
}

/* --- blobs ----------------------------------------------------------------------------------- */

struct finish {
    struct work work;
    struct jobtracker *jt;
    struct rpc_call *call;
    char digest[72];
    uint64_t total;
    int rc;
    struct err err;
};

static void finish_run(struct work *work)
{
    struct finish *f = CONTAINER_OF(work, struct finish, work);
    f->rc = blobs_finish(&f->jt->blobs, f->digest, &f->err);
}

static void finish_done(struct work *work)
{
    struct finish *f = CONTAINER_OF(work, struct finish, work);
    struct cl2jt_blob_state answer = {f->total};
    if (f->rc == 0)
        rpc_answer(f->call, &answer);
    else
        rpc_fail_err(f->call, &f->err);
    mem_free(f);
}

static void finish_blob(struct jobtracker *jt, struct rpc_call *call, const struct cl2jt_blob *ask)
{
    struct finish *f = mem_calloc(1, sizeof(*f));
    if (!f)
        return rpc_fail(call, ERR_NOMEM, "out of memory");
    f->jt = jt;
    f->call = call;
    f->total = ask->total;
    snprintf(f->digest, sizeof(f->digest), SLICE_FMT, SLICE_ARG(ask->digest));
    workq_submit(jt->workq, &f->work, finish_run, finish_done);
}

static void on_blob(struct rpc_call *call, const void *msg, void *arg)
{
    struct jobtracker *jt = arg;
    const struct cl2jt_blob *ask = msg;
    struct err err = {0};
    bool whole;
    struct cl2jt_blob_state answer = {blobs_have(&jt->blobs, ask->digest, &whole)};
    if (!blob_is_digest(ask->digest) || ask->total > BLOB_MAX_BYTES)
        return rpc_fail(call, ERR_INVAL, "a blob is named by its SHA-256 and has at most 1 GiB");
    if (!whole && ask->total && answer.have >= ask->total)
        return finish_blob(jt, call, ask); /* it is being verified for somebody else, too */
    if (whole || ask->bytes.len == 0)
        return rpc_answer(call, &answer);
    if (blobs_put(&jt->blobs, ask->digest, ask->offset, ask->bytes, &err) != 0)
        return rpc_fail_err(call, &err);
    answer.have += ask->bytes.len;
    if (answer.have >= ask->total)
        finish_blob(jt, call, ask);
    else
        rpc_answer(call, &answer);
}

/* --- submit ---------------------------------------------------------------------------------- */

/* A submission on its way to the disk. */
struct submit_wait {
    struct list link;
    struct rpc_call *call;
    struct record *record;
    uint64_t index;
};

/* A change on its way to the disk: answered when it is there. */
struct change_wait {
    struct list link;
    struct rpc_call *call;
    uint64_t index;
};

static int check_side(struct jobtracker *jt, const struct task_side *side, struct err *err)
{
    bool whole;
    uint64_t size = blobs_have(&jt->blobs, side->digest, &whole);
    if (side->name.len == 0 || side->name.len > 255 || memchr(side->name.data, '/', side->name.len))
        return err_set(err, ERR_INVAL, "a side file needs a name without a slash");
    if (side->size > 0 && (!whole || size != side->size)) /* of nothing there is nothing to bring */
        return err_set(err, ERR_NOENT, "the side file " SLICE_FMT " was not brought",
                       SLICE_ARG(side->name));
    return 0;
}

static int check_shuffles(const struct cl2jt_submit *ask, struct err *err)
{
    if (ask->shuffles.n > JT_SHUFFLES_MAX)
        return err_set(err, ERR_INVAL, "at most %d reduce stages", JT_SHUFFLES_MAX);
    for (size_t i = 0; i < ask->shuffles.n; i++) {
        const struct cl2jt_shuffle *s = &ask->shuffles.v[i];
        bool is_packed = s->packing != CL2JT_PACK_EACH;
        if (s->packing > CL2JT_PACK_IN_ORDER || s->partitions == 0 ||
            s->partitions > PARTITIONS_MAX || s->reduces > REDUCERS_MAX ||
            (is_packed && s->reduces > s->partitions) ||
            (is_packed && s->reduces == 0 && s->reduce_bytes == 0))
            return err_set(err, ERR_INVAL, "reduce stage %zu: %u partitions for %u reducers", i + 1,
                           s->partitions, s->reduces);
    }
    return 0;
}

/* It is shown on terminals of others, too. */
static bool is_one_line(struct slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] < ' ' || name.data[i] == 0x7f)
            return false;
    return true;
}

static int check_submit(struct jobtracker *jt, const struct cl2jt_submit *ask, struct err *err)
{
    bool whole;
    blobs_have(&jt->blobs, ask->plugin_digest, &whole);
    if (!whole)
        return err_set(err, ERR_NOENT, "the plugin of job " SLICE_FMT " was not brought",
                       SLICE_ARG(ask->name));
    if (!is_one_line(ask->name))
        return err_set(err, ERR_INVAL,
                       "a job's name is one line of text without control characters");
    if (ask->out.len == 0 || ask->out.data[0] != '/')
        return err_set(err, ERR_INVAL, "a job needs an absolute output path");
    if (ask->partitions > REDUCERS_MAX)
        return err_set(err, ERR_INVAL, "at most %u reducers", REDUCERS_MAX);
    if (ask->priority > CL2JT_VERY_HIGH)
        return err_set(err, ERR_INVAL, "no such priority");
    if (ask->sides.n > SIDES_MAX)
        return err_set(err, ERR_INVAL, "at most %u side files", SIDES_MAX);
    int rc = check_shuffles(ask, err);
    if (rc == 0)
        rc = queueing_check(&jt->core.queues, record_queue(ask), err);
    if (rc == 0)
        rc = record_check_demand(jt, ask, err);
    for (size_t i = 0; rc == 0 && i < ask->sides.n; i++)
        rc = check_side(jt, &ask->sides.v[i], err);
    return rc;
}

/* It begins while its SUBMIT is on the way to the disk. Nothing of it lasts if that does not: the
 * client has no answer, workers drop what the next life does not know, and nothing is published
 * before all that the journal was given is durable. */
static int begin(struct jobtracker *jt, struct submit_wait *wait, struct err *err)
{
    struct record *record = wait->record;
    wait->index = record->submit_index = jobtracker_journal(jt, JOBLOG_SUBMIT, &record->spec);
    if (record_begin(jt, record, err) != 0)
        return err->code;
    list_push_back(&jt->submits, &wait->link);
    log_info("jt.jobs", "job %llu \"" SLICE_FMT "\" of " SLICE_FMT ": %zu splits, %u reducers",
             (unsigned long long)record->spec.number, SLICE_ARG(record->spec.job.name),
             SLICE_ARG(record->spec.user), record->splits.splits.n, record->spec.job.partitions);
    jobtracker_carry_out(jt);
    return 0;
}

static void on_submit(struct rpc_call *call, const void *msg, void *arg)
{
    struct jobtracker *jt = arg;
    const struct cl2jt_submit *ask = msg;
    struct err err = {0};
    struct record *known = record_of_origin(jt, &ask->origin);
    struct cl2jt_job answer = {jt->cluster_ms, known ? known->spec.number : 0};
    if (known && known->submit_index > joblog_durable(jt->log))
        return rpc_fail(call, ERR_RETRY, "being written");
    if (known)
        return rpc_answer(call, &answer);
    if (check_submit(jt, ask, &err) != 0)
        return rpc_fail_err(call, &err);
    struct joblog_submit spec = {jt->core.next_job, slice_str(rpc_call_user(call)), clock_wall_ms(),
                                 *ask};
    struct buf bytes = BUF_INIT;
    msg_encode(&joblog_submit_desc, &spec, &bytes);
    struct submit_wait *wait = mem_calloc(1, sizeof(*wait));
    struct record *record = buf_failed(&bytes) || !wait ? NULL : record_new(jt, &bytes, &err);
    if (!record) {
        mem_free(wait);
        buf_release(&bytes);
        return err.code ? rpc_fail_err(call, &err) : rpc_fail(call, ERR_NOMEM, "out of memory");
    }
    *wait = (struct submit_wait){.call = call, .record = record};
    if (begin(jt, wait, &err) != 0) {
        rpc_fail_err(call, &err);
        daemon_exit(jt->daemon, 1, "%s", err.msg);
        record_free(record);
        mem_free(wait);
    }
}

static void answer_submit(struct jobtracker *jt, struct submit_wait *wait)
{
    struct cl2jt_job answer = {jt->cluster_ms, wait->record->spec.number};
    rpc_answer(wait->call, &answer);
    list_remove(&wait->link);
    mem_free(wait);
}

static void answer_changes(struct jobtracker *jt, uint64_t durable)
{
    list_each_safe (&jt->changes, it) {
        struct change_wait *wait = list_entry(it, struct change_wait, link);
        if (wait->index > durable)
            break;
        rpc_answer(wait->call, NULL);
        list_remove(&wait->link);
        mem_free(wait);
    }
}

void clients_durable(struct jobtracker *jt, uint64_t durable)
{
    answer_changes(jt, durable);
    list_each_safe (&jt->submits, it) {
        struct submit_wait *wait = list_entry(it, struct submit_wait, link);
        if (wait->index > durable)
            break;
        answer_submit(jt, wait);
    }
    jobtracker_carry_out(jt); /* publishes, too, what waited for this */
    watchers_tell_ended(jt, durable);
}

/* --- status ---------------------------------------------------------------------------------- */

/* The end of a job is not told before it is durable: it looks as if it were still committing. */
void clients_answer_status(const struct jobtracker *jt, const struct record *record,
                           struct rpc_call *call)
{
    struct cl2jt_status status;
    if (record_status(jt, record, rpc_call_arena(call), &status) != 0)
        return rpc_fail(call, ERR_NOMEM, "out of memory");
    if (jt_job_is_over(record->job) && !watchers_may_hear_end(jt, record))
        status.state = CL2JT_COMMITTING;
    rpc_answer(call, &status);
}

/* A job of an earlier time: its status as it was written down. */
static void answer_from_history(struct jobtracker *jt, struct rpc_call *call,
                                const struct cl2jt_job *id)
{
    struct job_id job = {id->cluster_ms ? id->cluster_ms : jt->cluster_ms, id->job};
    struct buf bytes = BUF_INIT;
    struct cl2jt_status status;
    int rc = history_read(&jt->history, job, ".status", &bytes, NULL);
    if (rc == 0)
        rc = msg_decode(&cl2jt_status_desc, buf_slice(&bytes), rpc_call_arena(call), &status, NULL);
    if (rc == 0)
        rpc_answer(call, &status);
    else if (rc == ERR_NOMEM)
        rpc_fail(call, rc, "out of memory");
    else
        clients_no_such_job(call, id);
    buf_release(&bytes);
}

static void on_status(struct rpc_call *call, const void *msg, void *arg)
{
    struct record *record = clients_find(arg, msg);
    if (record)
        clients_answer_status(arg, record, call);
    else
        answer_from_history(arg, call, msg);
}

static void on_watch(struct rpc_call *call, const void *msg, void *arg)
{
    struct jobtracker *jt = arg;
    const struct cl2jt_watch *ask = msg;
    struct record *record = clients_find(jt, &ask->id);
    if (!record)
        return answer_from_history(jt, call, &ask->id);
    if (watchers_add(jt, record, call, ask) != 0)
        rpc_fail(call, ERR_NOMEM, "out of memory");
}

/* Newest first; finished ones that are no longer in memory come from the history. */
static void on_list(struct rpc_call *call, const void *msg, void *arg)
{
    struct jobtracker *jt = arg;
    const struct cl2jt_list *ask = msg;
    struct arena *arena = rpc_call_arena(call);
    size_t limit = ask->limit && ask->limit < LIST_MAX ? (size_t)ask->limit : LIST_MAX, n = 0;
    struct cl2jt_status *jobs = arena_calloc(arena, limit + 1, sizeof(*jobs));
    if (!jobs)
        return rpc_fail(call, ERR_NOMEM, "out of memory");
    for (struct list *it = jt->core.all.prev; it != &jt->core.all && n < limit; it = it->prev) {
        struct jt_job *job = list_entry(it, struct jt_job, all);
        if ((ask->all || !jt_job_is_over(job)) &&
            record_status(jt, record_of(job), arena, &jobs[n++]) != 0)
            return rpc_fail(call, ERR_NOMEM, "out of memory");
    }
    if (ask->all)
        n += past_list(jt, arena, jobs + n, limit - n);
    struct cl2jt_jobs answer = {{jobs, n}};
    rpc_answer(call, &answer);
}

/* --- changes --------------------------------------------------------------------------------- */

/* NULL: there is no such job, or it is somebody else's, and the call has its answer. */
static struct record *find_to_change(struct jobtracker *jt, struct rpc_call *call,
                                     const struct cl2jt_job *id)
{
    struct record *record = clients_find(jt, id);
    if (record && clients_may_change(jt, call, record->spec.user))
        return record;
    if (record)
        rpc_fail(call, ERR_ACCESS, "job %llu belongs to " SLICE_FMT, (unsigned long long)id->job,
                 SLICE_ARG(record->spec.user));
    else
        clients_no_such_job(call, id);
    return NULL;
}

static void on_kill(struct rpc_call *call, const void *msg, void *arg)
{
    struct jobtracker *jt = arg;
    const struct cl2jt_kill *ask = msg;
    struct record *record = find_to_change(jt, call, &ask->id);
    if (!record)
        return;
    if (jt_job_is_over(record->job))
        return rpc_fail(call, ERR_EXIST, "job %llu is over already",
                        (unsigned long long)ask->id.job);
    char why[256];
    snprintf(why, sizeof(why), "killed by %s%s" SLICE_FMT, rpc_call_user(call),
             ask->why.len ? ": " : "", SLICE_ARG(ask->why));
    jt_on_kill(&jt->core, record->job, why, jobtracker_now(jt));
    if (!jt_job_is_over(record->job))
        return rpc_fail(call, ERR_BUSY, "job %llu is being published: it is too late to kill it",
                        (unsigned long long)ask->id.job);
    if (watchers_add_kill(jt, record, call) != 0)
        rpc_fail(call, ERR_NOMEM, "out of memory");
    jobtracker_carry_out(jt);
}

/* In its job's account and logs, as if its worker had told. */
static void note_stopped(struct jobtracker *jt, struct record *record, struct jt_attempt *attempt,
                         const char *why)
{
    const struct task_failed failed = {.id = jobtracker_attempt_id(jt, attempt),
                                       .failure = TASK_FAILED_KILLED,
                                       .why = slice_str(why)};
    record_note_failure(record, &failed, attempt->worker->name);
}

static void on_stop(struct rpc_call *call, const void *msg, void *arg)
{
    struct jobtracker *jt = arg;
    const struct cl2jt_stop *ask = msg;
    struct record *record = find_to_change(jt, call, &ask->id);
    if (!record)
        return;
    struct jt_attempt *attempt = logs_find_attempt(record->job, ask->attempt);
    if (!attempt)
        return rpc_fail(call, ERR_NOENT, "job %llu has no attempt " SLICE_FMT,
                        (unsigned long long)ask->id.job, SLICE_ARG(ask->attempt));
    if (attempt->state != JT_ATTEMPT_RUNNING)
        return rpc_fail(call, ERR_EXIST, SLICE_FMT " does not run: it is %s",
                        SLICE_ARG(ask->attempt), sm_name(&jt_attempt_states, attempt->state));
    char why[256];
    snprintf(why, sizeof(why), "%s by %s", ask->fails ? "failed" : "killed", rpc_call_user(call));
    if (ask->fails)
        note_stopped(jt, record, attempt, why);
    (void)jt_on_stop(&jt->core, attempt, ask->fails, why, jobtracker_now(jt));
    rpc_answer(call, NULL);
    jobtracker_carry_out(jt);
}

static void on_priority(struct rpc_call *call, const void *msg, void *arg)
{
    struct jobtracker *jt = arg;
    const struct cl2jt_set_priority *ask = msg;
    struct record *record = find_to_change(jt, call, &ask->id);
    if (!record)
        return;
    if (ask->priority > CL2JT_VERY_HIGH)
        return rpc_fail(call, ERR_INVAL, "no such priority");
    if (jt_job_is_over(record->job))
        return rpc_fail(call, ERR_EXIST, "job %llu is over already",
                        (unsigned long long)ask->id.job);
    struct change_wait *wait = mem_calloc(1, sizeof(*wait));
    if (!wait)
        return rpc_fail(call, ERR_NOMEM, "out of memory");
    struct joblog_priority entry = {record->spec.number, ask->priority};
    wait->call = call;
    wait->index = jobtracker_journal(jt, JOBLOG_PRIORITY, &entry);
    list_push_back(&jt->changes, &wait->link);
    jt_on_priority(&jt->core, record->job, ask->priority, jobtracker_now(jt));
    jobtracker_carry_out(jt);
}

static void fill_worker(const struct jt_worker *worker, uint64_t now_ms, struct cl2jt_worker *ret)
{
    *ret = (struct cl2jt_worker){
        .name = slice_str(worker->name),
        .host = slice_str(worker->host ? worker->host : ""),
        .http_port = worker->http_port,
        .state = slice_str(jt_worker_state(worker)),
        .cores = worker->cores,
        .cores_used = worker->cores_used,
        .memory = worker->memory,
        .memory_used = worker->memory_used,
        .failures = worker->failures,
        .last_beat_ms = now_ms - worker->last_beat_ms,
        .rack = slice_str(worker->rack ? worker->rack : ""),
        .excluded_ms = jt_worker_excluded_ms(worker, now_ms),
    };
}

static void on_cluster(struct rpc_call *call, const void *msg, void *arg)
{
    struct jobtracker *jt = arg;
    size_t n = 0;
    (void)msg;
    list_each (&jt->core.fleet.all, it)
        n++;
    struct cl2jt_worker *workers = arena_calloc(rpc_call_arena(call), n + 1, sizeof(*workers));
    if (!workers)
        return rpc_fail(call, ERR_NOMEM, "out of memory");
    struct cl2jt_cluster answer = {
        .cluster_id = slice_str(jt->self.cluster ? jt->self.cluster : ""),
        .cluster_ms = jt->cluster_ms,
        .epoch = jt->epoch,
        .workers = {workers, 0},
    };
    list_each (&jt->core.fleet.all, it)
        fill_worker(list_entry(it, struct jt_worker, all), jobtracker_now(jt),
                    &workers[answer.workers.n++]);
    list_each (&jt->core.active, it) {
        bool waits = list_entry(it, struct jt_job, active)->state == JT_JOB_WAITING;
        answer.waiting += waits;
        answer.running += !waits;
    }
    rpc_answer(call, &answer);
}

static void on_queues(struct rpc_call *call, const void *msg, void *arg)
{
    struct cl2jt_queues answer;
    (void)msg;
    if (queueing_describe(arg, rpc_call_arena(call), &answer) != 0)
        return rpc_fail(call, ERR_NOMEM, "out of memory");
    rpc_answer(call, &answer);
}

static void on_logs(struct rpc_call *call, const void *msg, void *arg)
{
    const struct cl2jt_logs *ask = msg;
    logs_answer(arg, call, ask, clients_find(arg, &ask->id));
}

rpc_handler *const clients_handlers[CL2JT_METHOD_COUNT] = {
    [CL2JT_AT_BLOB] = on_blob,
    [CL2JT_AT_SUBMIT] = on_submit,
    [CL2JT_AT_STATUS] = on_status,
    [CL2JT_AT_WATCH] = on_watch,
    [CL2JT_AT_LIST] = on_list,
    [CL2JT_AT_KILL] = on_kill,
    [CL2JT_AT_HISTORY] = past_on_history,
    [CL2JT_AT_SET_PRIORITY] = on_priority,
    [CL2JT_AT_LOGS] = on_logs,
    [CL2JT_AT_CLUSTER] = on_cluster,
    [CL2JT_AT_ATTEMPTS] = past_on_attempts,
    [CL2JT_AT_REPLAY] = past_on_replay,
    [CL2JT_AT_FETCH] = past_on_fetch,
    [CL2JT_AT_QUEUES] = on_queues,
    [CL2JT_AT_STOP] = on_stop,
};

void clients_release(struct jobtracker *jt)
{
    list_each_safe (&jt->submits, it) {
        struct submit_wait *wait = list_entry(it, struct submit_wait, link);
        rpc_fail(wait->call, ERR_CLOSED, "the jobtracker is stopping");
        mem_free(wait);
    }
    list_init(&jt->submits);
    list_each_safe (&jt->changes, it) {
        struct change_wait *wait = list_entry(it, struct change_wait, link);
        rpc_fail(wait->call, ERR_CLOSED, "the jobtracker is stopping");
        mem_free(wait);
    }
    list_init(&jt->changes);
    watchers_release(jt);
}
