/* SPDX-License-Identifier: Apache-2.0
 * logs: what an attempt wrote. Live logs lie on the worker, which is asked; those of failed
 * attempts were copied beside the job's history when the attempt failed. */
#ifndef QUERN_JOBTRACKER_SERVE_LOGS_H
#define QUERN_JOBTRACKER_SERVE_LOGS_H

#include "jobtracker/record.h"

/* Answers `call`, now or later. record NULL: the job is history. */
void logs_answer(struct jobtracker *jt, struct rpc_call *call, const struct cl2jt_logs *ask,
                 struct record *record);

/* The attempt that `text` is the whole id of; or NULL. */
struct jt_attempt *logs_find_attempt(struct jt_job *job, struct slice text);

#endif
