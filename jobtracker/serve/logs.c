/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/serve/logs.h"

#include "jobtracker/serve/orders.h"
#include "libcommon/base/str.h"

#define LOG_PIECE_MAX (1U << 20)

/* "m12", "r3", "c0", or a whole attempt or task id. 0, or ERR_INVAL. */
static int parse_task(const char *text, char *ret_kind, uint32_t *ret_task, int64_t *attempt)
{
    unsigned long long ms, job;
    unsigned task, number;
    char kind;
    if (sscanf(text, "attempt_%llu_%llu_%c_%u_%u", &ms, &job, &kind, &task, &number) == 5)
        *attempt = number;
    else if (sscanf(text, "task_%llu_%llu_%c_%u", &ms, &job, &kind, &task) != 4 &&
             sscanf(text, "%c%u", &kind, &task) != 2)
        return ERR_INVAL;
    *ret_kind = kind;
    *ret_task = task;
    return kind == 'm' || kind == 'r' || kind == 'c' ? 0 : ERR_INVAL;
}

static struct jt_task *find_task(struct jt_job *job, char kind, uint32_t index)
{
    for (uint32_t s = 0; s < job->stage_count; s++) {
        static const char kinds[] = {'m', 'm', 'r', 'c'};
        if (kinds[job->stages[s].kind] == kind)
            return jt_job_task(job, s, index);
    }
    return NULL;
}

static struct jt_attempt *find_attempt(const struct jt_task *task, int64_t number)
{
    if (number >= 0)
        return jt_attempt_find(task, (uint32_t)number);
    return list_is_empty(&task->attempts)
               ? NULL
               : list_entry(task->attempts.prev, struct jt_attempt, of_task);
}

struct fetch {
    struct rpc_wait wait;
    struct rpc_call *call;
};

static void fetch_done(void *arg, int code, const void *answer, const struct err *err)
{
    struct fetch *fetch = arg;
    const struct wk2jt_blob_piece *piece = answer;
    if (code == 0) {
        struct cl2jt_text text = {piece->bytes};
        rpc_answer(fetch->call, &text);
    } else {
        rpc_fail_err(fetch->call, err);
    }
    mem_free(fetch);
}

static void ask_worker(struct jobtracker *jt, struct rpc_call *call, struct jt_attempt *attempt)
{
    struct jt2wk_log ask = {.id = jobtracker_attempt_id(jt, attempt), .max = LOG_PIECE_MAX};
    struct fetch *fetch = mem_calloc(1, sizeof(*fetch));
    if (!fetch)
        return rpc_fail(call, ERR_NOMEM, "out of memory");
    fetch->call = call;
    fetch->wait.done = fetch_done;
    fetch->wait.arg = fetch;
    if (orders_ask_log(attempt->worker, &ask, &fetch->wait) == 0)
        return;
    mem_free(fetch);
    rpc_fail(call, ERR_UNREACHABLE, "the log lies on %s, which is not connected",
             attempt->worker->name);
}

/* Last lines of failed attempts: of a job in memory, the last failure's; else the copy on disk. */
static void answer_tails(struct jobtracker *jt, struct rpc_call *call, const struct cl2jt_logs *ask,
                         struct record *record)
{
    struct job_id id = {ask->id.cluster_ms ? ask->id.cluster_ms : jt->cluster_ms, ask->id.job};
    struct buf text = BUF_INIT;
    struct task_failed failed = {0};
    struct cl2jt_text answer = {0};
    if (record && record->failure_bytes.len &&
        msg_decode(&task_failed_desc, buf_slice(&record->failure_bytes), rpc_call_arena(call),
                   &failed, NULL) == 0)
        answer.text = failed.log_tail;
    else if (!record && history_read(&jt->history, id, ".log", &text, NULL) == 0)
        answer.text = buf_slice(&text);
    rpc_answer(call, &answer);
    buf_release(&text);
}

void logs_answer(struct jobtracker *jt, struct rpc_call *call, const struct cl2jt_logs *ask,
                 struct record *record)
{
    char kind, text[ID_TEXT_MAX];
    uint32_t index;
    int64_t number = ask->attempt;
    if (ask->task.len == 0 || !record)
        return answer_tails(jt, call, ask, record);
    snprintf(text, sizeof(text), SLICE_FMT, SLICE_ARG(ask->task));
    if (parse_task(text, &kind, &index, &number) != 0)
        return rpc_fail(call, ERR_INVAL, "no task \"%s\": say m12 for map 12, r3 for reduce 3",
                        text);
    struct jt_task *task = find_task(record->job, kind, index);
    struct jt_attempt *attempt = task ? find_attempt(task, number) : NULL;
    if (!attempt)
        return rpc_fail(call, ERR_NOENT, "task %s has no such attempt", text);
    ask_worker(jt, call, attempt);
}
