/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/serve/orders.h"

#include "jobtracker/jobs/attempts.h"
#include "jobtracker/packing.h"
#include "jobtracker/record.h"
#include "libcommon/base/log.h"
#include "libcommon/base/str.h"
#include "libcommon/proto/cl_nn/publish.h"

#define ORDER_TIMEOUT_MS 60000

/* One question on its way to a worker. */
struct order {
    struct rpc_wait wait;
    struct jobtracker *jt;
    struct task_attempt *attempts; /* that it was to begin */
    size_t attempt_count;
    char *worker;
};

static void order_free(struct order *order)
{
    mem_free(order->worker);
    mem_free(order->attempts);
    mem_free(order);
}

static void not_begun(struct jobtracker *jt, struct jt_worker *worker,
                      const struct task_attempt *attempt, const struct err *err)
{
    bool is_spent = err->code == ERR_NONODE;
    struct attempt_id id = jobtracker_core_id(attempt);
    struct task_failed failed = {.id = *attempt,
                                 .failure = is_spent ? TASK_FAILED_NO_DIRECTORY : TASK_FAILED_NODE,
                                 .why = slice_str(err->msg)};
    if (jt_is_running(&jt->core, worker, &id))
        record_note_failure(record_of(jt_core_job(&jt->core, id.job.number)), &failed,
                            worker->name);
    jt_on_failed(&jt->core, worker, &id, is_spent ? JT_FAULT_NODE_SPENT : JT_FAULT_NODE, err->msg,
                 jobtracker_now(jt));
}

static void order_done(void *arg, int code, const void *answer, const struct err *err)
{
    struct order *order = arg;
    struct jobtracker *jt = order->jt;
    (void)answer;
    bool was_refused = code != 0 && code != ERR_CLOSED && code != ERR_UNREACHABLE;
    struct jt_worker *worker = jt_fleet_find(&jt->core.fleet, slice_str(order->worker));
    if (was_refused)
        log_warn("jt.orders", "%s: %s", order->worker, err->msg);
    if (was_refused && worker && order->attempt_count) {
        for (size_t i = 0; i < order->attempt_count; i++)
            not_begun(jt, worker, &order->attempts[i], err);
        jobtracker_carry_out(jt);
    }
    order_free(order);
}

/* `tasks`: those it is to begin. */
static void ask(struct jobtracker *jt, struct jt_worker *worker, size_t method, const void *msg,
                const struct jt2wk_task_list *tasks)
{
    struct rpc_peer *peer = worker->edge;
    size_t n = tasks ? tasks->n : 0;
    if (!peer)
        return;
    struct order *order = mem_calloc(1, sizeof(*order));
    char *name = str_dup(worker->name);
    struct task_attempt *attempts = mem_calloc(n + 1, sizeof(*attempts));
    if (!order || !name || !attempts) {
        mem_free(order);
        mem_free(name);
        mem_free(attempts);
        daemon_exit(jt->daemon, 1, "out of memory");
        return;
    }
    for (size_t i = 0; i < n; i++)
        attempts[i] = tasks->v[i].id;
    *order = (struct order){.jt = jt, .worker = name, .attempts = attempts, .attempt_count = n};
    order->wait.done = order_done;
    order->wait.arg = order;
    order->wait.timeout_ms = ORDER_TIMEOUT_MS;
    rpc_ask(peer, &JT2WK_methods[method], msg, &order->wait);
}

static uint64_t task_timeout(const struct jobtracker *jt, const struct cl2jt_submit *spec)
{
    uint64_t timeout = conf_ms(daemon_conf(jt->daemon), "mapreduce.task.timeout");
    for (size_t i = 0; i < spec->conf.n; i++) {
        if (!slice_is(spec->conf.v[i].key, "mapreduce.task.timeout"))
            continue;
        char *value = slice_dup(spec->conf.v[i].value);
        if (value)
            str_to_ms(value, 1, &timeout);
        mem_free(value);
    }
    return timeout;
}

static void tell_job(struct jobtracker *jt, const struct jt_effect *effect)
{
    const struct record *record = record_of(effect->job);
    const struct cl2jt_submit *spec = &record->spec.job;
    char *temporary = record_temporary(jt, record);
    if (!temporary) {
        daemon_exit(jt->daemon, 1, "out of memory");
        return;
    }
    struct jt2wk_job msg = {
        .epoch = jt->epoch,
        .cluster_ms = jt->cluster_ms,
        .job = effect->job->number,
        .name = spec->name,
        .user = record->spec.user,
        .plugin_digest = spec->plugin_digest,
        .conf = spec->conf,
        .partitions = spec->shuffles.n ? spec->shuffles.v[0].partitions : spec->partitions,
        .maps = effect->job->stages[0].count,
        .fs_uri = spec->fs_uri,
        .temporary = slice_str(temporary),
        .replication = spec->replication,
        .timeout_ms = task_timeout(jt, spec),
        .sides = spec->sides,
    };
    ask(jt, effect->worker, JT2WK_AT_JOB, &msg, NULL);
    mem_free(temporary);
}

