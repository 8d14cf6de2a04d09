/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/task/jobs.h"

#include <sys/stat.h>

#include "libcommon/base/ids.h"
#include "libcommon/base/log.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/digest.h"
#include "worker/task/attempt.h"
#include "worker/task/sandbox.h"

#define PIECE_BYTES (1U << 20)

struct wk_job *jobs_find(const struct worker *worker, uint64_t cluster_ms, uint64_t number)
{
    list_each (&worker->jobs, it) {
        struct wk_job *job = list_entry(it, struct wk_job, link);
        if (job->spec.job == number && job->spec.cluster_ms == cluster_ms && !job->is_over)
            return job;
    }
    return NULL;
}

void jobs_dir_name(const struct wk_job *job, char *out, size_t cap)
{
    job_id_text((struct job_id){job->spec.cluster_ms, job->spec.job}, out, cap);
}

/* --- the plugin ------------------------------------------------------------------------------ */

static void plugin_failed(struct wk_job *job, const char *why)
{
    buf_release(&job->blob);
    job->plugin = WK_PLUGIN_ABSENT;
    attempts_plugin_ready(job, why);
}

static void free_job(struct wk_job *job)
{
    list_remove(&job->link);
    buf_release(&job->bytes);
    buf_release(&job->blob);
    buf_release(&job->sources);
    arena_release(&job->arena);
    mem_free(job->plugin_path);
    mem_free(job);
}

/* On a thread: is it what it is called? Then it gets its name. */
static void verify_run(struct work *work)
{
    struct wk_job *job = CONTAINER_OF(work, struct wk_job, verify);
    uint8_t sum[DIGEST_SHA256_SIZE];
    char text[DIGEST_TEXT_MAX];
    job->verify_rc = digest_of(DIGEST_SHA256, buf_slice(&job->blob), sum);
    digest_text(sum, sizeof(sum), text);
    if (job->verify_rc == 0 && !slice_is(job->spec.plugin_digest, text))
        job->verify_rc = err_set(&job->verify_err, ERR_CHECKSUM,
                                 "the plugin came damaged: its SHA-256 is %s", text);
    else if (job->verify_rc == 0)
        job->verify_rc = fsutil_replace(job->worker->disk, job->plugin_path, buf_slice(&job->blob),
                                        &job->verify_err);
    if (job->verify_rc == 0)
        chmod(job->plugin_path, 0755); /* tasks may run as another user */
}

/* Where it is kept, or will be: in the first good directory from `from` on. 0, ERR_NOMEM, or
 * ERR_NOENT when there is none. */
static int place_plugin(struct wk_job *job, size_t from)
{
    size_t dir = sandbox_good_dir(job->worker, from);
    if (dir == WORKER_DIRS_MAX)
        return ERR_NOENT;
    char *path = str_printf("%s/plugins/" SLICE_FMT ".so", job->worker->dirs[dir].path,
                            SLICE_ARG(job->spec.plugin_digest));
    if (!path)
        return ERR_NOMEM;
    mem_free(job->plugin_path);
    job->plugin_path = path;
    job->plugin_dir = dir;
    return 0;
}

static bool is_disk_trouble(int rc)
{
    return rc == ERR_NOSPC || rc == ERR_IO || rc == ERR_ACCESS || rc == ERR_QUOTA ||
           rc == ERR_NOENT;
}

static void verify_done(struct work *work)
{
    struct wk_job *job = CONTAINER_OF(work, struct wk_job, verify);
    if (job->is_over) {
        free_job(job);
        return;
    }
    if (is_disk_trouble(job->verify_rc) && place_plugin(job, job->plugin_dir + 1) == 0) {
        log_warn("wk.jobs", "%s; trying the next directory", job->verify_err.msg);
        job->verify_err = (struct err){0};
        workq_submit(job->worker->workq, &job->verify, verify_run, verify_done);
        return;
    }
    if (job->verify_rc != 0) {
        plugin_failed(job, job->verify_err.msg);
        return;
    }
    buf_release(&job->blob);
    job->plugin = WK_PLUGIN_HERE;
    attempts_plugin_ready(job, NULL);
}

static void ask_piece(struct wk_job *job);

static void piece_done(void *arg, int code, const void *answer, const struct err *err)
{
    struct wk_job *job = arg;
    const struct wk2jt_blob_piece *piece = answer;
    if (code == ERR_CLOSED || code == ERR_UNREACHABLE)
        return; /* jobs_link_up goes on */
    if (code != 0)
        return plugin_failed(job, err->msg);
    buf_append_slice(&job->blob, piece->bytes);
    if (buf_failed(&job->blob))
        return plugin_failed(job, "out of memory");
    if (job->blob.len < piece->total && piece->bytes.len > 0)
        ask_piece(job);
    else
        workq_submit(job->worker->workq, &job->verify, verify_run, verify_done);
}

