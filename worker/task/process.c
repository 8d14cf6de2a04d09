/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/task/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/ids.h"
#include "libcommon/base/log.h"
#include "libcommon/base/proc.h"
#include "libcommon/event/conn.h"
#include "worker/task/attempt.h"
#include "worker/task/outfit.h"
#include "worker/task/strays.h"

#define RUN_SEND_MS   10000
#define REAP_AGAIN_MS 20
#define STRAYS_MS     2000
/* Until there are blank ones again. Each costs half a millisecond, which is not to be the job's
 * that has just begun, unless the next one would find none. */
#define BLANK_MS      25
#define BLANK_SOON_MS 2

#define ROW_LOOK_MS   50 /* one that takes longer does not keep those behind it waiting */

/* --- its row --------------------------------------------------------------------------------- */

static void give_back(struct wk_attempt *const *attempts, size_t count, const char *why)
{
    for (size_t i = 0; i < count; i++)
        attempt_give_back(attempts[i], why);
}

static void end_row(struct wk_process *process, const char *why)
{
    struct wk_attempt *rest[WK_ROW_MAX];
    give_back(rest, row_end(&process->row, rest), why);
}

/* Nobody is served any more, well or not. */
static void rest(struct wk_process *process)
{
    loop_timer_stop(&process->row_look);
    process->worker->segments.memory_used -= process->memory_offered;
    process->memory_offered = 0;
}

static void look_at_row(void *arg)
{
    static const char why[] = "it stood behind one that takes long";
    struct wk_process *process = arg;
    struct wk_attempt *held[WK_ROW_MAX];
    if (row_is_stuck(&process->row)) {
        end_row(process, why);
        give_back(held, row_take_held(&process->row, held), why);
    }
    if (process->row.count - process->row.answered > 1)
        (void)loop_after(process->worker->loop, &process->row_look, ROW_LOOK_MS, look_at_row,
                         process);
}

void process_drop(struct wk_process *process, const struct wk_attempt *attempt)
{
    struct wk_attempt *others[WK_ROW_MAX];
    size_t n;
    if (!row_take(&process->row, attempt, others, &n))
        process_kill(process);
    give_back(others, n, "one of its row was killed");
    if (row_is_over(&process->row))
        rest(process);
}

void process_drop_row(struct wk_process *process)
{
    struct wk_attempt *all[WK_ROW_MAX];
    size_t n;
    bool was_busy = !row_is_over(&process->row);
    struct wk_attempt *first = row_break(&process->row, all, &n);
    for (size_t i = 0; i < n; i++)
        all[i]->process = NULL;
    if (first)
        first->process = NULL;
    rest(process);
    if (was_busy)
        process_kill(process);
}

/* The process is gone; its page still tells what it was at. */
static void break_row(struct wk_process *process, int status)
{
    struct wk_attempt *others[WK_ROW_MAX];
    size_t n;
    struct wk_attempt *culprit = row_break(&process->row, others, &n);
    if (culprit)
        attempt_on_exit(culprit, status);
    give_back(others, n, "it stood in a row with one that ended their process");
    rest(process);
}

/* --- its end --------------------------------------------------------------------------------- */

static bool is_runner(const void *arg, pid_t pid)
{
    const struct worker *worker = arg;
    if (pid == worker->birth.pid)
        return true;
    list_each (&worker->runners, it)
        if (list_entry(it, struct wk_process, link)->pid == pid)
            return true;
    /* The first process of a container is given everybody's orphans. */
    return getpid() == 1 && !strays_is_marked(pid, worker->mark);
}

static void end_strays(void *arg)
{
    struct worker *worker = arg;
    if (strays_kill(is_runner, worker) > 0)
        (void)loop_after(worker->loop, &worker->strays, REAP_AGAIN_MS, end_strays, worker);
}

static void process_free(struct wk_process *process)
{
    outfit_release(process);
    mem_free(process);
}

static void reap(void *arg)
{
    struct wk_process *process = arg;
    int status = 0;
    pid_t pid = waitpid(process->pid, &status, WNOHANG);
    if (pid == 0) {
        /* its descriptors close before it can be waited for */
        process->has_hung_up = process->has_hung_up || !proc_is_ending(process->pid);
        kill(-process->pid, SIGKILL); /* it closed its end but lives: it is of no more use */
        if (loop_after(process->worker->loop, &process->reap, REAP_AGAIN_MS, reap, process) == 0)
            return;
    }
    if (!row_is_over(&process->row) || !fence_close_empty(&process->fence)) {
        fence_kill(&process->fence); /* children it may have left behind */
        kill(-process->pid, SIGKILL);
    }
    loop_timer_stop(&process->reap);
    list_remove(&process->link);
    end_strays(process->worker);
    break_row(process, pid == process->pid ? status : 0);
    fence_close(&process->fence);
    process_free(process);
}

