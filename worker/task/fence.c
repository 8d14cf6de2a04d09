/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/task/fence.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/proc.h"
#include "libcommon/base/sanitized.h"
#include "libcommon/base/str.h"

#define BEYOND_SHARE 4 /* of a task's memory, or: */
#define BEYOND_MIN   ((uint64_t)64 << 20)
#define BEYOND_MAX   ((uint64_t)256 << 20)
/* What a sanitizer frees is kept back for a while, and shadowed. */
#define BEYOND_TIMES (IS_SANITIZED ? 4U : 1U)

#define PREFIX       "quern-task."
#define LEAF         "quern-worker."
#define DEPTH_MAX    64U
#define KILL_ROUNDS  4
#define MEBIBYTE     ((uint64_t)1 << 20)
#define NEAR         (4 * MEBIBYTE) /* the first version counts in batches: its peak stays this near */
#define DATA_ROOM \
    ((uint64_t)1 << 30) /* what a process may reserve beyond, and perhaps never touch */

/* --- groups ---------------------------------------------------------------------------------- */

static int write_pid(const char *dir, pid_t pid)
{
    char text[16];
    snprintf(text, sizeof(text), "%d", pid);
    return cgroup_write(dir, "cgroup.procs", text);
}

/* How many were killed in this round; those who die already count, too. */
static size_t kill_round(const char *dir)
{
    char path[CGROUP_DIR_MAX + 64];
    size_t n = 0;
    long pid = 0;
    snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
    FILE *f = fopen(path, "re");
    for (; f && fscanf(f, "%ld", &pid) == 1; n++)
        if (pid > 0)
            kill((pid_t)pid, SIGKILL);
    if (f)
        fclose(f);
    return n;
}

/* What a killed worker's tasks have left there is nobody's. True: something was inside, and the
 * group can go when it is gone. */
static bool end_orphans(const struct cgroup *own, const char *name)
{
    char dir[CGROUP_DIR_MAX + 64];
    int n = snprintf(dir, sizeof(dir), "%s/%s", own->dir, name);
    return n < (int)sizeof(dir) && kill_round(dir) > 0;
}

/* Remove what groups there are below ours that belong to nobody: of this worker those without a
 * process, of others those whose worker is gone. */
static bool sweep(const struct cgroup *own)
{
    DIR *d = opendir(own->dir);
    bool has_left = false;
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        const char *name = e->d_name;
        bool is_leaf = strncmp(name, LEAF, strlen(LEAF)) == 0;
        if (!is_leaf && strncmp(name, PREFIX, strlen(PREFIX)) != 0)
            continue;
        pid_t owner = (pid_t)strtol(strchr(name, '.') + 1, NULL, 10);
        bool is_ours = owner == getpid();
        if ((is_ours && is_leaf) || (!is_ours && !proc_is_ending(owner)))
            continue;
        if (unlinkat(dirfd(d), name, AT_REMOVEDIR) != 0 && (is_ours || end_orphans(own, name)))
            has_left = true;
    }
    if (d)
        closedir(d);
    return has_left;
}

static bool sweep_all(const struct fences *fences)
{
    bool has_left = sweep(&fences->own);
    return (fences->pids.kind != CGROUP_NONE && sweep(&fences->pids)) || has_left;
}

void fences_sweep(struct fences *fences)
{
    if (fences->has_left && fences->own.kind != CGROUP_NONE)
        fences->has_left = sweep_all(fences);
}

/* The second version: a group with processes of its own cannot hand memory on to groups below. */
static int hand_memory_down(struct fences *fences)
{
    struct cgroup *own = &fences->own;
    bool is_top = strlen(own->dir) == own->top_len;
    char leaf[CGROUP_DIR_MAX + 64];
    snprintf(leaf, sizeof(leaf), "%s/" LEAF "%d", own->dir, getpid());
    if (!is_top && mkdir(leaf, 0755) != 0 && errno != EEXIST)
        return err_from_errno(errno);
    int rc = is_top ? 0 : write_pid(leaf, getpid());
    if (rc == 0)
        rc = cgroup_write(own->dir, "cgroup.subtree_control", "+memory");
    (void)cgroup_write(own->dir, "cgroup.subtree_control", "+pids"); /* if it may be */
    fences->has_moved = rc == 0 && !is_top;
    if (rc != 0 && !is_top) {
        (void)write_pid(own->dir, getpid());
        rmdir(leaf);
    }
    return rc;
}

