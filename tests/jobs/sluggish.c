/* SPDX-License-Identifier: Apache-2.0
 * sluggish: hands lines through, slowly where its options say so, or leaks. For tests that need a
 * job to be at a known place for a while. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <quern/job.h>

/* Sleeps in its setup, and says that it is alive. */
static int setup(struct qn_task *task)
{
    int ms = atoi(qn_option(task, task->is_reduce ? "sluggish.reduce" : "sluggish.map"));
    int only_first = strcmp(qn_option(task, "sluggish.which"), "first") == 0;
    if (only_first && (task->attempt % 1000 != 0 || task->task_index != 0))
        return 0;
    if (ms)
        fprintf(stderr, "sleeping\n");
    for (int i = 0; i < ms; i += 10) {
        usleep(10000);
        qn_status(task, "slept %d ms", i);
    }
    return 0;
}

static int leak(void)
{
    for (;;) {
        char *p = malloc(1 << 20);
        if (p)
            memset(p, 1, 1 << 20);
    }
    return 0;
}

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    (void)where;
    if (line.len == 4 && memcmp(line.data, "leak", 4) == 0)
        return leak();
    return qn_emit(task, line, qn_nothing());
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
    {"sluggish.map", "0", "milliseconds a map sleeps"},
    {"sluggish.reduce", "0", "milliseconds a reduce sleeps"},
    {"sluggish.which", "all", "all, or first: only the first attempt of task 0"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "sluggish",
    .about = "hands lines through at its own pace",
    .setup = setup,
    .map = map,
    .reduce = reduce,
    .value = QN_NONE,
    .options = options,
};
