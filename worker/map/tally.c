/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/map/tally.h"

#include "worker/map/table.h"

#define SLOTS_MIN ((size_t)4096)
#define IN_LINE   ((size_t)4)

const uint64_t tally_marks[9] = {0,
                                 (uint64_t)0x81 << 56,
                                 (uint64_t)0x82 << 56,
                                 (uint64_t)0x83 << 56,
                                 (uint64_t)0x84 << 56,
                                 (uint64_t)0x85 << 56,
                                 (uint64_t)0x86 << 56,
                                 (uint64_t)0x87 << 56,
                                 0};

static void use_array(struct tally *t, size_t n)
{
    t->slots = table_array(t->space, sizeof(*t->slots), t->slots_max, n);
    t->mask = n - 1;
    t->limit = n / 8 * 5;
    memset(t->slots, 0, n * sizeof(*t->slots));
}

void tally_open(struct tally *tally, void *space, size_t size)
{
    BUG_ON(size < TALLY_SPACE_MIN);
    *tally = (struct tally){.space = space, .slots_max = SLOTS_MIN};
    while (2 * tally->slots_max * sizeof(struct tally_slot) / 2 * 3 <= size)
        tally->slots_max *= 2;
    tally_clear(tally);
}

void tally_clear(struct tally *tally)
{
    tally->count = 0;
    use_array(tally, SLOTS_MIN);
}

void tally_close(struct tally *tally)
{
    tally->slots = tally->none;
    tally->mask = tally->count = tally->limit = 0;
    memset(tally->none, 0, sizeof(tally->none));
}

/* Where it is, or would be: line by line, in each the place of its hash first, then the one beside
 * it. */
static struct tally_slot *place_of(const struct tally *t, uint64_t hash, uint64_t word)
{
    for (size_t line = hash & t->mask;; line = (line + IN_LINE) & t->mask)
        for (size_t k = 0; k < IN_LINE; k++) {
            struct tally_slot *slot = &t->slots[line ^ k];
            if (slot->word == word || slot->word == 0)
                return slot;
        }
}

struct tally_slot *tally_find(const struct tally *tally, uint64_t hash, uint64_t word)
{
    struct tally_slot *slot = place_of(tally, hash, word);
    return slot->word ? slot : NULL;
}

static void grow(struct tally *t)
{
    const struct tally_slot *old = t->slots;
    size_t n = t->mask + 1;
    use_array(t, 2 * n);
    for (size_t i = 0; i < n; i++)
        if (old[i].word)
            *place_of(t, tally_hash(old[i].word), old[i].word) = old[i];
}

struct tally_slot *tally_insert(struct tally *tally, uint64_t hash, uint64_t word)
{
    if (tally->count >= tally->limit) {
        if (tally->mask + 1 >= tally->slots_max)
            return NULL;
        grow(tally);
    }
    struct tally_slot *slot = place_of(tally, hash, word);
    *slot = (struct tally_slot){.word = word};
    tally->count++;
    return slot;
}
