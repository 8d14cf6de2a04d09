/* SPDX-License-Identifier: Apache-2.0
 * randomtextwriter: lines of random words, to try things on: a key of 5 to 9 words, a tab, a value
 * of 20 to 99. Words are a thousand, the first ones far more frequent than the last, as in text.
 * Row n is the same each time, whichever task makes it. */
#include <quern/job.h>

#define WORDS     1000
#define KEY_MIN   5
#define KEY_MAX   9
#define VALUE_MIN 20
#define VALUE_MAX 99
#define WORD_MAX  10
#define LINE_MAX  ((KEY_MAX + VALUE_MAX) * (WORD_MAX + 1))

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014) */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t below(uint64_t *state, uint64_t n)
{
    return (uint64_t)((__uint128_t)next(state) * n >> 64);
}

/* Word `n`, of two to five syllables. */
static size_t put_word(char *out, uint64_t n)
{
    static const char consonants[] = "bdfghklmnprstvz", vowels[] = "aeiou";
    uint64_t state = n * 2654435761u + 1, syllables = 2 + below(&state, WORD_MAX / 2 - 1);
    size_t len = 0;
    for (uint64_t i = 0; i < syllables; i++) {
        out[len++] = consonants[below(&state, sizeof(consonants) - 1)];
        out[len++] = vowels[below(&state, sizeof(vowels) - 1)];
    }
    return len;
}

static size_t put_words(char *out, uint64_t *state, uint64_t min, uint64_t max)
{
    uint64_t count = min + below(state, max - min + 1);
    size_t len = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t a = below(state, WORDS), b = below(state, WORDS);
        if (i > 0)
            out[len++] = ' ';
        len += put_word(out + len, a * b / WORDS);
    }
    return len;
}

static int map(struct qn_task *task, struct qn_slice nothing, struct qn_slice row)
{
    char line[LINE_MAX];
    uint64_t state = qn_to_u64(row);
    (void)nothing;
    state = next(&state);
    size_t key = put_words(line, &state, KEY_MIN, KEY_MAX);
    size_t value = put_words(line + key, &state, VALUE_MIN, VALUE_MAX);
    return qn_emit(task, qn_bytes(line, key), qn_bytes(line + key, value));
}

static const struct qn_option_row options[] = {
    {"randomtextwriter.rows", NULL, "how many lines of about 530 bytes: 1000, 10m, 1b"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "randomtextwriter",
    .about = "makes lines of random words",
    .map = map,
    .options = options,
    .input = QN_ROWS,
};
