/* SPDX-License-Identifier: Apache-2.0
 * locate: the questions of blocks.h: where to put a block, where one is, how things stand. */
#include "namenode/blocks/blocks.h"
#include "namenode/blocks/settle.h"

#define LOCATE_MAX 1024 /* nodes looked at for one block */

int nn_blocks_place(struct nn_blocks *b, const struct nn_place_ask *ask, struct slice path,
                    struct nn_placed *ret, struct err *err)
{
    nn_place(&b->nodes, ask, &b->rand, ret);
    if (ret->count == 0)
        return nn_place_error(&b->nodes, ask, path, ret, err);
    for (size_t i = 0; i < ret->count; i++)
        nn_nodes_scheduled(&b->nodes, ret->nodes[i]);
    return 0;
}

/* Room was promised to those that are dropped from a pipeline; they need it no more. */
static void take_promises_back(struct nn_blocks *b, const struct nn_writing *w,
                               const uint32_t *nodes, size_t count)
{
    for (size_t i = 0; i < w->pipeline_count; i++) {
        bool stays = false;
        for (size_t k = 0; k < count && !stays; k++)
            stays = nodes[k] == w->pipeline[i];
        if (!stays)
            nn_nodes_arrived(&b->nodes, w->pipeline[i]);
    }
}

int nn_blocks_set_pipeline(struct nn_blocks *b, uint32_t block, const uint32_t *nodes, size_t count)
{
    struct nn_writing *w = NULL;
    if (nn_blockmap_get(b->map, block).state == NN_BLOCK_COMPLETE)
        return 0;
    w = nn_writings_open(&b->writings, block);
    if (!w)
        return ERR_NOMEM;
    take_promises_back(b, w, nodes, count);
    return nn_writing_set_pipeline(w, nodes, count);
}

struct places {
    uint32_t nodes[LOCATE_MAX];
    size_t count;
};

static void add_place(const struct nn_blocks *b, struct places *p, uint32_t node)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->nodes[i] == node)
            return;
    if (p->count < LOCATE_MAX && nn_nodes_get(&b->nodes, node)->state != NN_NODE_DEAD)
        p->nodes[p->count++] = node;
}

static void add_replicas(const struct nn_blocks *b, uint32_t block, bool want_bad, struct places *p)
{
    const struct nn_replica *r = nn_blockmap_replicas(b->map, block);
    for (size_t i = 0; i < nn_blockmap_get(b->map, block).replicas; i++)
        if (nn_replica_is_bad(r[i]) == want_bad &&
            nn_nodes_is_serving(&b->nodes, nn_replica_storage(r[i])))
            add_place(b, p, nn_nodes_storage(&b->nodes, nn_replica_storage(r[i]))->node);
}

/* Where a block that is being written may be read: who said that he has it, and who should. */
static void add_writers(const struct nn_blocks *b, uint32_t block, struct places *p)
{
    const struct nn_writing *w = nn_writings_find(&b->writings, block);
    uint64_t gs = nn_blockmap_get(b->map, block).gs;
    for (size_t i = 0; w && i < w->pipeline_count; i++)
        add_place(b, p, w->pipeline[i]);
    for (size_t i = 0; w && i < w->replica_count; i++)
        if (w->replicas[i].gs >= gs && nn_nodes_is_serving(&b->nodes, w->replicas[i].storage))
            add_place(b, p, nn_nodes_storage(&b->nodes, w->replicas[i].storage)->node);
}

/* Smaller is nearer; nodes that look ill come last. */
static unsigned reading_cost(const struct nn_blocks *b, struct slice reader, uint32_t node)
{
    const struct nn_node *n = nn_nodes_get(&b->nodes, node);
    bool is_ill = !n->is_connected || (n->state == NN_NODE_STALE && b->conf.avoid_stale_read);
    bool may_go = n->admin == NN_NODE_DECOMMISSIONED || n->admin == NN_NODE_IN_MAINTENANCE;
    return nn_nodes_distance(&b->nodes, reader, node) + (is_ill ? 100 : 0) + (may_go ? 50 : 0);
}

