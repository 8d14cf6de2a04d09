/* SPDX-License-Identifier: Apache-2.0
 * The public calls on files. */
#include "client/lib/file.h"

#include <inttypes.h>
#include <limits.h>
#include <sys/mman.h>

#define MODE_DEFAULT 0666
#define CLOSED_KEPT  64

static int open_writer(struct qn_file *file, const char *path, int flags,
                       const struct qn_create *create, struct err *err)
{
    static const struct qn_create plain = {0};
    create = create ? create : &plain;
    struct qn_fs *fs = file->fs;
    const struct cl_out_options options = {
        .mode = (create->mode ? create->mode : MODE_DEFAULT) & ~fs->umask & 01777,
        .full_mode = (create->mode ? create->mode : MODE_DEFAULT) & 01777,
        .replication = create->replication ? create->replication : fs->replication,
        .block_size = create->block_size ? create->block_size : fs->block_size,
        .overwrite = flags & QN_OVERWRITE,
        .create_parents = !(flags & QN_NO_PARENTS),
        .will_write = flags & QN_FIRST_BLOCK,
        .append = flags & QN_APPEND,
        .new_block = flags & QN_NEW_BLOCK,
    };
    return cl_out_open(fs, path, &options, &file->out, err);
}

static int open_file(struct qn_file *file, const char *path, int flags,
                     const struct qn_create *create, struct err *err)
{
    struct buf normal = BUF_INIT;
    int rc = cl_path(file->fs, path, &normal, err);
    const char *text = rc == 0 ? buf_cstr(&normal) : NULL;
    if (rc == 0 && !text)
        rc = err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    if (rc == 0)
        rc = flags & QN_WRITE ? open_writer(file, text, flags, create, err)
                              : cl_in_open(file->fs, text, &file->in, err);
    buf_release(&normal);
    return rc;
}

