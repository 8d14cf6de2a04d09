/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/task/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/str.h"
#include "worker/task/strays.h"

#define LOG_TAIL_BYTES    65536 /* of a log that grew too long; worker.log.limit is no less */
#define FREE_BELIEVED_MS  500
#define LITTLE_ROOM_BYTES ((uint64_t)256 << 20)
#define LOG_BLOCK_BYTES   4096 /* a whole number of the filesystem's blocks */

/* --- directories ----------------------------------------------------------------------------- */

static const char *const rooms[] = {"plugins", "jobs", "logs"};
static const char *const names[] = {"plugins", "jobs", "logs", "outputs.sock", NULL};
static const struct home_kind home = {"worker", 1, names};

/* The directory of somebody else is no failed disk: this is a mistake, and nothing is touched. */
static bool is_mistake(int rc)
{
    return rc == ERR_NOTEMPTY || rc == ERR_VERSION || rc == ERR_CORRUPT || rc == ERR_FOREIGN;
}

static int prepare(struct worker *worker, struct worker_dir *dir, struct err *err)
{
    int rc = fsutil_mkdirs(worker->disk, dir->path, err);
    if (rc == 0)
        rc = fsutil_lock(worker->disk, dir->path, &dir->lock, err);
    if (rc == 0)
        rc = home_read(worker->disk, dir->path, &home, &dir->version, err);
    if (rc != 0)
        return rc;
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(rooms); i++) {
        char *room = fsutil_join(dir->path, rooms[i]);
        rc = room ? fsutil_mkdirs(worker->disk, room, err)
                  : err_set(err, ERR_NOMEM, "out of memory");
        if (rc == 0 && geteuid() == 0)
            chmod(room, 0711); /* tasks of other users pass through, and list nothing */
        mem_free(room);
    }
    if (rc == 0 && geteuid() == 0)
        chmod(dir->path, 0711);
    return rc;
}

/* Which directory is best does not change from one task to the next. */
static uint64_t free_bytes(struct worker *worker, struct worker_dir *dir)
{
    struct disk_space space;
    if (worker_now(worker) < dir->free_until_ms)
        return dir->free_bytes;
    dir->free_bytes = disk_space(worker->disk, dir->path, &space) == 0 ? space.free_bytes : 0;
    dir->free_until_ms = worker_now(worker) + FREE_BELIEVED_MS;
    return dir->free_bytes;
}

/* Under another name, one that no life has given before: the same job may come again. */
static void remove_later(struct worker *worker, const char *dir, const char *path)
{
    char *gone = str_printf("%s/jobs/.gone.%" PRIx64 ".%" PRIu64, dir, worker->incarnation,
                            ++worker->gone_count);
    leavings_add_tree(&worker->leavings,
                      gone && disk_rename(worker->disk, path, gone) == 0 ? gone : path);
    mem_free(gone);
}

static int add_name(void *arg, const char *name, bool is_dir)
{
    struct buf *found = arg;
    (void)is_dir;
    buf_append(found, name, strlen(name) + 1);
    return 0;
}

/* Jobs of an earlier life go while this one is at work, unless its tasks would find no room. */
static void remove_earlier_jobs(struct worker *worker, struct worker_dir *dir)
{
    struct buf found = BUF_INIT;
    char *jobs = fsutil_join(dir->path, "jobs");
    if (jobs)
        disk_list(worker->disk, jobs, add_name, &found); /* gathered: the directory changes */
    for (size_t at = 0; at < found.len; at += strlen((const char *)found.data + at) + 1) {
        char *path = fsutil_join(jobs, (const char *)found.data + at);
        if (path && free_bytes(worker, dir) < LITTLE_ROOM_BYTES)
            fsutil_remove_tree(worker->disk, path, NULL);
        else if (path)
            remove_later(worker, dir->path, path);
        mem_free(path);
    }
    dir->free_until_ms = 0;
    buf_release(&found);
    mem_free(jobs);
}

