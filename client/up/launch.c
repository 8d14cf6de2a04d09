/* SPDX-License-Identifier: Apache-2.0 */
#include "client/up/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/up/program.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/proc.h"
#include "libcommon/daemon/pidfile.h"
#include "libcommon/daemon/ready.h"

#define READY_FD     3
#define LIFTED_FD    10
#define KILL_WAIT_MS 5000
#define ENDING_MS    5000

/* A killed process lets go of its locks before it lets go of its ports. */
pid_t up_running(const struct up_layout *layout, struct up_daemon daemon)
{
    char path[UP_PATH_MAX];
    pid_t pid = pidfile_written(up_daemon_path(layout, daemon, "run", "pid", path));
    if (pid != 0 && proc_is_ending(pid))
        (void)proc_wait(pid, ENDING_MS);
    return pidfile_holder(path);
}

/* ---- in the child, after fork ---- */

static void fail_child(int ready_fd, const char *what)
{
    char line[512];
    int n = snprintf(line, sizeof(line), "error: %s: %s\n", what, strerror(errno));
    ssize_t ignored = write(ready_fd, line, (size_t)n);
    (void)ignored;
    _exit(127);
}

/* Only descriptors 0 to 3 survive: all others of ours are close-on-exec. What goes there is lifted
 * first, since it may stand in each other's way. */
static void become(char *const *argv, int ready_fd, int log_fd, pid_t parent)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int ready = fcntl(ready_fd, F_DUPFD_CLOEXEC, LIFTED_FD);
    int log = fcntl(log_fd, F_DUPFD_CLOEXEC, LIFTED_FD);
    if (null < 0 || ready < 0 || log < 0 || dup2(null, STDIN_FILENO) < 0 ||
        dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0 || dup2(ready, READY_FD) < 0)
        fail_child(ready_fd, "cannot set up its descriptors");
    if (setsid() < 0) /* a Ctrl-C on our terminal is ours alone: we stop it in order */
        fail_child(READY_FD, "cannot begin a session");
    if (parent) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
            _exit(127); /* we died before that took effect */
    }
    execv(argv[0], argv);
    fail_child(READY_FD, argv[0]);
}

/* ---- starting ---- */

static int open_log(const struct up_layout *layout, struct up_daemon daemon, int *ret_fd,
                    struct err *err)
{
    char path[UP_PATH_MAX];
    up_daemon_path(layout, daemon, "log", "log", path);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_errno(err, errno, "cannot open %s", path);
    *ret_fd = fd;
    return 0;
}

static int fork_with_log(const struct up_layout *layout, struct up_daemon daemon, char *const *argv,
                         bool dies_with_us, struct up_process *ret, struct err *err)
{
    int ends[2], log_fd = -1;
    int rc = open_log(layout, daemon, &log_fd, err);
    if (rc != 0)
        return rc;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        rc = err_errno(err, errno, "cannot make a pipe");
        close(log_fd);
        return rc;
    }
    pid_t us = getpid(), pid = fork();
    if (pid == 0)
        become(argv, ends[1], log_fd, dies_with_us ? us : 0);
    if (pid < 0)
        rc = err_errno(err, errno, "cannot start %s", argv[0]);
    close(ends[1]);
    close(log_fd);
    if (rc != 0) {
        close(ends[0]);
        return rc;
    }
    *ret = (struct up_process){.daemon = daemon, .pid = pid, .ready_fd = ends[0]};
    return 0;
}

int up_launch(const struct up_layout *layout, struct up_daemon daemon, bool dies_with_us,
              struct up_process *ret, struct err *err)
{
    static char conf_flag[] = "-conf", pid_flag[] = "-pid-file", ready_flag[] = "-ready-fd",
                ready_fd[] = "3";
    char conf[UP_PATH_MAX], pid_file[UP_PATH_MAX];
    struct buf path = BUF_INIT;
    int rc = program_find(up_daemon_program(daemon), &path, err);
    if (rc == 0) {
        up_daemon_path(layout, daemon, "conf", "conf", conf);
        up_daemon_path(layout, daemon, "run", "pid", pid_file);
        char *argv[] = {(char *)path.data, conf_flag,  conf,     pid_flag,
                        pid_file,          ready_flag, ready_fd, NULL};
        rc = fork_with_log(layout, daemon, argv, dies_with_us, ret, err);
    }
    buf_release(&path);
    return rc;
}

