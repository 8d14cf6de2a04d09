/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/level.h"

#include <inttypes.h>

#include "datanode/storage/shift.h"
#include "datanode/storage/suspect.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/metric.h"
#include "libcommon/codec/chunksum.h"

#define BATCH      256U
#define ERRORS_MAX 5U

METRIC_COUNTER(bytes_moved, "quern_dn_level_bytes_total",
               "bytes moved between data directories of this node");

struct dn_level {
    struct loop *loop;
    struct dn_storage *storage;
    struct loop_timer timer;
    struct work work;
    struct dn_claim claim;
    struct dn_level_wish wish;
    struct dn_level_state state;
    bool is_cancelled, is_stopping;
    uint64_t batch[BATCH]; /* ids on `from` that may go */
    size_t batch_count;
    struct dn_volume *from, *to;
    struct dn_replica replica;
    /* the thread's while it runs */
    bool is_source_bad;
    int code;
    struct err err;
};

static void next_move(struct dn_level *l);

/* ---- the plan ---- */

struct plan {
    struct dn_volume *from, *to;
    uint64_t bytes; /* at most so many from one to the other */
    uint64_t total; /* above the average, over all directories */
};

static bool takes_part(const struct dn_volume *v)
{
    return !atomic_load(&v->has_failed) && dn_volume_is_formatted(v);
}

static uint64_t size_of(const struct dn_volumes *volumes, const struct dn_volume *v)
{
    return v->used + dn_volumes_remaining(volumes, v);
}

/* Above (or below, negative) its share of what the node holds. */
static int64_t surplus(const struct dn_volumes *volumes, const struct dn_volume *v, double share)
{
    return (int64_t)v->used - (int64_t)(share * (double)size_of(volumes, v));
}

static struct plan make_plan(const struct dn_volumes *volumes, uint32_t threshold)
{
    struct plan plan = {0};
    uint64_t used = 0, size = 0;
    int64_t most = 0, least = 0;
    for (size_t i = 0; i < volumes->count; i++) {
        if (!takes_part(volumes->v[i]))
            continue;
        used += volumes->v[i]->used;
        size += size_of(volumes, volumes->v[i]);
    }
    double share = size > 0 ? (double)used / (double)size : 0;
    for (size_t i = 0; i < volumes->count; i++) {
        struct dn_volume *v = volumes->v[i];
        if (!takes_part(v))
            continue;
        int64_t more = surplus(volumes, v, share);
        int64_t allowed = (int64_t)((double)size_of(volumes, v) * threshold / 100);
        if (more > allowed)
            plan.total += (uint64_t)more;
        if (more > allowed && more > most) {
            most = more;
            plan.from = v;
        }
        if (more < least) {
            least = more;
            plan.to = v;
        }
    }
    plan.bytes = (uint64_t)(most < -least ? most : -least);
    return plan;
}

struct picking {
    struct dn_level *level;
    uint64_t most;
};

static void pick_one(const struct dn_replica *r, void *arg)
{
    struct picking *p = arg;
    struct dn_level *l = p->level;
    if (l->batch_count < BATCH && r->volume == l->from->index && r->state == DN_REPLICA_FINALIZED &&
        !r->is_bad && r->len <= p->most)
        l->batch[l->batch_count++] = r->id;
}

/* ---- a move ---- */

static void run_begin(struct work *work)
{
    struct dn_level *l = CONTAINER_OF(work, struct dn_level, work);
    l->err = (struct err){0};
    l->code = dn_shift_begin(l->from, l->to, &l->replica, &l->is_source_bad, &l->err);
}

static void run_end(struct work *work)
{
    struct dn_level *l = CONTAINER_OF(work, struct dn_level, work);
    l->code = dn_shift_end(l->from, l->to, &l->replica, &l->err);
}

static void finish(struct dn_level *l)
{
    l->state.is_running = false;
    l->state.was_cancelled = l->is_cancelled;
    l->state.finished_ms = clock_wall_ms();
    log_info("dn.level", "%" PRIu64 " blocks, %" PRIu64 " bytes moved between directories%s",
             l->state.blocks, l->state.bytes, l->is_cancelled ? "; cancelled" : "");
}

static void on_timer(void *arg)
{
    next_move(arg);
}

static void rest(struct dn_level *l, uint64_t bytes)
{
    dn_claims_drop(&l->storage->claims, &l->claim);
    uint64_t wait_ms = bytes * 1000 / (l->wish.bytes_per_s + 1) + 1;
    if (l->is_stopping || loop_after(l->loop, &l->timer, wait_ms, on_timer, l) != 0)
        finish(l);
}

