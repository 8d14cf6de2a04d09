/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/blocks/leaving.h"

#include "libcommon/base/mem.h"

#define SLICE 4000

void nn_leaving_release(struct nn_leaving *l)
{
    for (size_t i = 0; i < l->count; i++)
        bitset_release(&l->leaves[i].waiting);
    mem_free(l->leaves);
    l->leaves = NULL;
    l->count = l->cap = l->walking = 0;
}

static struct nn_leave *find(const struct nn_leaving *l, uint32_t node)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->leaves[i].node == node)
            return &l->leaves[i];
    return NULL;
}

const struct nn_leave *nn_leaving_find(const struct nn_leaving *l, uint32_t node)
{
    return find(l, node);
}

static bool is_leaving(enum nn_node_admin admin)
{
    return admin == NN_NODE_DECOMMISSIONING || admin == NN_NODE_ENTERING_MAINTENANCE;
}

/* ---- walks ---- */

static void walk(struct nn_leaving *l, struct nn_leave *leave, bool is_whole)
{
    l->walking += leave->due_ms != 0;
    leave->due_ms = 0;
    leave->is_whole = is_whole;
    leave->storage = 0;
    leave->next = 0;
}

static void rest(struct nn_leaving *l, struct nn_leave *leave, uint64_t due_ms)
{
    l->walking -= leave->due_ms == 0;
    leave->due_ms = due_ms ? due_ms : 1;
}

/* A walk of all that the node holds, from the start. */
static int begin(struct nn_leaving *l, uint32_t node)
{
    struct nn_leave *leave = find(l, node);
    if (!leave) {
        if (mem_grow(&l->leaves, &l->cap, l->count, sizeof(*l->leaves)) < 0)
            return ERR_NOMEM;
        leave = &l->leaves[l->count++];
        *leave = (struct nn_leave){.node = node, .due_ms = 1};
    }
    walk(l, leave, true);
    return 0;
}

static void end(struct nn_leaving *l, struct nn_leave *leave)
{
    rest(l, leave, 1);
    bitset_release(&leave->waiting);
    *leave = l->leaves[--l->count];
}

/* ---- what the operator wants ---- */

static enum nn_node_admin admin_for(const struct nn_node *node, enum nn_wanted wanted)
{
    switch (wanted) {
    case NN_WANTED_GONE:
        return node->admin == NN_NODE_DECOMMISSIONED ? node->admin : NN_NODE_DECOMMISSIONING;
    case NN_WANTED_RESTING:
        return node->admin == NN_NODE_IN_MAINTENANCE ? node->admin : NN_NODE_ENTERING_MAINTENANCE;
    case NN_WANTED_IN_SERVICE:
    case NN_WANTED_REFUSED:
        break;
    }
    return NN_NODE_NORMAL;
}

int nn_leaving_want(struct nn_leaving *l, uint32_t node, enum nn_wanted wanted, uint64_t until_ms)
{
    struct nn_node *n = nn_nodes_get(l->nodes, node);
    enum nn_node_admin admin = admin_for(n, wanted);
    if (wanted == NN_WANTED_REFUSED)
        return 0;
    n->is_refused = false;
    n->rests_until_ms = wanted == NN_WANTED_RESTING ? until_ms : 0;
    if (admin == n->admin)
        return 0;
    int rc = begin(l, node);
    if (rc == 0)
        nn_nodes_set_admin(l->nodes, node, admin);
    return rc;
}

void nn_leaving_returned(struct nn_leaving *l, uint32_t node)
{
    if (nn_nodes_get(l->nodes, node)->admin != NN_NODE_DECOMMISSIONED)
        return;
    /* Short of memory, it stays what it was: all it holds is elsewhere. */
    if (begin(l, node) == 0)
        nn_nodes_set_admin(l->nodes, node, NN_NODE_DECOMMISSIONING);
}

void nn_leaving_died(struct nn_leaving *l, uint32_t node)
{
    if (nn_nodes_get(l->nodes, node)->admin == NN_NODE_IN_MAINTENANCE)
        (void)begin(l, node); /* short of memory, blocks are only shown as whole for longer */
}

