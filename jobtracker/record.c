/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/record.h"

#include <inttypes.h>

#include "jobtracker/account.h"
#include "jobtracker/jobs/waits.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/str.h"
#include "libcommon/proto/task/times.h"

#define SPLITS_MAX_BYTES (1U << 30)

static int load_splits(struct jobtracker *jt, struct record *record, struct err *err)
{
    struct cl2jt_submit *job = &record->spec.job;
    if (job->splits_digest.len == 0) {
        record->splits = job->splits;
        return 0;
    }
    uint64_t total;
    int rc = blobs_read(&jt->blobs, job->splits_digest, 0, SPLITS_MAX_BYTES, &record->split_bytes,
                        &total);
    if (rc != 0)
        return err_set(err, rc, "the job's list of splits is not here: %s", err_text(rc));
    return msg_decode(&cl2jt_splits_desc, buf_slice(&record->split_bytes), &record->split_arena,
                      &record->splits, err);
}

/* The core has its own copy of what it needs of each. */
static void forget_splits(struct record *record)
{
    record->splits.splits.v = NULL;
    buf_release(&record->split_bytes);
    arena_release(&record->split_arena);
}

static uint64_t origin_hash(const struct msg_origin *origin)
{
    return hash_u64(origin->client ^ hash_u64(origin->seq));
}

struct record *record_of_origin(const struct jobtracker *jt, const struct msg_origin *origin)
{
    struct hmap_node *n = origin->seq ? hmap_find(&jt->origins, origin_hash(origin)) : NULL;
    for (; n; n = hmap_find_next(n)) {
        struct record *record = CONTAINER_OF(n, struct record, by_origin);
        const struct msg_origin *o = &record->spec.job.origin;
        if (o->client == origin->client && o->seq == origin->seq)
            return record;
    }
    return NULL;
}

static int note_origin(struct jobtracker *jt, struct record *record)
{
    const struct msg_origin *origin = &record->spec.job.origin;
    int rc = origin->seq ? hmap_add(&jt->origins, &record->by_origin, origin_hash(origin)) : 0;
    record->origins = rc == 0 && origin->seq ? &jt->origins : NULL;
    return rc;
}

struct record *record_new(struct jobtracker *jt, struct buf *bytes, struct err *err)
{
    struct record *record = mem_calloc(1, sizeof(*record));
    if (!record) {
        buf_release(bytes);
        err_set(err, ERR_NOMEM, "out of memory");
        return NULL;
    }
    list_init(&record->over);
    list_init(&record->unwritten);
    list_init(&record->publishing);
    list_init(&record->ended);
    list_init(&record->watchers);
    record->bytes = *bytes;
    *bytes = BUF_INIT;
    int rc = msg_decode(&joblog_submit_desc, buf_slice(&record->bytes), &record->arena,
                        &record->spec, err);
    if (rc == 0)
        rc = load_splits(jt, record, err);
    if (rc == 0 && note_origin(jt, record) != 0)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    if (rc != 0) {
        record_free(record);
        return NULL;
    }
    return record;
}

void record_free(struct record *record)
{
    if (!record)
        return;
    if (record->origins)
        hmap_remove(record->origins, &record->by_origin);
    list_remove(&record->over);
    list_remove(&record->unwritten);
    list_remove(&record->publishing);
    list_remove(&record->ended);
    buf_release(&record->bytes);
    forget_splits(record);
    buf_release(&record->failure_bytes);
    buf_release(&record->last_words);
    mem_free(record->findings);
    mem_free(record->failures);
    keys_release(&record->keys);
    arena_release(&record->arena);
    jt_counters_release(&record->counters);
    mem_free(record);
}

