/* SPDX-License-Identifier: Apache-2.0
 * replica: which blocks this node holds, and in which state.
 *
 * Which event takes a replica from which state to which is one table in replica.c, drawn in
 * ../DESIGN.md; nothing else changes a state.
 *
 *   FINALIZED  whole and on disk; its bytes never change
 *   RBW        being written; readers see the acknowledged bytes
 *   RWR        was being written when this process began: takes part in recovery only
 *   RUR        under recovery: promised to a recovery stamp; nobody writes
 *   TEMPORARY  a copy on its way here; nobody else sees it, a restart drops it
 *
 * State, stamp and length change together, and a stamp only ever grows: each function below is one
 * compare-and-set that either does all of it or says why not and changes nothing. So of two
 * recoveries that overlap, the older one cannot finish last and take the stamp back.
 *
 * Pure; loop thread only. */
#ifndef QUERN_DN_STORAGE_REPLICA_H
#define QUERN_DN_STORAGE_REPLICA_H

#include "libcommon/base/err.h"
#include "libcommon/base/lhash.h"
#include "libcommon/base/slab.h"

enum dn_replica_state {
    DN_REPLICA_FINALIZED,
    DN_REPLICA_RBW,
    DN_REPLICA_RWR,
    DN_REPLICA_RUR,
    DN_REPLICA_TEMPORARY,
    DN_REPLICA_GONE, /* not here: before it comes, after it went; never in the map */
    DN_REPLICA_STATES,
};
const char *dn_replica_state_name(enum dn_replica_state state);

enum dn_replica_event {
    DN_EVENT_CREATE,   /* a writer's pipeline is set up */
    DN_EVENT_COPY,     /* a copy begins to arrive */
    DN_EVENT_CONVERT,  /* the copy of a block that is being written is whole: it joins its pipeline
                        */
    DN_EVENT_FINALIZE, /* the last packet, durable */
    DN_EVENT_RESUME,   /* the pipeline goes on under a new stamp */
    DN_EVENT_PROMISE,  /* block recovery, first half */
    DN_EVENT_SETTLE,   /* ... second half */
    DN_EVENT_RESTART,  /* the process ended, and the next one finds the files */
    DN_EVENT_REMOVE,
    DN_EVENTS,
};
const char *dn_replica_event_name(enum dn_replica_event event);
/* The table: 0 and the state that comes of it, or why that cannot be. `before` matters for RUR
 * only.
 */
int dn_replica_next(enum dn_replica_state state, enum dn_replica_state before,
                    enum dn_replica_event event, enum dn_replica_state *ret);

struct dn_writing;
struct dn_replica {
    uint64_t id, gs;
    uint64_t len;               /* FINALIZED: its length. Else: what is known to be in its files */
    uint64_t promised;          /* RUR: the recovery's stamp, greater than gs */
    struct dn_writing *writing; /* RBW: what its writer and readers share (owned by the storage) */
    uint64_t promised_bytes;    /* room kept free for it (the storage's) */
    uint32_t link;              /* private to the map */
    uint16_t volume;
    uint8_t state;  /* enum dn_replica_state */
    uint8_t before; /* RUR: the state it was in */
    bool is_bad;    /* its bytes were found wrong, and the namenode told */
};

/* Finalized, or under recovery from there: its bytes stand. */
static inline bool dn_replica_is_whole(const struct dn_replica *replica)
{
    return replica->state == DN_REPLICA_FINALIZED ||
           (replica->state == DN_REPLICA_RUR && replica->before == DN_REPLICA_FINALIZED);
}

struct dn_replicas {
    struct slab slab;
    struct lhash by_id;
};

int dn_replicas_init(struct dn_replicas *map); /* 0 or ERR_NOMEM */
void dn_replicas_release(struct dn_replicas *map);
/* NULL when there is none. Addresses stay good until the replica is removed. */
struct dn_replica *dn_replicas_find(const struct dn_replicas *map, uint64_t id);
/* A copy of *replica goes in; its id must be new (BUG otherwise). NULL when memory is out. */
struct dn_replica *dn_replicas_add(struct dn_replicas *map, const struct dn_replica *replica);
void dn_replicas_remove(struct dn_replicas *map, struct dn_replica *replica);
static inline uint64_t dn_replicas_count(const struct dn_replicas *map)
{
    return map->by_id.count;
}
/* In no order; the map must not change meanwhile. */
void dn_replicas_each(const struct dn_replicas *map,
                      void (*visit)(const struct dn_replica *replica, void *arg), void *arg);

/* RBW or TEMPORARY -> FINALIZED under the stamp it has. ERR_INVAL from any other state. */
int dn_replica_finalize(struct dn_replica *replica, uint64_t len);
/* TEMPORARY -> RBW, of which `len` bytes are here. ERR_INVAL from any other state. */
int dn_replica_convert(struct dn_replica *replica, uint64_t len);

/* May a pipeline that lost a member go on here, under new_gs, from `len` acknowledged bytes?
 * ERR_STALE: our stamp is older than the pipeline's (gs) or not older than new_gs; ERR_EOF: we hold
 * fewer bytes; ERR_INVAL: a state nobody may write in; ERR_BUSY: promised to a recovery. */
int dn_replica_can_resume(const struct dn_replica *replica, uint64_t gs, uint64_t new_gs,
                          uint64_t len);
/* RBW (or a FINALIZED whose close was never acknowledged) -> RBW with new stamp and length. Codes
 * of dn_replica_can_resume, which it asks itself. */
int dn_replica_resume(struct dn_replica *replica, uint64_t gs, uint64_t new_gs, uint64_t len);

/* Block recovery, first half: any readable state -> RUR, promised to new_gs. A RUR replica may be
 * promised again to a greater one. ERR_STALE unless new_gs is greater than any seen here; ERR_INVAL
 * for TEMPORARY. */
int dn_replica_can_promise(const struct dn_replica *replica, uint64_t new_gs);
int dn_replica_promise(struct dn_replica *replica, uint64_t new_gs, uint64_t verified_len);

/* A commit has put the new stamp on the disk, and then failed: still RUR, but as the files say, so
 * that the next recovery finds them. */
void dn_replica_restamped(struct dn_replica *replica, uint64_t new_gs, uint64_t new_len);

/* Second half: is this the commit of the recovery it is promised to? ERR_STALE for any other,
 * ERR_EOF when it holds fewer bytes, ERR_INVAL when a finalized replica would change its length. */
int dn_replica_can_settle(const struct dn_replica *replica, uint64_t new_gs, uint64_t new_len);
/* RUR -> FINALIZED with new stamp and length. */
int dn_replica_settle(struct dn_replica *replica, uint64_t new_gs, uint64_t new_len);

#endif
