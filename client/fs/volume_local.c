/* SPDX-License-Identifier: Apache-2.0
 * The local filesystem as a volume: the other end of put and get, and what file:/ paths mean. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "client/fs/volume.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/path.h"
#include "libcommon/base/str.h"

/* Files are made with what open and mkdir give them; a copy needs no fsync: get promises no more
 * than cp does. */

static int fail(struct qn_error *err, int errnum, const char *path)
{
    int code = err_from_errno(errnum);
    if (errnum == ELOOP || errnum == ENAMETOOLONG)
        code = ERR_INVAL;
    if (err) {
        err->code = code;
        snprintf(err->message, sizeof(err->message), "%s: %s", path,
                 errnum == EACCES || errnum == EPERM ? err_text(code) : strerror(errnum));
    }
    return code;
}

/* What cannot be opened is told as Java tells it. */
static int fail_open(struct qn_error *err, int errnum, const char *path)
{
    int code = fail(err, errnum, path);
    if (err && errnum == EACCES)
        snprintf(err->message, sizeof(err->message), "%s (%s)", path, err_text(code));
    return code;
}

/* What chmod(1) and chown(1), which Hadoop asks, say: "changing VERB of 'PATH': ...". */
static int fail_changing(struct qn_error *err, int errnum, const char *tool, const char *path)
{
    int code = fail(err, errnum, path);
    if (err && (errnum == EACCES || errnum == EPERM))
        snprintf(err->message, sizeof(err->message), "%s of '%s': %s", tool, path, err_text(code));
    return code;
}

static int no_memory(struct qn_error *err)
{
    return fail(err, ENOMEM, "local");
}

/* --- asking ----------------------------------------------------------------------------------- */

struct names {
    char owner[64], group[64];
};

static void fill_names(const struct stat *st, struct names *names)
{
    char room[2048];
    struct passwd pw, *pwp = NULL;
    struct group gr, *grp = NULL;
    if (getpwuid_r(st->st_uid, &pw, room, sizeof(room), &pwp) == 0 && pwp)
        snprintf(names->owner, sizeof(names->owner), "%s", pwp->pw_name);
    else
        snprintf(names->owner, sizeof(names->owner), "%u", st->st_uid);
    if (getgrgid_r(st->st_gid, &gr, room, sizeof(room), &grp) == 0 && grp)
        snprintf(names->group, sizeof(names->group), "%s", grp->gr_name);
    else
        snprintf(names->group, sizeof(names->group), "%u", st->st_gid);
}

static void fill(const struct stat *st, const struct names *names, struct qn_stat *ret)
{
    *ret = (struct qn_stat){
        .name = "",
        .owner = names->owner,
        .group = names->group,
        .id = st->st_ino,
        .length = S_ISDIR(st->st_mode) ? 0 : (uint64_t)st->st_size,
        .block_size = (uint64_t)32 << 20, /* what Hadoop says of local files */
        .mtime_ms = (uint64_t)st->st_mtim.tv_sec * 1000 + (uint64_t)st->st_mtim.tv_nsec / 1000000,
        .atime_ms = (uint64_t)st->st_atim.tv_sec * 1000 + (uint64_t)st->st_atim.tv_nsec / 1000000,
        .replication = S_ISDIR(st->st_mode) ? 0 : 1,
        .mode = st->st_mode & 01777,
        .is_dir = S_ISDIR(st->st_mode),
    };
}

static int local_stat(struct fs_volume *v, const char *path, struct qn_stat *ret,
                      struct qn_error *err)
{
    (void)v;
    struct stat st;
    if (stat(path, &st) != 0) /* nothing is at the end of a circle of links */
        return fail(err, errno == ELOOP ? ENOENT : errno, path);
    struct names *names = mem_alloc(sizeof(*names));
    if (!names)
        return no_memory(err);
    fill_names(&st, names);
    fill(&st, names, ret);
    return 0;
}

static void local_stat_release(struct qn_stat *stat)
{
    mem_free(CONTAINER_OF(stat->owner, struct names, owner[0]));
}

/* --- directories ------------------------------------------------------------------------------ */

struct local_dir {
    struct dirent **entries;
    int count, at;
    char *path;
    struct names names;
    struct qn_stat stat;
};

