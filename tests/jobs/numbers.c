/* SPDX-License-Identifier: Apache-2.0
 * numbers: lines "KEY VALUE", both integers: per key the sum (by a combine of its own) and, as
 * doubles, nothing fancier than that. Keys are ordered as numbers, here from high to low. For tests
 * of typed keys, own combine, own order and own partition. */
#include <stdlib.h>

#include <quern/job.h>

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    struct qn_slice word[2];
    char text[2][32] = {{0}};
    (void)where;
    for (int i = 0; i < 2; i++) {
        if (!qn_next_word(&line, &word[i]))
            return i == 0 ? 0 : qn_fail(task, "a line without a value");
        memcpy(text[i], word[i].data, word[i].len < 31 ? word[i].len : 31);
    }
    int64_t key = strtoll(text[0], NULL, 10), value = strtoll(text[1], NULL, 10);
    return qn_emit(task, qn_from_i64(&key), qn_from_i64(&value));
}

static int sum(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{
    int64_t total = 0;
    struct qn_slice value;
    while (qn_next(values, &value))
        total += qn_to_i64(value);
    return qn_emit(task, key, qn_from_i64(&total));
}

static int from_high_to_low(struct qn_slice a, struct qn_slice b)
{
    int64_t x = qn_to_i64(a), y = qn_to_i64(b);
    return (x < y) - (x > y);
}

static uint32_t odd_or_even(struct qn_slice key, uint32_t count)
{
    return (uint32_t)((uint64_t)qn_to_i64(key) & 1) % count;
}

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "numbers",
    .about = "sums numbers by number",
    .map = map,
    .combine = sum,
    .reduce = sum,
    .key = QN_I64,
    .value = QN_I64,
    .partition = odd_or_even,
    .compare = from_high_to_low,
};
