/* SPDX-License-Identifier: Apache-2.0
 * sort: all lines in order of their bytes (as LC_ALL=C sort). The order holds over all output
 * files: part-r-00000 has the first lines, and so on, so `cat part-*` is sorted.
 *
 * For that each reducer gets a range of keys, cut by the first two characters as if printable ones
 * were equally frequent. Text that is not like that sorts just as well, but some reducers get more
 * than others: `-reduces 1`, or another number, helps then. */
#include <quern/job.h>

#define FIRST  ' '
#define LAST   '~'
#define SPREAD (LAST - FIRST + 3) /* and one place each for what is below and above */

static uint32_t place(struct qn_slice line, size_t i)
{
    const unsigned char *p = (const unsigned char *)line.data;
    if (i >= line.len || p[i] < FIRST)
        return 0;
    return p[i] > LAST ? SPREAD - 1 : (uint32_t)(p[i] - FIRST) + 1;
}

static uint32_t partition(struct qn_slice line, uint32_t count)
{
    /* A shorter line, or one with the smaller character, never gets a later place. Behind a first
     * character outside the range the second must not count. */
    uint32_t first = place(line, 0);
    uint32_t second = first == 0 || first == SPREAD - 1 ? 0 : place(line, 1);
    return (uint32_t)((uint64_t)(first * SPREAD + second) * count / (SPREAD * SPREAD));
}

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
    .partition = partition,
};
