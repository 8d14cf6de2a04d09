/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/runner/symbol.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/err.h"

#define WAIT_MS  2000U
#define TEXT_MAX 1024U

static void child(const char *path, const char *address, int out)
{
    char *const argv[] = {(char *)(uintptr_t) "addr2line", (char *)(uintptr_t) "-f",
                          (char *)(uintptr_t) "-C",        (char *)(uintptr_t) "-s",
                          (char *)(uintptr_t) "-e",        (char *)(uintptr_t)path,
                          (char *)(uintptr_t)address,      NULL};
    int null = open("/dev/null", O_RDWR);
    (void)dup2(null, 0);
    (void)dup2(out, 1);
    (void)dup2(null, 2);
    execvp(argv[0], argv);
    _exit(127);
}

/* What it prints, until it ends or the time is over. */
static size_t read_all(int fd, char *out, size_t cap)
{
    uint64_t deadline = clock_mono_ms() + WAIT_MS;
    size_t len = 0;
    for (;;) {
        uint64_t now = clock_mono_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (now >= deadline || len + 1 >= cap || poll(&p, 1, (int)(deadline - now)) <= 0)
            break;
        ssize_t n = read(fd, out + len, cap - len - 1);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    out[len] = 0;
    return len;
}

static size_t ask(const char *path, const char *address, char *out, size_t cap)
{
    int fds[2];
    out[0] = 0;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return 0;
    pid_t pid = _Fork(); /* no handlers run: the caller may be a process that crashed in malloc */
    if (pid == 0)
        child(path, address, fds[1]);
    close(fds[1]);
    size_t len = pid > 0 ? read_all(fds[0], out, cap) : 0;
    close(fds[0]);
    if (pid > 0) {
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    return len;
}

void symbol_place(const char *place, char *out, size_t cap)
{
    char path[TEXT_MAX], answer[TEXT_MAX];
    const char *plus = strrchr(place, '+');
    snprintf(out, cap, "%s", place);
    if (!plus || (size_t)(plus - place) >= sizeof(path))
        return;
    memcpy(path, place, (size_t)(plus - place));
    path[plus - place] = 0;
    char address[32];
    snprintf(address, sizeof(address), "%.*s", (int)strcspn(plus + 1, " "), plus + 1);
    if (ask(path, address, answer, sizeof(answer)) == 0)
        return;
    /* "function\nfile:line[ (discriminator 3)]\n"; "??" where it does not know. */
    char *line = strchr(answer, '\n');
    if (!line || answer[0] == '?')
        return;
    *line++ = 0;
    line[strcspn(line, " \n")] = 0;
    if (line[0] && line[0] != '?')
        snprintf(out, cap, "%s in %s", line, answer);
    else
        snprintf(out, cap, "%s in %s", place, answer);
}
