/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/map/feed.h"

#include "libcommon/base/log.h"
#include "worker/map/json.h"
#include "worker/run/key.h"

#define BAD_LOGGED 10U

static struct lines_format format_of(const struct qn_job *job)
{
    uint8_t separator = job->csv_separator ? (uint8_t)job->csv_separator : ',';
    return (struct lines_format){job->input, job->record_size, separator};
}

const struct lines_format *feed_formats(struct context *c)
{
    const struct plugin *p = c->plugin;
    struct lines_format *all = arena_calloc(&c->arena, p->input_count + 1, sizeof(*all));
    for (size_t i = 0; all && i <= p->input_count; i++)
        all[i] = format_of(i ? &p->inputs[i - 1] : &p->job);
    return all;
}

/* Somebody on the way may be of a version that has never heard of inputs. */
static int check_segments(struct context *c)
{
    struct err why;
    for (size_t i = 0; i < c->run->input.n; i++)
        if (!plugin_input(c->plugin, c->run->input.v[i].input)) {
            err_set(&why, ERR_PLUGIN,
                    "%s has several inputs, but the order does not say which one " SLICE_FMT
                    " is of: are client, jobtracker and workers of one version?",
                    c->plugin->job.name, SLICE_ARG(c->run->input.v[i].path));
            return context_fail(c, TASK_FAILED_PLUGIN, &why);
        }
    return 0;
}

int feed_open(struct feed *feed, struct context *c)
{
    *feed = (struct feed){.c = c,
                          .job = &c->plugin->job,
                          .path = "",
                          .bad_max = context_conf_size(c, "job.bad.records", 0)};
    int rc = check_segments(c);
    if (rc == 0 && c->run->input.n > 0)
        feed_follow(feed, &c->run->input.v[0]);
    return rc;
}

void feed_follow(struct feed *feed, const struct task_segment *segment)
{
    const struct qn_job *job = plugin_input(feed->c->plugin, segment->input);
    struct lines_format format = format_of(job);
    feed->job = job;
    feed->frame = (struct frame){.format = format.kind, .separator = format.separator};
    feed->c->input.name = segment->input ? job->name : "";
}

static inline int give(struct feed *f, struct slice record, struct qn_slice where, uint64_t offset)
{
    struct context *c = f->c;
    context_record(c, record, offset);
    int rc = f->job->map(&c->task, key_to_qn(record), where);
    f->records++;
    return context_check(c, rc, "map");
}

/* --- lines ----------------------------------------------------------------------------------- */

/* The line in front, without its '\n'; *p moves behind it. */
static inline struct slice take_line(const uint8_t **p, const uint8_t *end)
{
    const uint8_t *from = *p, *nl = memchr(from, '\n', (size_t)(end - from));
    *p = nl ? nl + 1 : end;
    return slice_of(from, (size_t)((nl ? nl : end) - from));
}

static struct slice without_return(struct slice line)
{
    if (line.len && line.data[line.len - 1] == '\r')
        line.len--;
    return line;
}

static int feed_lines(struct feed *f, struct slice span, uint64_t offset)
{
    bool is_crlf = f->job->input == QN_CRLF_LINES;
    const uint8_t *p = span.data, *end = span.data + span.len;
    int rc = 0;
    while (rc == 0 && p < end) {
        uint64_t at = offset + (uint64_t)(p - span.data);
        struct slice line = take_line(&p, end);
        rc = give(f, is_crlf ? without_return(line) : line, qn_from_u64(&at), at);
    }
    return rc;
}

/* `where` is what stands before the tab. */
static int feed_key_values(struct feed *f, struct slice span, uint64_t offset)
{
    const uint8_t *p = span.data, *end = span.data + span.len;
    int rc = 0;
    while (rc == 0 && p < end) {
        uint64_t at = offset + (uint64_t)(p - span.data);
        struct slice line = without_return(take_line(&p, end)), value = {0};
        const uint8_t *tab = line.len ? memchr(line.data, '\t', line.len) : NULL;
        size_t len = tab ? (size_t)(tab - line.data) : line.len;
        value = tab ? slice_of(tab + 1, line.len - len - 1) : slice_of(line.data + len, 0);
        rc = give(f, value, qn_bytes(line.data, len), at);
    }
    return rc;
}

/* A malformed record: how many may there be? */
static int pass_over(struct feed *f, const char *why, uint64_t line, uint64_t at)
{
    struct err err;
    if (f->bad < f->bad_max) {
        f->bad++;
        if (f->bad <= BAD_LOGGED)
            log_warn("job",
                     "%s: the line at offset %llu is no JSON, passed over: %s at offset %llu",
                     f->path, (unsigned long long)line, why, (unsigned long long)at);
        return 0;
    }
    err_set(
        &err, ERR_CORRUPT,
        "%s: the line at offset %llu is no JSON: %s at offset %llu (-D job.bad.records=N passes "
        "over as many in a task)",
        f->path, (unsigned long long)line, why, (unsigned long long)at);
    return context_fail(f->c, TASK_FAILED_USER, &err);
}