static void ask_piece(struct wk_job *job)
{
    struct wk2jt_blob ask = {job->spec.plugin_digest, job->blob.len, PIECE_BYTES};
    job->plugin = WK_PLUGIN_COMING;
    job->blob_wait.done = piece_done;
    job->blob_wait.arg = job;
    rpc_link_ask(job->worker->jobtracker, &WK2JT_methods[WK2JT_AT_BLOB], &ask, &job->blob_wait);
}

static void fetch_plugin(struct wk_job *job)
{
    struct disk_stat st;
    for (size_t from = 0; place_plugin(job, from) == 0; from = job->plugin_dir + 1)
        if (disk_stat(job->worker->disk, job->plugin_path, &st) == 0) {
            job->plugin = WK_PLUGIN_HERE; /* whole, or it would not have the name */
            return;
        }
    int rc = place_plugin(job, 0);
    if (rc == 0)
        ask_piece(job);
    else
        plugin_failed(job,
                      rc == ERR_NOENT ? "no usable directory in worker.local.dir" : err_text(rc));
}

void jobs_want_plugin(struct wk_job *job)
{
    if (job->plugin != WK_PLUGIN_ABSENT)
        return;
    fetch_plugin(job);
    if (job->plugin == WK_PLUGIN_HERE)
        attempts_plugin_ready(job, NULL);
}

void jobs_link_up(struct worker *worker)
{
    list_each (&worker->jobs, it) {
        struct wk_job *job = list_entry(it, struct wk_job, link);
        if (job->plugin == WK_PLUGIN_COMING && !rpc_is_waiting(&job->blob_wait) &&
            job->verify.state == 0)
            ask_piece(job);
    }
}

/* --- jobs ------------------------------------------------------------------------------------ */

static int keep(struct wk_job *job, const struct jt2wk_job *spec, struct err *err)
{
    msg_encode(&jt2wk_job_desc, spec, &job->bytes);
    if (buf_failed(&job->bytes))
        return err_set(err, ERR_NOMEM, "out of memory");
    return msg_decode(&jt2wk_job_desc, buf_slice(&job->bytes), &job->arena, &job->spec, err);
}

static bool is_name(struct slice digest)
{
    for (size_t i = 0; i < digest.len; i++)
        if (!strchr("0123456789abcdef", digest.data[i]))
            return false;
    return digest.len == 2 * DIGEST_SHA256_SIZE;
}

int jobs_add(struct worker *worker, const struct jt2wk_job *spec, struct err *err)
{
    if (jobs_find(worker, spec->cluster_ms, spec->job))
        return 0;
    if (!is_name(spec->plugin_digest))
        return err_set(err, ERR_INVAL, "a plugin is named by its SHA-256");
    struct wk_job *job = mem_calloc(1, sizeof(*job));
    if (!job)
        return err_set(err, ERR_NOMEM, "out of memory");
    job->worker = worker;
    list_init(&job->link);
    int rc = keep(job, spec, err);
    if (rc != 0) {
        free_job(job);
        return rc;
    }
    list_push_back(&worker->jobs, &job->link);
    fetch_plugin(job);
    return 0;
}

void jobs_remove(struct wk_job *job)
{
    rpc_cancel(&job->blob_wait);
    if (job->verify.state != 0 && !workq_cancel(job->worker->workq, &job->verify))
        job->is_over = true; /* verify_done frees it */
    else
        free_job(job);
}

/* --- where outputs lie ----------------------------------------------------------------------- */

int jobs_add_sources(struct wk_job *job, const struct jt2wk_outputs *outputs)
{
    for (size_t i = 0; i < outputs->sources.n; i++) {
        size_t at = job->sources.len;
        buf_append_u32(&job->sources, 0);
        msg_encode(&task_source_desc, &outputs->sources.v[i], &job->sources);
        if (buf_failed(&job->sources))
            return ERR_NOMEM;
        put_u32(job->sources.data + at, (uint32_t)(job->sources.len - at - 4));
        job->source_count++;
    }
    job->is_complete = outputs->complete;
    return 0;
}

int jobs_sources(const struct wk_job *job, struct arena *arena, struct task_source_list *ret)
{
    struct task_source *items = arena_calloc(arena, job->source_count + 1, sizeof(*items));
    if (!items)
        return ERR_NOMEM;
    const uint8_t *p = job->sources.data;
    for (size_t i = 0; i < job->source_count; i++) {
        uint32_t len = get_u32(p);
        int rc = msg_decode(&task_source_desc, slice_of(p + 4, len), arena, &items[i], NULL);
        if (rc != 0)
            return rc;
        p += 4 + len;
    }
    *ret = (struct task_source_list){items, job->source_count};
    return 0;
}
