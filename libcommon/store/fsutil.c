/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/store/fsutil.h"

#include <errno.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/store/outfile.h"

#define LOCK_FILE  "in_use.lock"
#define COPY_CHUNK (1U << 20)

static int fail(struct err *err, int code, const char *path, const char *verb)
{
    const char *why = code == ERR_CORRUPT ? "it is not a regular file" : err_text(code);
    return err_set(err, code, "%s: cannot %s: %s", path, verb, why);
}

char *fsutil_join(const char *dir, const char *name)
{
    size_t n = strlen(dir);
    return str_printf("%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name);
}

static int read_fd(struct disk *disk, int fd, size_t max_bytes, struct buf *out)
{
    struct disk_stat st;
    int rc = disk_stat_fd(disk, fd, &st);
    if (rc != 0)
        return rc;
    if (st.is_dir)
        return ERR_ISDIR;
    if (st.size_bytes > max_bytes)
        return ERR_TOOBIG;
    uint8_t *to = buf_reserve(out, st.size_bytes + 1);
    if (!to)
        return ERR_NOMEM;
    int64_t n = disk_pread(disk, fd, to, st.size_bytes, 0);
    if (n < 0)
        return (int)n;
    out->len += (size_t)n;
    return 0;
}

int fsutil_read_all(struct disk *disk, const char *path, size_t max_bytes, struct buf *out,
                    struct err *err)
{
    int fd = -1;
    int rc = disk_open(disk, path, DISK_READ, &fd);
    if (rc == 0)
        rc = read_fd(disk, fd, max_bytes, out);
    disk_close(disk, fd);
    return rc ? fail(err, rc, path, "read") : 0;
}

int fsutil_write_fd(int fd, struct slice bytes)
{
    while (bytes.len) {
        ssize_t n = write(fd, bytes.data, bytes.len);
        if (n < 0 && errno != EINTR)
            return err_from_errno(errno);
        if (n > 0)
            bytes = slice_of(bytes.data + n, bytes.len - (size_t)n);
    }
    return 0;
}

int fsutil_write_all(struct disk *disk, const char *path, struct slice data, struct err *err)
{
    int fd = -1;
    int rc = disk_open(disk, path, DISK_WRITE | DISK_CREATE | DISK_TRUNC, &fd);
    if (rc == 0)
        rc = disk_pwrite(disk, fd, data.data, data.len, 0);
    if (rc == 0)
        rc = disk_fsync(disk, fd);
    disk_close(disk, fd);
    return rc ? fail(err, rc, path, "write") : 0;
}

int fsutil_replace(struct disk *disk, const char *path, struct slice data, struct err *err)
{
    struct outfile out;
    int rc = outfile_open(&out, disk, path, err);
    if (rc != 0)
        return rc;
    outfile_append(&out, data.data, data.len);
    return outfile_commit(&out, err);
}

static int copy_into(struct disk *disk, int fd, struct outfile *out)
{
    void *chunk = mem_alloc(COPY_CHUNK);
    if (!chunk)
        return ERR_NOMEM;
    int64_t n;
    uint64_t off = 0;
    do {
        n = disk_pread(disk, fd, chunk, COPY_CHUNK, off);
        if (n > 0)
            outfile_append(out, chunk, (size_t)n);
        off += n > 0 ? (uint64_t)n : 0;
    } while (n == COPY_CHUNK);
    mem_free(chunk);
    return n < 0 ? (int)n : 0;
}

int fsutil_copy(struct disk *disk, const char *from, const char *to, struct err *err)
{
    int fd = -1;
    int rc = disk_open(disk, from, DISK_READ, &fd);
    if (rc != 0)
        return fail(err, rc, from, "read");
    struct outfile out;
    rc = outfile_open(&out, disk, to, err);
    if (rc == 0) {
        rc = copy_into(disk, fd, &out);
        if (rc != 0) {
            outfile_abort(&out);
            fail(err, rc, from, "read");
        } else {
            rc = outfile_commit(&out, err);
        }
    }
    disk_close(disk, fd);
    return rc;
}

int fsutil_sync_parent(struct disk *disk, const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    char *dir = !slash          ? str_dup(".")
                : slash == path ? str_dup("/")
                                : slice_dup(slice_of(path, (size_t)(slash - path)));
    if (!dir)
        return fail(err, ERR_NOMEM, path, "sync the directory");
    int rc = disk_fsync_dir(disk, dir);
    if (rc != 0)
        fail(err, rc, dir, "fsync");
    mem_free(dir);
    return rc;
}

static int make_one(struct disk *disk, const char *path, struct err *err)
{
    int rc = disk_mkdir(disk, path);
    if (rc == 0)
        return fsutil_sync_parent(disk, path, err);
    if (rc != ERR_EXIST)
        return fail(err, rc, path, "create");
    struct disk_stat st;
    rc = disk_stat(disk, path, &st);
    if (rc != 0)
        return fail(err, rc, path, "create");
    return st.is_dir ? 0 : err_set(err, ERR_NOTDIR, "%s: is in the way: not a directory", path);
}

int fsutil_mkdirs(struct disk *disk, const char *path, struct err *err)
{
    char *copy = str_dup(path);
    if (!copy)
        return fail(err, ERR_NOMEM, path, "create");
    size_t len = strlen(copy);
    while (len > 1 && copy[len - 1] == '/')
        copy[--len] = 0;
    int rc = 0;
    for (char *p = copy + 1; len && rc == 0 && *p; p++) {
        if (*p == '/' && p[-1] != '/') {
            *p = 0;
            rc = make_one(disk, copy, err);
            *p = '/';
        }
    }
    if (rc == 0 && strcmp(copy, "/") != 0)
        rc = make_one(disk, copy, err);
    mem_free(copy);
    return rc;
}

/* Names are gathered first: the directory changes while we remove. */
struct names {
    char **v;
    size_t n, cap;
};

static int gather(void *arg, const char *name, bool is_dir)
{
    (void)is_dir;
    struct names *names = arg;
    if (mem_grow(&names->v, &names->cap, names->n, sizeof(*names->v)) != 0)
        return ERR_NOMEM;
    names->v[names->n] = str_dup(name);
    return names->v[names->n] ? (names->n++, 0) : ERR_NOMEM;
}

static int empty_dir(struct disk *disk, const char *dir, struct err *err)
{
    struct names names = {0};
    int rc = disk_list(disk, dir, gather, &names);
    if (rc != 0)
        fail(err, rc, dir, "list");
    for (size_t i = 0; i < names.n; i++) {
        char *path = rc == 0 ? fsutil_join(dir, names.v[i]) : NULL;
        if (path)
            rc = fsutil_remove_tree(disk, path, err);
        else if (rc == 0)
            rc = fail(err, ERR_NOMEM, dir, "empty");
        mem_free(path);
        mem_free(names.v[i]);
    }
    mem_free(names.v);
    return rc;
}

int fsutil_remove_tree(struct disk *disk, const char *path, struct err *err)
{
    int rc = disk_unlink(disk, path); /* first as a file, so that a link is never followed */
    if (rc == ERR_ISDIR || rc == ERR_NOTPERM) {
        rc = empty_dir(disk, path, err);
        if (rc != 0)
            return rc;
        rc = disk_rmdir(disk, path);
    }
    return rc == 0 || rc == ERR_NOENT ? 0 : fail(err, rc, path, "remove");
}

struct endings {
    struct disk *disk;
    const char *dir, *ending;
};

static int remove_if_ends_so(void *arg, const char *name, bool is_dir)
{
    const struct endings *e = arg;
    size_t n = strlen(name), end = strlen(e->ending);
    if (is_dir || n < end || strcmp(name + n - end, e->ending) != 0)
        return 0;
    char *path = fsutil_join(e->dir, name);
    int rc = path ? disk_unlink(e->disk, path) : ERR_NOMEM;
    mem_free(path);
    return rc;
}

int fsutil_remove_endings(struct disk *disk, const char *dir, const char *ending, struct err *err)
{
    struct endings e = {disk, dir, ending};
    int rc = disk_list(disk, dir, remove_if_ends_so, &e);
    return rc == 0 ? 0 : err_set(err, rc, "cannot clean up %s: %s", dir, err_text(rc));
}

static int seen_something(void *arg, const char *name, bool is_dir)
{
    (void)is_dir;
    if (strcmp(name, "lost+found") != 0 && strcmp(name, LOCK_FILE) != 0)
        *(bool *)arg = true;
    return 0;
}

int fsutil_is_empty_dir(struct disk *disk, const char *path)
{
    bool seen = false;
    int rc = disk_list(disk, path, seen_something, &seen);
    return rc < 0 ? rc : !seen;
}

/* Who holds it, as they wrote it: "4711 host1 quern-namenode\n". Without it, only that it is held.
 */
static int say_busy(struct disk *disk, const char *dir, const char *path, struct err *err)
{
    struct buf text = BUF_INIT;
    char pid[24] = "", host[256] = "", program[64] = "";
    const char *s = fsutil_read_all(disk, path, 4096, &text, NULL) == 0 ? buf_cstr(&text) : NULL;
    int n = s ? sscanf(s, "%23s %255s %63s", pid, host, program) : 0;
    if (n == 3)
        err_set(err, ERR_BUSY, "%s is in use: locked by process %s (%s) on %s: stop it first", dir,
                pid, program, host);
    else
        err_set(err, ERR_BUSY, "%s is in use: another process has locked it", dir);
    buf_release(&text);
    return ERR_BUSY;
}

/* For people only, so not worth an fsync. */
static int write_owner(struct disk *disk, int fd)
{
    char host[256] = "", line[400];
    if (gethostname(host, sizeof(host) - 1) != 0 || !host[0])
        snprintf(host, sizeof(host), "localhost");
    int n = snprintf(line, sizeof(line), "%ld %s %s\n", (long)getpid(), host,
                     program_invocation_short_name);
    struct disk_stat st;
    int rc = disk_stat_fd(disk, fd, &st);
    if (rc == 0 && st.is_dir) /* it was locked all the same, as directories are */
        rc = ERR_ISDIR;
    rc = rc ? rc : disk_truncate(disk, fd, 0);
    return rc ? rc : disk_pwrite(disk, fd, line, (size_t)n, 0);
}

/* Both, or none. A directory that cannot be locked has its file for it. */
static int lock_both(struct disk *disk, const char *dir, const char *path, struct fsutil_lock *ret)
{
    *ret = (struct fsutil_lock){disk, -1, -1};
    int rc = disk_lock(disk, path, &ret->fd);
    if (rc == 0 && disk_lock(disk, dir, &ret->dir_fd) == ERR_BUSY)
        rc = ERR_BUSY;
    if (rc != 0)
        fsutil_unlock(ret);
    return rc;
}

int fsutil_lock(struct disk *disk, const char *dir, struct fsutil_lock *ret, struct err *err)
{
    char *path = fsutil_join(dir, LOCK_FILE);
    struct fsutil_lock lock;
    if (!path)
        return fail(err, ERR_NOMEM, dir, "lock");
    int rc = lock_both(disk, dir, path, &lock);
    if (rc == ERR_BUSY)
        say_busy(disk, dir, path, err);
    else if (rc != 0)
        fail(err, rc, path, "lock");
    if (rc == 0 && (rc = write_owner(disk, lock.fd)) != 0) {
        fail(err, rc, path, "write");
        fsutil_unlock(&lock);
    }
    if (rc == 0)
        *ret = lock;
    mem_free(path);
    return rc;
}

void fsutil_unlock(struct fsutil_lock *lock)
{
    if (lock->disk) {
        disk_close(lock->disk, lock->dir_fd);
        disk_close(lock->disk, lock->fd);
    }
    *lock = FSUTIL_LOCK_INIT;
}
