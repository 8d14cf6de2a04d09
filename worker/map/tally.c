/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/map/tally.h"

#include "libcommon/base/clock.h"
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

static void clear(struct tally *t)
{
    t->count = 0;
    use_array(t, SLOTS_MIN);
}

void tally_open(struct tally *tally, void *space, size_t size, tally_out *out, void *arg)
{
    BUG_ON(size < TALLY_SPACE_MIN);
    *tally = (struct tally){
        .space = space, .slots_max = SLOTS_MIN, .out = out, .arg = arg, .is_open = true};
    while (2 * tally->slots_max * sizeof(struct tally_slot) / 2 * 3 <= size)
        tally->slots_max *= 2;
    clear(tally);
}

void tally_close(struct tally *tally)
{
    tally->is_open = false;
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

static void grow(struct tally *t)
{
    const struct tally_slot *old = t->slots;
    size_t n = t->mask + 1;
    use_array(t, 2 * n);
    for (size_t i = 0; i < n; i++)
        if (old[i].word)
            *place_of(t, tally_hash(old[i].word), old[i].word) = old[i];
}

/* Its slot, a new one if need be; NULL: it is full. */
static struct tally_slot *take_slot(struct tally *t, uint64_t hash, uint64_t word)
{
    struct tally_slot *slot = place_of(t, hash, word);
    if (slot->word == word)
        return slot;
    if (t->count >= t->limit) {
        if (t->mask + 1 >= t->slots_max)
            return NULL;
        grow(t);
        slot = place_of(t, hash, word);
    }
    *slot = (struct tally_slot){.word = word};
    t->count++;
    return slot;
}

#define tally_each(tally, slot)                                                                    \
    for (struct tally_slot *slot = (tally)->slots; slot <= (tally)->slots + (tally)->mask; slot++) \
        if (slot->word)

/* --- out ------------------------------------------------------------------------------------- */

static int let_out(struct tally *t, uint64_t word, uint64_t *both)
{
    uint8_t key[8];
    uint64_t sum = *both;
    *both = 0;
    put_u64(key, tally_key_word(word));
    return sum ? t->out(t->arg, tally_hash(word), slice_of(key, tally_len(word)), sum) : 0;
}

static int empty(struct tally *t)
{
    uint64_t start = clock_mono_us();
    int rc = 0;
    t->round_from = t->records;
    if (t->count == 0) /* or it is closed, or never was open */
        return 0;
    tally_each(t, slot)
    {
        if (rc == 0)
            rc = let_out(t, slot->word, &slot->both);
    }
    clear(t);
    t->flush_us += clock_mono_us() - start;
    return rc;
}

/* It is full, and was of use or not. */
static int turn_over(struct tally *t)
{
    t->is_open = t->is_open && t->records - t->round_from >= 2 * t->count;
    return empty(t);
}

/* --- a record -------------------------------------------------------------------------------- */

/* One that has waited. */
static int settle(struct tally *t, struct tally_record *record)
{
    struct tally_slot *slot = NULL;
    int rc = 0;
    if (record->word == 0)
        return 0;
    if (t->is_open)
        slot = take_slot(t, record->hash, record->word);
    if (t->is_open && !slot) {
        rc = turn_over(t);
        slot = t->is_open ? take_slot(t, record->hash, record->word) : NULL;
    }
    if (rc != 0 || !slot)
        return rc != 0 ? rc : let_out(t, record->word, &record->both);
    slot->both += record->both;
    return (int64_t)slot->both < 0 ? let_out(t, slot->word, &slot->both) : 0;
}

int tally_flush(struct tally *tally)
{
    int rc = 0;
    for (uint64_t i = 0; rc == 0 && tally->records && i < TALLY_WAITING; i++) {
        struct tally_record *record = &tally->waiting[(tally->records + i) % TALLY_WAITING];
        rc = settle(tally, record);
        *record = (struct tally_record){0};
    }
    return rc == 0 ? empty(tally) : rc;
}

int tally_add_slowly(struct tally *tally, uint64_t hash, uint64_t word, uint64_t both)
{
    struct tally_record *turn = tally_turn(tally);
    struct tally_slot *slot = tally_near(tally, turn->hash, turn->word);
    bool was_added = slot->word == turn->word; /* and filled its slot */
    int rc = was_added ? let_out(tally, slot->word, &slot->both) : settle(tally, turn);
    tally_put(tally, hash, word, both);
    /* What comes behind it goes another way, and must not be there before. */
    return rc != 0 || tally->is_open ? rc : tally_flush(tally);
}
