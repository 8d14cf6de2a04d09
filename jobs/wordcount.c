/* SPDX-License-Identifier: Apache-2.0
 * wordcount: how often each word occurs. A word is what white space separates. */
#include <quern/words.h>

static int map_lines(struct qn_task *task, struct qn_slice lines, struct qn_slice where)
{
    const uint64_t one = 1;
    (void)where;
    return qn_emit_words(task, lines, qn_from_u64(&one));
}

static int reduce(struct qn_task *task, struct qn_slice word, struct qn_values *counts)
{
    uint64_t sum = 0;
    struct qn_slice count;
    while (qn_next(counts, &count))
        sum += qn_to_u64(count);
    return qn_emit(task, word, qn_from_u64(&sum));
}

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "wordcount",
    .about = "counts how often each word occurs",
    .map_lines = map_lines,
    .combine_op = QN_SUM,
    .reduce = reduce,
    .key = QN_TEXT,
    .value = QN_U64,
};
