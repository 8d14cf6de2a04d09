/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/namespace/names.h"

#include "libcommon/base/mem.h"

#define CHUNK_WORDS (1U << NN_NAMES_WORDS_SHIFT)
#define CHUNK_BYTES (CHUNK_WORDS * sizeof(uint32_t))

void nn_names_init(struct nn_names *names)
{
    *names = (struct nn_names){.fresh = 1}; /* reference 0 is nobody's */
}

void nn_names_release(struct nn_names *names)
{
    for (size_t i = 0; i < names->chunk_count; i++)
        mem_unmap(names->chunks[i], CHUNK_BYTES);
    mem_free(names->chunks);
    nn_names_init(names);
}

static uint32_t *cell_at(const struct nn_names *names, uint32_t ref)
{
    return names->chunks[ref >> NN_NAMES_WORDS_SHIFT] + (ref & (CHUNK_WORDS - 1));
}

static uint32_t cell_words(size_t name_len)
{
    return (uint32_t)((1 + name_len + 3) / 4);
}

/* No cell crosses a chunk: what is left of one is given to the free cells. */
static int cut_fresh(struct nn_names *names, uint32_t words, uint32_t *ret_ref)
{
    uint32_t room = CHUNK_WORDS - (uint32_t)(names->fresh & (CHUNK_WORDS - 1));
    if (words > room) {
        *cell_at(names, (uint32_t)names->fresh) = names->free_head[room];
        names->free_head[room] = (uint32_t)names->fresh;
        names->fresh += room;
    }
    if (names->fresh + words > UINT32_MAX)
        return ERR_LIMIT;
    if (names->fresh >> NN_NAMES_WORDS_SHIFT >= names->chunk_count) {
        int rc =
            mem_grow(&names->chunks, &names->chunk_cap, names->chunk_count, sizeof(*names->chunks));
        if (rc != 0)
            return rc;
        uint32_t *chunk = mem_map(CHUNK_BYTES, names->chunk_count > 0);
        if (!chunk)
            return ERR_NOMEM;
        names->chunks[names->chunk_count++] = chunk;
    }
    *ret_ref = (uint32_t)names->fresh;
    names->fresh += words;
    return 0;
}

int nn_names_add(struct nn_names *names, struct slice name, uint32_t *ret_ref)
{
    BUG_ON(name.len > UINT8_MAX);
    uint32_t words = cell_words(name.len);
    uint32_t ref = names->free_head[words];
    if (ref) {
        names->free_head[words] = *cell_at(names, ref);
    } else {
        int rc = cut_fresh(names, words, &ref);
        if (rc != 0)
            return rc;
    }
    uint8_t *at = (uint8_t *)cell_at(names, ref);
    at[0] = (uint8_t)name.len;
    if (name.len)
        memcpy(at + 1, name.data, name.len);
    names->used_bytes += words * sizeof(uint32_t);
    *ret_ref = ref;
    return 0;
}

void nn_names_remove(struct nn_names *names, uint32_t ref)
{
    uint32_t words = cell_words(nn_names_get(names, ref).len);
    *cell_at(names, ref) = names->free_head[words];
    names->free_head[words] = ref;
    names->used_bytes -= words * sizeof(uint32_t);
}

size_t nn_names_bytes(const struct nn_names *names)
{
    return names->fresh * sizeof(uint32_t) + names->chunk_cap * sizeof(*names->chunks);
}
