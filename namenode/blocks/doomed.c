/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/blocks/doomed.h"

#include "libcommon/base/mem.h"

struct doom {
    struct hmap_node by_replica;
    struct list link; /* in its node's waiting or ordered */
    uint32_t node, storage;
    struct block_id block;
    uint64_t after;
    bool is_ordered;
    bool is_named; /* by the running report, or doomed since it began */
};

static uint64_t key_of(uint32_t storage, uint64_t id)
{
    return hash_u64(id ^ (uint64_t)storage << 48);
}

void nn_doomed_init(struct nn_doomed *doomed)
{
    *doomed = (struct nn_doomed){0};
}

void nn_doomed_release(struct nn_doomed *doomed)
{
    hmap_each (&doomed->all, it)
        mem_free(CONTAINER_OF(it, struct doom, by_replica));
    hmap_release(&doomed->all);
    for (size_t i = 0; i < doomed->node_count; i++)
        mem_free(doomed->nodes[i]);
    mem_free(doomed->nodes);
    *doomed = (struct nn_doomed){0};
}

static struct doom *find(const struct nn_doomed *doomed, uint32_t storage, uint64_t id)
{
    for (struct hmap_node *n = hmap_find(&doomed->all, key_of(storage, id)); n;
         n = hmap_find_next(n)) {
        struct doom *d = CONTAINER_OF(n, struct doom, by_replica);
        if (d->storage == storage && d->block.id == id)
            return d;
    }
    return NULL;
}

static struct nn_doomed_node *of_node(struct nn_doomed *doomed, uint32_t node)
{
    if (node >= doomed->node_count) {
        struct nn_doomed_node **nodes = mem_realloc_array(doomed->nodes, node + 1, sizeof(*nodes));
        if (!nodes)
            return NULL;
        memset(nodes + doomed->node_count, 0, (node + 1 - doomed->node_count) * sizeof(*nodes));
        doomed->nodes = nodes;
        doomed->node_count = node + 1;
    }
    if (!doomed->nodes[node]) {
        struct nn_doomed_node *n = mem_alloc(sizeof(*n));
        if (!n)
            return NULL;
        list_init(&n->waiting);
        list_init(&n->ordered);
        doomed->nodes[node] = n;
    }
    return doomed->nodes[node];
}

static void count(struct nn_doomed *doomed, const struct doom *d, int64_t by)
{
    uint64_t *counter = d->is_ordered ? &doomed->ordered : &doomed->waiting;
    *counter += (uint64_t)by;
}

/* To the end of its node's list of waiting (or ordered) ones. */
static void file(struct nn_doomed *doomed, struct doom *d, bool is_ordered)
{
    struct nn_doomed_node *n = doomed->nodes[d->node];
    count(doomed, d, -1);
    list_remove(&d->link);
    d->is_ordered = is_ordered;
    list_push_back(is_ordered ? &n->ordered : &n->waiting, &d->link);
    count(doomed, d, 1);
}

static void forget(struct nn_doomed *doomed, struct doom *d)
{
    count(doomed, d, -1);
    list_remove(&d->link);
    hmap_remove(&doomed->all, &d->by_replica);
    mem_free(d);
}

int nn_doomed_add(struct nn_doomed *doomed, uint32_t node, uint32_t storage, struct block_id block,
                  uint64_t after)
{
    struct doom *d = find(doomed, storage, block.id);
    if (d && d->block.gs >= block.gs)
        return 0;
    if (d)
        forget(doomed, d);
    struct nn_doomed_node *n = of_node(doomed, node);
    d = n ? mem_calloc(1, sizeof(*d)) : NULL;
    if (!d)
        return ERR_NOMEM;
    *d = (struct doom){
        .node = node, .storage = storage, .block = block, .after = after, .is_named = true};
    if (hmap_add(&doomed->all, &d->by_replica, key_of(storage, block.id)) < 0) {
        mem_free(d);
        return ERR_NOMEM;
    }
    list_push_back(&n->waiting, &d->link);
    count(doomed, d, 1);
    return 0;
}

bool nn_doomed_has(const struct nn_doomed *doomed, uint32_t storage, struct block_id block)
{
    const struct doom *d = find(doomed, storage, block.id);
    return d && block.gs <= d->block.gs;
}

void nn_doomed_again(struct nn_doomed *doomed, uint32_t storage, struct block_id block)
{
    struct doom *d = find(doomed, storage, block.id);
    if (!d)
        return;
    d->is_named = true;
    d->block.gs = block.gs; /* the stamp it really has: orders name exact ones */
    if (d->is_ordered)
        file(doomed, d, false);
}