static int is_entry(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void local_closedir(void *handle)
{
    struct local_dir *dir = handle;
    for (int i = 0; i < dir->count; i++)
        free(dir->entries[i]); /* scandir's, not ours */
    free(dir->entries);
    mem_free(dir->path);
    mem_free(dir);
}

static void *local_opendir(struct fs_volume *v, const char *path, struct qn_error *err)
{
    (void)v;
    struct local_dir *dir = mem_calloc(1, sizeof(*dir));
    if (!dir || !(dir->path = str_dup(path))) {
        mem_free(dir);
        no_memory(err);
        return NULL;
    }
    dir->count = scandir(path, &dir->entries, is_entry, by_name);
    if (dir->count >= 0)
        return dir;
    fail(err, errno, path);
    dir->count = 0;
    local_closedir(dir);
    return NULL;
}

static const struct qn_stat *local_readdir(void *handle, struct qn_error *err)
{
    struct local_dir *dir = handle;
    err->code = 0;
    while (dir->at < dir->count) {
        const char *name = dir->entries[dir->at++]->d_name;
        char *path = str_printf("%s/%s", dir->path, name);
        struct stat st;
        int rc = !path ? ENOMEM : stat(path, &st) == 0 ? 0 : errno;
        if (rc == ENOENT && lstat(path, &st) == 0)
            rc = 0; /* a link to nowhere is shown as itself */
        if (rc != 0 && rc != ENOENT)
            fail(err, rc, path ? path : name);
        mem_free(path);
        if (rc == ENOENT)
            continue; /* gone since the directory was read */
        if (rc != 0)
            return NULL;
        fill_names(&st, &dir->names);
        fill(&st, &dir->names, &dir->stat);
        dir->stat.name = name;
        return &dir->stat;
    }
    return NULL;
}

/* --- reading and writing ---------------------------------------------------------------------- */

struct local_file {
    int fd;
    uint64_t length;
    char *path;
};

static struct local_file *file_new(int fd, const char *path, struct qn_error *err)
{
    struct local_file *file = mem_calloc(1, sizeof(*file));
    if (file && (file->path = str_dup(path))) {
        file->fd = fd;
        return file;
    }
    mem_free(file);
    close(fd);
    no_memory(err);
    return NULL;
}

static int file_free(struct local_file *file)
{
    int rc = close(file->fd) == 0 ? 0 : errno;
    mem_free(file->path);
    mem_free(file);
    return rc;
}

static void *local_open(struct fs_volume *v, const char *path, struct qn_error *err)
{
    (void)v;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        fail_open(err, errno, path);
        return NULL;
    }
    struct stat st;
    struct local_file *file = file_new(fd, path, err);
    if (file && fstat(fd, &st) == 0)
        file->length = (uint64_t)st.st_size;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* only advice */
    return file;
}

static ssize_t local_read(void *handle, void *buffer, size_t size, struct qn_error *err)
{
    struct local_file *file = handle;
    ssize_t n = 0;
    do
        n = read(file->fd, buffer, size);
    while (n < 0 && errno == EINTR);
    return n < 0 ? fail(err, errno, file->path) : n;
}

static int local_seek(void *handle, uint64_t offset, struct qn_error *err)
{
    struct local_file *file = handle;
    return lseek(file->fd, (off_t)offset, SEEK_SET) < 0 ? fail(err, errno, file->path) : 0;
}

static uint64_t local_length(void *handle)
{
    return ((struct local_file *)handle)->length;
}

static void local_close_read(void *handle)
{
    file_free(handle);
}

/* A file we may write over: locked, so that of two who make it one is refused, and truncated only
 * then. The name may have been taken away between opening and locking: again, with a new file. */
static int lock_and_empty(int fd, const char *path)
{
    struct stat mine, now;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return EBUSY; /* a filesystem without locks has to do without */
    if (fstat(fd, &mine) != 0)
        return errno;
    if (!S_ISREG(mine.st_mode))
        return 0;
    if (stat(path, &now) != 0 || now.st_ino != mine.st_ino || now.st_dev != mine.st_dev)
        return ESTALE;
    return ftruncate(fd, 0) == 0 ? 0 : errno;
}

static int open_over(const char *path, mode_t mode)
{
    for (;;) {
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
        int rc = fd < 0 ? errno : lock_and_empty(fd, path);
        if (rc == 0)
            return fd;
        if (fd >= 0)
            close(fd);
        if (rc != ESTALE)
            return -rc;
    }
}

static int open_new(const char *path, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    return fd < 0 ? -errno : fd;
}

static void *local_create(struct fs_volume *v, const char *path, const struct fs_new_file *how,
                          struct qn_error *err)
{
    (void)v;
    mode_t mode = how->mode ? how->mode : 0666;
    int fd = how->overwrite ? open_over(path, mode) : open_new(path, mode);
    if (fd >= 0)
        return file_new(fd, path, err);
    fail_open(err, -fd, path);
    if (fd == -EBUSY && err)
        snprintf(err->message, sizeof(err->message), "%s: another process is writing it", path);
    return NULL;
}

