/* SPDX-License-Identifier: Apache-2.0
 * topn: the lines with the largest numbers in one of their fields (separated by tabs), largest
 * first; equal numbers in order of the lines' bytes. Each map keeps its best in a heap and emits
 * them at its end, so that n lines travel per map, not all. Lines without such a number are counted
 * and left out. */
#include <stdlib.h>

#include <quern/key.h>
#include <quern/option.h>

#define MOST 99999999 /* lines, fields */

struct line {
    double number;
    size_t len;
    unsigned char *bytes;
};
struct state {
    uint64_t n, field;
    struct line *heap; /* the worst of those kept is first */
    uint64_t kept, emitted;
    struct qn_counter *left_out;
    struct qn_room room;
};

static int setup(struct qn_task *task)
{
    struct state *s = calloc(1, sizeof(*s));
    if (!s)
        return qn_fail(task, "out of memory");
    *qn_state(task) = s;
    if (qn_option_u64(task, "topn.n", 1, MOST, &s->n) != 0 ||
        qn_option_u64(task, "topn.field", 1, MOST, &s->field) != 0)
        return -1;
    s->left_out = qn_counter(task, "topn", "lines without a number");
    s->heap = task->is_reduce ? NULL : calloc(s->n, sizeof(*s->heap));
    return task->is_reduce || s->heap
               ? 0
               : qn_fail(task, "no memory for %s lines", qn_option(task, "topn.n"));
}

/* Does a come after b in the answer? */
static int is_worse(const struct line *a, const struct line *b)
{
    if (a->number < b->number || a->number > b->number)
        return a->number < b->number;
    int c = memcmp(a->bytes, b->bytes, a->len < b->len ? a->len : b->len);
    return c ? c > 0 : a->len > b->len;
}

static void swap(struct line *a, struct line *b)
{
    struct line t = *a;
    *a = *b;
    *b = t;
}

static void sift_down(struct state *s)
{
    for (uint64_t i = 0;;) {
        uint64_t worst = i;
        for (uint64_t child = 2 * i + 1; child <= 2 * i + 2 && child < s->kept; child++)
            if (is_worse(&s->heap[child], &s->heap[worst]))
                worst = child;
        if (worst == i)
            return;
        swap(&s->heap[i], &s->heap[worst]);
        i = worst;
    }
}

static int map(struct qn_task *task, struct qn_slice record, struct qn_slice where)
{
    struct state *s = *qn_state(task);
    struct qn_slice text;
    struct line line = {0, record.len, (unsigned char *)(uintptr_t)record.data};
    (void)where;
    if (!qn_field(record, '\t', s->field, &text) || !qn_number(text, &line.number)) {
        s->left_out->value++;
        return 0;
    }
    if (s->kept == s->n && !is_worse(&s->heap[0], &line))
        return 0;
    line.bytes = malloc(record.len + 1);
    if (!line.bytes)
        return qn_fail(task, "no memory for the best %s lines", qn_option(task, "topn.n"));
    memcpy(line.bytes, record.data, record.len);
    if (s->kept == s->n) {
        free(s->heap[0].bytes);
        s->heap[0] = line;
        sift_down(s);
        return 0;
    }
    s->heap[s->kept] = line;
    for (uint64_t i = s->kept++; i > 0 && is_worse(&s->heap[i], &s->heap[(i - 1) / 2]);
         i = (i - 1) / 2)
        swap(&s->heap[i], &s->heap[(i - 1) / 2]);
    return 0;
}

static int emit(struct qn_task *task, struct state *s, const struct line *line)
{
    size_t need = 2 * line->len + 16;
    if (qn_grow(task, &s->room, need) != 0)
        return -1;
    struct qn_key key = qn_key_in(s->room.data, s->room.size);
    qn_key_put_f64(&key, line->number, QN_DESC);
    qn_key_put_text(&key, qn_bytes(line->bytes, line->len), QN_ASC);
    return qn_emit(task, qn_key_bytes(&key), qn_bytes(line->bytes, line->len));
}

static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *lines)
{
    struct state *s = *qn_state(task);
    struct qn_slice line;
    (void)key;
    while (s->emitted < s->n && qn_next(lines, &line)) {
        s->emitted++;
        if (qn_emit(task, line, qn_nothing()) != 0)
            return -1;
    }
    return 0;
}

static int cleanup(struct qn_task *task)
{
    struct state *s = *qn_state(task);
    int rc = 0;
    if (!s)
        return 0;
    for (uint64_t i = 0; i < s->kept; i++) {
        rc = rc ? rc : emit(task, s, &s->heap[i]);
        free(s->heap[i].bytes);
    }
    free(s->heap);
    qn_give_back(&s->room);
    free(s);
    return rc;
}

static const struct qn_option_row options[] = {
    {"topn.n", "10", "how many lines"},
    {"topn.field", "1", "which field has the number, counted from 1"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "topn",
    .about = "the lines with the largest numbers",
    .setup = setup,
    .map = map,
    .reduce = reduce,
    .cleanup = cleanup,
    .key = QN_BYTES,
    .value = QN_TEXT,
    .out_key = QN_TEXT,
    .out_value = QN_NONE,
    .partition = qn_one_partition,
    .options = options,
    .default_reducers = 1,
    .needs_reduce = 1,
    .check = setup,
};
