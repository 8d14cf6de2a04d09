/* SPDX-License-Identifier: Apache-2.0
 * undefined: needs a function that is nowhere. For tests. */
#include <quern/job.h>

int function_that_is_nowhere(void);

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    (void)task, (void)line, (void)where;
    return function_that_is_nowhere();
}

const struct qn_job qn_job = {.head = QN_JOB_HEAD, .name = "undefined", .map = map};
