/* SPDX-License-Identifier: Apache-2.0
 * One file to its target: into NAME._COPYING_, then renamed, so that a reader sees the old file,
 * none, or the whole new one; what fails leaves nothing behind.
 *
 *   job run (any thread)   target asked for -> source opened -> temporary written and closed ->
 *                          renamed -> attributes
 *                          (appending: the source is compared with what is there, and goes on
 *                          behind it)
 *   job done (walk)        the message, if there is one; moveFromLocal: the source removed */
#include <errno.h>
#include <unistd.h>

#include "client/fs/dest.h"
#include "client/fs/keep.h"
#include "client/fs/local_crc.h"
#include "libcommon/base/mem.h"

#define PIECE (256U << 10)

struct copy {
    struct fs_job job;
    struct fs_run *run;
    struct fs_dest *dest;
    struct fs_item src, target;
    bool target_asked; /* or known not to be there */
    int code;
    const char *about; /* whose text the error is about */
    struct qn_error err;
};

/* --- bytes ------------------------------------------------------------------------------------ */

typedef ssize_t read_fn(void *source, void *buffer, size_t size, struct qn_error *err);

static ssize_t read_stdin(void *source, void *buffer, size_t size, struct qn_error *err)
{
    (void)source;
    ssize_t n = 0;
    do
        n = read(STDIN_FILENO, buffer, size);
    while (n < 0 && errno == EINTR && !fs_is_interrupted());
    if (n < 0 && err) {
        err->code = err_from_errno(errno);
        snprintf(err->message, sizeof(err->message), "reading stdin: %s", strerror(errno));
    }
    return n < 0 ? err_from_errno(errno) : n;
}

static int interrupted(struct qn_error *err)
{
    err->code = ERR_CANCELLED;
    snprintf(err->message, sizeof(err->message), "Interrupted");
    return ERR_CANCELLED;
}

static int pump(struct copy *copy, read_fn *read_some, void *source, void *file)
{
    const struct fs_volume_ops *ops = copy->target.volume->ops;
    char *piece = mem_alloc(PIECE);
    if (!piece)
        return fs_out_of_memory(&copy->err);
    ssize_t n = 0;
    int rc = 0;
    const char *source_text = copy->src.text ? copy->src.text : "-";
    while (rc == 0) {
        copy->about = source_text;
        n = read_some(source, piece, PIECE, &copy->err);
        if (n <= 0)
            break;
        copy->about = copy->target.text;
        rc = fs_is_interrupted() ? interrupted(&copy->err)
                                 : ops->write(file, piece, (size_t)n, &copy->err);
        fs_progress_add(&copy->dest->progress, (uint64_t)n);
    }
    mem_free(piece);
    return rc != 0 ? rc : (int)n;
}

/* --- one target ------------------------------------------------------------------------------- */

static int check_target(struct copy *copy)
{
    int rc = 0;
    if (!copy->target_asked && !copy->target.exists)
        rc = fs_item_refresh(&copy->target, &copy->err);
    if (rc == 0 && copy->target.exists && (copy->target.stat.is_dir || !copy->dest->overwrite)) {
        rc = copy->err.code = ERR_EXIST;
        copy->about = copy->target.text;
    }
    return rc;
}

/* The last step: what was written gets its name, or stays where it was written. */
static int settle(struct copy *copy, const struct fs_item *to, void *file)
{
    const struct fs_volume_ops *ops = to->volume->ops;
    return to == &copy->target
               ? ops->finish(file, &copy->err)
               : ops->finish_as(file, copy->target.path, copy->dest->overwrite, &copy->err);
}

static int write_file(struct copy *copy, const struct fs_item *to, read_fn *read_some, void *source)
{
    const struct fs_volume_ops *ops = to->volume->ops;
    const struct fs_new_file how = {.overwrite = to != &copy->target || copy->dest->overwrite,
                                    .replication = copy->dest->replication,
                                    .will_write =
                                        read_some == read_stdin || copy->src.stat.length > 0};
    copy->about = copy->target.text;
    void *file = ops->create(to->volume, to->path, &how, &copy->err);
    if (!file)
        return copy->err.code;
    int rc = pump(copy, read_some, source, file);
    if (rc != 0) {
        ops->abort(file);
        return rc;
    }
    copy->about = copy->target.text;
    return settle(copy, to, file);
}

