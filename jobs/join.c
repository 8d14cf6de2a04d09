/* SPDX-License-Identifier: Apache-2.0
 * join: lines of two inputs that have the same key, put together: "key TAB left line TAB right
 * line", every left one with every right one, in order of key. Lines of files whose path begins
 * with `join.left` are left, all others right. The left lines of one key are kept in memory, so
 * choose the side on which a key occurs seldom. Sorted and merged: no table of a whole side. */
#include <stdlib.h>

#include <quern/key.h>

struct state {
    const char *left;
    size_t left_len;
    uint64_t fields[2]; /* which one is the key: left, right */
    int keep_left, keep_right;
    struct qn_counter *left_out;
    struct qn_room room, line; /* of a key, and what comes out; of a line */
    struct qn_room lines;      /* the left lines of a key, each behind its length */
    size_t used;
};

static int setup(struct qn_task *task)
{
    struct state *s = calloc(1, sizeof(*s));
    if (!s)
        return qn_fail(task, "out of memory");
    *qn_state(task) = s;
    s->left = qn_option(task, "join.left");
    s->left_len = strlen(s->left);
    s->fields[0] = strtoul(qn_option(task, "join.left.field"), NULL, 10);
    s->fields[1] = strtoul(qn_option(task, "join.right.field"), NULL, 10);
    if (s->fields[0] == 0 || s->fields[1] == 0)
        return qn_fail(task, "join.left.field and join.right.field are numbers from 1 up");
    const char *type = qn_option(task, "join.type");
    s->keep_left = strcmp(type, "left") == 0 || strcmp(type, "full") == 0;
    s->keep_right = strcmp(type, "right") == 0 || strcmp(type, "full") == 0;
    if (!s->keep_left && !s->keep_right && strcmp(type, "inner") != 0)
        return qn_fail(task, "join.type \"%s\": it is inner, left, right or full", type);
    s->left_out = qn_counter(task, "join", "lines without a key");
    return 0;
}

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    struct state *s = *qn_state(task);
    uint64_t side = strncmp(qn_input(task)->path, s->left, s->left_len) != 0;
    struct qn_slice field, cut;
    (void)where;
    if (!line.data)
        line = qn_nothing();
    if (!qn_field(line, '\t', s->fields[side], &field)) {
        s->left_out->value++;
        return 0;
    }
    if (qn_grow(task, &s->room, 2 * field.len + 10) != 0 ||
        qn_key_cut(task, line, field, &s->line, &cut) != 0 ||
        qn_grow(task, &s->line, cut.len + 1) != 0)
        return -1;
    struct qn_key key = qn_key_in(s->room.data, s->room.size);
    qn_key_put_text(&key, field, QN_ASC);
    qn_key_put_u64(&key, side, QN_ASC);
    s->line.data[cut.len] = (unsigned char)side;
    return qn_emit(task, qn_key_bytes(&key), qn_bytes(s->line.data, cut.len + 1));
}

static int keep(struct qn_task *task, struct state *s, struct qn_slice line)
{
    if (qn_grow(task, &s->lines, s->used + sizeof(line.len) + line.len) != 0)
        return -1;
    memcpy(s->lines.data + s->used, &line.len, sizeof(line.len));
    memcpy(s->lines.data + s->used + sizeof(line.len), line.data, line.len);
    s->used += sizeof(line.len) + line.len;
    return 0;
}

/* "left TAB right" behind what stands in the room already: the key and its tab are the output's. */
static int emit(struct qn_task *task, struct state *s, struct qn_slice name, struct qn_slice left,
                struct qn_slice right)
{
    size_t need = name.len + left.len + 1 + right.len;
    if (qn_grow(task, &s->room, need) != 0)
        return -1;
    unsigned char *out = s->room.data + name.len;
    memcpy(out, left.data, left.len);
    out[left.len] = '\t';
    memcpy(out + left.len + 1, right.data, right.len);
    return qn_emit(task, qn_bytes(s->room.data, name.len), qn_bytes(out, left.len + 1 + right.len));
}

static int emit_each_left(struct qn_task *task, struct state *s, struct qn_slice name,
                          struct qn_slice right)
{
    struct qn_slice left;
    for (size_t at = 0; at < s->used; at += sizeof(left.len) + left.len) {
        memcpy(&left.len, s->lines.data + at, sizeof(left.len));
        left.data = s->lines.data + at + sizeof(left.len);
        if (emit(task, s, name, left, right) != 0)
            return -1;
    }
    return 0;
}

static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *lines)
{
    struct state *s = *qn_state(task);
    struct qn_slice name, line;
    int rights = 0;
    if (qn_grow(task, &s->room, key.len) != 0)
        return -1;
    if (!qn_key_take_text(&key, s->room.data, s->room.size, &name, QN_ASC))
        return qn_fail(task, "a key that map did not make");
    s->used = 0;
    while (qn_next(lines, &line)) {
        int is_right = ((const unsigned char *)line.data)[--line.len];
        struct qn_slice text;
        name.data = s->room.data; /* emit may have moved it */
        if (qn_key_mend(task, line, name, &s->line, &text) != 0)
            return -1;
        rights += is_right;
        if (!is_right ? keep(task, s, text) != 0
            : s->used ? emit_each_left(task, s, name, text) != 0
                      : s->keep_right && emit(task, s, name, qn_nothing(), text) != 0)
            return -1;
    }
    return rights == 0 && s->keep_left ? emit_each_left(task, s, name, qn_nothing()) : 0;
}

static int cleanup(struct qn_task *task)
{
    struct state *s = *qn_state(task);
    if (s) {
        qn_give_back(&s->room);
        qn_give_back(&s->line);
        qn_give_back(&s->lines);
    }
    free(s);
    return 0;
}

static const struct qn_option_row options[] = {
    {"join.left", NULL, "what the paths of the left input begin with"},
    {"join.left.field", "1", "which field of a left line is the key, counted from 1"},
    {"join.right.field", "1", "which field of a right line is the key"},
    {"join.type", "inner", "inner; left, right, full: lines without a partner, too"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "join",
    .about = "puts lines of two inputs together that have the same key",
    .setup = setup,
    .map = map,
    .reduce = reduce,
    .cleanup = cleanup,
    .key = QN_BYTES,
    .value = QN_BYTES,
    .out_key = QN_TEXT,
    .out_value = QN_TEXT,
    .partition = qn_key_partition_by_text,
    .group = qn_key_group_by_text,
    .options = options,
};
