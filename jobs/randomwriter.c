/* SPDX-License-Identifier: Apache-2.0
 * randomwriter: records of random bytes, to try things on: a key and a value, each of a length
 * between two bounds. Record n is the same each time, whichever task makes it.
 *
 * A record is written as: u32 key length, u32 value length (little-endian), key, value. */
#include <stdlib.h>

#include <quern/option.h>

#define HEAD 8

struct state {
    uint64_t key_min, key_max, value_min, value_max;
    struct qn_room room;
};

static int take(struct qn_task *task, const char *name, uint64_t *ret)
{
    return qn_option_u64(task, name, 0, 1u << 30, ret);
}

static int setup(struct qn_task *task)
{
    struct state *s = calloc(1, sizeof(*s));
    if (!s)
        return qn_fail(task, "out of memory");
    *qn_state(task) = s;
    if (take(task, "randomwriter.key.min", &s->key_min) != 0 ||
        take(task, "randomwriter.key.max", &s->key_max) != 0 ||
        take(task, "randomwriter.value.min", &s->value_min) != 0 ||
        take(task, "randomwriter.value.max", &s->value_max) != 0)
        return -1;
    if (s->key_min > s->key_max || s->value_min > s->value_max)
        return qn_fail(task, "randomwriter: a .min is larger than its .max");
    return 0;
}

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014) */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t between(uint64_t *state, uint64_t min, uint64_t max)
{
    return min + (uint64_t)((__uint128_t)next(state) * (max - min + 1) >> 64);
}

static void put_u32(unsigned char *out, uint64_t v)
{
    for (int i = 0; i < 4; i++)
        out[i] = (unsigned char)(v >> 8 * i);
}

static int map(struct qn_task *task, struct qn_slice nothing, struct qn_slice row)
{
    struct state *s = *qn_state(task);
    uint64_t random = qn_to_u64(row);
    (void)nothing;
    random = next(&random);
    uint64_t key = between(&random, s->key_min, s->key_max);
    uint64_t value = between(&random, s->value_min, s->value_max), len = HEAD + key + value;
    if (qn_grow(task, &s->room, len + sizeof(random)) != 0)
        return -1;
    put_u32(s->room.data, key);
    put_u32(s->room.data + 4, value);
    for (uint64_t at = HEAD; at < len; at += sizeof(random)) { /* the last may go beyond the end */
        uint64_t bytes = next(&random);
        memcpy(s->room.data + at, &bytes, sizeof(bytes));
    }
    return qn_emit(task, qn_bytes(s->room.data, len), qn_nothing());
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
    {"randomwriter.rows", NULL, "how many records, of about 11 kB by default: 1000, 10m, 1b"},
    {"randomwriter.key.min", "10", "the shortest key, in bytes"},
    {"randomwriter.key.max", "1000", "the longest"},
    {"randomwriter.value.min", "0", "the shortest value"},
    {"randomwriter.value.max", "20000", "the longest"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "randomwriter",
    .about = "makes records of random bytes",
    .setup = setup,
    .map = map,
    .cleanup = cleanup,
    .key = QN_BYTES,
    .value = QN_NONE,
    .options = options,
    .input = QN_ROWS,
    .output = QN_RAW,
    .check = setup,
};
