/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/replica.h"

#include <inttypes.h>

#include "libcommon/base/slice.h"

/* ---- the table ---- */

/* One cell: where the event leads, or why it cannot be. */
struct cell {
    int8_t to; /* enum dn_replica_state; AS_BEFORE; refused: -1 */
    int refusal;
};
#define AS_BEFORE 100 /* what this event makes of the state it was in before the recovery */

/* clang-format off */
#define TO(state)  {DN_REPLICA_##state, 0}
#define NO(code)   {-1, ERR_##code}
#define AS_IT_WAS  {AS_BEFORE, 0}
static const struct cell cells[DN_REPLICA_STATES][DN_EVENTS] = {
    /*              CREATE     COPY           CONVERT    FINALIZE       RESUME     PROMISE    SETTLE         RESTART        REMOVE */
    [DN_REPLICA_FINALIZED] =
                   {NO(EXIST), NO(EXIST),     NO(INVAL), NO(INVAL),     TO(RBW),   TO(RUR),   NO(STALE),     TO(FINALIZED), TO(GONE)},
    [DN_REPLICA_RBW] =
                   {NO(EXIST), NO(EXIST),     NO(INVAL), TO(FINALIZED), TO(RBW),   TO(RUR),   NO(STALE),     TO(RWR),       TO(GONE)},
    [DN_REPLICA_RWR] =
                   {NO(EXIST), NO(EXIST),     NO(INVAL), NO(INVAL),     NO(INVAL), TO(RUR),   NO(STALE),     TO(RWR),       TO(GONE)},
    [DN_REPLICA_RUR] =
                   {NO(EXIST), NO(EXIST),     NO(INVAL), NO(INVAL),     NO(BUSY),  TO(RUR),   TO(FINALIZED), AS_IT_WAS,     TO(GONE)},
    [DN_REPLICA_TEMPORARY] =
                   {NO(EXIST), NO(EXIST),     TO(RBW),   TO(FINALIZED), NO(INVAL), NO(INVAL), NO(STALE),     TO(GONE),      TO(GONE)},
    [DN_REPLICA_GONE] =
                   {TO(RBW),   TO(TEMPORARY), NO(NOENT), NO(NOENT),     NO(NOENT), NO(NOENT), NO(NOENT),     TO(GONE),      NO(NOENT)},
};
/* clang-format on */

const char *dn_replica_state_name(enum dn_replica_state state)
{
    static const char *const names[] = {"FINALIZED", "RBW", "RWR", "RUR", "TEMPORARY", "GONE"};
    return state < DN_REPLICA_STATES ? names[state] : "?";
}

const char *dn_replica_event_name(enum dn_replica_event event)
{
    static const char *const names[] = {"CREATE",  "COPY",   "CONVERT", "FINALIZE", "RESUME",
                                        "PROMISE", "SETTLE", "RESTART", "REMOVE"};
    return event < DN_EVENTS ? names[event] : "?";
}

int dn_replica_next(enum dn_replica_state state, enum dn_replica_state before,
                    enum dn_replica_event event, enum dn_replica_state *ret)
{
    const struct cell *cell = &cells[state][event];
    if (cell->to == AS_BEFORE)
        cell = &cells[before][event];
    if (cell->refusal != 0)
        return cell->refusal;
    *ret = (enum dn_replica_state)cell->to;
    return 0;
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

/* ---- events ---- */

static int ask_table(const struct dn_replica *r, enum dn_replica_event event)
{
    enum dn_replica_state to;
    return dn_replica_next(r->state, r->before, event, &to);
}

/* State, stamp and length in one: the event was found possible before. */
static void happen(struct dn_replica *r, enum dn_replica_event event, uint64_t gs, uint64_t len)
{
    enum dn_replica_state to;
    int rc = dn_replica_next(r->state, r->before, event, &to);
    if (rc != 0 || gs < r->gs)
        BUG("blk_%" PRIu64 ": %s of %s, stamp %" PRIu64 " after %" PRIu64, r->id,
            dn_replica_event_name(event), dn_replica_state_name(r->state), gs, r->gs);
    r->state = (uint8_t)to;
    r->gs = gs;
    r->len = len;
}

static int end_writing(struct dn_replica *replica, enum dn_replica_event event, uint64_t len)
{
    int rc = ask_table(replica, event);
    if (rc == 0)
        happen(replica, event, replica->gs, len);
    return rc;
}

int dn_replica_finalize(struct dn_replica *replica, uint64_t len)
{
    return end_writing(replica, DN_EVENT_FINALIZE, len);
}

int dn_replica_convert(struct dn_replica *replica, uint64_t len)
{
    return end_writing(replica, DN_EVENT_CONVERT, len);
}

int dn_replica_can_resume(const struct dn_replica *replica, uint64_t gs, uint64_t new_gs,
                          uint64_t len)
{
    int rc = ask_table(replica, DN_EVENT_RESUME);
    if (rc != 0)
        return rc;
    if (replica->gs < gs || replica->gs >= new_gs)
        return ERR_STALE;
    return replica->len < len ? ERR_EOF : 0;
}

int dn_replica_resume(struct dn_replica *replica, uint64_t gs, uint64_t new_gs, uint64_t len)
{
    int rc = dn_replica_can_resume(replica, gs, new_gs, len);
    if (rc == 0)
        happen(replica, DN_EVENT_RESUME, new_gs, len);
    return rc;
}

int dn_replica_can_promise(const struct dn_replica *replica, uint64_t new_gs)
{
    int rc = ask_table(replica, DN_EVENT_PROMISE);
    if (rc != 0)
        return rc;
    return new_gs <= replica->gs || new_gs <= replica->promised ? ERR_STALE : 0;
}

int dn_replica_promise(struct dn_replica *replica, uint64_t new_gs, uint64_t verified_len)
{
    int rc = dn_replica_can_promise(replica, new_gs);
    if (rc != 0)
        return rc;
    if (replica->state != DN_REPLICA_RUR)
        replica->before = replica->state;
    happen(replica, DN_EVENT_PROMISE, replica->gs, verified_len);
    replica->promised = new_gs;
    return 0;
}

void dn_replica_restamped(struct dn_replica *replica, uint64_t new_gs, uint64_t new_len)
{
    happen(replica, DN_EVENT_PROMISE, new_gs, new_len);
}

int dn_replica_can_settle(const struct dn_replica *replica, uint64_t new_gs, uint64_t new_len)
{
    int rc = ask_table(replica, DN_EVENT_SETTLE);
    if (rc != 0)
        return rc;
    if (replica->promised != new_gs)
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
    happen(replica, DN_EVENT_SETTLE, new_gs, new_len);
    replica->promised = 0;
    return 0;
}
