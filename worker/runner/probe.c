/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/runner/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/store/fsutil.h"
#include "worker/plugin/plugin.h"

#define PROBE_MS 10000U
#define EXIT_MS  2000U /* from its last word to its end */

/* The message of a plugin on `out`; the error's line on `errors`. Returns the exit code. */
static int probe_to(const char *path, bool as_json, int out, int errors)
{
    struct plugin plugin = {0};
    struct task_probe probe;
    struct arena arena = ARENA_INIT;
    struct buf bytes = BUF_INIT;
    struct err err = {0};
    int rc = plugin_load(&plugin, path, &err);
    if (rc == 0)
        rc = plugin_describe(&plugin, &arena, &probe);
    if (rc == 0 && as_json) {
        msg_print(&task_probe_desc, &probe, &bytes);
        buf_append_byte(&bytes, '\n');
    } else if (rc == 0) {
        msg_encode(&task_probe_desc, &probe, &bytes);
    }
    if (rc == 0 && buf_failed(&bytes))
        rc = ERR_NOMEM;
    if (rc == 0)
        rc = fsutil_write_fd(out, buf_slice(&bytes));
    if (rc != 0) {
        const char *text = err.code ? err.msg : err_text(rc);
        (void)fsutil_write_fd(errors, slice_str(text));
        (void)fsutil_write_fd(errors, slice_str("\n"));
    }
    buf_release(&bytes);
    arena_release(&arena);
    plugin_close(&plugin);
    return rc == 0 ? 0 : 1;
}

/* What the plugin prints while it is loaded must not get into the answer. */
static int take_stdout(void)
{
    int out = fcntl(1, F_DUPFD_CLOEXEC, 3);
    if (out >= 0)
        (void)dup2(2, 1);
    return out;
}

int probe_main(int argc, char **argv)
{
    bool as_json = argc > 1 && (strcmp(argv[1], "-json") == 0 || strcmp(argv[1], "--json") == 0);
    const char *path = argv[argc - 1];
    if (argc != (as_json ? 3 : 2)) {
        fprintf(stderr, "usage: quern-task -probe [-json] PLUGIN\n");
        return 2;
    }
    int out = take_stdout();
    return out < 0 ? 1 : probe_to(path, as_json, out, 2);
}

/* --- the asking side ------------------------------------------------------------------------- */

static void child(const char *plugin, int out, int errors)
{
    int null = open("/dev/null", O_RDWR);
    (void)dup2(null, 0);
    (void)dup2(null, 1);
    (void)dup2(null, 2);
    _exit(probe_to(plugin, false, out, errors));
}

/* Until both ends are closed, or the time is over. */
static int read_both(int fds[2], struct buf bufs[2])
{
    uint64_t deadline = clock_mono_ms() + PROBE_MS;
    int open_count = 2;
    while (open_count > 0) {
        uint64_t now = clock_mono_ms();
        struct pollfd p[2] = {{.fd = fds[0], .events = POLLIN}, {.fd = fds[1], .events = POLLIN}};
        if (now >= deadline)
            return ERR_TIMEOUT;
        if (poll(p, 2, (int)(deadline - now)) < 0 && errno != EINTR)
            return err_from_errno(errno);
        for (int i = 0; i < 2; i++) {
            if (fds[i] < 0 || !p[i].revents)
                continue;
            uint8_t *room = buf_reserve(&bufs[i], 4096);
            ssize_t n = room ? read(fds[i], room, 4096) : -1;
            if (n > 0) {
                bufs[i].len += (size_t)n;
            } else {
                close(fds[i]);
                fds[i] = -1;
                open_count--;
            }
        }
    }
    return 0;
}

/* Its exit status; killed when it takes longer. */
static int wait_for(pid_t pid, uint64_t ms)
{
    int status = 0;
    uint64_t deadline = clock_mono_ms() + ms;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (clock_mono_ms() >= deadline) {
            kill(pid, SIGKILL);
            while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
            break;
        }
        (void)poll(NULL, 0, 1);
    }
    return status;
}

static int judge(const char *plugin, int rc, int status, struct buf *errors, struct err *err)
{
    if (rc == ERR_TIMEOUT)
        return err_set(err, ERR_PLUGIN, "%s: does not come back from being loaded", plugin);
    if (rc != 0)
        return err_set(err, rc, "%s: cannot be looked at: %s", plugin, err_text(rc));
    if (WIFSIGNALED(status))
        return err_set(err, ERR_PLUGIN, "%s: crashes while being loaded (signal %d, SIG%s)", plugin,
                       WTERMSIG(status), sigabbrev_np(WTERMSIG(status)));
    if (WEXITSTATUS(status) == 0)
        return 0;
    if (errors->len && errors->data[errors->len - 1] == '\n')
        errors->len--;
    const char *text = buf_cstr(errors);
    return err_set(err, ERR_PLUGIN, "%s", text && text[0] ? text : "the plugin ends the process");
}

int probe_in_child(const char *plugin, struct arena *arena, struct task_probe *ret, struct err *err)
{
    int out[2], errors[2], status = 0;
    struct buf bufs[2] = {BUF_INIT, BUF_INIT};
    if (pipe2(out, O_CLOEXEC) != 0)
        return err_errno(err, errno, "%s: cannot be looked at", plugin);
    if (pipe2(errors, O_CLOEXEC) != 0) {
        close(out[0]);
        close(out[1]);
        return err_errno(err, errno, "%s: cannot be looked at", plugin);
    }
    pid_t pid = fork();
    if (pid == 0)
        child(plugin, out[1], errors[1]);
    close(out[1]);
    close(errors[1]);
    int fds[2] = {out[0], errors[0]};
    int rc = pid < 0 ? err_from_errno(errno) : read_both(fds, bufs);
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (pid > 0)
        status = wait_for(pid, rc == 0 ? EXIT_MS : 0);
    rc = judge(plugin, rc, status, &bufs[1], err);
    if (rc == 0)
        rc = msg_decode(&task_probe_desc, slice_keep(buf_slice(&bufs[0]), arena), arena, ret, err);
    buf_release(&bufs[0]);
    buf_release(&bufs[1]);
    return rc;
}
