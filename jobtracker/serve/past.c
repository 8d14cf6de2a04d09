/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/serve/past.h"

#include "jobtracker/account.h"
#include "jobtracker/serve/clients.h"
#include "libcommon/event/http.h"

#define ROWS_MAX  10000      /* in one answer */
#define PIECE_MAX (4U << 20) /* the same */

static struct job_id whole_id(const struct jobtracker *jt, const struct cl2jt_job *id)
{
    return (struct job_id){id->cluster_ms ? id->cluster_ms : jt->cluster_ms, id->job};
}

static int document(struct jobtracker *jt, const struct cl2jt_job *id, struct buf *out)
{
    const struct record *record = clients_find(jt, id);
    return record ? record_history(jt, record, out)
                  : history_read(&jt->history, whole_id(jt, id), ".json", out, NULL);
}

static void refuse(struct rpc_call *call, int rc, const struct cl2jt_job *id)
{
    if (rc == ERR_NOMEM)
        rpc_fail(call, rc, "out of memory");
    else
        clients_no_such_job(call, id);
}

void past_on_history(struct rpc_call *call, const void *msg, void *arg)
{
    const struct cl2jt_job *id = msg;
    struct buf text = BUF_INIT;
    int rc = document(arg, id, &text);
    struct cl2jt_text answer = {buf_slice(&text)};
    if (rc == 0)
        rpc_answer(call, &answer);
    else
        refuse(call, rc, id);
    buf_release(&text);
}

/* As it was written down; then only what was asked for of it. */
static int rows_from_history(struct jobtracker *jt, const struct cl2jt_ask_attempts *ask,
                             struct arena *arena, struct buf *bytes, struct cl2jt_attempts *ret)
{
    int rc = history_read(&jt->history, whole_id(jt, &ask->id), ".attempts", bytes, NULL);
    if (rc == 0)
        rc = msg_decode(&cl2jt_attempts_desc, buf_slice(bytes), arena, ret, NULL);
    if (rc != 0)
        return rc;
    size_t skip = ask->from < ret->attempts.n ? (size_t)ask->from : ret->attempts.n;
    ret->attempts.v += skip;
    ret->attempts.n -= skip;
    ret->attempts.n = ret->attempts.n < ROWS_MAX ? ret->attempts.n : ROWS_MAX;
    if (ask->from)
        ret->partitions.n = 0;
    return 0;
}

void past_on_attempts(struct rpc_call *call, const void *msg, void *arg)
{
    struct jobtracker *jt = arg;
    const struct cl2jt_ask_attempts *ask = msg;
    const struct record *record = clients_find(jt, &ask->id);
    struct buf bytes = BUF_INIT;
    struct cl2jt_attempts answer;
    int rc = record ? account_rows(record, ask->from, ROWS_MAX, rpc_call_arena(call), &answer)
                    : rows_from_history(jt, ask, rpc_call_arena(call), &bytes, &answer);
    if (rc == 0)
        rpc_answer(call, &answer);
    else
        refuse(call, rc, &ask->id);
    buf_release(&bytes);
}

/* --- which jobs there were ---------------------------------------------------------------------
 */

static int read_status(struct jobtracker *jt, struct job_id id, struct arena *arena,
                       struct cl2jt_status *ret)
{
    struct buf bytes = BUF_INIT;
    int rc = history_read(&jt->history, id, ".status", &bytes, NULL);
    struct slice kept = slice_keep(buf_slice(&bytes), arena);
    if (rc == 0 && !kept.data)
        rc = ERR_NOMEM;
    if (rc == 0)
        rc = msg_decode(&cl2jt_status_desc, kept, arena, ret, NULL);
    buf_release(&bytes);
    return rc;
}

size_t past_list(struct jobtracker *jt, struct arena *arena, struct cl2jt_status *ret, size_t limit)
{
    struct job_id *ids = arena_calloc(arena, limit + 1, sizeof(*ids));
    size_t count = 0, n = 0;
    if (!ids || history_list(&jt->history, limit, ids, &count) != 0)
        return 0;
    for (size_t i = 0; i < count && n < limit; i++) {
        struct cl2jt_job id = {ids[i].cluster_ms, ids[i].number};
        if (!clients_find(jt, &id) && read_status(jt, ids[i], arena, &ret[n]) == 0)
            n++;
    }
    return n;
}

