/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/slab.h"

#include "libcommon/base/mem.h"

static uint32_t get_index(const void *at)
{
    uint32_t index;
    memcpy(&index, at, sizeof(index));
    return index;
}

void slab_init(struct slab *slab, uint32_t elem_bytes)
{
    BUG_ON(elem_bytes < 4 || elem_bytes % 4 != 0);
    *slab = (struct slab){.elem_bytes = elem_bytes, .fresh = 1};
}

static size_t chunk_bytes(const struct slab *slab)
{
    return (size_t)slab->elem_bytes * SLAB_CHUNK_COUNT;
}

void slab_release(struct slab *slab)
{
    for (size_t i = 0; i < slab->chunk_count; i++)
        mem_unmap(slab->chunks[i], chunk_bytes(slab));
    mem_free(slab->chunks);
    slab_init(slab, slab->elem_bytes);
}

static int add_chunk(struct slab *slab)
{
    int rc = mem_grow(&slab->chunks, &slab->chunk_cap, slab->chunk_count, sizeof(*slab->chunks));
    if (rc != 0)
        return rc;
    uint8_t *chunk = mem_map(chunk_bytes(slab), slab->chunk_count > 0);
    if (!chunk)
        return ERR_NOMEM;
    slab->chunks[slab->chunk_count++] = chunk;
    return 0;
}

int slab_add(struct slab *slab, uint32_t *ret_index)
{
    uint32_t index = slab->free_head;
    if (index) {
        slab->free_head = get_index(slab_at(slab, index));
    } else {
        if (slab->fresh == 0)
            return ERR_LIMIT;
        if (slab->fresh >> SLAB_CHUNK_SHIFT >= slab->chunk_count) {
            int rc = add_chunk(slab);
            if (rc != 0)
                return rc;
        }
        index = slab->fresh++;
    }
    memset(slab_at(slab, index), 0, slab->elem_bytes);
    slab->count++;
    *ret_index = index;
    return 0;
}

void slab_remove(struct slab *slab, uint32_t index)
{
    BUG_ON(index == 0 || slab->count == 0);
    memcpy(slab_at(slab, index), &slab->free_head, sizeof(uint32_t));
    slab->free_head = index;
    slab->count--;
}

size_t slab_bytes(const struct slab *slab)
{
    return (size_t)slab->fresh * slab->elem_bytes + slab->chunk_cap * sizeof(*slab->chunks);
}
