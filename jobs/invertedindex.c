/* SPDX-License-Identifier: Apache-2.0
 * invertedindex: which word occurs in which file, and how often: "word TAB path TAB count", in
 * order of word and path. A line for each pair, not a line of all files for each word: so a word
 * that is in a million files needs no memory. */
#include <stdlib.h>

#include <quern/key.h>

static int setup(struct qn_task *task)
{
    *qn_state(task) = calloc(1, sizeof(struct qn_room));
    return *qn_state(task) ? 0 : qn_fail(task, "out of memory");
}

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    struct qn_room *room = *qn_state(task);
    struct qn_slice word, path = qn_text(qn_input(task)->path);
    const uint64_t one = 1;
    (void)where;
    while (qn_next_word(&line, &word)) {
        if (qn_grow(task, room, 2 * (word.len + path.len) + 4) != 0)
            return -1;
        struct qn_key key = qn_key_in(room->data, room->size);
        qn_key_put_text(&key, word, QN_ASC);
        qn_key_put_text(&key, path, QN_ASC);
        if (qn_emit(task, qn_key_bytes(&key), qn_from_u64(&one)) != 0)
            return -1;
    }
    return 0;
}

static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *counts)
{
    struct qn_room *room = *qn_state(task);
    struct qn_slice word, path, count;
    uint64_t sum = 0;
    if (qn_grow(task, room, key.len + 1) != 0)
        return -1;
    /* One behind the other, with the tab between them that text output prints. */
    if (!qn_key_take_text(&key, room->data, room->size, &word, QN_ASC) ||
        !qn_key_take_text(&key, room->data + word.len + 1, room->size - word.len - 1, &path,
                          QN_ASC))
        return qn_fail(task, "a key that map did not make");
    room->data[word.len] = '\t';
    while (qn_next(counts, &count))
        sum += qn_to_u64(count);
    return qn_emit(task, qn_bytes(room->data, word.len + 1 + path.len), qn_from_u64(&sum));
}

static int cleanup(struct qn_task *task)
{
    struct qn_room *room = *qn_state(task);
    if (room)
        qn_give_back(room);
    free(room);
    return 0;
}

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "invertedindex",
    .about = "which word occurs in which file, and how often",
    .setup = setup,
    .map = map,
    .combine_op = QN_SUM,
    .reduce = reduce,
    .cleanup = cleanup,
    .key = QN_BYTES,
    .value = QN_U64,
    .out_key = QN_TEXT,
    .partition = qn_key_partition_by_text,
    .needs_reduce = 1,
};
