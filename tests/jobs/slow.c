/* SPDX-License-Identifier: Apache-2.0
 * slow: counts lines, and takes its time over each: so long that a test can break something while a
 * map, or a reduce, is seen to run. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <quern/job.h>

static void rest(struct qn_task *task, const char *option)
{
    usleep((useconds_t)strtoul(qn_option(task, option), NULL, 10));
}

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    (void)where;
    rest(task, "slow.map.us");
    return qn_emit(task, line, qn_text("1"));
}

static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{
    struct qn_slice value;
    unsigned long n = 0;
    while (qn_next(values, &value))
        n++;
    rest(task, "slow.reduce.us");
    char text[24];
    return qn_emit(task, key, qn_bytes(text, (size_t)snprintf(text, sizeof(text), "%lu", n)));
}

static const struct qn_option_row options[] = {
    {"slow.map.us", "0", "microseconds for each line"},
    {"slow.reduce.us", "0", "microseconds for each key"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "slow",
    .about = "counts lines, slowly",
    .map = map,
    .reduce = reduce,
    .key = QN_TEXT,
    .value = QN_TEXT,
    .options = options,
};
