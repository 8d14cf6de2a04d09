/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/task/strays.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/proc.h"
#include "libcommon/base/slice.h"

#define OUR_THREADS "qn-"
#define ROUND_US    2000
#define PIECE       4096
#define MARKED_MS   2000

void strays_adopt(void)
{
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* fails on no kernel we run on */
}

/* ---- /proc ---- */

static int read_file(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : 1;
    while (n > 0) {
        uint8_t *to = buf_reserve(out, PIECE);
        n = to ? read(fd, to, PIECE) : -1;
        out->len += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0)
        close(fd);
    return n < 0 ? ERR_IO : 0;
}

typedef void visit_fn(void *arg, pid_t pid);

/* Every numbered entry of a directory of /proc. */
static int each_number(const char *dir, visit_fn *visit, void *arg)
{
    DIR *d = opendir(dir);
    if (!d)
        return ERR_IO;
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        if (isdigit((unsigned char)e->d_name[0]))
            visit(arg, (pid_t)strtol(e->d_name, NULL, 10));
    closedir(d);
    return 0;
}

/* ---- children ---- */

struct killing {
    strays_known_fn *is_known;
    const void *arg;
    size_t left;
    bool has_lists; /* the kernel tells each thread's children */
};

static void kill_one(struct killing *k, pid_t pid)
{
    if (k->is_known && k->is_known(k->arg, pid))
        return;
    kill(pid, SIGKILL);
    k->left++;
    if (waitpid(pid, NULL, WNOHANG) == pid)
        k->left--;
}

static void look_at_thread(void *arg, pid_t tid)
{
    struct killing *k = arg;
    char path[64];
    struct buf text = BUF_INIT;
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", tid);
    int rc = read_file(path, &text);
    const char *p = rc == 0 ? buf_cstr(&text) : NULL;
    k->has_lists = k->has_lists && rc == 0;
    while (p && *p) {
        char *end;
        long pid = strtol(p, &end, 10);
        if (end == p)
            break;
        kill_one(k, (pid_t)pid);
        p = *end ? end + 1 : end;
    }
    buf_release(&text);
}

static void look_at_process(void *arg, pid_t pid)
{
    char path[64];
    int parent = 0;
    struct buf text = BUF_INIT;
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    const char *p = read_file(path, &text) == 0 ? buf_cstr(&text) : NULL;
    p = p ? strrchr(p, ')') : NULL; /* its name may hold anything */
    if (p && sscanf(p + 1, " %*c %d", &parent) == 1 && parent == getpid())
        kill_one(arg, pid);
    buf_release(&text);
}

/* Asked of the kernel at once, where a look at /proc takes a dozen questions. */
static bool has_children(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 || errno != ECHILD;
}

size_t strays_kill(strays_known_fn *is_known, const void *arg)
{
    struct killing k = {is_known, arg, 0, true};
    if (!has_children())
        return 0;
    if (each_number("/proc/self/task", look_at_thread, &k) != 0 || !k.has_lists)
        (void)each_number("/proc", look_at_process, &k);
    return k.left;
}

/* What a killed one has started comes to us when it is gone: so, once more after the last. */
bool strays_end(strays_known_fn *is_known, const void *arg, unsigned most_ms)
{
    uint64_t end_ms = clock_mono_ms() + most_ms;
    bool is_over;
    while (!(is_over = strays_kill(is_known, arg) == 0) && clock_mono_ms() < end_ms)
        usleep(ROUND_US);
    return is_over;
}

/* ---- threads ---- */

static void look_at_name(void *arg, pid_t tid)
{
    char path[64];
    struct buf text = BUF_INIT;
    bool *has_some = arg;
    snprintf(path, sizeof(path), "/proc/self/task/%d/comm", tid);
    const char *name = read_file(path, &text) == 0 ? buf_cstr(&text) : NULL;
    *has_some = *has_some || (tid != getpid() && name && strncmp(name, OUR_THREADS, 3) != 0);
    buf_release(&text);
}

bool strays_has_threads(void)
{
    struct stat st;
    bool has_some = false;
    /* A directory for each, its own and the parent's entry. */
    if (stat("/proc/self/task", &st) == 0 && st.st_nlink == 3)
        return false;
    (void)each_number("/proc/self/task", look_at_name, &has_some);
    return has_some;
}

/* ---- an earlier life's ---- */

/* No process locks so many files, no kernel of today counts them, and whoever inherits the limit
 * cannot raise it. */
static unsigned long long limit_of(const char *id)
{
    return slice_hash(slice_str(id), 0) >> 2 | 1ULL << 61;
}

int strays_mark(const char *id)
{
    struct rlimit limit = {limit_of(id), limit_of(id)};
    return setrlimit(RLIMIT_LOCKS, &limit) == 0 ? 0 : err_from_errno(errno);
}

bool strays_is_marked(pid_t pid, const char *id)
{
    char path[64], mark[64];
    struct buf text = BUF_INIT;
    snprintf(path, sizeof(path), "/proc/%d/limits", pid);
    snprintf(mark, sizeof(mark), " %llu ", limit_of(id));
    const char *limits = read_file(path, &text) == 0 ? buf_cstr(&text) : NULL;
    const char *of_locks = limits ? strstr(limits, "\nMax file locks ") : NULL;
    const char *found = of_locks ? strstr(of_locks, mark) : NULL;
    bool is_marked = found && found < strchrnul(of_locks + 1, '\n');
    buf_release(&text);
    return is_marked;
}

struct hunt {
    const char *id;
    size_t found;
};

static void kill_if_marked(void *arg, pid_t pid)
{
    struct hunt *hunt = arg;
    if (pid != getpid() && strays_is_marked(pid, hunt->id) && !proc_is_ending(pid) &&
        kill(pid, SIGKILL) == 0)
        hunt->found++;
}

/* Again while there are some: one may just have started another. */
size_t strays_end_marked(const char *id)
{
    size_t before;
    struct hunt hunt = {id, 0};
    uint64_t end_ms = clock_mono_ms() + MARKED_MS;
    do {
        before = hunt.found;
        (void)each_number("/proc", kill_if_marked, &hunt);
        if (hunt.found > before)
            usleep(ROUND_US);
    } while (hunt.found > before && clock_mono_ms() < end_ms);
    return hunt.found;
}
