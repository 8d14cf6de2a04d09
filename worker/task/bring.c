/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/task/bring.h"

#include <errno.h>
#include <sys/stat.h>

#include "libcommon/base/ids.h"
#include "libcommon/base/log.h"
#include "libcommon/base/metric.h"
#include "libcommon/base/str.h"
#include "worker/task/attempt.h"
#include "worker/task/jobs.h"
#include "worker/task/sandbox.h"

#define PIECE_BYTES (1U << 20)

METRIC_COUNTER(files_brought, "quern_wk_job_files_total", "plugins and side files fetched");
METRIC_COUNTER(bytes_brought, "quern_wk_job_file_bytes_total", "bytes of these");

static void next_file(struct wk_job *job);

static struct slice digest_of_file(const struct wk_job *job, size_t at)
{
    return at == 0 ? job->spec.plugin_digest : job->spec.sides.v[at - 1].digest;
}

static void close_file(struct bring *b)
{
    if (b->is_open)
        outfile_abort(&b->out);
    digest_release(&b->sum);
    b->is_open = false;
    b->offset = 0;
    buf_clear(&b->piece);
}

/* Jobs that wait for what another one brings look again. */
static void wake_others(struct worker *worker)
{
    list_each_safe (&worker->jobs, it) {
        struct wk_job *other = list_entry(it, struct wk_job, link);
        if (!other->bring.is_waiting)
            continue;
        other->bring.is_waiting = false;
        next_file(other);
    }
}

static void failed(struct wk_job *job, const char *why)
{
    close_file(&job->bring);
    job->bring.state = BRING_ABSENT;
    attempts_ready(job, why);
    wake_others(job->worker);
}

/* --- where it goes --------------------------------------------------------------------------- */

static char *path_in(const struct wk_job *job, size_t at, size_t dir)
{
    const char *base = job->worker->dirs[dir].path;
    struct slice digest = digest_of_file(job, at);
    char name[ID_TEXT_MAX];
    if (at == 0)
        return str_printf("%s/plugins/" SLICE_FMT ".so", base, SLICE_ARG(digest));
    jobs_dir_name(job, name, sizeof(name));
    return str_printf("%s/jobs/%s/" SLICE_FMT, base, name, SLICE_ARG(digest));
}

/* In the first good directory from `from` on. 0, ERR_NOMEM, or ERR_NOENT when there is none. */
static int place(struct wk_job *job, size_t from)
{
    struct bring *b = &job->bring;
    size_t dir = sandbox_good_dir(job->worker, from);
    if (dir == WORKER_DIRS_MAX)
        return ERR_NOENT;
    char *path = path_in(job, b->at, dir);
    if (!path)
        return ERR_NOMEM;
    mem_free(b->paths[b->at]);
    b->paths[b->at] = path;
    b->dir = dir;
    return 0;
}

/* Whole, or it would not have the name. */
static bool is_here(struct wk_job *job)
{
    struct disk_stat st;
    for (size_t from = 0; place(job, from) == 0; from = job->bring.dir + 1)
        if (disk_stat(job->worker->disk, job->bring.paths[job->bring.at], &st) == 0)
            return true;
    return false;
}

static bool is_coming_elsewhere(const struct wk_job *job)
{
    const struct bring *b = &job->bring;
    list_each (&job->worker->jobs, it) {
        const struct wk_job *other = list_entry(it, struct wk_job, link);
        const struct bring *o = &other->bring;
        if (other != job && o->state == BRING_COMING && !o->is_waiting && o->at == 0 &&
            b->at == 0 && slice_eq(other->spec.plugin_digest, job->spec.plugin_digest))
            return true;
    }
    return false;
}

/* --- a piece --------------------------------------------------------------------------------- */

static int open_file(struct bring *b, struct disk *disk, bool is_side)
{
    char *slash = strrchr(b->paths[b->at], '/');
    *slash = 0;
    if (is_side && mkdir(b->paths[b->at], 0711) != 0 && errno != EEXIST)
        b->rc = err_errno(&b->err, errno, "cannot make %s", b->paths[b->at]);
    *slash = '/';
    if (b->rc == 0)
        b->rc = digest_init(&b->sum, DIGEST_SHA256);
    if (b->rc == 0)
        b->rc = outfile_open(&b->out, disk, b->paths[b->at], &b->err);
    b->is_open = b->rc == 0;
    return b->rc;
}

static int end_file(struct bring *b, struct slice digest)
{
    uint8_t sum[DIGEST_SHA256_SIZE];
    char text[DIGEST_TEXT_MAX];
    int rc = digest_final(&b->sum, sum);
    digest_text(sum, sizeof(sum), text);
    if (rc == 0 && !slice_is(digest, text))
        return err_set(&b->err, ERR_CHECKSUM,
                       "a file of the job came damaged: its SHA-256 is %s instead of " SLICE_FMT,
                       text, SLICE_ARG(digest));
    if (rc == 0) {
        b->is_open = false; /* commit ends it, whatever comes of it */
        rc = outfile_commit(&b->out, &b->err);
    }
    if (rc == 0 && chmod(b->paths[b->at], 0755) != 0) /* tasks may run as another user */
        rc = err_errno(&b->err, errno, "%s: cannot be made readable", b->paths[b->at]);
    return rc;
}

