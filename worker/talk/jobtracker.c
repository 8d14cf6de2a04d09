/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/talk/jobtracker.h"

#include "libcommon/base/ids.h"
#include "libcommon/base/log.h"
#include "libcommon/daemon/address.h"
#include "worker/serve/outputs.h"
#include "worker/task/attempt.h"

#define BEAT_TIMEOUT_MS 10000
#define LOG_PIECE_MAX   (4U << 20)

/* --- orders ---------------------------------------------------------------------------------- */

/* An order of a jobtracker that has been replaced meanwhile is not obeyed. */
static bool is_stale(struct worker *worker, struct rpc_call *call, uint64_t epoch)
{
    if (epoch >= worker->epoch) {
        worker->epoch = epoch;
        return false;
    }
    rpc_fail(call, ERR_STALE, "epoch %llu is over: this worker obeys epoch %llu",
             (unsigned long long)epoch, (unsigned long long)worker->epoch);
    return true;
}

static void on_job(struct rpc_call *call, const void *msg, void *arg)
{
    struct worker *worker = arg;
    const struct jt2wk_job *ask = msg;
    struct err err = {0};
    if (is_stale(worker, call, ask->epoch))
        return;
    if (jobs_add(worker, ask, &err) == 0)
        rpc_answer(call, NULL);
    else
        rpc_fail_err(call, &err);
}

/* The task there, and those behind it. */
static size_t row_length(const struct jt2wk_task_list *tasks, size_t at)
{
    size_t n = 1;
    while (at + n < tasks->n && tasks->v[at + n].is_behind)
        n++;
    return n;
}

static void on_run(struct rpc_call *call, const void *msg, void *arg)
{
    struct worker *worker = arg;
    const struct jt2wk_run *ask = msg;
    struct err err = {0};
    int rc = 0;
    if (is_stale(worker, call, ask->epoch))
        return;
    for (size_t i = 0, n; rc == 0 && i < ask->tasks.n; i += n) {
        const struct jt2wk_task *task = &ask->tasks.v[i];
        struct wk_job *job = jobs_find(worker, task->id.cluster_ms, task->id.job);
        n = row_length(&ask->tasks, i);
        rc = job ? attempts_begin(job, task, n, &err)
                 : err_set(&err, ERR_NOENT, "job %llu was not described to this worker",
                           (unsigned long long)task->id.job);
    }
    if (rc == 0)
        rpc_answer(call, NULL);
    else
        rpc_fail_err(call, &err);
}

static void on_kill(struct rpc_call *call, const void *msg, void *arg)
{
    struct worker *worker = arg;
    const struct jt2wk_kill *ask = msg;
    if (is_stale(worker, call, ask->epoch))
        return;
    struct wk_attempt *attempt = attempt_find(worker, &ask->id);
    struct segment *segment = segments_find(&worker->segments, &ask->id);
    if (attempt) {
        log_info("wk.task", "%s killed: " SLICE_FMT, attempt->name, SLICE_ARG(ask->why));
        attempt_kill(attempt);
    } else if (segment) {
        segments_drop(&worker->segments, segment);
    }
    rpc_answer(call, NULL);
}

static void on_outputs(struct rpc_call *call, const void *msg, void *arg)
{
    struct worker *worker = arg;
    const struct jt2wk_outputs *ask = msg;
    if (is_stale(worker, call, ask->epoch))
        return;
    struct wk_job *job = jobs_find(worker, ask->cluster_ms, ask->job);
    if (!job)
        return rpc_fail(call, ERR_NOENT, "job %llu was not described to this worker",
                        (unsigned long long)ask->job);
    if (jobs_add_sources(job, ask) != 0 || attempts_tell_outputs(job, &ask->sources) != 0)
        return rpc_fail(call, ERR_NOMEM, "out of memory");
    outputs_complete(worker, job);
    rpc_answer(call, NULL);
}

static void end_job(struct worker *worker, struct wk_job *job)
{
    char name[ID_TEXT_MAX];
    uint64_t cluster_ms = job->spec.cluster_ms, number = job->spec.job;
    jobs_dir_name(job, name, sizeof(name));
    attempts_end_job(job);
    process_end_job(worker, cluster_ms, number);
    outputs_end_job(worker, cluster_ms, number);
    segments_end_job(&worker->segments, &(struct segments_owner){cluster_ms, number, job->user.uid,
                                                                 worker_now(worker)});
    jobs_remove(job);
    sandbox_remove_job(worker, name);
}

static void on_end(struct rpc_call *call, const void *msg, void *arg)
{
    struct worker *worker = arg;
    const struct jt2wk_end *ask = msg;
    if (is_stale(worker, call, ask->epoch))
        return;
    struct wk_job *job = jobs_find(worker, ask->cluster_ms, ask->job);
    if (job)
        end_job(worker, job);
    rpc_answer(call, NULL);
}

