/* SPDX-License-Identifier: Apache-2.0
 * dfsioread: reads its input and looks at each byte once, no more; `quern bench` reads the clock.
 * What comes out: how many bytes and lines there were. */
#include <stdlib.h>

#include <quern/job.h>

struct state {
    uint64_t bytes, lines;
};

static int setup(struct qn_task *task)
{
    *qn_state(task) = calloc(1, sizeof(struct state));
    return *qn_state(task) ? 0 : qn_fail(task, "out of memory");
}

static uint64_t newlines_in(const unsigned char *p, size_t len)
{
    uint64_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += p[i] == '\n';
    return n;
}

static int map_lines(struct qn_task *task, struct qn_slice lines, struct qn_slice where)
{
    struct state *s = *qn_state(task);
    const unsigned char *p = (const unsigned char *)lines.data;
    (void)where;
    s->bytes += lines.len;
    s->lines += newlines_in(p, lines.len) + (lines.len && p[lines.len - 1] != '\n');
    return 0;
}

static int reduce(struct qn_task *task, struct qn_slice name, struct qn_values *counts)
{
    uint64_t sum = 0;
    struct qn_slice count;
    while (qn_next(counts, &count))
        sum += qn_to_u64(count);
    return qn_emit(task, name, qn_from_u64(&sum));
}

static int cleanup(struct qn_task *task)
{
    struct state *s = *qn_state(task);
    int rc = 0;
    if (s && s->bytes) {
        rc = qn_emit(task, qn_text("bytes"), qn_from_u64(&s->bytes));
        rc = rc ? rc : qn_emit(task, qn_text("lines"), qn_from_u64(&s->lines));
    }
    free(s);
    return rc;
}

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "dfsioread",
    .about = "reads files, to see how fast that is",
    .setup = setup,
    .map_lines = map_lines,
    .combine_op = QN_SUM,
    .reduce = reduce,
    .cleanup = cleanup,
    .key = QN_TEXT,
    .value = QN_U64,
    .default_reducers = 1,
};
