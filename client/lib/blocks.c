/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/blocks.h"

/* --- nodes ------------------------------------------------------------------------------------ */

void cl_nodes_release(struct cl_nodes *nodes)
{
    mem_free(nodes->v);
    arena_release(&nodes->arena);
    *nodes = (struct cl_nodes){0};
}

static bool same_node(const struct msg_node *a, const struct msg_node *b)
{
    return slice_eq(a->name, b->name) && slice_eq(a->host, b->host) &&
           a->data_port == b->data_port && slice_eq(a->socket, b->socket) &&
           slice_eq(a->boot_id, b->boot_id) && a->netns == b->netns && slice_eq(a->rack, b->rack);
}

static bool copy_slice(struct arena *arena, struct slice *s)
{
    struct slice copy = slice_keep(*s, arena);
    if (!copy.data)
        return false;
    *s = copy;
    return true;
}

const struct msg_node *cl_nodes_intern(struct cl_nodes *nodes, const struct msg_node *node)
{
    for (size_t i = 0; i < nodes->n; i++)
        if (same_node(nodes->v[i], node))
            return nodes->v[i];
    struct msg_node *copy = arena_alloc(&nodes->arena, sizeof(*copy));
    if (!copy || mem_grow(&nodes->v, &nodes->cap, nodes->n, sizeof(*nodes->v)) != 0)
        return NULL;
    *copy = *node;
    if (!copy_slice(&nodes->arena, &copy->name) || !copy_slice(&nodes->arena, &copy->host) ||
        !copy_slice(&nodes->arena, &copy->rack) || !copy_slice(&nodes->arena, &copy->socket) ||
        !copy_slice(&nodes->arena, &copy->boot_id))
        return NULL;
    nodes->v[nodes->n++] = copy;
    return copy;
}

/* --- blocks ----------------------------------------------------------------------------------- */

void cl_blocks_release(struct cl_blocks *blocks)
{
    mem_free(blocks->v);
    cl_nodes_release(&blocks->nodes);
    *blocks = (struct cl_blocks){0};
}

/* First block that ends behind `offset`. */
static size_t lower_bound(const struct cl_blocks *blocks, uint64_t offset)
{
    size_t low = 0, high = blocks->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (blocks->v[mid].offset + blocks->v[mid].len <= offset)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

const struct cl_block *cl_blocks_find(const struct cl_blocks *blocks, uint64_t offset)
{
    size_t i = lower_bound(blocks, offset);
    return i < blocks->n && blocks->v[i].offset <= offset ? &blocks->v[i] : NULL;
}

struct cl_block *cl_blocks_last(struct cl_blocks *blocks)
{
    return blocks->n ? &blocks->v[blocks->n - 1] : NULL;
}

static bool is_in_order(const struct msg_located_block_list *answer)
{
    for (size_t i = 0; i < answer->n; i++) {
        const struct msg_located_block *b = &answer->v[i];
        if (b->block.len > UINT64_MAX / 4 || b->offset > UINT64_MAX / 4)
            return false;
        if (i + 1 < answer->n && b->offset + b->block.len > answer->v[i + 1].offset)
            return false;
    }
    return true;
}

static int fill(struct cl_blocks *blocks, const struct msg_located_block *from,
                struct cl_block *ret)
{
    *ret = (struct cl_block){.id = from->block.id,
                             .gs = from->block.gs,
                             .len = from->block.len,
                             .offset = from->offset,
                             .is_corrupt = from->is_corrupt};
    for (size_t i = 0; i < from->nodes.n && ret->node_count < CL_BLOCK_NODES; i++) {
        const struct msg_node *node = cl_nodes_intern(&blocks->nodes, &from->nodes.v[i]);
        if (!node)
            return ERR_NOMEM;
        ret->nodes[ret->node_count++] = node;
    }
    return 0;
}

/* Room for `add` blocks at index `at` in the place of `drop`. */
static int open_gap(struct cl_blocks *blocks, size_t at, size_t drop, size_t add)
{
    size_t n = blocks->n - drop + add;
    if (n > blocks->cap) {
        size_t cap = n > 2 * blocks->cap ? n : 2 * blocks->cap;
        struct cl_block *v = mem_realloc_array(blocks->v, cap, sizeof(*v));
        if (!v)
            return ERR_NOMEM;
        blocks->v = v;
        blocks->cap = cap;
    }
    memmove(blocks->v + at + add, blocks->v + at + drop,
            (blocks->n - at - drop) * sizeof(*blocks->v));
    blocks->n = n;
    return 0;
}

/* Of a block being written its datanodes told us more than the namenode knows: what could be read
 * once stays readable, so that is not forgotten. */
static void keep_length(const struct cl_blocks *blocks, size_t from, size_t to,
                        struct cl_block *fresh)
{
    for (size_t i = from; i < to; i++)
        if (blocks->v[i].id == fresh->id && blocks->v[i].len > fresh->len)
            fresh->len = blocks->v[i].len;
}

int cl_blocks_merge(struct cl_blocks *blocks, const struct msg_located_block_list *answer)
{
    if (answer->n == 0)
        return 0;
    if (!is_in_order(answer))
        return ERR_PROTO;
    struct cl_block *fresh = mem_calloc(answer->n, sizeof(*fresh));
    int rc = fresh ? 0 : ERR_NOMEM;
    for (size_t i = 0; rc == 0 && i < answer->n; i++)
        rc = fill(blocks, &answer->v[i], &fresh[i]);
    uint64_t begin = answer->v[0].offset;
    const struct msg_located_block *last = &answer->v[answer->n - 1];
    uint64_t end = last->offset + last->block.len;
    /* everything that touches [begin, end), and empty last blocks at its ends */
    size_t from = 0;
    while (from < blocks->n && blocks->v[from].offset + blocks->v[from].len <= begin &&
           blocks->v[from].offset < begin)
        from++;
    size_t to = from;
    while (to < blocks->n && (blocks->v[to].offset < end || blocks->v[to].offset == last->offset))
        to++;
    if (rc == 0)
        keep_length(blocks, from, to, &fresh[answer->n - 1]);
    if (rc == 0)
        rc = open_gap(blocks, from, to - from, answer->n);
    if (rc == 0)
        memcpy(blocks->v + from, fresh, answer->n * sizeof(*fresh));
    mem_free(fresh);
    return rc;
}
