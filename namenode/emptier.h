/* SPDX-License-Identifier: Apache-2.0
 * emptier: what the shell's `rm` moved to users' trash goes for good when it has been there for
 * fs.trash.interval.
 *
 * A round begins at every multiple of fs.trash.checkpoint.interval (0 or more than the interval: as
 * often as that) by the clock on the wall. It goes over /user, some users at a time so that nobody
 * waits: checkpoints older than the interval are deleted, and Current becomes a checkpoint. Both
 * are ordinary records of the journal; a namenode that dies goes on with the next round. No round
 * in safe mode. */
#ifndef QUERN_NAMENODE_EMPTIER_H
#define QUERN_NAMENODE_EMPTIER_H

#include "libcommon/base/path.h"
#include "libcommon/event/loop.h"

struct namenode;

struct nn_emptier {
    struct namenode *nn;
    struct loop_timer timer;
    uint64_t interval_ms, period_ms;
    char now[16], before[16];      /* stamps of the round */
    char user[NAME_MAX_BYTES + 1]; /* done last; "" = none */
    bool is_round;
};

/* With an interval of 0 it does nothing. ERR_NOMEM. */
int nn_emptier_start(struct nn_emptier *emptier, struct namenode *nn, uint64_t interval_ms,
                     uint64_t period_ms);
void nn_emptier_stop(struct nn_emptier *emptier);

#endif