/* Processes of tasks that an earlier life of this worker, in this very directory, left behind. */
static void end_earlier_life(struct worker *worker)
{
    struct stat st = {0};
    size_t first = sandbox_good_dir(worker, 0);
    if (first == WORKER_DIRS_MAX || stat(worker->dirs[first].path, &st) != 0)
        return;
    snprintf(worker->mark, sizeof(worker->mark), "%s.%llx.%llx", worker->id,
             (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
    size_t found = strays_end_marked(worker->mark);
    if (found)
        log_warn("wk.sandbox", "killed %zu processes an earlier life's tasks had left", found);
    if (strays_mark(worker->mark) != 0)
        log_warn("wk.sandbox",
                 "this user's limit of file locks (ulimit -x) is not unlimited: should this worker "
                 "be killed, what its tasks leave behind is not known again");
}

int sandbox_open(struct worker *worker, struct err *err)
{
    struct conf_list dirs = conf_list(daemon_conf(worker->daemon), "worker.local.dir");
    struct err why = {0};
    size_t good = 0;
    if (dirs.count == 0 || dirs.count > WORKER_DIRS_MAX)
        return err_set(err, ERR_CONFIG, "worker.local.dir names %zu directories: give 1 to %d",
                       dirs.count, WORKER_DIRS_MAX);
    for (size_t i = 0; i < dirs.count; i++) {
        struct worker_dir *dir = &worker->dirs[worker->dir_count++];
        *dir = (struct worker_dir){.path = dirs.items[i], .lock = FSUTIL_LOCK_INIT};
        int rc = prepare(worker, dir, &why);
        if (is_mistake(rc))
            return err_set(err, rc, "%s", why.msg);
        dir->is_bad = rc != 0;
        if (!dir->is_bad && dir->version.storage_id[0])
            memcpy(worker->id, dir->version.storage_id, sizeof(worker->id));
        if (dir->is_bad)
            log_warn("wk.sandbox", "not using %s: %s", dir->path, why.msg);
        good += !dir->is_bad;
    }
    if (!worker->id[0])
        version_new_id(worker->id);
    end_earlier_life(worker);
    for (size_t i = 0; i < worker->dir_count; i++)
        if (!worker->dirs[i].is_bad)
            remove_earlier_jobs(worker, &worker->dirs[i]);
    return good ? 0
                : err_set(err, why.code, "no usable directory in worker.local.dir: %s", why.msg);
}

int sandbox_join(struct worker *worker, const char *cluster_id, const char *other, struct err *err)
{
    for (size_t i = 0; i < worker->dir_count; i++) {
        struct worker_dir *dir = &worker->dirs[i];
        int rc = dir->is_bad ? 0
                             : home_join(worker->disk, dir->path, &home, cluster_id, worker->id,
                                         other, &dir->version, err);
        if (is_mistake(rc))
            return rc;
        if (rc == 0)
            continue;
        log_warn("wk.sandbox", "not using %s any more: %s", dir->path, err->msg);
        dir->is_bad = true;
        *err = (struct err){0};
    }
    worker->is_joined = true;
    return 0;
}

void sandbox_close(struct worker *worker)
{
    for (size_t i = 0; i < worker->dir_count; i++)
        fsutil_unlock(&worker->dirs[i].lock);
}

size_t sandbox_good_dir(const struct worker *worker, size_t from)
{
    for (size_t i = from; i < worker->dir_count; i++)
        if (!worker->dirs[i].is_bad)
            return i;
    return WORKER_DIRS_MAX;
}

void sandbox_give_up(struct worker *worker, size_t dir, const struct err *why)
{
    if (!worker->dirs[dir].is_bad)
        log_warn("wk.sandbox", "not using %s any more: %s", worker->dirs[dir].path, why->msg);
    worker->dirs[dir].is_bad = true;
}

/* --- users ----------------------------------------------------------------------------------- */

static bool look_up(const char *name, struct task_user *ret)
{
    struct passwd pw, *found = NULL;
    char room[4096];
    if (!*name || getpwnam_r(name, &pw, room, sizeof(room), &found) != 0 || !found)
        return false;
    ret->uid = found->pw_uid;
    ret->gid = found->pw_gid;
    snprintf(ret->name, sizeof(ret->name), "%s", name);
    return true;
}

int sandbox_user(const struct worker *worker, const char *submitter, struct task_user *ret,
                 struct err *err)
{
    const char *other = conf_str(daemon_conf(worker->daemon), "worker.task.user");
    *ret = (struct task_user){.is_same = geteuid() != 0};
    if (ret->is_same)
        return 0;
    if (look_up(submitter, ret) && ret->uid != 0)
        return 0;
    if (*other)
        return look_up(other, ret)
                   ? 0
                   : err_set(err, ERR_CONFIG, "worker.task.user: there is no user %s here", other);
    /* Nobody else is configured: a cluster of root's own, for root. */
    if (strcmp(submitter, "root") == 0) {
        ret->is_same = true;
        return 0;
    }
    return err_set(err, ERR_CONFIG,
                   "user %s has no account on this node: set worker.task.user to run such tasks",
                   submitter);
}

/* --- an attempt's directories ---------------------------------------------------------------- */

/* mkdir of a directory in the job's own, which is made when it is not there. */
static int make_below(const char *above, const char *path, mode_t mode, struct err *err)
{
    if (mkdir(path, mode) == 0 || errno == EEXIST)
        return 0;
    if (errno == ENOENT && mkdir(above, 0711) != 0 && errno != EEXIST)
        return err_errno(err, errno, "cannot make %s", above);
    if (mkdir(path, mode) != 0 && errno != EEXIST)
        return err_errno(err, errno, "cannot make %s", path);
    return 0;
}

static int make_one(struct worker_dir *dir, const char *job, const char *name,
                    const struct task_user *user, char **ret)
{
    char *path = str_printf("%s/jobs/%s/%s", dir->path, job, name);
    if (!path)
        return ERR_NOMEM;
    char *above = str_printf("%s/jobs/%s", dir->path, job);
    struct err err = {0};
    int rc = above ? make_below(above, path, 0700, &err) : ERR_NOMEM;
    if (rc == 0 && !user->is_same && chown(path, user->uid, user->gid) != 0)
        rc = err_errno(&err, errno, "cannot give %s to %s", path, user->name);
    mem_free(above);
    if (rc != 0) {
        mem_free(path);
        dir->is_bad = rc != ERR_NOSPC && rc != ERR_QUOTA && rc != ERR_NOMEM;
        log_warn("wk.sandbox", "not using %s%s: %s", dir->path, dir->is_bad ? " any more" : " now",
                 err.msg);
        return rc;
    }
    *ret = path;
    return 0;
}

static int none_left(const struct worker *worker, struct err *err)
{
    bool is_for_good = sandbox_good_dir(worker, 0) == WORKER_DIRS_MAX;
    return err_set(err, is_for_good ? ERR_NONODE : ERR_IO,
                   "no directory of worker.local.dir is usable any more (the worker's log tells "
                   "what failed): mend one and start the worker again");
}

int sandbox_make(struct worker *worker, const char *job, const struct task_user *user,
                 struct task_dirs *ret, struct err *err)
{
    uint64_t room[WORKER_DIRS_MAX];
    *ret = (struct task_dirs){.v = mem_calloc(worker->dir_count, sizeof(char *))};
    if (!ret->v)
        return err_set(err, ERR_NOMEM, "out of memory");
    snprintf(ret->name, sizeof(ret->name), "runner_%llu",
             (unsigned long long)++worker->last_runner);
    for (size_t i = 0; i < worker->dir_count; i++) {
        struct worker_dir *dir = &worker->dirs[i];
        char *path;
        if (dir->is_bad || make_one(dir, job, ret->name, user, &path) != 0)
            continue;
        uint64_t here = free_bytes(worker, dir);
        size_t at = ret->count++;
        for (; at > 0 && room[at - 1] < here; at--) { /* most room first */
            room[at] = room[at - 1];
            ret->v[at] = ret->v[at - 1];
        }
        room[at] = here;
        ret->v[at] = path;
    }
    if (ret->count > 0)
        return 0;
    mem_free(ret->v);
    *ret = (struct task_dirs){0};
    return none_left(worker, err);
}

static bool is_empty(const char *path)
{
    char entries[512]; /* of an empty one there are two, "." and ".." */
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? getdents64(fd, entries, sizeof(entries)) : -1;
    size_t found = 0;
    for (ssize_t at = 0; at < n; found++)
        at += ((const struct dirent64 *)(const void *)(entries + at))->d_reclen;
    if (fd >= 0)
        close(fd);
    return n > 0 && found == 2;
}

bool sandbox_is_clean(const struct worker *worker, const struct task_dirs *dirs)
{
    size_t good = 0;
    for (size_t i = 0; i < worker->dir_count; i++)
        good += !worker->dirs[i].is_bad;
    if (good != dirs->count)
        return false;
    for (size_t i = 0; i < dirs->count; i++)
        if (!is_empty(dirs->v[i]))
            return false;
    return true;
}

static void remove_below(struct worker *worker, const char *format_rest)
{
    for (size_t i = 0; i < worker->dir_count; i++) {
        char *path = fsutil_join(worker->dirs[i].path, format_rest);
        /* Mostly there is nothing left in it. */
        if (path && !worker->dirs[i].is_bad && rmdir(path) != 0 && errno != ENOENT)
            remove_later(worker, worker->dirs[i].path, path);
        mem_free(path);
    }
}

void sandbox_drop(struct worker *worker, const char *job, struct task_dirs *dirs, bool is_kept)
{
    char *rest = dirs->v && !is_kept ? str_printf("jobs/%s/%s", job, dirs->name) : NULL;
    if (rest)
        remove_below(worker, rest);
    mem_free(rest);
    for (size_t i = 0; i < dirs->count; i++)
        mem_free(dirs->v[i]);
    mem_free(dirs->v);
    *dirs = (struct task_dirs){0};
}

void sandbox_remove_job(struct worker *worker, const char *job)
{
    char *rest = str_printf("jobs/%s", job);
    if (rest)
        remove_below(worker, rest);
    mem_free(rest);
}

/* --- logs ------------------------------------------------------------------------------------ */

/* Without a name; with the attempt's where that cannot be. */
static int open_here(const char *above, const char *path, struct task_log *ret)
{
    int fd = open(above, O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
    ret->is_named = fd < 0 && errno != ENOENT;
    if (ret->is_named)
        fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return fd;
}

static int open_log_in(const struct worker_dir *dir, const char *job, const char *attempt,
                       struct task_log *ret, struct err *err)
{
    char *above = str_printf("%s/logs/%s", dir->path, job);
    char *path = str_printf("%s/logs/%s/%s.log", dir->path, job, attempt);
    int rc = above && path ? 0 : err_set(err, ERR_NOMEM, "out of memory");
    ret->fd = rc == 0 ? open_here(above, path, ret) : -1;
    if (rc == 0 && ret->fd < 0 && errno == ENOENT) {
        if (mkdir(above, 0711) != 0 && errno != EEXIST)
            rc = err_errno(err, errno, "cannot make %s", above);
        ret->fd = rc == 0 ? open_here(above, path, ret) : -1;
    }
    if (rc == 0 && ret->fd < 0)
        rc = err_errno(err, errno, "cannot open %s", path);
    mem_free(above);
    mem_free(path);
    return rc;
}

/* Where most room is: an attempt's last words should not be lost to a full disk. */
int sandbox_open_log(struct worker *worker, const char *job, const char *attempt,
                     struct task_log *ret, struct err *err)
{
    bool was_tried[WORKER_DIRS_MAX] = {false};
    int rc = none_left(worker, err);
    for (size_t tries = 0; tries < worker->dir_count; tries++) {
        size_t best = WORKER_DIRS_MAX;
        uint64_t most = 0;
        for (size_t i = 0; i < worker->dir_count; i++) {
            uint64_t room = free_bytes(worker, &worker->dirs[i]);
            if (worker->dirs[i].is_bad || was_tried[i] || (best < WORKER_DIRS_MAX && room <= most))
                continue;
            best = i;
            most = room;
        }
        if (best == WORKER_DIRS_MAX)
            return rc;
        was_tried[best] = true;
        ret->dir = best;
        rc = open_log_in(&worker->dirs[best], job, attempt, ret, err);
        if (rc == 0)
            return 0;
    }
    return rc;
}

bool sandbox_name_log(struct worker *worker, const char *job, const char *attempt,
                      struct task_log *log)
{
    struct stat st;
    if (log->fd < 0 || log->is_named || fstat(log->fd, &st) != 0 || st.st_size == 0)
        return log->fd >= 0 && log->is_named;
    char from[64];
    char *path = str_printf("%s/logs/%s/%s.log", worker->dirs[log->dir].path, job, attempt);
    snprintf(from, sizeof(from), "/proc/self/fd/%d", log->fd);
    log->is_named = path && linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0;
    if (!log->is_named)
        log_warn("wk.sandbox", "cannot keep the log of %s: %s", attempt, strerror(errno));
    mem_free(path);
    return log->is_named;
}

bool sandbox_has_logs(const struct worker *worker, const char *job)
{
    struct disk_stat st;
    bool has = false;
    for (size_t i = 0; !has && i < worker->dir_count; i++) {
        char *path = str_printf("%s/logs/%s", worker->dirs[i].path, job);
        has = path && disk_stat(worker->disk, path, &st) == 0;
        mem_free(path);
    }
    return has;
}

/* The front is taken out in one step where the filesystem can, so what is written meanwhile stays
 * behind what was written before; the note replaces the line that was cut. `cut`: whole blocks. */
static bool collapse(int fd, off_t cut, const char *note, size_t len)
{
    char again[64];
    if (fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, cut) != 0)
        return false;
    snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
    int front = open(again, O_WRONLY | O_CLOEXEC); /* fd itself would append */
    if (front < 0 || pwrite(front, note, len, 0) != (ssize_t)len)
        log_warn("wk.sandbox", "cannot note that a log was cut: %s", strerror(errno));
    if (front >= 0)
        close(front);
    return true;
}

/* Elsewhere: cut to nothing, and written again. A line written just between comes first. */
static void cut_and_rewrite(int fd, off_t cut, const char *note, size_t len)
{
    char tail[LOG_TAIL_BYTES + LOG_BLOCK_BYTES];
    ssize_t n = pread(fd, tail, sizeof(tail), cut);
    if (ftruncate(fd, 0) != 0)
        return;
    if (write(fd, note, len) != (ssize_t)len || (n > 0 && write(fd, tail, (size_t)n) != n))
        log_warn("wk.sandbox", "cannot keep the end of a log: %s", strerror(errno));
}

/* Its end stays. All its writers append. */
void sandbox_trim_log(struct worker *worker, int fd)
{
    struct stat st;
    uint64_t limit = conf_size(daemon_conf(worker->daemon), "worker.log.limit");
    if (fd < 0 || fstat(fd, &st) != 0 || (uint64_t)st.st_size <= limit)
        return;
    char note[128];
    off_t cut = (st.st_size - LOG_TAIL_BYTES) / LOG_BLOCK_BYTES * LOG_BLOCK_BYTES;
    int len = snprintf(note, sizeof(note),
                       "... %lld bytes were printed before this and are not kept "
                       "(worker.log.limit)\n",
                       (long long)cut);
    if (!collapse(fd, cut, note, (size_t)len))
        cut_and_rewrite(fd, cut, note, (size_t)len);
}

/* It lies in one of the directories. */
static int find_log(struct worker *worker, const char *job, const char *attempt, int *ret_fd)
{
    int rc = ERR_NOENT;
    for (size_t i = 0; rc != 0 && i < worker->dir_count; i++) {
        char *path = str_printf("%s/logs/%s/%s.log", worker->dirs[i].path, job, attempt);
        rc = path ? disk_open(worker->disk, path, DISK_READ, ret_fd) : ERR_NOMEM;
        mem_free(path);
    }
    return rc;
}

int sandbox_read_log(struct worker *worker, const char *job, const char *attempt, bool from_end,
                     uint64_t offset, size_t max, struct buf *out, uint64_t *ret_total)
{
    int fd = -1;
    struct disk_stat st;
    int rc = find_log(worker, job, attempt, &fd);
    if (rc == 0)
        rc = disk_stat_fd(worker->disk, fd, &st);
    if (rc == 0) {
        if (from_end)
            offset = st.size_bytes > max ? st.size_bytes - max : 0;
        uint8_t *to = buf_reserve(out, max);
        int64_t n = to ? disk_pread(worker->disk, fd, to, max, offset) : ERR_NOMEM;
        if (n < 0)
            rc = (int)n;
        else
            out->len += (size_t)n;
        *ret_total = st.size_bytes;
    }
    disk_close(worker->disk, fd);
    return rc;
}

struct expiry {
    struct worker *worker;
    const char *logs;
    uint64_t before_ms;
};

static int expire_one(void *arg, const char *name, bool is_dir)
{
    struct expiry *e = arg;
    struct disk_stat st;
    char *path = is_dir ? fsutil_join(e->logs, name) : NULL;
    if (path && disk_stat(e->worker->disk, path, &st) == 0 && st.mtime_ms < e->before_ms)
        leavings_add_tree(&e->worker->leavings, path);
    mem_free(path);
    return 0;
}

void sandbox_expire_logs(struct worker *worker)
{
    uint64_t keep = conf_ms(daemon_conf(worker->daemon), "worker.log.retain");
    uint64_t now = clock_wall_ms();
    for (size_t i = 0; i < worker->dir_count; i++) {
        char *logs = fsutil_join(worker->dirs[i].path, "logs");
        struct expiry e = {worker, logs, now > keep ? now - keep : 0};
        if (logs && !worker->dirs[i].is_bad)
            disk_list(worker->disk, logs, expire_one, &e);
        mem_free(logs);
    }
}
