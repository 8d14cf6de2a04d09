/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/run/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/store/disk.h"

struct files_in {
    int fd;
    char *path;
};
struct files_out {
    int fd;
    char *path;
    uint64_t off;
};

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

static int local_open(struct files *files, const char *path, struct files_in **ret, struct err *err)
{
    (void)files;
    struct files_in *in = mem_calloc(1, sizeof(*in));
    char *copy = str_dup(path);
    int rc = in && copy ? 0 : no_memory(err);
    if (rc == 0) {
        /* Not disk_open: input may be anything one can read from, with the user's own rights. */
        in->fd = open(path, O_RDONLY | O_CLOEXEC);
        in->path = copy;
        if (in->fd < 0)
            rc = err_errno(err, errno, "%s", path);
    }
    if (rc != 0) {
        mem_free(copy);
        mem_free(in);
        return rc;
    }
    (void)posix_fadvise(in->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    *ret = in;
    return 0;
}

static int64_t local_pread(struct files_in *in, void *data, size_t len, uint64_t off,
                           struct err *err)
{
    int64_t n = disk_pread(disk_real(), in->fd, data, len, off);
    return n < 0 ? err_set(err, (int)n, "%s: %s", in->path, err_text((int)n)) : n;
}

static void local_close(struct files_in *in)
{
    close(in->fd);
    mem_free(in->path);
    mem_free(in);
}

static int make_parents(const char *path, struct err *err)
{
    char *dir = str_dup(path);
    if (!dir)
        return no_memory(err);
    int rc = 0;
    for (char *p = dir + 1; rc == 0 && (p = strchr(p, '/')) != NULL; p++) {
        *p = 0;
        if (mkdir(dir, 0777) != 0 && errno != EEXIST)
            rc = err_errno(err, errno, "%s", dir);
        *p = '/';
    }
    mem_free(dir);
    return rc;
}

static int local_create(struct files *files, const char *path, const struct qn_create *how,
                        struct files_out **ret, struct err *err)
{
    (void)files;
    (void)how;
    int rc = make_parents(path, err);
    if (rc != 0)
        return rc;
    struct files_out *out = mem_calloc(1, sizeof(*out));
    char *copy = str_dup(path);
    rc = out && copy ? 0 : no_memory(err);
    if (rc == 0) {
        out->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        out->path = copy;
        if (out->fd < 0)
            rc = err_errno(err, errno, "%s", path);
    }
    if (rc != 0) {
        mem_free(copy);
        mem_free(out);
        return rc;
    }
    *ret = out;
    return 0;
}

static int local_write(struct files_out *out, const void *data, size_t len, struct err *err)
{
    int rc = disk_pwrite(disk_real(), out->fd, data, len, out->off);
    out->off += len;
    return rc < 0 ? err_set(err, rc, "%s: %s", out->path, err_text(rc)) : 0;
}

static int local_finish(struct files_out *out, struct err *err)
{
    int rc = close(out->fd) == 0 ? 0 : err_errno(err, errno, "%s", out->path);
    mem_free(out->path);
    mem_free(out);
    return rc;
}

static void local_abandon(struct files_out *out)
{
    close(out->fd);
    mem_free(out->path);
    mem_free(out);
}

struct files *files_local(void)
{
    static const struct files_ops ops = {local_open,  local_pread,  local_close,  local_create,
                                         local_write, local_finish, local_abandon};
    static struct files local = {&ops};
    return &local;
}
