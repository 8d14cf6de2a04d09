/* SPDX-License-Identifier: Apache-2.0
 * grep: what matches a regular expression (POSIX extended), and how often: each match is one output
 * line, "match TAB count", in order of the matched text. A line may hold several matches. */
#define _GNU_SOURCE
#include <limits.h>
#include <regex.h>
#include <stdlib.h>
#include <strings.h>

#include <quern/job.h>

struct state {
    regex_t regex;
    struct qn_counter *lines;
};

static int setup(struct qn_task *task)
{
    const char *pattern = qn_option(task, "grep.pattern");
    int icase = strcasecmp(qn_option(task, "grep.ignore.case"), "true") == 0;
    struct state *s = calloc(1, sizeof(*s));
    if (!s)
        return qn_fail(task, "out of memory");
    int rc = regcomp(&s->regex, pattern, REG_EXTENDED | (icase ? REG_ICASE : 0));
    if (rc != 0) {
        char why[200];
        regerror(rc, &s->regex, why, sizeof(why));
        free(s);
        return qn_fail(task, "grep.pattern \"%s\": %s", pattern, why);
    }
    s->regex.regs_allocated = REGS_FIXED; /* where the whole match is, and no more */
    s->lines = qn_counter(task, "grep", "matching lines");
    *qn_state(task) = s;
    return 0;
}

/* GNU's re_search beside POSIX's regexec: a line has a length and no zero byte at its end. */
static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    struct state *s = *qn_state(task);
    const char *text = (const char *)line.data;
    const uint64_t one = 1;
    regoff_t from, len = (regoff_t)line.len, start = 0, end = 0;
    struct re_registers found = {1, &start, &end};
    (void)where;
    if (line.len > INT_MAX - 1)
        return qn_fail(task, "a line of %zu bytes: 2 GiB is the longest that can be searched",
                       line.len);
    for (from = 0; from <= len; from = end + (end == start)) { /* behind an empty match: the next */
        regoff_t at = re_search(&s->regex, text, len, from, len - from, &found);
        if (at == -2)
            return qn_fail(task, "out of memory: searching a line of %zu bytes", line.len);
        if (at < 0)
            break;
        s->lines->value += from == 0;
        if (end > start &&
            qn_emit(task, qn_bytes(text + start, (size_t)(end - start)), qn_from_u64(&one)) != 0)
            return -1;
    }
    return 0;
}

static int reduce(struct qn_task *task, struct qn_slice match, struct qn_values *counts)
{
    uint64_t sum = 0;
    struct qn_slice count;
    while (qn_next(counts, &count))
        sum += qn_to_u64(count);
    return qn_emit(task, match, qn_from_u64(&sum));
}

static int cleanup(struct qn_task *task)
{
    struct state *s = *qn_state(task);
    if (s) {
        regfree(&s->regex);
        free(s);
    }
    return 0;
}

static const struct qn_option_row options[] = {
    {"grep.pattern", NULL, "POSIX extended regular expression to look for"},
    {"grep.ignore.case", "false", "true: upper and lower case are the same"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "grep",
    .about = "counts what matches a regular expression",
    .setup = setup,
    .map = map,
    .combine_op = QN_SUM,
    .reduce = reduce,
    .cleanup = cleanup,
    .key = QN_TEXT,
    .value = QN_U64,
    .options = options,
    .default_reducers = 1,
};
