/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/runner/files_for.h"

#include <unistd.h>

#include "include/quern/fs.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"

#define CONNECT_WAIT_MS 60000 /* for a namenode that is down: as long as its calls wait */
#define CONNECT_MIN_MS  20
#define CONNECT_MAX_MS  1000

struct dfs {
    struct files files;
    struct qn_fs *fs;
    char *uri;
};

/* An open file is the library's own handle: these never exist. */
static struct qn_file *of_in(struct files_in *in)
{
    return (struct qn_file *)(void *)in;
}
static struct qn_file *of_out(struct files_out *out)
{
    return (struct qn_file *)(void *)out;
}

static int failed(const struct qn_error *error, struct err *err)
{
    return err_set(err, error->code ? error->code : ERR_FAILED, "%s", error->message);
}

static int dfs_open(struct files *files, const char *path, struct files_in **ret, struct err *err)
{
    struct dfs *dfs = CONTAINER_OF(files, struct dfs, files);
    struct qn_error error = {0};
    struct qn_file *file = qn_open(dfs->fs, path, QN_READ, NULL, &error);
    if (!file)
        return failed(&error, err);
    *ret = (struct files_in *)(void *)file;
    return 0;
}

static int64_t dfs_pread(struct files_in *in, void *data, size_t len, uint64_t off, struct err *err)
{
    struct qn_error error = {0};
    ssize_t n = qn_pread(of_in(in), data, len, off, &error);
    return n < 0 ? failed(&error, err) : (int64_t)n;
}

static void dfs_close(struct files_in *in)
{
    (void)qn_close(of_in(in), NULL); /* nothing of a file read can be lost */
}

static int dfs_create(struct files *files, const char *path, uint32_t replication,
                      struct files_out **ret, struct err *err)
{
    struct dfs *dfs = CONTAINER_OF(files, struct dfs, files);
    struct qn_create create = {.replication = replication};
    struct qn_error error = {0};
    struct qn_file *file = qn_open(dfs->fs, path, QN_WRITE | QN_OVERWRITE, &create, &error);
    if (!file)
        return failed(&error, err);
    *ret = (struct files_out *)(void *)file;
    return 0;
}

static int dfs_write(struct files_out *out, const void *data, size_t len, struct err *err)
{
    struct qn_error error = {0};
    return qn_write(of_out(out), data, len, &error) < 0 ? failed(&error, err) : 0;
}

static int dfs_finish(struct files_out *out, struct err *err)
{
    struct qn_error error = {0};
    return qn_close(of_out(out), &error) != 0 ? failed(&error, err) : 0;
}

static void dfs_abandon(struct files_out *out)
{
    qn_abort(of_out(out));
}

static const struct files_ops dfs_ops = {dfs_open,  dfs_pread,  dfs_close,  dfs_create,
                                         dfs_write, dfs_finish, dfs_abandon};

static bool is_away(int code)
{
    return code == ERR_REFUSED || code == ERR_UNREACHABLE || code == ERR_CLOSED ||
           code == ERR_EOF || code == ERR_TIMEOUT || code == ERR_IO;
}

/* A namenode that is being started again must not use up the task's attempts, each over at once. */
static struct qn_fs *wait_for_fs(const char *uri, const struct qn_fs_options *how,
                                 struct qn_error *error)
{
    uint64_t end_ms = clock_mono_ms() + CONNECT_WAIT_MS, pause_ms = CONNECT_MIN_MS;
    struct qn_fs *fs;
    while (!(fs = qn_fs_open(uri, how, error)) && is_away(error->code) &&
           clock_mono_ms() + pause_ms < end_ms) {
        usleep((useconds_t)pause_ms * 1000);
        pause_ms = pause_ms * 2 < CONNECT_MAX_MS ? pause_ms * 2 : CONNECT_MAX_MS;
    }
    return fs;
}

static int connect_to(struct dfs *dfs, const struct task_run *run, struct err *err)
{
    char *uri = slice_dup(run->fs_uri), *conf = slice_dup(run->conf_file);
    char *user = slice_dup(run->user), *node = slice_dup(run->node);
    struct qn_error error = {0};
    int rc = uri && conf && user && node ? 0 : err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0) {
        const struct qn_option options[] = {{"node.name", node}, {NULL, NULL}};
        const struct qn_fs_options how = {.conf_file = conf[0] ? conf : NULL,
                                          .user = user[0] ? user : NULL,
                                          .options = node[0] ? options : NULL};
        dfs->fs = wait_for_fs(uri, &how, &error);
        rc = dfs->fs ? 0 : failed(&error, err);
    }
    if (rc == 0) {
        dfs->files.ops = &dfs_ops;
        dfs->uri = uri;
        uri = NULL;
    }
    mem_free(uri);
    mem_free(conf);
    mem_free(user);
    mem_free(node);
    return rc;
}

struct files *files_for(const struct task_run *run, struct err *err)
{
    static struct dfs dfs; /* of the process: its tasks are of one job */
    if (run->fs_uri.len == 0)
        return files_local();
    if (dfs.fs && slice_is(run->fs_uri, dfs.uri))
        return &dfs.files;
    if (dfs.fs) {
        err_set(err, ERR_PROTO, "this process works on %s already, not on " SLICE_FMT, dfs.uri,
                SLICE_ARG(run->fs_uri));
        return NULL;
    }
    return connect_to(&dfs, run, err) == 0 ? &dfs.files : NULL;
}
