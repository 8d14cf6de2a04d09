/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/keys.h"

#include <string.h>

#include "libcommon/base/hll.h"
#include "libcommon/base/topk.h"

#define LENGTHS        16U
#define KEYS_TOLD      8U    /* of a partition */
#define PARTITIONS_MAX 4096U /* maps of a job with more tell nothing */

struct keys_part {
    struct topk top;
    uint64_t records, bytes;
    uint64_t lengths[LENGTHS];
    bool is_sample;
    uint32_t registers; /* 0 = none came yet */
    uint8_t hll[];      /* HLL_MOST, or as few as there can be with so many partitions */
};

void keys_release(struct keys *keys)
{
    for (uint32_t p = 0; keys->parts && p < keys->partitions; p++)
        mem_free(keys->parts[p]);
    mem_free(keys->parts);
    mem_free(keys->is_taken);
    *keys = (struct keys){0};
}

static int begin(struct keys *keys, uint32_t partitions, uint32_t maps)
{
    keys->parts = mem_calloc(partitions, sizeof(struct keys_part *));
    keys->is_taken = mem_calloc(maps, 1);
    keys->partitions = partitions;
    keys->maps = maps;
    if (keys->parts && keys->is_taken)
        return 0;
    keys_release(keys);
    return ERR_NOMEM;
}

static struct keys_part *part_of(struct keys *keys, uint32_t partition, uint32_t registers)
{
    struct keys_part *part = keys->parts[partition];
    if (part)
        return part;
    part = mem_calloc(1, sizeof(*part) + registers);
    if (part) {
        topk_init(&part->top, TOPK_MAX);
        part->registers = registers;
        keys->parts[partition] = part;
    }
    return part;
}

static void take_keys(struct keys_part *part, const struct task_sketch *sketch)
{
    struct topk one;
    topk_init(&one, TOPK_MAX);
    one.total = sketch->records;
    one.missed = sketch->absent;
    for (size_t i = 0; i < sketch->keys.n && i < TOPK_MAX; i++) {
        const struct task_key *key = &sketch->keys.v[i];
        struct topk_cell *cell = &one.cells[one.count];
        cell->low = key->low < key->high ? key->low : key->high;
        cell->high = key->high;
        cell->key_len = (uint8_t)(key->key.len < TOPK_KEY ? key->key.len : TOPK_KEY);
        if (cell->key_len)
            memcpy(cell->key, key->key.data, cell->key_len);
        one.hashes[one.count++] = key->hash;
    }
    topk_merge(&part->top, &one);
}

static void take_registers(struct keys_part *part, const struct task_sketch *sketch)
{
    uint32_t count = part->registers;
    const uint8_t *p = sketch->hll.data;
    if (count == 0 || sketch->registers != count)
        return;
    part->is_sample |= sketch->is_sample;
    if (sketch->hll.len == count) {
        hll_merge(part->hll, p, count);
        return;
    }
    for (size_t i = 0; i + 3 <= sketch->hll.len; i += 3) {
        uint32_t at = p[i] | (uint32_t)p[i + 1] << 8;
        if (at < count && part->hll[at] < p[i + 2])
            part->hll[at] = p[i + 2];
    }
}

static void take_one(struct keys *keys, const struct task_sketch *sketch)
{
    uint32_t registers = hll_is_size(sketch->registers) ? sketch->registers : 0;
    if (sketch->partition >= keys->partitions)
        return;
    struct keys_part *part = part_of(keys, sketch->partition, registers);
    if (!part)
        return;
    part->records += sketch->records;
    part->bytes += sketch->bytes;
    take_keys(part, sketch);
    take_registers(part, sketch);
    for (size_t i = 0; i < sketch->lengths.n && i < LENGTHS; i++)
        part->lengths[i] += sketch->lengths.v[i];
}

void keys_take(struct keys *keys, uint32_t partitions, uint32_t maps, const struct task_done *done)
{
    uint32_t map = done->id.task;
    if (partitions == 0 || partitions > PARTITIONS_MAX || map >= maps || done->sketches.n == 0 ||
        (keys->partitions == 0 && begin(keys, partitions, maps) != 0) || keys->is_taken[map])
        return;
    keys->is_taken[map] = 1;
    keys->taken++;
    for (size_t i = 0; i < done->sketches.n; i++)
        take_one(keys, &done->sketches.v[i]);
}

static int fill_row(const struct keys_part *part, uint32_t partition, struct arena *arena,
                    struct cl2jt_partition *ret)
{
    uint32_t order[TOPK_MAX];
    uint32_t count = topk_order(&part->top, order);
    count = count < KEYS_TOLD ? count : KEYS_TOLD;
    *ret = (struct cl2jt_partition){.partition = partition,
                                    .records = part->records,
                                    .bytes = part->bytes,
                                    .is_least = part->is_sample,
                                    .lengths = {part->lengths, LENGTHS}};
    ret->distinct = part->registers ? hll_count(part->hll, part->registers) : 0;
    ret->keys.v = arena_calloc(arena, count + 1, sizeof(*ret->keys.v));
    if (!ret->keys.v)
        return ERR_NOMEM;
    for (; ret->keys.n < count; ret->keys.n++) {
        const struct topk_cell *cell = &part->top.cells[order[ret->keys.n]];
        ret->keys.v[ret->keys.n] = (struct task_key){.key = slice_of(cell->key, cell->key_len),
                                                     .hash = part->top.hashes[order[ret->keys.n]],
                                                     .low = cell->low,
                                                     .high = cell->high};
    }
    return 0;
}

int keys_rows(const struct keys *keys, struct arena *arena, struct cl2jt_partition_list *ret)
{
    *ret = (struct cl2jt_partition_list){0};
    ret->v = arena_calloc(arena, keys->partitions + 1, sizeof(*ret->v));
    if (!ret->v)
        return ERR_NOMEM;
    for (uint32_t p = 0; p < keys->partitions; p++)
        if (keys->parts[p]) {
            int rc = fill_row(keys->parts[p], p, arena, &ret->v[ret->n]);
            if (rc != 0)
                return rc;
            ret->n++;
        }
    return 0;
}
