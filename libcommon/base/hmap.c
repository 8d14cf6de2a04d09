/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/hmap.h"

#include "libcommon/base/mem.h"

void hmap_release(struct hmap *map)
{
    mem_free(map->slots);
    *map = HMAP_INIT;
}

static int resize(struct hmap *map, size_t slots)
{
    struct hmap_node **table = mem_calloc(slots, sizeof(struct hmap_node *));
    if (!table)
        return ERR_NOMEM;
    for (size_t i = 0; map->slots && i <= map->mask; i++) {
        struct hmap_node *node = map->slots[i];
        while (node) {
            struct hmap_node *next = node->next;
            struct hmap_node **at = &table[node->hash & (slots - 1)];
            node->next = *at;
            *at = node;
            node = next;
        }
    }
    mem_free(map->slots);
    map->slots = table;
    map->mask = slots - 1;
    return 0;
}

int hmap_add(struct hmap *map, struct hmap_node *node, uint64_t hash)
{
    if (!map->slots || map->count > map->mask) {
        int rc = resize(map, map->slots ? (map->mask + 1) * 2 : 8);
        if (rc != 0 && !map->slots)
            return rc; /* an existing table only gets longer chains */
    }
    struct hmap_node **at = &map->slots[hash & map->mask];
    node->hash = hash;
    node->next = *at;
    *at = node;
    map->count++;
    return 0;
}

void hmap_remove(struct hmap *map, struct hmap_node *node)
{
    BUG_ON(!map->slots);
    struct hmap_node **at = &map->slots[node->hash & map->mask];
    while (*at && *at != node)
        at = &(*at)->next;
    BUG_ON(!*at);
    *at = node->next;
    node->next = NULL;
    map->count--;
}

struct hmap_node *hmap_find(const struct hmap *map, uint64_t hash)
{
    struct hmap_node *node = map->slots ? map->slots[hash & map->mask] : NULL;
    while (node && node->hash != hash)
        node = node->next;
    return node;
}

struct hmap_node *hmap_find_next(const struct hmap_node *node)
{
    uint64_t hash = node->hash;
    for (node = node->next; node && node->hash != hash;)
        node = node->next;
    return (struct hmap_node *)(uintptr_t)node;
}

static struct hmap_node *from_slot(const struct hmap *map, size_t i)
{
    for (; map->slots && i <= map->mask; i++)
        if (map->slots[i])
            return map->slots[i];
    return NULL;
}

struct hmap_node *hmap_first(const struct hmap *map)
{
    return from_slot(map, 0);
}

struct hmap_node *hmap_next(const struct hmap *map, const struct hmap_node *node)
{
    return node->next ? node->next : from_slot(map, (node->hash & map->mask) + 1);
}
