/* SPDX-License-Identifier: Apache-2.0
 * distinct: each different line once. */
#include <quern/job.h>

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    (void)where;
    return qn_emit(task, line, qn_nothing());
}

static int reduce(struct qn_task *task, struct qn_slice line, struct qn_values *values)
{
    (void)values;
    return qn_emit(task, line, qn_nothing());
}

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "distinct",
    .about = "keeps each different line once",
    .map = map,
    .combine_op = QN_FIRST, /* of many equal lines one travels */
    .reduce = reduce,
    .key = QN_TEXT,
    .value = QN_NONE,
};
