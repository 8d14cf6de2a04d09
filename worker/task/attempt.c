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
#include "worker/task/hand_over.h"
#include "worker/task/outfit.h"
#include "worker/task/report.h"

#define TELL_MS 2000 /* for one that stood still, to say where */

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
    attempt->process = NULL;
    attempt->page = NULL;
}

/* Is its process at it now? */
static bool is_in_hand(const struct wk_attempt *attempt)
{
    return attempt->process && row_in_hand(&attempt->process->row) == attempt;
}

/* --- birth and death ------------------------------------------------------------------------- */

/* Frees it and all it has on disk but its log and a segment that was handed over. */
static void gone(struct wk_attempt *attempt)
{
    sm_move(&wk_attempt_states, &attempt->state, WK_GONE);
    rpc_cancel(&attempt->wait);
    list_remove(&attempt->link);
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

/* --- running ------------------------------------------------------------------------------- */

static int run(struct wk_attempt *const *row, size_t count, struct err *err)
{
    struct wk_process *process = hand_over(row, count, err);
    for (size_t i = 0; process && i < count; i++) {
        struct wk_attempt *attempt = row[i];
        attempt->process = process;
        attempt->page = process->page;
        attempt->started_ms = attempt->moved_ms = worker_now(attempt->worker);
        sm_move(&wk_attempt_states, &attempt->state, WK_RUNNING);
    }
    return process ? 0 : err->code;
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
        segments_accept(&worker->segments, attempt->segment);
    } else if (attempt->segment) {
        segments_drop(&worker->segments, attempt->segment);
        attempt->segment = NULL;
    }
    gone(attempt);
}

static void send_report(struct wk_attempt *attempt)
{
    size_t at = attempt->report_is_done ? WK2JT_AT_DONE : WK2JT_AT_FAILED;
    struct rpc_peer *peer = rpc_link_peer(attempt->worker->jobtracker);
    if (!attempt->worker->is_registered || !peer || rpc_is_waiting(&attempt->wait))
        return; /* attempts_link_up says it */
    attempt->wait.done = report_answered;
    attempt->wait.arg = attempt;
    rpc_ask_encoded(peer, &WK2JT_methods[at], buf_slice(&attempt->report), &attempt->wait);
}

static void begin_report(struct wk_attempt *attempt, bool is_done, const void *msg)
{
    leave_process(attempt); /* what it has printed was taken before */
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
    take_log(attempt);
    begin_report(attempt, false, failed);
    buf_release(&tail);
}

static void fail_node(struct wk_attempt *attempt, const char *why)
{
    bool can_begin = sandbox_good_dir(attempt->worker, 0) < WORKER_DIRS_MAX;
    struct task_failed failed = {.failure = can_begin ? TASK_FAILED_NODE : TASK_FAILED_NO_DIRECTORY,
                                 .why = slice_str(why)};
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
        outfit_cut_memory(process, 0);
        return rc;
    }
    if (!process->memory_offered)
        return err_set(err, ERR_PROTO, "the runner names no map output");
    if (done->run.len > 0 && done->run.len == done->run_len) { /* the next may be writing there */
        if (process->row.count == 1)
            outfit_cut_memory(process, 0);
        ret->data = (uint8_t *)slice_dup(done->run);
        return ret->data ? 0 : err_set(err, ERR_NOMEM, "out of memory");
    }
    if (done->run_len <= SEGMENT_SMALL_BYTES) {
        ret->data = segments_read_small(process->memory_fd, done->run_len, err);
        process->is_memory_used = false;
        outfit_cut_memory(process, 0);
        return ret->data ? 0 : err->code;
    }
    outfit_cut_memory(process, done->run_len);
    ret->fd = process->memory_fd;
    process->memory_fd = -1;
    process->fence.has_given = true;
    return 0;
}

uint64_t attempt_input_bytes(const struct wk_attempt *attempt)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < attempt->task.input.n; i++)
        bytes += attempt->task.input.v[i].length;
    return bytes;
}

