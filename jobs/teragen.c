/* SPDX-License-Identifier: Apache-2.0
 * teragen: rows of the sort benchmark, 100 bytes each, the same as gensort and Hadoop's teragen
 * make:
 *
 *   0 key, 10 bytes   10 00 11   12 number of the row, 32 hex digits   44 88 99 aa bb
 *  48 filler, 48 bytes: 12 digits, each four times   96 cc dd ee ff
 *
 * Row n has the n + 1st number of a 128-bit linear congruential generator, x' = a x + c, beginning
 * with 0: the key is its upper ten bytes, the filler its lowest twelve digits. So any row is made
 * without those before it: a^n and c (a^n - 1) / (a - 1) by squaring, once a task. (a: L'Ecuyer,
 * Tables of linear congruential generators, 1999; the format: sortbenchmark.org.) */
#include <stdlib.h>

#include <quern/job.h>

typedef __uint128_t u128;

#define A ((u128)0x2360ed051fc65da4ULL << 64 | 0x4385df649fccf645ULL)
#define C ((u128)0x4a696d4772617952ULL << 64 | 0x4950202020202001ULL)

struct state {
    u128 x;
    uint64_t next; /* the row x belongs to */
    int is_begun;
};

static int setup(struct qn_task *task)
{
    *qn_state(task) = calloc(1, sizeof(struct state));
    return *qn_state(task) ? 0 : qn_fail(task, "out of memory");
}

/* The generator after so many steps from 0. */
static u128 after(u128 steps)
{
    u128 x = 0, a = A, c = C; /* a, c: 2^i steps at once */
    for (; steps; steps >>= 1) {
        if (steps & 1)
            x = x * a + c;
        c = c * (a + 1);
        a *= a;
    }
    return x;
}

static void put_hex(unsigned char *out, u128 v, int digits)
{
    static const char hex[] = "0123456789ABCDEF";
    for (int i = digits - 1; i >= 0; i--, v >>= 4)
        out[i] = (unsigned char)hex[(unsigned)v & 15];
}

static void make_row(unsigned char row[100], u128 x, uint64_t number)
{
    unsigned char digits[12];
    for (int i = 0; i < 10; i++)
        row[i] = (unsigned char)(x >> (120 - 8 * i));
    memcpy(row + 10, "\x00\x11", 2);
    put_hex(row + 12, number, 32);
    memcpy(row + 44, "\x88\x99\xaa\xbb", 4);
    put_hex(digits, x, 12);
    for (int i = 0; i < 12; i++)
        memset(row + 48 + 4 * i, digits[i], 4);
    memcpy(row + 96, "\xcc\xdd\xee\xff", 4);
}

static int map(struct qn_task *task, struct qn_slice nothing, struct qn_slice where)
{
    struct state *s = *qn_state(task);
    uint64_t number = qn_to_u64(where);
    unsigned char row[100];
    (void)nothing;
    if (!s->is_begun || number != s->next)
        s->x = after((u128)number + 1);
    else
        s->x = s->x * A + C;
    s->is_begun = 1;
    s->next = number + 1;
    make_row(row, s->x, number);
    return qn_emit(task, qn_bytes(row, sizeof(row)), qn_nothing());
}

static int cleanup(struct qn_task *task)
{
    free(*qn_state(task));
    return 0;
}

static const struct qn_option_row options[] = {
    {"teragen.rows", NULL, "how many rows of 100 bytes: 1000, 10m (a gigabyte), 1b"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "teragen",
    .about = "makes rows of the sort benchmark",
    .setup = setup,
    .map = map,
    .cleanup = cleanup,
    .key = QN_BYTES,
    .value = QN_NONE,
    .options = options,
    .input = QN_ROWS,
    .output = QN_RAW,
};
