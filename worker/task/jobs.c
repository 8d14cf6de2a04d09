/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/task/jobs.h"

#include "libcommon/base/ids.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/digest.h"
#include "worker/task/attempt.h"
#include "worker/task/sandbox.h"

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

/* --- jobs ------------------------------------------------------------------------------------ */

static void free_job(struct wk_job *job)
{
    bring_release(job);
    buf_release(&job->bytes);
    buf_release(&job->sources);
    arena_release(&job->arena);
    mem_free(job);
}

static int keep(struct wk_job *job, const struct jt2wk_job *spec, struct err *err)
{
    msg_encode(&jt2wk_job_desc, spec, &job->bytes);
    if (buf_failed(&job->bytes))
        return err_set(err, ERR_NOMEM, "out of memory");
    return msg_decode(&jt2wk_job_desc, buf_slice(&job->bytes), &job->arena, &job->spec, err);
}

/* A setting the client has checked: what is no number above 0 is no limit. */
static uint32_t tasks_max(const struct jt2wk_job *spec)
{
    uint64_t n = 0;
    for (size_t i = 0; i < spec->conf.n; i++) {
        if (!slice_is(spec->conf.v[i].key, "mapreduce.job.jvm.numtasks"))
            continue;
        char *value = slice_dup(spec->conf.v[i].value);
        if (!value || str_to_u64(value, &n) != 0 || n > UINT32_MAX)
            n = 0;
        mem_free(value);
    }
    return (uint32_t)n;
}

static bool is_name(struct slice digest)
{
    for (size_t i = 0; i < digest.len; i++)
        if (!strchr("0123456789abcdef", digest.data[i]))
            return false;
    return digest.len == 2 * DIGEST_SHA256_SIZE;
}

static int check(const struct jt2wk_job *spec, struct err *err)
{
    if (!is_name(spec->plugin_digest))
        return err_set(err, ERR_INVAL, "a plugin is named by its SHA-256");
    for (size_t i = 0; i < spec->sides.n; i++) {
        const struct task_side *side = &spec->sides.v[i];
        if (!is_name(side->digest) || side->name.len == 0 ||
            memchr(side->name.data, '/', side->name.len))
            return err_set(err, ERR_INVAL,
                           "a side file has no name, or is not named by its SHA-256");
    }
    return 0;
}

int jobs_add(struct worker *worker, const struct jt2wk_job *spec, struct err *err)
{
    if (jobs_find(worker, spec->cluster_ms, spec->job))
        return 0;
    if (check(spec, err) != 0)
        return err->code;
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
    job->tasks_max = tasks_max(&job->spec);
    list_push_back(&worker->jobs, &job->link);
    bring_want(job);
    return 0;
}

void jobs_remove(struct wk_job *job)
{
    job->is_over = true;
    if (bring_stop(job))
        free_job(job);
}

void jobs_over(struct wk_job *job)
{
    char name[ID_TEXT_MAX];
    jobs_dir_name(job, name, sizeof(name));
    sandbox_remove_job(job->worker, name); /* a piece may have come behind the removal */
    free_job(job);
}

void jobs_link_up(struct worker *worker)
{
    list_each_safe (&worker->jobs, it)
        bring_link_up(list_entry(it, struct wk_job, link));
}

int jobs_sides(const struct wk_job *job, struct arena *arena, struct task_side_list *ret)
{
    size_t n = job->spec.sides.n;
    struct task_side *sides = arena_calloc(arena, n + 1, sizeof(*sides));
    if (!sides)
        return ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        sides[i] = job->spec.sides.v[i];
        sides[i].path = slice_str(job->bring.paths[i + 1]);
    }
    *ret = (struct task_side_list){sides, n};
    return 0;
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
    job->complete = outputs->complete_stages ? outputs->complete_stages : outputs->complete;
    return 0;
}

int jobs_sources(const struct wk_job *job, uint32_t stage, struct arena *arena,
                 struct task_source_list *ret)
{
    struct task_source *items = arena_calloc(arena, job->source_count + 1, sizeof(*items));
    size_t n = 0;
    if (!items)
        return ERR_NOMEM;
    const uint8_t *p = job->sources.data;
    for (size_t i = 0; i < job->source_count; i++) {
        uint32_t len = get_u32(p);
        int rc = msg_decode(&task_source_desc, slice_of(p + 4, len), arena, &items[n], NULL);
        if (rc != 0)
            return rc;
        n += items[n].stage == stage;
        p += 4 + len;
    }
    *ret = (struct task_source_list){items, n};
    return 0;
}
