/* SPDX-License-Identifier: Apache-2.0
 * upsert: changes merged into a data set. Of each key one line comes out: the last change, if there
 * is one, in place of what the data set has; else the data set's (its last, if it has several).
 * Lines of files whose path begins with `upsert.changes` are changes, all others the data set.
 * Which line is last is the order of input: files by path, lines as they stand. The output is in
 * order of key over all files, so it is the next upsert's data set. A line without the key's field
 * fails the job: nothing is lost quietly.
 *
 * Sorted by key alone, which is what cutting ranges allows; so a value ends with its side. */
#include <stdlib.h>

#include <quern/key.h>
#include <quern/option.h>

enum side { OF_DATA, OF_CHANGES };

struct state {
    const char *changes;
    struct qn_slice delete_word;
    uint64_t key, delete_field;
    struct qn_room room;
    struct qn_counter *inserted, *updated, *deleted;
};

static int setup(struct qn_task *task)
{
    struct state *s = calloc(1, sizeof(*s));
    if (!s)
        return qn_fail(task, "out of memory");
    *qn_state(task) = s;
    s->changes = qn_option(task, "upsert.changes");
    s->delete_word = qn_text(qn_option(task, "upsert.delete"));
    if (qn_option_u64(task, "upsert.key", 1, UINT64_MAX, &s->key) != 0 ||
        qn_option_u64(task, "upsert.delete.field", 1, UINT64_MAX, &s->delete_field) != 0)
        return -1;
    s->inserted = qn_counter(task, "upsert", "lines inserted");
    s->updated = qn_counter(task, "upsert", "lines updated");
    s->deleted = qn_counter(task, "upsert", "lines deleted");
    return 0;
}

static int check(struct qn_task *task)
{
    return setup(task) != 0 ? -1 : qn_option_input_prefix(task, "upsert.changes");
}

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    struct state *s = *qn_state(task);
    const struct qn_input *input = qn_input(task);
    struct qn_slice key, value;
    int is_change = strncmp(input->path, s->changes, strlen(s->changes)) == 0;
    (void)where;
    if (!line.data)
        line = qn_nothing();
    if (!qn_field(line, '\t', s->key, &key))
        return qn_fail(task, "a line without field %llu, the key (upsert.key), at %s offset %llu",
                       (unsigned long long)s->key, input->path, (unsigned long long)input->offset);
    if (qn_key_cut(task, line, key, &s->room, &value) != 0 ||
        qn_grow(task, &s->room, value.len + 1) != 0)
        return -1;
    s->room.data[value.len] = is_change ? OF_CHANGES : OF_DATA;
    return qn_emit(task, key, qn_bytes(s->room.data, value.len + 1));
}

static int is_delete(const struct state *s, struct qn_slice line)
{
    struct qn_slice field;
    return s->delete_word.len && qn_field(line, '\t', s->delete_field, &field) &&
           field.len == s->delete_word.len &&
           memcmp(field.data, s->delete_word.data, field.len) == 0;
}

static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *lines)
{
    struct state *s = *qn_state(task);
    struct qn_slice value, line = qn_nothing();
    int in_data = 0, in_changes = 0;
    while (qn_next(lines, &value)) {
        enum side side = ((const unsigned char *)value.data)[--value.len];
        in_data |= side == OF_DATA;
        in_changes |= side == OF_CHANGES;
        if (side == OF_DATA && in_changes)
            continue; /* its files come behind those of the changes */
        if (qn_key_mend(task, value, key, &s->room, &line) != 0)
            return -1;
    }
    if (in_changes && is_delete(s, line)) {
        s->deleted->value += (uint64_t)in_data;
        return 0;
    }
    if (in_changes)
        (in_data ? s->updated : s->inserted)->value++;
    return qn_emit(task, line, qn_nothing());
}

static int cleanup(struct qn_task *task)
{
    struct state *s = *qn_state(task);
    if (s)
        qn_give_back(&s->room);
    free(s);
    return 0;
}

static const struct qn_option_row options[] = {
    {"upsert.changes", NULL, "what the paths of the changes begin with"},
    {"upsert.key", "1", "which field is the key, counted from 1"},
    {"upsert.delete", "", "a change with this word takes its line away; none: no change does"},
    {"upsert.delete.field", "2", "the field that word stands in"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "upsert",
    .about = "merges changes into a data set sorted by key",
    .setup = setup,
    .map = map,
    .reduce = reduce,
    .cleanup = cleanup,
    .key = QN_BYTES,
    .value = QN_BYTES,
    .out_key = QN_TEXT,
    .out_value = QN_NONE,
    .options = options,
    .spread = QN_BY_RANGE,
    .needs_reduce = 1,
    .check = check,
};