/* Each split goes into the core as opaque bytes: the core looks at its nodes and size only. */
static int core_splits(struct record *record, struct buf *encoded, struct jt_split *splits)
{
    size_t n = record->splits.splits.n;
    size_t *ends = mem_calloc(n, sizeof(size_t));
    if (!ends)
        return ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        msg_encode(&cl2jt_split_desc, &record->splits.splits.v[i], encoded);
        ends[i] = encoded->len;
    }
    for (size_t i = 0; i < n && !buf_failed(encoded); i++) {
        const struct cl2jt_split *split = &record->splits.splits.v[i];
        size_t start = i ? ends[i - 1] : 0;
        splits[i] = (struct jt_split){
            .input = slice_of(encoded->data + start, ends[i] - start),
            .bytes = split->bytes,
            .nodes = split->nodes.v,
            .node_count = (uint32_t)split->nodes.n,
        };
    }
    mem_free(ends);
    return buf_failed(encoded) ? ERR_NOMEM : 0;
}

const struct slice *record_setting(const struct cl2jt_submit *spec, const char *key)
{
    for (size_t i = spec->conf.n; i-- > 0;)
        if (slice_is(spec->conf.v[i].key, key))
            return &spec->conf.v[i].value;
    return NULL;
}

static uint32_t number_setting(const struct cl2jt_submit *spec, const char *key)
{
    const struct slice *value = record_setting(spec, key);
    uint64_t n = 0;
    for (size_t i = 0; value && i < value->len && n < UINT32_MAX; i++)
        n = value->data[i] >= '0' && value->data[i] <= '9' ? n * 10 + value->data[i] - '0'
                                                           : UINT32_MAX;
    return n < UINT32_MAX ? (uint32_t)n : 0; /* the client has checked it */
}

/* As the job says, else as it is here. */
static bool is_off(const struct jobtracker *jt, const struct cl2jt_submit *spec, const char *key)
{
    const struct slice *value = record_setting(spec, key);
    if (!value)
        return !conf_bool(daemon_conf(jt->daemon), key);
    return slice_is(*value, "false") || slice_is(*value, "no") || slice_is(*value, "off") ||
           slice_is(*value, "0");
}

static uint32_t attempts(const struct jobtracker *jt, const struct cl2jt_submit *spec,
                         const char *key)
{
    uint32_t n = number_setting(spec, key);
    return n ? n : (uint32_t)conf_int(daemon_conf(jt->daemon), key);
}

static uint64_t size_setting(const struct cl2jt_submit *spec, const char *key)
{
    const struct slice *value = record_setting(spec, key);
    char *text = value ? slice_dup(*value) : NULL;
    uint64_t bytes = 0;
    if (text && str_to_size(text, &bytes) != 0)
        bytes = 0; /* the client has checked it */
    mem_free(text);
    return bytes;
}

struct slice record_queue(const struct cl2jt_submit *spec)
{
    const struct slice *value = record_setting(spec, "mapreduce.job.queuename");
    return value && value->len ? *value : slice_str(JT_QUEUE_DEFAULT);
}

/* The client sends its default, too, but among the settings only what somebody has chosen. */
static struct jt_demand map_asks(const struct cl2jt_submit *spec)
{
    return (struct jt_demand){
        .cores = number_setting(spec, "mapreduce.map.cpu.vcores"),
        .memory = spec->map_memory,
        .bends = record_setting(spec, "mapreduce.map.memory.mb") == NULL,
    };
}

static struct jt_demand reduce_asks(const struct cl2jt_submit *spec)
{
    return (struct jt_demand){
        .cores = number_setting(spec, "mapreduce.reduce.cpu.vcores"),
        .memory = spec->reduce_memory,
        .bends = record_setting(spec, "mapreduce.reduce.memory.mb") == NULL,
        .is_reduce = true,
    };
}

int record_check_demand(const struct jobtracker *jt, const struct cl2jt_submit *spec,
                        struct err *err)
{
    const struct jt_core *core = &jt->core;
    const struct jt_demand map = map_asks(spec), reduce = reduce_asks(spec);
    const bool reduces = spec->partitions > 0 || spec->shuffles.n > 0;
    char why[256];
    if (core->is_on_probation || core->fleet.live == 0)
        return 0;
    if (jt_demand_too_large(&map, &core->fleet, true, why, sizeof(why)) ||
        (reduces && jt_demand_too_large(&reduce, &core->fleet, true, why, sizeof(why))))
        return err_set(err, ERR_INVAL, "%s", why);
    return 0;
}

