/* SPDX-License-Identifier: Apache-2.0
 * dedupe: of the lines with the same key the newest stays: the one whose field `dedupe.order`,
 * compared as bytes (2026-11-21T10:00 is newer than 2026-11-20), is largest; of equal ones the last
 * in order of input. Fields are separated by tabs. A line that has no such field is older than all.
 */
#include <stdlib.h>

#include <quern/key.h>
#include <quern/option.h>

struct state {
    uint64_t key, order;
    struct qn_room key_room, room, best; /* of a key; of a line; of the newest so far */
};

static int setup(struct qn_task *task)
{
    struct state *s = calloc(1, sizeof(*s));
    if (!s)
        return qn_fail(task, "out of memory");
    *qn_state(task) = s;
    int rc = qn_option_u64(task, "dedupe.key", 1, UINT64_MAX, &s->key);
    return rc ? rc : qn_option_u64(task, "dedupe.order", 1, UINT64_MAX, &s->order);
}

static struct qn_slice field_of(struct qn_slice line, uint64_t n)
{
    struct qn_slice field;
    return qn_field(line, '\t', n, &field) ? field : qn_nothing();
}

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    struct state *s = *qn_state(task);
    struct qn_slice field = field_of(line, s->key), order = field_of(line, s->order), cut;
    (void)where;
    if (!line.data)
        line = qn_nothing();
    if (!field.len)
        field = qn_bytes(line.data, 0);
    /* both were they all zero bytes */
    if (qn_grow(task, &s->key_room, 2 * (field.len + order.len) + 4) != 0 ||
        qn_key_cut(task, line, field, &s->room, &cut) != 0)
        return -1;
    struct qn_key key = qn_key_in(s->key_room.data, s->key_room.size);
    qn_key_put_text(&key, field, QN_ASC);
    qn_key_put_text(&key, order, QN_DESC);
    return qn_emit(task, qn_key_bytes(&key), cut);
}

static int is_same(struct qn_slice a, struct qn_slice b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* The newest come first; of these the last. */
static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *lines)
{
    struct state *s = *qn_state(task);
    struct qn_slice field, cut, line, best = qn_nothing();
    if (qn_grow(task, &s->key_room, key.len) != 0)
        return -1;
    if (!qn_key_take_text(&key, s->key_room.data, s->key_room.size, &field, QN_ASC))
        return qn_fail(task, "a key that map did not make");
    for (int first = 1; qn_next(lines, &cut); first = 0) {
        if (qn_key_mend(task, cut, field, &s->room, &line) != 0)
            return -1;
        if (!first && !is_same(field_of(line, s->order), field_of(best, s->order)))
            break; /* older ones from here on */
        struct qn_room other = s->best;
        s->best = s->room;
        s->room = other;
        best = line;
    }
    return qn_emit(task, best, qn_nothing());
}

static int cleanup(struct qn_task *task)
{
    struct state *s = *qn_state(task);
    if (s) {
        qn_give_back(&s->key_room);
        qn_give_back(&s->room);
        qn_give_back(&s->best);
    }
    free(s);
    return 0;
}

static const struct qn_option_row options[] = {
    {"dedupe.key", "1", "which field is the key, counted from 1"},
    {"dedupe.order", "2", "which field tells the newest"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "dedupe",
    .about = "keeps the newest line of each key",
    .setup = setup,
    .map = map,
    .reduce = reduce,
    .cleanup = cleanup,
    .key = QN_BYTES,
    .value = QN_TEXT,
    .out_key = QN_TEXT,
    .out_value = QN_NONE,
    .partition = qn_key_partition_by_text,
    .group = qn_key_group_by_text,
    .options = options,
    .needs_reduce = 1,
    .check = setup,
};