static bool is_direct(const struct copy *copy)
{
    const struct fs_item *target = &copy->target;
    return copy->dest->direct || (target->exists && target->volume->ops->is_special &&
                                  target->volume->ops->is_special(target->volume, target->path));
}

static int copy_stream(struct copy *copy, read_fn *read_some, void *source)
{
    struct fs_item temporary;
    if (is_direct(copy))
        return write_file(copy, &copy->target, read_some, source);
    int rc = fs_item_temporary(&temporary, &copy->target, &copy->err);
    if (rc != 0)
        return rc;
    rc = write_file(copy, &temporary, read_some, source);
    fs_item_release(&temporary);
    return rc;
}

static int keep_attributes(const struct fs_dest *dest, const struct fs_item *src,
                           const struct fs_item *target, struct qn_error *err)
{
    const struct fs_volume_ops *ops = target->volume->ops;
    const struct qn_stat *stat = &src->stat;
    int rc = 0;
    if (dest->keep_times)
        rc = ops->utimes(target->volume, target->path, (int64_t)stat->mtime_ms,
                         (int64_t)stat->atime_ms, err);
    if (rc == 0 && dest->keep_owner)
        rc = ops->chown(target->volume, target->path, stat->owner, stat->group, err);
    if (rc == 0 && dest->keep_mode)
        rc = ops->chmod(target->volume, target->path, stat->mode, err);
    if (rc == 0 && dest->keep_acl)
        rc = fs_keep_acl(src, target, err);
    if (rc == 0 && (dest->keep_xattrs || (fs_keep_is_raw(src) && fs_keep_is_raw(target))))
        rc = fs_keep_xattrs(src, target, !dest->keep_xattrs, err);
    return rc;
}

int fs_copy_attributes(struct fs_run *run, const struct fs_item *src, const struct fs_item *target)
{
    struct qn_error err;
    int rc = keep_attributes(run->state, src, target, &err);
    return rc == 0 ? 0 : fs_fail_error(run, target->text, &err);
}

/* --- appending -------------------------------------------------------------------------------- */

