/* SPDX-License-Identifier: Apache-2.0
 * Its three streams are files in memory: nothing it prints, however much, makes it wait. */
#include "client/job/task_child.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/up/program.h"
#include "libcommon/store/fsutil.h"

#define SAID_MAX 4096U

struct streams {
    int fd[3];
};

static int open_streams(struct streams *s, struct slice input, struct err *err)
{
    int rc = 0;
    for (int i = 0; i < 3; i++)
        s->fd[i] = memfd_create("quern-task", MFD_CLOEXEC);
    if (s->fd[0] < 0 || s->fd[1] < 0 || s->fd[2] < 0)
        return err_errno(err, errno, "no memory for a process");
    rc = fsutil_write_fd(s->fd[0], input);
    if (rc != 0 || lseek(s->fd[0], 0, SEEK_SET) < 0)
        return err_set(err, ERR_NOMEM, "no memory for a process");
    return 0;
}

static void close_streams(struct streams *s)
{
    for (int i = 0; i < 3; i++)
        if (s->fd[i] >= 0)
            close(s->fd[i]);
}

static int run(const char *program, const struct task_child *child, const struct streams *s,
               int *ret_status, struct err *err)
{
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 3; i++)
            dup2(s->fd[i], i);
        execl(program, "quern-task", child->option, child->plugin, (char *)NULL);
        _exit(127);
    }
    if (pid < 0)
        return err_errno(err, errno, "cannot start %s", program);
    while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
        continue;
    return 0;
}

static int take(int fd, size_t max, struct buf *out, struct err *err)
{
    off_t end = lseek(fd, 0, SEEK_END);
    size_t len = end < 0 ? 0 : (uint64_t)end > max ? max : (size_t)end;
    uint8_t *to = end >= 0 ? buf_reserve(out, len + 1) : NULL;
    for (size_t at = 0; to && at < len;) {
        ssize_t n = pread(fd, to + at, len - at, (off_t)at);
        if (n <= 0)
            return err_errno(err, errno, "what quern-task said cannot be read");
        at += (size_t)n;
        out->len += (size_t)n;
    }
    return to ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

/* Its own line, which is the last one: before it stands what the plugin printed. */
static int failed(const struct task_child *child, int status, struct buf *said, struct err *err)
{
    const char *text = buf_cstr(said);
    if (WIFSIGNALED(status))
        return err_set(err, ERR_PLUGIN, "%s: crashed %s (SIG%s)", child->name, child->doing,
                       sigabbrev_np(WTERMSIG(status)));
    if (!text || !*text)
        return err_set(err, ERR_PLUGIN, "%s: quern-task ended with %d %s", child->name,
                       WEXITSTATUS(status), child->doing);
    if (said->data[said->len - 1] == '\n')
        said->data[--said->len] = 0;
    const char *line = strrchr(text, '\n');
    line = line ? line + 1 : text;
    return err_set(err, ERR_PLUGIN, "%s",
                   strncmp(line, "quern-task: ", 12) == 0 ? line + 12 : line);
}

int task_child_ask(const struct task_child *child, struct buf *out, struct err *err)
{
    struct buf program = BUF_INIT, said = BUF_INIT;
    struct streams streams = {{-1, -1, -1}};
    int status = 0;
    int rc = program_find("quern-task", &program, err);
    if (rc == 0)
        rc = open_streams(&streams, child->input, err);
    if (rc == 0)
        rc = run(buf_cstr(&program), child, &streams, &status, err);
    if (rc == 0 && status != 0) {
        rc = take(streams.fd[2], SAID_MAX, &said, err);
        rc = rc == 0 ? failed(child, status, &said, err) : rc;
    } else if (rc == 0) {
        rc = take(streams.fd[1], SIZE_MAX, out, err);
    }
    close_streams(&streams);
    buf_release(&program);
    buf_release(&said);
    return rc;
}
