/* SPDX-License-Identifier: Apache-2.0
 * secondarysort: lines "key TAB number", in order of key, and of number within a key. The number is
 * part of the sorted key, not of the grouping: so reduce meets the values of a key in order,
 * however many there are, and keeps none of them. A line without a number in its second field is
 * counted and left out. */
#include <inttypes.h>
#include <stdlib.h>

#include <quern/key.h>
#include <quern/option.h>

#define KEY_MAX 65536

struct state {
    enum qn_direction direction;
    struct qn_counter *left_out;
    unsigned char room[2 * KEY_MAX + 16];
};

static int setup(struct qn_task *task)
{
    struct state *s = calloc(1, sizeof(*s));
    if (!s)
        return qn_fail(task, "out of memory");
    *qn_state(task) = s;
    s->left_out = qn_counter(task, "secondarysort", "lines without a number");
    int is_descending;
    if (qn_option_bool(task, "secondarysort.descending", &is_descending) != 0)
        return -1;
    s->direction = is_descending ? QN_DESC : QN_ASC;
    return 0;
}

static int to_number(struct qn_slice text, int64_t *ret)
{
    int64_t v = 0;
    const char *p = text.data, *end = p + text.len;
    int is_negative = p < end && *p == '-';
    p += is_negative;
    if (p == end)
        return 0;
    for (; p < end; p++)
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_sub_overflow(v, *p - '0', &v)) /* downwards: there is one more of them */
            return 0;
    if (!is_negative && v == INT64_MIN)
        return 0;
    *ret = is_negative ? v : -v;
    return 1;
}

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    struct state *s = *qn_state(task);
    struct qn_slice name, text;
    int64_t number;
    (void)where;
    if (!qn_next_field(&line, '\t', &name) || !qn_next_field(&line, '\t', &text) ||
        !to_number(text, &number)) {
        s->left_out->value++;
        return 0;
    }
    struct qn_key key = qn_key_in(s->room, sizeof(s->room));
    qn_key_put_text(&key, name, QN_ASC);
    qn_key_put_i64(&key, number, s->direction);
    if (!qn_key_fits(&key))
        return qn_fail(task, "a key of %zu bytes; at most %d", name.len, KEY_MAX);
    return qn_emit(task, qn_key_bytes(&key), qn_from_i64(&number));
}

static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *numbers)
{
    struct state *s = *qn_state(task);
    struct qn_slice name, number;
    if (!qn_key_take_text(&key, s->room, sizeof(s->room), &name, QN_ASC))
        return qn_fail(task, "a key that map did not make");
    while (qn_next(numbers, &number))
        if (qn_emit(task, name, number) != 0)
            return -1;
    return 0;
}

static int cleanup(struct qn_task *task)
{
    free(*qn_state(task));
    return 0;
}

static const struct qn_option_row options[] = {
    {"secondarysort.descending", "false", "true: the largest number of a key first"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "secondarysort",
    .about = "sorts lines \"key TAB number\" by key, then by number",
    .setup = setup,
    .map = map,
    .reduce = reduce,
    .cleanup = cleanup,
    .key = QN_BYTES,
    .value = QN_I64,
    .out_key = QN_TEXT,
    .partition = qn_key_partition_by_text,
    .group = qn_key_group_by_text,
    .options = options,
    .needs_reduce = 1,
    .check = setup,
};
