/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/outputs/spare.h"

#include <string.h>
#include <unistd.h>

#define EXPIRE_BYTES ((uint64_t)64 << 20)

void spares_init(struct spares *spares, uint64_t keep_ms)
{
    *spares = (struct spares){.keep_ms = keep_ms};
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

void spares_put(struct spares *spares, const struct spare *spare)
{
    if (spares->keep_ms == 0 || spare->len == 0) {
        close(spare->fd);
        return;
    }
    if (spares->count == SPARES_MAX)
        close(take_at(spares, 0).fd);
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
        close(take_at(spares, 0).fd);
}

void spares_expire(struct spares *spares, uint64_t now_ms)
{
    uint64_t given_back = 0;
    while (spares->count && now_ms - spares->v[0].since_ms >= spares->keep_ms &&
           given_back < EXPIRE_BYTES) {
        struct spare old = take_at(spares, 0);
        given_back += old.len;
        close(old.fd);
    }
}