/* One line of _MANIFEST per output file: name, bytes, records, CRC32C. */
static int manifest_line(const struct task_file *file, struct arena *arena, struct slice *ret)
{
    size_t cap = file->name.len + 80;
    char *line = arena_alloc(arena, cap);
    if (!line)
        return ERR_NOMEM;
    int len = snprintf(line, cap, SLICE_FMT "\t%llu\t%llu\t%08x", SLICE_ARG(file->name),
                       (unsigned long long)file->len, (unsigned long long)file->records, file->crc);
    *ret = slice_of(line, (size_t)len);
    return 0;
}

/* Of such an output the manifest has no line: it needs no block, and no datanode. */
static bool is_all_empty(const struct task_file_list *files)
{
    for (size_t i = 0; i < files->n; i++)
        if (files->v[i].len > 0)
            return false;
    return true;
}

static int manifest(const struct jt_job *job, struct arena *arena, struct msg_strs *ret)
{
    struct task_file_list files;
    uint32_t mode = record_of(job)->spec.job.mode;
    int rc = record_output_files(job, arena, &files);
    struct slice *lines = rc == 0 ? arena_calloc(arena, files.n + 2, sizeof(*lines)) : NULL;
    if (!lines)
        return rc ? rc : ERR_NOMEM;
    size_t n = 0;
    if (mode == CL2NN_PUBLISH_PARTITION)
        lines[n++] = slice_str(CL2NN_MANIFEST_PARTITION);
    else if (is_all_empty(&files))
        files.n = 0;
    for (size_t i = 0; rc == 0 && i < files.n; i++)
        rc = manifest_line(&files.v[i], arena, &lines[n++]);
    *ret = (struct msg_strs){lines, n};
    return rc;
}

/* Beside older outputs names must be free. */
static const char *out_name(const struct jobtracker *jt, const struct jt_task *task, char *out,
                            size_t cap)
{
    char id[ID_TEXT_MAX];
    const struct jt_job *job = task->stage->job;
    bool is_beside = record_of(job)->spec.job.mode == CL2NN_PUBLISH_APPEND;
    if (task->stage->kind == JT_STAGE_COMMIT)
        return "_MANIFEST";
    job_id_text((struct job_id){jt->cluster_ms, job->number}, id, sizeof(id));
    snprintf(out, cap, "part-%c-%05u%s%s", task->stage->kind == JT_STAGE_REDUCE ? 'r' : 'm',
             task->index, is_beside ? "-" : "", is_beside ? id : "");
    return out;
}

/* What a task must know of the stages around its own. */
static int describe_stages(const struct jt_task *task, struct arena *arena, struct jt2wk_task *ret)
{
    const struct jt_stage *stage = task->stage, *stages = stage->job->stages;
    const struct jt_stage *reader = stage->feeds ? &stages[stage->index + 1] : stage;
    if (stage->feeds)
        ret->makes = reader->partitions;
    if (reader->kind == JT_STAGE_REDUCE &&
        (!reader->is_packed || reader->has_packing || packing_is_fixed(reader)))
        ret->reduces = reader->count;
    if (stage->kind != JT_STAGE_REDUCE)
        return 0;
    ret->reads = stage->reads_from;
    ret->sources = stages[stage->reads_from].count;
    return packing_of_task(task, arena, &ret->partitions);
}

/* A manifest without a line is made by the publication: nobody has anything to write. */
static int commit_nothing(struct jobtracker *jt, const struct jt_effect *effect,
                          const struct jt2wk_task *task)
{
    struct task_file manifest = {.path = slice_str(""), .name = task->out_name};
    struct task_done done = {.id = task->id, .files = {&manifest, 1}};
    struct attempt_id id = jobtracker_core_id(&task->id);
    struct buf result = BUF_INIT;
    msg_encode(&task_done_desc, &done, &result);
    int rc = buf_failed(&result) ? ERR_NOMEM : 0;
    if (rc == 0)
        (void)jt_on_done(&jt->core, effect->worker, &id, &(struct jt_progress){0},
                         buf_slice(&result), jobtracker_now(jt)); /* what follows is carried out */
    buf_release(&result);
    return rc;
}

