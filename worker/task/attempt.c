/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/task/attempt.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/ids.h"
#include "libcommon/base/log.h"
#include "libcommon/base/str.h"
#include "libcommon/daemon/config.h"
#include "worker/serve/outputs.h"
#include "worker/task/report.h"

#define LEAST_OFFER_BYTES (1U << 20)
#define TELL_MS           2000 /* for one that stood still, to say where */

static const struct sm_state rows[] = {
    [WK_WAITING] = {"waiting", SM_TO(WK_RUNNING) | SM_TO(WK_REPORTING) | SM_TO(WK_GONE),
                    SM_INITIAL},
    [WK_RUNNING] = {"running", SM_TO(WK_REPORTING) | SM_TO(WK_GONE), 0},
    [WK_REPORTING] = {"reporting", SM_TO(WK_GONE), 0},
    [WK_GONE] = {"gone", 0, SM_FINAL},
};
const struct sm_table wk_attempt_states = {"attempt", rows, ARRAY_LEN(rows)};

struct wk_attempt *attempt_find(const struct worker *worker, const struct task_attempt *id)
{
    list_each (&worker->attempts, it) {
        struct wk_attempt *a = list_entry(it, struct wk_attempt, link);
        const struct task_attempt *b = &a->task.id;
        if (b->job == id->job && b->task == id->task && b->attempt == id->attempt &&
            b->stage == id->stage && b->cluster_ms == id->cluster_ms)
            return a;
    }
    return NULL;
}

/* --- what it printed ------------------------------------------------------------------------- */

void attempt_name_log(struct wk_attempt *attempt)
{
    if (attempt->process)
        (void)sandbox_name_log(attempt->worker, attempt->job_name, attempt->name,
                               &attempt->process->log);
}

/* It runs no more: the log goes with it if anything is in it, else the next one of its process has
 * it. */
static void take_log(struct wk_attempt *attempt)
{
    struct wk_process *process = attempt->process;
    attempt_name_log(attempt);
    if (!process || !process->log.is_named)
        return;
    attempt->log = process->log;
    process->log = (struct task_log){.fd = -1};
    sandbox_trim_log(attempt->worker, attempt->log.fd);
}

/* Its process works for somebody else from now on, or not at all. */
static void leave_process(struct wk_attempt *attempt)
{
    take_log(attempt);
    if (attempt->process)
        attempt->process->attempt = NULL;
    attempt->process = NULL;
    attempt->page = NULL;
}

/* --- birth and death ------------------------------------------------------------------------- */

/* Frees it and all it has on disk but its log and a segment that was handed over. */
static void gone(struct wk_attempt *attempt)
{
    struct worker *worker = attempt->worker;
    sm_move(&wk_attempt_states, &attempt->state, WK_GONE);
    rpc_cancel(&attempt->wait);
    list_remove(&attempt->link);
    leave_process(attempt);
    worker->segments.memory_used -= attempt->memory_offered;
    if (attempt->log.fd >= 0)
        close(attempt->log.fd);
    buf_release(&attempt->bytes);
    buf_release(&attempt->report);
    arena_release(&attempt->arena);
    mem_free(attempt);
}

static int init(struct wk_attempt *attempt, const struct jt2wk_task *task, struct err *err)
{
    struct attempt_id id = {
        {task->id.cluster_ms, task->id.job}, task->id.stage, task->id.task, task->id.attempt};
    msg_encode(&jt2wk_task_desc, task, &attempt->bytes);
    if (buf_failed(&attempt->bytes))
        return err_set(err, ERR_NOMEM, "out of memory");
    attempt_id_text(&id, task_letter(task->kind, id.stage), attempt->name, sizeof(attempt->name));
    jobs_dir_name(attempt->job, attempt->job_name, sizeof(attempt->job_name));
    return msg_decode(&jt2wk_task_desc, buf_slice(&attempt->bytes), &attempt->arena, &attempt->task,
                      err);
}

/* Is what it makes a run that others fetch? */
static bool makes_run(const struct wk_attempt *attempt)
{
    return attempt->task.kind == TASK_MAP ||
           (attempt->task.kind == TASK_REDUCE && attempt->task.makes > 0);
}

/* Half of what is left in memory for map outputs, or as much as the task may use. */
static int offer_memory(struct wk_attempt *attempt, struct wk_process *process, struct err *err)
{
    struct segments *segments = &attempt->worker->segments;
    uint64_t left = segments->memory_max - segments->memory_used;
    uint64_t offer = attempt->task.memory < left / 2 ? attempt->task.memory : left / 2;
    if (!makes_run(attempt) || offer < LEAST_OFFER_BYTES)
        return 0;
    int rc = process_clear_memory(process, err);
    if (rc != 0)
        return rc;
    attempt->memory_offered = offer;
    segments->memory_used += offer;
    return 0;
}

