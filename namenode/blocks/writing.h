/* SPDX-License-Identifier: Apache-2.0
 * writing: what is known of blocks that are not settled yet: who should hold them (the pipeline),
 * and what each datanode said of its replica, whatever its stamp. When the block is committed, the
 * replicas here that agree with it move to the blockmap. One record per open block, none for
 * complete ones. Nothing here is journaled: after a restart reports fill it again. */
#ifndef QUERN_NN_BLOCKS_WRITING_H
#define QUERN_NN_BLOCKS_WRITING_H

#include "libcommon/base/hmap.h"
#include "namenode/blocks/blockmap.h"

enum nn_replica_state { NN_REPLICA_FINALIZED, NN_REPLICA_RBW, NN_REPLICA_RWR, NN_REPLICA_RUR };

struct nn_open_replica {
    uint32_t storage;
    enum nn_replica_state state;
    uint64_t gs, len;
};

struct nn_writing {
    struct hmap_node by_block;
    uint32_t block;
    uint32_t *pipeline; /* nodes, in order; may be empty after a restart */
    size_t pipeline_count;
    struct nn_open_replica *replicas;
    size_t replica_count, replica_cap;
};

struct nn_writings {
    struct hmap map;
};
#define NN_WRITINGS_INIT ((struct nn_writings){HMAP_INIT})

void nn_writings_release(struct nn_writings *w);
struct nn_writing *nn_writings_find(const struct nn_writings *w, uint32_t block); /* or NULL */
struct nn_writing *nn_writings_open(struct nn_writings *w,
                                    uint32_t block);           /* found or made; NULL = no memory */
void nn_writings_close(struct nn_writings *w, uint32_t block); /* harmless when there is none */

int nn_writing_set_pipeline(struct nn_writing *w, const uint32_t *nodes, size_t count);
/* Enter or overwrite what this storage says. A smaller stamp than it said before is ignored
 * (late news), and so is a replica that was finalized under the same stamp being written again. */
int nn_writing_put(struct nn_writing *w, const struct nn_open_replica *replica);
bool nn_writing_drop(struct nn_writing *w, uint32_t storage);

#endif