void nn_doomed_done(struct nn_doomed *doomed, uint32_t storage, uint64_t id)
{
    struct doom *d = find(doomed, storage, id);
    if (d)
        forget(doomed, d);
}

static void forget_of(struct nn_doomed *doomed, struct list *list, uint32_t storage)
{
    list_each_safe (list, it) {
        struct doom *d = list_entry(it, struct doom, link);
        if (d->storage == storage)
            forget(doomed, d);
    }
}

void nn_doomed_forget_storage(struct nn_doomed *doomed, uint32_t node, uint32_t storage)
{
    if (node >= doomed->node_count || !doomed->nodes[node])
        return;
    forget_of(doomed, &doomed->nodes[node]->waiting, storage);
    forget_of(doomed, &doomed->nodes[node]->ordered, storage);
}

void nn_doomed_forget_node(struct nn_doomed *doomed, uint32_t node)
{
    if (node >= doomed->node_count || !doomed->nodes[node])
        return;
    list_each_safe (&doomed->nodes[node]->waiting, it)
        forget(doomed, list_entry(it, struct doom, link));
    list_each_safe (&doomed->nodes[node]->ordered, it)
        forget(doomed, list_entry(it, struct doom, link));
}

/* Waiting ones at the head of the list whose edit is durable; at most `most`. */
static size_t count_ready(const struct list *waiting, uint64_t durable, size_t most)
{
    size_t n = 0;
    list_each (waiting, it) {
        if (n == most || list_entry(it, struct doom, link)->after > durable)
            break;
        n++;
    }
    return n;
}

static int order_node(struct nn_doomed *doomed, uint32_t node, size_t ready,
                      struct nn_orders *orders)
{
    struct nn_order *order = nn_orders_push(orders, NN_ORDER_DELETE, node, 0, ready);
    if (!order)
        return ERR_NOMEM;
    for (size_t i = 0; i < ready; i++) {
        struct doom *d = list_first(&doomed->nodes[node]->waiting, struct doom, link);
        order->blocks[i] = d->block;
        file(doomed, d, true);
    }
    return 0;
}

int nn_doomed_step(struct nn_doomed *doomed, const struct nn_nodes *nodes, uint64_t durable,
                   uint32_t batch, struct nn_orders *orders)
{
    if (doomed->waiting == 0)
        return 0;
    for (uint32_t i = 1; i < doomed->node_count; i++) {
        if (!doomed->nodes[i] || !nn_nodes_get(nodes, i)->is_connected)
            continue;
        size_t ready = count_ready(&doomed->nodes[i]->waiting, durable, batch);
        if (ready && order_node(doomed, i, ready, orders) < 0)
            return ERR_NOMEM;
    }
    return 0;
}

static struct list *list_of(struct nn_doomed *doomed, uint32_t node, bool is_ordered)
{
    if (node >= doomed->node_count || !doomed->nodes[node])
        return NULL;
    return is_ordered ? &doomed->nodes[node]->ordered : &doomed->nodes[node]->waiting;
}

size_t nn_doomed_list(const struct nn_doomed *doomed, uint32_t node, struct block_id *ret,
                      size_t cap)
{
    size_t n = 0;
    if (node >= doomed->node_count || !doomed->nodes[node])
        return 0;
    const struct list *lists[] = {&doomed->nodes[node]->ordered, &doomed->nodes[node]->waiting};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        list_each (lists[i], it) {
            if (n == cap)
                return n;
            ret[n++] = list_entry(it, struct doom, link)->block;
        }
    return n;
}

void nn_doomed_report_begins(struct nn_doomed *doomed, uint32_t node, uint32_t storage)
{
    for (int which = 0; which < 2; which++) {
        struct list *head = list_of(doomed, node, which == 1);
        for (struct list *it = head ? head->next : NULL; it && it != head; it = it->next) {
            struct doom *d = list_entry(it, struct doom, link);
            if (d->storage == storage)
                d->is_named = false;
        }
    }
}

void nn_doomed_report_ends(struct nn_doomed *doomed, uint32_t node, uint32_t storage)
{
    for (int which = 0; which < 2; which++) {
        struct list *head = list_of(doomed, node, which == 1);
        struct list *next = NULL;
        for (struct list *it = head ? head->next : NULL; it && it != head; it = next) {
            struct doom *d = list_entry(it, struct doom, link);
            next = it->next;
            if (d->storage == storage && !d->is_named)
                forget(doomed, d);
        }
    }
}