static bool is_blank(struct slice line)
{
    for (size_t i = 0; i < line.len; i++)
        if (line.data[i] != ' ' && line.data[i] != '\t')
            return false;
    return true;
}

static int feed_json(struct feed *f, struct slice span, uint64_t offset)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
    const uint8_t *p = span.data, *end = span.data + span.len;
    int rc = 0;
    if (offset == 0 && slice_has_prefix(span, slice_of(mark, sizeof(mark))))
        p += sizeof(mark);
    while (rc == 0 && p < end) {
        uint64_t at = offset + (uint64_t)(p - span.data);
        struct slice line = without_return(take_line(&p, end));
        size_t bad_at = 0;
        const char *bad = is_blank(line) ? NULL : json_check(line, &bad_at);
        if (bad) {
            context_record(f->c, line, at);
            rc = pass_over(f, bad, at, at + bad_at);
        } else if (!is_blank(line)) {
            rc = give(f, line, qn_from_u64(&at), at);
        }
    }
    return rc;
}

/* --- others ---------------------------------------------------------------------------------- */

static int feed_framed(struct feed *f, struct slice span, uint64_t offset)
{
    struct slice rest = span, record;
    uint64_t at = offset;
    int rc = 0;
    while (rc == 0 && frame_next(&f->frame, &rest, at == 0, &record)) {
        rc = give(f, record, qn_from_u64(&at), at);
        at = offset + (span.len - rest.len);
    }
    return rc;
}

static int feed_sized(struct feed *f, struct slice span, uint64_t offset)
{
    size_t size = f->job->record_size;
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < span.len; at += size, offset += size)
        rc = give(f, slice_of(span.data + at, size), qn_from_u64(&offset), offset);
    return rc;
}

/* --- spans ----------------------------------------------------------------------------------- */

/* In a loop that becomes vector instructions: a span is counted while it is in the cache. */
static uint8_t breaks_in_block(const uint8_t *p)
{
    uint8_t n = 0;
    for (int i = 0; i < 64; i++)
        n = (uint8_t)(n + (p[i] == '\n'));
    return n;
}

static uint64_t count_lines(struct slice span)
{
    uint64_t n = 0;
    const uint8_t *p = span.data, *end = span.data + span.len;
    for (; end - p >= 64; p += 64)
        n += breaks_in_block(p);
    for (; p < end; p++)
        n += *p == '\n';
    return n + (span.len > 0 && end[-1] != '\n');
}

static uint64_t count_records(const struct feed *f, struct slice span)
{
    struct slice rest = span, record;
    uint64_t n = 0;
    if (f->job->record_size)
        return span.len / f->job->record_size;
    if (!frame_is_for(f->job->input))
        return count_lines(span);
    while (frame_next(&f->frame, &rest, false, &record))
        n++;
    return n;
}

static int feed_all(struct feed *f, struct slice span, uint64_t offset)
{
    struct context *c = f->c;
    f->records += count_records(f, span);
    context_record(c, span, offset);
    int rc = f->job->map_lines(&c->task, key_to_qn(span), qn_from_u64(&offset));
    return context_check(c, rc, "map_lines");
}

int feed_span(struct feed *feed, struct slice span, uint64_t offset)
{
    if (feed->job->map_lines)
        return feed_all(feed, span, offset);
    switch (feed->job->input) {
    case QN_RECORDS:
        return feed_sized(feed, span, offset);
    case QN_KEY_VALUES:
        return feed_key_values(feed, span, offset);
    case QN_JSON_LINES:
        return feed_json(feed, span, offset);
    case QN_CSV:
    case QN_PREFIXED:
        return feed_framed(feed, span, offset);
    case QN_WHOLE_FILES:
        return give(feed, span, qn_from_u64(&offset), offset);
    case QN_LINES:
    case QN_CRLF_LINES:
    case QN_ROWS: /* has no spans */
        break;
    }
    return feed_lines(feed, span, offset);
}

int feed_rows(struct feed *feed)
{
    struct context *c = feed->c;
    const struct task_segment_list *input = &c->run->input;
    int rc = 0;
    for (size_t i = 0; i < input->n; i++) {
        uint64_t end = input->v[i].offset + input->v[i].length;
        for (uint64_t row = input->v[i].offset; rc == 0 && row < end; row++) {
            rc = give(feed, slice_of("", 0), qn_from_u64(&row), row);
            if ((feed->records & 4095) == 0) {
                atomic_store_explicit(&c->page->bytes_in, feed->records, memory_order_relaxed);
                context_tick(c);
            }
        }
    }
    return rc;
}
