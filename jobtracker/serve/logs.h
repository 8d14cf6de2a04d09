/* SPDX-License-Identifier: Apache-2.0
 * logs: what an attempt wrote. Live logs lie on the worker, which is asked; those of failed
 * attempts were copied beside the job's history when the attempt failed. */
#ifndef QUERN_JOBTRACKER_SERVE_LOGS_H
#define QUERN_JOBTRACKER_SERVE_LOGS_H

#include "jobtracker/record.h"

/* Answers `call`, now or later. record NULL: the job is history. */
void logs_answer(struct jobtracker *jt, struct rpc_call *call, const struct cl2jt_logs *ask,
                 struct record *record);

#endif
