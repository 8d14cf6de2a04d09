/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/daemon/ready.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "libcommon/base/clock.h"

static void tell(struct ready *ready, const char *word, const char *why)
{
    char line[ERR_MSG_MAX + 16];
    if (ready->fd < 0)
        return;
    int n = snprintf(line, sizeof(line), "%s%s\n", word, why);
    ssize_t ignored = write(ready->fd, line, (size_t)n); /* nobody there any more: then not */
    (void)ignored;
    close(ready->fd);
    ready->fd = -1;
}

void ready_ok(struct ready *ready)
{
    tell(ready, "ok", "");
    ready_notify("READY=1");
}

void ready_failed(struct ready *ready, const char *why)
{
    tell(ready, "error: ", why);
}

void ready_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (!path || !*path || strlen(path) >= sizeof(un.sun_path))
        return;
    memcpy(un.sun_path, path, strlen(path));
    if (un.sun_path[0] == '@')
        un.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    ssize_t ignored =
        sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&un, len);
    (void)ignored;
    close(fd);
}

/* A pipe, so none of sock's calls. 0 or ERR_TIMEOUT. */
static int wait_readable(int fd, uint64_t deadline_ms)
{
    for (;;) {
        uint64_t now_ms = clock_mono_ms();
        if (now_ms >= deadline_ms)
            return ERR_TIMEOUT;
        uint64_t left_ms = deadline_ms - now_ms;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, left_ms > INT32_MAX ? -1 : (int)left_ms) > 0)
            return 0;
    }
}

/* Up to the end of the line or of the stream. */
static int read_word(int fd, char *line, size_t cap, uint64_t deadline_ms)
{
    size_t n = 0;
    while (n + 1 < cap) {
        int rc = wait_readable(fd, deadline_ms);
        if (rc != 0)
            return rc;
        ssize_t got = read(fd, line + n, cap - 1 - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        n += (size_t)got;
        if (memchr(line, '\n', n))
            break;
    }
    line[n] = 0;
    line[strcspn(line, "\n")] = 0;
    return 0;
}

int ready_wait(int fd, uint64_t deadline_ms, struct err *err)
{
    static const char error[] = "error: ";
    char line[ERR_MSG_MAX + 16];
    int rc = read_word(fd, line, sizeof(line), deadline_ms);
    if (rc == ERR_TIMEOUT)
        return err_set(err, rc, "does not serve yet");
    if (rc == 0 && strcmp(line, "ok") == 0)
        return 0;
    if (rc == 0 && strncmp(line, error, strlen(error)) == 0)
        return err_set(err, ERR_FAILED, "%s", line + strlen(error));
    return err_set(err, ERR_CLOSED, "died before it served");
}

static void wait_in_front(int fd, const char *program)
{
    struct err err = {0};
    int rc = ready_wait(fd, UINT64_MAX, &err);
    if (rc != 0)
        fprintf(stderr, "%s: %s\n", program, err.msg);
    _exit(rc == 0 ? 0 : 1);
}

int ready_detach(struct ready *ready, const char *program, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_errno(err, errno, "cannot detach");
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        int saved = errno;
        close(ends[0]);
        close(ends[1]);
        return err_errno(err, saved, "cannot detach");
    }
    if (pid > 0) {
        close(ends[1]);
        wait_in_front(ends[0], program);
    }
    close(ends[0]);
    ready->fd = ends[1];
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (setsid() < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0)
        return err_errno(err, errno, "cannot detach");
    close(null);
    return 0;
}
