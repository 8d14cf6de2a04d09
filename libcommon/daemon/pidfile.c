/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/daemon/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/str.h"

/* Locks by fcntl: the kernel tells who holds one, and drops it with the process. */
static struct flock whole_file(void)
{
    return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
}

static pid_t holder_of(int fd)
{
    struct flock lock = whole_file();
    if (fcntl(fd, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK)
        return 0;
    return lock.l_pid;
}

pid_t pidfile_holder(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    pid_t pid = holder_of(fd);
    close(fd);
    return pid;
}

pid_t pidfile_written(const char *path)
{
    char text[32] = "";
    uint64_t pid = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (n <= 1)
        return 0;
    text[n - 1] = 0; /* the line break */
    return str_to_u64(text, &pid) == 0 && pid <= INT32_MAX ? (pid_t)pid : 0;
}

static int write_number(int fd, const char *path, struct err *err)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n)
        return err_errno(err, errno, "cannot write %s", path);
    return 0;
}

/* Is what we locked still what the path names? Its holder may have removed it as we came. */
static bool is_current(int fd, const char *path)
{
    struct stat ours, named;
    return fstat(fd, &ours) == 0 && stat(path, &named) == 0 && ours.st_ino == named.st_ino &&
           ours.st_dev == named.st_dev;
}

static int open_and_lock(const char *path, int *ret_fd, struct err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_errno(err, errno, "cannot write pid file %s", path);
    struct flock lock = whole_file();
    int rc = 0;
    if (fcntl(fd, F_SETLK, &lock) != 0)
        rc = err_set(err, ERR_BUSY, "already running as process %d (%s)", (int)holder_of(fd), path);
    else if (!is_current(fd, path))
        rc = ERR_RETRY;
    if (rc != 0) {
        close(fd);
        return rc;
    }
    *ret_fd = fd;
    return 0;
}

int pidfile_open(struct pidfile *pidfile, const char *path, struct err *err)
{
    int fd = -1, rc;
    if (strlen(path) >= sizeof(pidfile->path))
        return err_set(err, ERR_TOOBIG, "name of pid file is too long: %s", path);
    do
        rc = open_and_lock(path, &fd, err);
    while (rc == ERR_RETRY);
    if (rc == 0)
        rc = write_number(fd, path, err);
    if (rc != 0) {
        if (fd >= 0)
            close(fd);
        return rc;
    }
    pidfile->fd = fd;
    memcpy(pidfile->path, path, strlen(path) + 1);
    return 0;
}

void pidfile_close(struct pidfile *pidfile)
{
    if (pidfile->fd < 0)
        return;
    unlink(pidfile->path); /* while we hold the lock: nobody else's can be there */
    close(pidfile->fd);
    pidfile->fd = -1;
}
