/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_path(struct logfile *file, const char *path, struct err *err)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_errno(err, errno, "cannot open log file %s", path);
    struct stat st;
    file->written = fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    if (file->fd < 0) {
        file->fd = fd;
        return 0;
    }
    int rc = dup3(fd, file->fd, O_CLOEXEC) < 0 ? errno : 0;
    close(fd);
    return rc ? err_errno(err, rc, "cannot switch to log file %s", path) : 0;
}

int logfile_open(struct logfile *file, const char *path, uint64_t max_bytes, unsigned keep,
                 struct err *err)
{
    if (strlen(path) >= sizeof(file->path))
        return err_set(err, ERR_TOOBIG, "log file name is too long: %s", path);
    int rc = open_path(file, path, err);
    if (rc != 0)
        return rc;
    memcpy(file->path, path, strlen(path) + 1);
    file->max_bytes = max_bytes;
    file->keep = keep;
    return 0;
}

int logfile_reopen(struct logfile *file, struct err *err)
{
    return file->path[0] ? open_path(file, file->path, err) : 0;
}

/* path.N-1 -> path.N ... path -> path.1. A failure leaves us writing to the old file. */
static void rotate(struct logfile *file)
{
    char from[1100], to[1100];
    for (unsigned i = file->keep; i > 0; i--) {
        snprintf(to, sizeof(to), "%s.%u", file->path, i);
        if (i == 1)
            snprintf(from, sizeof(from), "%s", file->path);
        else
            snprintf(from, sizeof(from), "%s.%u", file->path, i - 1);
        if (rename(from, to) != 0 && errno != ENOENT)
            return;
    }
    open_path(file, file->path, NULL);
}

static void rotate_if_big(struct logfile *file, size_t n)
{
    file->written += n;
    if (!file->keep || !file->max_bytes || file->written < file->max_bytes)
        return;
    int no = 0;
    if (__atomic_compare_exchange_n((int *)&file->rotating, &no, 1, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST)) {
        rotate(file);
        file->rotating = 0;
    }
}

void logfile_write(struct logfile *file, struct slice line)
{
    if (!file->path[0])
        return;
    ssize_t ignored = write(file->fd, line.data, line.len);
    (void)ignored;
    rotate_if_big(file, line.len);
}

void logfile_close(struct logfile *file)
{
    if (file->fd >= 0)
        close(file->fd);
    *file = LOGFILE_INIT;
}
