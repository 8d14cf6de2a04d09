/* SPDX-License-Identifier: Apache-2.0
 * pick: which task runs where. Pure.
 *
 * A worker that gained room is offered to the jobs, in the order of jobs/queues. A stage that
 * gained tasks, or declines less than before, is shown the workers that are still free. Nothing
 * else can make a pair of the two, so nothing else is looked at: each of these asks at most so many
 * of the other side (LOOKS), and what that leaves open is gone on with at the next tick.
 *
 * Inside a job a stage that fetches from another gets workers only once that one is wholly handed
 * out, so that nothing waits for what it displaces. A place is chosen by locality: a task whose
 * input is on the worker's node; then, after the job has declined long enough (delay scheduling),
 * one from its rack; then any. */
#ifndef QUERN_JOBTRACKER_SCHEDULE_PICK_H
#define QUERN_JOBTRACKER_SCHEDULE_PICK_H

#include "jobtracker/jobs/core.h"

/* Offer whoever gained room, and find workers for every stage in core.matching. Cost: O(log jobs)
 * for each worker and stage there, and for each task begun. */
void jt_schedule(struct jt_core *core);
/* Free workers are to be found for what waits in any of the job's stages. */
void jt_match_all(struct jt_core *core, struct jt_job *job);
/* A tick: delays may have run out, and there may be room for what found none. */
void jt_schedule_again(struct jt_core *core);

/* Is there a worker, busy as it may be now, on which the task has not failed and might run? */
bool jt_has_elsewhere(struct jt_core *core, const struct jt_task *task);
/* The job failed there once more: it may get no more of it. */
void jt_shun(struct jt_core *core, struct jt_job *job, struct jt_worker *worker);
/* The worker is another one now: nobody shuns it. */
void jt_forgive(struct jt_worker *worker);

#endif
