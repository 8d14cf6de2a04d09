/* SPDX-License-Identifier: Apache-2.0
 * paces: how long datanodes lately took for what was read from them over the network. One that is
 * alive but slow, its disk dying or its link in trouble, is left for another replica: when
 *
 *   - it was waited for a whole window (a hiccup is nothing), and
 *   - it takes more than a floor (who is fast enough is not slow), and
 *   - of another one nothing is known, or that it is several times as fast: where all are slow,
 *     nobody goes from one to the next.
 *
 * What is known is forgotten after a while, so that the nearest is tried again.
 *
 * Pure. Nodes are known by hashes of their names. */
#ifndef QUERN_CLIENT_PACES_H
#define QUERN_CLIENT_PACES_H

#include "client/lib/lags.h"

#define CL_PACES_NODES 32U
#define CL_PACES_MS    60000U       /* known for so long */
#define CL_PACES_UNIT  (256U << 10) /* fewer bytes tell nothing, unless they took a window */

struct cl_pace {
    uint64_t node, until_ms;
    uint64_t us; /* waited for a unit */
};
struct cl_paces { /* zeroed: nothing is known */
    struct cl_pace of[CL_PACES_NODES];
    unsigned at;
};

/* So many bytes came from it after so much waiting. */
void cl_paces_note(struct cl_paces *p, uint64_t node, uint64_t bytes, uint64_t waited_us,
                   uint64_t now_ms);
/* Is it to be read from after the others? `count` of them, all of which could be asked. */
bool cl_paces_is_slow(const struct cl_paces *p, const struct cl_lags_rule *rule, uint64_t node,
                      const uint64_t *others, uint32_t count, uint64_t now_ms);

#endif
