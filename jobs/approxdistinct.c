/* SPDX-License-Identifier: Apache-2.0
 * approxdistinct: about how many different lines (or words) there are, in 16 KiB of memory however
 * many that is. HyperLogLog: a hash's first 14 bits choose a register, which keeps the longest run
 * of zero bits seen behind them; harmonic mean with Flajolet's bias constant, linear counting while
 * registers are empty. Standard error 1.04 / sqrt(2^14) = 0.8 %.
 * (Flajolet, Fusy, Gandouet, Meunier: HyperLogLog, 2007.) */
#include <math.h>
#include <stdlib.h>

#include <quern/option.h>

#define BITS      14
#define REGISTERS (1U << BITS)

struct state {
    unsigned words;
    uint8_t longest[REGISTERS];
};

static int setup(struct qn_task *task)
{
    struct state *s = calloc(1, sizeof(*s));
    if (!s)
        return qn_fail(task, "out of memory");
    *qn_state(task) = s;
    return qn_option_word(task, "approxdistinct.of", "lines words", &s->words);
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(struct qn_slice text)
{
    const unsigned char *p = text.data;
    uint64_t h = 0xa0761d6478bd642fULL ^ text.len, word = 0;
    size_t n = text.len;
    for (; n >= 8; n -= 8, p += 8) {
        memcpy(&word, p, 8);
        h = mix(h ^ word, 0xe7037ed1a0b428dbULL);
    }
    word = 0;
    if (n)
        memcpy(&word, p, n);
    h = mix(h ^ word, 0x8ebc6af09c88c6e3ULL);
    return mix(h ^ 0x589965cc75374cc3ULL, 0x1d8e4e27c47d124fULL);
}

static void take(struct state *s, struct qn_slice text)
{
    uint64_t hash = hash_of(text), rest = hash << BITS | 1ULL << (BITS - 1);
    uint8_t *longest = &s->longest[hash >> (64 - BITS)];
    uint8_t run = (uint8_t)(__builtin_clzll(rest) + 1);
    if (run > *longest)
        *longest = run;
}

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    struct state *s = *qn_state(task);
    struct qn_slice word;
    (void)where;
    if (!s->words)
        take(s, line);
    else
        while (qn_next_word(&line, &word))
            take(s, word);
    return 0;
}

static int reduce(struct qn_task *task, struct qn_slice place, struct qn_values *runs)
{
    struct state *s = *qn_state(task);
    uint64_t at = qn_to_u64(place);
    struct qn_slice run;
    while (qn_next(runs, &run))
        if (at < REGISTERS && qn_to_u64(run) > s->longest[at])
            s->longest[at] = (uint8_t)qn_to_u64(run);
    return 0;
}

static uint64_t estimate(const struct state *s)
{
    double sum = 0, m = REGISTERS;
    unsigned empty = 0;
    for (unsigned i = 0; i < REGISTERS; i++) {
        sum += 1.0 / (double)(1ULL << s->longest[i]);
        empty += s->longest[i] == 0;
    }
    double e = 0.7213 / (1 + 1.079 / m) * m * m / sum;
    if (e <= 2.5 * m && empty > 0)
        e = m * log(m / empty);
    return (uint64_t)(e + 0.5);
}

/* A map tells its registers, the reduce the answer. */
static int cleanup(struct qn_task *task)
{
    struct state *s = *qn_state(task);
    int rc = 0;
    if (!s)
        return 0;
    for (uint64_t i = 0; !task->is_reduce && i < REGISTERS && rc == 0; i++) {
        uint64_t run = s->longest[i];
        if (run)
            rc = qn_emit(task, qn_from_u64(&i), qn_from_u64(&run));
    }
    if (task->is_reduce && task->task_index == 0) {
        uint64_t answer = estimate(s);
        rc = qn_emit(task, qn_from_u64(&answer), qn_nothing());
    }
    free(s);
    return rc;
}

static const struct qn_option_row options[] = {
    {"approxdistinct.of", "lines", "lines or words"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "approxdistinct",
    .about = "about how many different lines or words there are",
    .setup = setup,
    .map = map,
    .combine_op = QN_MAX,
    .reduce = reduce,
    .cleanup = cleanup,
    .key = QN_U64,
    .value = QN_U64,
    .out_value = QN_NONE,
    .partition = qn_one_partition,
    .options = options,
    .default_reducers = 1,
    .needs_reduce = 1,
    .check = setup,
};
