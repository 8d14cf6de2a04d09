/* SPDX-License-Identifier: Apache-2.0
 * inputs: what the comparison feeds to everyone, the same bytes for the same arguments anywhere.
 *
 *   inputs words BYTES [SEED [VOCABULARY]]   lines of words, one space between; rank r of the
 *                                            vocabulary (200,000) comes with a likelihood of 1/r,
 *                                            as in real text
 *   inputs rows BYTES [SEED]                 rows of 100 bytes with a printable key of 10 in
 *                                            front: one order for TeraSort and for sort(1)
 *
 * No more than BYTES are written, all of them whole lines. */
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX   16
#define LINE_BYTES 76
#define ROW_BYTES  100
#define KEY_BYTES  10

/* splitmix64: every value of `x` gives another number */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

/* Distinct, made of syllables, shorter for the frequent ones. */
static size_t spell(uint64_t rank, char *out)
{
    size_t n = 0;
    for (uint64_t r = rank + 1; r > 0; r /= 100) {
        out[n++] = "bcdfghklmnprstvwzjyx"[r % 20];
        out[n++] = "aeiou"[r / 20 % 5];
    }
    return n;
}

static void words(uint64_t bytes, uint64_t seed, uint64_t vocabulary)
{
    char line[LINE_BYTES + WORD_MAX];
    size_t at = 0;
    double scale = log((double)vocabulary);
    for (uint64_t i = 0, done = 0;; i++) {
        double u = (double)(mix(seed + i) >> 11) * 0x1p-53;
        uint64_t rank = (uint64_t)exp(u * scale) - 1; /* Zipf's distribution turned round */
        at += spell(rank < vocabulary ? rank : vocabulary - 1, line + at);
        bool is_full = at >= LINE_BYTES;
        line[at++] = is_full ? '\n' : ' ';
        if (!is_full)
            continue;
        if (done + at > bytes)
            return;
        fwrite(line, 1, at, stdout);
        done += at;
        at = 0;
    }
}

static void rows(uint64_t bytes, uint64_t seed)
{
    char row[ROW_BYTES + 1];
    for (uint64_t i = 0; (i + 1) * ROW_BYTES <= bytes; i++) {
        uint64_t part[2] = {mix(seed ^ (i * 2)), mix(seed ^ (i * 2 + 1))};
        for (unsigned k = 0; k < KEY_BYTES; k++) {
            row[k] = (char)(' ' + part[k / 8] % 95);
            part[k / 8] /= 95;
        }
        snprintf(row + KEY_BYTES, sizeof(row) - KEY_BYTES, "  %032" PRIx64 "  ", i);
        for (unsigned k = 46; k < ROW_BYTES - 1; k++)
            row[k] = (char)('A' + (i + k / 4) % 26);
        row[ROW_BYTES - 1] = '\n';
        fwrite(row, 1, ROW_BYTES, stdout);
    }
}

int main(int argc, char **argv)
{
    uint64_t bytes = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    uint64_t vocabulary = argc > 4 ? strtoull(argv[4], NULL, 10) : 200000;
    if (argc > 2 && strcmp(argv[1], "words") == 0 && vocabulary > 0)
        words(bytes, seed, vocabulary);
    else if (argc > 2 && strcmp(argv[1], "rows") == 0)
        rows(bytes, seed);
    else {
        fprintf(stderr, "usage: inputs words BYTES [SEED [VOCABULARY]] | rows BYTES [SEED]\n");
        return 2;
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("inputs");
        return 1;
    }
    return 0;
}
