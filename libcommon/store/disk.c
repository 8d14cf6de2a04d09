/* SPDX-License-Identifier: Apache-2.0
 * disk: the fault points and the loops around short reads and writes that both tables share. */
#include "libcommon/store/disk.h"

#include "libcommon/base/fault.h"
#include "libcommon/base/mem.h"

/* 0 to go on, 1 to claim success without doing it, or the error to answer. FAULT_CORRUPT goes on;
 * only read and write can do something with it. */
static int point(const char *name, bool *ret_corrupt)
{
    enum fault_action action = fault_hit(name);
    if (ret_corrupt)
        *ret_corrupt = action == FAULT_CORRUPT;
    switch (action) {
    case FAULT_EIO:
        return ERR_IO;
    case FAULT_ENOSPC:
        return ERR_NOSPC;
    case FAULT_DROP:
        return 1;
    case FAULT_NONE:
    case FAULT_CORRUPT:
        break;
    }
    return 0;
}

/* For operations that cannot be pretended: a drop there goes on as if unarmed. */
static int point_plain(const char *name)
{
    int rc = point(name, NULL);
    return rc < 0 ? rc : 0;
}

int disk_open(struct disk *disk, const char *path, unsigned flags, int *ret_fd)
{
    int rc = point_plain("disk.open");
    return rc ? rc : disk->ops->open(disk, path, flags, ret_fd);
}

void disk_close(struct disk *disk, int fd)
{
    if (fd >= 0)
        disk->ops->close(disk, fd);
}

int64_t disk_pread(struct disk *disk, int fd, void *data, size_t len, uint64_t off)
{
    bool corrupt = false;
    int rc = point("disk.read", &corrupt);
    if (rc < 0)
        return rc;
    size_t done = 0;
    while (done < len) {
        int64_t n = disk->ops->pread(disk, fd, (uint8_t *)data + done, len - done, off + done);
        if (n < 0)
            return n;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    if (corrupt && done)
        ((uint8_t *)data)[done / 2] ^= 0x10;
    return (int64_t)done;
}

static int write_loop(struct disk *disk, int fd, const uint8_t *data, size_t len, uint64_t off)
{
    while (len) {
        int64_t n = disk->ops->pwrite(disk, fd, data, len, off);
        if (n < 0)
            return (int)n;
        if (n == 0)
            return ERR_IO;
        data += n;
        off += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

static int write_corrupted(struct disk *disk, int fd, const void *data, size_t len, uint64_t off)
{
    uint8_t *copy = mem_alloc(len);
    if (!copy)
        return ERR_NOMEM;
    memcpy(copy, data, len);
    copy[len / 2] ^= 0x10;
    int rc = write_loop(disk, fd, copy, len, off);
    mem_free(copy);
    return rc;
}

int disk_pwrite(struct disk *disk, int fd, const void *data, size_t len, uint64_t off)
{
    bool corrupt = false;
    int rc = point("disk.write", &corrupt);
    if (rc)
        return rc < 0 ? rc : 0;
    if (corrupt && len)
        return write_corrupted(disk, fd, data, len, off);
    return write_loop(disk, fd, data, len, off);
}

int disk_append(struct disk *disk, int fd, const void *data, size_t len)
{
    struct disk_stat st;
    int rc = disk->ops->stat_fd(disk, fd, &st);
    return rc ? rc : disk_pwrite(disk, fd, data, len, st.size_bytes);
}

static int sync_with_points(struct disk *disk, int fd, bool data_only)
{
    int rc = point("disk.fsync", NULL);
    if (rc)
        return rc < 0 ? rc : 0;
    rc = disk->ops->sync(disk, fd, data_only);
    return rc ? rc : point_plain("disk.fsync.done");
}

int disk_fsync(struct disk *disk, int fd)
{
    return sync_with_points(disk, fd, false);
}

int disk_fdatasync(struct disk *disk, int fd)
{
    return sync_with_points(disk, fd, true);
}

int disk_writeback(struct disk *disk, int fd, uint64_t off, uint64_t len)
{
    return disk->ops->writeback(disk, fd, off, len);
}

void disk_read_soon(struct disk *disk, int fd, uint64_t off, uint64_t len)
{
    disk->ops->read_soon(disk, fd, off, len);
}

int disk_truncate(struct disk *disk, int fd, uint64_t size)
{
    int rc = point_plain("disk.truncate");
    return rc ? rc : disk->ops->truncate(disk, fd, size);
}

int disk_allocate(struct disk *disk, int fd, uint64_t size)
{
    int rc = point_plain("disk.allocate");
    return rc ? rc : disk->ops->allocate(disk, fd, size);
}

int disk_copy(struct disk *disk, int from_fd, int to_fd, uint64_t off, uint64_t len)
{
    int rc = point_plain("disk.write");
    return rc ? rc : disk->ops->copy(disk, from_fd, to_fd, off, len);
}

int64_t disk_next_data(struct disk *disk, int fd, uint64_t off)
{
    int rc = point_plain("disk.read");
    return rc ? rc : disk->ops->next_data(disk, fd, off);
}

int disk_stat_fd(struct disk *disk, int fd, struct disk_stat *ret)
{
    int rc = point_plain("disk.stat");
    return rc ? rc : disk->ops->stat_fd(disk, fd, ret);
}

int disk_stat(struct disk *disk, const char *path, struct disk_stat *ret)
{
    int rc = point_plain("disk.stat");
    return rc ? rc : disk->ops->stat(disk, path, ret);
}

int disk_rename(struct disk *disk, const char *from, const char *to)
{
    int rc = point("disk.rename", NULL);
    if (rc)
        return rc < 0 ? rc : 0;
    rc = disk->ops->rename(disk, from, to);
    return rc ? rc : point_plain("disk.rename.done");
}

static int unlink_with_points(struct disk *disk, const char *path, bool is_dir)
{
    int rc = point("disk.unlink", NULL);
    if (rc)
        return rc < 0 ? rc : 0;
    return disk->ops->unlink(disk, path, is_dir);
}

int disk_unlink(struct disk *disk, const char *path)
{
    return unlink_with_points(disk, path, false);
}

int disk_rmdir(struct disk *disk, const char *path)
{
    return unlink_with_points(disk, path, true);
}

int disk_mkdir(struct disk *disk, const char *path)
{
    int rc = point_plain("disk.mkdir");
    return rc ? rc : disk->ops->mkdir(disk, path);
}

int disk_fsync_dir(struct disk *disk, const char *path)
{
    int rc = point("disk.fsyncdir", NULL);
    if (rc)
        return rc < 0 ? rc : 0;
    return disk->ops->fsync_dir(disk, path);
}

int disk_list(struct disk *disk, const char *path, disk_visit_fn visit, void *arg)
{
    int rc = point_plain("disk.list");
    return rc ? rc : disk->ops->list(disk, path, visit, arg);
}

int disk_lock(struct disk *disk, const char *path, int *ret_fd)
{
    int rc = point_plain("disk.lock");
    return rc ? rc : disk->ops->lock(disk, path, ret_fd);
}

int disk_space(struct disk *disk, const char *path, struct disk_space *ret)
{
    return disk->ops->space(disk, path, ret);
}