static int try_group(const struct fences *fences)
{
    char dir[CGROUP_DIR_MAX + 64];
    snprintf(dir, sizeof(dir), "%s/" PREFIX "%d.0", fences->own.dir, getpid());
    if (mkdir(dir, 0755) != 0 && errno != EEXIST)
        return err_from_errno(errno);
    rmdir(dir);
    return 0;
}

void fences_open(struct fences *fences, bool may_group, char *why, size_t cap)
{
    int rc = 0;
    *fences = (struct fences){0};
    snprintf(why, cap, "as configured");
    if (!may_group)
        return;
    cgroup_find("memory", &fences->own);
    snprintf(why, cap, "no control groups for memory here");
    if (fences->own.kind == CGROUP_NONE)
        return;
    if (fences->own.kind == CGROUP_V2)
        rc = hand_memory_down(fences);
    if (rc == 0)
        rc = try_group(fences);
    snprintf(why, cap, "%s: %s", fences->own.dir, err_text(rc));
    if (rc != 0) {
        fences_close(fences);
        return;
    }
    cgroup_find("pids", &fences->pids);
    if (fences->pids.kind != CGROUP_V1) /* the second version has one tree for all */
        fences->pids.kind = CGROUP_NONE;
    fences->has_left = sweep_all(fences);
    *why = 0;
}

void fences_close(struct fences *fences)
{
    char leaf[CGROUP_DIR_MAX + 64];
    if (fences->own.kind != CGROUP_NONE)
        (void)sweep_all(fences);
    if (fences->has_moved) { /* back, for whoever takes over the group after us */
        snprintf(leaf, sizeof(leaf), "%s/" LEAF "%d", fences->own.dir, getpid());
        (void)cgroup_write(fences->own.dir, "cgroup.subtree_control", "-memory -pids");
        (void)write_pid(fences->own.dir, getpid());
        rmdir(leaf);
    }
    *fences = (struct fences){0};
}

/* --- one process ----------------------------------------------------------------------------- */

/* The process alone in a group of its own below `own`; NULL: it stays where it is. */
static char *enclose(const struct cgroup *own, pid_t pid)
{
    char *dir = str_printf("%s/" PREFIX "%d.%d", own->dir, getpid(), pid);
    bool is_made = dir && (mkdir(dir, 0755) == 0 || errno == EEXIST);
    if (is_made && write_pid(dir, pid) == 0)
        return dir;
    if (is_made)
        rmdir(dir);
    mem_free(dir);
    return NULL;
}

uint64_t fence_limit(uint64_t memory)
{
    uint64_t beyond = memory / BEYOND_SHARE;
    beyond = beyond < BEYOND_MIN ? BEYOND_MIN : beyond > BEYOND_MAX ? BEYOND_MAX : beyond;
    return memory + beyond * BEYOND_TIMES;
}

void fence_open(struct fence *fence, struct fences *all, pid_t pid)
{
    char most[16];
    *fence = (struct fence){.all = all, .pid = pid};
    if (all->own.kind != CGROUP_NONE)
        fence->dir = enclose(&all->own, pid);
    if (all->pids.kind != CGROUP_NONE)
        fence->pids_dir = enclose(&all->pids, pid);
    const char *counts = fence->pids_dir ? fence->pids_dir : fence->dir;
    snprintf(most, sizeof(most), "%d", FENCE_PROCESSES);
    if (counts)
        (void)cgroup_write(counts, "pids.max", most);
}

static bool is_second(const struct fence *fence)
{
    return fence->all->own.kind == CGROUP_V2;
}

