/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/storage.h"

#include <inttypes.h>

#include "datanode/storage/scan.h"
#include "datanode/storage/settle.h"
#include "datanode/storage/shift.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/codec/chunksum.h"

/* What a replica takes on disk, about. */
static uint64_t footprint(uint64_t len)
{
    return len + DN_SUM_OFF + chunksum_count(len, DN_SUM_CHUNK) * DN_SUM_BYTES;
}

static void tell(struct dn_storage *s, enum dn_change change, const struct dn_replica *replica)
{
    if (s->conf.on_change)
        s->conf.on_change(s->conf.arg, change, replica);
}

/* ---- open ---- */

/* The greater stamp counts, then the finalized one: of what was being written, names may have come
 * back by a power cut. What somebody writes, or has in hand, is not replaced. */
static bool is_better(const struct dn_storage *s, const struct dn_replica *found,
                      const struct dn_replica *known)
{
    bool is_newer =
        found->gs > known->gs || (found->gs == known->gs && found->state == DN_REPLICA_FINALIZED &&
                                  known->state != DN_REPLICA_FINALIZED);
    return is_newer && !known->writing && !dn_claims_is_taken(&s->claims, found->id);
}

int dn_storage_take_in(struct dn_storage *s, const struct dn_replica *found)
{
    struct dn_replica *known = dn_replicas_find(&s->replicas, found->id);
    if (!known)
        return dn_replicas_add(&s->replicas, found) ? 0 : ERR_NOMEM;
    log_warn("dn.storage",
             "blk_%" PRIu64 " is on %s (stamp %" PRIu64 ") and on %s (stamp %" PRIu64 ")",
             found->id, s->volumes->v[known->volume]->path, known->gs,
             s->volumes->v[found->volume]->path, found->gs);
    struct dn_replica twin = *found;
    if (is_better(s, found, known)) {
        uint32_t link = known->link;
        twin = *known;
        *known = *found;
        known->link = link;
    }
    return dn_storage_note_twin(s, &twin);
}

static int scan_all(struct dn_storage *s, struct err *err)
{
    for (size_t i = 0; i < s->volumes->count; i++) {
        struct dn_volume *v = s->volumes->v[i];
        struct dn_scan_result found = {0};
        if (!dn_volume_is_formatted(v))
            continue;
        int rc = dn_scan_volume(v, &found, err);
        for (size_t r = 0; rc == 0 && r < found.count; r++)
            rc = dn_storage_take_in(s, &found.replicas[r]);
        if (rc == ERR_NOMEM)
            err_set(err, rc, "%s: out of memory", v->path);
        if (rc == 0)
            log_info("dn.storage",
                     "%s: %zu replicas, %" PRIu64 " bytes; %" PRIu64 " things put right, %" PRIu64
                     " blocks without checksums",
                     v->path, found.count, found.bytes, found.repaired, found.orphans);
        v->used = found.bytes;
        mem_free(found.replicas);
        if (rc != 0 && !dn_volumes_can_lose(s->volumes, rc))
            return rc;
        if (rc != 0) {
            log_error("dn.storage", "%s: it counts as failed, and is not used", err->msg);
            atomic_store(&v->has_failed, true);
        }
    }
    return 0;
}

int dn_storage_open(const struct dn_storage_conf *conf, struct dn_storage **ret, struct err *err)
{
    struct dn_storage *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return err_set(err, ERR_NOMEM, "block storage: out of memory");
    s->conf = *conf;
    int rc = dn_replicas_init(&s->replicas);
    if (rc != 0)
        err_set(err, rc, "block storage: out of memory");
    if (rc == 0)
        rc = dn_volumes_open(conf->disk, &conf->volumes, &s->volumes, err);
    if (rc == 0)
        rc = dn_shift_recover(s->volumes, err);
    if (rc == 0)
        rc = scan_all(s, err);
    if (rc != 0) {
        dn_storage_close(s);
        return rc;
    }
    *ret = s;
    return 0;
}

static void release_one(const struct dn_replica *replica, void *arg)
{
    (void)arg;
    dn_writing_unref(replica->writing);
}

