/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/reasons.h"

#include "jobtracker/account.h"
#include "jobtracker/jobs/attempts.h"
#include "libcommon/base/conf_value.h"
#include "libcommon/base/mem.h"

/* One winner, with what it reported of itself. Its strings live in `arena`. */
/* The file that a map read; empty when it cannot be told. */
static struct slice input_of(const struct jt_task *task, struct arena *arena)
{
    struct cl2jt_split split;
    if (task->stage->reads_from != JT_NO_STAGE ||
        msg_decode(&cl2jt_split_desc, task->input, arena, &split, NULL) != 0 ||
        split.segments.n == 0)
        return slice_of(NULL, 0);
    return split.segments.v[0].path;
}

static void fill_task(const struct jt_task *task, struct arena *arena, struct explain_task *ret)
{
    const struct jt_attempt *winner = task->winner;
    struct task_done done = {0};
    if (account_of(task, arena, &done) != 0)
        done = (struct task_done){0};
    *ret = (struct explain_task){
        .index = task->index,
        .node = winner->worker->name,
        .is_local = winner->locality == JT_NODE_LOCAL,
        .ms = winner->end_ms - winner->start_ms,
        .bytes = task->bytes > winner->bytes_in ? task->bytes : winner->bytes_in,
        .records = winner->records_in,
        .read_us = done.times.read,
        .spill_us = done.times.spill,
        .merge_us = done.times.merge,
        .total_us = done.times.total,
        .aside_us = done.times.launch + done.times.write + done.times.commit,
        .emitted = done.account.emitted_records,
        .emitted_bytes = done.account.emitted_bytes,
        .spilled = done.account.spilled_records,
        .spilled_bytes = done.account.spilled_bytes,
        .memory = jt_task_need(task, winner->worker).memory,
        .top_key = done.top_key,
        .top_records = done.top_records,
        .input = input_of(task, arena),
    };
}

/* Attempts that were done, and what they had made is gone; and those that were not, and are. */
static void note_in_vain(const struct jt_task *task, struct explain_stage *ret)
{
    list_each (&task->attempts, it) {
        const struct jt_attempt *a = list_entry(it, struct jt_attempt, of_task);
        if (a->is_cut_off) {
            ret->cut_off++;
            ret->cut_off_ms += a->end_ms - a->start_ms;
            ret->lost_node = a->worker->name;
        }
        if (!a->is_lost)
            continue;
        ret->again++;
        ret->unread += a->is_doubtful;
        if (a->is_doubtful || !ret->again_node)
            ret->again_node = a->worker->name;
    }
}

static int fill_stage(const struct jt_stage *stage, struct arena *arena, struct explain_stage *ret)
{
    *ret = (struct explain_stage){
        .kind = stage->kind == JT_STAGE_REDUCE   ? EXPLAIN_REDUCE
                : stage->kind == JT_STAGE_COMMIT ? EXPLAIN_OTHER
                                                 : EXPLAIN_MAP,
        .tasks = arena_calloc(arena, stage->count + 1, sizeof(*ret->tasks)),
        .elapsed_ms = stage->ended_ms > stage->started_ms ? stage->ended_ms - stage->started_ms : 0,
    };
    if (!ret->tasks)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < stage->count; i++) {
        note_in_vain(&stage->tasks[i], ret);
        if (stage->tasks[i].winner)
            fill_task(&stage->tasks[i], arena, &ret->tasks[ret->count++]);
    }
    return 0;
}

/* Of the same user and name, and reads what it reads, be it of another day. One that makes its rows
 * itself reads nothing. */
static bool does_the_same(const struct record *record, const struct record *other)
{
    const struct cl2jt_submit *job = &record->spec.job, *before = &other->spec.job;
    bool is_same = slice_eq(before->name, job->name) &&
                   slice_eq(other->spec.user, record->spec.user) &&
                   before->inputs.n == job->inputs.n && job->inputs.n > 0;
    for (size_t i = 0; is_same && i < job->inputs.n; i++)
        is_same = explain_is_alike(before->inputs.v[i], job->inputs.v[i]);
    return is_same;
}

