/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/serve/logs.h"

#include "jobtracker/serve/orders.h"
#include "libcommon/base/str.h"

#define LOG_PIECE_MAX (1U << 20)
#define HOST_MAX      256

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
    bool is_reduce = kind >= 'r' && kind < 'r' + (char)TASK_SHUFFLES_MAX;
    return kind == 'm' || is_reduce || kind == 'c' ? 0 : ERR_INVAL;
}

static struct jt_task *find_task(struct jt_job *job, char kind, uint32_t index)
{
    for (uint32_t s = 0; s < job->stage_count; s++) {
        if (task_letter(job->stages[s].kind, s) == kind)
            return jt_job_task(job, s, index);
    }
    return NULL;
}

static struct jt_attempt *find_attempt(const struct jt_task *task, int64_t number)
{
    if (number >= 0)
        return jt_attempt_find(task, (uint32_t)number);
    if (task->winner) /* a copy of it that came too late has little to say */
        return task->winner;
    return list_is_empty(&task->attempts)
               ? NULL
               : list_entry(task->attempts.prev, struct jt_attempt, of_task);
}

struct jt_attempt *logs_find_attempt(struct jt_job *job, struct slice text)
{
    char kind, id[ID_TEXT_MAX];
    uint32_t index;
    int64_t number = -1;
    snprintf(id, sizeof(id), SLICE_FMT, SLICE_ARG(text));
    if (parse_task(id, &kind, &index, &number) != 0 || number < 0)
        return NULL;
    struct jt_task *task = find_task(job, kind, index);
    return task ? jt_attempt_find(task, (uint32_t)number) : NULL;
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

static void ask_worker(struct rpc_call *call, struct jt_worker *worker, const char *name,
                       const struct jt2wk_log *ask)
{
    struct fetch *fetch = mem_calloc(1, sizeof(*fetch));
    if (!fetch)
        return rpc_fail(call, ERR_NOMEM, "out of memory");
    fetch->call = call;
    fetch->wait.done = fetch_done;
    fetch->wait.arg = fetch;
    if (worker && orders_ask_log(worker, ask, &fetch->wait) == 0)
        return;
    mem_free(fetch);
    rpc_fail(call, ERR_NONODE, "the log lies on %s, which is not connected", name);
}

/* Reasons and last lines of failed attempts: of a job in memory those so far; else the copy on
 * disk. */
static void answer_tails(struct jobtracker *jt, struct rpc_call *call, struct job_id id,
                         const struct cl2jt_logs *ask, const struct record *record)
{
    struct buf text = BUF_INIT;
    struct cl2jt_text answer = {0};
    if (record)
        buf_append_slice(&text, buf_slice(&record->last_words));
    else
        (void)history_read(&jt->history, id, ".log", &text, NULL); /* none: nothing failed */
    if (ask->offset < text.len)
        answer.text = slice_of(text.data + ask->offset, text.len - ask->offset);
    rpc_answer(call, &answer);
    buf_release(&text);
}

/* "m 12 0 host7": is it the one that is asked for? The last one is the answer. */
static bool take_place(const char *line, char kind, uint32_t index, int64_t number,
                       uint32_t *ret_number, char name[HOST_MAX])
{
    char its_kind, its_name[HOST_MAX];
    unsigned its_index, its_number;
    if (sscanf(line, "%c %u %u %255s", &its_kind, &its_index, &its_number, its_name) != 4 ||
        its_kind != kind || its_index != index || (number >= 0 && its_number != number))
        return false;
    *ret_number = its_number;
    memcpy(name, its_name, HOST_MAX);
    return true;
}

/* Of a job that is history: where did it run? */
static bool find_place(struct jobtracker *jt, struct job_id id, char kind, uint32_t index,
                       int64_t number, uint32_t *ret_number, char name[HOST_MAX])
{
    struct buf text = BUF_INIT;
    bool found = false;
    if (history_read(&jt->history, id, ".places", &text, NULL) == 0 && buf_cstr(&text))
        for (char *line = (char *)text.data; *line;) {
            found = take_place(line, kind, index, number, ret_number, name) || found;
            line += strcspn(line, "\n");
            line += *line == '\n';
        }
    buf_release(&text);
    return found;
}

static uint32_t stage_of(char kind)
{
    return kind == 'm' ? 0 : kind == 'c' ? JT_STAGES_MAX : (uint32_t)(kind - 'r') + 1;
}

static void answer_task(struct jobtracker *jt, struct rpc_call *call, struct job_id id,
                        const struct cl2jt_logs *ask, struct record *record)
{
    char kind, text[ID_TEXT_MAX], name[HOST_MAX] = "";
    uint32_t index, found = 0;
    int64_t number = ask->attempt;
    snprintf(text, sizeof(text), SLICE_FMT, SLICE_ARG(ask->task));
    if (parse_task(text, &kind, &index, &number) != 0)
        return rpc_fail(call, ERR_INVAL, "no task \"%s\": say m12 for map 12, r3 for reduce 3",
                        text);
    struct jt2wk_log question = {.offset = ask->offset, .max = LOG_PIECE_MAX};
    if (record) {
        struct jt_task *task = find_task(record->job, kind, index);
        struct jt_attempt *attempt = task ? find_attempt(task, number) : NULL;
        if (!attempt)
            return rpc_fail(call, ERR_NOENT, "task %s has no such attempt", text);
        question.id = jobtracker_attempt_id(jt, attempt);
        return ask_worker(call, attempt->worker, attempt->worker->name, &question);
    }
    if (!find_place(jt, id, kind, index, number, &found, name))
        return rpc_fail(call, ERR_NOENT, "task %s has no such attempt", text);
    /* Workers look for the name in any case: the stage is not part of it. */
    question.id = (struct task_attempt){id.cluster_ms, id.number, stage_of(kind), index, found};
    ask_worker(call, jt_fleet_find(&jt->core.fleet, slice_str(name)), name, &question);
}

void logs_answer(struct jobtracker *jt, struct rpc_call *call, const struct cl2jt_logs *ask,
                 struct record *record)
{
    struct job_id id = {ask->id.cluster_ms ? ask->id.cluster_ms : jt->cluster_ms, ask->id.job};
    struct buf status = BUF_INIT;
    if (!record && history_read(&jt->history, id, ".status", &status, NULL) != 0)
        rpc_fail(call, ERR_NOENT, "no job %llu here (`quern job -list all` shows what is known)",
                 (unsigned long long)ask->id.job);
    else if (ask->task.len == 0)
        answer_tails(jt, call, id, ask, record);
    else
        answer_task(jt, call, id, ask, record);
    buf_release(&status);
}
