/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/namespace/answers.h"

#include "libcommon/base/mem.h"
#include "libcommon/base/slice.h"

#define RING_FIRST 64

void nn_answers_init(struct nn_answers *answers)
{
    *answers = (struct nn_answers){0};
}

void nn_answers_release(struct nn_answers *answers)
{
    mem_free(answers->ring);
    mem_free(answers->slots);
    nn_answers_init(answers);
}

static size_t hash_of(uint64_t client, uint64_t seq)
{
    return (size_t)hash_u64(client ^ hash_u64(seq));
}

static size_t slot_mask(const struct nn_answers *answers)
{
    return answers->cap * 2 - 1;
}

/* Where the answer's number is, or the free place where it would be. */
static size_t slot_of(const struct nn_answers *answers, uint64_t client, uint64_t seq)
{
    size_t at = hash_of(client, seq) & slot_mask(answers);
    while (answers->slots[at]) {
        const struct nn_answer *a = &answers->ring[answers->slots[at] - 1];
        if (a->client == client && a->seq == seq)
            break;
        at = (at + 1) & slot_mask(answers);
    }
    return at;
}

/* Linear probing without tombstones: what follows the hole and hashed before it moves into it. */
static void free_slot(struct nn_answers *answers, size_t hole)
{
    size_t mask = slot_mask(answers);
    answers->slots[hole] = 0;
    for (size_t at = (hole + 1) & mask; answers->slots[at]; at = (at + 1) & mask) {
        const struct nn_answer *a = &answers->ring[answers->slots[at] - 1];
        size_t home = hash_of(a->client, a->seq) & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            answers->slots[hole] = answers->slots[at];
            answers->slots[at] = 0;
            hole = at;
        }
    }
}

static int grow(struct nn_answers *answers)
{
    size_t cap = answers->cap ? answers->cap * 2 : RING_FIRST;
    struct nn_answer *ring = mem_alloc(cap * sizeof(*ring));
    uint32_t *slots = mem_calloc(cap * 2, sizeof(*slots));
    if (!ring || !slots) {
        mem_free(ring);
        mem_free(slots);
        return ERR_NOMEM;
    }
    for (uint64_t i = 0; i < answers->count; i++)
        ring[i] = *nn_answers_at(answers, i);
    mem_free(answers->ring);
    mem_free(answers->slots);
    *answers =
        (struct nn_answers){.ring = ring, .slots = slots, .count = answers->count, .cap = cap};
    for (uint32_t i = 0; i < answers->count; i++)
        answers->slots[slot_of(answers, ring[i].client, ring[i].seq)] = i + 1;
    return 0;
}

static void forget_oldest(struct nn_answers *answers)
{
    const struct nn_answer *oldest = nn_answers_at(answers, 0);
    free_slot(answers, slot_of(answers, oldest->client, oldest->seq));
    answers->head++;
    answers->count--;
}

static bool is_too_old(const struct nn_answers *answers, uint64_t now_ms)
{
    return answers->count >= NN_ANSWERS_KEPT &&
           nn_answers_at(answers, 0)->at_ms + NN_ANSWERS_AGE_MS < now_ms;
}

int nn_answers_add(struct nn_answers *answers, const struct nn_answer *answer)
{
    while (answers->count == NN_ANSWERS_MAX || is_too_old(answers, answer->at_ms))
        forget_oldest(answers);
    if (answers->count == answers->cap && grow(answers) != 0)
        return ERR_NOMEM;
    size_t slot = slot_of(answers, answer->client, answer->seq);
    if (answers->slots[slot]) {
        answers->ring[answers->slots[slot] - 1] = *answer;
        return 0;
    }
    size_t at = (answers->head + answers->count) & (answers->cap - 1);
    answers->ring[at] = *answer;
    answers->slots[slot] = (uint32_t)at + 1;
    answers->count++;
    return 0;
}

const struct nn_answer *nn_answers_find(const struct nn_answers *answers, uint64_t client,
                                        uint64_t seq)
{
    if (answers->count == 0 || seq == 0)
        return NULL;
    uint32_t number = answers->slots[slot_of(answers, client, seq)];
    return number ? &answers->ring[number - 1] : NULL;
}

const struct nn_answer *nn_answers_at(const struct nn_answers *answers, uint64_t i)
{
    return &answers->ring[(answers->head + i) & (answers->cap - 1)];
}
