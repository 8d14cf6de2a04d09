/* SPDX-License-Identifier: Apache-2.0
 * join: lines of two inputs that have the same key, put together: "key TAB left line TAB right
 * line", every left one with every right one, in order of key.
 *
 *     quern run -input left=/a -input right=/b join /out
 *
 * Or, of paths without a name: lines of files whose path begins with `join.left` are left, all
 * others right. The left lines of one key are kept in memory, so choose the side on which a key
 * occurs seldom. Sorted and merged: no table of a whole side. */
#include <stdlib.h>

#include <quern/key.h>
#include <quern/option.h>

struct state {
    const char *left;
    size_t left_len;
    uint64_t fields[2]; /* which one is the key: left, right */
    int keep_left, keep_right;
    struct qn_counter *left_out;
    struct qn_room room, line; /* of a key that is sent; of a line */
    struct qn_room lefts;      /* of a key: "key TAB left line", each behind its length */
    size_t used, last;         /* bytes of it; where the last one's length stands */
    size_t name_len, count;
};

static int setup(struct qn_task *task)
{
    struct state *s = calloc(1, sizeof(*s));
    if (!s)
        return qn_fail(task, "out of memory");
    *qn_state(task) = s;
    s->left = qn_option(task, "join.left");
    s->left_len = strlen(s->left);
    unsigned type; /* a bit for each side that is kept */
    if (qn_option_u64(task, "join.left.field", 1, UINT64_MAX, &s->fields[0]) != 0 ||
        qn_option_u64(task, "join.right.field", 1, UINT64_MAX, &s->fields[1]) != 0 ||
        qn_option_word(task, "join.type", "inner left right full", &type) != 0)
        return -1;
    s->keep_left = type & 1;
    s->keep_right = type >> 1 & 1;
    s->left_out = qn_counter(task, "join", "lines without a key");
    return 0;
}

static int no_side(struct qn_task *task, const char *path)
{
    return qn_fail(
        task, "which side is %s? -input left=PATH -input right=PATH, or -D join.left=PREFIX", path);
}

static int check(struct qn_task *task)
{
    const char *name, *path;
    if (setup(task) != 0)
        return -1;
    const struct state *s = *qn_state(task);
    for (uint32_t i = 0; s->left_len == 0 && (path = qn_input_at(task, i, &name)) != NULL; i++)
        if (!*name)
            return no_side(task, path);
    return s->left_len ? qn_option_input_prefix(task, "join.left") : 0;
}

enum { LEFT, RIGHT, IS_CUT }; /* a line's last byte: its side, or IS_CUT and its side */

/* Of a line with a longer key, the key is cut out: it goes before the line anyway, and both may be
 * near the most that a record may have. */
#define LONG_KEY 1024

static int map_side(struct qn_task *task, struct qn_slice line, uint64_t side)
{
    struct state *s = *qn_state(task);
    struct qn_slice field, cut = line;
    if (!line.data)
        line = qn_nothing();
    if (!qn_field(line, '\t', s->fields[side], &field)) {
        s->left_out->value++;
        return 0;
    }
    uint64_t is_cut = field.len > LONG_KEY ? IS_CUT : 0;
    if (qn_grow(task, &s->room, 2 * field.len + 10) != 0 ||
        (is_cut && qn_key_cut(task, line, field, &s->line, &cut) != 0) ||
        qn_grow(task, &s->line, cut.len + 1) != 0)
        return -1;
    struct qn_key key = qn_key_in(s->room.data, s->room.size);
    qn_key_put_text(&key, field, QN_ASC);
    qn_key_put_u64(&key, side, QN_ASC);
    if (!is_cut && line.len)
        memcpy(s->line.data, line.data, line.len);
    s->line.data[cut.len] = (unsigned char)(side | is_cut);
    return qn_emit(task, qn_key_bytes(&key), qn_bytes(s->line.data, cut.len + 1));
}

static int map_left(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    (void)where;
    return map_side(task, line, LEFT);
}

static int map_right(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    (void)where;
    return map_side(task, line, RIGHT);
}

static int map_by_path(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    const struct state *s = *qn_state(task);
    (void)where;
    if (s->left_len == 0)
        return no_side(task, qn_input(task)->path);
    return map_side(task, line,
                    strncmp(qn_input(task)->path, s->left, s->left_len) == 0 ? LEFT : RIGHT);
}

/* --- what is put together -------------------------------------------------------------------- */