static int file_of(struct fence *fence, enum fence_file which)
{
    static const char *const names[][FENCE_FILES] = {
        {"memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.max_usage_in_bytes",
         "memory.oom_control"},
        {"memory.max", "memory.swap.max", "memory.peak", "memory.events"},
    };
    char path[CGROUP_DIR_MAX + 64];
    if (fence->files[which] == 0) {
        snprintf(path, sizeof(path), "%s/%s", fence->dir, names[is_second(fence)][which]);
        fence->files[which] = open(path, (which == FENCE_EVENTS ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
    }
    return fence->files[which];
}

static int put(struct fence *fence, enum fence_file which, const char *text)
{
    int fd = file_of(fence, which);
    if (fd < 0)
        return ERR_NOENT;
    return pwrite(fd, text, strlen(text), 0) < 0 ? err_from_errno(errno) : 0;
}

static void note_events(struct fence *fence, uint64_t *kills, uint64_t *limits)
{
    char text[1024];
    *kills = *limits = 0;
    if (!fence->dir) {
        (void)cgroup_read("/proc", "vmstat", "oom_kill", kills);
        return;
    }
    int fd = file_of(fence, FENCE_EVENTS);
    ssize_t n = fd >= 0 ? pread(fd, text, sizeof(text) - 1, 0) : 0;
    text[n > 0 ? n : 0] = 0;
    (void)cgroup_number(text, "oom_kill", kills);
    if (is_second(fence))
        (void)cgroup_number(text, "oom", limits);
}

/* Memory with swap may never be limited to less than memory: where it is not known which of them is
 * in the way, one of the two orders fits. */
static int limit_first_version(struct fence *fence, uint64_t bytes, const char *text)
{
    if (bytes > fence->taken)
        (void)put(fence, FENCE_SWAP, text);
    int rc = put(fence, FENCE_MEMORY, text);
    if (bytes < fence->taken || fence->taken == 0)
        (void)put(fence, FENCE_SWAP, text);
    return rc;
}

static int limit_second_version(struct fence *fence, const char *text)
{
    if (fence->taken == 0) {
        (void)put(fence, FENCE_SWAP, "0"); /* where there is swap */
        (void)cgroup_write(fence->dir, "memory.oom.group", "1");
    }
    return put(fence, FENCE_MEMORY, text);
}

/* 0 when the group holds to it. */
static int limit_group(struct fence *fence, uint64_t bytes)
{
    char text[24];
    uint64_t kept = 0;
    if (fence->has_given)
        (void)cgroup_read(fence->dir, "memory.stat", "shmem", &kept);
    bytes += kept;
    if (bytes == fence->taken)
        return 0;
    snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
    int rc = is_second(fence) ? limit_second_version(fence, text)
                              : limit_first_version(fence, bytes, text);
    fence->taken = rc == 0 ? bytes : 0;
    return rc;
}

void fence_set(struct fence *fence, uint64_t bytes)
{
    bool is_same = fence->limit == bytes;
    fence->limit = bytes;
    if (fence->dir) {
        fence->is_open = limit_group(fence, bytes) != 0; /* then looks are what limits it */
        if (!is_second(fence))
            (void)put(fence, FENCE_PEAK, "0"); /* begins anew */
    } else if (!IS_SANITIZED && !is_same) {
        /* not with a sanitizer, whose shadow is data by the terabyte */
        struct rlimit data = {2 * bytes + DATA_ROOM, 2 * bytes + DATA_ROOM};
        (void)prlimit(fence->pid, RLIMIT_DATA, &data, NULL); /* looks remain */
    }
    note_events(fence, &fence->kills, &fence->limits);
}

static bool remove_groups(struct fence *fence)
{
    bool is_gone = !fence->dir || rmdir(fence->dir) == 0 || errno == ENOENT;
    return (!fence->pids_dir || rmdir(fence->pids_dir) == 0 || errno == ENOENT) && is_gone;
}

static void forget(struct fence *fence)
{
    for (size_t i = 0; i < FENCE_FILES; i++)
        if (fence->files[i] > 0)
            close(fence->files[i]);
    mem_free(fence->dir);
    mem_free(fence->pids_dir);
    *fence = (struct fence){0};
}

bool fence_close_empty(struct fence *fence)
{
    if (!fence->dir || !remove_groups(fence))
        return false;
    forget(fence);
    return true;
}

void fence_close(struct fence *fence)
{
    if (fence->all && !remove_groups(fence))
        fence->all->has_left = true;
    forget(fence);
}

void fence_kill(const struct fence *fence)
{
    if (!fence->dir || (is_second(fence) && cgroup_write(fence->dir, "cgroup.kill", "1") == 0))
        return;
    /* The first version: nobody may start another while we go through them. */
    size_t before = SIZE_MAX, now;
    if (fence->pids_dir)
        (void)cgroup_write(fence->pids_dir, "pids.max", "0");
    for (int i = 0; i < KILL_ROUNDS && (now = kill_round(fence->dir)) > 0 && now <= before; i++)
        before = now;
}

/* --- looking --------------------------------------------------------------------------------- */

struct look {
    uint64_t own;    /* bytes that are a process's alone, added up */
    uint64_t shared; /* the most that one has shared: files in memory are not counted for each */
};

static void look_at(pid_t pid, unsigned depth, struct look *look);

static void look_below(pid_t pid, const char *thread, unsigned depth, struct look *look)
{
    char path[96], text[4096];
    snprintf(path, sizeof(path), "/proc/%d/task/%s/children", pid, thread);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    for (char *p = text, *end; *p; p = end) {
        long child = strtol(p, &end, 10);
        if (end == p)
            break;
        look_at((pid_t)child, depth + 1, look);
        end += strspn(end, " \n");
    }
}

static void look_at(pid_t pid, unsigned depth, struct look *look)
{
    char path[64], line[128];
    unsigned long long anonymous = 0, shared = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f)) {
        (void)sscanf(line, "RssAnon: %llu", &anonymous);
        if (sscanf(line, "RssShmem: %llu", &shared) == 1)
            break;
    }
    if (f)
        fclose(f);
    look->own += anonymous << 10;
    if (shared << 10 > look->shared)
        look->shared = shared << 10;
    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    DIR *d = depth < DEPTH_MAX ? opendir(path) : NULL;
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        if (isdigit((unsigned char)e->d_name[0]))
            look_below(pid, e->d_name, depth, look);
    if (d)
        closedir(d);
}

