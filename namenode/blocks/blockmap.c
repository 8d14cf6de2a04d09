/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/blocks/blockmap.h"

#include "libcommon/base/lhash.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/slab.h"
#include "libcommon/base/slice.h"

#define ROWS         128 /* entries that share a matrix of replicas */
#define GROUP        16  /* entries that share a bit per storage; divides ROWS */
#define HASH_LOAD    2
#define REPLICAS_MAX 1023
#define LEN_LOW_BITS 32

struct entry {
    uint64_t id : 48;
    uint64_t want : 10;
    uint64_t len_high : 6;
    uint64_t gs : 48;
    uint64_t replicas : 10;
    uint64_t state : 2;
    uint64_t level : 3;
    uint64_t is_used : 1;
    uint32_t len_low;
    uint32_t file;
    uint32_t next;
    uint32_t chain; /* of the hash */
};
_Static_assert(sizeof(struct entry) == 32, "two entries per cache line");

/* The replicas of ROWS entries: cells[row * width ...], unused cells are 0. */
struct matrix {
    struct nn_replica *cells;
    uint32_t width;
};

struct on_storage {
    struct bitset groups;
    uint64_t count;
};

struct nn_blockmap {
    struct slab entries;
    struct lhash by_id;
    struct matrix *matrices;
    size_t matrix_count, matrix_cap;
    uint64_t cells; /* allocated, for nn_blockmap_bytes */
    struct on_storage *on;
    size_t on_count;
};

const char *nn_block_state_name(enum nn_block_state state)
{
    static const char *const names[] = {"under construction", "committed", "complete",
                                        "under recovery"};
    return (size_t)state < ARRAY_LEN(names) ? names[state] : "?";
}

static struct entry *at(const struct nn_blockmap *map, uint32_t index)
{
    return slab_at(&map->entries, index);
}

static uint64_t id_of(const void *owner, uint32_t index)
{
    return at(owner, index)->id;
}
static uint64_t hash_of(const void *owner, uint32_t index)
{
    return hash_u64(id_of(owner, index));
}
static uint32_t *chain_of(const void *owner, uint32_t index)
{
    return &at(owner, index)->chain;
}
static const struct lhash_ops id_ops = {.hash = hash_of, .link = chain_of};

struct nn_blockmap *nn_blockmap_new(void)
{
    struct nn_blockmap *map = mem_calloc(1, sizeof(*map));
    if (!map)
        return NULL;
    slab_init(&map->entries, sizeof(struct entry));
    if (lhash_init(&map->by_id, HASH_LOAD, &id_ops, map) < 0) {
        mem_free(map);
        return NULL;
    }
    return map;
}

void nn_blockmap_free(struct nn_blockmap *map)
{
    if (!map)
        return;
    for (size_t i = 0; i < map->matrix_count; i++)
        mem_free(map->matrices[i].cells);
    for (size_t i = 0; i < map->on_count; i++)
        bitset_release(&map->on[i].groups);
    mem_free(map->matrices);
    mem_free(map->on);
    lhash_release(&map->by_id);
    slab_release(&map->entries);
    mem_free(map);
}

/* ---- entries ---- */

bool nn_blockmap_is_used(const struct nn_blockmap *map, uint32_t index)
{
    return index != NN_BLOCK_NONE && index < map->entries.fresh && at(map, index)->is_used;
}

static struct entry *used(const struct nn_blockmap *map, uint32_t index)
{
    if (!nn_blockmap_is_used(map, index))
        BUG("block index %u is not in use", index);
    return at(map, index);
}

uint32_t nn_blockmap_find(const struct nn_blockmap *map, uint64_t id)
{
    uint32_t i = lhash_find(&map->by_id, hash_u64(id));
    while (i != NN_BLOCK_NONE && at(map, i)->id != id)
        i = at(map, i)->chain;
    return i;
}

/* The matrix that serves entry `index` exists, if still without a column. */
static int cover(struct nn_blockmap *map, uint32_t index)
{
    while (map->matrix_count <= index / ROWS) {
        if (mem_grow(&map->matrices, &map->matrix_cap, map->matrix_count, sizeof(*map->matrices)) <
            0)
            return ERR_NOMEM;
        map->matrices[map->matrix_count++] = (struct matrix){0};
    }
    return 0;
}

static void write_fields(struct entry *e, const struct nn_block *block)
{
    e->gs = block->gs & NN_BLOCK_ID_MAX;
    e->len_low = (uint32_t)block->len;
    e->len_high = (block->len >> LEN_LOW_BITS) & 0x3fu;
    e->file = block->file;
    e->next = block->next;
    e->want = block->want & 0x3ffu;
    e->state = block->state & 3u;
    e->level = block->level & 7u;
}

