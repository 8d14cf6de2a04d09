/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/local/job.h"

#include <unistd.h>

#include "libcommon/base/bins.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/proto/task/times.h"
#include "worker/sink/commit.h"

static bool has_reduce(const struct job *job)
{
    return job->shuffle_count > 0;
}

const struct job_stage *job_last(const struct job *job)
{
    return &job->stages[job->shuffle_count];
}

static int make_tasks(struct job *job, size_t index, uint32_t kind, size_t count)
{
    struct job_stage *stage = &job->stages[index];
    stage->tasks = arena_calloc(&job->arena, count + 1, sizeof(*stage->tasks));
    stage->sources = arena_calloc(&job->arena, count + 1, sizeof(*stage->sources));
    if (!stage->tasks || !stage->sources)
        return ERR_NOMEM;
    stage->count = count;
    stage->is_planned = true;
    for (uint32_t i = 0; i < count; i++)
        stage->tasks[i] =
            (struct job_task){.kind = kind, .stage = (uint32_t)index, .index = i, .memfd = -1};
    return 0;
}

/* Which reduce gets which partition: one to one; else packed, now that all are made. */
static int pack(struct job *job, size_t index)
{
    struct job_stage *stage = &job->stages[index];
    const struct cl2jt_shuffle *s = &job->shuffles[index - 1];
    uint32_t count = s->reduces;
    struct bins_conf conf = {s->packing == CL2JT_PACK_IN_ORDER ? BINS_IN_ORDER : BINS_ANY,
                             s->reduces, s->reduce_bytes};
    stage->task_of = arena_calloc(&job->arena, s->partitions + (size_t)1, sizeof(uint32_t));
    if (!stage->task_of)
        return ERR_NOMEM;
    for (uint32_t p = 0; s->packing == CL2JT_PACK_EACH && p < s->partitions; p++)
        stage->task_of[p] = p;
    int rc = s->packing == CL2JT_PACK_EACH
                 ? 0
                 : bins_pack(stage->raw, s->partitions, &conf, stage->task_of, &count);
    return rc == 0 ? make_tasks(job, index, TASK_REDUCE, count) : rc;
}

/* Stages whose input is complete get their tasks. */
static int plan_on(struct job *job)
{
    int rc = 0;
    for (size_t i = 1; rc == 0 && i <= job->shuffle_count; i++) {
        const struct job_stage *before = &job->stages[i - 1];
        if (before->is_planned && before->done == before->count && !job->stages[i].is_planned)
            rc = pack(job, i);
    }
    return rc;
}

int job_plan(struct job *job)
{
    int rc = make_tasks(job, 0, has_reduce(job) ? TASK_MAP : TASK_MAP_OUT, job->splits.n);
    for (size_t i = 1; rc == 0 && i <= job->shuffle_count; i++) {
        size_t count = job->shuffles[i - 1].partitions + (size_t)1;
        job->stages[i].raw = arena_calloc(&job->arena, count, sizeof(uint64_t));
        rc = job->stages[i].raw ? 0 : ERR_NOMEM;
    }
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < job->splits.n; i++)
        job->stages[0].tasks[i].bytes = job->splits.v[i].bytes;
    job->commit = (struct job_task){
        .kind = TASK_COMMIT, .stage = (uint32_t)job->shuffle_count + 1, .memfd = -1};
    counters_init(&job->counters, COUNTERS_MAX);
    return plan_on(job);
}

static void drop_run(struct job_task *task)
{
    if (task->memfd >= 0)
        close(task->memfd);
    mem_free(task->run_path);
    task->memfd = -1;
    task->run_path = NULL;
}

void job_release(struct job *job)
{
    for (size_t s = 0; s <= job->shuffle_count; s++)
        for (size_t i = 0; i < job->stages[s].count; i++)
            drop_run(&job->stages[s].tasks[i]);
    counters_release(&job->counters);
    mem_free(job->out_files);
    arena_release(&job->arena);
}

static struct job_task *waiting(struct job_task *tasks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!tasks[i].is_running && !tasks[i].is_done)
            return &tasks[i];
    return NULL;
}

struct job_task *job_next(struct job *job)
{
    if (job->has_failed)
        return NULL;
    for (size_t s = 0; s <= job->shuffle_count; s++)
        if (job->stages[s].done < job->stages[s].count)
            return waiting(job->stages[s].tasks, job->stages[s].count);
    return waiting(&job->commit, 1);
}

bool job_is_over(const struct job *job)
{
    return job->has_failed || job->commit.is_done;
}

uint64_t job_output_memory(const struct job *job, size_t slots)
{
    uint64_t left = job->output_memory > job->output_memory_used
                        ? job->output_memory - job->output_memory_used
                        : 0;
    return left / (slots ? slots : 1);
}

/* --- what a task is to do -------------------------------------------------------------------- */