static int look_up_user(struct wk_job *job, struct err *err)
{
    char *submitter = job->has_user ? NULL : slice_dup(job->spec.user);
    int rc = 0;
    if (!job->has_user)
        rc = submitter ? sandbox_user(job->worker, submitter, &job->user, err)
                       : err_set(err, ERR_NOMEM, "out of memory");
    mem_free(submitter);
    job->has_user = rc == 0;
    return rc;
}

/* What its processes may have: its share, the memory it writes its output into, and what is beyond
 * the engine's buffers: programs, stacks, the plugin's own things. */
static uint64_t memory_limit(const struct wk_attempt *attempt)
{
    return fence_limit(attempt->task.memory) + attempt->memory_offered;
}

/* --- running --------------------------------------------------------------------------------- */

static int describe(struct wk_attempt *attempt, const struct task_dirs *own, struct arena *arena,
                    struct task_run *run, struct err *err)
{
    const struct jt2wk_job *spec = &attempt->job->spec;
    const struct conf *conf = daemon_conf(attempt->worker->daemon);
    struct slice *dirs = arena_calloc(arena, own->count, sizeof(*dirs));
    size_t cap = spec->temporary.len + sizeof(attempt->name) + attempt->task.out_name.len + 3;
    char *out = arena_alloc(arena, cap);
    if (!dirs || !out)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < own->count; i++)
        dirs[i] = slice_str(own->v[i]);
    int len = snprintf(out, cap, SLICE_FMT "/%s/" SLICE_FMT, SLICE_ARG(spec->temporary),
                       attempt->name, SLICE_ARG(attempt->task.out_name));
    *run = (struct task_run){
        .id = attempt->task.id,
        .kind = attempt->task.kind,
        .job_name = spec->name,
        .plugin = slice_str(attempt->job->bring.paths[0]),
        .user = spec->user,
        .conf = spec->conf,
        .partitions = attempt->task.makes ? attempt->task.makes : spec->partitions,
        .maps = attempt->task.sources ? attempt->task.sources : spec->maps,
        .fs_uri = spec->fs_uri,
        .local_dirs = {dirs, own->count},
        .memory = attempt->task.memory,
        .input = attempt->task.input,
        .output_memory = attempt->memory_offered,
        .reduce_partitions = attempt->task.partitions,
        .out = slice_of(out, (size_t)len),
        .out_name = attempt->task.out_name,
        .replication = spec->replication,
        .conf_file = slice_str(config_file(conf)),
        .manifest = attempt->task.manifest,
        .node = slice_str(daemon_node_name(attempt->worker->daemon)),
        .ordered_us = attempt->ordered_us,
        .reduces = attempt->task.reduces,
        .reads = attempt->task.reads,
        .feeds = attempt->task.kind == TASK_REDUCE && makes_run(attempt),
    };
    int rc = jobs_sides(attempt->job, arena, &run->sides);
    if (rc == 0 && attempt->task.kind == TASK_REDUCE)
        rc = jobs_sources(attempt->job, attempt->task.reads, arena, &run->sources);
    return rc == 0 ? 0 : err_set(err, rc, "the places of the map outputs: %s", err_text(rc));
}

static struct wk_process *find_process(const struct wk_attempt *attempt, struct err *err)
{
    const struct task_attempt *id = &attempt->task.id;
    const struct process_wish wish = {id->cluster_ms, id->job, attempt->task.memory,
                                      &attempt->job->user};
    return process_get(attempt->worker, &wish, err);
}

static int hand_over(struct wk_attempt *attempt, struct wk_process *process, struct err *err)
{
    struct task_run msg;
    struct arena arena = ARENA_INIT;
    int rc = process_clear_dirs(process, attempt, err);
    if (rc == 0)
        rc = process_clear_page(process, err);
    if (rc == 0)
        rc = offer_memory(attempt, process, err);
    if (rc == 0)
        rc = describe(attempt, &process->dirs, &arena, &msg, err);
    if (rc == 0) {
        uint64_t limit = memory_limit(attempt);
        if (process->served == 1)
            attempt->worker->usual_limit = limit;
        fence_set(&process->fence, limit);
        rc = process_run(process, &msg, err);
    }
    arena_release(&arena);
    if (rc != 0)
        process_kill(process);
    return rc;
}

