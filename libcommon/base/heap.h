/* SPDX-License-Identifier: Apache-2.0
 * heap: intrusive binary min-heap by a 64-bit key (usually a time in ms), ties by insertion order,
 * so that timers fire and tasks are picked in a repeatable order. */
#ifndef QUERN_BASE_HEAP_H
#define QUERN_BASE_HEAP_H

#include "libcommon/base/err.h"

struct heap_node {
    uint64_t key;
    uint64_t seq;
    size_t at; /* index in the heap; HEAP_NOT_IN while outside */
};
#define HEAP_NOT_IN    SIZE_MAX
#define HEAP_NODE_INIT ((struct heap_node){0, 0, HEAP_NOT_IN})

struct heap {
    struct heap_node **nodes;
    size_t count, cap;
    uint64_t next_seq;
};
#define HEAP_INIT ((struct heap){0})

void heap_release(struct heap *heap); /* the array only */
/* Room for `count` members: none of the additions up to there fails. 0 or ERR_NOMEM. */
int heap_reserve(struct heap *heap, size_t count);
int heap_add(struct heap *heap, struct heap_node *node, uint64_t key); /* 0 or ERR_NOMEM */
void heap_remove(struct heap *heap, struct heap_node *node);           /* harmless when outside */
struct heap_node *heap_min(const struct heap *heap);                   /* NULL when empty */
/* Add it, or give it another key; it then comes behind those of the same. 0 or ERR_NOMEM. */
int heap_set(struct heap *heap, struct heap_node *node, uint64_t key);
static inline bool heap_has(const struct heap_node *node)
{
    return node->at != HEAP_NOT_IN;
}

#endif