static const char *in_arena(struct arena *arena, const char *fmt, const char *a, const char *b)
{
    size_t cap = strlen(fmt) + strlen(a) + strlen(b) + 1;
    char *text = arena_alloc(arena, cap);
    if (text)
        snprintf(text, cap, "%s%s%s", a, fmt, b);
    return text;
}

static char letter(const struct job_task *task)
{
    return task->kind == TASK_REDUCE ? 'r' : 'm';
}

/* Beside older outputs names must be free. */
static void out_name(const struct job *job, const struct job_task *task, char *out, size_t cap)
{
    char id[ID_TEXT_MAX];
    bool is_beside = job->mode == CL2NN_PUBLISH_APPEND;
    if (task->kind == TASK_COMMIT)
        snprintf(out, cap, COMMIT_MANIFEST);
    else
        snprintf(out, cap, "part-%c-%05u%s%s", letter(task), task->index, is_beside ? "-" : "",
                 is_beside ? job_id(job, id) : "");
}

/* Where this attempt writes, with a slash behind it. */
static void out_dir(const struct job_task *task, char *out, size_t cap)
{
    if (task->kind == TASK_COMMIT)
        snprintf(out, cap, "/");
    else
        snprintf(out, cap, "/_temporary/%zu-%05u-%u/", (size_t)task->stage, task->index,
                 task->attempts);
}

int job_describe_input(const struct job *job, const struct split *split, struct arena *arena,
                       struct task_segment_list *ret)
{
    struct task_segment *segments =
        arena_calloc(arena, split->segment_count + 1, sizeof(*segments));
    if (!segments)
        return ERR_NOMEM;
    for (size_t i = 0; i < split->segment_count; i++) {
        const struct split_segment *from = &split->segments[i];
        const struct split_file *file = &job->files[from->file];
        segments[i] = (struct task_segment){file->path, from->offset, from->length,
                                            file->len,  from->frame,  file->input};
    }
    *ret = (struct task_segment_list){segments, split->segment_count};
    return 0;
}

static int by_name(const void *pa, const void *pb)
{
    const struct task_file *a = pa, *b = pb;
    return slice_cmp(a->name, b->name);
}

struct task_file_list job_out_files(struct job *job)
{
    if (job->out_count)
        qsort(job->out_files, job->out_count, sizeof(*job->out_files), by_name);
    return (struct task_file_list){job->out_files, job->out_count};
}

const char *job_id(const struct job *job, char out[ID_TEXT_MAX])
{
    return job_id_text((struct job_id){job->cluster_ms, 1}, out, ID_TEXT_MAX);
}

static int describe_manifest(struct job *job, struct arena *arena, struct msg_strs *ret)
{
    const struct task_file_list files = job_out_files(job);
    size_t count = files.n;
    size_t n = 0;
    struct slice *lines = arena_calloc(arena, count + 2, sizeof(*lines));
    struct buf line = BUF_INIT;
    int rc = lines ? 0 : ERR_NOMEM;
    if (rc == 0 && job->mode == CL2NN_PUBLISH_PARTITION)
        lines[n++] = slice_str(CL2NN_MANIFEST_PARTITION);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        buf_clear(&line);
        commit_line(&files.v[i], &line);
        lines[n] = slice_keep(buf_slice(&line), arena);
        rc = lines[n++].data && !buf_failed(&line) ? 0 : ERR_NOMEM;
    }
    buf_release(&line);
    *ret = (struct msg_strs){lines, n};
    return rc;
}

static int describe_reduce(const struct job *job, const struct job_task *task, struct arena *arena,
                           struct task_run *ret)
{
    const struct job_stage *stage = &job->stages[task->stage], *before = stage - 1;
    uint32_t partitions = job->shuffles[task->stage - 1].partitions;
    uint64_t *list = arena_calloc(arena, partitions + (size_t)1, sizeof(*list));
    size_t n = 0;
    if (!list)
        return ERR_NOMEM;
    for (uint32_t p = 0; p < partitions; p++)
        if (stage->task_of[p] == task->index)
            list[n++] = p;
    ret->reduce_partitions = (struct msg_u64s){list, n};
    ret->sources = (struct task_source_list){before->sources, before->count};
    ret->maps = (uint32_t)before->count;
    ret->reads = task->stage - 1;
    return 0;
}

