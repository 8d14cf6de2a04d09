/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/twins.h"

#include <inttypes.h>

#include "datanode/storage/shift.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/metric.h"

#define AGAIN_MS 5000U /* until those that were being written are looked at again */

METRIC_COUNTER(removed, "quern_dn_twins_removed_total",
               "second copies of a block in another data directory that were removed");

struct dn_twins {
    struct loop *loop;
    struct dn_storage *storage;
    struct loop_timer timer;
    struct work work;
    struct dn_claim claim;
    bool is_busy, is_stopping;
    size_t left_to_see;       /* of the storage's list, in this round */
    struct dn_replica counts; /* in the map */
    struct dn_replica twin;   /* not there; taken off the list */
    /* the thread's while it runs */
    enum dn_shift_left left;
    int code;
};

static void next(struct dn_twins *t);

/* ---- one of them ---- */

static bool is_in_use(const struct dn_twins *t, const struct dn_replica *r)
{
    return !atomic_load(&t->storage->volumes->v[r->volume]->has_failed);
}

static void put_back(struct dn_twins *t)
{
    if (is_in_use(t, &t->twin) && dn_storage_note_twin(t->storage, &t->twin) != 0)
        log_warn("dn.twins", "out of memory: a second copy of blk_%" PRIu64 " stays", t->twin.id);
}

static void run(struct work *work)
{
    struct dn_twins *t = CONTAINER_OF(work, struct dn_twins, work);
    struct dn_volume *const *v = t->storage->volumes->v;
    const struct dn_shift_twin counts = {v[t->counts.volume], &t->counts},
                               twin = {v[t->twin.volume], &t->twin};
    t->code = dn_shift_settle_twins(&counts, &twin, &t->left);
}

static void keep_first(struct dn_twins *t, const char *here, const char *there)
{
    metric_add(&removed, 1);
    log_info("dn.twins", "blk_%" PRIu64 "_%" PRIu64 " is on %s: its other copy on %s was removed",
             t->counts.id, t->counts.gs, here, there);
    if (is_in_use(t, &t->twin))
        dn_storage_twin_removed(t->storage, &t->twin);
}

static void keep_second(struct dn_twins *t, const char *here, const char *there)
{
    struct dn_replica *now = dn_storage_find(t->storage, t->counts.id);
    metric_add(&removed, 1);
    log_warn("dn.twins", "blk_%" PRIu64 "_%" PRIu64 " on %s was damaged: the one on %s counts",
             t->counts.id, t->counts.gs, here, there);
    BUG_ON(!now); /* we have it in hand */
    if (is_in_use(t, &t->twin))
        (void)dn_storage_twin_counts(t->storage, &t->twin); /* cannot fail: there is one */
    else
        dn_storage_vanished(t->storage, now); /* its directory went meanwhile */
}

static void judge(struct dn_twins *t)
{
    struct dn_volume *const *v = t->storage->volumes->v;
    const char *here = v[t->counts.volume]->path, *there = v[t->twin.volume]->path;
    if (t->left == DN_SHIFT_LEFT_FIRST) {
        keep_first(t, here, there);
    } else if (t->left == DN_SHIFT_LEFT_SECOND) {
        keep_second(t, here, there);
    } else {
        log_warn("dn.twins", "blk_%" PRIu64 " is on %s and on %s, and cannot be read: left alone",
                 t->counts.id, here, there);
        dn_storage_suspect(t->storage, t->counts.id);
    }
}

static void done(struct work *work)
{
    struct dn_twins *t = CONTAINER_OF(work, struct dn_twins, work);
    if (t->code == 0) {
        judge(t);
    } else {
        log_warn("dn.twins", "blk_%" PRIu64 ": %s", t->counts.id, err_text(t->code));
        put_back(t);
    }
    dn_claims_drop(&t->storage->claims, &t->claim);
    next(t);
}

static void on_granted(struct dn_claim *claim)
{
    struct dn_twins *t = CONTAINER_OF(claim, struct dn_twins, claim);
    workq_submit(t->storage->conf.disk_work, &t->work, run, done);
}

/* ---- the list ---- */

enum fate { GONE, LATER, NOW };

/* Of t->twin, which is in no list at present. */
static enum fate begin(struct dn_twins *t)
{
    struct dn_storage *s = t->storage;
    const struct dn_replica *now = dn_storage_find(s, t->twin.id);
    if (!is_in_use(t, &t->twin) || (now && now->volume == t->twin.volume))
        return GONE; /* its directory went again, or it is the one that counts */
    if (dn_claims_is_taken(&s->claims, t->twin.id) || (now && now->state != DN_REPLICA_FINALIZED))
        return LATER;
    if (!now) /* then this one counts, and the namenode says whether it is wanted */
        return dn_storage_twin_counts(s, &t->twin) == 0 ? GONE : LATER;
    t->counts = *now;
    return dn_claims_ask(&s->claims, &t->claim, t->twin.id, false) == 0 ? NOW : LATER;
}

static void on_timer(void *arg)
{
    dn_twins_look(arg);
}

/* From the last to the first: what is put back stands behind. */
static void next(struct dn_twins *t)
{
    struct dn_storage *s = t->storage;
    while (t->left_to_see > 0 && !t->is_stopping) {
        enum fate fate;
        t->left_to_see = t->left_to_see < s->twin_count ? t->left_to_see : s->twin_count;
        if (t->left_to_see == 0)
            break;
        t->twin = s->twins[--t->left_to_see];
        s->twins[t->left_to_see] = s->twins[--s->twin_count];
        fate = begin(t);
        if (fate == NOW)
            return;
        if (fate == LATER)
            put_back(t);
    }
    t->is_busy = false;
    if (s->twin_count > 0 && !t->is_stopping &&
        loop_after(t->loop, &t->timer, AGAIN_MS, on_timer, t) != 0)
        log_warn("dn.twins", "out of memory: second copies stay until the next reload");
}

/* ---- life ---- */

struct dn_twins *dn_twins_new(struct loop *loop, struct dn_storage *storage)
{
    struct dn_twins *t = mem_calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->loop = loop;
    t->storage = storage;
    t->claim.granted = on_granted;
    return t;
}

void dn_twins_look(struct dn_twins *twins)
{
    if (twins->is_busy || twins->is_stopping || twins->storage->twin_count == 0)
        return;
    loop_timer_stop(&twins->timer);
    twins->is_busy = true;
    twins->left_to_see = twins->storage->twin_count;
    next(twins);
}

void dn_twins_stop(struct dn_twins *twins)
{
    if (!twins)
        return;
    twins->is_stopping = true;
    loop_timer_stop(&twins->timer);
}

void dn_twins_free(struct dn_twins *twins)
{
    mem_free(twins);
}
