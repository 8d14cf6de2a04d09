/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/map/sketch.h"

#include <string.h>

#include "worker/sink/sink.h"

#define CELLS_MAX     16384U /* keys held, over all partitions: about a megabyte */
#define REGISTERS_MAX 8192U  /* over all partitions: they are to stay in the cache */
#define CELLS_TOLD    128U   /* keys told, over all partitions; one of each at least */
#define LENGTHS_TOLD  128U   /* partitions whose lengths are told */
#define CELLS_LEAST   8U
#define SIGMAS        3U /* of the sample's error, in the bounds */

static uint32_t capacity_of(uint32_t partitions)
{
    uint32_t each = CELLS_MAX / partitions;
    return each > TOPK_MAX ? TOPK_MAX : each < CELLS_LEAST ? CELLS_LEAST : each;
}

static uint32_t bits_of(uint32_t partitions)
{
    uint32_t bits = 0;
    while ((uint64_t)partitions << (bits + 1) <= REGISTERS_MAX && 2U << bits <= HLL_MOST)
        bits++;
    return 1U << bits >= HLL_LEAST ? bits : 0;
}

void sketch_open(struct sketch *s, const struct sketch_conf *conf, struct arena *arena)
{
    uint32_t partitions = conf->partitions;
    *s = (struct sketch){
        .has_hashes = conf->has_hashes, .order = conf->order, .due = 1, .arena = arena};
    if (partitions == 0 || partitions > SKETCH_PARTITIONS)
        return;
    s->capacity = capacity_of(partitions);
    s->bits = bits_of(partitions);
    s->registers = arena_calloc(arena, (size_t)partitions << s->bits, 1);
    s->parts = arena_calloc(arena, partitions, sizeof(struct sketch_part *));
    rand_init(&s->rand, partitions);
    if (s->registers && s->parts)
        s->partitions = partitions;
}

static struct sketch_part *part_of(struct sketch *s, uint32_t partition)
{
    struct sketch_part *part = s->parts[partition];
    if (!part) {
        part = arena_alloc(s->arena, sizeof(*part));
        if (!part)
            return NULL;
        topk_init(&part->keys, s->capacity);
        memset(part->lengths, 0, sizeof(part->lengths));
        s->parts[partition] = part;
    }
    return part;
}

static size_t bucket_of(size_t len)
{
    size_t bucket = len < 4 ? 0 : (size_t)(63 - __builtin_clzll(len)) / 2;
    return bucket < SKETCH_LENGTHS ? bucket : SKETCH_LENGTHS - 1;
}

void sketch_look(struct sketch *s, uint32_t partition, struct slice key, size_t len)
{
    uint64_t weight = s->looked < SKETCH_ALL ? 1 : SKETCH_EVERY;
    struct sketch_part *part = part_of(s, partition);
    uint64_t hash = key_hash(key);
    s->looked++;
    s->due = s->looked < SKETCH_ALL ? 1 : 1 + rand_below(&s->rand, 2 * SKETCH_EVERY - 1);
    if (!part) {
        s->partitions = 0;
        return;
    }
    topk_add(&part->keys, hash, key, weight);
    part->lengths[bucket_of(len)] += weight;
    if (!s->has_hashes && s->bits)
        hll_add(s->registers + ((size_t)partition << s->bits), s->bits, hash);
}

/* --- telling --------------------------------------------------------------------------------- */

static uint64_t root_of(uint64_t n)
{
    uint64_t root = 0;
    for (uint64_t bit = (uint64_t)1 << 31; bit; bit >>= 1)
        if ((root | bit) * (root | bit) <= n)
            root |= bit;
    return root;
}

/* How far a count may be off that comes from a sample. */
static uint64_t slack_of(const struct sketch *s, uint64_t count)
{
    return s->looked > SKETCH_ALL ? SIGMAS * root_of(count * SKETCH_EVERY) : 0;
}