void nn_leaving_forget(struct nn_leaving *l, uint32_t block)
{
    for (size_t i = 0; i < l->count; i++)
        bitset_remove(&l->leaves[i].waiting, block);
}

/* ---- is it elsewhere? ---- */

/* Nodes in service, dead ones counted, as they may come back. */
static uint32_t count_normal(const struct nn_nodes *nodes)
{
    uint32_t n = 0;
    for (size_t i = 0; i < nodes->node_count; i++)
        n += nodes->node[i]->admin == NN_NODE_NORMAL && !nodes->node[i]->is_refused;
    return n;
}

static uint16_t least(const struct nn_leaving *l, uint16_t want)
{
    return want < l->conf->maintenance_min ? want : (uint16_t)l->conf->maintenance_min;
}

static bool is_elsewhere(const struct nn_leaving *l, enum nn_node_admin admin, uint32_t block)
{
    struct nn_health h = nn_replicate_health(l->replicate, block);
    if (admin == NN_NODE_ENTERING_MAINTENANCE)
        return h.sure >= least(l, h.want);
    return h.sure >= h.want || (h.sure > 0 && h.sure == count_normal(l->nodes));
}

/* Others of the pipeline of a block being written that stay. */
static uint16_t others(const struct nn_leaving *l, const struct nn_writing *w, uint32_t node)
{
    uint16_t n = 0;
    for (size_t i = 0; i < w->pipeline_count; i++) {
        const struct nn_node *other = nn_nodes_get(l->nodes, w->pipeline[i]);
        n = (uint16_t)(n + (other->index != node && other->state == NN_NODE_LIVE &&
                            other->admin == NN_NODE_NORMAL));
    }
    return n;
}

static bool has_part(const struct nn_leaving *l, const struct nn_writing *w, uint32_t node)
{
    uint64_t gs = nn_blockmap_get(l->map, w->block).gs;
    for (size_t i = 0; i < w->pipeline_count; i++)
        if (w->pipeline[i] == node)
            return true;
    for (size_t i = 0; i < w->replica_count; i++)
        if (w->replicas[i].gs >= gs &&
            nn_nodes_storage(l->nodes, w->replicas[i].storage)->node == node)
            return true;
    return false;
}

static uint32_t count_open(const struct nn_leaving *l, const struct nn_node *node)
{
    uint32_t n = 0;
    hmap_each (&l->writings->map, it) {
        const struct nn_writing *w = CONTAINER_OF(it, struct nn_writing, by_block);
        struct nn_block block = nn_blockmap_get(l->map, w->block);
        bool may_rest = node->admin == NN_NODE_ENTERING_MAINTENANCE &&
                        others(l, w, node->index) >= least(l, block.want);
        n += block.state != NN_BLOCK_COMPLETE && has_part(l, w, node->index) && !may_rest;
    }
    return n;
}

static bool has_reported(const struct nn_leaving *l, const struct nn_node *node)
{
    for (size_t i = 0; i < node->storage_count; i++) {
        const struct nn_storage *s = nn_nodes_storage(l->nodes, node->storages[i]);
        if (s->owes_removal || (!s->is_gone && !s->has_failed && !s->is_reported))
            return false;
    }
    return true;
}

/* What a dead node held is known from nothing but what is short of replicas now. */
static bool is_nothing_short(const struct nn_leaving *l)
{
    const struct nn_replicate *rep = l->replicate;
    return l->nodes->owing == 0 && rep->scan == BITSET_END && rep->pendings.by_block.count == 0 &&
           nn_replicate_queued(rep, 1) + nn_replicate_queued(rep, 2) + nn_replicate_queued(rep, 3) +
                   nn_replicate_queued(rep, 5) ==
               0;
}

static bool may_leave(const struct nn_leaving *l, const struct nn_node *node)
{
    return node->state == NN_NODE_DEAD ? is_nothing_short(l) : has_reported(l, node);
}

/* ---- time ---- */