static bool fits(const struct nn_block *block)
{
    return block->id != 0 && block->id <= NN_BLOCK_ID_MAX && block->gs <= NN_BLOCK_ID_MAX &&
           block->len <= NN_BLOCK_LEN_MAX && block->want <= NN_BLOCK_WANT_MAX;
}

int nn_blockmap_add(struct nn_blockmap *map, const struct nn_block *block, uint32_t *ret_index)
{
    uint32_t index = 0;
    if (!fits(block))
        return ERR_INVAL;
    if (nn_blockmap_find(map, block->id) != NN_BLOCK_NONE)
        return ERR_EXIST;
    int rc = slab_add(&map->entries, &index);
    if (rc < 0)
        return rc;
    if (cover(map, index) < 0) {
        slab_remove(&map->entries, index);
        return ERR_NOMEM;
    }
    struct entry *e = at(map, index);
    *e = (struct entry){.id = block->id & NN_BLOCK_ID_MAX, .is_used = 1};
    write_fields(e, block);
    lhash_add(&map->by_id, index);
    *ret_index = index;
    return 0;
}

void nn_blockmap_defer(struct nn_blockmap *map)
{
    lhash_defer(&map->by_id);
}

int nn_blockmap_build(struct nn_blockmap *map)
{
    return lhash_build(&map->by_id, id_of);
}

void nn_blockmap_remove(struct nn_blockmap *map, uint32_t index)
{
    struct entry *e = used(map, index);
    while (e->replicas > 0)
        nn_blockmap_drop_replica(map, index, nn_replica_storage(*nn_blockmap_replicas(map, index)));
    lhash_remove(&map->by_id, index);
    e->is_used = 0;
    slab_remove(&map->entries, index);
}

struct nn_block nn_blockmap_get(const struct nn_blockmap *map, uint32_t index)
{
    const struct entry *e = used(map, index);
    return (struct nn_block){
        .id = e->id,
        .gs = e->gs,
        .len = (uint64_t)e->len_high << LEN_LOW_BITS | e->len_low,
        .file = e->file,
        .next = e->next,
        .want = (uint16_t)e->want,
        .replicas = (uint16_t)e->replicas,
        .state = (uint8_t)e->state,
        .level = (uint8_t)e->level,
    };
}

void nn_blockmap_set(struct nn_blockmap *map, uint32_t index, const struct nn_block *block)
{
    BUG_ON(!fits(block));
    write_fields(used(map, index), block);
}

uint32_t nn_blockmap_next(const struct nn_blockmap *map, uint32_t from)
{
    for (uint32_t i = from ? from : 1; i < map->entries.fresh; i++)
        if (at(map, i)->is_used)
            return i;
    return NN_BLOCK_NONE;
}

uint64_t nn_blockmap_count(const struct nn_blockmap *map)
{
    return map->entries.count;
}

/* ---- replicas ---- */

static struct nn_replica *row(const struct nn_blockmap *map, uint32_t index)
{
    const struct matrix *m = &map->matrices[index / ROWS];
    return m->cells ? m->cells + (size_t)(index % ROWS) * m->width : NULL;
}

const struct nn_replica *nn_blockmap_replicas(const struct nn_blockmap *map, uint32_t index)
{
    return row(map, index);
}

/* Give a matrix another width; rows keep what fits. */
static int reshape(struct nn_blockmap *map, struct matrix *m, uint32_t width)
{
    struct nn_replica *cells = mem_calloc((size_t)ROWS * width, sizeof(*cells));
    if (!cells)
        return ERR_NOMEM;
    uint32_t keep = width < m->width ? width : m->width;
    for (size_t r = 0; keep && r < ROWS; r++)
        memcpy(cells + r * width, m->cells + r * m->width, keep * sizeof(*cells));
    mem_free(m->cells);
    map->cells += (uint64_t)ROWS * width;
    map->cells -= (uint64_t)ROWS * m->width;
    m->cells = cells;
    m->width = width;
    return 0;
}

/* Two columns have emptied: take them away. One is left to stand, so that a replica that comes and
 * goes does not reshape again and again. Failing for want of memory is harmless. */
static void narrow(struct nn_blockmap *map, uint32_t index)
{
    struct matrix *m = &map->matrices[index / ROWS];
    uint32_t widest = 0;
    for (size_t r = 0; r < ROWS; r++)
        for (uint32_t c = widest; c < m->width && m->cells[r * m->width + c].word; c++)
            widest = c + 1;
    if (widest + 2 <= m->width && widest > 0)
        (void)reshape(map, m, widest);
}

