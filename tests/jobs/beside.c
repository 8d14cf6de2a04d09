/* SPDX-License-Identifier: Apache-2.0
 * beside: keeps the words that stand in the side file words.txt, and compares what the host maps
 * with what a program would read from the directory it works in. */
#include <stdio.h>
#include <stdlib.h>

#include <quern/job.h>

static struct qn_slice words;

static int same_by_name(struct qn_task *task, const char *name, struct qn_slice bytes)
{
    FILE *f = fopen(name, "rb");
    if (!f)
        return qn_fail(task, "no %s where the task works", name);
    unsigned char *room = malloc(bytes.len + 1);
    size_t n = room ? fread(room, 1, bytes.len + 1, f) : 0;
    int differs = n != bytes.len || (n && memcmp(room, bytes.data, n) != 0);
    fclose(f);
    free(room);
    return differs ? qn_fail(task, "%s has other bytes by its name", name) : 0;
}

static int setup(struct qn_task *task)
{
    struct qn_slice again;
    if (qn_side_file(task, "words.txt", &words) != 0 ||
        qn_side_file(task, "words.txt", &again) != 0)
        return -1;
    if (words.data != again.data)
        return qn_fail(task, "mapped twice");
    return same_by_name(task, "words.txt", words);
}

static int is_listed(struct qn_slice word)
{
    struct qn_slice rest = words, line;
    while (qn_next_line(&rest, &line))
        if (line.len == word.len && memcmp(line.data, word.data, word.len) == 0)
            return 1;
    return 0;
}

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    struct qn_slice word;
    const uint64_t one = 1;
    (void)where;
    while (qn_next_word(&line, &word))
        if (is_listed(word) && qn_emit(task, word, qn_from_u64(&one)) != 0)
            return -1;
    return 0;
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
    .name = "beside",
    .about = "counts the words of a list",
    .setup = setup,
    .map = map,
    .combine_op = QN_SUM,
    .reduce = reduce,
    .key = QN_TEXT,
    .value = QN_U64,
};
