/* SPDX-License-Identifier: Apache-2.0
 * hmap: intrusive hash map with chains. The owner embeds `struct hmap_node`, computes the hash, and
 * compares candidates itself:
 *
 *     for (struct hmap_node *n = hmap_find(&m, hash); n; n = hmap_find_next(n))
 *         if (CONTAINER_OF(n, struct job, by_id)->id == id) ...
 *
 * Order of hmap_each depends only on hashes and insertion order, so a simulation repeats; never
 * hash a pointer. */
#ifndef QUERN_BASE_HMAP_H
#define QUERN_BASE_HMAP_H

#include "libcommon/base/err.h"

struct hmap_node {
    struct hmap_node *next;
    uint64_t hash;
};

struct hmap {
    struct hmap_node **slots; /* power of two, or NULL while empty */
    size_t mask;
    size_t count;
};
#define HMAP_INIT ((struct hmap){0})

void hmap_release(struct hmap *map); /* the table only; members are their owner's */
/* 0, or ERR_NOMEM with the map unchanged (a failed growth of a non-empty map is not an error). */
int hmap_add(struct hmap *map, struct hmap_node *node, uint64_t hash);
void hmap_remove(struct hmap *map, struct hmap_node *node);         /* must be a member */
struct hmap_node *hmap_find(const struct hmap *map, uint64_t hash); /* first with this hash */
struct hmap_node *hmap_find_next(const struct hmap_node *node);     /* next with the same hash */

/* First member and the one after `node`, in table order; NULL at the end. The map must not change
 * between the calls, save that `node` itself may be removed after hmap_next(node) was taken. */
struct hmap_node *hmap_first(const struct hmap *map);
struct hmap_node *hmap_next(const struct hmap *map, const struct hmap_node *node);
#define hmap_each(map, it)                                                                        \
    for (struct hmap_node *it = hmap_first(map), *it##_next = it ? hmap_next(map, it) : NULL; it; \
         it = it##_next, it##_next = it ? hmap_next(map, it) : NULL)

#endif