uint64_t fence_used(const struct fence *fence)
{
    struct look look = {0};
    look_at(fence->pid, 0, &look);
    return look.own + look.shared;
}

/* --- judging --------------------------------------------------------------------------------- */

enum fence_verdict fence_judge(struct fence *fence, bool is_killed, uint64_t *ret_peak,
                               char *evidence, size_t cap)
{
    uint64_t kills, limits, limit = fence->limit;
    char a[32], b[32];
    note_events(fence, &kills, &limits);
    kills -= fence->kills;
    *ret_peak = 0;
    *evidence = 0;
    if (kills == 0 || fence->limit == 0 || (!fence->dir && !is_killed))
        return FENCE_QUIET;
    if (!fence->dir) {
        snprintf(evidence, cap, "the kernel has killed %llu processes of this machine meanwhile",
                 (unsigned long long)kills);
        return FENCE_NODE;
    }
    (void)cgroup_read(fence->dir, is_second(fence) ? "memory.peak" : "memory.max_usage_in_bytes",
                      NULL, ret_peak);
    (void)cgroup_read(fence->dir, is_second(fence) ? "memory.max" : "memory.limit_in_bytes", NULL,
                      &limit);
    snprintf(evidence, cap, "control group: limit %s, peak %s, %llu killed by the kernel",
             str_human(limit, a, sizeof(a)), str_human(*ret_peak, b, sizeof(b)),
             (unsigned long long)kills);
    bool is_limit = is_second(fence) ? limits > fence->limits : *ret_peak + NEAR >= limit;
    return is_limit ? FENCE_LIMIT : FENCE_NODE;
}
