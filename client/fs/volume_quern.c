/* SPDX-License-Identifier: Apache-2.0
 * A quern cluster as a volume: quern/fs.h, call by call. */
#include "client/fs/volume.h"
#include "client/lib/file.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"

static int q_stat(struct fs_volume *v, const char *path, struct qn_stat *ret, struct qn_error *err)
{
    return qn_stat(v->qn, path, ret, err);
}

static void *q_opendir(struct fs_volume *v, const char *path, struct qn_error *err)
{
    return qn_opendir(v->qn, path, err);
}

static const struct qn_stat *q_readdir(void *dir, struct qn_error *err)
{
    return qn_readdir(dir, err);
}

static void q_closedir(void *dir)
{
    qn_closedir(dir);
}

static void *q_open(struct fs_volume *v, const char *path, struct qn_error *err)
{
    return qn_open(v->qn, path, QN_READ, NULL, err);
}

static ssize_t q_read(void *file, void *buffer, size_t size, struct qn_error *err)
{
    return qn_read(file, buffer, size, err);
}

static int q_seek(void *file, uint64_t offset, struct qn_error *err)
{
    int64_t at = qn_seek(file, offset, err);
    return at < 0 ? (int)at : 0;
}

static uint64_t q_length(void *file)
{
    return qn_length(file);
}

static void q_close_read(void *file)
{
    qn_close(file, NULL);
}

static void *q_create(struct fs_volume *v, const char *path, const struct fs_new_file *how,
                      struct qn_error *err)
{
    const struct qn_create create = {
        .block_size = how->block_size, .replication = how->replication, .mode = how->mode};
    int flags = QN_WRITE | QN_NO_PARENTS | (how->overwrite ? QN_OVERWRITE : 0) |
                (how->will_write ? QN_FIRST_BLOCK : 0);
    return qn_open(v->qn, path, flags, &create, err);
}

static void *q_append(struct fs_volume *v, const char *path, struct qn_error *err)
{
    return qn_open(v->qn, path, QN_WRITE | QN_APPEND, NULL, err);
}

static int q_write(void *file, const void *data, size_t size, struct qn_error *err)
{
    ssize_t n = qn_write(file, data, size, err);
    return n < 0 ? (int)n : 0;
}

static int q_finish(void *file, struct qn_error *err)
{
    return qn_close(file, err);
}

static int q_finish_as(void *file, const char *to, bool overwrite, struct qn_error *err)
{
    return cl_file_close_as(file, to, overwrite, err);
}

static void q_abort(void *file)
{
    qn_abort(file);
}

static int q_mkdir(struct fs_volume *v, const char *path, bool parents, struct qn_error *err)
{
    return qn_mkdir(v->qn, path, 0777, parents, err);
}

static int q_rename(struct fs_volume *v, const char *from, const char *to, bool overwrite,
                    struct qn_error *err)
{
    return qn_rename(v->qn, from, to, overwrite, err);
}

static int q_remove(struct fs_volume *v, const char *path, bool recursive, struct qn_error *err)
{
    return qn_delete(v->qn, path, recursive, err);
}

static int q_chmod(struct fs_volume *v, const char *path, uint32_t mode, struct qn_error *err)
{
    return qn_chmod(v->qn, path, mode, err);
}

static int q_chown(struct fs_volume *v, const char *path, const char *owner, const char *group,
                   struct qn_error *err)
{
    return qn_chown(v->qn, path, owner, group, err);
}

static int q_utimes(struct fs_volume *v, const char *path, int64_t mtime_ms, int64_t atime_ms,
                    struct qn_error *err)
{
    return qn_utimes(v->qn, path, mtime_ms, atime_ms, err);
}

static int q_summary(struct fs_volume *v, const char *path, struct qn_summary *ret,
                     struct qn_error *err)
{
    return qn_summary(v->qn, path, ret, err);
}

static int q_space(struct fs_volume *v, struct qn_space *ret, struct qn_error *err)
{
    return qn_space(v->qn, ret, err);
}

static void q_close(struct fs_volume *v)
{
    qn_fs_close(v->qn);
}

static const struct fs_volume_ops quern_ops = {
    .close = q_close,
    .stat = q_stat,
    .stat_release = qn_stat_release,
    .opendir = q_opendir,
    .readdir = q_readdir,
    .closedir = q_closedir,
    .open = q_open,
    .read = q_read,
    .seek = q_seek,
    .length = q_length,
    .close_read = q_close_read,
    .create = q_create,
    .append = q_append,
    .write = q_write,
    .finish = q_finish,
    .finish_as = q_finish_as,
    .abort = q_abort,
    .mkdir = q_mkdir,
    .rename = q_rename,
    .remove = q_remove,
    .chmod = q_chmod,
    .chown = q_chown,
    .utimes = q_utimes,
    .summary = q_summary,
    .space = q_space,
};

struct fs_volume *fs_volume_quern_new(const struct conf *conf, const char *uri,
                                      struct qn_error *err)
{
    struct fs_volume *v = mem_calloc(1, sizeof(*v));
    struct qn_fs *fs = cl_fs_open(conf, uri, NULL, err);
    if (!fs) {
        mem_free(v);
        return NULL;
    }
    if (!v) {
        qn_fs_close(fs);
        return NULL;
    }
    v->qn = fs;
    v->user = str_dup(qn_user(fs));
    if (fs_volume_init(v, &quern_ops, qn_uri(fs), qn_home(fs)) == 0 && v->user)
        return v;
    fs_volume_free(v);
    if (err) {
        err->code = ERR_NOMEM;
        snprintf(err->message, sizeof(err->message), "%s", err_text(ERR_NOMEM));
    }
    return NULL;
}