/* Shuffle, then insertion sort by cost: equals stay in random order, so readers spread. */
static void order_places(struct nn_blocks *b, struct slice reader, struct places *p)
{
    for (size_t i = p->count; i > 1; i--) {
        size_t k = (size_t)rand_below(&b->rand, i);
        uint32_t t = p->nodes[i - 1];
        p->nodes[i - 1] = p->nodes[k];
        p->nodes[k] = t;
    }
    for (size_t i = 1; i < p->count; i++) {
        uint32_t node = p->nodes[i];
        unsigned cost = reading_cost(b, reader, node);
        size_t k = i;
        for (; k > 0 && reading_cost(b, reader, p->nodes[k - 1]) > cost; k--)
            p->nodes[k] = p->nodes[k - 1];
        p->nodes[k] = node;
    }
}

size_t nn_blocks_locate(struct nn_blocks *b, uint32_t block, struct slice reader,
                        uint32_t *ret_nodes, size_t cap, bool *ret_is_corrupt)
{
    struct places p = {.count = 0};
    add_replicas(b, block, false, &p);
    if (nn_blockmap_get(b->map, block).state != NN_BLOCK_COMPLETE)
        add_writers(b, block, &p);
    *ret_is_corrupt = false;
    if (p.count == 0) {
        add_replicas(b, block, true, &p);
        *ret_is_corrupt = p.count > 0;
    }
    order_places(b, reader, &p);
    size_t n = p.count < cap ? p.count : cap;
    memcpy(ret_nodes, p.nodes, n * sizeof(*ret_nodes));
    return n;
}

int nn_blocks_mark_bad(struct nn_blocks *b, struct block_id id, uint32_t node)
{
    uint32_t block = nn_blockmap_find(b->map, id.id);
    struct nn_block blk = {0};
    if (block != NN_BLOCK_NONE)
        blk = nn_blockmap_get(b->map, block);
    for (size_t i = 0; i < blk.replicas; i++) {
        struct nn_replica r = nn_blockmap_replicas(b->map, block)[i];
        uint32_t storage = nn_replica_storage(r);
        if (nn_nodes_storage(&b->nodes, storage)->node != node || id.gs != blk.gs)
            continue;
        if (nn_replica_is_bad(r))
            return 0;
        struct nn_bad bad = {.block = block,
                             .storage = storage,
                             .gs = blk.gs,
                             .reason = NN_BAD_CHECKSUM,
                             .since_ms = b->now_ms};
        int rc = nn_settle_bad(b, &bad);
        return rc == 0 ? nn_settle_check(b, block) : rc;
    }
    return ERR_NOENT;
}

struct nn_safemode_figures nn_blocks_figures(const struct nn_blocks *b)
{
    return (struct nn_safemode_figures){b->complete, b->safe, b->nodes.living};
}

struct nn_blocks_stats nn_blocks_stats(const struct nn_blocks *b)
{
    struct nn_blocks_stats s = {
        .blocks = nn_blockmap_count(b->map),
        .corrupt = b->bads.map.count,
        .missing = b->complete - b->safe,
        .missing_single = b->replicate.missing_single,
        .highest_priority = nn_replicate_queued(&b->replicate, 1),
        .pending_copies = b->replicate.pendings.by_block.count,
        .pending_deletion = b->doomed.waiting + b->doomed.ordered,
        .postponed = b->replicate.postponed.count,
    };
    for (unsigned level = 1; level <= 3; level++)
        s.under_replicated += nn_replicate_queued(&b->replicate, level);
    s.under_replicated += b->replicate.pendings.by_block.count;
    for (size_t i = 0; i < b->nodes.node_count; i++) {
        struct nn_space space = nn_nodes_space(&b->nodes, b->nodes.node[i]);
        if (b->nodes.node[i]->state == NN_NODE_DEAD)
            continue;
        s.capacity += space.capacity;
        s.used += space.used;
        s.remaining += space.remaining;
    }
    return s;
}