int job_describe(struct job *job, struct job_task *task, uint64_t output_memory,
                 struct arena *arena, struct task_run *ret)
{
    char name[64 + ID_TEXT_MAX], where[64];
    out_name(job, task, name, sizeof(name));
    out_dir(task, where, sizeof(where));
    struct slice *dir = arena_calloc(arena, 1, sizeof(*dir));
    const char *out = in_arena(arena, where, job->stage, name);
    const char *kept = in_arena(arena, "", name, "");
    if (!dir || !out || !kept)
        return ERR_NOMEM;
    *dir = slice_str(job->scratch);
    bool is_reduce = task->kind == TASK_REDUCE;
    const struct cl2jt_shuffle *next =
        task->stage < job->shuffle_count ? &job->shuffles[task->stage] : NULL;
    *ret = (struct task_run){.id = {.cluster_ms = job->cluster_ms,
                                    .job = 1,
                                    .stage = task->stage,
                                    .task = task->index,
                                    .attempt = task->attempts},
                             .kind = task->kind,
                             .job_name = slice_str(job->name),
                             .plugin = slice_str(job->plugin),
                             .conf = job->conf,
                             .sides = job->sides,
                             .partitions = next ? next->partitions : 0,
                             .reduces = next        ? next->reduces
                                        : is_reduce ? (uint32_t)job_last(job)->count
                                                    : 0,
                             .feeds = is_reduce && next,
                             .maps = (uint32_t)job->stages[0].count,
                             .local_dirs = {dir, 1},
                             .memory = is_reduce ? job->reduce_memory : job->map_memory,
                             .output_memory = next ? output_memory : 0,
                             .out = slice_str(out),
                             .out_name = slice_str(kept)};
    task->attempts++;
    if (task->kind == TASK_COMMIT)
        return describe_manifest(job, arena, &ret->manifest);
    return is_reduce ? describe_reduce(job, task, arena, ret)
                     : job_describe_input(job, &job->splits.v[task->index], arena, &ret->input);
}

/* --- how it went ----------------------------------------------------------------------------- */

static int take_run(struct job *job, struct job_task *task, const struct task_done *done, int memfd)
{
    bool is_in_memory = done->run_path.len == 0;
    if (!is_in_memory && memfd >= 0)
        close(memfd);
    task->memfd = is_in_memory ? memfd : -1;
    task->run_path = is_in_memory ? str_printf("/proc/%d/fd/%d", (int)getpid(), memfd)
                                  : slice_dup(done->run_path);
    if (!task->run_path)
        return ERR_NOMEM;
    if (is_in_memory)
        job->output_memory_used += done->run_len;
    struct job_stage *stage = &job->stages[task->stage], *reader = stage + 1;
    for (size_t i = 0; i < done->parts.n && i < job->shuffles[task->stage].partitions; i++)
        reader->raw[i] += done->parts.v[i].raw_bytes;
    stage->sources[task->index] = (struct task_source){.map_task = task->index,
                                                       .map_attempt = done->id.attempt,
                                                       .run = slice_str(task->run_path),
                                                       .stage = task->stage};
    return 0;
}

static int take_files(struct job *job, const struct task_file_list *files)
{
    for (size_t i = 0; i < files->n; i++) {
        if (mem_grow(&job->out_files, &job->out_cap, job->out_count, sizeof(*job->out_files)) != 0)
            return ERR_NOMEM;
        struct task_file *file = &job->out_files[job->out_count++];
        *file = files->v[i];
        file->path = slice_keep(file->path, &job->arena);
        file->name = slice_keep(file->name, &job->arena);
        if (!file->path.data || !file->name.data)
            return ERR_NOMEM;
        job->out_bytes += file->len;
    }
    return 0;
}

int job_done(struct job *job, struct job_task *task, const struct task_done *done, int memfd,
             struct err *err)
{
    int rc = 0;
    task->is_running = false;
    task->is_done = true;
    task->wall_us = done->times.total;
    counters_add_list(&job->counters, &done->counters);
    task_times_add(&job->times, &done->times);
    if (task->kind != TASK_COMMIT)
        rc = take_files(job, &done->files);
    if (task->stage < job->shuffle_count && rc == 0)
        rc = take_run(job, task, done, memfd);
    else if (memfd >= 0)
        close(memfd);
    if (task->kind != TASK_COMMIT) {
        job->stages[task->stage].done++;
        task_account_add(&job->accounts[task->stage], &done->account);
    }
    if (rc == 0)
        rc = plan_on(job);
    return rc == 0 ? 0 : err_set(err, rc, "out of memory");
}

void job_failed(struct job *job, struct job_task *task, const struct task_failed *failed)
{
    bool may_help = failed->failure != TASK_FAILED_PLUGIN;
    task->is_running = false;
    if (task->attempts < job->max_attempts && may_help)
        return;
    job->has_failed = true;
    job->failed = *failed;
    job->failed.why = slice_keep(failed->why, &job->arena);
    job->failed.path = slice_keep(failed->path, &job->arena);
    job->failed.record = slice_keep(failed->record, &job->arena);
    job->failed.log_tail = slice_keep(failed->log_tail, &job->arena);
    job->failed.at = slice_keep(failed->at, &job->arena);
    job->failed.counters = (struct msg_counter_list){0};
    job->failed.id.task = task->index;
}
