/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/account.h"

#include "jobtracker/packing.h"

const char *account_stage_name(const struct jt_stage *stage)
{
    static const char *const names[] = {"map", "map", "reduce", "commit"};
    static const char *const reduces[] = {"reduce",   "reduce 2", "reduce 3", "reduce 4",
                                          "reduce 5", "reduce 6", "reduce 7", "reduce 8"};
    _Static_assert(ARRAY_LEN(reduces) == JT_SHUFFLES_MAX, "each has a name");
    return stage->kind == JT_STAGE_REDUCE ? reduces[stage->index - 1] : names[stage->kind];
}

/* --- failures -------------------------------------------------------------------------------- */

/* enum task_failure, as `exit` of a row. */
static const char *exit_name(uint32_t failure)
{
    static const char *const names[] = {
        [TASK_FAILED_USER] = "said so",
        [TASK_FAILED_CRASH] = "signal",
        [TASK_FAILED_EXIT] = "exit code",
        [TASK_FAILED_TIMEOUT] = "time-out",
        [TASK_FAILED_MEMORY] = "over its memory",
        [TASK_FAILED_IO] = "input or output",
        [TASK_FAILED_FETCH] = "fetching",
        [TASK_FAILED_PLUGIN] = "plugin",
        [TASK_FAILED_NODE] = "node",
        [TASK_FAILED_KILLED] = "killed",
        [TASK_FAILED_NODE_MEMORY] = "node out of memory",
        [TASK_FAILED_NOT_BEGUN] = "given back",
        [TASK_FAILED_NO_DIRECTORY] = "no local directory",
    };
    return failure < ARRAY_LEN(names) ? names[failure] : "?";
}

void account_note_failure(struct record *record, const struct task_failed *failed)
{
    if (record->failure_count == ACCOUNT_FAILURES_MAX ||
        mem_grow(&record->failures, &record->failure_cap, record->failure_count,
                 sizeof(*record->failures)) != 0)
        return; /* its row says less, that is all */
    record->failures[record->failure_count++] = (struct account_failure){
        .id = failed->id,
        .failure = failed->failure,
        .path = slice_keep(failed->path, &record->arena),
        .offset = failed->offset,
        .account = failed->account,
        .times = failed->times,
    };
}

static const struct account_failure *find_failure(const struct record *record,
                                                  const struct jt_attempt *a)
{
    for (size_t i = 0; i < record->failure_count; i++) {
        const struct task_attempt *id = &record->failures[i].id;
        if (id->stage == a->task->stage->index && id->task == a->task->index &&
            id->attempt == a->number)
            return &record->failures[i];
    }
    return NULL;
}

/* --- winners --------------------------------------------------------------------------------- */

/* A map does not know whose disk its input came from: its node was chosen for it. */
static void place_input(const struct jt_attempt *winner, struct task_account *account)
{
    if (winner->task->stage->kind == JT_STAGE_REDUCE ||
        account->local_bytes + account->rack_bytes + account->remote_bytes > 0)
        return;
    *(winner->locality == JT_NODE_LOCAL   ? &account->local_bytes
      : winner->locality == JT_RACK_LOCAL ? &account->rack_bytes
                                          : &account->remote_bytes) = account->in_bytes;
}

int account_of(const struct jt_task *task, struct arena *arena, struct task_done *ret)
{
    if (!task->winner || task->result.len == 0)
        return ERR_NOENT;
    int rc = msg_decode(&task_done_desc, task->result, arena, ret, NULL);
    if (rc != 0)
        return rc;
    ret->times.queue += task->winner->queue_ms * 1000; /* on its node it may have waited, too */
    place_input(task->winner, &ret->account);
    return 0;
}

/* --- progress --------------------------------------------------------------------------------- */

static uint64_t counter_of(const struct task_done *done, const char *name)
{
    for (size_t i = 0; i < done->counters.n; i++)
        if (slice_is(done->counters.v[i].name, name))
            return done->counters.v[i].value;
    return 0;
}

/* By its counter, and by what went into each partition: "" is a key, too. */
static bool is_without_records(const struct task_done *done, uint64_t records)
{
    for (size_t i = 0; records == 0 && i < done->raw.n; i++)
        records += done->raw.v[i];
    return records == 0 && done->raw.n > 0;
}

/* Of one that never waited, what it computed: on a busy node it stood still for others. */
static uint64_t took_us(const struct task_done *done)
{
    const struct task_times *times = &done->times;
    uint64_t wall = times->total > times->launch ? times->total - times->launch : 0;
    bool is_cpu = done->account.switches == 0 && done->account.cpu_us < wall;
    return is_cpu ? done->account.cpu_us : wall;
}

struct jt_progress account_progress(struct jt_job *job, const struct task_done *done)
{
    const struct jt_task *task = job ? jt_job_task(job, done->id.stage, done->id.task) : NULL;
    bool is_reduce = task && task->stage->kind == JT_STAGE_REDUCE;
    struct jt_progress p = {0};
    p.records_in = counter_of(done, is_reduce ? "Reduce input records" : "Map input records");
    p.records_out = counter_of(done, is_reduce ? "Reduce output records" : "Map output records");
    p.bytes_in = is_reduce ? counter_of(done, "Reduce shuffle bytes") : task ? task->bytes : 0;
    p.bytes_total = p.bytes_in;
    p.took_us = took_us(done);
    p.may_follow = done->may_follow;
    p.is_empty =
        task && task->stage->kind == JT_STAGE_MAP && is_without_records(done, p.records_out);
    return p;
}