static int run(struct wk_attempt *attempt, struct err *err)
{
    int rc = look_up_user(attempt->job, err);
    struct wk_process *process = rc == 0 ? find_process(attempt, err) : NULL;
    if (rc == 0)
        rc = process ? hand_over(attempt, process, err) : ERR_FAILED;
    if (rc != 0)
        return rc;
    attempt->process = process;
    process->attempt = attempt;
    attempt->page = process->page;
    attempt->started_ms = attempt->moved_ms = worker_now(attempt->worker);
    sm_move(&wk_attempt_states, &attempt->state, WK_RUNNING);
    return 0;
}

/* --- reporting ------------------------------------------------------------------------------- */

static void send_report(struct wk_attempt *attempt);

static void report_answered(void *arg, int code, const void *answer, const struct err *err)
{
    struct wk_attempt *attempt = arg;
    struct worker *worker = attempt->worker;
    if (code == ERR_CLOSED || code == ERR_UNREACHABLE || code == ERR_TIMEOUT || code == ERR_STALE)
        return; /* attempts_link_up says it again */
    bool accepted =
        code == 0 && attempt->report_is_done && ((const struct wk2jt_accepted *)answer)->accepted;
    if (code != 0)
        log_warn("wk.task", "%s: %s", attempt->name, err->msg);
    if (attempt->segment && accepted) {
        attempt->segment->is_accepted = true;
        outputs_accepted(worker, attempt->segment);
    } else if (attempt->segment) {
        segments_drop(&worker->segments, attempt->segment);
        attempt->segment = NULL;
    }
    gone(attempt);
}

static void send_report(struct wk_attempt *attempt)
{
    struct arena arena = ARENA_INIT;
    union {
        struct task_done done;
        struct task_failed failed;
    } msg;
    size_t at = attempt->report_is_done ? WK2JT_AT_DONE : WK2JT_AT_FAILED;
    struct err err = {0};
    if (!attempt->worker->is_registered || rpc_is_waiting(&attempt->wait))
        return;
    if (msg_decode(WK2JT_methods[at].ask, buf_slice(&attempt->report), &arena, &msg, &err) == 0) {
        attempt->wait.done = report_answered;
        attempt->wait.arg = attempt;
        rpc_link_ask(attempt->worker->jobtracker, &WK2JT_methods[at], &msg, &attempt->wait);
    } else {
        daemon_exit(attempt->worker->daemon, 1, "%s: its report: %s", attempt->name, err.msg);
    }
    arena_release(&arena);
}

static void begin_report(struct wk_attempt *attempt, bool is_done, const void *msg)
{
    leave_process(attempt);
    attempt->report_is_done = is_done;
    msg_encode(is_done ? &task_done_desc : &task_failed_desc, msg, &attempt->report);
    sm_move(&wk_attempt_states, &attempt->state, WK_REPORTING);
    if (buf_failed(&attempt->report))
        daemon_exit(attempt->worker->daemon, 1, "out of memory");
    else
        send_report(attempt);
}

static void fail(struct wk_attempt *attempt, struct task_failed *failed)
{
    struct buf tail = BUF_INIT;
    attempt_name_log(attempt);
    report_complete(attempt, failed, &tail);
    log_warn("wk.task", "%s: " SLICE_FMT, attempt->name, SLICE_ARG(failed->why));
    /* The last line of its log, so that it tells the whole story. */
    if (attempt->process)
        dprintf(attempt->process->log.fd, "%s " SLICE_FMT "%s" SLICE_FMT "\n", attempt->name,
                SLICE_ARG(failed->why), failed->at.len ? " at " : "", SLICE_ARG(failed->at));
    begin_report(attempt, false, failed);
    buf_release(&tail);
}

static void fail_node(struct wk_attempt *attempt, const char *why)
{
    struct task_failed failed = {.failure = TASK_FAILED_NODE, .why = slice_str(why)};
    fail(attempt, &failed);
}

/* --- from the process ------------------------------------------------------------------------ */

/* A file the runner has named, or its process's memfd: the content of that where it is small, so
 * that the next attempt can have it again. */
static int find_output(struct wk_attempt *attempt, const struct task_done *done,
                       struct segment_place *ret, struct err *err)
{
    struct wk_process *process = attempt->process;
    *ret = (struct segment_place){.fd = -1};
    if (done->run_path.len) {
        ret->path = slice_dup(done->run_path);
        int rc = ret->path ? disk_open(attempt->worker->disk, ret->path, DISK_READ, &ret->fd)
                           : ERR_NOMEM;
        if (rc != 0)
            err_set(err, rc, "cannot open the map output %s: %s", ret->path ? ret->path : "",
                    err_text(rc));
        if (rc != 0)
            mem_free(ret->path);
        process->dirs_kept = process->dirs_kept || rc == 0;
        return rc;
    }
    if (!attempt->memory_offered)
        return err_set(err, ERR_PROTO, "the runner names no map output");
    if (done->run_len <= SEGMENT_SMALL_BYTES) {
        ret->data = segments_read_small(process->memory_fd, done->run_len, err);
        process->is_memory_used = false;
        return ret->data ? 0 : err->code;
    }
    ret->fd = process->memory_fd;
    process->memory_fd = -1;
    process->fence.has_given = true;
    return 0;
}