static void on_close(struct conn *conn, int code, void *arg)
{
    struct wk_process *process = arg;
    (void)conn;
    (void)code;
    process->conn = NULL;
    process->fd = -1;
    if (!process->is_being_fenced) /* else when that is done */
        reap(process);
}

/* --- what it says ---------------------------------------------------------------------------- */

static int on_done(struct wk_process *process, struct slice body, struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct task_done done;
    int rc = msg_decode(&task_done_desc, body, &arena, &done, err);
    struct wk_attempt *attempt = rc == 0 ? row_answer(&process->row) : NULL;
    bool is_last = process->is_last;
    if (attempt) {
        is_last =
            is_last || (attempt->job->tasks_max && process->served >= attempt->job->tasks_max);
        attempt_on_done(attempt, &done);
    }
    if (rc == 0 && !done.may_follow)
        end_row(process, "its process could not take another");
    if (rc == 0 && row_is_over(&process->row))
        rest(process);
    if (rc == 0 && is_last)
        process_kill(process);
    arena_release(&arena);
    return rc;
}

/* Who knows what state a failed one has left behind in the plugin's variables: nobody follows. */
static int on_failed(struct wk_process *process, struct slice body, struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct task_failed failed;
    int rc = msg_decode(&task_failed_desc, body, &arena, &failed, err);
    struct wk_attempt *attempt = rc == 0 ? row_answer(&process->row) : NULL;
    if (rc == 0) {
        process_kill(process);
        end_row(process, "it stood behind one that failed");
    }
    if (attempt)
        attempt_on_failed(attempt, &failed);
    if (rc == 0)
        rest(process);
    arena_release(&arena);
    return rc;
}

static int on_fetch_failed(struct wk_process *process, struct slice body, struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct task_fetch_failed fetch;
    int rc = msg_decode(&task_fetch_failed_desc, body, &arena, &fetch, err);
    struct wk_attempt *attempt = row_in_hand(&process->row);
    if (rc == 0 && attempt)
        attempt_on_fetch_failed(attempt, &fetch);
    arena_release(&arena);
    return rc;
}

static void on_frame(struct wk_process *process, const struct frame *frame)
{
    struct err err = {0};
    int rc =
        row_is_over(&process->row) ? err_set(&err, ERR_PROTO, "a runner spoke without a task") : 0;
    if (rc == 0 && frame->type == TASK_DONE) {
        rc = on_done(process, frame->body, &err);
    } else if (rc == 0 && frame->type == TASK_FAILED) {
        rc = on_failed(process, frame->body, &err);
    } else if (rc == 0 && frame->type == TASK_FETCH_FAILED) {
        rc = on_fetch_failed(process, frame->body, &err);
    } else if (rc == 0 && frame->type == TASK_LAST) {
        process->is_last = true;
    }
    if (rc != 0) {
        log_warn("wk.task", "runner %d: %s", process->pid, err.msg);
        process_kill(process);
    }
}

static void on_data(struct conn *conn, struct buf *in, void *arg)
{
    struct wk_process *process = arg;
    size_t used = 0;
    while (process->conn == conn && used < in->len) {
        struct frame frame;
        size_t n = 0;
        int rc = frame_parse(slice_of(in->data + used, in->len - used), FRAME_MAX_BYTES, &frame, &n,
                             NULL);
        if (rc == ERR_RETRY)
            break;
        if (rc != 0) {
            process_kill(process);
            used = in->len;
            break;
        }
        on_frame(process, &frame);
        used += n;
    }
    buf_consume(in, used);
}

static const struct conn_ops ops = {.on_data = on_data, .on_close = on_close};

/* --- life ------------------------------------------------------------------------------------ */