static void read_slowstart(const struct cl2jt_submit *spec, struct jt_submit *submit)
{
    const struct slice *value =
        record_setting(spec, "mapreduce.job.reduce.slowstart.completedmaps");
    char *text = value ? slice_dup(*value) : NULL;
    if (text) {
        double share = strtod(text, NULL); /* the client has checked it */
        submit->has_slowstart = true;
        submit->slowstart_percent = share > 0 ? share < 1 ? (uint32_t)(share * 100) : 100 : 0;
    }
    mem_free(text);
}

/* As the core wants them; what an older client says is in `partitions` alone. */
static void read_shuffles(const struct cl2jt_submit *spec, struct jt_shuffle *shuffles,
                          struct jt_submit *submit)
{
    for (size_t i = 0; i < spec->shuffles.n; i++) {
        const struct cl2jt_shuffle *s = &spec->shuffles.v[i];
        shuffles[i] = (struct jt_shuffle){
            .partitions = s->partitions,
            .tasks = s->reduces,
            .is_packed = s->packing != CL2JT_PACK_EACH,
        };
    }
    submit->shuffles = shuffles;
    submit->shuffle_count = (uint32_t)spec->shuffles.n;
}

int record_begin(struct jobtracker *jt, struct record *record, struct err *err)
{
    const struct cl2jt_submit *spec = &record->spec.job;
    struct buf encoded = BUF_INIT;
    struct jt_split *splits = mem_calloc(record->splits.splits.n, sizeof(*splits));
    int rc = splits ? core_splits(record, &encoded, splits) : ERR_NOMEM;
    if (rc == 0) {
        struct jt_submit submit = {
            .name = spec->name,
            .user = record->spec.user,
            .queue = record_queue(spec),
            .priority = spec->priority,
            .most_maps = number_setting(spec, "mapreduce.job.running.map.limit"),
            .most_reduces = number_setting(spec, "mapreduce.job.running.reduce.limit"),
            .most_memory = size_setting(spec, "mapreduce.job.running.memory.limit"),
            .partitions = spec->partitions,
            .map = map_asks(spec),
            .reduce = reduce_asks(spec),
            .map_attempts = attempts(jt, spec, "mapreduce.map.maxattempts"),
            .reduce_attempts = attempts(jt, spec, "mapreduce.reduce.maxattempts"),
            .map_no_copies = is_off(jt, spec, "mapreduce.map.speculative"),
            .reduce_no_copies = is_off(jt, spec, "mapreduce.reduce.speculative"),
            .splits = splits,
            .split_count = (uint32_t)record->splits.splits.n,
            .spec = record,
        };
        struct jt_shuffle shuffles[JT_SHUFFLES_MAX];
        read_shuffles(spec, shuffles, &submit);
        read_slowstart(spec, &submit);
        record->job = jt_on_submit(&jt->core, record->spec.number, &submit, jobtracker_now(jt));
        if (!record->job)
            rc = ERR_NOMEM;
        else
            list_push_back(&jt->unwritten, &record->unwritten);
    }
    forget_splits(record);
    mem_free(splits);
    buf_release(&encoded);
    return rc == 0 ? 0 : err_set(err, rc, "the jobtracker has no memory left for this job");
}

static void count(struct record *record, const struct jt_stage *stage, const struct task_done *done)
{
    for (size_t i = 0; i < done->counters.n; i++) {
        const struct msg_counter *c = &done->counters.v[i];
        if (jt_counters_add(&record->counters, c->group, c->name, c->value) != 0)
            record->counters.dropped++;
    }
    task_times_add(&record->times[stage->index], &done->times);
    task_account_add(&record->accounts[stage->index], &done->account);
    if (stage->kind == JT_STAGE_COMMIT)
        return;
    bool is_reduce = stage->kind == JT_STAGE_REDUCE;
    if (done->peak_memory &&
        jt_counters_max(&record->counters, slice_str(COUNTERS_OWN),
                        slice_str(is_reduce ? "Peak Reduce Physical memory (bytes)"
                                            : "Peak Map Physical memory (bytes)"),
                        done->peak_memory) != 0)
        record->counters.dropped++;
    for (size_t i = 0; i < done->files.n; i++)
        record->out_bytes += done->files.v[i].len;
    record->out_files += (uint32_t)done->files.n;
}

