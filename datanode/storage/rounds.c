/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/rounds.h"

#define PACE_MIN   (64U << 10) /* bytes per second: small nodes are done soon, and rest */
#define SECOND_MS  1000U
#define RECHECK_MS 1000U /* a volume without a replica is looked at again */

static void begin_round(struct dn_rounds *r, uint64_t now_ms)
{
    r->state = (struct dn_rounds_state){.began_ms = now_ms};
    r->batch_count = r->batch_at = 0;
    r->batch_is_last = false;
}

void dn_rounds_init(struct dn_rounds *r, const struct dn_rounds_conf *conf,
                    const struct dn_rounds_state *state, uint64_t now_ms)
{
    *r = (struct dn_rounds){.conf = *conf, .state = *state, .due_ms = now_ms};
    if (r->state.began_ms == 0 || r->state.began_ms > now_ms)
        r->state.began_ms = now_ms;
}

/* ---- the next ids ---- */

struct gather {
    struct dn_rounds *r;
    uint16_t volume;
    bool has_more; /* than fit */
};

static void sift_down(uint64_t *heap, size_t count, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count && heap[child + 1] > heap[child])
            child++;
        if (heap[at] >= heap[child])
            return;
        uint64_t id = heap[at];
        heap[at] = heap[child];
        heap[child] = id;
        at = child;
    }
}

static void sift_up(uint64_t *heap, size_t at)
{
    while (at > 0 && heap[(at - 1) / 2] < heap[at]) {
        uint64_t id = heap[at];
        heap[at] = heap[(at - 1) / 2];
        heap[(at - 1) / 2] = id;
        at = (at - 1) / 2;
    }
}

/* The smallest ids above the cursor, in a heap with the greatest of them on top. */
static void gather_one(const struct dn_replica *replica, void *arg)
{
    struct gather *g = arg;
    struct dn_rounds *r = g->r;
    if (replica->volume != g->volume || replica->state != DN_REPLICA_FINALIZED ||
        replica->id <= r->state.cursor)
        return;
    if (r->batch_count < DN_ROUNDS_BATCH) {
        r->batch[r->batch_count] = replica->id;
        sift_up(r->batch, r->batch_count++);
        return;
    }
    g->has_more = true;
    if (replica->id < r->batch[0]) {
        r->batch[0] = replica->id;
        sift_down(r->batch, r->batch_count, 0);
    }
}

static void gather(struct dn_rounds *r, const struct dn_replicas *replicas, uint16_t volume)
{
    struct gather g = {.r = r, .volume = volume};
    r->batch_count = r->batch_at = 0;
    dn_replicas_each(replicas, gather_one, &g);
    for (size_t n = r->batch_count; n > 1; n--) { /* the heap, sorted */
        uint64_t greatest = r->batch[0];
        r->batch[0] = r->batch[n - 1];
        r->batch[n - 1] = greatest;
        sift_down(r->batch, n - 1, 0);
    }
    r->batch_is_last = !g.has_more;
}

static bool is_here(const struct dn_replicas *replicas, uint16_t volume, uint64_t id)
{
    const struct dn_replica *replica = dn_replicas_find(replicas, id);
    return replica && replica->volume == volume && replica->state == DN_REPLICA_FINALIZED;
}

/* The round's next one, or the end of it. */
static bool next_in_round(struct dn_rounds *r, const struct dn_replicas *replicas, uint16_t volume,
                          uint64_t now_ms, uint64_t *ret_id)
{
    if (r->state.is_resting) {
        if (now_ms < r->state.began_ms + r->conf.period_ms)
            return false;
        begin_round(r, now_ms);
    }
    for (;;) {
        while (r->batch_at < r->batch_count) {
            uint64_t id = r->batch[r->batch_at++];
            r->state.cursor = id;
            if (is_here(replicas, volume, id)) {
                *ret_id = id;
                return true;
            }
        }
        if (r->batch_is_last)
            break;
        gather(r, replicas, volume);
    }
    r->batch_is_last = false;
    r->state.is_resting = true;
    return false;
}

bool dn_rounds_next(struct dn_rounds *r, const struct dn_replicas *replicas, uint16_t volume,
                    uint64_t now_ms, uint64_t *ret_id)
{
    if (now_ms < r->due_ms)
        return false;
    while (r->suspect_count > 0) {
        uint64_t id = r->suspects[--r->suspect_count];
        if (is_here(replicas, volume, id)) {
            *ret_id = id;
            return true;
        }
    }
    if (r->conf.period_ms > 0 && next_in_round(r, replicas, volume, now_ms, ret_id))
        return true;
    uint64_t next_round = r->state.began_ms + r->conf.period_ms;
    r->due_ms = r->conf.period_ms == 0             ? UINT64_MAX
                : next_round > now_ms + RECHECK_MS ? next_round
                                                   : now_ms + RECHECK_MS;
    return false;
}

/* ---- pace ---- */

/* Bytes per second from now on: what is left, in the time that is left. */
static uint64_t pace(const struct dn_rounds *r, uint64_t used_bytes, uint64_t now_ms)
{
    uint64_t end = r->state.began_ms + r->conf.period_ms / 10 * 9;
    uint64_t left = used_bytes > r->state.done_bytes ? used_bytes - r->state.done_bytes : 0;
    uint64_t limit = r->conf.limit_bytes;
    if (r->conf.period_ms == 0 || now_ms >= end || r->state.is_resting)
        return limit;
    uint64_t needed =
        left / (end - now_ms) * SECOND_MS + left % (end - now_ms) * SECOND_MS / (end - now_ms);
    if (needed < PACE_MIN)
        needed = PACE_MIN;
    return needed < limit ? needed : limit;
}

void dn_rounds_read(struct dn_rounds *r, uint64_t bytes, uint64_t used_bytes, uint64_t now_ms)
{
    uint64_t from = r->due_ms < now_ms ? now_ms : r->due_ms;
    uint64_t rate = pace(r, used_bytes, now_ms);
    r->state.done_bytes += bytes;
    r->due_ms = from + bytes * SECOND_MS / (rate > 0 ? rate : 1);
}

uint64_t dn_rounds_due_ms(const struct dn_rounds *r)
{
    return r->due_ms;
}

void dn_rounds_suspect(struct dn_rounds *r, uint64_t id)
{
    for (size_t i = 0; i < r->suspect_count; i++)
        if (r->suspects[i] == id)
            return;
    if (r->suspect_count == DN_ROUNDS_SUSPECTS)
        return;
    r->suspects[r->suspect_count++] = id;
    if (r->state.is_resting || r->conf.period_ms == 0)
        r->due_ms = 0; /* nothing was read lately: no pace to keep */
}
