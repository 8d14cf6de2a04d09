/* SPDX-License-Identifier: Apache-2.0
 * odd: keys and values of every awkward kind: empty ones, zeros and newlines in them, a megabyte
 * and more. A line "N" stands for the N-th kind. For tests. */
#include <stdlib.h>

#include <quern/job.h>

#define GIANT (1 << 20)

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    static char giant[GIANT + 8];
    const char *digits = line.data;
    int kind = line.len ? digits[0] - '0' : 9;
    (void)where;
    memset(giant, 'a' + kind, sizeof(giant));
    switch (kind) {
    case 0:
        return qn_emit(task, qn_nothing(), qn_nothing());
    case 1:
        return qn_emit(task, qn_nothing(), qn_bytes("v", 1));
    case 2:
        return qn_emit(task, qn_bytes("\0", 1), qn_bytes("\0\0", 2));
    case 3:
        return qn_emit(task, qn_bytes("\0\0", 2), qn_nothing());
    case 4:
        return qn_emit(task, qn_bytes("a\nb\tc", 5), qn_bytes("\n", 1));
    case 5:
    case 6:
        return qn_emit(task, qn_bytes(giant, GIANT), qn_bytes("x", 1));
    case 7:
        return qn_emit(task, qn_bytes("big", 3), qn_bytes(giant, GIANT + 1));
    default:
        return qn_emit(task, qn_bytes("\xff\xfe", 2), qn_bytes(giant, 1));
    }
}

static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{
    struct qn_slice value;
    while (qn_next(values, &value))
        if (qn_emit(task, key, value) != 0)
            return -1;
    return 0;
}

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "odd",
    .about = "emits every awkward kind of key and value",
    .map = map,
    .reduce = reduce,
    .key = QN_BYTES,
    .value = QN_BYTES,
};
