/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/task/hand_over.h"

#include "libcommon/daemon/config.h"
#include "worker/task/outfit.h"

/* By what the job's tasks before it made of theirs. */
static uint64_t expected_bytes(const struct wk_job *job, uint64_t input)
{
    return job->run_input ? (uint64_t)((__uint128_t)job->run_output * input / job->run_input) + 1
                          : 0;
}

static int offer_memory(struct wk_attempt *attempt, struct wk_process *process, struct err *err)
{
    struct segments *segments = &attempt->worker->segments;
    uint64_t input = attempt_input_bytes(attempt);
    const struct segments_wish wish = {attempt->task.memory, input, attempt->job->user.uid,
                                       expected_bytes(attempt->job, input)};
    struct spare spare;
    uint64_t offer = attempt_makes_run(attempt) ? segments_offer(segments, &wish, &spare) : 0;
    int rc = 0;
    if (offer == 0)
        return 0;
    if (spare.fd >= 0)
        outfit_use_memory(process, spare.fd);
    else
        rc = outfit_clear_memory(process, err);
    if (rc != 0)
        return rc;
    process->memory_offered = offer;
    segments->memory_used += offer;
    return 0;
}

static int look_up_user(struct wk_job *job, struct err *err)
{
    char *submitter = job->has_user ? NULL : slice_dup(job->spec.user);
    int rc = 0;
    if (!job->has_user)
        rc = submitter ? sandbox_user(job->worker, submitter, &job->user, err)
                       : err_set(err, ERR_NOMEM, "out of memory");
    mem_free(submitter);
    job->has_user = rc == 0;
    return rc;
}

/* What its processes may have: its share, the memory it writes its output into, and what is beyond
 * the engine's buffers: programs, stacks, the plugin's own things. */
static uint64_t memory_limit(const struct wk_attempt *attempt, const struct wk_process *process)
{
    return fence_limit(attempt->task.memory) + process->memory_offered;
}

static int output_path(const struct wk_attempt *attempt, struct arena *arena, struct slice *ret)
{
    const struct slice temporary = attempt->job->spec.temporary, name = attempt->task.out_name;
    size_t cap = temporary.len + sizeof(attempt->name) + name.len + 3;
    char *out = arena_alloc(arena, cap);
    if (!out)
        return ERR_NOMEM;
    int len = snprintf(out, cap, SLICE_FMT "/%s/" SLICE_FMT, SLICE_ARG(temporary), attempt->name,
                       SLICE_ARG(name));
    *ret = slice_of(out, (size_t)len);
    return 0;
}

static int describe(struct wk_attempt *attempt, const struct wk_process *process,
                    struct arena *arena, struct task_run *run, struct err *err)
{
    const struct jt2wk_job *spec = &attempt->job->spec;
    const struct conf *conf = daemon_conf(attempt->worker->daemon);
    const struct task_dirs *own = &process->dirs;
    struct slice *dirs = arena_calloc(arena, own->count, sizeof(*dirs));
    struct slice out;
    if (!dirs || output_path(attempt, arena, &out) != 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < own->count; i++)
        dirs[i] = slice_str(own->v[i]);
    *run = (struct task_run){
        .id = attempt->task.id,
        .kind = attempt->task.kind,
        .job_name = spec->name,
        .plugin = slice_str(attempt->job->bring.paths[0]),
        .user = spec->user,
        .conf = spec->conf,
        .partitions = attempt->task.makes ? attempt->task.makes : spec->partitions,
        .maps = attempt->task.sources ? attempt->task.sources : spec->maps,
        .fs_uri = spec->fs_uri,
        .local_dirs = {dirs, own->count},
        .memory = attempt->task.memory,
        .input = attempt->task.input,
        .output_memory = process->memory_offered,
        .reduce_partitions = attempt->task.partitions,
        .out = out,
        .out_name = attempt->task.out_name,
        .replication = spec->replication,
        .conf_file = slice_str(config_file(conf)),
        .manifest = attempt->task.manifest,
        .node = slice_str(daemon_node_name(attempt->worker->daemon)),
        .ordered_us = attempt->ordered_us,
        .reduces = attempt->task.reduces,
        .reads = attempt->task.reads,
        .feeds = attempt->task.kind == TASK_REDUCE && attempt_makes_run(attempt),
    };
    int rc = jobs_sides(attempt->job, arena, &run->sides);
    if (rc == 0 && attempt->task.kind == TASK_REDUCE)
        rc = jobs_sources(attempt->job, attempt->task.reads, arena, &run->sources);
    return rc == 0 ? 0 : err_set(err, rc, "the places of the map outputs: %s", err_text(rc));
}

/* In what they differ from the first. */
static int describe_behind(struct wk_attempt *const *row, size_t count, struct arena *arena,
                           struct task_run *run, struct err *err)
{
    struct task_behind *behind = arena_calloc(arena, count, sizeof(*behind));
    if (!behind)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (size_t i = 1; i < count; i++) {
        const struct wk_attempt *attempt = row[i];
        struct task_behind *one = &behind[i - 1];
        *one = (struct task_behind){.id = attempt->task.id,
                                    .input = attempt->task.input,
                                    .out_name = attempt->task.out_name,
                                    .ordered_us = attempt->ordered_us};
        if (output_path(attempt, arena, &one->out) != 0)
            return err_set(err, ERR_NOMEM, "out of memory");
    }
    run->behind = (struct task_behind_list){behind, count - 1};
    return 0;
}

static struct wk_process *find_process(const struct wk_attempt *attempt, size_t count,
                                       struct err *err)
{
    const struct task_attempt *id = &attempt->task.id;
    const struct process_wish wish = {id->cluster_ms, id->job, attempt->task.memory,
                                      &attempt->job->user, (uint32_t)count};
    return process_get(attempt->worker, &wish, err);
}

static int send_run(struct wk_attempt *const *row, size_t count, struct wk_process *process,
                    struct err *err)
{
    struct task_run msg;
    struct arena arena = ARENA_INIT;
    int rc = describe(row[0], process, &arena, &msg, err);
    if (rc == 0)
        rc = describe_behind(row, count, &arena, &msg, err);
    if (rc == 0) {
        uint64_t limit = memory_limit(row[0], process);
        if (process->served == 1)
            row[0]->worker->usual_limit = limit;
        fence_set(&process->fence, limit);
        row_begin(&process->row, row, count, process->page);
        msg.row = process->row.number;
        rc = process_run(process, &msg, err);
    }
    arena_release(&arena);
    return rc;
}

static int give(struct wk_attempt *const *row, size_t count, struct wk_process *process,
                struct err *err)
{
    int rc = outfit_clear_dirs(process, row[0], err);
    if (rc == 0)
        rc = outfit_clear_page(process, err);
    if (rc == 0)
        rc = offer_memory(row[0], process, err);
    return rc == 0 ? send_run(row, count, process, err) : rc;
}

struct wk_process *hand_over(struct wk_attempt *const *row, size_t count, struct err *err)
{
    int rc = look_up_user(row[0]->job, err);
    struct wk_process *process = rc == 0 ? find_process(row[0], count, err) : NULL;
    if (!process || give(row, count, process, err) == 0)
        return process;
    process_drop_row(process);
    process_kill(process);
    return NULL;
}
