/* SPDX-License-Identifier: Apache-2.0
 * quern/words.h: the words of a text, one after the other, as fast as they can be had. For jobs
 * with .map_lines:
 *
 *     struct qn_words words = qn_words_of(lines);
 *     while (qn_words_next(&words, &word))
 *         if (qn_emit(task, word, ...) != 0)
 *             return -1;
 *
 * Words are what qn_next_word (quern/job.h) takes off, one by one; here 64 bytes are looked at
 * together: a bit for each tells whether it belongs to a word, and where those bits change a word
 * begins or ends. No byte has a branch of its own. */
#ifndef QUERN_WORDS_H
#define QUERN_WORDS_H

#include <quern/job.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QN_WORDS_BLOCK 64

struct qn_words {
    const unsigned char *block; /* the bits are of the bytes from here on */
    const unsigned char *next;  /* block, or what comes behind it */
    const unsigned char *end;
    uint64_t edges;  /* bit i: at block[i] a word begins or has ended; not told yet */
    uint64_t inside; /* 1: the block ends within a word */
};

static inline struct qn_words qn_words_of(struct qn_slice text)
{
    struct qn_words words;
    words.block = words.next = (const unsigned char *)text.data;
    words.end = text.len ? words.next + text.len : words.next; /* nothing may have no address */
    words.edges = words.inside = 0;
    return words;
}

/* Which of 64 bytes belong to words: those that are no white space. Eight at a time; where the
 * processor is known to have it, sixteen. */
static inline uint64_t qn_words_bits_plain(const unsigned char *p)
{
    uint64_t letters = 0, eight;
    for (unsigned i = 0; i < QN_WORDS_BLOCK; i += 8) {
        memcpy(&eight, p + i, 8);
        /* The top bit of each byte, gathered in the topmost byte. */
        letters |= (((~qn_white(eight) >> 7) & 0x0101010101010101u) * 0x0102040810204080u >> 56)
                   << i;
    }
    return letters;
}
#ifdef __SSE2__
static inline uint64_t qn_words_bits(const unsigned char *p)
{
    uint64_t white = 0;
    for (unsigned i = 0; i < QN_WORDS_BLOCK; i += 16)
        white |= (uint64_t)qn_white_16(p + i) << i;
    return ~white;
}
#else
static inline uint64_t qn_words_bits(const unsigned char *p)
{
    return qn_words_bits_plain(p);
}
#endif

/* On to the following block. 0 = there is none. */
static inline int qn_words_block(struct qn_words *words)
{
    size_t left = (size_t)(words->end - words->next);
    uint64_t letters;
    words->block = words->next;
    if (left >= QN_WORDS_BLOCK) {
        letters = qn_words_bits(words->block);
        words->next += QN_WORDS_BLOCK;
    } else if (left == 0) {
        return 0;
    } else {
        unsigned char last[QN_WORDS_BLOCK];
        memset(last, ' ', sizeof(last));
        memcpy(last, words->block, left);
        letters = qn_words_bits(last);
        words->next = words->end;
    }
    words->edges = letters ^ (letters << 1 | words->inside);
    words->inside = letters >> (QN_WORDS_BLOCK - 1);
    return 1;
}

/* Where the next word begins, or the one that has begun ends. */
static inline const unsigned char *qn_words_edge(struct qn_words *words)
{
    while (words->edges == 0)
        if (!qn_words_block(words))
            return words->end;
    const unsigned char *edge = words->block + __builtin_ctzll(words->edges);
    words->edges &= words->edges - 1;
    return edge;
}

/* 1 = *word is the next one (it borrows the text), 0 = there are no more. */
static inline int qn_words_next(struct qn_words *words, struct qn_slice *word)
{
    const unsigned char *start = qn_words_edge(words);
    if (start == words->end)
        return 0;
    *word = qn_bytes(start, (size_t)(qn_words_edge(words) - start));
    return 1;
}

/* Each word of a text, with the same value: as qn_emit for one after the other. The words of a
 * block are taken off together, and emitted when there are enough of them. */
static inline int qn_emit_words(struct qn_task *task, struct qn_slice text, struct qn_slice value)
{
    struct qn_words words = qn_words_of(text);
    struct qn_slice some[2 * QN_WORDS_BLOCK];
    const unsigned char *open = NULL; /* where a word has begun that goes on into the next block */
    size_t n = 0;
    while (qn_words_block(&words)) {
        uint64_t edges = words.edges;
        if (open && edges) {
            some[n++] = qn_bytes(open, (size_t)(words.block + __builtin_ctzll(edges) - open));
            edges &= edges - 1;
            open = NULL;
        }
        while (edges & (edges - 1)) {
            unsigned start = (unsigned)__builtin_ctzll(edges);
            edges &= edges - 1;
            some[n++] = qn_bytes(words.block + start, (unsigned)__builtin_ctzll(edges) - start);
            edges &= edges - 1;
        }
        if (edges)
            open = words.block + __builtin_ctzll(edges);
        if (n >= QN_WORDS_BLOCK) {
            if (qn_emit_keys(task, some, n, value) != 0)
                return -1;
            n = 0;
        }
    }
    if (open)
        some[n++] = qn_bytes(open, (size_t)(words.end - open));
    return n ? qn_emit_keys(task, some, n, value) : 0;
}

#ifdef __cplusplus
}
#endif

#endif
