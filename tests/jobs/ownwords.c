/* SPDX-License-Identifier: Apache-2.0
 * ownwords: word count as somebody writes it who declares nothing: line by line, with his own
 * combine and reduce. What tests/bench/speed.py measures beside the bundled one. */
#include <quern/job.h>

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    struct qn_slice word;
    const uint64_t one = 1;
    (void)where;
    while (qn_next_word(&line, &word))
        if (qn_emit(task, word, qn_from_u64(&one)) != 0)
            return -1;
    return 0;
}

static int add_up(struct qn_task *task, struct qn_slice word, struct qn_values *counts)
{
    uint64_t sum = 0;
    struct qn_slice count;
    while (qn_next(counts, &count))
        sum += qn_to_u64(count);
    return qn_emit(task, word, qn_from_u64(&sum));
}

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "ownwords",
    .about = "counts words with a combine of its own",
    .map = map,
    .combine = add_up,
    .reduce = add_up,
    .key = QN_TEXT,
    .value = QN_U64,
};
