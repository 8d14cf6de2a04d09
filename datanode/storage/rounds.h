/* SPDX-License-Identifier: Apache-2.0
 * rounds: which replica of a data directory is verified next, and when. Nobody reads most blocks
 * for months; without this their damage would be found when it is the last copy that is needed.
 *
 *   in a round                 all seen                  period over
 *   +--> next id above the cursor ----> resting ------------------+
 *   +------------------------------------------------------------ +
 *
 * In one period every finalized replica is read once, in order of id, so that a round goes on after
 * a restart from one number (the cursor). Reading is spread over the period: as slowly as still
 * ends it in time with a tenth to spare, but never faster than the limit, which counts more than
 * the period. Suspects go first, whatever the round does, at the same pace.
 *
 * Times are wall time, for a round outlives the process: a clock that jumps makes a round longer or
 * begins the next one early, no more. Pure. */
#ifndef QUERN_DN_STORAGE_ROUNDS_H
#define QUERN_DN_STORAGE_ROUNDS_H

#include "datanode/storage/replica.h"

#define DN_ROUNDS_BATCH    1024U /* ids looked up at a time */
#define DN_ROUNDS_SUSPECTS 64U   /* remembered; more are forgotten, and seen in their turn */

struct dn_rounds_conf {
    uint64_t period_ms;   /* of one round; 0 = no rounds, suspects only */
    uint64_t limit_bytes; /* per second */
};

/* What survives a restart. */
struct dn_rounds_state {
    uint64_t cursor;   /* greatest id seen in this round */
    uint64_t began_ms; /* 0 = no round yet */
    uint64_t done_bytes;
    bool is_resting; /* all were seen */
};

struct dn_rounds {
    struct dn_rounds_conf conf;
    struct dn_rounds_state state;
    uint64_t due_ms; /* nothing is read before */
    uint64_t batch[DN_ROUNDS_BATCH];
    size_t batch_count, batch_at;
    bool batch_is_last;
    uint64_t suspects[DN_ROUNDS_SUSPECTS];
    size_t suspect_count;
};

void dn_rounds_init(struct dn_rounds *r, const struct dn_rounds_conf *conf,
                    const struct dn_rounds_state *state, uint64_t now_ms);

/* What is to be verified now, of volume `volume`. False: nothing before dn_rounds_due_ms. The same
 * answer is not given twice; one that is gone by then is passed over. */
bool dn_rounds_next(struct dn_rounds *r, const struct dn_replicas *replicas, uint16_t volume,
                    uint64_t now_ms, uint64_t *ret_id);
/* So much of it was read; `used_bytes` is what all of the volume's replicas take. */
void dn_rounds_read(struct dn_rounds *r, uint64_t bytes, uint64_t used_bytes, uint64_t now_ms);
uint64_t dn_rounds_due_ms(const struct dn_rounds *r);

/* Something is odd about this one: it is next. */
void dn_rounds_suspect(struct dn_rounds *r, uint64_t id);

#endif
