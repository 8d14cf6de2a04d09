/* SPDX-License-Identifier: Apache-2.0
 * sort: all lines in order of their bytes (as LC_ALL=C sort). The order holds over all output
 * files: part-r-00000 has the first lines, and so on, so `cat part-*` is sorted. */
#include <quern/job.h>

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    (void)where;
    return qn_emit(task, line, qn_nothing());
}

static int reduce(struct qn_task *task, struct qn_slice line, struct qn_values *values)
{
    struct qn_slice nothing;
    while (qn_next(values, &nothing))
        if (qn_emit(task, line, nothing) != 0)
            return -1;
    return 0;
}

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "sort",
    .about = "sorts lines by their bytes, over all output files",
    .map = map,
    .reduce = reduce,
    .key = QN_TEXT,
    .value = QN_NONE,
    .spread = QN_BY_RANGE,
};
