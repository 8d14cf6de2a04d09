/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job/attempts.h"

#include <errno.h>
#include <inttypes.h>
#include <strings.h>

#include "client/job/account.h"
#include "client/job/show.h"
#include "client/talk/jobtracker.h"
#include "libcommon/base/ids.h"

int job_attempt_stop(struct chan *chan, const char *attempt, bool fails, struct err *err)
{
    struct cl2jt_stop ask = {.attempt = slice_str(attempt), .fails = fails};
    struct arena arena = ARENA_INIT;
    unsigned task, number;
    char kind, more;
    if (sscanf(attempt, "attempt_%" SCNu64 "_%" SCNu64 "_%c_%u_%u%c", &ask.id.cluster_ms,
               &ask.id.job, &kind, &task, &number, &more) != 5)
        return err_set(err, ERR_USAGE,
                       "%s is no attempt's id: attempt_1700000000000_0017_m_000012_0 is one",
                       attempt);
    int rc = jobtracker_ask(chan, STOP, &ask, &arena, NULL, err);
    arena_release(&arena);
    return rc;
}

/* --- listing --------------------------------------------------------------------------------- */

/* As attempts' rows have it; NULL: there is no such state. */
static const char *state_called(const char *word)
{
    static const char *const states[][2] = {{"running", "running"},
                                            {"completed", "done"},
                                            {"failed", "failed"},
                                            {"killed", "killed"},
                                            {"pending", "pending"}};
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if (strcasecmp(word, states[i][0]) == 0)
            return states[i][1];
    return NULL;
}

static void print_id(const struct cl2jt_job *job, const struct cl2jt_attempt *a)
{
    const struct attempt_id id = {
        .job = {job->cluster_ms, job->job}, .task = a->task, .attempt = a->number};
    char task[32], text[ID_TEXT_MAX];
    job_show_task(a->stage, a->task, task, sizeof(task));
    puts(attempt_id_text(&id, task[0], text, sizeof(text)));
}

int job_attempts_list(struct chan *chan, const struct cl2jt_job *id, const char *kind,
                      const char *state, struct err *err)
{
    const char *wanted = state_called(state);
    bool is_map = strcasecmp(kind, "MAP") == 0;
    struct arena arena = ARENA_INIT;
    struct cl2jt_status status;
    struct cl2jt_attempts rows;
    if (!wanted || (!is_map && strcasecmp(kind, "REDUCE") != 0))
        return err_set(err, ERR_USAGE,
                       "-list-attempt-ids ID MAP|REDUCE running|completed|failed|killed|pending");
    int rc = jobtracker_ask(chan, STATUS, id, &arena, &status, err);
    if (rc == 0)
        rc = job_account_ask(chan, id, &arena, &rows, err);
    for (size_t i = 0; rc == 0 && i < rows.attempts.n; i++) {
        const struct cl2jt_attempt *a = &rows.attempts.v[i];
        if (slice_has_prefix(a->stage, slice_str(is_map ? "map" : "reduce")) &&
            slice_is(a->state, wanted))
            print_id(&status.id, a);
    }
    arena_release(&arena);
    return rc;
}

/* --- settings -------------------------------------------------------------------------------- */

static void append_character(struct buf *out, unsigned c)
{
    const char *name = c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : NULL;
    if (name)
        buf_append_str(out, name);
    else if (c < ' ' || c == 0x7f)
        buf_printf(out, "&#%u;", c);
    else
        buf_append_byte(out, (uint8_t)c);
}

static void append_property(struct buf *out, struct slice name, struct slice value)
{
    buf_append_str(out, "<property><name>");
    for (size_t i = 0; i < name.len; i++)
        append_character(out, name.data[i]);
    buf_append_str(out, "</name><value>");
    for (size_t i = 0; i < value.len; i++)
        append_character(out, value.data[i]);
    buf_append_str(out, "</value></property>\n");
}

/* A string of JSON as our own daemons write them: \" \\ and \u00xx. */
static bool take_string(const char **at, struct buf *out)
{
    const char *p = *at;
    unsigned c;
    buf_clear(out);
    if (*p++ != '"')
        return false;
    while (*p && *p != '"') {
        c = (unsigned char)*p++;
        if (c == '\\' && *p == 'u' && sscanf(p + 1, "%4x", &c) == 1)
            p += 5;
        else if (c == '\\' && *p)
            c = (unsigned char)*p++;
        buf_append_byte(out, (uint8_t)c);
    }
    *at = p + (*p == '"');
    return *p == '"';
}

/* Of a job's document: no text in it has quotes that are not escaped. */
static bool append_settings(struct buf *out, const char *document)
{
    static const char begin[] = ",\"conf\":{";
    const char *at = strstr(document, begin);
    struct buf name = BUF_INIT, value = BUF_INIT;
    bool ok = at != NULL;
    at += ok ? sizeof(begin) - 1 : 0;
    while (ok && *at != '}') {
        ok = take_string(&at, &name) && *at++ == ':' && take_string(&at, &value);
        if (ok)
            append_property(out, buf_slice(&name), buf_slice(&value));
        at += ok && *at == ',';
    }
    ok = ok && !buf_failed(&name) && !buf_failed(&value);
    buf_release(&name);
    buf_release(&value);
    return ok;
}

static int write_file(const char *path, struct slice text, struct err *err)
{
    bool is_stdout = strcmp(path, "-") == 0;
    FILE *out = is_stdout ? stdout : fopen(path, "we");
    if (!out)
        return err_errno(err, errno, "%s", path);
    bool ok = fwrite(text.data, 1, text.len, out) == text.len && fflush(out) == 0;
    int why = errno;
    if (!is_stdout && fclose(out) != 0 && ok) {
        why = errno;
        ok = false;
    }
    return ok ? 0 : err_errno(err, why, "%s", path);
}

int job_settings_write(struct chan *chan, const struct cl2jt_job *id, const char *path,
                       struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct buf out = BUF_INIT;
    struct cl2jt_status status;
    struct cl2jt_text text;
    int rc = jobtracker_ask(chan, STATUS, id, &arena, &status, err);
    if (rc == 0)
        rc = jobtracker_ask(chan, HISTORY, id, &arena, &text, err);
    const char *document = rc == 0 ? slice_text(text.text, &arena) : NULL;
    if (rc == 0) {
        buf_append_str(&out, "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\n"
                             "<configuration>\n");
        append_property(&out, slice_str("mapreduce.job.name"), status.name);
        append_property(&out, slice_str("mapreduce.job.user.name"), status.user);
        append_property(&out, slice_str("mapreduce.output.fileoutputformat.outputdir"), status.out);
        bool ok = document && append_settings(&out, document);
        buf_append_str(&out, "</configuration>\n");
        if (!ok || buf_failed(&out))
            rc = err_set(err, document ? ERR_CORRUPT : ERR_NOMEM,
                         "cannot read what the jobtracker says of the job's settings");
    }
    if (rc == 0)
        rc = write_file(path, buf_slice(&out), err);
    buf_release(&out);
    arena_release(&arena);
    return rc;
}