void dn_storage_close(struct dn_storage *storage)
{
    if (!storage)
        return;
    if (storage->replicas.by_id.count > 0)
        dn_replicas_each(&storage->replicas, release_one, NULL);
    dn_claims_release(&storage->claims);
    dn_replicas_release(&storage->replicas);
    mem_free(storage->twins);
    dn_volumes_close(storage->volumes);
    mem_free(storage);
}

struct dn_replica *dn_storage_find(const struct dn_storage *s, uint64_t id)
{
    return dn_replicas_find(&s->replicas, id);
}

enum dn_dir dn_storage_dir_of(const struct dn_replica *replica)
{
    if (dn_replica_is_whole(replica))
        return DN_DIR_FINALIZED;
    return replica->state == DN_REPLICA_TEMPORARY ? DN_DIR_TMP : DN_DIR_RBW;
}

/* ---- being written ---- */

/* Room is promised to a block from its beginning to its end; what it has taken then is `used`. */
static void promise(struct dn_storage *s, struct dn_replica *replica, uint64_t bytes)
{
    dn_storage_volume(s, replica)->promised += bytes;
    replica->promised_bytes = bytes;
}

static void unpromise(struct dn_storage *s, struct dn_replica *replica)
{
    dn_storage_volume(s, replica)->promised -= replica->promised_bytes;
    replica->promised_bytes = 0;
}

