/* SPDX-License-Identifier: Apache-2.0
 * queue: emitted records on their way into a table of keys. A table of many keys does not fit the
 * cache, and whoever looks up one key at a time waits for each; so records with short keys and
 * values wait here, copied, while their slots are on the way from memory. It is always full: a
 * record takes the place of the one that has waited longest, which is then looked up. */
#ifndef QUERN_WORKER_MAP_QUEUE_H
#define QUERN_WORKER_MAP_QUEUE_H

#include "worker/map/table.h"

#define QUEUE_LENGTH 64U
#define QUEUE_KEY    24U /* bytes of a key at most; of a value, eight */
#define QUEUE_NOBODY UINT32_MAX

struct queued {
    uint64_t hash;
    uint64_t tag; /* of a key that its first eight bytes tell whole; else TABLE_NO_TAG */
    uint64_t value;
    uint64_t key[QUEUE_KEY / 8]; /* zero-padded: the first is its key_word */
    uint32_t len;
    uint32_t value_len; /* QUEUE_NOBODY: there is no record */
};

struct queue {
    uint32_t next; /* whose turn it is */
    struct queued v[QUEUE_LENGTH];
};

static inline void queue_open(struct queue *queue)
{
    queue->next = 0;
    for (uint32_t i = 0; i < QUEUE_LENGTH; i++)
        queue->v[i] = (struct queued){.tag = TABLE_NO_TAG, .value_len = QUEUE_NOBODY};
}

/* The one whose turn it is. */
static inline struct queued *queue_turn(struct queue *queue)
{
    return &queue->v[queue->next];
}
/* The one that has waited half as long. */
static inline const struct queued *queue_half_way(const struct queue *queue)
{
    return &queue->v[(queue->next + QUEUE_LENGTH / 2) % QUEUE_LENGTH];
}
/* On to the next one. */
static inline void queue_move(struct queue *queue)
{
    queue->next = (queue->next + 1) % QUEUE_LENGTH;
}

/* Either may be empty. */
static inline struct slice queued_key(const struct queued *q)
{
    return slice_of(q->key, q->len);
}
static inline struct slice queued_value(const struct queued *q)
{
    return slice_of(&q->value, q->value_len);
}

static inline bool queue_takes(struct slice key, struct slice value)
{
    return key.len <= QUEUE_KEY && value.len <= 8;
}

/* Put a record that it takes in the place of the one whose turn it is. */
static inline void queue_put(struct queue *queue, uint64_t hash, struct slice key,
                             struct slice value)
{
    struct queued *q = queue_turn(queue);
    *q = (struct queued){.hash = hash,
                         .tag = key.len <= 8 ? table_tag(hash, key.len) : TABLE_NO_TAG,
                         .value = key_word(value.data, value.len),
                         .key = {key_word(key.data, key.len)},
                         .len = (uint32_t)key.len,
                         .value_len = (uint32_t)value.len};
    if (key.len > 8)
        q->key[1] = key_word(key.data + 8, key.len - 8);
    if (key.len > 16)
        q->key[2] = key_word(key.data + 16, key.len - 16);
    queue_move(queue);
}

/* The same for a key of at most eight bytes, `word`, and a value of eight. */
static inline void queue_put_word(struct queue *queue, uint64_t hash, uint64_t word, size_t len,
                                  uint64_t value)
{
    struct queued *q = queue_turn(queue);
    q->hash = hash;
    q->tag = table_tag(hash, len);
    q->value = value;
    q->key[0] = word;
    q->len = (uint32_t)len;
    q->value_len = 8;
    queue_move(queue);
}

#endif