/* The output changes hands: from the attempt to the table of segments. */
static int take_output(struct wk_attempt *attempt, const struct task_done *done, struct err *err)
{
    struct segments *segments = &attempt->worker->segments;
    struct segment_place place;
    int rc = find_output(attempt, done, &place, err);
    if (rc != 0)
        return rc;
    if (place.fd >= 0 || place.path) { /* it counts as what it is; the row ends with it */
        segments->memory_used -= attempt->process->memory_offered;
        attempt->process->memory_offered = 0;
    }
    attempt->segment = segments_add(segments, done, &place, err);
    if (!attempt->segment)
        return err->code;
    uint64_t input = attempt_input_bytes(attempt);
    attempt->job->run_input += input;
    attempt->job->run_output += input ? done->run_len : 0;
    return 0;
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
    report->run = slice_of(NULL, 0);
    return 0;
}

void attempt_on_done(struct wk_attempt *attempt, const struct task_done *done)
{
    struct err err = {0};
    struct task_done report = *done;
    report.id = attempt->task.id; /* whatever it says it is */
    if (attempt_makes_run(attempt) && take_output(attempt, &report, &err) != 0) {
        fail_node(attempt, err.msg);
        return;
    }
    if (!done->may_follow) /* else it has printed nothing */
        take_log(attempt);
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

void attempt_give_back(struct wk_attempt *attempt, const char *why)
{
    struct task_failed failed = {
        .id = attempt->task.id, .failure = TASK_FAILED_NOT_BEGUN, .why = slice_str(why)};
    begin_report(attempt, false, &failed);
}

void attempt_on_exit(struct wk_attempt *attempt, int status)
{
    char why[REPORT_WHY_MAX];
    struct task_failed failed = {0};
    report_death(attempt, status, &failed, why);
    fail(attempt, &failed);
}

/* --- orders ---------------------------------------------------------------------------------- */

static struct wk_attempt *new (struct wk_job *job, const struct jt2wk_task *task, struct err *err)
{
    struct wk_attempt *attempt = mem_calloc(1, sizeof(*attempt));
    if (!attempt) {
        err_set(err, ERR_NOMEM, "out of memory");
        return NULL;
    }
    attempt->worker = job->worker;
    attempt->job = job;
    attempt->log.fd = -1;
    attempt->ordered_us = clock_mono_us();
    list_push_back(&job->worker->attempts, &attempt->link);
    if (init(attempt, task, err) == 0)
        return attempt;
    gone(attempt);
    return NULL;
}

/* While the job's files are on their way only the first waits for them. */
static int begin(struct wk_job *job, struct wk_attempt *const *row, size_t count, struct err *err)
{
    if (job->bring.state == BRING_HERE)
        return run(row, count, err);
    for (size_t i = 1; i < count; i++)
        attempt_give_back(row[i], "its job's files are not here yet");
    bring_want(job); /* it may have failed for an earlier attempt */
    return 0;
}

int attempts_begin(struct wk_job *job, const struct jt2wk_task *tasks, size_t count,
                   struct err *err)
{
    struct wk_attempt *row[WK_ROW_MAX];
    size_t n = 0;
    int rc = count <= WK_ROW_MAX ? 0 : err_set(err, ERR_TOOBIG, "a row of %zu tasks", count);
    if (attempt_find(job->worker, &tasks[0].id))
        return 0; /* the order came twice */
    for (; rc == 0 && n < count; n++) {
        row[n] = new (job, &tasks[n], err);
        if (!row[n])
            rc = ERR_NOMEM;
        n -= !row[n];
    }
    if (rc == 0)
        rc = begin(job, row, count, err);
    for (size_t i = 0; rc != 0 && i < n; i++)
        gone(row[i]);
    return rc;
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
        else if (run(&attempt, 1, &err) != 0)
            fail_node(attempt, err.msg);
    }
}

void attempt_kill(struct wk_attempt *attempt)
{
    if (is_in_hand(attempt))
        take_log(attempt);
    if (attempt->process)
        process_drop(attempt->process, attempt);
    if (attempt->segment)
        segments_drop(&attempt->worker->segments, attempt->segment);
    attempt->segment = NULL;
    gone(attempt);
}

void attempts_end_job(struct wk_job *job)
{
    list_each (&job->worker->runners, it) {
        struct wk_process *process = list_entry(it, struct wk_process, link);
        struct wk_attempt *attempt = row_in_hand(&process->row);
        if (attempt && attempt->job == job) {
            attempt_name_log(attempt);
            process_drop_row(process);
        }
    }
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
        if (attempt->job == job && attempt->task.kind == TASK_REDUCE && is_in_hand(attempt)) {
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
        if (!is_in_hand(attempt))
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
        if (!is_in_hand(a))
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