/* The output changes hands: from the attempt to the table of segments. */
static int take_output(struct wk_attempt *attempt, const struct task_done *done, struct err *err)
{
    struct segments *segments = &attempt->worker->segments;
    struct segment_place place;
    int rc = find_output(attempt, done, &place, err);
    if (rc != 0)
        return rc;
    segments->memory_used -= attempt->memory_offered;
    attempt->memory_offered = 0;
    attempt->segment = segments_add(segments, done, &place, err);
    return attempt->segment ? 0 : err->code;
}

/* The jobtracker is told how much went into each partition, and not where it lies. */
static int shorten(struct task_done *report, struct arena *arena)
{
    uint64_t *raw = arena_calloc(arena, report->parts.n + 1, sizeof(*raw));
    if (!raw)
        return ERR_NOMEM;
    for (size_t i = 0; i < report->parts.n; i++)
        raw[i] = report->parts.v[i].raw_bytes;
    report->raw = (struct msg_u64s){raw, report->parts.n};
    report->parts = (struct task_part_list){0};
    return 0;
}

void attempt_on_done(struct wk_attempt *attempt, const struct task_done *done)
{
    struct err err = {0};
    struct task_done report = *done;
    report.id = attempt->task.id; /* whatever it says it is */
    if (makes_run(attempt) && take_output(attempt, &report, &err) != 0) {
        fail_node(attempt, err.msg);
        return;
    }
    if (shorten(&report, &attempt->arena) != 0)
        daemon_exit(attempt->worker->daemon, 1, "out of memory");
    else
        begin_report(attempt, true, &report);
}

void attempt_on_failed(struct wk_attempt *attempt, const struct task_failed *failed)
{
    char why[REPORT_WHY_MAX];
    struct task_failed report = *failed;
    report.id = attempt->task.id;
    report_limit(attempt, &report, why);
    fail(attempt, &report);
}

void attempt_on_fetch_failed(struct wk_attempt *attempt, const struct task_fetch_failed *failed)
{
    struct task_fetch_failed report = *failed;
    report.id = attempt->task.id;
    report_fetch_failed(attempt->worker, &report);
}

void attempt_on_exit(struct wk_attempt *attempt, int status)
{
    char why[REPORT_WHY_MAX];
    struct task_failed failed = {0};
    report_death(attempt, status, &failed, why);
    fail(attempt, &failed);
}

/* --- orders ---------------------------------------------------------------------------------- */

int attempt_begin(struct wk_job *job, const struct jt2wk_task *task, struct err *err)
{
    if (attempt_find(job->worker, &task->id))
        return 0; /* the order came twice */
    struct wk_attempt *attempt = mem_calloc(1, sizeof(*attempt));
    if (!attempt)
        return err_set(err, ERR_NOMEM, "out of memory");
    attempt->worker = job->worker;
    attempt->job = job;
    attempt->log.fd = -1;
    attempt->ordered_us = clock_mono_us();
    list_init(&attempt->link);
    int rc = init(attempt, task, err);
    if (rc == 0 && job->bring.state == BRING_HERE)
        rc = run(attempt, err);
    if (rc != 0) {
        gone(attempt);
        return rc;
    }
    list_push_back(&job->worker->attempts, &attempt->link);
    bring_want(job); /* it may have failed for an earlier attempt */
    return 0;
}

void attempts_ready(struct wk_job *job, const char *why)
{
    list_each_safe (&job->worker->attempts, it) {
        struct wk_attempt *attempt = list_entry(it, struct wk_attempt, link);
        struct err err = {0};
        if (attempt->job != job || attempt->state != WK_WAITING)
            continue;
        if (why)
            fail_node(attempt, why);
        else if (run(attempt, &err) != 0)
            fail_node(attempt, err.msg);
    }
}

void attempt_kill(struct wk_attempt *attempt)
{
    struct wk_process *process = attempt->process;
    leave_process(attempt);
    if (process)
        process_kill(process);
    if (attempt->segment)
        segments_drop(&attempt->worker->segments, attempt->segment);
    attempt->segment = NULL;
    gone(attempt);
}