void record_finish(struct record *record)
{
    struct arena arena = ARENA_INIT;
    for (uint32_t s = 0; s < record->job->stage_count; s++) {
        const struct jt_stage *stage = &record->job->stages[s];
        for (uint32_t t = 0; t < stage->count; t++) {
            struct task_done done;
            arena_reset(&arena);
            if (account_of(&stage->tasks[t], &arena, &done) == 0)
                count(record, stage, &done);
        }
    }
    arena_release(&arena);
}

/* "attempt_..._m_000012_0 on host7: crashed (signal 11, SIGSEGV)", where, and its log's end. */
static void keep_words(struct record *record, const struct task_failed *failed, const char *worker)
{
    struct buf *out = &record->last_words;
    char name[ID_TEXT_MAX];
    const struct task_attempt *id = &failed->id;
    struct attempt_id named = {{id->cluster_ms, id->job}, id->stage, id->task, id->attempt};
    if (out->len > RECORD_WORDS_MAX || id->stage >= record->job->stage_count)
        return;
    attempt_id_text(&named, task_letter(record->job->stages[id->stage].kind, id->stage), name,
                    sizeof(name));
    buf_printf(out, "%s on %s: " SLICE_FMT "\n", name, worker, SLICE_ARG(failed->why));
    if (failed->at.len)
        buf_printf(out, "  at " SLICE_FMT "\n", SLICE_ARG(failed->at));
    if (failed->path.len)
        buf_printf(out, "  record at " SLICE_FMT " offset %" PRIu64 "\n", SLICE_ARG(failed->path),
                   failed->offset);
    buf_append_slice(out, failed->log_tail);
    if (failed->log_tail.len && failed->log_tail.data[failed->log_tail.len - 1] != '\n')
        buf_append_byte(out, '\n');
}

void record_note_failure(struct record *record, const struct task_failed *failed,
                         const char *worker)
{
    buf_clear(&record->failure_bytes);
    msg_encode(&task_failed_desc, failed, &record->failure_bytes);
    account_note_failure(record, failed);
    keep_words(record, failed, worker);
}

char *record_temporary(const struct jobtracker *jt, const struct record *record)
{
    char id[ID_TEXT_MAX];
    struct slice out = record->spec.job.out;
    job_id_text((struct job_id){jt->cluster_ms, record->spec.number}, id, sizeof(id));
    return str_printf(SLICE_FMT "%s_temporary/%s", SLICE_ARG(out), out.len > 1 ? "/" : "", id);
}

/* `room` is for the moment: what is kept borrows from the result. */
static int append_files(struct slice result, struct arena *room, struct arena *arena,
                        struct task_file_list *files, size_t *cap)
{
    struct task_done done;
    arena_reset(room);
    int rc = msg_decode(&task_done_desc, result, room, &done, NULL);
    for (size_t i = 0; rc == 0 && i < done.files.n; i++) {
        if (files->n == *cap) {
            struct task_file *grown = arena_calloc(arena, *cap * 2 + 8, sizeof(*grown));
            if (!grown)
                return ERR_NOMEM;
            if (files->n)
                memcpy(grown, files->v, files->n * sizeof(*grown));
            files->v = grown;
            *cap = *cap * 2 + 8;
        }
        files->v[files->n++] = done.files.v[i];
    }
    return rc;
}

static int by_name(const void *pa, const void *pb)
{
    const struct task_file *a = pa, *b = pb;
    return slice_cmp(a->name, b->name);
}

/* Tasks with others behind them have files only when the job named some. */
static bool may_have_files(const struct jt_stage *stage)
{
    const struct record *record = record_of(stage->job);
    return stage->kind != JT_STAGE_COMMIT && (stage->kind != JT_STAGE_MAP || record->has_map_files);
}

