/* SPDX-License-Identifier: Apache-2.0
 * names: the bytes of file names, by u32.
 *
 * A name lives in a cell of whole words (4 bytes), the first byte being its length, in chunks of
 * 4 MiB that never move. Freed cells are kept per size and used again. Up to 16 GiB of names. */
#ifndef QUERN_NAMENODE_NAMESPACE_NAMES_H
#define QUERN_NAMENODE_NAMESPACE_NAMES_H

#include "libcommon/base/slice.h"

#define NN_NAMES_WORDS_SHIFT 20 /* words in a chunk */
#define NN_NAMES_CELLS       65 /* cell sizes: 1..64 words */

struct nn_names {
    uint32_t **chunks;
    size_t chunk_count, chunk_cap;
    uint64_t fresh;                     /* next word never used */
    uint32_t free_head[NN_NAMES_CELLS]; /* by words in the cell */
    uint64_t used_bytes;                /* in cells given out */
};

void nn_names_init(struct nn_names *names);
void nn_names_release(struct nn_names *names);
/* `name` has 0 to 255 bytes. ERR_NOMEM, ERR_LIMIT. */
int nn_names_add(struct nn_names *names, struct slice name, uint32_t *ret_ref);
void nn_names_remove(struct nn_names *names, uint32_t ref);
size_t nn_names_bytes(const struct nn_names *names);

static inline struct slice nn_names_get(const struct nn_names *names, uint32_t ref)
{
    const uint8_t *at = (const uint8_t *)(names->chunks[ref >> NN_NAMES_WORDS_SHIFT] +
                                          (ref & ((1U << NN_NAMES_WORDS_SHIFT) - 1)));
    return slice_of(at + 1, at[0]);
}

#endif