static int describe(const struct jobtracker *jt, const struct jt_effect *effect,
                    struct arena *arena, struct jt2wk_task *ret)
{
    const struct jt_attempt *attempt = effect->attempt;
    const struct jt_task *task = attempt->task;
    const size_t name_max = 32 + ID_TEXT_MAX;
    char *name = arena_alloc(arena, name_max);
    struct cl2jt_split split = {0};
    if (!name)
        return ERR_NOMEM;
    *ret = (struct jt2wk_task){
        .id = jobtracker_attempt_id(jt, attempt),
        .kind = task->stage->kind,
        .memory = jt_task_need(task, attempt->worker).memory,
        .out_name = slice_str(out_name(jt, task, name, name_max)),
        .is_behind = effect->is_behind,
    };
    int rc = 0;
    if (task->input.len && task->stage->reads_from == JT_NO_STAGE) {
        rc = msg_decode(&cl2jt_split_desc, task->input, arena, &split, NULL);
        ret->input = split.segments;
    }
    if (rc == 0)
        rc = describe_stages(task, arena, ret);
    if (rc == 0 && task->stage->kind == JT_STAGE_COMMIT)
        rc = manifest(task->stage->job, arena, &ret->manifest);
    return rc;
}

void orders_send_row(struct jobtracker *jt, const struct jt_effect *effects, size_t count)
{
    struct arena arena = ARENA_INIT;
    struct jt2wk_task *tasks = arena_calloc(&arena, count, sizeof(*tasks));
    int rc = tasks ? 0 : ERR_NOMEM;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = describe(jt, &effects[i], &arena, &tasks[i]);
    struct jt2wk_run msg = {.epoch = jt->epoch, .tasks = {tasks, count}};
    bool is_commit = effects[0].attempt->task->stage->kind == JT_STAGE_COMMIT;
    if (rc == 0 && is_commit && tasks[0].manifest.n == 0)
        rc = commit_nothing(jt, &effects[0], &tasks[0]);
    else if (rc == 0)
        ask(jt, effects[0].worker, JT2WK_AT_RUN, &msg, &msg.tasks);
    if (rc != 0)
        daemon_exit(jt->daemon, 1, "cannot describe a task: %s", err_text(rc));
    arena_release(&arena);
}

static struct task_source source_of(const struct jt_output *output)
{
    const struct jt_worker *worker = output->worker;
    return (struct task_source){
        .map_task = output->task,
        .map_attempt = output->attempt,
        .stage = output->stage,
        .is_empty = output->is_empty,
        .worker = slice_str(worker->name),
        .host = slice_str(worker->host),
        .port = worker->port,
        .socket = slice_str(worker->socket),
        .boot_id = slice_str(worker->boot_id),
        .netns = worker->netns,
    };
}

static void tell_outputs(struct jobtracker *jt, const struct jt_effect *effect)
{
    const struct jt_job *job = effect->job;
    size_t n = effect->to - effect->from;
    struct task_source *sources = mem_calloc(n, sizeof(*sources));
    if (!sources) {
        daemon_exit(jt->daemon, 1, "out of memory");
        return;
    }
    for (size_t i = 0; i < n; i++)
        sources[i] = source_of(&job->outputs[effect->from + i]);
    struct jt2wk_outputs msg = {
        .epoch = jt->epoch,
        .cluster_ms = jt->cluster_ms,
        .job = job->number,
        .sources = {sources, n},
        .complete = effect->complete & 1,
        .complete_stages = effect->complete,
    };
    ask(jt, effect->worker, JT2WK_AT_OUTPUTS, &msg, NULL);
    mem_free(sources);
}

static void tell_kill(struct jobtracker *jt, const struct jt_effect *effect)
{
    struct jt2wk_kill msg = {
        .epoch = jt->epoch,
        .id = jobtracker_attempt_id(jt, effect->attempt),
        .why = slice_str(effect->why ? effect->why : ""),
    };
    ask(jt, effect->worker, JT2WK_AT_KILL, &msg, NULL);
}

static void tell_end(struct jobtracker *jt, const struct jt_effect *effect)
{
    struct jt2wk_end msg = {jt->epoch, jt->cluster_ms, effect->job->number};
    ask(jt, effect->worker, JT2WK_AT_END, &msg, NULL);
}

void orders_send(struct jobtracker *jt, const struct jt_effect *effect)
{
    switch (effect->kind) {
    case JT_TELL_JOB:
        tell_job(jt, effect);
        break;
    case JT_TELL_OUTPUTS:
        tell_outputs(jt, effect);
        break;
    case JT_TELL_KILL:
        tell_kill(jt, effect);
        break;
    case JT_TELL_END:
        tell_end(jt, effect);
        break;
    default:
        BUG("effect %d is not an order", (int)effect->kind);
    }
}

int orders_ask_log(struct jt_worker *worker, const struct jt2wk_log *ask_log, struct rpc_wait *wait)
{
    if (!worker->is_live || !worker->edge)
        return ERR_UNREACHABLE;
    rpc_ask(worker->edge, &JT2WK_methods[JT2WK_AT_LOG], ask_log, wait);
    return 0;
}