int record_output_files(const struct jt_job *job, struct arena *arena, struct task_file_list *ret)
{
    struct arena room = ARENA_INIT;
    size_t cap = 0;
    int rc = 0;
    *ret = (struct task_file_list){0};
    for (uint32_t s = 0; rc == 0 && s < job->stage_count; s++) {
        const struct jt_stage *stage = &job->stages[s];
        if (!may_have_files(stage))
            continue;
        for (uint32_t t = 0; rc == 0 && t < stage->count; t++)
            if (stage->tasks[t].result.len)
                rc = append_files(stage->tasks[t].result, &room, arena, ret, &cap);
    }
    arena_release(&room);
    if (rc == 0 && ret->n)
        qsort(ret->v, ret->n, sizeof(*ret->v), by_name);
    return rc;
}

/* --- status ---------------------------------------------------------------------------------- */

struct slowest {
    uint64_t ms;
    uint32_t task;
    const char *node;
};

static struct slowest find_slowest(const struct jt_stage *stage)
{
    struct slowest s = {0, JT_NO_TASK, ""};
    for (uint32_t i = 0; i < stage->count; i++) {
        const struct jt_attempt *winner = stage->tasks[i].winner;
        if (winner && winner->end_ms - winner->start_ms >= s.ms)
            s = (struct slowest){winner->end_ms - winner->start_ms, i, winner->worker->name};
    }
    return s;
}

static void stage_progress(const struct jt_stage *stage, struct cl2jt_stage *ret)
{
    for (uint32_t i = 0; i < stage->count; i++) {
        const struct jt_task *task = &stage->tasks[i];
        const struct jt_attempt *best = task->winner;
        list_each (&task->attempts, it) {
            const struct jt_attempt *a = list_entry(it, struct jt_attempt, of_task);
            if (!task->winner && a->state == JT_ATTEMPT_RUNNING &&
                (!best || a->bytes_in > best->bytes_in))
                best = a;
        }
        uint64_t total = task->bytes;
        if (best) {
            total = best->bytes_total > total ? best->bytes_total : total;
            ret->bytes_done += task->winner && total > best->bytes_in ? total : best->bytes_in;
            ret->records_in += best->records_in;
            ret->records_out += best->records_out;
        }
        ret->bytes_total += total;
    }
}

static void fill_stage(const struct record *record, const struct jt_stage *stage,
                       struct cl2jt_stage *ret)
{
    uint64_t begin = record->job->submitted_ms;
    struct slowest slowest = find_slowest(stage);
    bool is_over = jt_job_is_over(record->job); /* then what is not done never runs */
    *ret = (struct cl2jt_stage){
        .name = slice_str(account_stage_name(stage)),
        .tasks = stage->count,
        .waiting = is_over ? 0 : stage->waiting + stage->blocked,
        .running = is_over ? 0 : stage->running,
        .done = stage->done,
        .failed_attempts = stage->failed_attempts,
        .killed_attempts = stage->killed_attempts,
        .speculative = stage->speculative,
        .node_local = stage->locality[JT_NODE_LOCAL],
        .rack_local = stage->locality[JT_RACK_LOCAL],
        .remote = stage->locality[JT_REMOTE] + stage->locality[JT_NO_PREFERENCE],
        .started_ms = stage->started_ms ? stage->started_ms - begin + 1 : 0,
        .ended_ms = stage->ended_ms ? stage->ended_ms - begin + 1 : 0,
        .times = record->times[stage->index],
        .account = record->accounts[stage->index],
        .slowest_task = slowest.task,
        .slowest_ms = slowest.ms,
        .median_ms = jt_middle_get(&stage->run_ms),
        .slowest_node = slice_str(slowest.node),
    };
    stage_progress(stage, ret);
}

static uint32_t state_on_wire(const struct jt_job *job)
{
    static const uint32_t states[] = {CL2JT_WAITING,   CL2JT_RUNNING, CL2JT_COMMITTING,
                                      CL2JT_SUCCEEDED, CL2JT_FAILED,  CL2JT_KILLED};
    return states[job->state];
}

