/* SPDX-License-Identifier: Apache-2.0
 * terasort: rows of 100 bytes in order of their first ten, over all output files (part-r-00000 has
 * the first ones). */
#include <quern/job.h>

#define ROW 100
#define KEY 10

static int map_lines(struct qn_task *task, struct qn_slice rows, struct qn_slice where)
{
    const unsigned char *p = (const unsigned char *)rows.data, *end = p + rows.len;
    (void)where;
    for (; p < end; p += ROW)
        if (qn_emit(task, qn_bytes(p, KEY), qn_bytes(p + KEY, ROW - KEY)) != 0)
            return -1;
    return 0;
}

static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{
    struct qn_slice rest;
    while (qn_next(values, &rest))
        if (qn_emit(task, key, rest) != 0)
            return -1;
    return 0;
}

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "terasort",
    .about = "sorts rows of the sort benchmark, over all output files",
    .map_lines = map_lines,
    .reduce = reduce,
    .key = QN_BYTES,
    .value = QN_BYTES,
    .input = QN_RECORDS,
    .record_size = ROW,
    .output = QN_RAW,
    .spread = QN_BY_RANGE,
};
