/* SPDX-License-Identifier: Apache-2.0
 * settle: what follows from any event. Pure; part of the core, for events. */
#ifndef QUERN_JOBTRACKER_EVENTS_SETTLE_H
#define QUERN_JOBTRACKER_EVENTS_SETTLE_H

#include "jobtracker/jobs/core.h"

/* Begin the stages that may; publish the job when all are done. */
void jt_advance(struct jt_core *core, struct jt_job *job);
/* Every event ends with this. job: the one it concerned, or NULL. */
void jt_settle(struct jt_core *core, struct jt_job *job);
/* Other jobs of the queue may run, if it has room for some. */
void jt_admit(struct jt_core *core, struct jt_queue *queue);
/* The job is over: kills what runs, tells its workers. why: copied, may be NULL. */
void jt_job_end(struct jt_core *core, struct jt_job *job, enum jt_job_state state, const char *why);

#endif
