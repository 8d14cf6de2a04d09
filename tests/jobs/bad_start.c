/* SPDX-License-Identifier: Apache-2.0
 * bad_start: crashes while it is being loaded. For tests. */
#include <stdlib.h>

#include <quern/job.h>

__attribute__((constructor)) static void on_load(void)
{
    abort();
}

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    (void)where;
    return qn_emit(task, line, qn_nothing());
}

const struct qn_job qn_job = {.head = QN_JOB_HEAD, .name = "bad_start", .map = map};
