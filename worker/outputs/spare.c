/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/outputs/spare.h"

#include <string.h>

void spares_init(struct spares *spares, uint64_t keep_ms, struct leavings *leavings)
{
    *spares = (struct spares){.keep_ms = keep_ms, .leavings = leavings};
}

void spares_release(struct spares *spares)
{
    spares_trim(spares, 0);
}

static struct spare take_at(struct spares *s, size_t at)
{
    struct spare taken = s->v[at];
    s->count--;
    s->bytes -= taken.len;
    memmove(&s->v[at], &s->v[at + 1], (s->count - at) * sizeof(s->v[0]));
    return taken;
}

static void drop_oldest(struct spares *s)
{
    leavings_add_memory(s->leavings, take_at(s, 0).fd);
}

void spares_put(struct spares *spares, const struct spare *spare)
{
    if (spares->keep_ms == 0 || spare->len == 0) {
        leavings_add_memory(spares->leavings, spare->fd);
        return;
    }
    if (spares->count == SPARES_MAX)
        drop_oldest(spares);
    spares->v[spares->count++] = *spare;
    spares->bytes += spare->len;
}

static bool is_better(uint64_t len, uint64_t than, uint64_t wanted)
{
    if (len >= wanted && than >= wanted)
        return len < than;
    return len > than;
}

struct spare spares_take(struct spares *spares, uid_t uid, uint64_t wanted, uint64_t most)
{
    size_t best = SPARES_MAX;
    if (most / SPARE_TIMES > wanted)
        most = wanted * SPARE_TIMES;
    for (size_t i = 0; i < spares->count; i++) {
        const struct spare *spare = &spares->v[i];
        if (spare->uid == uid && spare->len <= most &&
            (best == SPARES_MAX || is_better(spare->len, spares->v[best].len, wanted)))
            best = i;
    }
    return best == SPARES_MAX ? (struct spare){.fd = -1} : take_at(spares, best);
}

void spares_trim(struct spares *spares, uint64_t bytes)
{
    while (spares->bytes > bytes)
        drop_oldest(spares);
}

void spares_expire(struct spares *spares, uint64_t now_ms)
{
    while (spares->count && now_ms - spares->v[0].since_ms >= spares->keep_ms)
        drop_oldest(spares);
}
