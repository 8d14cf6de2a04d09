/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/map/collect.h"

#include "libcommon/base/mem.h"

int collect_open(struct collect *c, void *space, size_t size, uint32_t partitions,
                 const struct key_order *order)
{
    if (partitions > SORT_PARTITIONS_MAX || size > SORT_BYTES_MAX)
        return ERR_TOOBIG;
    *c = (struct collect){.base = space,
                          .partitions = partitions,
                          .order = *order,
                          .starts = mem_calloc(partitions + (size_t)1, sizeof(*c->starts))};
    collect_resize(c, size);
    return c->starts ? 0 : ERR_NOMEM;
}

void collect_resize(struct collect *c, size_t size)
{
    BUG_ON(c->count > 0);
    c->size = size / sizeof(struct sort_entry) * sizeof(struct sort_entry);
    c->top = (struct sort_entry *)(void *)(c->base + c->size);
}

void collect_close(struct collect *c)
{
    mem_free(c->starts);
    *c = (struct collect){0};
}

void collect_sort(struct collect *c)
{
    struct sort_entry *room = c->top - c->count;
    struct sort_space space = {c->base, c->base + c->used};
    c->sorted = room - c->count;
    sort_scatter(room, c->count, c->sorted, c->partitions, c->starts);
    for (uint32_t p = 0; p < c->partitions; p++) {
        size_t from = c->starts[p], n = c->starts[p + 1] - from;
        if (c->order.compare)
            sort_by_compare(c->sorted + from, room + from, n, &space, &c->order);
        else
            sort_entries(c->sorted + from, room + from, n, &space);
    }
}

void collect_reset(struct collect *c)
{
    c->used = c->count = 0;
    c->sorted = NULL;
}

static int collect_next(struct run_cursor *cursor)
{
    struct collect_cursor *cc = CONTAINER_OF(cursor, struct collect_cursor, cursor);
    const struct collect *c = cc->collect;
    if (cc->at == cc->end)
        return 0;
    const uint8_t *p = c->base + sort_offset(c->sorted[cc->at++].ref);
    /* The records are in random order: have the one after next on its way. */
    if (cc->at + 7 < cc->end)
        __builtin_prefetch(c->base + sort_offset(c->sorted[cc->at + 7].ref));
    cursor->raw = slice_of(p, record_of(p, c->base + c->used, &cursor->key, &cursor->value));
    cursor->prefix = key_prefix(cursor->key);
    return 1;
}

void collect_cursor_open(struct collect_cursor *cc, const struct collect *c, uint32_t partition)
{
    BUG_ON(!c->sorted);
    *cc = (struct collect_cursor){.cursor = {.next = collect_next},
                                  .collect = c,
                                  .at = c->starts[partition],
                                  .end = c->starts[partition + 1]};
}