static struct wk_process *start(struct worker *worker, struct err *err)
{
    int pair[2];
    struct wk_process *process = mem_calloc(1, sizeof(*process));
    if (!process) {
        err_set(err, ERR_NOMEM, "out of memory");
        return NULL;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        err_errno(err, errno, "cannot make a socket pair");
        mem_free(process);
        return NULL;
    }
    pid_t pid = birth_make(&worker->birth, pair[1], err);
    close(pair[1]);
    if (pid == 0) {
        close(pair[0]);
        mem_free(process);
        return NULL;
    }
    process->page_fd = process->memory_fd = process->log.fd = -1;
    setpgid(pid, pid); /* both sides: whoever comes first */
    process->worker = worker;
    process->pid = pid;
    process->fd = pair[0];
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    process->conn = conn_new(worker->loop, pair[0], &ops, process);
    list_push_back(&worker->runners, &process->link);
    if (!process->conn) {
        process_kill(process);
        reap(process);
        err_set(err, ERR_NOMEM, "out of memory");
        return NULL;
    }
    return process;
}

/* Descriptors that go with a message; borrowed. */
struct task_fds {
    int v[3];
    size_t n;
};

/* The descriptors go with the first byte, past the connection's queue, which must be empty. */
static int say(struct wk_process *process, uint16_t type, const struct msg_desc *desc,
               const void *msg, const struct task_fds *fds, struct err *err)
{
    struct buf out = BUF_INIT;
    struct frame frame = {.type = type, .flags = FRAME_ONEWAY};
    uint64_t deadline = clock_mono_ms() + RUN_SEND_MS;
    int rc = frame_put(&out, &frame, desc, msg);
    if (rc == 0)
        rc = fds && fds->n ? sock_send_fds(process->fd, buf_slice(&out), fds->v, fds->n, deadline)
                           : sock_send_all(process->fd, out.data, out.len, deadline);
    buf_release(&out);
    /* ERR_CLOSED would be the jobtracker's own connection to it, and the order lost. */
    return rc == 0 ? 0
                   : err_set(err, ERR_IO, "cannot hand the task to its process: %s", err_text(rc));
}

/* --- who serves what ------------------------------------------------------------------------- */

static bool is_idle(const struct wk_process *process)
{
    return row_is_over(&process->row) && process->conn && !process->was_killed &&
           !process->is_being_fenced && conn_queued_bytes(process->conn) == 0;
}

static struct wk_process *find_idle(const struct worker *worker, uint64_t cluster_ms, uint64_t job)
{
    list_each (&worker->runners, it) {
        struct wk_process *process = list_entry(it, struct wk_process, link);
        if (process->job == job && process->cluster_ms == cluster_ms && is_idle(process))
            return process;
    }
    return NULL;
}

/* An idle one keeps its buffers: what they and those at work hold must leave room for the task. */
static void make_room(struct worker *worker, const struct process_wish *wish)
{
    uint64_t held = wish->memory;
    list_each (&worker->runners, it)
        held += list_entry(it, struct wk_process, link)->memory;
    list_each_safe (&worker->runners, it) {
        struct wk_process *process = list_entry(it, struct wk_process, link);
        if (held <= worker->memory)
            return;
        if (process->job == 0 || !is_idle(process))
            continue;
        held -= process->memory;
        process_kill(process);
    }
}

static int become(struct wk_process *process, const struct task_user *user, struct err *err)
{
    struct task_become msg = {slice_str(user->name), user->uid, user->gid};
    return user->is_same ? 0 : say(process, TASK_BECOME, &task_become_desc, &msg, NULL, err);
}

struct wk_process *process_get(struct worker *worker, const struct process_wish *wish,
                               struct err *err)
{
    struct wk_process *process = find_idle(worker, wish->cluster_ms, wish->job);
    if (!process) {
        make_room(worker, wish);
        process = find_idle(worker, 0, 0);
        if (!process && (process = start(worker, err)))
            fence_open(&process->fence, &worker->fences, process->pid);
        if (process && become(process, wish->user, err) != 0) {
            process_kill(process);
            process = NULL;
        }
        process_keep_blanks(worker);
    }
    if (!process)
        return NULL;
    process->cluster_ms = wish->cluster_ms;
    process->job = wish->job;
    if (process->memory < wish->memory)
        process->memory = wish->memory;
    process->served += wish->tasks;
    return process;
}

/* --- blank ones ------------------------------------------------------------------------------ */

static uint32_t count_blanks(const struct worker *worker)
{
    uint32_t blank = 0;
    list_each (&worker->runners, it) {
        const struct wk_process *process = list_entry(it, struct wk_process, link);
        blank += process->job == 0 && (process->is_being_fenced || is_idle(process));
    }
    return blank;
}