static struct on_storage *storage_at(struct nn_blockmap *map, uint32_t storage)
{
    if (storage < map->on_count)
        return &map->on[storage];
    size_t count = storage + 1;
    struct on_storage *on = mem_realloc_array(map->on, count, sizeof(*on));
    if (!on)
        return NULL;
    memset(on + map->on_count, 0, (count - map->on_count) * sizeof(*on));
    map->on = on;
    map->on_count = count;
    return &on[storage];
}

static struct nn_replica *find_replica(const struct nn_blockmap *map, uint32_t index,
                                       uint32_t storage)
{
    struct nn_replica *cells = row(map, index);
    for (uint32_t i = 0; i < at(map, index)->replicas; i++)
        if (nn_replica_storage(cells[i]) == storage)
            return &cells[i];
    return NULL;
}

int nn_blockmap_put_replica(struct nn_blockmap *map, uint32_t index, struct nn_replica replica)
{
    struct entry *e = used(map, index);
    uint32_t storage = nn_replica_storage(replica);
    BUG_ON(storage == 0);
    struct nn_replica *old = find_replica(map, index, storage);
    if (old) {
        *old = replica;
        return 0;
    }
    struct matrix *m = &map->matrices[index / ROWS];
    if (e->replicas == REPLICAS_MAX)
        return ERR_NOMEM;
    if (e->replicas == m->width && reshape(map, m, m->width + 1) < 0)
        return ERR_NOMEM;
    struct on_storage *on = storage_at(map, storage);
    if (!on || bitset_add(&on->groups, index / GROUP) < 0)
        return ERR_NOMEM;
    on->count++;
    row(map, index)[e->replicas] = replica;
    e->replicas = (e->replicas + 1) & 0x3ffu;
    return 0;
}

/* First entry in [from, end) of one group that has a cell for this storage; NONE otherwise. */
static uint32_t scan_group(const struct nn_blockmap *map, uint32_t storage, uint32_t from,
                           uint32_t end)
{
    uint32_t width = map->matrices[from / ROWS].width;
    const struct nn_replica *cells = row(map, from);
    for (uint32_t i = from; i < end; i++, cells += width)
        for (uint32_t c = 0; c < width; c++)
            if (nn_replica_storage(cells[c]) == storage)
                return i;
    return NN_BLOCK_NONE;
}

bool nn_blockmap_drop_replica(struct nn_blockmap *map, uint32_t index, uint32_t storage)
{
    struct entry *e = used(map, index);
    struct nn_replica *gone = find_replica(map, index, storage);
    if (!gone)
        return false;
    struct nn_replica *last = row(map, index) + e->replicas - 1;
    bool was_widest = e->replicas + 1u >= map->matrices[index / ROWS].width;
    *gone = *last;
    last->word = 0;
    e->replicas = (e->replicas - 1) & 0x3ffu;
    struct on_storage *on = &map->on[storage];
    on->count--;
    uint32_t group = index / GROUP * GROUP;
    if (scan_group(map, storage, group, group + GROUP) == NN_BLOCK_NONE)
        bitset_remove(&on->groups, index / GROUP);
    if (was_widest)
        narrow(map, index);
    return true;
}

uint32_t nn_blockmap_on_storage(const struct nn_blockmap *map, uint32_t storage, uint32_t from)
{
    if (storage >= map->on_count)
        return NN_BLOCK_NONE;
    const struct bitset *groups = &map->on[storage].groups;
    uint32_t group = bitset_next(groups, from / GROUP);
    while (group != BITSET_END) {
        uint32_t start = group * GROUP > from ? group * GROUP : from;
        uint32_t found = scan_group(map, storage, start, (group + 1) * GROUP);
        if (found != NN_BLOCK_NONE)
            return found;
        group = bitset_next(groups, group + 1);
    }
    return NN_BLOCK_NONE;
}

uint64_t nn_blockmap_storage_count(const struct nn_blockmap *map, uint32_t storage)
{
    return storage < map->on_count ? map->on[storage].count : 0;
}

uint64_t nn_blockmap_bytes(const struct nn_blockmap *map)
{
    uint64_t bytes = sizeof(*map) + slab_bytes(&map->entries) + lhash_bytes(&map->by_id) +
                     map->matrix_cap * sizeof(*map->matrices) +
                     map->cells * sizeof(struct nn_replica) + map->on_count * sizeof(*map->on);
    for (size_t i = 0; i < map->on_count; i++)
        bytes += map->on[i].groups.word_count / 64 * 65 * sizeof(uint64_t);
    return bytes;
}