/* `size` bytes, fewer only at the end. */
static ssize_t read_whole(const struct fs_volume_ops *ops, void *file, char *out, size_t size,
                          struct qn_error *err)
{
    size_t got = 0;
    while (got < size) {
        ssize_t n = ops->read(file, out + got, size - got, err);
        if (n < 0)
            return n;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

/* 1: all of the target is read, and the source begins with it; 0: it does not. */
static int begins_with(struct copy *copy, void *source, void *there, char *pieces)
{
    char *theirs = pieces + PIECE;
    ssize_t n = 0, m = 0;
    do {
        copy->about = copy->target.text;
        m = read_whole(copy->target.volume->ops, there, theirs, PIECE, &copy->err);
        if (m <= 0)
            return m < 0 ? (int)m : 1;
        copy->about = copy->src.text;
        n = read_whole(copy->src.volume->ops, source, pieces, (size_t)m, &copy->err);
    } while (n == m && memcmp(pieces, theirs, (size_t)m) == 0);
    return n < 0 ? (int)n : 0;
}

/* The source stands behind what is there when this is 1; else it is to be copied from its start. */
static int compare_start(struct copy *copy, void *source)
{
    const struct fs_item *target = &copy->target;
    const struct fs_volume_ops *ops = target->volume->ops;
    if (!copy->dest->appends || !target->exists || !ops->append ||
        target->stat.length >= copy->src.stat.length)
        return 0;
    char *pieces = mem_alloc(2 * PIECE);
    copy->about = target->text;
    void *there = pieces ? ops->open(target->volume, target->path, &copy->err) : NULL;
    int rc = !pieces ? fs_out_of_memory(&copy->err)
             : there ? begins_with(copy, source, there, pieces)
                     : copy->err.code;
    if (there)
        ops->close_read(there);
    mem_free(pieces);
    return rc == 0 ? copy->src.volume->ops->seek(source, 0, &copy->err) : rc;
}

static int append_rest(struct copy *copy, read_fn *read_some, void *source)
{
    const struct fs_volume_ops *ops = copy->target.volume->ops;
    copy->about = copy->target.text;
    void *file = ops->append(copy->target.volume, copy->target.path, &copy->err);
    if (!file)
        return copy->err.code;
    int rc = pump(copy, read_some, source, file);
    if (rc == 0)
        return ops->finish(file, &copy->err);
    ops->abort(file);
    return rc;
}

/* --- one file --------------------------------------------------------------------------------- */

static int copy_file(struct copy *copy)
{
    const struct fs_volume_ops *ops = copy->src.volume->ops;
    copy->about = copy->src.text;
    int rc = check_target(copy);
    if (rc != 0)
        return rc;
    void *source = ops->open(copy->src.volume, copy->src.path, &copy->err);
    if (!source)
        return copy->err.code;
    rc = compare_start(copy, source);
    if (rc >= 0)
        rc = (rc > 0 ? append_rest : copy_stream)(copy, ops->read, source);
    ops->close_read(source);
    if (rc == 0 && copy->dest->write_crc && !copy->target.volume->qn)
        rc = fs_local_crc_write(copy->target.volume, copy->target.path, &copy->err);
    if (rc == 0)
        rc = keep_attributes(copy->dest, &copy->src, &copy->target, &copy->err);
    return rc;
}

/* --- jobs ------------------------------------------------------------------------------------- */

static void copy_free(struct copy *copy)
{
    fs_item_release(&copy->src);
    fs_item_release(&copy->target);
    mem_free(copy);
}

static void copy_run(struct fs_job *job)
{
    struct copy *copy = CONTAINER_OF(job, struct copy, job);
    copy->code = fs_is_interrupted() ? ERR_CANCELLED : copy_file(copy);
    fs_progress_file_done(&copy->dest->progress);
}

static void tell(struct copy *copy)
{
    if (copy->code == ERR_CANCELLED && fs_is_interrupted())
        return; /* said once, at the end */
    fs_progress_clear(&copy->dest->progress);
    fs_fail_error(copy->run, copy->about, &copy->err);
}

static void copy_done(struct fs_job *job)
{
    struct copy *copy = CONTAINER_OF(job, struct copy, job);
    const struct fs_volume_ops *ops = copy->src.volume->ops;
    if (copy->code != 0)
        tell(copy);
    else if (copy->dest->removes_source &&
             ops->remove(copy->src.volume, copy->src.path, false, &copy->err) <= 0)
        fs_fail(copy->run, "remove `%s': %s", copy->src.text, err_text(ERR_IO));
    copy_free(copy);
}

static struct copy *copy_new(struct fs_run *run, struct fs_item *target)
{
    struct copy *copy = mem_calloc(1, sizeof(*copy));
    if (!copy) {
        fs_fail(run, "%s", err_text(ERR_NOMEM));
        fs_item_release(target);
        return NULL;
    }
    copy->run = run;
    copy->dest = run->state;
    copy->target = *target;
    copy->job.run = copy_run;
    copy->job.done = copy_done;
    return copy;
}

int fs_copy_process(struct fs_run *run, struct fs_item *src, struct fs_item *target)
{
    struct fs_dest *dest = run->state;
    struct copy *copy = copy_new(run, target);
    if (!copy)
        return FS_STOP;
    copy->target_asked = run->depth > 0 && dest->dst_is_new;
    if (fs_item_suffix(&copy->src, src, "", &copy->err) != 0 ||
        fs_item_set_stat(&copy->src, &src->stat) != 0) {
        copy_free(copy);
        return fs_fail(run, "%s", err_text(ERR_NOMEM));
    }
    fs_progress_expect(&dest->progress, src->stat.length);
    copy->job.is_heavy = src->stat.length > FS_HEAVY_BYTES;
    fs_pool_add(&dest->pool, &copy->job);
    return 0;
}

void fs_copy_stdin(struct fs_run *run, struct fs_item *target)
{
    struct copy *copy = copy_new(run, target);
    if (!copy)
        return;
    copy->about = copy->target.text;
    copy->code = check_target(copy);
    if (copy->code == 0)
        copy->code = copy_stream(copy, read_stdin, NULL);
    if (copy->code != 0)
        tell(copy);
    copy_free(copy);
}