/* On a thread. */
static void write_piece(struct work *work)
{
    struct bring *b = CONTAINER_OF(work, struct bring, work);
    struct wk_job *job = CONTAINER_OF(b, struct wk_job, bring);
    b->rc = 0;
    if (!b->is_open && open_file(b, job->worker->disk, b->at > 0) != 0)
        return;
    outfile_append(&b->out, b->piece.data, b->piece.len);
    b->rc = digest_update(&b->sum, buf_slice(&b->piece));
    if (b->rc == 0 && b->is_last)
        b->rc = end_file(b, digest_of_file(job, b->at));
    if (b->rc != 0 && b->err.code == 0)
        err_set(&b->err, b->rc, "%s: %s", b->paths[b->at], err_text(b->rc));
}

static bool is_full(int rc)
{
    return rc == ERR_NOSPC || rc == ERR_QUOTA;
}

static bool is_disk_trouble(int rc)
{
    return is_full(rc) || rc == ERR_IO || rc == ERR_ACCESS || rc == ERR_NOTPERM ||
           rc == ERR_NOENT || rc == ERR_NOTDIR;
}

static void ask_piece(struct wk_job *job);

static void piece_written(struct work *work)
{
    struct bring *b = CONTAINER_OF(work, struct bring, work);
    struct wk_job *job = CONTAINER_OF(b, struct wk_job, bring);
    struct err err = b->err;
    b->err = (struct err){0};
    if (job->is_over) {
        jobs_over(job);
        return;
    }
    if (is_disk_trouble(b->rc) && !is_full(b->rc))
        sandbox_give_up(job->worker, b->dir, &err);
    if (is_disk_trouble(b->rc) && place(job, b->dir + 1) == 0) {
        if (is_full(b->rc))
            log_warn("wk.jobs", "%s; trying the next directory", err.msg);
        close_file(b);
        ask_piece(job);
    } else if (b->rc != 0) {
        failed(job, err.msg);
    } else if (!b->is_last) {
        metric_add(&bytes_brought, b->piece.len);
        b->offset += b->piece.len;
        ask_piece(job);
    } else {
        metric_add(&bytes_brought, b->piece.len);
        metric_add(&files_brought, 1);
        close_file(b);
        b->at++;
        next_file(job);
        wake_others(job->worker);
    }
}

static void piece_came(void *arg, int code, const void *answer, const struct err *err)
{
    struct wk_job *job = arg;
    struct bring *b = &job->bring;
    const struct wk2jt_blob_piece *piece = answer;
    if (code == ERR_CLOSED || code == ERR_UNREACHABLE)
        return; /* bring_link_up goes on */
    if (code != 0)
        return failed(job, err->msg);
    buf_clear(&b->piece);
    buf_append_slice(&b->piece, piece->bytes);
    if (buf_failed(&b->piece))
        return failed(job, "out of memory");
    b->is_last = piece->bytes.len == 0 || b->offset + piece->bytes.len >= piece->total;
    workq_submit(job->worker->workq, &b->work, write_piece, piece_written);
}

static void ask_piece(struct wk_job *job)
{
    struct bring *b = &job->bring;
    if (b->at > 0 && job->spec.sides.v[b->at - 1].size == 0) { /* nothing to ask for */
        b->is_last = true;
        workq_submit(job->worker->workq, &b->work, write_piece, piece_written);
        return;
    }
    struct wk2jt_blob ask = {digest_of_file(job, b->at), b->offset, PIECE_BYTES};
    b->wait.done = piece_came;
    b->wait.arg = job;
    rpc_link_ask(job->worker->jobtracker, &WK2JT_methods[WK2JT_AT_BLOB], &ask, &b->wait);
}

/* --- one after another ----------------------------------------------------------------------- */

static void next_file(struct wk_job *job)
{
    struct bring *b = &job->bring;
    while (b->at < b->count && is_here(job))
        b->at++;
    if (b->at == b->count) {
        buf_release(&b->piece);
        b->state = BRING_HERE;
        attempts_ready(job, NULL);
        return;
    }
    b->is_waiting = is_coming_elsewhere(job);
    if (b->is_waiting)
        return;
    int rc = place(job, 0);
    if (rc == 0)
        ask_piece(job);
    else
        failed(job, rc == ERR_NOENT ? "no usable directory in worker.local.dir" : err_text(rc));
}

void bring_want(struct wk_job *job)
{
    struct bring *b = &job->bring;
    if (b->state != BRING_ABSENT)
        return;
    if (!b->paths) {
        b->count = 1 + job->spec.sides.n;
        b->paths = mem_calloc(b->count, sizeof(*b->paths));
        if (!b->paths)
            return attempts_ready(job, "out of memory");
    }
    b->state = BRING_COMING;
    next_file(job);
}

void bring_link_up(struct wk_job *job)
{
    struct bring *b = &job->bring;
    if (b->state == BRING_COMING && !b->is_waiting && !rpc_is_waiting(&b->wait) &&
        b->work.state == 0)
        ask_piece(job);
}

bool bring_stop(struct wk_job *job)
{
    struct bring *b = &job->bring;
    rpc_cancel(&b->wait);
    return b->work.state == 0 || workq_cancel(job->worker->workq, &b->work);
}

void bring_release(struct wk_job *job)
{
    struct bring *b = &job->bring;
    list_remove(&job->link); /* so that nobody waits for it any more */
    close_file(b);
    buf_release(&b->piece);
    for (size_t i = 0; b->paths && i < b->count; i++)
        mem_free(b->paths[i]);
    mem_free(b->paths);
    b->paths = NULL;
    if (!job->worker->is_stopping)
        wake_others(job->worker);
}
