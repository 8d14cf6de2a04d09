/* SPDX-License-Identifier: Apache-2.0
 * litter: each task looks whether it finds its process as a fresh one would be, fails if not, and
 * leaves behind what it can: environment, umask, an alarm, a handler, a blocked signal, a locale, a
 * limit, a file, and, if asked, memory, open files and a limit that cannot be raised again. Its
 * output is the numbers of its processes. For tests. */
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <quern/job.h>

#define SOME_BYTES ((rlim_t)1 << 40)

static void ignore(int signo)
{
    (void)signo;
}

static const char *dirt(void)
{
    sigset_t blocked;
    struct sigaction action;
    mode_t mask = umask(022);
    umask(mask);
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    sigaction(SIGUSR2, NULL, &action);
    if (getenv("LITTER") || !getenv("PATH"))
        return "its environment";
    if (mask == 0777)
        return "its umask";
    if (alarm(0) != 0)
        return "its alarm";
    if (action.sa_handler == ignore)
        return "its signal handler";
    if (sigismember(&blocked, SIGUSR1))
        return "its signal mask";
    if (strcmp(setlocale(LC_ALL, NULL), "C") != 0)
        return "its locale";
    struct rlimit size;
    if (getrlimit(RLIMIT_FSIZE, &size) == 0 && size.rlim_cur <= SOME_BYTES)
        return "its limit";
    return access("litter", F_OK) == 0 ? "its file" : NULL;
}

static void limit(int what, rlim_t to, int for_good)
{
    struct rlimit now;
    if (getrlimit((__rlimit_resource_t)what, &now) != 0)
        return;
    now.rlim_cur = to;
    if (for_good)
        now.rlim_max = to;
    (void)setrlimit((__rlimit_resource_t)what, &now);
}

static void leave(size_t bytes)
{
    sigset_t blocked;
    FILE *file = fopen("litter", "w");
    if (file)
        fclose(file);
    static char *volatile kept; /* or the compiler sees that nobody looks at it */
    kept = malloc(bytes + 1);
    if (kept)
        memset(kept, 1, bytes + 1);
    setenv("LITTER", "1", 1);
    unsetenv("PATH");
    setlocale(LC_ALL, "C.UTF-8");
    signal(SIGUSR2, ignore);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    alarm(1000);
    limit(RLIMIT_FSIZE, SOME_BYTES, 0);
    umask(0777);
}

static int setup(struct qn_task *task)
{
    const char *found = dirt();
    return found ? qn_fail(task, "another task has left %s", found) : 0;
}

static int map(struct qn_task *task, struct qn_slice nothing, struct qn_slice where)
{
    char text[32];
    (void)nothing;
    if (task->attempt == 0 &&
        qn_to_u64(where) < strtoull(qn_option(task, "litter.fail"), NULL, 10)) {
        fprintf(stderr, "failed in process %d\n", (int)getpid());
        return qn_fail(task, "as asked");
    }
    int len = snprintf(text, sizeof(text), "%d", (int)getpid());
    return qn_emit(task, qn_bytes(text, (size_t)len), qn_nothing());
}

static int cleanup(struct qn_task *task)
{
    leave(strtoull(qn_option(task, "litter.bytes"), NULL, 10));
    for (uint64_t n = strtoull(qn_option(task, "litter.files"), NULL, 10); n; n--)
        (void)!open("/dev/null", O_RDONLY);
    if (*qn_option(task, "litter.limit"))
        limit(RLIMIT_FSIZE, SOME_BYTES / 2, 1);
    return 0;
}

static const struct qn_option_row options[] = {
    {"litter.rows", "1", "how many process numbers"},
    {"litter.bytes", "0", "memory each task leaves behind"},
    {"litter.files", "0", "files each task leaves open"},
    {"litter.limit", "", "anything: each task lowers a limit for good"},
    {"litter.fail", "0", "rows below this number fail their first attempt"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "litter",
    .about = "tells the processes it ran in, and leaves them untidy",
    .setup = setup,
    .map = map,
    .cleanup = cleanup,
    .key = QN_TEXT,
    .value = QN_NONE,
    .input = QN_ROWS,
    .options = options,
};
