/* SPDX-License-Identifier: Apache-2.0
 * collect: the sort buffer. Records are appended from the bottom of a fixed stretch of memory,
 * their entries grow down from its top, and sorting needs as much room again as the entries have:
 *
 *   base                     used                                            top
 *    | record record record ... | free ........ | scratch | entry n ... entry 0 |
 *
 * The caller empties it (sort, walk the partitions, reset) when a record does not fit. */
#ifndef QUERN_WORKER_MAP_COLLECT_H
#define QUERN_WORKER_MAP_COLLECT_H

#include "worker/map/sort.h"
#include "worker/run/reader.h"
#include "worker/run/record.h"

struct collect {
    uint8_t *base;
    size_t size, used;
    struct sort_entry *top;
    size_t count;
    uint32_t partitions;
    struct key_order order;
    struct sort_entry *sorted; /* NULL until collect_sort */
    size_t *starts;            /* of partitions in `sorted` */
};

/* Borrows `space` (aligned to 64). ERR_NOMEM, or ERR_TOOBIG for more partitions than entries can
 * tell. */
int collect_open(struct collect *c, void *space, size_t size, uint32_t partitions,
                 const struct key_order *order);
void collect_close(struct collect *c);

/* False: full (ERR_TOOBIG is the caller's to say when it was empty). The key is in kept form. */
static inline bool collect_add(struct collect *c, uint32_t partition, struct slice key,
                               struct slice value)
{
    size_t room = c->size - c->used;
    size_t need =
        RECORD_HEAD_MAX + key.len + value.len + 2 * sizeof(struct sort_entry) * (c->count + 1);
    if (__builtin_expect(need > room, 0))
        return false;
    uint8_t *p = c->base + c->used;
    size_t head = record_head(p, key.len, value.len);
    c->count++;
    *(c->top - c->count) = (struct sort_entry){
        sort_ref(partition, c->used, key_is_beyond_prefix(key)), key_prefix(key)};
    if (value.data == key.data + key.len && value.len) { /* as they lie in the input */
        memcpy(p + head, key.data, key.len + value.len);
    } else {
        if (key.len)
            memcpy(p + head, key.data, key.len);
        if (value.len)
            memcpy(p + head + key.len, value.data, value.len);
    }
    c->used += head + key.len + value.len;
    return true;
}

/* Bytes of records held. */
static inline uint64_t collect_bytes(const struct collect *c)
{
    return c->used;
}

/* From now on it has so much of its space; it is empty. */
void collect_resize(struct collect *c, size_t size);

void collect_sort(struct collect *c);
void collect_reset(struct collect *c);

/* The records of one partition, sorted. */
struct collect_cursor {
    struct run_cursor cursor;
    const struct collect *collect;
    size_t at, end;
};
void collect_cursor_open(struct collect_cursor *cc, const struct collect *c, uint32_t partition);

#endif
