/* SPDX-License-Identifier: Apache-2.0
 * disk_real: the kernel's answer to each row of the disk table. The only fsync and rename in quern.
 *
 * EINTR is retried (a signal is not a failure of the disk). close(2) is not checked: whatever must
 * be durable was synced before. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/store/disk.h"

#define COPY_CHUNK (1U << 20)

/* A pipe, a device, a link of somebody's in the place of a file: opened without waiting for its
 * other end, and refused. A directory is one only where it was asked for. */
static int check_kind(int fd, unsigned flags)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_from_errno(errno);
    if (S_ISDIR(st.st_mode))
        return flags & DISK_DIR ? 0 : ERR_ISDIR;
    return S_ISREG(st.st_mode) ? 0 : ERR_CORRUPT;
}

static int real_open(struct disk *disk, const char *path, unsigned flags, int *ret_fd)
{
    (void)disk;
    int access = flags & DISK_WRITE ? (flags & DISK_READ ? O_RDWR : O_WRONLY) : O_RDONLY;
    int how = access | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    if (flags & DISK_CREATE)
        how |= O_CREAT;
    if (flags & DISK_EXCL)
        how |= O_EXCL;
    if (flags & DISK_TRUNC)
        how |= O_TRUNC;
    if (flags & DISK_DIR)
        how = (how | O_DIRECTORY) & ~O_NOFOLLOW;
    int fd = -1;
    if (flags & DISK_DIRECT)
        fd = open(path, how | O_DIRECT, 0600);
    if (fd < 0 && (!(flags & DISK_DIRECT) || errno == EINVAL)) {
        do
            fd = open(path, how, 0600);
        while (fd < 0 && errno == EINTR);
    }
    if (fd < 0)
        return errno == ELOOP || errno == ENXIO ? ERR_CORRUPT : err_from_errno(errno);
    int rc = check_kind(fd, flags);
    if (rc != 0)
        close(fd);
    else
        *ret_fd = fd;
    return rc;
}

static void real_close(struct disk *disk, int fd)
{
    (void)disk;
    close(fd);
}

static int64_t real_pread(struct disk *disk, int fd, void *data, size_t len, uint64_t off)
{
    (void)disk;
    ssize_t n;
    do
        n = pread(fd, data, len, (off_t)off);
    while (n < 0 && errno == EINTR);
    return n < 0 ? err_from_errno(errno) : n;
}

static int64_t real_pwrite(struct disk *disk, int fd, const void *data, size_t len, uint64_t off)
{
    (void)disk;
    ssize_t n;
    do
        n = pwrite(fd, data, len, (off_t)off);
    while (n < 0 && errno == EINTR);
    return n < 0 ? err_from_errno(errno) : n;
}

/* EINTR is the one error after which the kernel has not yet looked at the pages. */
static int real_sync(struct disk *disk, int fd, bool data_only)
{
    (void)disk;
    int rc;
    do
        rc = data_only ? fdatasync(fd) : fsync(fd);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? err_from_errno(errno) : 0;
}

static int real_writeback(struct disk *disk, int fd, uint64_t off, uint64_t len)
{
    (void)disk;
    int rc = sync_file_range(fd, (off_t)off, (off_t)len, SYNC_FILE_RANGE_WRITE);
    return rc < 0 ? err_from_errno(errno) : 0;
}

static void real_read_soon(struct disk *disk, int fd, uint64_t off, uint64_t len)
{
    (void)disk;
    (void)posix_fadvise(fd, (off_t)off, (off_t)len, POSIX_FADV_WILLNEED);
}

static int real_truncate(struct disk *disk, int fd, uint64_t size)
{
    (void)disk;
    int rc;
    do
        rc = ftruncate(fd, (off_t)size);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? err_from_errno(errno) : 0;
}

static int write_zeros(int fd, uint64_t from, uint64_t to)
{
    void *zeros = mem_calloc(1, COPY_CHUNK);
    if (!zeros)
        return ERR_NOMEM;
    int rc = 0;
    while (rc == 0 && from < to) {
        size_t n = to - from < COPY_CHUNK ? (size_t)(to - from) : COPY_CHUNK;
        ssize_t done = pwrite(fd, zeros, n, (off_t)from);
        if (done > 0)
            from += (uint64_t)done;
        else if (done == 0 || errno != EINTR)
            rc = done == 0 ? ERR_IO : err_from_errno(errno);
    }
    mem_free(zeros);
    return rc;
}

static int real_allocate(struct disk *disk, int fd, uint64_t size)
{
    (void)disk;
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_from_errno(errno);
    int rc;
    do
        rc = fallocate(fd, 0, 0, (off_t)size);
    while (rc < 0 && errno == EINTR);
    if (rc == 0)
        return 0;
    int code = err_from_errno(errno);
    if (errno == EOPNOTSUPP)
        code = write_zeros(fd, (uint64_t)st.st_size, size);
    if (code != 0 && ftruncate(fd, st.st_size) != 0)
        return err_from_errno(errno);
    return code;
}

static int copy_by_hand(int from_fd, int to_fd, uint64_t off, uint64_t len)
{
    void *chunk = mem_alloc(COPY_CHUNK);
    if (!chunk)
        return ERR_NOMEM;
    int rc = 0;
    while (rc == 0 && len) {
        int64_t n = real_pread(NULL, from_fd, chunk, len < COPY_CHUNK ? len : COPY_CHUNK, off);
        if (n == 0)
            rc = ERR_EOF;
        if (n > 0)
            n = real_pwrite(NULL, to_fd, chunk, (size_t)n, off);
        if (n < 0)
            rc = (int)n;
        if (rc == 0) {
            off += (uint64_t)n;
            len -= (uint64_t)n;
        }
    }
    mem_free(chunk);
    return rc;
}

