/* SPDX-License-Identifier: Apache-2.0
 * histogram: how many numbers fall between which bounds: "lower bound TAB count", a line for each
 * bin that is not empty. Bin k has the numbers from k * width up to, not with, (k + 1) * width.
 * Numbers stand in one field of each line (separated by tabs); what is none is counted and left
 * out. */
#include <stdlib.h>

#include <quern/option.h>

#define FARTHEST 9e15 /* bins are whole numbers that a double tells apart */

struct state {
    double width;
    uint64_t field;
    struct qn_counter *left_out;
};

static int setup(struct qn_task *task)
{
    struct state *s = calloc(1, sizeof(*s));
    if (!s)
        return qn_fail(task, "out of memory");
    *qn_state(task) = s;
    s->left_out = qn_counter(task, "histogram", "lines without a number");
    if (qn_option_f64(task, "histogram.width", 0, FARTHEST, &s->width) != 0)
        return -1;
    if (s->width == 0)
        return qn_fail(task, "histogram.width is 0: no number falls into such a bin");
    return qn_option_u64(task, "histogram.field", 1, UINT64_MAX, &s->field);
}

static int bin_of(struct state *s, struct qn_slice text, double *ret)
{
    double v;
    if (!qn_number(text, &v))
        return 0;
    *ret = __builtin_floor(v / s->width);
    return __builtin_fabs(*ret) <= FARTHEST;
}

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    struct state *s = *qn_state(task);
    struct qn_slice text;
    const uint64_t one = 1;
    double bin;
    (void)where;
    if (!qn_field(line, '\t', s->field, &text) || !bin_of(s, text, &bin)) {
        s->left_out->value++;
        return 0;
    }
    double lower = bin * s->width;
    return qn_emit(task, qn_from_f64(&lower), qn_from_u64(&one));
}

static int reduce(struct qn_task *task, struct qn_slice lower, struct qn_values *counts)
{
    uint64_t sum = 0;
    struct qn_slice count;
    while (qn_next(counts, &count))
        sum += qn_to_u64(count);
    return qn_emit(task, lower, qn_from_u64(&sum));
}

static int cleanup(struct qn_task *task)
{
    free(*qn_state(task));
    return 0;
}

static const struct qn_option_row options[] = {
    {"histogram.width", "1", "the width of a bin"},
    {"histogram.field", "1", "which field has the number, counted from 1"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "histogram",
    .about = "how many numbers fall into which bin",
    .setup = setup,
    .map = map,
    .combine_op = QN_SUM,
    .reduce = reduce,
    .cleanup = cleanup,
    .key = QN_F64,
    .value = QN_U64,
    .options = options,
    .default_reducers = 1,
    .check = setup,
};
