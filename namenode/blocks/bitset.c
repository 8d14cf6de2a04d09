/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/blocks/bitset.h"

#include "libcommon/base/mem.h"

void bitset_release(struct bitset *set)
{
    mem_free(set->words);
    mem_free(set->summary);
    *set = BITSET_INIT;
}

/* Room for word `word`: doubles, in whole summary words. */
static int grow(struct bitset *set, uint32_t word)
{
    uint32_t want = set->word_count ? set->word_count : 64;
    while (want <= word)
        want *= 2;
    uint64_t *summary = mem_realloc_array(set->summary, want / 64, sizeof(*summary));
    if (!summary)
        return ERR_NOMEM;
    set->summary = summary;
    uint64_t *words = mem_realloc_array(set->words, want, sizeof(*words));
    if (!words)
        return ERR_NOMEM;
    set->words = words;
    memset(words + set->word_count, 0, (want - set->word_count) * sizeof(*words));
    memset(summary + set->word_count / 64, 0, (want - set->word_count) / 64 * sizeof(*summary));
    set->word_count = want;
    return 0;
}

int bitset_add(struct bitset *set, uint32_t number)
{
    uint32_t word = number / 64;
    if (word >= set->word_count && grow(set, word) < 0)
        return ERR_NOMEM;
    uint64_t bit = 1ULL << (number % 64);
    if (set->words[word] & bit)
        return 0;
    set->words[word] |= bit;
    set->summary[word / 64] |= 1ULL << (word % 64);
    set->count++;
    return 0;
}

void bitset_remove(struct bitset *set, uint32_t number)
{
    if (!bitset_has(set, number))
        return;
    uint32_t word = number / 64;
    set->words[word] &= ~(1ULL << (number % 64));
    if (set->words[word] == 0)
        set->summary[word / 64] &= ~(1ULL << (word % 64));
    set->count--;
}

/* The first word >= from that holds a member, or word_count. */
static uint32_t next_word(const struct bitset *set, uint32_t from)
{
    for (uint32_t s = from / 64; s < set->word_count / 64; s++) {
        uint64_t bits = set->summary[s];
        if (s == from / 64)
            bits &= UINT64_MAX << (from % 64);
        if (bits)
            return s * 64 + (uint32_t)__builtin_ctzll(bits);
    }
    return set->word_count;
}

uint32_t bitset_next(const struct bitset *set, uint32_t from)
{
    uint32_t word = from / 64;
    if (word >= set->word_count || set->count == 0)
        return BITSET_END;
    uint64_t bits = set->words[word] & (UINT64_MAX << (from % 64));
    if (bits == 0) {
        word = next_word(set, word + 1);
        if (word >= set->word_count)
            return BITSET_END;
        bits = set->words[word];
    }
    return word * 64 + (uint32_t)__builtin_ctzll(bits);
}
