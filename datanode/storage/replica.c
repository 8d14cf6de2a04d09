/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/replica.h"

#include "libcommon/base/slice.h"

static const struct sm_state states[] = {
    [DN_REPLICA_FINALIZED] = {"FINALIZED", SM_TO(DN_REPLICA_RUR) | SM_TO(DN_REPLICA_RBW), 0},
    [DN_REPLICA_RBW] = {"RBW",
                        SM_TO(DN_REPLICA_FINALIZED) | SM_TO(DN_REPLICA_RUR) | SM_TO(DN_REPLICA_RBW),
                        SM_INITIAL},
    [DN_REPLICA_RWR] = {"RWR", SM_TO(DN_REPLICA_RUR), SM_INITIAL},
    [DN_REPLICA_RUR] = {"RUR", SM_TO(DN_REPLICA_RUR) | SM_TO(DN_REPLICA_FINALIZED), 0},
    [DN_REPLICA_TEMPORARY] = {"TEMPORARY", SM_TO(DN_REPLICA_FINALIZED), SM_INITIAL},
};
const struct sm_table dn_replica_sm = {"replica", states, ARRAY_LEN(states)};

const char *dn_replica_state_name(enum dn_replica_state state)
{
    return sm_name(&dn_replica_sm, state);
}

/* ---- the map ---- */

static struct dn_replica *at(const struct dn_replicas *map, uint32_t index)
{
    return slab_at(&map->slab, index);
}

static uint64_t hash_of(const void *owner, uint32_t index)
{
    return hash_u64(at(owner, index)->id);
}

static uint32_t *link_of(const void *owner, uint32_t index)
{
    return &at(owner, index)->link;
}

static const struct lhash_ops by_id_ops = {hash_of, link_of};

int dn_replicas_init(struct dn_replicas *map)
{
    slab_init(&map->slab, sizeof(struct dn_replica));
    return lhash_init(&map->by_id, 2, &by_id_ops, map);
}

void dn_replicas_release(struct dn_replicas *map)
{
    lhash_release(&map->by_id);
    slab_release(&map->slab);
}

static uint32_t index_of(const struct dn_replicas *map, uint64_t id)
{
    uint32_t i = lhash_find(&map->by_id, hash_u64(id));
    while (i != 0 && at(map, i)->id != id)
        i = at(map, i)->link;
    return i;
}

struct dn_replica *dn_replicas_find(const struct dn_replicas *map, uint64_t id)
{
    uint32_t i = index_of(map, id);
    return i ? at(map, i) : NULL;
}

struct dn_replica *dn_replicas_add(struct dn_replicas *map, const struct dn_replica *replica)
{
    uint32_t i = 0;
    BUG_ON(index_of(map, replica->id) != 0);
    if (slab_add(&map->slab, &i) != 0)
        return NULL;
    *at(map, i) = *replica;
    lhash_add(&map->by_id, i);
    return at(map, i);
}

void dn_replicas_remove(struct dn_replicas *map, struct dn_replica *replica)
{
    uint32_t i = index_of(map, replica->id);
    BUG_ON(i == 0 || at(map, i) != replica);
    lhash_remove(&map->by_id, i);
    slab_remove(&map->slab, i);
}

void dn_replicas_each(const struct dn_replicas *map,
                      void (*visit)(const struct dn_replica *replica, void *arg), void *arg)
{
    for (uint64_t b = 0; b < map->by_id.buckets; b++) {
        uint32_t i = map->by_id.segments[b >> LHASH_SEGMENT_SHIFT][b & (LHASH_SEGMENT_COUNT - 1)];
        for (; i != 0; i = at(map, i)->link)
            visit(at(map, i), arg);
    }
}

/* ---- moves ---- */

static void move(struct dn_replica *replica, enum dn_replica_state to)
{
    unsigned state = replica->state;
    sm_move(&dn_replica_sm, &state, to);
    replica->state = (uint8_t)state;
}

int dn_replica_finalize(struct dn_replica *replica, uint64_t len)
{
    if (replica->state != DN_REPLICA_RBW && replica->state != DN_REPLICA_TEMPORARY)
        return ERR_INVAL;
    move(replica, DN_REPLICA_FINALIZED);
    replica->len = len;
    return 0;
}

int dn_replica_can_resume(const struct dn_replica *replica, uint64_t gs, uint64_t new_gs,
                          uint64_t len)
{
    if (replica->state == DN_REPLICA_RUR)
        return ERR_BUSY;
    if (replica->state != DN_REPLICA_RBW && replica->state != DN_REPLICA_FINALIZED)
        return ERR_INVAL;
    if (replica->gs < gs || replica->gs >= new_gs)
        return ERR_STALE;
    return replica->len < len ? ERR_EOF : 0;
}

int dn_replica_resume(struct dn_replica *replica, uint64_t gs, uint64_t new_gs, uint64_t len)
{
    int rc = dn_replica_can_resume(replica, gs, new_gs, len);
    if (rc != 0)
        return rc;
    move(replica, DN_REPLICA_RBW);
    replica->gs = new_gs;
    replica->len = len;
    return 0;
}

int dn_replica_can_promise(const struct dn_replica *replica, uint64_t new_gs)
{
    if (!sm_can(&dn_replica_sm, replica->state, DN_REPLICA_RUR))
        return ERR_INVAL;
    if (new_gs <= replica->gs || new_gs <= replica->promised)
        return ERR_STALE;
    return 0;
}

int dn_replica_promise(struct dn_replica *replica, uint64_t new_gs, uint64_t verified_len)
{
    int rc = dn_replica_can_promise(replica, new_gs);
    if (rc != 0)
        return rc;
    if (replica->state != DN_REPLICA_RUR)
        replica->before = replica->state;
    move(replica, DN_REPLICA_RUR);
    replica->promised = new_gs;
    replica->len = verified_len;
    return 0;
}

int dn_replica_can_settle(const struct dn_replica *replica, uint64_t new_gs, uint64_t new_len)
{
    if (replica->state != DN_REPLICA_RUR || replica->promised != new_gs)
        return ERR_STALE;
    if (new_len > replica->len)
        return ERR_EOF;
    if (replica->before == DN_REPLICA_FINALIZED && new_len != replica->len)
        return ERR_INVAL;
    return 0;
}

int dn_replica_settle(struct dn_replica *replica, uint64_t new_gs, uint64_t new_len)
{
    int rc = dn_replica_can_settle(replica, new_gs, new_len);
    if (rc != 0)
        return rc;
    move(replica, DN_REPLICA_FINALIZED);
    replica->gs = new_gs;
    replica->len = new_len;
    replica->promised = 0;
    return 0;
}