/* Bytes that the last job that did the same had to read; 0 = there was none. */
static uint64_t bytes_before(const struct jobtracker *jt, const struct record *record)
{
    uint64_t bytes = 0;
    list_each (&jt->over, it) {
        const struct record *other = list_entry(it, struct record, over);
        if (other->job->state == JT_JOB_SUCCEEDED && does_the_same(record, other))
            bytes = other->splits.bytes;
    }
    return bytes;
}

static void fill_memory(const struct record *record, struct explain_memory *ret)
{
    for (size_t i = 0; i < record->failure_count; i++) {
        const struct task_attempt *id = &record->failures[i].id;
        struct jt_task *task = jt_job_task(record->job, id->stage, id->task);
        const struct jt_attempt *a = task ? jt_attempt_find(task, id->attempt) : NULL;
        if (record->failures[i].failure != TASK_FAILED_MEMORY || !a)
            continue;
        ret->count++;
        ret->ms += a->end_ms - a->start_ms;
        ret->node = a->worker->name;
        ret->limit = a->taken.memory;
        ret->is_reduce = task->stage->kind == JT_STAGE_REDUCE;
    }
}

/* The most frequent keys of all partitions: each is in one of them only. */
static void fill_keys(const struct record *record, struct arena *arena, struct explain_job *ret)
{
    struct cl2jt_partition_list rows;
    if (keys_rows(&record->keys, arena, &rows) != 0)
        return;
    for (size_t p = 0; p < rows.n; p++) {
        ret->key_records += rows.v[p].records;
        for (size_t i = 0; i < rows.v[p].keys.n; i++) {
            const struct task_key *key = &rows.v[p].keys.v[i];
            size_t at = ret->key_count < EXPLAIN_KEYS ? ret->key_count++ : EXPLAIN_KEYS;
            for (; at > 0 && ret->keys[at - 1].low < key->low; at--)
                if (at < EXPLAIN_KEYS)
                    ret->keys[at] = ret->keys[at - 1];
            if (at < EXPLAIN_KEYS)
                ret->keys[at] = (struct explain_key){key->key, key->low, key->high};
        }
    }
}

/* What the job itself says of its maps' buffers; 0 = nothing. */
static uint64_t sort_bytes(const struct record *record)
{
    static const struct conf_option megabytes = {.type = CONF_SIZE, .unit = 1U << 20};
    const struct slice *said = record_setting(&record->spec.job, "mapreduce.task.io.sort.mb");
    char *text = said ? slice_dup(*said) : NULL;
    struct conf_value value;
    uint64_t bytes = 0;
    if (text && conf_value_parse(&megabytes, text, &value, NULL) == 0) {
        bytes = value.amount;
        conf_value_release(&value);
    }
    mem_free(text);
    return bytes;
}

void reasons_find(const struct jobtracker *jt, struct record *record)
{
    const struct jt_job *job = record->job;
    struct arena arena = ARENA_INIT;
    struct explain_job question = {
        .elapsed_ms = job->ended_ms - job->submitted_ms,
        .files = record->splits.files,
        .bytes = record->splits.bytes,
        .sort_bytes = sort_bytes(record),
        .previous_bytes = job->state == JT_JOB_SUCCEEDED ? bytes_before(jt, record) : 0,
        .stages = arena_calloc(&arena, job->stage_count, sizeof(*question.stages)),
    };
    int rc = question.stages ? 0 : ERR_NOMEM;
    for (uint32_t i = 0; rc == 0 && i < job->stage_count; i++)
        rc = fill_stage(&job->stages[i], &arena, &question.stages[question.count++]);
    fill_memory(record, &question.memory);
    fill_keys(record, &arena, &question);
    struct finding found[EXPLAIN_MAX];
    size_t count = rc == 0 ? explain(&question, found) : 0;
    record->findings = count ? mem_calloc(count, sizeof(*found)) : NULL;
    if (record->findings) {
        memcpy(record->findings, found, count * sizeof(*found));
        record->finding_count = count;
    }
    arena_release(&arena);
}