int dn_storage_add(struct dn_storage *s, const struct dn_storage_new *what, struct dn_replica **ret,
                   struct err *err)
{
    const struct dn_replica *known = dn_storage_find(s, what->id);
    enum dn_replica_state state = known ? known->state : DN_REPLICA_GONE;
    int rc = dn_replica_next(state, state, what->event, &state);
    if (rc != 0)
        return err_set(err, rc, "blk_%" PRIu64 " is here already, %s with stamp %" PRIu64, what->id,
                       dn_replica_state_name(state), known ? known->gs : 0);
    struct dn_volume *v = what->beside ? dn_storage_volume(s, what->beside) : NULL;
    if (!v || !dn_volumes_has_room(s->volumes, v, footprint(what->max_len)))
        v = dn_volumes_choose(s->volumes, footprint(what->max_len));
    if (!v)
        return err_set(err, ERR_NOSPC, "no data directory has room for %" PRIu64 " more bytes",
                       what->max_len);
    struct dn_replica fresh = {.id = what->id,
                               .gs = what->gs,
                               .volume = v->index,
                               .state = (uint8_t)state,
                               .writing = dn_writing_new()};
    struct dn_replica *r = fresh.writing ? dn_replicas_add(&s->replicas, &fresh) : NULL;
    if (!r) {
        dn_writing_unref(fresh.writing);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    v->used += footprint(0);
    promise(s, r, footprint(what->max_len));
    *ret = r;
    return 0;
}

void dn_storage_began(struct dn_storage *s, const struct dn_replica *replica)
{
    if (replica->state != DN_REPLICA_TEMPORARY)
        tell(s, DN_CHANGE_RECEIVING, replica);
}

/* The replica's length was old_len. */
static void recount(struct dn_storage *s, const struct dn_replica *replica, uint64_t old_len)
{
    struct dn_volume *v = dn_storage_volume(s, replica);
    v->used += footprint(replica->len);
    v->used -= footprint(old_len);
}

/* No more bytes of it will come: what it takes counts, the room promised to it is free again. */
static void stop_growing(struct dn_storage *s, struct dn_replica *replica, uint64_t old_len)
{
    recount(s, replica, old_len);
    unpromise(s, replica);
}

void dn_storage_left(struct dn_storage *s, struct dn_replica *replica, uint64_t len)
{
    uint64_t old_len = replica->len;
    replica->len = len;
    stop_growing(s, replica, old_len);
}

static void stop_sharing(struct dn_replica *replica)
{
    dn_writing_unref(replica->writing);
    replica->writing = NULL;
}

void dn_storage_forget(struct dn_storage *s, struct dn_replica *replica)
{
    unpromise(s, replica);
    stop_sharing(replica);
    dn_replicas_remove(&s->replicas, replica);
}

static void must_become(int rc, const struct dn_replica *replica, const char *what)
{
    if (rc != 0)
        BUG("blk_%" PRIu64 ": %s cannot become %s", replica->id,
            dn_replica_state_name(replica->state), what);
}

void dn_storage_finalized(struct dn_storage *s, struct dn_replica *replica, uint64_t len)
{
    uint64_t old_len = replica->len;
    must_become(dn_replica_finalize(replica, len), replica, "finalized");
    stop_growing(s, replica, old_len);
    stop_sharing(replica);
    tell(s, DN_CHANGE_RECEIVED, replica);
}

void dn_storage_converted(struct dn_storage *s, struct dn_replica *replica, uint64_t len)
{
    uint64_t old_len = replica->len;
    must_become(dn_replica_convert(replica, len), replica, "a member of a pipeline");
    stop_growing(s, replica, old_len);
    tell(s, DN_CHANGE_RECEIVING, replica);
}

void dn_storage_discard(struct dn_storage *s, struct dn_replica *replica)
{
    dn_storage_volume(s, replica)->used -= footprint(replica->len);
    dn_storage_forget(s, replica);
}

/* ---- recovered ---- */

int dn_storage_resume(struct dn_storage *s, struct dn_replica *replica,
                      const struct dn_storage_resume *how)
{
    uint64_t old_len = replica->len;
    int rc = dn_replica_resume(replica, how->gs, how->new_gs, how->len);
    if (rc != 0)
        return rc;
    stop_sharing(replica);
    replica->writing = dn_writing_ref(how->writing);
    replica->is_bad = false;
    recount(s, replica, old_len);
    promise(s, replica, footprint(how->max_len));
    tell(s, DN_CHANGE_RECEIVING, replica);
    return 0;
}

int dn_storage_promise(struct dn_storage *s, struct dn_replica *replica, uint64_t new_gs,
                       uint64_t verified_len)
{
    uint64_t old_len = replica->len;
    int rc = dn_replica_promise(replica, new_gs, verified_len);
    if (rc == 0)
        recount(s, replica, old_len);
    return rc;
}

void dn_storage_restamped(struct dn_storage *s, struct dn_replica *replica, uint64_t new_gs,
                          uint64_t new_len)
{
    uint64_t old_len = replica->len;
    dn_replica_restamped(replica, new_gs, new_len);
    recount(s, replica, old_len);
    stop_sharing(replica);
}

int dn_storage_settle(struct dn_storage *s, struct dn_replica *replica, uint64_t new_gs,
                      uint64_t new_len)
{
    uint64_t old_len = replica->len;
    int rc = dn_replica_settle(replica, new_gs, new_len);
    if (rc != 0)
        return rc;
    recount(s, replica, old_len);
    stop_sharing(replica);
    replica->is_bad = false;
    tell(s, DN_CHANGE_RECEIVED, replica);
    return 0;
}

void dn_storage_bad(struct dn_storage *s, uint64_t id, uint64_t gs)
{
    struct dn_replica *replica = dn_storage_find(s, id);
    if (!replica || replica->gs != gs || replica->is_bad)
        return;
    replica->is_bad = true;
    s->bad_count++;
    log_error("dn.storage",
              "blk_%" PRIu64 "_%" PRIu64 " on %s is damaged: the namenode will have "
              "it replaced",
              id, gs, dn_storage_volume(s, replica)->path);
    tell(s, DN_CHANGE_BAD, replica);
}

void dn_storage_suspect(struct dn_storage *s, uint64_t id)
{
    if (s->conf.on_suspect)
        s->conf.on_suspect(s->conf.arg, id);
}

/* ---- found by the census ---- */

void dn_storage_vanished(struct dn_storage *s, struct dn_replica *replica)
{
    struct dn_replica gone = *replica;
    dn_storage_discard(s, replica);
    gone.writing = NULL;
    tell(s, DN_CHANGE_DELETED, &gone);
}

int dn_storage_appeared(struct dn_storage *s, const struct dn_replica *found)
{
    struct dn_replica *r = dn_replicas_add(&s->replicas, found);
    if (!r)
        return ERR_NOMEM;
    dn_storage_volume(s, r)->used += footprint(r->len);
    tell(s, DN_CHANGE_RECEIVED, r);
    return 0;
}

/* ---- twins ---- */

int dn_storage_note_twin(struct dn_storage *s, const struct dn_replica *twin)
{
    int rc = mem_grow(&s->twins, &s->twin_cap, s->twin_count, sizeof(*s->twins));
    if (rc == 0)
        s->twins[s->twin_count++] = *twin;
    return rc;
}

void dn_storage_twin_removed(struct dn_storage *s, const struct dn_replica *twin)
{
    dn_storage_volume(s, twin)->used -= footprint(twin->len);
}

int dn_storage_twin_counts(struct dn_storage *s, const struct dn_replica *twin)
{
    struct dn_replica *r = dn_storage_find(s, twin->id);
    struct dn_replica before = r ? *r : *twin;
    if (r) {
        dn_storage_volume(s, r)->used -= footprint(r->len);
        *r = *twin;
        r->link = before.link;
        tell(s, DN_CHANGE_DELETED, &before);
    } else {
        r = dn_replicas_add(&s->replicas, twin);
    }
    if (r && r->state == DN_REPLICA_FINALIZED)
        tell(s, DN_CHANGE_RECEIVED, r);
    return r ? 0 : ERR_NOMEM;
}

void dn_storage_forget_twins(struct dn_storage *s, uint16_t volume)
{
    for (size_t i = s->twin_count; i-- > 0;)
        if (s->twins[i].volume == volume)
            s->twins[i] = s->twins[--s->twin_count];
}

/* ---- from one directory to another ---- */

void dn_storage_shifted(struct dn_storage *s, struct dn_replica *replica, struct dn_volume *to)
{
    struct dn_replica before = *replica;
    dn_storage_volume(s, replica)->used -= footprint(replica->len);
    replica->volume = to->index;
    to->used += footprint(replica->len);
    tell(s, DN_CHANGE_DELETED, &before);
    tell(s, DN_CHANGE_RECEIVED, replica);
}

bool dn_storage_is_still(const struct dn_storage *s, const struct dn_replica *was)
{
    const struct dn_replica *now = dn_storage_find(s, was->id);
    return now && now->gs == was->gs && now->state == was->state && now->volume == was->volume;
}

/* ---- deletion ---- */

struct removal {
    struct dn_claim claim;
    struct work work;
    struct dn_storage *storage;
    struct dn_replica gone; /* as it was */
    uint64_t id, gs;
    int code;
};

static void removal_end(struct removal *r)
{
    dn_claims_drop(&r->storage->claims, &r->claim);
    mem_free(r);
}

static void run_removal(struct work *work)
{
    struct removal *r = CONTAINER_OF(work, struct removal, work);
    struct dn_volume *v = dn_storage_volume(r->storage, &r->gone);
    char *dir = dn_volume_dir(v, dn_storage_dir_of(&r->gone), r->id);
    r->code = dir ? dn_settle_remove(v->disk, dir, r->id, r->gs) : ERR_NOMEM;
    mem_free(dir);
}

static void removal_done(struct work *work)
{
    struct removal *r = CONTAINER_OF(work, struct removal, work);
    if (r->code != 0)
        log_warn("dn.storage", "blk_%" PRIu64 "_%" PRIu64 ": cannot remove its files: %s", r->id,
                 r->gs, err_text(r->code));
    else
        dn_storage_volume(r->storage, &r->gone)->used -= footprint(r->gone.len);
    tell(r->storage, DN_CHANGE_DELETED, &r->gone);
    removal_end(r);
}

static void removal_granted(struct dn_claim *claim)
{
    struct removal *r = CONTAINER_OF(claim, struct removal, claim);
    struct dn_replica *replica = dn_storage_find(r->storage, r->id);
    if (!replica || replica->gs != r->gs) {
        removal_end(r);
        return;
    }
    unpromise(r->storage, replica);
    stop_sharing(replica);
    r->gone = *replica;
    dn_replicas_remove(&r->storage->replicas, replica);
    workq_submit(r->storage->conf.disk_work, &r->work, run_removal, removal_done);
}

int dn_storage_remove(struct dn_storage *s, uint64_t id, uint64_t gs)
{
    const struct dn_replica *replica = dn_storage_find(s, id);
    if (!replica || replica->gs != gs)
        return 0;
    struct removal *r = mem_calloc(1, sizeof(*r));
    if (!r)
        return ERR_NOMEM;
    r->claim.granted = removal_granted;
    r->storage = s;
    r->id = id;
    r->gs = gs;
    int rc = dn_claims_ask(&s->claims, &r->claim, id, true);
    if (rc != 0)
        mem_free(r);
    return rc;
}
