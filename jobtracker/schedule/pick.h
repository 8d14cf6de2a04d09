/* SPDX-License-Identifier: Apache-2.0
 * pick: which task runs where. Pure.
 *
 * Jobs in order of priority, then age. Inside a job a stage that fetches from another gets workers
 * only once that one is wholly handed out, so that nothing waits for what it displaces. A place is
 * chosen by locality: a task whose input is on the worker's node; then, after the job has declined
 * long enough (delay scheduling), one from its rack; then any. */
#ifndef QUERN_JOBTRACKER_SCHEDULE_PICK_H
#define QUERN_JOBTRACKER_SCHEDULE_PICK_H

#include "jobtracker/jobs/core.h"

/* Fill every free core that has work for it. Cost: O(free workers x active jobs + launches). */
void jt_schedule(struct jt_core *core);
/* Is there a worker, busy as it may be now, on which the task has not failed and might run? */
bool jt_has_elsewhere(const struct jt_core *core, const struct jt_task *task);

#endif
