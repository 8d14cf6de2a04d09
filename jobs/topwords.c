/* SPDX-License-Identifier: Apache-2.0
 * topwords: the words that occur most often, most often first; equally frequent ones in order.
 * Three stages in one job, map -> reduce -> reduce: any number of reducers count, and what they
 * counted goes on, most frequent first, to one that stops after the first n. */
#include <stdlib.h>

#include <quern/key.h>
#include <quern/option.h>

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

static int setup(struct qn_task *task)
{
    struct qn_room *room = calloc(1, sizeof(*room));
    *qn_state(task) = room;
    return room ? 0 : qn_fail(task, "out of memory");
}

static int cleanup(struct qn_task *task)
{
    struct qn_room *room = *qn_state(task);
    if (room)
        qn_give_back(room);
    free(room);
    *qn_state(task) = NULL;
    return 0;
}

/* Under its count, the largest first, and itself. */
static int count(struct qn_task *task, struct qn_slice word, struct qn_values *counts)
{
    struct qn_room *room = *qn_state(task);
    uint64_t sum = 0;
    struct qn_slice one;
    while (qn_next(counts, &one))
        sum += qn_to_u64(one);
    if (qn_grow(task, room, sizeof(sum) + word.len) != 0)
        return -1;
    struct qn_key key = qn_key_in(room->data, room->size);
    qn_key_put_u64(&key, sum, QN_DESC);
    memcpy(room->data + key.len, word.data, word.len);
    return qn_emit(task, qn_bytes(room->data, key.len + word.len), qn_nothing());
}

static int check(struct qn_task *task)
{
    uint64_t n;
    return qn_option_u64(task, "topwords.n", 1, UINT64_MAX, &n);
}

static int setup_first(struct qn_task *task)
{
    uint64_t *left = malloc(sizeof(*left));
    if (!left)
        return qn_fail(task, "out of memory");
    *qn_state(task) = left;
    return qn_option_u64(task, "topwords.n", 1, UINT64_MAX, left);
}

static int cleanup_first(struct qn_task *task)
{
    free(*qn_state(task));
    return 0;
}

static int first(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{
    uint64_t *left = *qn_state(task), sum;
    (void)values;
    if (*left == 0)
        return 0;
    --*left;
    if (!qn_key_take_u64(&key, &sum, QN_DESC))
        return qn_fail(task, "a key without a count");
    return qn_emit(task, key, qn_from_u64(&sum));
}

/* However many reducers there are: of the most frequent words of each nobody has asked. */
static uint32_t to_one(struct qn_slice key, uint32_t reducers)
{
    (void)key;
    (void)reducers;
    return 0;
}

static const struct qn_option_row options[] = {{"topwords.n", "10", "how many"}, {0}};

static const struct qn_job most_frequent = {
    .head = QN_JOB_HEAD,
    .name = "topwords, the most frequent",
    .setup = setup_first,
    .reduce = first,
    .cleanup = cleanup_first,
    .out_key = QN_TEXT,
    .out_value = QN_U64,
    .partition = to_one,
    .options = options,
    .default_reducers = 1,
    .check = check,
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "topwords",
    .about = "the most frequent words, and how often they occur: map, reduce, reduce",
    .setup = setup,
    .map = map,
    .combine_op = QN_SUM,
    .reduce = count,
    .cleanup = cleanup,
    .key = QN_TEXT,
    .value = QN_U64,
    .out_key = QN_BYTES,
    .out_value = QN_NONE,
    .then = &most_frequent,
};
