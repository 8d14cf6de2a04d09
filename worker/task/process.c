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
#include "libcommon/event/conn.h"
#include "worker/task/attempt.h"
#include "worker/task/strays.h"

#define RUN_SEND_MS   10000
#define REAP_AGAIN_MS 20
#define STRAYS_MS     2000
/* Until there are blank ones again. Each costs half a millisecond, which is not to be the job's
 * that has just begun, unless the next one would find none. */
#define BLANK_MS      25
#define BLANK_SOON_MS 2

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

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void drop_dirs(struct wk_process *process)
{
    char job[ID_TEXT_MAX];
    job_id_text((struct job_id){process->cluster_ms, process->job}, job, sizeof(job));
    sandbox_drop(process->worker, job, &process->dirs, process->dirs_kept);
    process->dirs_kept = false;
}

static void process_free(struct wk_process *process)
{
    if (process->page)
        munmap(process->page, PROGRESS_BYTES);
    close_fd(process->page_fd);
    close_fd(process->memory_fd);
    close_fd(process->log.fd);
    drop_dirs(process);
    mem_free(process);
}

static void reap(void *arg)
{
    struct wk_process *process = arg;
    int status = 0;
    pid_t pid = waitpid(process->pid, &status, WNOHANG);
    if (pid == 0) {
        kill(-process->pid, SIGKILL); /* it closed its end but lives: it is of no more use */
        if (loop_after(process->worker->loop, &process->reap, REAP_AGAIN_MS, reap, process) == 0)
            return;
    }
    if (process->attempt || !fence_close_empty(&process->fence)) {
        fence_kill(&process->fence); /* children it may have left behind */
        kill(-process->pid, SIGKILL);
    }
    loop_timer_stop(&process->reap);
    list_remove(&process->link);
    end_strays(process->worker);
    if (process->attempt) /* it still looks at the page */
        attempt_on_exit(process->attempt, pid == process->pid ? status : 0);
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

static void on_frame(struct wk_process *process, const struct frame *frame)
{
    struct arena arena = ARENA_INIT;
    struct wk_attempt *attempt = process->attempt;
    struct task_done done;
    struct task_failed failed;
    struct task_fetch_failed fetch;
    struct err err = {0};
    int rc = attempt ? 0 : err_set(&err, ERR_PROTO, "a runner spoke without a task");
    if (rc == 0 && frame->type == TASK_DONE) {
        rc = msg_decode(&task_done_desc, frame->body, &arena, &done, &err);
        if (rc == 0) {
            process_put(process, true, attempt->job->tasks_max);
            attempt_on_done(attempt, &done);
        }
    } else if (rc == 0 && frame->type == TASK_FAILED) {
        rc = msg_decode(&task_failed_desc, frame->body, &arena, &failed, &err);
        if (rc == 0) {
            process_put(process, false, 0);
            attempt_on_failed(attempt, &failed);
        }
    } else if (rc == 0 && frame->type == TASK_FETCH_FAILED) {
        rc = msg_decode(&task_fetch_failed_desc, frame->body, &arena, &fetch, &err);
        if (rc == 0)
            attempt_on_fetch_failed(attempt, &fetch);
    } else if (rc == 0 && frame->type == TASK_LAST) {
        process->is_last = true;
    }
    if (rc != 0) {
        log_warn("wk.task", "runner %d: %s", process->pid, err.msg);
        process_kill(process);
    }
    arena_release(&arena);
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
    return rc == 0 ? 0 : err_set(err, rc, "cannot hand the task to its process: %s", err_text(rc));
}

/* --- who serves what ------------------------------------------------------------------------- */

static bool is_idle(const struct wk_process *process)
{
    return !process->attempt && process->conn && !process->was_killed &&
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
    process->served++;
    return process;
}

void process_put(struct wk_process *process, bool was_done, uint32_t tasks_max)
{
    process->attempt = NULL;
    /* Who knows what state a failed one has left behind in the plugin's variables. */
    if (!was_done || process->is_last || (tasks_max && process->served >= tasks_max))
        process_kill(process);
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
    (void)process_clear_page(process, &err); /* what cannot be now is tried again then */
    (void)process_clear_memory(process, &err);
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

/* --- what attempts in it use, one after another ----------------------------------------------- */

int process_clear_dirs(struct wk_process *process, const struct wk_attempt *attempt,
                       struct err *err)
{
    struct worker *worker = process->worker;
    int rc = 0;
    if (process->dirs_kept || !sandbox_is_clean(worker, &process->dirs)) {
        drop_dirs(process);
        rc = sandbox_make(worker, attempt->job_name, &attempt->job->user, &process->dirs, err);
    }
    if (rc == 0 && process->log.fd < 0) {
        process->has_fds = false;
        rc = sandbox_open_log(worker, attempt->job_name, attempt->name, &process->log, err);
    }
    return rc;
}

static int make_page(struct wk_process *process, struct err *err)
{
    process->has_fds = false;
    process->page_fd = memfd_create("quern-progress", MFD_CLOEXEC);
    if (process->page_fd < 0 || ftruncate(process->page_fd, PROGRESS_BYTES) != 0)
        return err_errno(err, errno, "cannot make a progress page");
    void *page =
        mmap(NULL, PROGRESS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, process->page_fd, 0);
    if (page == MAP_FAILED)
        return err_errno(err, errno, "cannot map a progress page");
    process->page = page;
    return 0;
}

int process_clear_page(struct wk_process *process, struct err *err)
{
    int rc = process->page ? 0 : make_page(process, err);
    if (rc != 0)
        return rc;
    memset(process->page, 0, PROGRESS_BYTES);
    process->page->magic = PROGRESS_MAGIC;
    return 0;
}

int process_clear_memory(struct wk_process *process, struct err *err)
{
    /* Small outputs may lie over one another: what a run is long is said with it. */
    bool is_clear = process->memory_fd >= 0 &&
                    (!process->is_memory_used || ftruncate(process->memory_fd, 0) == 0);
    process->is_memory_used = true; /* until it is known that little was put there */
    if (is_clear)
        return 0;
    close_fd(process->memory_fd);
    process->has_fds = false;
    process->memory_fd = memfd_create("quern-map-output", MFD_CLOEXEC);
    return process->memory_fd >= 0 ? 0 : err_errno(err, errno, "cannot make a memory file");
}

int process_run(struct wk_process *process, const struct task_run *run, struct err *err)
{
    struct task_fds fds = {{process->page_fd, process->log.fd, process->memory_fd},
                           process->memory_fd >= 0 ? 3 : 2};
    if (process->has_fds)
        fds.n = 0;
    int rc = say(process, TASK_RUN, &task_run_desc, run, &fds, err);
    process->has_fds = rc == 0;
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
        process->attempt = NULL;
        process_kill(process);
        waitpid(process->pid, NULL, 0);
        fence_close(&process->fence);
        loop_timer_stop(&process->reap);
        if (process->conn)
            conn_abort(process->conn);
        list_remove(&process->link);
        drop_dirs(process);
        /* its memory goes with the process: on_close still points at it */
    }
    loop_timer_stop(&worker->strays);
    loop_timer_stop(&worker->add_blank);
    birth_close(&worker->birth);
    strays_end(is_runner, worker, STRAYS_MS);
}