static int real_copy(struct disk *disk, int from_fd, int to_fd, uint64_t off, uint64_t len)
{
    (void)disk;
    while (len) {
        off_t in = (off_t)off, out = (off_t)off;
        ssize_t n = copy_file_range(from_fd, &in, to_fd, &out, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != ENOSPC && errno != EIO) /* this pair of filesystems cannot */
            return copy_by_hand(from_fd, to_fd, off, len);
        if (n <= 0)
            return n == 0 ? ERR_EOF : err_from_errno(errno);
        off += (uint64_t)n;
        len -= (uint64_t)n;
    }
    return 0;
}

/* Where a filesystem does not know its holes, everything is data. */
static int64_t real_next_data(struct disk *disk, int fd, uint64_t off)
{
    (void)disk;
    off_t found = lseek(fd, (off_t)off, SEEK_DATA);
    if (found >= 0)
        return found;
    struct stat st;
    if (errno == ENXIO)
        return fstat(fd, &st) == 0 ? st.st_size : err_from_errno(errno);
    return errno == EINVAL ? (int64_t)off : err_from_errno(errno);
}

static void fill_stat(const struct stat *st, struct disk_stat *ret)
{
    *ret = (struct disk_stat){
        .size_bytes = (uint64_t)st->st_size,
        .allocated_bytes = (uint64_t)st->st_blocks * 512,
        .mtime_ms = (uint64_t)st->st_mtim.tv_sec * 1000 + (uint64_t)st->st_mtim.tv_nsec / 1000000,
        .is_dir = S_ISDIR(st->st_mode),
    };
}

static int real_stat_fd(struct disk *disk, int fd, struct disk_stat *ret)
{
    (void)disk;
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_from_errno(errno);
    fill_stat(&st, ret);
    return 0;
}

static int real_stat(struct disk *disk, const char *path, struct disk_stat *ret)
{
    (void)disk;
    struct stat st;
    if (stat(path, &st) != 0)
        return err_from_errno(errno);
    fill_stat(&st, ret);
    return 0;
}

static int real_rename(struct disk *disk, const char *from, const char *to)
{
    (void)disk;
    return rename(from, to) == 0 ? 0 : err_from_errno(errno);
}

static int real_unlink(struct disk *disk, const char *path, bool is_dir)
{
    (void)disk;
    return (is_dir ? rmdir(path) : unlink(path)) == 0 ? 0 : err_from_errno(errno);
}

static int real_mkdir(struct disk *disk, const char *path)
{
    (void)disk;
    return mkdir(path, 0700) == 0 ? 0 : err_from_errno(errno);
}

static int real_fsync_dir(struct disk *disk, const char *path)
{
    int fd = -1;
    int rc = real_open(disk, path, DISK_READ | DISK_DIR, &fd);
    if (rc != 0)
        return rc;
    rc = real_sync(disk, fd, false);
    close(fd);
    return rc;
}

/* d_type is not to be had on every filesystem. Links are never followed: a link is not a directory.
 */
static bool entry_is_dir(DIR *dir, const struct dirent *entry)
{
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    struct stat st;
    return fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int real_list(struct disk *disk, const char *path, disk_visit_fn visit, void *arg)
{
    (void)disk;
    DIR *dir = opendir(path);
    if (!dir)
        return err_from_errno(errno);
    int rc = 0;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (!entry) {
            rc = errno ? err_from_errno(errno) : 0;
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        rc = visit(arg, entry->d_name, entry_is_dir(dir, entry));
        if (rc != 0)
            break;
    }
    closedir(dir);
    return rc;
}

static int real_lock(struct disk *disk, const char *path, int *ret_fd)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
    if (fd < 0)
        rc = real_open(disk, path, DISK_READ | DISK_WRITE | DISK_CREATE, &fd);
    if (rc != 0)
        return rc;
    do
        rc = flock(fd, LOCK_EX | LOCK_NB);
    while (rc < 0 && errno == EINTR);
    if (rc < 0) {
        rc = errno == EWOULDBLOCK ? ERR_BUSY : err_from_errno(errno);
        close(fd);
        return rc;
    }
    *ret_fd = fd;
    return 0;
}

static int real_space(struct disk *disk, const char *path, struct disk_space *ret)
{
    (void)disk;
    struct statvfs vfs;
    struct stat st;
    if (statvfs(path, &vfs) != 0 || stat(path, &st) != 0)
        return err_from_errno(errno);
    *ret = (struct disk_space){
        .total_bytes = (uint64_t)vfs.f_blocks * vfs.f_frsize,
        .free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize,
        .fs_id = (uint64_t)st.st_dev,
    };
    return 0;
}

static const struct disk_ops real_ops = {
    .open = real_open,
    .close = real_close,
    .pread = real_pread,
    .pwrite = real_pwrite,
    .sync = real_sync,
    .writeback = real_writeback,
    .read_soon = real_read_soon,
    .truncate = real_truncate,
    .allocate = real_allocate,
    .copy = real_copy,
    .next_data = real_next_data,
    .stat_fd = real_stat_fd,
    .stat = real_stat,
    .rename = real_rename,
    .unlink = real_unlink,
    .mkdir = real_mkdir,
    .fsync_dir = real_fsync_dir,
    .list = real_list,
    .lock = real_lock,
    .space = real_space,
};

struct disk *disk_real(void)
{
    static struct disk real = {&real_ops};
    return &real;
}
