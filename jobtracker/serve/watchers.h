/* SPDX-License-Identifier: Apache-2.0
 * watchers: clients whose question about a job is answered when there is news: its progress now and
 * then, its end as soon as that is durable. Nobody is looked at because some other job has news:
 * those that hear of progress stand in a heap by when they may be told next, and a job's end finds
 * its own. */
#ifndef QUERN_JOBTRACKER_SERVE_WATCHERS_H
#define QUERN_JOBTRACKER_SERVE_WATCHERS_H

#include "jobtracker/record.h"

/* Takes the call when it answers 0; ERR_NOMEM leaves it to the caller. */
int watchers_add(struct jobtracker *jt, struct record *record, struct rpc_call *call,
                 const struct cl2jt_watch *ask);
/* ... one that wants to hear that the job is over, and no more. */
int watchers_add_kill(struct jobtracker *jt, struct record *record, struct rpc_call *call);
bool watchers_may_hear_end(const struct jobtracker *jt, const struct record *record);
/* Time passed: those whose job has news, or whose patience ends. */
void watchers_tell_due(struct jobtracker *jt);
/* Those of a job of which they may hear now that it is over. */
void watchers_tell_end(struct jobtracker *jt, struct record *record);
/* Records up to this index are on disk: those of jobs that ended there. */
void watchers_tell_ended(struct jobtracker *jt, uint64_t durable);
/* Drop all that waits: the process ends. */
void watchers_release(struct jobtracker *jt);

#endif
