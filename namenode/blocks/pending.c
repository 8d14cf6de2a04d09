/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/blocks/pending.h"

#include "libcommon/base/mem.h"
#include "libcommon/base/slice.h"

static void free_one(struct nn_pending *pending)
{
    mem_free(pending->targets);
    mem_free(pending);
}

void nn_pendings_release(struct nn_pendings *p)
{
    hmap_each (&p->by_block, it)
        free_one(CONTAINER_OF(it, struct nn_pending, by_block));
    hmap_release(&p->by_block);
    heap_release(&p->deadlines);
}

struct nn_pending *nn_pendings_find(const struct nn_pendings *p, uint32_t block)
{
    for (struct hmap_node *n = hmap_find(&p->by_block, hash_u64(block)); n; n = hmap_find_next(n)) {
        struct nn_pending *pending = CONTAINER_OF(n, struct nn_pending, by_block);
        if (pending->block == block)
            return pending;
    }
    return NULL;
}

static void release_target(struct nn_pendings *p, const struct nn_pending *pending, uint32_t node)
{
    if (pending->source)
        nn_nodes_get(p->nodes, node)->copies_in--;
}

void nn_pendings_end(struct nn_pendings *p, struct nn_pending *pending)
{
    for (size_t i = 0; i < pending->target_count; i++)
        release_target(p, pending, pending->targets[i]);
    if (pending->source)
        nn_nodes_get(p->nodes, pending->source)->copies_out--;
    hmap_remove(&p->by_block, &pending->by_block);
    heap_remove(&p->deadlines, &pending->by_deadline);
    free_one(pending);
}

static struct nn_pending *new_one(uint32_t block, uint32_t source, const uint32_t *targets,
                                  size_t count)
{
    struct nn_pending *pending = mem_calloc(1, sizeof(*pending));
    uint32_t *copy = mem_calloc(count, sizeof(*copy));
    if (!pending || !copy) {
        mem_free(pending);
        mem_free(copy);
        return NULL;
    }
    memcpy(copy, targets, count * sizeof(*copy));
    *pending = (struct nn_pending){.block = block,
                                   .source = source,
                                   .targets = copy,
                                   .target_count = count,
                                   .by_deadline = HEAP_NODE_INIT};
    return pending;
}

int nn_pendings_begin(struct nn_pendings *p, uint32_t block, uint32_t source,
                      const uint32_t *targets, size_t count, uint64_t until_ms)
{
    struct nn_pending *pending = new_one(block, source, targets, count);
    if (!pending)
        return ERR_NOMEM;
    if (heap_add(&p->deadlines, &pending->by_deadline, until_ms) < 0) {
        free_one(pending);
        return ERR_NOMEM;
    }
    if (hmap_add(&p->by_block, &pending->by_block, hash_u64(block)) < 0) {
        heap_remove(&p->deadlines, &pending->by_deadline);
        free_one(pending);
        return ERR_NOMEM;
    }
    for (size_t i = 0; source && i < count; i++)
        nn_nodes_get(p->nodes, targets[i])->copies_in++;
    if (source)
        nn_nodes_get(p->nodes, source)->copies_out++;
    return 0;
}

bool nn_pendings_settle(struct nn_pendings *p, uint32_t block, uint32_t node)
{
    struct nn_pending *pending = nn_pendings_find(p, block);
    for (size_t i = 0; pending && i < pending->target_count; i++) {
        if (pending->targets[i] != node)
            continue;
        release_target(p, pending, node);
        pending->targets[i] = pending->targets[--pending->target_count];
        if (pending->target_count == 0)
            nn_pendings_end(p, pending);
        return true;
    }
    return false;
}

void nn_pendings_expire(struct nn_pendings *p, uint32_t node)
{
    hmap_each (&p->by_block, it) {
        struct nn_pending *pending = CONTAINER_OF(it, struct nn_pending, by_block);
        bool is_part = pending->source == node;
        for (size_t i = 0; i < pending->target_count; i++)
            is_part = is_part || pending->targets[i] == node;
        if (!is_part)
            continue;
        heap_remove(&p->deadlines, &pending->by_deadline);
        (void)heap_add(&p->deadlines, &pending->by_deadline, 0); /* a place was given back */
    }
}

struct nn_pending *nn_pendings_late(const struct nn_pendings *p, uint64_t now_ms)
{
    struct heap_node *n = heap_min(&p->deadlines);
    return n && n->key <= now_ms ? CONTAINER_OF(n, struct nn_pending, by_deadline) : NULL;
}
