/* SPDX-License-Identifier: Apache-2.0
 * slab: many small things of one size, named by a u32 instead of a pointer.
 *
 * Things live in chunks of 16384 that never move, so an address stays good until the thing is
 * freed, and there is no allocator header per thing. Index 0 is never given out: it means "none". A
 * freed index is the next one given out. Chunks start on a cache line. Not thread-safe. */
#ifndef QUERN_BASE_SLAB_H
#define QUERN_BASE_SLAB_H

#include "libcommon/base/err.h"

#define SLAB_CHUNK_SHIFT 16
#define SLAB_CHUNK_COUNT (1U << SLAB_CHUNK_SHIFT)

struct slab {
    uint8_t **chunks;
    size_t chunk_count, chunk_cap;
    uint32_t elem_bytes; /* a multiple of 4, at least 4 */
    uint32_t fresh;      /* lowest index never given out */
    uint32_t free_head;  /* chained through the first 4 bytes of freed things */
    uint32_t count;      /* in use */
};

void slab_init(struct slab *slab, uint32_t elem_bytes);
void slab_release(struct slab *slab);
/* Zeroed. 0, ERR_NOMEM, or ERR_LIMIT when all 2^32 - 1 indexes are out. */
int slab_add(struct slab *slab, uint32_t *ret_index);
void slab_remove(struct slab *slab, uint32_t index); /* must be in use */
/* Taken so far; the last page, up to 2 MiB, is counted as far as it is used. */
size_t slab_bytes(const struct slab *slab);

/* `index` must be in use (not checked: this is on every hot path). */
static inline void *slab_at(const struct slab *slab, uint32_t index)
{
    return slab->chunks[index >> SLAB_CHUNK_SHIFT] +
           (size_t)(index & (SLAB_CHUNK_COUNT - 1)) * slab->elem_bytes;
}

#endif