/* The walk came to its end: done, or what next. */
static void conclude(struct nn_leaving *l, struct nn_leave *leave, uint64_t now_ms)
{
    struct nn_node *node = nn_nodes_get(l->nodes, leave->node);
    if (!is_leaving(node->admin)) {
        end(l, leave);
        return;
    }
    leave->open = count_open(l, node);
    if (leave->waiting.count > 0 || leave->open > 0 || !may_leave(l, node)) {
        rest(l, leave, now_ms + l->conf->leaving_ms);
        leave->is_whole = false;
    } else if (!leave->is_whole) {
        walk(l, leave, true);
    } else {
        nn_nodes_set_admin(l->nodes, node->index,
                           node->admin == NN_NODE_DECOMMISSIONING ? NN_NODE_DECOMMISSIONED
                                                                  : NN_NODE_IN_MAINTENANCE);
        end(l, leave);
    }
}

static bool holds(const struct nn_leaving *l, const struct nn_node *node, uint32_t block)
{
    const struct nn_replica *r = nn_blockmap_replicas(l->map, block);
    for (size_t i = 0; i < nn_blockmap_get(l->map, block).replicas; i++)
        if (nn_nodes_storage(l->nodes, nn_replica_storage(r[i]))->node == node->index)
            return true;
    return false;
}

/* The next block of the walk, or NN_BLOCK_NONE at its end. */
static uint32_t next_block(struct nn_leaving *l, struct nn_leave *leave, const struct nn_node *node)
{
    uint32_t block = NN_BLOCK_NONE;
    if (!leave->is_whole) {
        block = bitset_next(&leave->waiting, leave->next);
        block = block == BITSET_END ? NN_BLOCK_NONE : block;
    }
    while (leave->is_whole && block == NN_BLOCK_NONE && leave->storage < node->storage_count) {
        block = nn_blockmap_on_storage(l->map, node->storages[leave->storage], leave->next);
        if (block == NN_BLOCK_NONE) {
            leave->storage++;
            leave->next = 0;
        }
    }
    leave->next = block + 1;
    return block;
}

static int look(struct nn_leaving *l, struct nn_leave *leave, const struct nn_node *node,
                uint32_t block, uint64_t after)
{
    int rc = nn_replicate_check(l->replicate, block, after);
    if (rc < 0 || !is_leaving(node->admin))
        return rc;
    if (holds(l, node, block) && !is_elsewhere(l, node->admin, block))
        return bitset_add(&leave->waiting, block);
    bitset_remove(&leave->waiting, block);
    return 0;
}

static int step_one(struct nn_leaving *l, struct nn_leave *leave, uint64_t after, uint64_t now_ms)
{
    const struct nn_node *node = nn_nodes_get(l->nodes, leave->node);
    for (int i = 0; i < SLICE; i++) {
        uint32_t block = next_block(l, leave, node);
        if (block == NN_BLOCK_NONE) {
            conclude(l, leave, now_ms);
            return 0;
        }
        int rc = look(l, leave, node, block, after);
        if (rc < 0) {
            leave->next = block; /* once more when there is memory */
            return rc;
        }
    }
    return 0;
}

static void end_rests(struct nn_leaving *l, uint64_t now_ms)
{
    for (size_t i = 0; i < l->nodes->node_count; i++) {
        const struct nn_node *node = l->nodes->node[i];
        if (node->rests_until_ms && now_ms >= node->rests_until_ms)
            (void)nn_leaving_want(l, node->index, NN_WANTED_IN_SERVICE, 0); /* else next time */
    }
}

int nn_leaving_step(struct nn_leaving *l, uint64_t after, uint64_t now_ms)
{
    end_rests(l, now_ms);
    for (size_t i = 0; i < l->count; i++) {
        struct nn_leave *leave = &l->leaves[i];
        if (leave->due_ms && now_ms < leave->due_ms)
            continue;
        if (leave->due_ms)
            walk(l, leave, leave->is_whole);
        /* One slice a step: others get their turn. */
        return step_one(l, leave, after, now_ms);
    }
    return 0;
}
