/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/namespace/intern.h"

#include "libcommon/base/mem.h"

void nn_intern_init(struct nn_intern *intern)
{
    *intern = (struct nn_intern){.count = 1}; /* number 0: the empty word */
}

void nn_intern_release(struct nn_intern *intern)
{
    for (size_t i = 1; i < intern->count; i++)
        mem_free((void *)(uintptr_t)intern->words[i].data);
    mem_free(intern->words);
    mem_free(intern->slots);
    nn_intern_init(intern);
}

/* Where the word is, or the free place where it would be. */
static uint16_t *slot_of(const struct nn_intern *intern, struct slice word)
{
    size_t at = slice_hash(word, 0) & intern->mask;
    while (intern->slots[at] && !slice_eq(intern->words[intern->slots[at]], word))
        at = (at + 1) & intern->mask;
    return &intern->slots[at];
}

static int grow_slots(struct nn_intern *intern)
{
    size_t cap = intern->slots ? (intern->mask + 1) * 2 : 64;
    uint16_t *slots = mem_calloc(cap, sizeof(uint16_t));
    if (!slots)
        return ERR_NOMEM;
    mem_free(intern->slots);
    intern->slots = slots;
    intern->mask = cap - 1;
    for (size_t i = 1; i < intern->count; i++)
        *slot_of(intern, intern->words[i]) = (uint16_t)i;
    return 0;
}

int nn_intern_add(struct nn_intern *intern, struct slice word, uint16_t *ret_number)
{
    if (word.len == 0) {
        *ret_number = 0;
        return 0;
    }
    if ((!intern->slots || intern->count * 2 > intern->mask) && grow_slots(intern) != 0)
        return ERR_NOMEM;
    uint16_t *slot = slot_of(intern, word);
    if (*slot) {
        *ret_number = *slot;
        return 0;
    }
    if (intern->count > UINT16_MAX)
        return ERR_LIMIT;
    int rc = mem_grow(&intern->words, &intern->cap, intern->count, sizeof(*intern->words));
    uint8_t *copy = rc == 0 ? mem_alloc(word.len) : NULL;
    if (!copy)
        return ERR_NOMEM;
    memcpy(copy, word.data, word.len);
    intern->words[intern->count] = slice_of(copy, word.len);
    *slot = *ret_number = (uint16_t)intern->count++;
    return 0;
}