/* What its first task would have to wait for. */
static void prepare(struct wk_process *process)
{
    struct err err;
    (void)outfit_clear_page(process, &err); /* what cannot be now is tried again then */
    (void)outfit_clear_memory(process, &err);
    if (process->worker->usual_limit)
        fence_set(&process->fence, process->worker->usual_limit);
}

/* Moving a process into a group waits for all processors to have looked up: milliseconds. */
static void fence_run(struct work *work)
{
    struct wk_process *process = CONTAINER_OF(work, struct wk_process, fencing);
    fence_open(&process->fence, &process->worker->fences, process->pid);
}

static void fence_done(struct work *work)
{
    struct wk_process *process = CONTAINER_OF(work, struct wk_process, fencing);
    process->is_being_fenced = false;
    if (process->conn)
        prepare(process);
    else
        reap(process);
}

static void add_blank(void *arg)
{
    struct worker *worker = arg;
    struct err err = {0};
    uint32_t blank = count_blanks(worker);
    if (worker->is_stopping || blank >= worker->blanks_wanted)
        return;
    struct wk_process *process = start(worker, &err);
    if (process) {
        process->is_being_fenced = true;
        process->fencing = WORK_INIT;
        workq_submit(worker->fencer, &process->fencing, fence_run, fence_done);
    } else
        log_warn("wk.task", "%s", err.msg); /* the next task that needs one says it again */
    if (process && blank + 1 < worker->blanks_wanted) /* one by one, so that nobody waits for all */
        (void)loop_after(worker->loop, &worker->add_blank, BLANK_SOON_MS, add_blank, worker);
}

void process_keep_blanks(struct worker *worker)
{
    bool is_running = loop_timer_is_running(&worker->add_blank);
    uint64_t wait_ms = count_blanks(worker) ? BLANK_MS : BLANK_SOON_MS;
    if (worker->blanks_wanted && (!is_running || wait_ms == BLANK_SOON_MS))
        (void)loop_after(worker->loop, &worker->add_blank, wait_ms, add_blank, worker);
}

/* --- talking to it --------------------------------------------------------------------------- */

int process_run(struct wk_process *process, const struct task_run *run, struct err *err)
{
    struct task_fds fds = {{process->page_fd, process->log.fd, process->memory_fd},
                           process->memory_fd >= 0 ? 3 : 2};
    if (process->has_fds)
        fds.n = 0;
    int rc = say(process, TASK_RUN, &task_run_desc, run, &fds, err);
    process->has_fds = rc == 0;
    if (run->behind.n)
        (void)loop_after(process->worker->loop, &process->row_look, ROW_LOOK_MS, look_at_row,
                         process);
    return rc;
}

void process_tell_outputs(struct wk_process *process, const struct task_outputs *outputs)
{
    struct frame frame = {.type = TASK_OUTPUTS, .flags = FRAME_ONEWAY};
    if (process->conn &&
        frame_put(conn_out(process->conn), &frame, &task_outputs_desc, outputs) != 0)
        process_kill(process);
}

void process_kill(struct wk_process *process)
{
    process->was_killed = true;
    if (!process->is_being_fenced) /* it has started nobody then, and the fence is not ours */
        fence_kill(&process->fence);
    kill(-process->pid, SIGKILL);
    kill(process->pid, SIGKILL); /* its group may not exist yet */
}

void process_end_job(struct worker *worker, uint64_t cluster_ms, uint64_t job)
{
    list_each_safe (&worker->runners, it) {
        struct wk_process *process = list_entry(it, struct wk_process, link);
        if (process->job == job && process->cluster_ms == cluster_ms)
            process_kill(process);
    }
}

void process_kill_all(struct worker *worker)
{
    workq_free(worker->fencer); /* nobody is on the way into a group */
    worker->fencer = NULL;
    list_each_safe (&worker->runners, it) {
        struct wk_process *process = list_entry(it, struct wk_process, link);
        process_drop_row(process);
        process_kill(process);
        waitpid(process->pid, NULL, 0);
        fence_close(&process->fence);
        loop_timer_stop(&process->reap);
        list_remove(&process->link);
        if (process->conn) {
            conn_abort(process->conn); /* on_close still points at it: its memory goes with ours */
            outfit_drop_dirs(process);
        } else
            process_free(process); /* it had hung up, and was still to be waited for */
    }
    loop_timer_stop(&worker->strays);
    loop_timer_stop(&worker->add_blank);
    birth_close(&worker->birth);
    (void)strays_end(is_runner, worker, STRAYS_MS);
}
