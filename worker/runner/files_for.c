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
    struct qn_fs *fs; /* NULL = not connected yet */
    char *uri, *conf, *user, *node;
};
static struct dfs dfs; /* of the process: its tasks are of one job */

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

static int connect_now(bool may_wait, struct err *err);

static int dfs_open(struct files *files, const char *path, struct files_in **ret, struct err *err)
{
    (void)files;
    struct qn_error error = {0};
    if (!dfs.fs && connect_now(true, err) != 0)
        return err->code;
    struct qn_file *file = qn_open(dfs.fs, path, QN_READ, NULL, &error);
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

static int dfs_view(struct files_in *in, uint64_t off, size_t most, struct qn_view *ret,
                    struct err *err)
{
    struct qn_error error = {0};
    return qn_view(of_in(in), off, most, ret, &error) != 0 ? failed(&error, err) : 0;
}

static void dfs_close(struct files_in *in)
{
    (void)qn_close(of_in(in), NULL); /* nothing of a file read can be lost */
}

static int dfs_create(struct files *files, const char *path, const struct qn_create *how,
                      struct files_out **ret, struct err *err)
{
    (void)files;
    struct qn_error error = {0};
    if (!dfs.fs && connect_now(true, err) != 0)
        return err->code;
    struct qn_file *file =
        qn_open(dfs.fs, path, QN_WRITE | QN_OVERWRITE | QN_FIRST_BLOCK, how, &error);
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

static const struct files_ops dfs_ops = {.open = dfs_open,
                                         .pread = dfs_pread,
                                         .close = dfs_close,
                                         .create = dfs_create,
                                         .write = dfs_write,
                                         .finish = dfs_finish,
                                         .abandon = dfs_abandon,
                                         .view = dfs_view,
                                         .end_view = qn_view_release};

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

static int connect_now(bool may_wait, struct err *err)
{
    struct qn_error error = {0};
    const struct qn_option options[] = {{"node.name", dfs.node}, {NULL, NULL}};
    const struct qn_fs_options how = {.conf_file = dfs.conf[0] ? dfs.conf : NULL,
                                      .user = dfs.user[0] ? dfs.user : NULL,
                                      .options = dfs.node[0] ? options : NULL};
    dfs.fs = may_wait ? wait_for_fs(dfs.uri, &how, &error) : qn_fs_open(dfs.uri, &how, &error);
    return dfs.fs ? 0 : failed(&error, err);
}

static int note(const struct task_run *run, struct err *err)
{
    struct dfs made = {.files.ops = &dfs_ops,
                       .uri = slice_dup(run->fs_uri),
                       .conf = slice_dup(run->conf_file),
                       .user = slice_dup(run->user),
                       .node = slice_dup(run->node)};
    if (made.uri && made.conf && made.user && made.node) {
        dfs = made;
        return 0;
    }
    mem_free(made.uri);
    mem_free(made.conf);
    mem_free(made.user);
    mem_free(made.node);
    return err_set(err, ERR_NOMEM, "out of memory");
}

struct files *files_for(const struct task_run *run, struct err *err)
{
    if (run->fs_uri.len == 0)
        return files_local();
    if (!dfs.uri && note(run, err) != 0)
        return NULL;
    if (slice_is(run->fs_uri, dfs.uri))
        return &dfs.files;
    err_set(err, ERR_PROTO, "this process works on %s already, not on " SLICE_FMT, dfs.uri,
            SLICE_ARG(run->fs_uri));
    return NULL;
}

void files_for_next(void)
{
    struct err err;
    if (dfs.uri && !dfs.fs)
        (void)connect_now(false, &err); /* whoever opens a file hears why not */
}
