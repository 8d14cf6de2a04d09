/* SPDX-License-Identifier: Apache-2.0
 * nothing: rows that are not looked at, a reduce that is never called: what a job costs beyond its
 * work. For tests/bench/tasks_bench and tests of the processes that tasks run in. */
#include <quern/job.h>

static int map(struct qn_task *task, struct qn_slice nothing, struct qn_slice where)
{
    (void)task;
    (void)nothing;
    (void)where;
    return 0;
}

static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{
    struct qn_slice value;
    while (qn_next(values, &value))
        (void)value;
    return qn_emit(task, key, qn_nothing());
}

static const struct qn_option_row options[] = {
    {"nothing.rows", "1", "how many rows not to look at"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "nothing",
    .about = "does nothing, as often as asked",
    .map = map,
    .reduce = reduce,
    .key = QN_TEXT,
    .value = QN_NONE,
    .input = QN_ROWS,
    .options = options,
};
