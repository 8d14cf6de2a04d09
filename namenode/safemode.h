/* SPDX-License-Identifier: Apache-2.0
 * safemode: after a start the namenode only reads until enough blocks have been reported.
 *
 *           blocks with a good replica >= threshold, and enough datanodes
 *   WAITING -----------------------------------> EXTENDING -- extension over --> OFF
 *      ^---------------------------------------------+  fell below                |
 *   MANUAL <--------------------- enter (an operator, or a full journal disk) ----+
 *      +----------------------------- leave (an operator) ----------------------> OFF
 *
 * Datanodes with blocks newer than any we gave out mean that our directory is older than they are,
 * a backup perhaps: whatever was on, MANUAL it is, and only force ends it. Going on would give the
 * ids out again, and delete what the right directory knows.
 *
 * Pure: it is told the numbers and the time and answers whether it is on and why. */
#ifndef QUERN_NN_SAFEMODE_H
#define QUERN_NN_SAFEMODE_H

#include "libcommon/base/buf.h"

enum nn_safemode_state {
    NN_SAFEMODE_OFF,
    NN_SAFEMODE_WAITING,
    NN_SAFEMODE_EXTENDING,
    NN_SAFEMODE_MANUAL,
};
const char *nn_safemode_state_name(enum nn_safemode_state state);

struct nn_safemode_figures {
    uint64_t total; /* complete blocks */
    uint64_t safe;  /* of them with at least one good replica */
    uint32_t nodes; /* living datanodes */
};

struct nn_safemode {
    uint32_t threshold_ppm; /* 999000 = 0.999 */
    uint32_t min_nodes;
    uint64_t extension_ms;
    enum nn_safemode_state state;
    uint64_t extending_until_ms;
    char reason[160]; /* MANUAL: who wanted it, or what is full */
    bool has_newer;   /* datanodes told of blocks we never gave out */
    bool is_forced;   /* ... which are given up */
};

/* Starts in WAITING; nothing is decided before the first step. */
void nn_safemode_init(struct nn_safemode *sm, uint32_t threshold_ppm, uint32_t min_nodes,
                      uint64_t extension_ms);
static inline bool nn_safemode_is_on(const struct nn_safemode *sm)
{
    return sm->state != NN_SAFEMODE_OFF;
}
/* Are the datanodes ahead of us? */
static inline bool nn_safemode_is_behind(const struct nn_safemode *sm)
{
    return sm->has_newer && !sm->is_forced;
}
/* Will it end by itself? */
static inline bool nn_safemode_is_starting(const struct nn_safemode *sm)
{
    return sm->state == NN_SAFEMODE_WAITING || sm->state == NN_SAFEMODE_EXTENDING;
}
/* True when this step ended safe mode. Once off it only comes back by nn_safemode_enter. */
bool nn_safemode_step(struct nn_safemode *sm, const struct nn_safemode_figures *now_known,
                      uint64_t now_ms);
/* reason: one sentence without a full stop at its end; NULL = an operator's wish. */
void nn_safemode_enter(struct nn_safemode *sm, const char *reason);
/* At once, whatever is missing; stays on while the datanodes are ahead. */
void nn_safemode_leave(struct nn_safemode *sm);
void nn_safemode_force(struct nn_safemode *sm); /* ... then, too */
/* A datanode told of a block we never gave out. */
void nn_safemode_note_newer(struct nn_safemode *sm);

/* "The reported blocks N needs additional M blocks to reach the threshold 0.9990 of total blocks
 * T." and the like; "" when off. */
void nn_safemode_why(const struct nn_safemode *sm, const struct nn_safemode_figures *now_known,
                     uint64_t now_ms, struct buf *out);

#endif
