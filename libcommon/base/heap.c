/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/heap.h"

#include "libcommon/base/mem.h"

void heap_release(struct heap *heap)
{
    mem_free(heap->nodes);
    *heap = HEAP_INIT;
}

static bool is_before(const struct heap_node *a, const struct heap_node *b)
{
    return a->key != b->key ? a->key < b->key : a->seq < b->seq;
}

static void place(struct heap *heap, struct heap_node *node, size_t at)
{
    heap->nodes[at] = node;
    node->at = at;
}

static void sift_up(struct heap *heap, struct heap_node *node, size_t at)
{
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (!is_before(node, heap->nodes[parent]))
            break;
        place(heap, heap->nodes[parent], at);
        at = parent;
    }
    place(heap, node, at);
}

static void sift_down(struct heap *heap, struct heap_node *node, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && is_before(heap->nodes[child + 1], heap->nodes[child]))
            child++;
        if (!is_before(heap->nodes[child], node))
            break;
        place(heap, heap->nodes[child], at);
        at = child;
    }
    place(heap, node, at);
}

int heap_reserve(struct heap *heap, size_t count)
{
    int rc = 0;
    while (rc == 0 && heap->cap < count)
        rc = mem_grow(&heap->nodes, &heap->cap, heap->cap, sizeof(struct heap_node *));
    return rc;
}

int heap_set(struct heap *heap, struct heap_node *node, uint64_t key)
{
    heap_remove(heap, node);
    return heap_add(heap, node, key);
}

int heap_add(struct heap *heap, struct heap_node *node, uint64_t key)
{
    int rc = mem_grow(&heap->nodes, &heap->cap, heap->count, sizeof(struct heap_node *));
    if (rc != 0)
        return rc;
    node->key = key;
    node->seq = heap->next_seq++;
    sift_up(heap, node, heap->count++);
    return 0;
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    if (node->at == HEAP_NOT_IN)
        return;
    size_t at = node->at;
    BUG_ON(at >= heap->count || heap->nodes[at] != node);
    struct heap_node *last = heap->nodes[--heap->count];
    node->at = HEAP_NOT_IN;
    if (last == node)
        return;
    if (at > 0 && is_before(last, heap->nodes[(at - 1) / 2]))
        sift_up(heap, last, at);
    else
        sift_down(heap, last, at);
}

struct heap_node *heap_min(const struct heap *heap)
{
    return heap->count ? heap->nodes[0] : NULL;
}