/* --- rows ------------------------------------------------------------------------------------ */

static const char *locality_name(enum jt_locality locality)
{
    static const char *const names[] = {"node", "rack", "remote", ""};
    return names[locality];
}

static void fill_winner(struct cl2jt_attempt *row, const struct jt_task *task, struct arena *arena)
{
    struct task_done done;
    row->is_winner = true;
    row->exit = slice_str("done");
    if (account_of(task, arena, &done) != 0)
        return;
    row->times = done.times;
    row->account = done.account;
}

static void fill_failed(struct cl2jt_attempt *row, const struct account_failure *f)
{
    if (!f)
        return;
    row->exit = slice_str(exit_name(f->failure));
    row->path = f->path;
    row->offset = f->offset;
    row->account = f->account;
    uint64_t queue = row->times.queue;
    row->times = f->times;
    row->times.queue += queue;
}

static void fill_row(const struct record *record, const struct jt_attempt *a, struct arena *arena,
                     struct cl2jt_attempt *ret)
{
    uint64_t begin = record->job->submitted_ms;
    *ret = (struct cl2jt_attempt){
        .stage = slice_str(account_stage_name(a->task->stage)),
        .task = a->task->index,
        .number = a->number,
        .state = slice_str(sm_name(&jt_attempt_states, a->state)),
        .is_speculative = a->is_speculative,
        .worker = slice_str(a->worker->name),
        .locality = slice_str(locality_name(a->locality)),
        .start_ms = a->start_ms - begin,
        .end_ms = a->end_ms ? a->end_ms - begin : 0,
        .why = slice_str(a->why ? a->why : ""),
    };
    ret->times.queue = a->queue_ms * 1000;
    ret->account.in_bytes = a->bytes_in;
    ret->account.in_records = a->records_in;
    if (a == a->task->winner)
        fill_winner(ret, a->task, arena);
    else if (a->state == JT_ATTEMPT_FAILED)
        fill_failed(ret, find_failure(record, a));
}

static uint64_t count_attempts(const struct jt_job *job)
{
    uint64_t n = 0;
    for (uint32_t s = 0; s < job->stage_count; s++)
        for (uint32_t t = 0; t < job->stages[s].count; t++)
            list_each (&job->stages[s].tasks[t].attempts, it)
                n++;
    return n;
}

int account_rows(const struct record *record, uint64_t from, uint64_t max, struct arena *arena,
                 struct cl2jt_attempts *ret)
{
    const struct jt_job *job = record->job;
    uint64_t at = 0, total = count_attempts(job);
    uint64_t count = from < total ? total - from : 0;
    count = count < max ? count : max;
    *ret = (struct cl2jt_attempts){.total = total, .sketched = record->keys.taken};
    ret->attempts.v = arena_calloc(arena, count + 1, sizeof(*ret->attempts.v));
    if (!ret->attempts.v)
        return ERR_NOMEM;
    for (uint32_t s = 0; s < job->stage_count; s++)
        for (uint32_t t = 0; t < job->stages[s].count; t++)
            list_each (&job->stages[s].tasks[t].attempts, it) {
                const struct jt_attempt *a = list_entry(it, struct jt_attempt, of_task);
                if (at++ >= from && ret->attempts.n < count)
                    fill_row(record, a, arena, &ret->attempts.v[ret->attempts.n++]);
            }
    return from == 0 ? keys_rows(&record->keys, arena, &ret->partitions) : 0;
}

/* --- for a replay ---------------------------------------------------------------------------- */

/* Where each partition that the stage reads goes; nothing where that was never decided. */
static int tell_stage(const struct jt_stage *stage, struct arena *arena,
                      struct cl2jt_replay_stage *ret)
{
    *ret = (struct cl2jt_replay_stage){.tasks = stage->count};
    if (!stage->is_packed || !stage->has_packing)
        return 0;
    uint64_t *task_of = arena_calloc(arena, (size_t)stage->partitions + 1, sizeof(*task_of));
    if (!task_of)
        return ERR_NOMEM;
    for (uint32_t t = 0; t < stage->count; t++) {
        struct msg_u64s own;
        int rc = packing_of_task(&stage->tasks[t], arena, &own);
        if (rc != 0)
            return rc;
        for (size_t i = 0; i < own.n; i++)
            if (own.v[i] < stage->partitions)
                task_of[own.v[i]] = t;
    }
    ret->task_of = (struct msg_u64s){task_of, stage->partitions};
    return 0;
}

int account_replay(const struct record *record, struct arena *arena, struct cl2jt_replay *ret)
{
    const struct jt_job *job = record->job;
    struct cl2jt_replay_stage first = {0};
    *ret = (struct cl2jt_replay){.job = record->spec.job, .user = record->spec.user};
    ret->later.v = arena_calloc(arena, job->stage_count, sizeof(*ret->later.v));
    int rc = ret->later.v ? 0 : ERR_NOMEM;
    for (uint32_t s = 1; rc == 0 && s < job->stage_count; s++)
        if (job->stages[s].kind == JT_STAGE_REDUCE)
            rc =
                tell_stage(&job->stages[s], arena, s == 1 ? &first : &ret->later.v[ret->later.n++]);
    ret->reduces = first.tasks;
    ret->task_of = first.task_of;
    return rc;
}