static int local_write(void *handle, const void *data, size_t size, struct qn_error *err)
{
    struct local_file *file = handle;
    const char *p = data;
    while (size) {
        ssize_t n = write(file->fd, p, size);
        if (n < 0 && errno != EINTR)
            return fail(err, errno, file->path);
        if (n > 0) {
            p += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

static bool is_regular(const struct local_file *file)
{
    struct stat st;
    return fstat(file->fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* The lock is given back last: until then the name is ours. */
static void local_abort(void *handle)
{
    struct local_file *file = handle;
    if (is_regular(file))
        unlink(file->path);
    file_free(file);
}

static int local_finish(void *handle, struct qn_error *err)
{
    struct local_file *file = handle;
    char *path = str_dup(file->path);
    int rc = file_free(file);
    if (rc != 0)
        rc = fail(err, rc, path ? path : "local");
    mem_free(path);
    return rc;
}

static int local_rename(struct fs_volume *v, const char *from, const char *to, bool overwrite,
                        struct qn_error *err)
{
    (void)v;
    unsigned flags = overwrite ? 0 : RENAME_NOREPLACE;
    int rc = renameat2(AT_FDCWD, from, AT_FDCWD, to, flags) == 0 ? 0 : errno;
    struct stat st;
    if (rc == EINVAL && !overwrite) /* a filesystem that cannot: ask before */
        rc = lstat(to, &st) == 0 ? EEXIST : rename(from, to) == 0 ? 0 : errno;
    return rc == 0 ? 0 : fail(err, rc, rc == EEXIST || rc == EISDIR ? to : from);
}

/* What a network filesystem has to say when a file is closed, while it still is open for us. */
static int flush_late_errors(const struct local_file *file, struct qn_error *err)
{
    int copy = dup(file->fd);
    return copy >= 0 && close(copy) == 0 ? 0 : fail(err, errno, file->path);
}

static int local_finish_as(void *handle, const char *to, bool overwrite, struct qn_error *err)
{
    struct local_file *file = handle;
    int rc = flush_late_errors(file, err);
    if (rc == 0)
        rc = local_rename(NULL, file->path, to, overwrite, err);
    if (rc != 0) {
        local_abort(file);
        return rc;
    }
    return local_finish(file, err);
}

static bool local_is_special(struct fs_volume *v, const char *path)
{
    (void)v;
    struct stat st;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

/* --- names ------------------------------------------------------------------------------------ */

static int make_one(const char *path, bool may_exist, struct qn_error *err)
{
    if (mkdir(path, 0777) == 0 || (errno == EEXIST && may_exist))
        return 0;
    return fail(err, errno, path);
}

static int local_mkdir(struct fs_volume *v, const char *path, bool parents, struct qn_error *err)
{
    (void)v;
    if (!parents)
        return make_one(path, false, err);
    char *partial = str_dup(path);
    if (!partial)
        return no_memory(err);
    int rc = 0;
    for (char *slash = strchr(partial + 1, '/'); rc == 0 && slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        rc = make_one(partial, true, err);
        *slash = '/';
    }
    mem_free(partial);
    return rc == 0 ? make_one(path, true, err) : rc;
}

static int remove_below(struct fs_volume *v, const char *path, struct qn_error *err);

static int local_remove(struct fs_volume *v, const char *path, bool recursive, struct qn_error *err)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? 0 : fail(err, errno, path);
    if (!S_ISDIR(st.st_mode))
        return unlink(path) == 0 ? 1 : fail(err, errno, path);
    int rc = recursive ? remove_below(v, path, err) : 0;
    if (rc < 0)
        return rc;
    return rmdir(path) == 0 ? 1 : fail(err, errno, path);
}

static int remove_below(struct fs_volume *v, const char *path, struct qn_error *err)
{
    struct qn_error local = {0};
    void *dir = local_opendir(v, path, err);
    if (!dir)
        return ERR_IO;
    int rc = 0;
    const struct dirent *entry = NULL;
    struct local_dir *list = dir;
    while (rc >= 0 && list->at < list->count && (entry = list->entries[list->at++])) {
        char *child = str_printf("%s/%s", path, entry->d_name);
        rc = child ? local_remove(v, child, true, &local) : no_memory(&local);
        mem_free(child);
    }
    local_closedir(dir);
    if (rc < 0 && err)
        *err = local;
    return rc < 0 ? rc : 0;
}

static int local_chmod(struct fs_volume *v, const char *path, uint32_t mode, struct qn_error *err)
{
    (void)v;
    return chmod(path, mode & 01777) == 0
               ? 0
               : fail_changing(err, errno, "chmod: changing permissions", path);
}

/* As chown(1) says it, which Hadoop asks. */
static int nobody(struct qn_error *err, const char *what, const char *owner, const char *group)
{
    if (err) {
        err->code = ERR_INVAL;
        snprintf(err->message, sizeof(err->message), "chown: invalid %s: \u2018%s%s%s\u2019", what,
                 owner ? owner : "", group ? ":" : "", group ? group : "");
    }
    return ERR_INVAL;
}

static int local_chown(struct fs_volume *v, const char *path, const char *owner, const char *group,
                       struct qn_error *err)
{
    (void)v;
    char room[2048];
    struct passwd pw, *pwp = NULL;
    struct group gr, *grp = NULL;
    if (owner && (getpwnam_r(owner, &pw, room, sizeof(room), &pwp) != 0 || !pwp))
        return nobody(err, "user", owner, group);
    uid_t uid = owner ? pw.pw_uid : (uid_t)-1;
    if (group && (getgrnam_r(group, &gr, room, sizeof(room), &grp) != 0 || !grp))
        return nobody(err, "group", owner, group);
    return chown(path, uid, group ? gr.gr_gid : (gid_t)-1) == 0
               ? 0
               : fail_changing(err, errno, "chown: changing ownership", path);
}

static struct timespec to_timespec(int64_t ms)
{
    if (ms < 0)
        return (struct timespec){.tv_nsec = UTIME_OMIT};
    return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
}

static int local_utimes(struct fs_volume *v, const char *path, int64_t mtime_ms, int64_t atime_ms,
                        struct qn_error *err)
{
    (void)v;
    const struct timespec times[2] = {to_timespec(atime_ms), to_timespec(mtime_ms)};
    return utimensat(AT_FDCWD, path, times, 0) == 0 ? 0 : fail(err, errno, path);
}

static int add_up(struct fs_volume *v, const char *path, struct qn_summary *sum,
                  struct qn_error *err)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return fail(err, errno, path);
    if (!S_ISDIR(st.st_mode)) {
        sum->files++;
        sum->length += (uint64_t)st.st_size;
        sum->space += (uint64_t)st.st_size;
        return 0;
    }
    sum->dirs++;
    struct local_dir *dir = local_opendir(v, path, err);
    int rc = dir ? 0 : ERR_IO;
    while (rc == 0 && dir->at < dir->count) {
        char *child = str_printf("%s/%s", path, dir->entries[dir->at++]->d_name);
        rc = child ? add_up(v, child, sum, err) : no_memory(err);
        mem_free(child);
    }
    if (dir)
        local_closedir(dir);
    return rc;
}

static int local_summary(struct fs_volume *v, const char *path, struct qn_summary *ret,
                         struct qn_error *err)
{
    *ret = (struct qn_summary){.quota = -1, .space_quota = -1, .type_quotas = {-1, -1, -1, -1, -1}};
    return add_up(v, path, ret, err);
}

static int local_space(struct fs_volume *v, struct qn_space *ret, struct qn_error *err)
{
    (void)v;
    struct statvfs st;
    if (statvfs("/", &st) != 0)
        return fail(err, errno, "/");
    ret->capacity = (uint64_t)st.f_blocks * st.f_frsize;
    ret->remaining = (uint64_t)st.f_bavail * st.f_frsize;
    ret->used = ret->capacity - (uint64_t)st.f_bfree * st.f_frsize;
    return 0;
}

static void local_close(struct fs_volume *v)
{
    (void)v;
}

static const struct fs_volume_ops local_ops = {
    .close = local_close,
    .stat = local_stat,
    .stat_release = local_stat_release,
    .opendir = local_opendir,
    .readdir = local_readdir,
    .closedir = local_closedir,
    .open = local_open,
    .read = local_read,
    .seek = local_seek,
    .length = local_length,
    .close_read = local_close_read,
    .create = local_create,
    .write = local_write,
    .finish = local_finish,
    .finish_as = local_finish_as,
    .abort = local_abort,
    .is_special = local_is_special,
    .mkdir = local_mkdir,
    .rename = local_rename,
    .remove = local_remove,
    .chmod = local_chmod,
    .chown = local_chown,
    .utimes = local_utimes,
    .summary = local_summary,
    .space = local_space,
};

struct fs_volume *fs_volume_local_new(void)
{
    char *here = getcwd(NULL, 0);
    struct fs_volume *v = mem_calloc(1, sizeof(*v));
    if (v && fs_volume_init(v, &local_ops, "file:///", here ? here : "/") != 0) {
        fs_volume_free(v);
        v = NULL;
    }
    free(here); /* getcwd's */
    return v;
}
