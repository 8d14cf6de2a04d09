/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/task/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/event/conn.h"
#include "worker/task/attempt.h"
#include "worker/task/strays.h"

#define RUN_SEND_MS   10000
#define REAP_AGAIN_MS 20
#define UMBILICAL_FD  3
#define STRAYS_MS     2000

/* --- the child ------------------------------------------------------------------------------- */

/* When the machine runs out of memory, a task goes before any daemon. */
static void go_first(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? write(fd, "900", 3) : 0;
    (void)n; /* without it the kernel decides alone */
    if (fd >= 0)
        close(fd);
}

static void become(const struct task_user *user)
{
    if (user->is_same)
        return;
    if (initgroups(user->name, user->gid) != 0 || setgid(user->gid) != 0 || setuid(user->uid) != 0)
        _exit(126);
}

/* Between fork and exec: only what is safe there. */
static void child(const char *program, int fd, const struct task_user *user)
{
    sigset_t none;
    char *const argv[] = {(char *)(uintptr_t) "quern-task", NULL};
    setpgid(0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    if (fd == UMBILICAL_FD)
        fcntl(fd, F_SETFD, 0);
    else if (dup2(fd, UMBILICAL_FD) < 0)
        _exit(126);
    close_range(UMBILICAL_FD + 1, ~0U, 0);
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0 && null != 0) {
        dup2(null, 0);
        close(null);
    }
    go_first();
    become(user);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* after setuid, which clears it */
    execv(program, argv);
    _exit(127);
}

/* --- its end --------------------------------------------------------------------------------- */

static bool is_runner(const void *arg, pid_t pid)
{
    const struct worker *worker = arg;
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
    kill(-process->pid, SIGKILL); /* children it may have left behind */
    loop_timer_stop(&process->reap);
    list_remove(&process->link);
    end_strays(process->worker);
    if (process->attempt)
        attempt_on_exit(process->attempt, pid == process->pid ? status : 0);
    fence_close(&process->fence);
    mem_free(process);
}

static void on_close(struct conn *conn, int code, void *arg)
{
    struct wk_process *process = arg;
    (void)conn;
    (void)code;
    process->conn = NULL;
    process->fd = -1;
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
            process->attempt = NULL; /* free for the next one */
            attempt_on_done(attempt, &done);
        }
    } else if (rc == 0 && frame->type == TASK_FAILED) {
        rc = msg_decode(&task_failed_desc, frame->body, &arena, &failed, &err);
        if (rc == 0) {
            process->attempt = NULL;
            attempt_on_failed(attempt, &failed);
        }
    } else if (rc == 0 && frame->type == TASK_FETCH_FAILED) {
        rc = msg_decode(&task_fetch_failed_desc, frame->body, &arena, &fetch, &err);
        if (rc == 0)
            attempt_on_fetch_failed(attempt, &fetch);
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

static struct wk_process *start(struct worker *worker, const struct task_user *user,
                                struct err *err)
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
    pid_t pid = fork();
    if (pid == 0)
        child(worker->task_program, pair[1], user);
    close(pair[1]);
    if (pid < 0) {
        err_errno(err, errno, "cannot start a task process");
        close(pair[0]);
        mem_free(process);
        return NULL;
    }
    setpgid(pid, pid); /* both sides: whoever comes first */
    process->worker = worker;
    process->pid = pid;
    process->fd = pair[0];
    fence_open(&process->fence, &worker->fences, pid);
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

struct wk_process *process_get(struct worker *worker, uint64_t cluster_ms, uint64_t job,
                               const struct task_user *user, struct err *err)
{
    list_each (&worker->runners, it) {
        struct wk_process *process = list_entry(it, struct wk_process, link);
        if (process->job == job && process->cluster_ms == cluster_ms && !process->attempt &&
            process->conn && !process->was_killed)
            return process;
    }
    struct wk_process *process = start(worker, user, err);
    if (process) {
        process->cluster_ms = cluster_ms;
        process->job = job;
    }
    return process;
}

int process_run(struct wk_process *process, const struct task_run *run, const int *fds,
                size_t fd_count, struct err *err)
{
    struct buf out = BUF_INIT;
    struct frame frame = {.type = TASK_RUN, .flags = FRAME_ONEWAY};
    int rc = frame_put(&out, &frame, &task_run_desc, run);
    /* The first byte carries the descriptors; the rest follows as plain bytes. */
    uint64_t deadline = clock_mono_ms() + RUN_SEND_MS;
    if (rc == 0)
        rc = sock_send_fds(process->fd, slice_of(out.data, 1), fds, fd_count, deadline);
    if (rc == 0)
        rc = sock_send_all(process->fd, out.data + 1, out.len - 1, deadline);
    buf_release(&out);
    return rc == 0 ? 0 : err_set(err, rc, "cannot hand the task to its process: %s", err_text(rc));
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
        /* its memory goes with the process: on_close still points at it */
    }
    loop_timer_stop(&worker->strays);
    strays_end(is_runner, worker, STRAYS_MS);
}