void past_open(struct jobtracker *jt)
{
    jt->earlier = arena_calloc(&jt->earlier_room, PAST_SHOWN, sizeof(*jt->earlier));
    jt->earlier_count = jt->earlier ? past_list(jt, &jt->earlier_room, jt->earlier, PAST_SHOWN) : 0;
}

void past_forget_retired(struct jobtracker *jt)
{
    size_t kept = 0;
    for (size_t i = 0; i < jt->earlier_count; i++) {
        const struct cl2jt_job *id = &jt->earlier[i].id;
        if (history_has(&jt->history, (struct job_id){id->cluster_ms, id->job}))
            jt->earlier[kept++] = jt->earlier[i];
    }
    jt->earlier_count = kept;
}

void past_release(struct jobtracker *jt)
{
    arena_release(&jt->earlier_room);
    jt->earlier_count = 0;
}

/* --- running a task again --------------------------------------------------------------------- */

static int submission(struct jobtracker *jt, const struct cl2jt_job *id, struct arena *arena,
                      struct buf *bytes, struct cl2jt_replay *ret)
{
    const struct record *record = clients_find(jt, id);
    if (record)
        return account_replay(record, arena, ret);
    int rc = history_read(&jt->history, whole_id(jt, id), ".submit", bytes, NULL);
    return rc == 0 ? msg_decode(&cl2jt_replay_desc, buf_slice(bytes), arena, ret, NULL) : rc;
}

void past_on_replay(struct rpc_call *call, const void *msg, void *arg)
{
    struct jobtracker *jt = arg;
    const struct cl2jt_job *id = msg;
    struct buf bytes = BUF_INIT;
    struct cl2jt_replay answer;
    int rc = submission(jt, id, rpc_call_arena(call), &bytes, &answer);
    if (rc == ERR_NOENT && history_has(&jt->history, whole_id(jt, id)))
        rpc_fail(call, rc,
                 "job %llu succeeded, and is too long over to be replayed: of such jobs plugin and "
                 "splits are not kept",
                 (unsigned long long)id->job);
    else if (rc != 0)
        refuse(call, rc, id);
    else if (!clients_may_change(jt, call, answer.user))
        rpc_fail(call, ERR_ACCESS, "job %llu belongs to " SLICE_FMT, (unsigned long long)id->job,
                 SLICE_ARG(answer.user));
    else
        rpc_answer(call, &answer);
    buf_release(&bytes);
}

void past_on_fetch(struct rpc_call *call, const void *msg, void *arg)
{
    struct jobtracker *jt = arg;
    const struct cl2jt_fetch *ask = msg;
    struct buf piece = BUF_INIT;
    struct cl2jt_fetched answer = {0};
    uint32_t max = ask->max && ask->max < PIECE_MAX ? ask->max : PIECE_MAX;
    int rc = blobs_read(&jt->blobs, ask->digest, ask->offset, max, &piece, &answer.total);
    answer.bytes = buf_slice(&piece);
    if (rc == 0)
        rpc_answer(call, &answer);
    else
        rpc_fail(call, rc, "no file " SLICE_FMT " is kept any more: %s", SLICE_ARG(ask->digest),
                 err_text(rc));
    buf_release(&piece);
}

/* --- for the status page ---------------------------------------------------------------------- */

static void on_page(struct http_request *req, void *arg)
{
    struct jobtracker *jt = arg;
    struct buf text = BUF_INIT;
    struct job_id id;
    const char *asked = http_query(req, "id");
    if (http_method(req) != HTTP_GET && http_method(req) != HTTP_HEAD) {
        http_set_header(req, "Allow", "GET, HEAD");
        http_reply_text(req, 405, "only GET\n");
    } else if (!asked || job_id_parse(asked, &id) != 0) {
        http_reply_text(req, 400, "which job? /job.json?id=17\n");
    } else if (document(jt, &(struct cl2jt_job){id.cluster_ms, id.number}, &text) != 0) {
        http_reply_text(req, 404, "no job %s here\n", asked);
    } else {
        http_set_header(req, "Cache-Control", "no-cache");
        http_set_header(req, "X-Content-Type-Options", "nosniff");
        http_reply(req, 200, "application/json", buf_slice(&text));
    }
    buf_release(&text);
}

int past_attach(struct jobtracker *jt, struct http_server *server)
{
    return server ? http_route(server, "/job.json", on_page, jt) : 0;
}