int up_wait_ready(const struct up_layout *layout, struct up_process *process, uint64_t deadline_ms,
                  struct err *err)
{
    char name[32], log[UP_PATH_MAX];
    int rc = ready_wait(process->ready_fd, deadline_ms, err);
    close(process->ready_fd);
    process->ready_fd = -1;
    if (rc == 0)
        return 0;
    up_daemon_name(process->daemon, name);
    if (rc != ERR_FAILED) /* it had no line of its own */
        err_set(err, rc, "%s (its log: %s)",
                rc == ERR_TIMEOUT ? "does not serve in time" : "died while starting",
                up_daemon_path(layout, process->daemon, "log", "log", log));
    err_wrap(err, "%s", name);
    return rc;
}

/* ---- formatting ---- */

/* Reads to the end; the last line of it that is not empty ("" when there is none). */
static const char *last_line(int fd, struct buf *text)
{
    ssize_t got = 1;
    while (got > 0 || (got < 0 && errno == EINTR)) {
        uint8_t *to = buf_reserve(text, 1024);
        got = to ? read(fd, to, 1024) : 0;
        text->len += got > 0 ? (size_t)got : 0;
    }
    while (text->len && text->data[text->len - 1] == '\n')
        text->len--;
    if (!buf_cstr(text))
        return "";
    const char *newline = strrchr((const char *)text->data, '\n');
    return newline ? newline + 1 : (const char *)text->data;
}

static int run_format(char *const *argv, struct err *err)
{
    int ends[2], status = 0;
    struct buf text = BUF_INIT;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_errno(err, errno, "cannot make a pipe");
    pid_t pid = fork();
    if (pid == 0) {
        if (dup2(ends[1], STDOUT_FILENO) >= 0 && dup2(ends[1], STDERR_FILENO) >= 0)
            execv(argv[0], argv);
        fprintf(stderr, "cannot run %s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return err_errno(err, errno, "cannot start %s", argv[0]);
    }
    const char *line = last_line(ends[0], &text);
    close(ends[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    int rc = 0;
    if (status != 0)
        rc = err_set(err, ERR_FAILED, "%s", *line ? line : "quern-namenode -format died");
    buf_release(&text);
    return rc;
}

int up_format(const struct up_layout *layout, struct err *err)
{
    static char format_flag[] = "-format", conf_flag[] = "-conf";
    const struct up_daemon namenode = {UP_NAMENODE, 0};
    char conf[UP_PATH_MAX];
    struct buf path = BUF_INIT;
    int rc = program_find(up_daemon_program(namenode), &path, err);
    if (rc == 0) {
        up_daemon_path(layout, namenode, "conf", "conf", conf);
        char *argv[] = {(char *)path.data, format_flag, conf_flag, conf, NULL};
        rc = run_format(argv, err);
    }
    buf_release(&path);
    return rc;
}

/* ---- stopping ---- */

/* Held by descriptors: a number may be another process's by the time it is signalled again. */
static size_t open_all(const pid_t *pids, size_t count, struct pollfd *ends)
{
    size_t n = 0;
    for (size_t i = 0; i < count && n < UP_STOP_MAX; i++) {
        int fd = pids[i] > 0 ? pidfd_open(pids[i], 0) : -1;
        if (fd >= 0)
            ends[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    return n;
}

static void signal_all(const struct pollfd *ends, size_t count, int signo)
{
    for (size_t i = 0; i < count; i++)
        if (ends[i].fd >= 0)
            (void)pidfd_send_signal(ends[i].fd, signo, NULL, 0); /* it may be gone */
}

/* How many of `left` are not gone by then. */
static unsigned wait_all(struct pollfd *ends, size_t count, unsigned left, uint64_t deadline_ms)
{
    uint64_t now_ms;
    while (left > 0 && (now_ms = clock_mono_ms()) < deadline_ms) {
        if (poll(ends, count, (int)(deadline_ms - now_ms)) <= 0)
            continue;
        for (size_t i = 0; i < count; i++) {
            if (ends[i].fd < 0 || !ends[i].revents)
                continue;
            close(ends[i].fd);
            ends[i].fd = -1;
            left--;
        }
    }
    return left;
}

unsigned up_stop(const pid_t *pids, size_t count, uint64_t deadline_ms)
{
    struct pollfd ends[UP_STOP_MAX] = {0};
    size_t n = open_all(pids, count, ends);
    signal_all(ends, n, SIGTERM);
    signal_all(ends, n, SIGCONT); /* who was stopped would not hear the other */
    unsigned stubborn = wait_all(ends, n, (unsigned)n, deadline_ms);
    signal_all(ends, n, SIGKILL);
    (void)wait_all(ends, n, stubborn, clock_mono_ms() + KILL_WAIT_MS);
    for (size_t i = 0; i < n; i++)
        if (ends[i].fd >= 0)
            close(ends[i].fd);
    for (size_t i = 0; i < count; i++)
        if (pids[i] > 0)
            (void)waitpid(pids[i], NULL, WNOHANG); /* our own children */
    return stubborn;
}