static struct qn_slice left_at(const struct state *s, size_t at)
{
    size_t len;
    memcpy(&len, s->lefts.data + at, sizeof(len));
    return qn_bytes(s->lefts.data + at + sizeof(len), len);
}

static int append(struct qn_task *task, struct state *s, struct qn_slice bytes)
{
    if (qn_grow(task, &s->lefts, s->used + bytes.len) != 0)
        return -1;
    if (bytes.len)
        memcpy(s->lefts.data + s->used, bytes.data, bytes.len);
    s->used += bytes.len;
    size_t len = s->used - s->last - sizeof(len);
    memcpy(s->lefts.data + s->last, &len, sizeof(len));
    return 0;
}

/* "key TAB", of which the first left line makes its own; without one it stands for none. */
static int begin(struct qn_task *task, struct state *s, struct qn_slice key)
{
    struct qn_slice name;
    s->last = s->count = 0;
    s->used = sizeof(size_t);
    if (qn_grow(task, &s->lefts, s->used + key.len) != 0)
        return -1;
    if (!qn_key_take_text(&key, s->lefts.data + s->used, s->lefts.size - s->used, &name, QN_ASC))
        return qn_fail(task, "a key that map did not make");
    s->name_len = name.len;
    s->used += name.len;
    return append(task, s, qn_text("\t"));
}

static struct qn_slice name_of(const struct state *s)
{
    return qn_bytes(s->lefts.data + sizeof(size_t), s->name_len);
}

static int keep(struct qn_task *task, struct state *s, struct qn_slice line)
{
    if (s->count++ > 0) {
        size_t len = sizeof(len) + s->name_len + 1; /* of what it begins with */
        if (qn_grow(task, &s->lefts, s->used + len) != 0)
            return -1;
        memcpy(s->lefts.data + s->used, s->lefts.data, len);
        s->last = s->used;
        s->used += len;
    }
    return append(task, s, line);
}

/* The line is output as it would be with the key alone before the tab, and nothing is copied. */
static int emit_each_left(struct qn_task *task, struct state *s, struct qn_slice right)
{
    struct qn_slice left;
    for (size_t at = 0; at < s->used; at += sizeof(left.len) + left.len) {
        left = left_at(s, at);
        if (qn_emit(task, left, right) != 0)
            return -1;
    }
    return 0;
}

static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *lines)
{
    struct state *s = *qn_state(task);
    struct qn_slice line;
    int rights = 0;
    if (begin(task, s, key) != 0)
        return -1;
    while (qn_next(lines, &line)) {
        unsigned what = ((const unsigned char *)line.data)[--line.len];
        if (what & IS_CUT && qn_key_mend(task, line, name_of(s), &s->line, &line) != 0)
            return -1;
        if (!(what & RIGHT)) {
            if (keep(task, s, line) != 0)
                return -1;
            continue;
        }
        rights++;
        if ((s->count || s->keep_right) && emit_each_left(task, s, line) != 0)
            return -1;
    }
    return rights == 0 && s->keep_left ? emit_each_left(task, s, qn_nothing()) : 0;
}

static int cleanup(struct qn_task *task)
{
    struct state *s = *qn_state(task);
    if (s) {
        qn_give_back(&s->room);
        qn_give_back(&s->line);
        qn_give_back(&s->lefts);
    }
    free(s);
    return 0;
}

static const struct qn_option_row options[] = {
    {"join.left", "", "of inputs without a name: what the paths of the left ones begin with"},
    {"join.left.field", "1", "which field of a left line is the key, counted from 1"},
    {"join.right.field", "1", "which field of a right line is the key"},
    {"join.type", "inner", "inner; left, right, full: lines without a partner, too"},
    {NULL, NULL, NULL},
};

static const struct qn_job left = {.head = QN_JOB_HEAD,
                                   .name = "left",
                                   .about = "the side whose lines come first",
                                   .map = map_left};
static const struct qn_job right = {
    .head = QN_JOB_HEAD, .name = "right", .about = "the other one", .map = map_right};
static const struct qn_job *const inputs[] = {&left, &right, NULL};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "join",
    .about = "puts lines of two inputs together that have the same key",
    .setup = setup,
    .map = map_by_path,
    .reduce = reduce,
    .cleanup = cleanup,
    .key = QN_BYTES,
    .value = QN_BYTES,
    .out_key = QN_TEXT,
    .out_value = QN_TEXT,
    .partition = qn_key_partition_by_text,
    .group = qn_key_group_by_text,
    .options = options,
    .inputs = inputs,
    .needs_reduce = 1,
    .check = check,
};