static void on_log(struct rpc_call *call, const void *msg, void *arg)
{
    struct worker *worker = arg;
    const struct jt2wk_log *ask = msg;
    const struct task_attempt *id = &ask->id;
    struct attempt_id named = {{id->cluster_ms, id->job}, id->stage, id->task, id->attempt};
    char job[ID_TEXT_MAX], name[ID_TEXT_MAX];
    struct buf text = BUF_INIT;
    struct wk2jt_blob_piece answer = {0};
    const char kinds[] = {id->stage ? task_letter(TASK_REDUCE, id->stage) : 'm', 'c'};
    uint32_t max = ask->max && ask->max < LOG_PIECE_MAX ? ask->max : LOG_PIECE_MAX;
    int rc = ERR_NOENT;
    struct wk_attempt *running = attempt_find(worker, id);
    job_id_text(named.job, job, sizeof(job));
    if (running)
        attempt_name_log(running);
    for (size_t i = 0; rc == ERR_NOENT && i < sizeof(kinds); i++)
        rc = sandbox_read_log(worker, job, attempt_id_text(&named, kinds[i], name, sizeof(name)),
                              false, ask->offset, max, &text, &answer.total);
    answer.bytes = buf_slice(&text);
    if (rc == ERR_NOENT && sandbox_has_logs(worker, job))
        rc = 0; /* it printed nothing */
    if (rc == 0)
        rpc_answer(call, &answer);
    else
        rpc_fail(call, rc, "no log of %s here (kept for worker.log.retain)", name);
    buf_release(&text);
}

static rpc_handler *const handlers[JT2WK_METHOD_COUNT] = {
    [JT2WK_AT_JOB] = on_job,         [JT2WK_AT_RUN] = on_run, [JT2WK_AT_KILL] = on_kill,
    [JT2WK_AT_OUTPUTS] = on_outputs, [JT2WK_AT_END] = on_end, [JT2WK_AT_LOG] = on_log,
};

/* --- registering ----------------------------------------------------------------------------- */

static void drop_unwanted(struct worker *worker, const struct task_attempt *id)
{
    struct wk_attempt *attempt = attempt_find(worker, id);
    struct segment *segment = segments_find(&worker->segments, id);
    if (attempt)
        attempt_kill(attempt);
    else if (segment)
        segments_drop(&worker->segments, segment);
}

/* Jobs of which nothing is wanted any more: an END may have been missed while we were apart. */
static void drop_idle_jobs(struct worker *worker)
{
    list_each_safe (&worker->jobs, it) {
        struct wk_job *job = list_entry(it, struct wk_job, link);
        bool is_used = false;
        list_each (&worker->attempts, a)
            is_used = is_used || list_entry(a, struct wk_attempt, link)->job == job;
        list_each (&worker->segments.all, s)
            is_used = is_used || list_entry(s, struct segment, link)->id.job == job->spec.job;
        if (!is_used && !job->is_over)
            end_job(worker, job);
    }
}

/* A jobtracker that has not met its namenode yet cannot say; then it is asked again. */
static bool join(struct worker *worker, struct slice cluster_id)
{
    struct conf_address jt =
        conf_address(daemon_conf(worker->daemon), "mapreduce.jobtracker.address");
    char address[ADDRESS_TEXT_MAX], other[ADDRESS_TEXT_MAX + 16], cluster[VERSION_ID_MAX];
    struct err err = {0};
    if (cluster_id.len == 0)
        return true;
    snprintf(other, sizeof(other), "jobtracker %s", address_text(jt.host, jt.port, address));
    snprintf(cluster, sizeof(cluster), SLICE_FMT, SLICE_ARG(cluster_id));
    if (sandbox_join(worker, cluster, other, &err) == 0)
        return true;
    daemon_exit(worker->daemon, 1, "%s", err.msg);
    return false;
}

static void registered(void *arg, int code, const void *answer, const struct err *err)
{
    struct worker *worker = arg;
    const struct wk2jt_registered *said = answer;
    if (code != 0) {
        log_warn("wk.talk", "cannot register: %s", err->msg);
        return; /* with the next beat, or when the link is up again */
    }
    if (!join(worker, said->cluster_id))
        return;
    worker->is_registered = true;
    if (said->epoch > worker->epoch)
        worker->epoch = said->epoch;
    for (size_t i = 0; i < said->unwanted.n; i++)
        drop_unwanted(worker, &said->unwanted.v[i]);
    drop_idle_jobs(worker);
    log_info("wk.talk", "registered with the jobtracker (epoch %llu)",
             (unsigned long long)said->epoch);
    attempts_link_up(worker);
    jobs_link_up(worker);
    daemon_set_state(worker->daemon, "serving");
}

