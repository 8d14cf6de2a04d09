/* SPDX-License-Identifier: Apache-2.0
 * teravalidate: are the rows of 100 bytes in all input files in order of their keys, from file to
 * file too? One line for each place where they are not, then "rows N" and "checksum HEX": the sum
 * of the rows' CRC32, which sorting does not change. No line "misorder" = they are. */
#include <stdio.h>
#include <stdlib.h>

#include <quern/key.h>

#define ROW 100
#define KEY 10

/* What is told of a stretch of rows. */
struct stretch {
    unsigned char first[KEY], last[KEY];
    uint64_t rows, misorders, checksum_low, checksum_high;
};
struct state {
    uint32_t table[256];
    __uint128_t checksum;
    uint64_t rows;
    unsigned char last[KEY];
    int has_last;
};

static int setup(struct qn_task *task)
{
    struct state *s = calloc(1, sizeof(*s));
    if (!s)
        return qn_fail(task, "out of memory");
    *qn_state(task) = s;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t v = i;
        for (int bit = 0; bit < 8; bit++)
            v = v >> 1 ^ (v & 1 ? 0xedb88320u : 0);
        s->table[i] = v;
    }
    return 0;
}

static uint32_t crc(const struct state *s, const unsigned char *p)
{
    uint32_t v = ~0u;
    for (int i = 0; i < ROW; i++)
        v = v >> 8 ^ s->table[(v ^ p[i]) & 255];
    return ~v;
}

/* A span of rows, told under its file and place in it. */
static int map_lines(struct qn_task *task, struct qn_slice rows, struct qn_slice where)
{
    struct state *s = *qn_state(task);
    const unsigned char *p = (const unsigned char *)rows.data;
    struct stretch told = {.rows = rows.len / ROW};
    __uint128_t sum = 0;
    unsigned char room[8300];
    memcpy(told.first, p, KEY);
    memcpy(told.last, p + rows.len - ROW, KEY);
    for (uint64_t i = 0; i < told.rows; i++, p += ROW) {
        sum += crc(s, p);
        told.misorders += i > 0 && memcmp(p - ROW, p, KEY) > 0;
    }
    told.checksum_low = (uint64_t)sum;
    told.checksum_high = (uint64_t)(sum >> 64);
    struct qn_key key = qn_key_in(room, sizeof(room));
    qn_key_put_text(&key, qn_text(qn_input(task)->path), QN_ASC);
    qn_key_put_u64(&key, qn_to_u64(where), QN_ASC);
    if (!qn_key_fits(&key))
        return qn_fail(task, "a path of more than 4096 bytes");
    return qn_emit(task, qn_key_bytes(&key), qn_bytes(&told, sizeof(told)));
}

static int tell(struct qn_task *task, const char *path, uint64_t at, const char *what)
{
    char line[8400];
    snprintf(line, sizeof(line), "misorder\t%s at %llu: %s", path, (unsigned long long)at, what);
    return qn_emit(task, qn_text(line), qn_nothing());
}

static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{
    struct state *s = *qn_state(task);
    struct qn_slice path, bytes;
    struct stretch one;
    char text[4200], what[64];
    uint64_t at = 0;
    if (!qn_key_take_text(&key, text, sizeof(text) - 1, &path, QN_ASC) ||
        !qn_key_take_u64(&key, &at, QN_ASC))
        return qn_fail(task, "a key that map did not make");
    text[path.len] = 0;
    while (qn_next(values, &bytes)) {
        memcpy(&one, bytes.data, sizeof(one));
        snprintf(what, sizeof(what), "%llu rows behind a larger one",
                 (unsigned long long)one.misorders);
        if (one.misorders && tell(task, text, at, what) != 0)
            return -1;
        if (s->has_last && memcmp(s->last, one.first, KEY) > 0 &&
            tell(task, text, at, "begins below what comes before it") != 0)
            return -1;
        memcpy(s->last, one.last, KEY);
        s->has_last = 1;
        s->rows += one.rows;
        s->checksum += (__uint128_t)one.checksum_high << 64 | one.checksum_low;
    }
    return 0;
}

static int cleanup(struct qn_task *task)
{
    struct state *s = *qn_state(task);
    char text[64];
    int rc = 0;
    if (s && task->is_reduce) {
        snprintf(text, sizeof(text), "rows\t%llu", (unsigned long long)s->rows);
        rc = qn_emit(task, qn_text(text), qn_nothing());
        uint64_t high = (uint64_t)(s->checksum >> 64), low = (uint64_t)s->checksum;
        if (high)
            snprintf(text, sizeof(text), "checksum\t%llx%016llx", (unsigned long long)high,
                     (unsigned long long)low);
        else
            snprintf(text, sizeof(text), "checksum\t%llx", (unsigned long long)low);
        rc = rc ? rc : qn_emit(task, qn_text(text), qn_nothing());
    }
    free(s);
    return rc;
}

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "teravalidate",
    .about = "are rows of the sort benchmark in order?",
    .setup = setup,
    .map_lines = map_lines,
    .reduce = reduce,
    .cleanup = cleanup,
    .key = QN_BYTES,
    .value = QN_BYTES,
    .out_key = QN_TEXT,
    .out_value = QN_NONE,
    .partition = qn_one_partition,
    .default_reducers = 1,
    .input = QN_RECORDS,
    .record_size = ROW,
    .needs_reduce = 1,
};
