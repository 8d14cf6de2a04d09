/* SPDX-License-Identifier: Apache-2.0
 * pace: how fast copies of replicas may leave this node, all of them together. Each piece takes its
 * turn on one time line, as long as the piece lasts at the set rate; who comes early waits. Copies
 * share the rate evenly that way, and a pause saves nothing up. Pure; the callers' lock. */
#ifndef QUERN_DN_TALK_PACE_H
#define QUERN_DN_TALK_PACE_H

#include <stdint.h>

struct dn_pace {
    uint64_t bytes_per_s; /* 0 = as fast as it goes */
    uint64_t free_us;     /* when the last piece's turn ends */
};

/* How long to wait before this piece may be sent. */
uint64_t dn_pace_take(struct dn_pace *pace, uint64_t bytes, uint64_t now_us);

#endif
