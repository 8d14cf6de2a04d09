/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/blocks/writing.h"

#include "libcommon/base/mem.h"
#include "libcommon/base/slice.h"

static void writing_free(struct nn_writing *w)
{
    mem_free(w->pipeline);
    mem_free(w->replicas);
    mem_free(w);
}

void nn_writings_release(struct nn_writings *w)
{
    hmap_each (&w->map, it)
        writing_free(CONTAINER_OF(it, struct nn_writing, by_block));
    hmap_release(&w->map);
    *w = NN_WRITINGS_INIT;
}

struct nn_writing *nn_writings_find(const struct nn_writings *w, uint32_t block)
{
    for (struct hmap_node *n = hmap_find(&w->map, hash_u64(block)); n; n = hmap_find_next(n)) {
        struct nn_writing *writing = CONTAINER_OF(n, struct nn_writing, by_block);
        if (writing->block == block)
            return writing;
    }
    return NULL;
}

struct nn_writing *nn_writings_open(struct nn_writings *w, uint32_t block)
{
    struct nn_writing *writing = nn_writings_find(w, block);
    if (writing)
        return writing;
    writing = mem_calloc(1, sizeof(*writing));
    if (!writing)
        return NULL;
    writing->block = block;
    if (hmap_add(&w->map, &writing->by_block, hash_u64(block)) < 0) {
        mem_free(writing);
        return NULL;
    }
    return writing;
}

void nn_writings_close(struct nn_writings *w, uint32_t block)
{
    struct nn_writing *writing = nn_writings_find(w, block);
    if (!writing)
        return;
    hmap_remove(&w->map, &writing->by_block);
    writing_free(writing);
}

int nn_writing_set_pipeline(struct nn_writing *w, const uint32_t *nodes, size_t count)
{
    uint32_t *copy = NULL;
    if (count) {
        copy = mem_calloc(count, sizeof(*copy));
        if (!copy)
            return ERR_NOMEM;
        memcpy(copy, nodes, count * sizeof(*copy));
    }
    mem_free(w->pipeline);
    w->pipeline = copy;
    w->pipeline_count = count;
    return 0;
}

int nn_writing_put(struct nn_writing *w, const struct nn_open_replica *replica)
{
    for (size_t i = 0; i < w->replica_count; i++) {
        struct nn_open_replica *old = &w->replicas[i];
        if (old->storage != replica->storage)
            continue;
        bool is_late = replica->gs < old->gs ||
                       (replica->gs == old->gs && old->state == NN_REPLICA_FINALIZED &&
                        replica->state == NN_REPLICA_RBW);
        if (!is_late)
            *old = *replica;
        return 0;
    }
    if (mem_grow(&w->replicas, &w->replica_cap, w->replica_count, sizeof(*w->replicas)) < 0)
        return ERR_NOMEM;
    w->replicas[w->replica_count++] = *replica;
    return 0;
}

bool nn_writing_drop(struct nn_writing *w, uint32_t storage)
{
    for (size_t i = 0; i < w->replica_count; i++)
        if (w->replicas[i].storage == storage) {
            w->replicas[i] = w->replicas[--w->replica_count];
            return true;
        }
    return false;
}