static int fill_counters(const struct record *record, struct arena *arena, struct cl2jt_status *ret)
{
    size_t n = record->counters.count;
    struct msg_counter *items = arena_calloc(arena, n + 1, sizeof(*items));
    if (!items)
        return ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        items[i] =
            (struct msg_counter){record->counters.items[i]->group, record->counters.items[i]->name,
                                 record->counters.items[i]->value};
    ret->counters.v = items;
    ret->counters.n = n;
    return 0;
}

static int fill_failure(const struct record *record, struct arena *arena, struct cl2jt_status *ret)
{
    const struct jt_task *culprit = record->job->culprit;
    struct slice *nodes = arena_calloc(arena, JT_FAILED_ON, sizeof(*nodes));
    size_t n = 0;
    int rc = nodes ? 0 : ERR_NOMEM;
    /* Of a job that was killed, or could not be published, no attempt is the reason. */
    if (rc == 0 && record->failure_bytes.len && (culprit || !jt_job_is_over(record->job)))
        rc = msg_decode(&task_failed_desc, buf_slice(&record->failure_bytes), arena, &ret->failure,
                        NULL);
    while (culprit && culprit->failed_on && nodes && n < JT_FAILED_ON && culprit->failed_on[n]) {
        nodes[n] = slice_str(culprit->failed_on[n]);
        n++;
    }
    ret->failed_on = (struct msg_strs){nodes, n};
    return rc;
}

static int fill_findings(const struct record *record, struct arena *arena, struct cl2jt_status *ret)
{
    struct cl2jt_finding *items = arena_calloc(arena, record->finding_count + 1, sizeof(*items));
    for (size_t i = 0; items && i < record->finding_count; i++) {
        const struct finding *f = &record->findings[i];
        items[i] = (struct cl2jt_finding){slice_str(f->code), f->cost_ms, slice_str(f->says),
                                          slice_str(f->fix)};
    }
    ret->findings = (struct cl2jt_finding_list){items, items ? record->finding_count : 0};
    return items ? 0 : ERR_NOMEM;
}

int record_status(const struct jobtracker *jt, const struct record *record, struct arena *arena,
                  struct cl2jt_status *ret)
{
    const struct jt_job *job = record->job;
    const struct cl2jt_submit *spec = &record->spec.job;
    uint64_t until = job->ended_ms ? job->ended_ms : jobtracker_now(jt);
    *ret = (struct cl2jt_status){
        .id = {jt->cluster_ms, job->number},
        .name = spec->name,
        .plugin = spec->plugin_name,
        .user = record->spec.user,
        .state = state_on_wire(job),
        .priority = job->priority,
        .submitted_ms = record->spec.wall_ms,
        .elapsed_ms = until - job->submitted_ms,
        .out = spec->out,
        .files = record->splits.files,
        .bytes = record->splits.bytes,
        .why = slice_str(job->why ? job->why : ""),
        .version = job->version,
        .out_bytes = record->out_bytes,
        .out_files = record->out_files,
        .queue = slice_str(job->claim.queue->name),
    };
    struct cl2jt_stage *stages = arena_calloc(arena, job->stage_count, sizeof(*stages));
    char *waits = arena_alloc(arena, 256);
    if (!stages || !waits)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < job->stage_count; i++)
        fill_stage(record, &job->stages[i], &stages[i]);
    ret->stages.v = stages;
    ret->stages.n = job->stage_count;
    const char *why = jt_waits_for(&jt->core, job, waits, 256);
    ret->waits_for = slice_str(why ? why : "");
    int rc = fill_counters(record, arena, ret);
    if (rc == 0)
        rc = fill_failure(record, arena, ret);
    return rc == 0 ? fill_findings(record, arena, ret) : rc;
}

void record_places(const struct record *record, struct buf *out)
{
    for (uint32_t s = 0; s < record->job->stage_count; s++) {
        const struct jt_stage *stage = &record->job->stages[s];
        for (uint32_t i = 0; i < stage->count; i++)
            list_each (&stage->tasks[i].attempts, it) {
                const struct jt_attempt *a = list_entry(it, struct jt_attempt, of_task);
                buf_printf(out, "%c %" PRIu32 " %" PRIu32 " %s\n", task_letter(stage->kind, s), i,
                           a->number, a->worker->name);
            }
    }
}