/* As a person would read it: numbers as text. */
static struct slice key_of(const struct sketch *s, const struct topk_cell *cell)
{
    uint8_t room[KEY_NUMBER_BYTES];
    struct slice kept = slice_of(cell->key, cell->key_len);
    char *text = key_is_converted(&s->order) && kept.len == KEY_NUMBER_BYTES
                     ? arena_alloc(s->arena, 32)
                     : NULL;
    if (!text)
        return kept;
    uint64_t bits = get_u64(key_restore(&s->order, kept, room).data);
    return slice_of(text, sink_number(s->order.type, bits, text));
}

static void tell_key(const struct sketch *s, const struct sketch_part *part, uint32_t i,
                     uint64_t records, struct task_key *ret)
{
    const struct topk_cell *cell = &part->keys.cells[i];
    uint64_t slack = slack_of(s, cell->high), high = cell->high + slack;
    *ret = (struct task_key){.key = key_of(s, cell),
                             .hash = part->keys.hashes[i],
                             .low = cell->low > slack ? cell->low - slack : 0,
                             .high = high < records ? high : records};
}

/* Those that are a sixty-fourth of their partition, so far as there is room; of the others, what
 * the most frequent may be. */
static int tell_keys(const struct sketch *s, const struct sketch_part *part,
                     struct task_sketch *ret)
{
    uint32_t order[TOPK_MAX];
    uint32_t count = topk_order(&part->keys, order);
    uint32_t most = CELLS_TOLD / s->partitions ? CELLS_TOLD / s->partitions : 1, told = 0;
    uint64_t absent = topk_absent(&part->keys);
    ret->keys.v = arena_calloc(s->arena, (most < count ? most : count) + 1, sizeof(*ret->keys.v));
    if (!ret->keys.v)
        return ERR_NOMEM;
    while (told < count && told < most &&
           part->keys.cells[order[told]].high * TOPK_MAX >= part->keys.total)
        told++;
    for (uint32_t i = 0; i < told; i++)
        tell_key(s, part, order[i], ret->records, &ret->keys.v[i]);
    if (told < count && part->keys.cells[order[told]].high > absent)
        absent = part->keys.cells[order[told]].high;
    ret->keys.n = told;
    ret->absent = absent + slack_of(s, absent);
    return 0;
}

static int tell_registers(const struct sketch *s, uint32_t partition, struct task_sketch *ret)
{
    uint32_t count = 1U << s->bits, used = 0;
    const uint8_t *from = s->registers + ((size_t)partition << s->bits);
    if (s->bits == 0)
        return 0;
    for (uint32_t i = 0; i < count; i++)
        used += from[i] != 0;
    ret->registers = count;
    ret->is_sample = !s->has_hashes && s->looked > SKETCH_ALL;
    ret->hll = slice_of(from, count);
    if (used * 3 >= count)
        return 0;
    uint8_t *few = arena_alloc(s->arena, used * 3 + 1), *p = few;
    if (!few)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        if (from[i]) {
            *p++ = (uint8_t)i;
            *p++ = (uint8_t)(i >> 8);
            *p++ = from[i];
        }
    ret->hll = slice_of(few, used * 3);
    return 0;
}

static int tell_part(const struct sketch *s, uint32_t partition, const struct task_part *got,
                     struct task_sketch *ret)
{
    const struct sketch_part *part = s->parts[partition];
    *ret = (struct task_sketch){.partition = partition, .records = got->records, .bytes = got->len};
    if (s->partitions <= LENGTHS_TOLD) {
        ret->lengths = (struct msg_u64s){part->lengths, SKETCH_LENGTHS};
        while (ret->lengths.n && part->lengths[ret->lengths.n - 1] == 0)
            ret->lengths.n--;
    }
    int rc = tell_keys(s, part, ret);
    return rc == 0 ? tell_registers(s, partition, ret) : rc;
}

void sketch_tell(const struct sketch *s, const struct task_part_list *parts,
                 struct task_sketch_list *ret)
{
    *ret = (struct task_sketch_list){0};
    if (s->partitions == 0 || s->looked == 0)
        return;
    ret->v = arena_calloc(s->arena, s->partitions, sizeof(*ret->v));
    for (uint32_t p = 0; ret->v && p < s->partitions; p++)
        if (s->parts[p] && tell_part(s, p, &parts->v[p], &ret->v[ret->n]) == 0)
            ret->n++;
}
