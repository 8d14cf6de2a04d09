/* SPDX-License-Identifier: Apache-2.0
 * pi: estimated by how many points of the unit square lie in the circle within it. The points are
 * those of Halton's sequence in the bases 2 and 3, so the answer is the same however the rows are
 * cut into tasks, and the same that Hadoop's example gives for as many. */
#include <stdio.h>

#include <quern/job.h>

struct state {
    uint64_t inside, outside;
};

static int setup(struct qn_task *task)
{
    *qn_state(task) = calloc(1, sizeof(struct state));
    return *qn_state(task) ? 0 : qn_fail(task, "out of memory");
}

/* The digits of n behind the point, in reverse order. */
static double halton(uint64_t n, unsigned base)
{
    double x = 0, digit = 1;
    for (; n > 0; n /= base) {
        digit /= base;
        x += (double)(n % base) * digit;
    }
    return x;
}

static int map(struct qn_task *task, struct qn_slice nothing, struct qn_slice where)
{
    struct state *s = *qn_state(task);
    uint64_t n = qn_to_u64(where) + 1;
    double x = halton(n, 2) - 0.5, y = halton(n, 3) - 0.5;
    (void)nothing;
    if (x * x + y * y > 0.25)
        s->outside++;
    else
        s->inside++;
    return 0;
}

static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{
    struct state *s = *qn_state(task);
    uint64_t *sum = *(const char *)key.data == 'i' ? &s->inside : &s->outside;
    struct qn_slice count;
    while (qn_next(values, &count))
        *sum += qn_to_u64(count);
    return 0;
}

/* 4 inside / all, to twenty places. */
static int tell(struct qn_task *task, const struct state *s)
{
    const __uint128_t one = (__uint128_t)10000000000u * 10000000000u;
    __uint128_t all = (__uint128_t)s->inside + s->outside;
    char text[80];
    if (all == 0)
        return qn_fail(task, "no points: pi.rows is 0");
    __uint128_t pi = (4 * one * s->inside + all / 2) / all, rest = pi % one;
    snprintf(text, sizeof(text), "Estimated value of Pi is %u.%010llu%010llu", (unsigned)(pi / one),
             (unsigned long long)(rest / 10000000000u), (unsigned long long)(rest % 10000000000u));
    return qn_emit(task, qn_text(text), qn_nothing());
}

static int cleanup(struct qn_task *task)
{
    struct state *s = *qn_state(task);
    int rc = 0;
    if (s && task->is_reduce)
        rc = tell(task, s);
    else if (s)
        rc = qn_emit(task, qn_text("inside"), qn_from_u64(&s->inside)) ||
             qn_emit(task, qn_text("outside"), qn_from_u64(&s->outside));
    free(s);
    return rc;
}

static int check(struct qn_task *task)
{
    const char *rows = qn_option(task, "pi.rows");
    return rows[strspn(rows, "0")] || !*rows ? 0 : qn_fail(task, "no points: pi.rows is 0");
}

static const struct qn_option_row options[] = {
    {"pi.rows", NULL, "how many points: 1000, 10m, 1b"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "pi",
    .about = "estimates pi by points in a square",
    .setup = setup,
    .map = map,
    .reduce = reduce,
    .cleanup = cleanup,
    .value = QN_U64,
    .out_key = QN_TEXT,
    .out_value = QN_NONE,
    .partition = qn_one_partition,
    .options = options,
    .default_reducers = 1,
    .input = QN_ROWS,
    .needs_reduce = 1,
    .check = check,
};
