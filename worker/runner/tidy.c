/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/runner/tidy.h"

#include <dirent.h>
#include <fcntl.h>
#include <locale.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"

/* Beside its buffers and what it had at first: less than a task is given beyond its buffers, so
 * what others have left is not what it fails of. */
#define KEPT_BYTES ((size_t)24 << 20)
/* The engine's own: connections to datanodes, mostly. */
#define KEPT_FILES 128

extern char **environ;

/* --- environment ----------------------------------------------------------------------------- */

static size_t count_environment(void)
{
    size_t n = 0;
    while (environ && environ[n])
        n++;
    return n;
}

static int note_environment(struct tidy *tidy)
{
    size_t n = count_environment();
    tidy->environment = mem_calloc(n + 1, sizeof(char *));
    if (!tidy->environment)
        return ERR_NOMEM;
    for (; tidy->count < n; tidy->count++) {
        tidy->environment[tidy->count] = str_dup(environ[tidy->count]);
        if (!tidy->environment[tidy->count])
            return ERR_NOMEM;
    }
    return 0;
}

static bool is_environment_same(const struct tidy *tidy)
{
    size_t i = 0;
    for (; environ && environ[i] && i < tidy->count; i++)
        if (strcmp(environ[i], tidy->environment[i]) != 0)
            return false;
    return i == tidy->count && (!environ || !environ[i]);
}

static int restore_environment(const struct tidy *tidy)
{
    if (is_environment_same(tidy))
        return 0;
    int rc = clearenv();
    for (size_t i = 0; rc == 0 && i < tidy->count; i++) {
        char *line = str_dup(tidy->environment[i]); /* the environment's own from now on */
        rc = line ? putenv(line) : -1;
    }
    return rc == 0 ? 0 : ERR_NOMEM;
}

/* --- signals --------------------------------------------------------------------------------- */

/* What to do with one has no word for "as before", so each is looked at. */
static bool is_same_action(const struct sigaction *a, const struct sigaction *b)
{
    return a->sa_handler == b->sa_handler && a->sa_flags == b->sa_flags;
}

static void restore_signals(const struct tidy *tidy)
{
    struct sigaction now;
    for (int s = 1; s < TIDY_SIGNALS; s++)
        if (sigaction(s, NULL, &now) == 0 && !is_same_action(&now, &tidy->actions[s]))
            (void)sigaction(s, &tidy->actions[s], NULL);
    (void)sigprocmask(SIG_SETMASK, &tidy->blocked, NULL);
}

/* An alarm that was set must not ring in another attempt. */
static void stop_timers(void)
{
    static const __itimer_which_t timers[] = {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF};
    static const struct itimerval off;
    for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++)
        (void)setitimer(timers[i], &off, NULL);
}

/* --- memory ---------------------------------------------------------------------------------- */

static int open_once(int *fd, const char *path, int how)
{
    if (*fd == 0)
        *fd = open(path, how | O_CLOEXEC);
    return *fd;
}

static size_t own_memory(int fd)
{
    char text[128];
    unsigned long long resident, shared;
    ssize_t n = fd >= 0 ? pread(fd, text, sizeof(text) - 1, 0) : 0;
    text[n > 0 ? n : 0] = 0;
    if (sscanf(text, "%*u %llu %llu", &resident, &shared) != 2 || resident < shared)
        return 0;
    return (size_t)(resident - shared) * (size_t)sysconf(_SC_PAGESIZE);
}

/* --- descriptors ----------------------------------------------------------------------------- */

static size_t count_files(void)
{
    struct stat st;
    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0) /* newer kernels count them */
        return (size_t)st.st_size;
    DIR *d = opendir("/proc/self/fd");
    size_t n = 0;
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return d ? n : SIZE_MAX; /* none was left to look with */
}

bool tidy_keeps_files(const struct tidy *tidy)
{
    return count_files() > tidy->open_files + KEPT_FILES;
}

/* --- limits ---------------------------------------------------------------------------------- */

static __rlimit_resource_t limit_at(int i)
{
    return (__rlimit_resource_t)i;
}

bool tidy_limits(const struct tidy *tidy)
{
    struct rlimit now;
    bool is_same = true;
    for (int i = 0; i < RLIM_NLIMITS; i++)
        if (i != RLIMIT_DATA && getrlimit(limit_at(i), &now) == 0 &&
            memcmp(&now, &tidy->limits[i], sizeof(now)) != 0)
            is_same = setrlimit(limit_at(i), &tidy->limits[i]) == 0 && is_same;
    return is_same;
}

/* --- all of it ------------------------------------------------------------------------------- */

int tidy_note(struct tidy *tidy)
{
    *tidy = (struct tidy){0};
    tidy->mask = umask(0);
    (void)umask(tidy->mask);
    (void)sigprocmask(SIG_SETMASK, NULL, &tidy->blocked);
    for (int s = 1; s < TIDY_SIGNALS; s++)
        (void)sigaction(s, NULL, &tidy->actions[s]);
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC); /* not kept: a twin has its own */
    tidy->own_bytes = own_memory(fd);
    if (fd >= 0)
        close(fd);
    tidy->open_files = count_files();
    for (int i = 0; i < RLIM_NLIMITS; i++)
        (void)getrlimit(limit_at(i), &tidy->limits[i]);
    return note_environment(tidy);
}

int tidy_up(const struct tidy *tidy)
{
    stop_timers();
    restore_signals(tidy);
    (void)umask(tidy->mask);
    const char *locale = setlocale(LC_ALL, NULL);
    if (!locale || strcmp(locale, "C") != 0)
        (void)setlocale(LC_ALL, "C");
    return restore_environment(tidy);
}

bool tidy_has_grown(struct tidy *tidy, size_t buffers)
{
    size_t most = tidy->own_bytes + buffers + KEPT_BYTES;
    int fd = open_once(&tidy->statm_fd, "/proc/self/statm", O_RDONLY);
    if (own_memory(fd) <= most)
        return false;
    (void)malloc_trim(0); /* what was freed goes back to the system */
    return own_memory(fd) > most;
}

/* The kernel's high-water mark of a process can be set back to what it holds now. */
void tidy_forget_peak(struct tidy *tidy)
{
    int fd = open_once(&tidy->refs_fd, "/proc/self/clear_refs", O_WRONLY);
    ssize_t n = fd >= 0 ? pwrite(fd, "5", 1, 0) : 0;
    (void)n; /* then an attempt is told to have had what an earlier one had */
}
