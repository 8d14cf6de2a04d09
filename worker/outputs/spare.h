/* SPDX-License-Identifier: Apache-2.0
 * spare: memory files that held the map outputs of jobs that are over, kept for a while so that the
 * next outputs are written over them. Pages cost more to get from the kernel, and to give back,
 * than all else that is done with an output: a tenth of a gigabyte is copied into pages that are
 * there in a quarter of the time that new ones take where the machine has them at hand, and in a
 * tenth where a hypervisor has to find them first.
 *
 * What is in a file is its user's: no other user's task gets it. Whoever takes one cuts it to what
 * was written (its readers look for a run's end at the end of the file). The sum of lengths is a
 * part of what map outputs may take in memory; whoever deals that out trims the spares first.
 *
 * Loop thread only. */
#ifndef QUERN_WORKER_OUTPUTS_SPARE_H
#define QUERN_WORKER_OUTPUTS_SPARE_H

#include <sys/types.h>

#include "worker/outputs/leavings.h"

#define SPARES_MAX 256 /* they are looked through */

struct spare {
    int fd; /* -1 = none */
    uint64_t len;
    uid_t uid;
    uint64_t since_ms;
};

struct spares {
    struct spare v[SPARES_MAX]; /* oldest first */
    size_t count;
    uint64_t bytes;
    uint64_t keep_ms; /* 0: nothing is kept */
    struct leavings *leavings;
};

/* Borrows `leavings` until spares_release. */
void spares_init(struct spares *spares, uint64_t keep_ms, struct leavings *leavings);
void spares_release(struct spares *spares);

/* Takes the descriptor. */
void spares_put(struct spares *spares, const struct spare *spare);
/* One of this user's that is no longer than `most`: the shortest that holds `wanted` bytes, else
 * the longest; none that is much longer (SPARE_TIMES), as what is not written over is cut off and
 * lost. Its descriptor is the caller's. */
#define SPARE_TIMES 4
struct spare spares_take(struct spares *spares, uid_t uid, uint64_t wanted, uint64_t most);
/* The oldest go until no more than so many bytes are kept. */
void spares_trim(struct spares *spares, uint64_t bytes);
/* What has been kept long enough goes. */
void spares_expire(struct spares *spares, uint64_t now_ms);

#endif
