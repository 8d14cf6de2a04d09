/* SPDX-License-Identifier: Apache-2.0
 * reluctant: counts lines, and is slow in the way its options say, so that each of the causes that
 * `quern job -why` knows can be brought about. Lines that begin with x go to the first reducer. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <quern/job.h>

static unsigned long number(struct qn_task *task, const char *option)
{
    return strtoul(qn_option(task, option), NULL, 10);
}

/* The first attempt at each map wants so much memory. */
static void eat(struct qn_task *task)
{
    size_t bytes = number(task, "reluctant.mb") << 20;
    char *p = task->attempt == 0 && bytes ? malloc(bytes) : NULL;
    for (size_t i = 0; p && i < bytes; i += 4096)
        ((volatile char *)p)[i] = 1;
    if (p)
        sleep(1); /* until that is seen, where it is only looked at now and then */
    free(p);
}

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    char dir[4096];
    const char *slow = qn_option(task, "reluctant.slow");
    (void)where;
    eat(task);
    if (*slow && getcwd(dir, sizeof(dir)))
        usleep((useconds_t)number(task, strstr(dir, slow) ? "reluctant.slow.us" : "reluctant.us"));
    return qn_emit(task, line, qn_from_u64(&(uint64_t){1}));
}

static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *counts)
{
    struct qn_slice count;
    uint64_t sum = 0;
    unsigned long us = number(task, "reluctant.value.us");
    while (qn_next(counts, &count)) {
        if (us)
            usleep((useconds_t)us);
        sum += qn_to_u64(count);
    }
    return qn_emit(task, key, qn_from_u64(&sum));
}

static uint32_t partition(struct qn_slice key, uint32_t count)
{
    const unsigned char *p = key.data;
    return key.len == 0 || p[0] == 'x' ? 0 : p[key.len - 1] % count;
}

static const struct qn_option_row options[] = {
    {"reluctant.value.us", "0", "microseconds for each value in reduce"},
    {"reluctant.slow", "", "part of the directory of the node whose maps are slow"},
    {"reluctant.slow.us", "0", "microseconds for each line there"},
    {"reluctant.us", "0", "and elsewhere"},
    {"reluctant.mb", "0", "memory the first attempt at each map wants"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "reluctant",
    .about = "counts lines, slowly",
    .map = map,
    .reduce = reduce,
    .partition = partition,
    .key = QN_TEXT,
    .value = QN_U64,
    .options = options,
};
