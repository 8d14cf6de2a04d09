/* SPDX-License-Identifier: Apache-2.0
 * clients: answers what clients ask (proto/cl_jt). A submission is answered, and its job begins,
 * once its SUBMIT record is durable; an end is told once its END record is. */
#ifndef QUERN_JOBTRACKER_SERVE_CLIENTS_H
#define QUERN_JOBTRACKER_SERVE_CLIENTS_H

#include "jobtracker/record.h"

extern rpc_handler *const clients_handlers[CL2JT_METHOD_COUNT];

/* NULL: not in memory; it may be in the history. */
struct record *clients_find(const struct jobtracker *jt, const struct cl2jt_job *id);
/* Is the caller the owner of a job, or who runs the jobtracker? */
bool clients_may_change(const struct jobtracker *jt, const struct rpc_call *call,
                        struct slice owner);
void clients_no_such_job(struct rpc_call *call, const struct cl2jt_job *id);

/* Records up to this index are on disk. */
void clients_durable(struct jobtracker *jt, uint64_t durable);
/* What there is to say of a job now. Its end is not told before it is durable: it looks as if it
 * were still committing. */
void clients_answer_status(const struct jobtracker *jt, const struct record *record,
                           struct rpc_call *call);
/* Drop all that waits: the process ends. */
void clients_release(struct jobtracker *jt);

#endif
