/* SPDX-License-Identifier: Apache-2.0
 * hashjoin: as the job `join`, "key TAB left line TAB right line", for a left side that fits into
 * memory: the whole of it comes along as a side file and is kept in a hash table by each task, so
 * nothing is sorted and nothing travels. The lines come in the order of the right input, those of
 * one right line in the order of the left file.
 *
 *     quern run -file small.txt -D hashjoin.left=small.txt hashjoin /big /out */
#include <stdlib.h>

#include <quern/option.h>

#define NONE UINT32_MAX

/* A line of the left side; those of one slot are chained in order of the file. */
struct left {
    struct qn_slice line, key;
    uint64_t hash;
    uint32_t next;
};

struct state {
    const char *left;   /* the name of the side file */
    uint64_t fields[2]; /* which one is the key: left, right */
    unsigned keep_right;
    struct left *lines;
    uint32_t count, *slots; /* slots: the first line of each, or NONE */
    uint64_t mask;
    struct qn_counter *without_key;
    struct qn_room room;
};

/* FNV-1a, then mixed: the lower bits choose the slot. */
static uint64_t hash_of(struct qn_slice key)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < key.len; i++)
        h = (h ^ ((const unsigned char *)key.data)[i]) * 0x100000001b3u;
    return h ^ h >> 29;
}

static uint64_t lines_in(struct qn_slice bytes)
{
    struct qn_slice line;
    uint64_t n = 0;
    while (qn_next_line(&bytes, &line))
        n++;
    return n;
}

/* Lines from last to first, each before those its slot has: so they stand in order. */
static void chain(struct state *s)
{
    for (uint64_t i = 0; i <= s->mask; i++)
        s->slots[i] = NONE;
    for (uint32_t i = s->count; i-- > 0;) {
        uint32_t *slot = &s->slots[s->lines[i].hash & s->mask];
        s->lines[i].next = *slot;
        *slot = i;
    }
}

static int load(struct qn_task *task, struct state *s, struct qn_slice bytes)
{
    struct qn_slice line;
    uint64_t most = lines_in(bytes);
    for (s->mask = 15; s->mask < most; s->mask = s->mask * 2 + 1)
        continue;
    if (most >= NONE)
        return qn_fail(task, "hashjoin.left has %llu lines: four billion are the most",
                       (unsigned long long)most);
    s->lines = calloc(most + 1, sizeof(*s->lines));
    s->slots = malloc((s->mask + 1) * sizeof(*s->slots));
    if (!s->lines || !s->slots)
        return qn_fail(task, "out of memory: a table of %llu lines", (unsigned long long)most);
    while (qn_next_line(&bytes, &line)) {
        struct left *left = &s->lines[s->count];
        left->line = line;
        if (!qn_field(line, '\t', s->fields[0], &left->key))
            continue;
        left->hash = hash_of(left->key);
        s->count++;
    }
    chain(s);
    return 0;
}

static int take_options(struct qn_task *task, struct state *s)
{
    int rc = qn_option_u64(task, "hashjoin.left.field", 1, UINT64_MAX, &s->fields[0]);
    rc = rc ? rc : qn_option_u64(task, "hashjoin.right.field", 1, UINT64_MAX, &s->fields[1]);
    rc = rc ? rc : qn_option_word(task, "hashjoin.type", "inner right", &s->keep_right);
    return rc ? rc : qn_option_side_file(task, "hashjoin.left", &s->left);
}

static int check(struct qn_task *task)
{
    struct state s;
    return take_options(task, &s);
}

static int setup(struct qn_task *task)
{
    struct qn_slice bytes;
    struct state *s = calloc(1, sizeof(*s));
    if (!s)
        return qn_fail(task, "out of memory");
    *qn_state(task) = s;
    if (take_options(task, s) != 0)
        return -1;
    s->without_key = qn_counter(task, "join", "lines without a key");
    if (qn_side_file(task, s->left, &bytes) != 0)
        return -1;
    return load(task, s, bytes);
}

static int emit(struct qn_task *task, struct state *s, struct qn_slice key, struct qn_slice left,
                struct qn_slice right)
{
    if (qn_grow(task, &s->room, left.len + 1 + right.len) != 0)
        return -1;
    if (left.len)
        memcpy(s->room.data, left.data, left.len);
    s->room.data[left.len] = '\t';
    if (right.len)
        memcpy(s->room.data + left.len + 1, right.data, right.len);
    return qn_emit(task, key, qn_bytes(s->room.data, left.len + 1 + right.len));
}

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    struct state *s = *qn_state(task);
    struct qn_slice key;
    int partners = 0;
    (void)where;
    if (!line.data)
        line = qn_nothing();
    if (!qn_field(line, '\t', s->fields[1], &key)) {
        s->without_key->value++;
        return 0;
    }
    uint64_t hash = hash_of(key);
    for (uint32_t i = s->slots[hash & s->mask]; i != NONE; i = s->lines[i].next) {
        const struct left *left = &s->lines[i];
        if (left->hash != hash || left->key.len != key.len ||
            memcmp(left->key.data, key.data, key.len) != 0)
            continue;
        partners++;
        if (emit(task, s, key, left->line, line) != 0)
            return -1;
    }
    return partners == 0 && s->keep_right ? emit(task, s, key, qn_nothing(), line) : 0;
}

static int cleanup(struct qn_task *task)
{
    struct state *s = *qn_state(task);
    if (s) {
        qn_give_back(&s->room);
        free(s->lines);
        free(s->slots);
    }
    free(s);
    return 0;
}

static const struct qn_option_row options[] = {
    {"hashjoin.left", NULL, "the left side: the name of a file that comes along (-file)"},
    {"hashjoin.left.field", "1", "which field of a left line is the key, counted from 1"},
    {"hashjoin.right.field", "1", "which field of a right line is the key"},
    {"hashjoin.type", "inner", "inner; right: right lines without a partner, too"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "hashjoin",
    .about = "joins its input with a file small enough for memory",
    .setup = setup,
    .map = map,
    .cleanup = cleanup,
    .key = QN_TEXT,
    .value = QN_TEXT,
    .options = options,
    .check = check,
};
