/* SPDX-License-Identifier: Apache-2.0
 * preempt: what waits must not hold the core that what it waits for needs. A map that must run
 * again, or whose attempt is a straggler, may find every core held by reduces of its own job that
 * wait for its output: the youngest of them makes room, on a node where the map may run. Pure. */
#ifndef QUERN_JOBTRACKER_SCHEDULE_PREEMPT_H
#define QUERN_JOBTRACKER_SCHEDULE_PREEMPT_H

#include "jobtracker/jobs/core.h"

/* Maps that have waited for preempt_ms get room: at most one of a job per call. */
void jt_preempt_cornered(struct jt_core *core);
/* A worker that can take a second attempt of this straggler now, because reduces that wait for it
 * gave way there; NULL: none can. Launch at once: the room is nobody's. */
struct jt_worker *jt_preempt_for_copy(struct jt_core *core, const struct jt_attempt *straggler);

#endif
