/* SPDX-License-Identifier: Apache-2.0
 * brief: each row is told with the attempt that made it, in microseconds and by code that leaves
 * nothing behind, so that many tasks go to a process at once. The first attempt at one row may take
 * long, or crash, or fail. For tests of tasks in a row. */
#include <stdio.h>
#include <stdlib.h>

#include <quern/job.h>

static unsigned long option(struct qn_task *task, const char *name)
{
    return strtoul(qn_option(task, name), NULL, 10);
}

/* Computes for about so many seconds; sleeping would be a call that could leave something. Each
 * step waits for the product before it, four cycles on any processor. */
static void spin(unsigned long seconds)
{
    unsigned long x = seconds;
    for (unsigned long i = 0; i < seconds * 700000000UL; i++) {
        x = x * 6364136223846793005UL + 1;
        __asm__ volatile("" : "+r"(x));
    }
}

static int map(struct qn_task *task, struct qn_slice nothing, struct qn_slice where)
{
    char text[32];
    unsigned long row = task->task_index;
    (void)nothing;
    (void)where;
    if (task->attempt == 0 && row == option(task, "brief.long"))
        spin(option(task, "brief.seconds"));
    if (task->attempt == 0 && row == option(task, "brief.crash"))
        abort();
    if (task->attempt == 0 && row == option(task, "brief.fail"))
        return qn_fail(task, "as it was told");
    return qn_emit(task, qn_bytes(text, (size_t)snprintf(text, sizeof(text), "%06lu", row)),
                   qn_nothing());
}

static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{
    struct qn_slice value;
    while (qn_next(values, &value))
        if (qn_emit(task, key, qn_nothing()) != 0)
            return -1;
    return 0;
}

static const struct qn_option_row options[] = {
    {"brief.rows", "1", "how many rows"},       {"brief.long", "-1", "the row that takes long"},
    {"brief.seconds", "5", "how long"},         {"brief.crash", "-1", "the row that crashes"},
    {"brief.fail", "-1", "the row that fails"}, {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "brief",
    .about = "tells each row, soon",
    .map = map,
    .reduce = reduce,
    .key = QN_TEXT,
    .value = QN_NONE,
    .input = QN_ROWS,
    .options = options,
};