static int held(struct worker *worker, struct arena *arena, struct wk2jt_register *msg)
{
    size_t segments = 0, attempts = 0;
    list_each (&worker->segments.all, it)
        segments++;
    list_each (&worker->attempts, it)
        attempts++;
    msg->held.v = arena_calloc(arena, segments + 1, sizeof(*msg->held.v));
    msg->running.v = arena_calloc(arena, attempts + 1, sizeof(*msg->running.v));
    if (!msg->held.v || !msg->running.v)
        return ERR_NOMEM;
    list_each (&worker->segments.all, it) {
        const struct segment *segment = list_entry(it, struct segment, link);
        if (segment->is_accepted)
            msg->held.v[msg->held.n++] = (struct wk2jt_held){.id = segment->id};
    }
    list_each (&worker->attempts, it)
        msg->running.v[msg->running.n++] = list_entry(it, struct wk_attempt, link)->task.id;
    return 0;
}

static void register_here(struct worker *worker)
{
    struct arena arena = ARENA_INIT;
    struct rpc_peer *peer = rpc_link_peer(worker->jobtracker);
    char http[ADDRESS_TEXT_MAX];
    snprintf(http, sizeof(http), "%s", daemon_http_address(worker->daemon));
    const char *colon = strrchr(http, ':');
    struct wk2jt_register msg = {
        .name = slice_str(daemon_node_name(worker->daemon)),
        .host = slice_str(worker->data_address),
        .port = worker->data_port,
        .socket = slice_str(worker->socket),
        .boot_id = slice_str(worker->self.boot ? worker->self.boot : ""),
        .netns = worker->self.netns,
        .incarnation = worker->incarnation,
        .cores = worker->cores,
        .memory = worker->memory,
        .http_port = colon ? (uint32_t)strtoul(colon + 1, NULL, 10) : 0,
        .rack = slice_str(conf_str(daemon_conf(worker->daemon), "node.rack")),
        .version = slice_str(QUERN_VERSION),
        .takes_rows = true,
    };
    if (!peer || rpc_is_waiting(&worker->register_wait))
        return;
    if (held(worker, &arena, &msg) == 0) {
        worker->register_wait.done = registered;
        worker->register_wait.arg = worker;
        worker->register_wait.timeout_ms = BEAT_TIMEOUT_MS;
        rpc_ask(peer, &WK2JT_methods[WK2JT_AT_REGISTER], &msg, &worker->register_wait);
    }
    arena_release(&arena);
}

/* --- beating --------------------------------------------------------------------------------- */

static void heard(void *arg, int code, const void *answer, const struct err *err)
{
    struct worker *worker = arg;
    const struct wk2jt_heard *said = answer;
    (void)err;
    if (code == 0 && said->register_again) {
        worker->is_registered = false;
        register_here(worker);
    }
}

static void beat(void *arg)
{
    struct worker *worker = arg;
    struct arena arena = ARENA_INIT;
    struct wk2jt_beat msg = {0};
    if (!worker->is_registered || !worker->is_joined) {
        register_here(worker);
    } else if (!rpc_is_waiting(&worker->beat_wait) &&
               attempts_progress(worker, &arena, &msg.running) == 0) {
        for (size_t i = 0; i < worker->dir_count; i++)
            msg.bad_dirs += worker->dirs[i].is_bad;
        worker->beat_wait.done = heard;
        worker->beat_wait.arg = worker;
        worker->beat_wait.timeout_ms = BEAT_TIMEOUT_MS;
        rpc_link_ask(worker->jobtracker, &WK2JT_methods[WK2JT_AT_BEAT], &msg, &worker->beat_wait);
    }
    arena_release(&arena);
}

static void on_up(struct rpc_peer *peer, void *arg)
{
    (void)peer;
    register_here(arg);
}

static void on_down(struct rpc_peer *peer, int code, void *arg)
{
    struct worker *worker = arg;
    (void)peer;
    (void)code;
    worker->is_registered = false;
    if (!worker->is_stopping)
        daemon_set_state(worker->daemon, "looking for the jobtracker");
}

int jobtracker_link(struct worker *worker, struct err *err)
{
    const struct conf *conf = daemon_conf(worker->daemon);
    struct conf_address jt = conf_address(conf, "mapreduce.jobtracker.address");
    char address[ADDRESS_TEXT_MAX];
    worker->orders = (struct rpc_service){JT2WK_methods, handlers, JT2WK_METHOD_COUNT,
                                          HELLO_ROLE(WIRE_JOBTRACKER), worker};
    struct rpc_conf rpc = {
        .self = &worker->self,
        .services = &worker->orders,
        .service_count = 1,
        .on_peer_up = on_up,
        .on_peer_down = on_down,
        .arg = worker,
        .roles = HELLO_ROLE(WIRE_JOBTRACKER),
        .retry_max_ms = 1000,
    };
    int rc = rpc_link_open(worker->loop, address_text(jt.host, jt.port, address), &rpc,
                           &worker->jobtracker, err);
    if (rc == 0)
        rc = loop_every(worker->loop, &worker->beat, conf_ms(conf, "worker.heartbeat.interval"),
                        beat, worker);
    return rc;
}

void jobtracker_unlink(struct worker *worker)
{
    loop_timer_stop(&worker->beat);
    rpc_cancel(&worker->register_wait);
    rpc_cancel(&worker->beat_wait);
    if (worker->jobtracker)
        rpc_link_close(worker->jobtracker);
}
