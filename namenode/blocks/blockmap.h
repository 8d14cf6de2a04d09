/* SPDX-License-Identifier: Apache-2.0
 * blockmap: every block the namespace knows, and where its finalized replicas are.
 *
 * A block is an entry in a slab, known to everybody by its u32 index (0 = none), which stays valid
 * until nn_blockmap_remove. An index is used again afterwards; an id never is.
 *
 *   entry  32 B  id (48 bits), stamp (48), length (38: at most 256 GiB), file, next block of the
 *                file, wanted replicas, state, queue level, hash chain
 *   hash    2 B  one u32 slot for each two blocks; grows by splitting one chain per two additions
 *                (linear hashing), so no addition ever stops the world
 *   replica 4 B  storage index and flags, in a matrix per chunk of 128 entries that is as wide as
 *                its most replicated block
 *
 * Blocks of a storage are found through one bit per storage and group of 16 neighbouring entries.
 * Exact lists would cost 4 to 16 bytes a replica; these bits cost about one bit to one byte, and
 * looking through a group reads the 8 cache lines that the walk needs next anyway.
 *
 * In here: finalized replicas only, good or bad, of any block. Replicas being written are in
 * writing.h. id, stamp, length, file, next, wanted and state are what the journal says; replicas
 * and level are what datanodes say, and are empty after a restart. */
#ifndef QUERN_NN_BLOCKS_BLOCKMAP_H
#define QUERN_NN_BLOCKS_BLOCKMAP_H

#include "namenode/blocks/bitset.h"

#define NN_BLOCK_NONE     0u
#define NN_BLOCK_LEN_MAX  ((1ULL << 38) - 1)
#define NN_BLOCK_ID_MAX   ((1ULL << 48) - 1)
#define NN_BLOCK_WANT_MAX 512

enum nn_block_state {
    NN_BLOCK_UNDER_CONSTRUCTION, /* its writer has it */
    NN_BLOCK_COMMITTED,          /* the writer said length and stamp; too few replicas yet */
    NN_BLOCK_COMPLETE, /* min(2, wanted) replicas were finalized once, or its file is closed */
    NN_BLOCK_UNDER_RECOVERY, /* its writer is gone: datanodes are settling its length */
};
const char *nn_block_state_name(enum nn_block_state state);

/* A copy of what an entry says. */
struct nn_block {
    uint64_t id, gs, len;
    uint32_t file;     /* what the namespace gave: its inode */
    uint32_t next;     /* next block of the file, or NN_BLOCK_NONE */
    uint16_t want;     /* replicas wanted, 1..NN_BLOCK_WANT_MAX */
    uint16_t replicas; /* recorded, good and bad */
    uint8_t state;     /* enum nn_block_state */
    uint8_t level;     /* queue it waits in for more replicas: 0 = none, 1..5 (replicate.h) */
};

/* A replica: its storage (nodes.h), and whether it is known to be bad (bad.h says why). */
struct nn_replica {
    uint32_t word;
};
#define NN_REPLICA_BAD (1u << 31)
static inline uint32_t nn_replica_storage(struct nn_replica r)
{
    return r.word & 0xffffffu;
}
static inline bool nn_replica_is_bad(struct nn_replica r)
{
    return (r.word & NN_REPLICA_BAD) != 0;
}

struct nn_blockmap;
struct nn_blockmap *nn_blockmap_new(void); /* NULL when memory is out */
void nn_blockmap_free(struct nn_blockmap *map);

/* Enter a block (id not in the map yet; next is NONE). 0, ERR_NOMEM, ERR_EXIST, or ERR_INVAL for
 * numbers that do not fit. */
int nn_blockmap_add(struct nn_blockmap *map, const struct nn_block *block, uint32_t *ret_index);
/* As nn_inodes_defer and nn_inodes_build: ids are entered all at once. */
void nn_blockmap_defer(struct nn_blockmap *map);
int nn_blockmap_build(struct nn_blockmap *map);
/* Forget a block and its replicas. Unlinking it from its file's chain is the caller's affair. */
void nn_blockmap_remove(struct nn_blockmap *map, uint32_t index);
uint32_t nn_blockmap_find(const struct nn_blockmap *map, uint64_t id); /* or NN_BLOCK_NONE */
bool nn_blockmap_is_used(const struct nn_blockmap *map, uint32_t index);
/* index must be in use. */
struct nn_block nn_blockmap_get(const struct nn_blockmap *map, uint32_t index);
/* Overwrite stamp, length, file, next, want, state and level (id and replicas stay). */
void nn_blockmap_set(struct nn_blockmap *map, uint32_t index, const struct nn_block *block);

/* The replicas of a block, block.replicas of them: borrowed until the map changes. */
const struct nn_replica *nn_blockmap_replicas(const struct nn_blockmap *map, uint32_t index);
/* Add, or replace the flags of, the replica on this storage. 0 or ERR_NOMEM. */
int nn_blockmap_put_replica(struct nn_blockmap *map, uint32_t index, struct nn_replica replica);
bool nn_blockmap_drop_replica(struct nn_blockmap *map, uint32_t index, uint32_t storage);

/* The first block with index >= from that has a replica on this storage; NONE at the end. */
uint32_t nn_blockmap_on_storage(const struct nn_blockmap *map, uint32_t storage, uint32_t from);
uint64_t nn_blockmap_storage_count(const struct nn_blockmap *map, uint32_t storage);

/* The first block in use with index >= from; NONE at the end. */
uint32_t nn_blockmap_next(const struct nn_blockmap *map, uint32_t from);
uint64_t nn_blockmap_count(const struct nn_blockmap *map);
uint64_t nn_blockmap_bytes(const struct nn_blockmap *map); /* memory it holds, all told */

#endif