struct qn_file *qn_open(struct qn_fs *fs, const char *path, int flags,
                        const struct qn_create *create, struct qn_error *error)
{
    struct err err;
    struct qn_file *file = NULL;
    int rc = cl_need(path, "path", &err);
    if (rc == 0)
        rc = cl_need(fs, "filesystem", &err);
    if (rc == 0 && !(flags & QN_READ) == !(flags & QN_WRITE))
        rc = err_set(&err, ERR_INVAL, "`%s': open it for reading or for writing", path);
    if (rc == 0 && (flags & QN_APPEND) && (flags & QN_OVERWRITE || !(flags & QN_WRITE)))
        rc = err_set(&err, ERR_INVAL, "`%s': what is appended to is written, and not replaced",
                     path);
    if (rc == 0 && !(file = mem_calloc(1, sizeof(*file))))
        rc = err_set(&err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    if (rc == 0) {
        file->fs = fs;
        rc = open_file(file, path, flags, create, &err);
    }
    cl_edge(rc, &err, error);
    if (rc != 0) {
        mem_free(file);
        return NULL;
    }
    mutex_lock(&fs->lock);
    list_push_back(&fs->files, &file->link);
    mutex_unlock(&fs->lock);
    return file;
}

/* 0 when it can be used so. `buffer` may be NULL when nothing goes there. */
static int check_use(const struct qn_file *file, bool writes, const void *buffer, size_t size,
                     struct err *err)
{
    int rc = cl_need(file, "file", err);
    if (rc == 0 && !file->in && !file->out)
        rc = err_set(err, ERR_INVAL, "the file is closed already");
    else if (rc == 0 && !(writes ? (const void *)file->out : (const void *)file->in))
        rc = err_set(err, ERR_INVAL, "the file is open for %s only",
                     file->in ? "reading" : "writing");
    if (rc == 0 && size > SSIZE_MAX)
        rc = err_set(err, ERR_INVAL, "%zu bytes are too many for one call", size);
    return rc == 0 && size ? cl_need(buffer, "buffer", err) : rc;
}

ssize_t qn_read(struct qn_file *file, void *buffer, size_t size, struct qn_error *error)
{
    struct err err;
    ssize_t n = check_use(file, false, buffer, size, &err);
    if (n == 0)
        n = cl_in_read(file->in, buffer, size, &err);
    return cl_edge(n, &err, error);
}

ssize_t qn_pread(struct qn_file *file, void *buffer, size_t size, uint64_t offset,
                 struct qn_error *error)
{
    struct err err;
    ssize_t n = check_use(file, false, buffer, size, &err);
    if (n == 0)
        n = cl_in_pread(file->in, buffer, size, offset, &err);
    return cl_edge(n, &err, error);
}

int qn_view(struct qn_file *file, uint64_t offset, size_t most, struct qn_view *ret,
            struct qn_error *error)
{
    struct err err;
    int rc = (int)check_use(file, false, ret, 1, &err);
    if (rc == 0)
        rc = cl_in_view(file->in, offset, most, ret, &err);
    return (int)cl_edge(rc, &err, error);
}

void qn_view_release(struct qn_view *view)
{
    if (!view)
        return;
    if (view->is_copy)
        mem_free(view->base);
    else if (view->base)
        munmap(view->base, view->span);
    *view = (struct qn_view){0};
}

int64_t qn_seek(struct qn_file *file, uint64_t offset, struct qn_error *error)
{
    struct err err;
    int64_t rc = check_use(file, false, NULL, 0, &err);
    if (rc == 0 && offset > cl_in_length(file->in))
        rc = err_set(&err, ERR_INVAL, "cannot seek to %" PRIu64 ": the file has %" PRIu64 " bytes",
                     offset, cl_in_length(file->in));
    if (rc == 0) {
        cl_in_seek(file->in, offset);
        rc = (int64_t)offset;
    }
    return cl_edge(rc, &err, error);
}

int64_t qn_tell(struct qn_file *file)
{
    if (!file || (!file->in && !file->out))
        return ERR_INVAL;
    return (int64_t)(file->in ? cl_in_tell(file->in) : cl_out_length(file->out));
}

uint64_t qn_length(struct qn_file *file)
{
    if (!file || (!file->in && !file->out))
        return 0;
    return file->in ? cl_in_length(file->in) : cl_out_length(file->out);
}

ssize_t qn_write(struct qn_file *file, const void *buffer, size_t size, struct qn_error *error)
{
    struct err err;
    int rc = check_use(file, true, buffer, size, &err);
    if (rc == 0)
        rc = cl_out_write(file->out, buffer, size, &err);
    return cl_edge(rc < 0 ? rc : (ssize_t)size, &err, error);
}

static int flush(struct qn_file *file, bool to_disk, struct qn_error *error)
{
    struct err err;
    int rc = check_use(file, true, NULL, 0, &err);
    if (rc == 0)
        rc = cl_out_flush(file->out, to_disk, &err);
    return (int)cl_edge(rc, &err, error);
}

int qn_hflush(struct qn_file *file, struct qn_error *error)
{
    return flush(file, false, error);
}

int qn_hsync(struct qn_file *file, struct qn_error *error)
{
    return flush(file, true, error);
}

/* Out of the open ones, before it is closed. */
static void unlink_file(struct qn_file *file)
{
    mutex_lock(&file->fs->lock);
    list_remove(&file->link);
    mutex_unlock(&file->fs->lock);
}

/* It is closed. Its handle stays for a while: who uses it again is told instead of crashing. */
static void retire(struct qn_file *file)
{
    struct qn_fs *fs = file->fs;
    file->in = NULL;
    file->out = NULL;
    mutex_lock(&fs->lock);
    list_push_back(&fs->closed, &file->link);
    if (++fs->closed_count > CLOSED_KEPT)
        cl_file_forget(list_first(&fs->closed, struct qn_file, link));
    mutex_unlock(&fs->lock);
}

void cl_file_forget(struct qn_file *file)
{
    list_remove(&file->link);
    file->fs->closed_count--;
    mem_free(file);
}

int qn_close(struct qn_file *file, struct qn_error *error)
{
    struct err err = {0};
    int rc = 0;
    if (!file)
        return (int)cl_edge(0, &err, error);
    if (!file->in && !file->out)
        return (int)cl_edge(err_set(&err, ERR_INVAL, "the file is closed already"), &err, error);
    unlink_file(file);
    if (file->in)
        cl_in_close(file->in);
    else
        rc = cl_out_close(file->out, &err);
    retire(file);
    return (int)cl_edge(rc, &err, error);
}

int cl_file_close_as(struct qn_file *file, const char *to, bool overwrite, struct qn_error *error)
{
    struct err err;
    unlink_file(file);
    int rc = cl_out_close_as(file->out, to, overwrite, &err);
    retire(file);
    return (int)cl_edge(rc, &err, error);
}

void qn_abort(struct qn_file *file)
{
    if (!file || (!file->in && !file->out))
        return;
    unlink_file(file);
    if (file->in)
        cl_in_close(file->in);
    else
        cl_out_abort(file->out);
    retire(file);
}

void cl_file_abandon(struct qn_file *file)
{
    list_remove(&file->link);
    if (file->in)
        cl_in_close(file->in);
    else
        cl_out_free(file->out);
    mem_free(file);
}
