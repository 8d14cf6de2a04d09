/* SPDX-License-Identifier: Apache-2.0
 * other_abi: a job built for an ABI that does not exist. For tests. */
#include <quern/job.h>

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    (void)where;
    return qn_emit(task, line, qn_nothing());
}

const struct qn_job qn_job = {
    .head = {QN_JOB_MAGIC, 99, sizeof(struct qn_job), sizeof(struct qn_host),
             sizeof(struct qn_task), 0},
    .name = "other_abi",
    .map = map,
};