void attempts_end_job(struct wk_job *job)
{
    list_each_safe (&job->worker->attempts, it) {
        struct wk_attempt *attempt = list_entry(it, struct wk_attempt, link);
        if (attempt->job == job)
            attempt_kill(attempt);
    }
}

void attempts_release(struct worker *worker)
{
    list_each_safe (&worker->attempts, it)
        attempt_kill(list_entry(it, struct wk_attempt, link));
}

/* Those of one stage, at the front of `room`. */
static struct task_source_list of_stage(const struct task_source_list *sources, uint32_t stage,
                                        struct task_source *room)
{
    struct task_source_list list = {room, 0};
    for (size_t i = 0; i < sources->n; i++)
        if (sources->v[i].stage == stage)
            room[list.n++] = sources->v[i];
    return list;
}

int attempts_tell_outputs(struct wk_job *job, const struct task_source_list *sources)
{
    struct task_source *room = mem_calloc(sources->n + 1, sizeof(*room));
    if (!room)
        return ERR_NOMEM;
    list_each (&job->worker->attempts, it) {
        struct wk_attempt *attempt = list_entry(it, struct wk_attempt, link);
        if (attempt->job == job && attempt->state == WK_RUNNING &&
            attempt->task.kind == TASK_REDUCE && attempt->process) {
            struct task_outputs msg = {of_stage(sources, attempt->task.reads, room)};
            process_tell_outputs(attempt->process, &msg);
        }
    }
    mem_free(room);
    return 0;
}

void attempts_link_up(struct worker *worker)
{
    list_each_safe (&worker->attempts, it) {
        struct wk_attempt *attempt = list_entry(it, struct wk_attempt, link);
        if (attempt->state == WK_REPORTING)
            send_report(attempt);
    }
}

/* --- progress -------------------------------------------------------------------------------- */

static void watch_memory(struct wk_attempt *attempt)
{
    const struct fence *fence = attempt->process ? &attempt->process->fence : NULL;
    if (!fence || attempt->outgrown_bytes || !fence_needs_looks(fence))
        return;
    uint64_t used = fence_used(fence);
    if (used <= fence->limit)
        return;
    attempt->outgrown_bytes = used;
    process_kill(attempt->process);
}

void attempts_watch(struct worker *worker)
{
    uint64_t now = worker_now(worker);
    list_each_safe (&worker->attempts, it) {
        struct wk_attempt *attempt = list_entry(it, struct wk_attempt, link);
        if (attempt->state != WK_RUNNING || !attempt->page)
            continue;
        uint64_t ticks = attempt->page->ticks;
        if (ticks != attempt->last_ticks && !attempt->timed_out) {
            attempt->last_ticks = ticks;
            attempt->moved_ms = now;
        }
        watch_memory(attempt);
        attempt_name_log(attempt);
        sandbox_trim_log(worker, attempt->process->log.fd);
        uint64_t limit = attempt->job->spec.timeout_ms;
        if (attempt->timed_out && now > attempt->moved_ms + TELL_MS)
            process_kill(attempt->process);
        if (limit && !attempt->outgrown_bytes && now > attempt->moved_ms + limit &&
            !attempt->timed_out) {
            attempt->timed_out = true;
            attempt->moved_ms = now;
            kill(attempt->process->pid, SIGXCPU); /* it notes where it is, and ends */
        }
    }
}

int attempts_progress(struct worker *worker, struct arena *arena, struct wk2jt_progress_list *ret)
{
    size_t cap = 0;
    list_each (&worker->attempts, it)
        cap++;
    ret->n = 0;
    ret->v = arena_calloc(arena, cap + 1, sizeof(*ret->v));
    if (!ret->v)
        return ERR_NOMEM;
    list_each (&worker->attempts, it) {
        const struct wk_attempt *a = list_entry(it, struct wk_attempt, link);
        const struct progress_page *page = a->page;
        if (a->state != WK_RUNNING || !page)
            continue;
        char *status = arena_calloc(arena, 1, sizeof(page->status) + 1);
        if (!status)
            return ERR_NOMEM;
        memcpy(status, page->status, sizeof(page->status));
        ret->v[ret->n++] = (struct wk2jt_progress){
            .id = a->task.id,
            .phase = page->phase,
            .records_in = page->records_in,
            .records_out = page->records_out,
            .bytes_in = page->bytes_in,
            .bytes_total = page->bytes_total,
            .idle_ms = worker_now(worker) - a->moved_ms,
            .status = slice_str(status),
        };
    }
    return 0;
}