static void end_done(struct work *work)
{
    struct dn_level *l = CONTAINER_OF(work, struct dn_level, work);
    if (l->code != 0) {
        log_warn("dn.level", "%s", l->err.msg);
        l->state.errors++;
    }
    l->state.blocks++;
    l->state.bytes += l->replica.len;
    metric_add(&bytes_moved, l->replica.len);
    rest(l, l->replica.len);
}

static void begin_done(struct work *work)
{
    struct dn_level *l = CONTAINER_OF(work, struct dn_level, work);
    struct dn_replica *now = dn_storage_find(l->storage, l->replica.id);
    if (l->code != 0) {
        log_warn("dn.level", "blk_%" PRIu64 ": %s", l->replica.id, l->err.msg);
        l->state.errors++;
        if (l->is_source_bad && now)
            dn_storage_bad(l->storage, l->replica.id, l->replica.gs);
        dn_suspect_volume(l->storage, l->is_source_bad ? l->from : l->to, l->code);
        rest(l, 0);
        return;
    }
    BUG_ON(!now || now->volume != l->from->index); /* we have it in hand */
    dn_storage_shifted(l->storage, now, l->to);
    workq_submit(l->storage->conf.disk_work, &l->work, run_end, end_done);
}

static void on_granted(struct dn_claim *claim)
{
    struct dn_level *l = CONTAINER_OF(claim, struct dn_level, claim);
    workq_submit(l->storage->conf.disk_work, &l->work, run_begin, begin_done);
}

static bool take_block(struct dn_level *l, uint64_t id, uint64_t most)
{
    const struct dn_replica *r = dn_storage_find(l->storage, id);
    if (!r || r->volume != l->from->index || r->state != DN_REPLICA_FINALIZED || r->is_bad ||
        r->len > most || dn_claims_is_taken(&l->storage->claims, id) ||
        !dn_volumes_has_room(l->storage->volumes, l->to, r->len + r->len / 64 + DN_SUM_OFF))
        return false;
    l->replica = *r;
    return dn_claims_ask(&l->storage->claims, &l->claim, id, false) == 0;
}

/* The next block of the fullest directory; looked up in batches, for it means going through the
 * map. */
static void next_move(struct dn_level *l)
{
    struct plan plan = make_plan(l->storage->volumes, l->wish.threshold);
    bool goes_on = !l->is_cancelled && !l->is_stopping && l->state.errors < ERRORS_MAX;
    bool has_looked = false;
    if (plan.from != l->from)
        l->batch_count = 0;
    l->from = plan.from;
    l->to = plan.to;
    while (goes_on && plan.from && plan.to) {
        if (l->batch_count == 0) {
            struct picking picking = {l, plan.bytes};
            if (has_looked)
                break;
            has_looked = true;
            dn_replicas_each(&l->storage->replicas, pick_one, &picking);
            if (l->batch_count == 0)
                break;
        }
        if (take_block(l, l->batch[--l->batch_count], plan.bytes))
            return;
    }
    finish(l);
}

/* ---- from outside ---- */

struct dn_level *dn_level_new(struct loop *loop, struct dn_storage *storage)
{
    struct dn_level *l = mem_calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->loop = loop;
    l->storage = storage;
    l->claim.granted = on_granted;
    return l;
}

int dn_level_start(struct dn_level *level, const struct dn_level_wish *wish, struct err *err)
{
    if (level->state.is_running)
        return err_set(err, ERR_BUSY, "Executing another plan: cancel it first");
    struct plan plan = make_plan(level->storage->volumes, wish->threshold);
    if (!plan.from || !plan.to)
        return err_set(err, ERR_NOENT,
                       "no data directory differs from the node's average by more than %u %%",
                       wish->threshold);
    level->wish = *wish;
    level->is_cancelled = false;
    level->batch_count = 0;
    level->from = NULL;
    level->state = (struct dn_level_state){.is_running = true, .started_ms = clock_wall_ms()};
    next_move(level);
    return 0;
}

void dn_level_cancel(struct dn_level *level)
{
    level->is_cancelled = true;
}

struct dn_level_state dn_level_state(const struct dn_level *level, uint32_t threshold)
{
    struct dn_level_state state = level->state;
    state.bytes_left = make_plan(level->storage->volumes, threshold).total;
    return state;
}

void dn_level_stop(struct dn_level *level)
{
    if (!level)
        return;
    level->is_stopping = true;
    loop_timer_stop(&level->timer);
}

void dn_level_free(struct dn_level *level)
{
    mem_free(level);
}
