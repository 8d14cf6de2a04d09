/* SPDX-License-Identifier: Apache-2.0
 * attempts: single attempts of a job, by their ids, and its settings, as Hadoop's `mapred job` has
 * them: -kill-task, -fail-task, -list-attempt-ids, -config. */
#ifndef QUERN_CLIENT_JOB_ATTEMPTS_H
#define QUERN_CLIENT_JOB_ATTEMPTS_H

#include <stdio.h>

#include "libcommon/base/conf.h"
#include "libcommon/proto/cl_jt/messages.h"
#include "libcommon/wire/chan.h"

/* End the attempt attempt_1700000000000_0017_m_000012_0; its task runs again. `fails`: it has used
 * up one of its tries. */
int job_attempt_stop(struct chan *chan, const char *attempt, bool fails, struct err *err);

/* `kind` MAP or REDUCE, `state` running, completed, failed, killed or pending, in letters of any
 * size. An id a line; none is pending, as only tasks wait. */
int job_attempts_list(struct chan *chan, const struct cl2jt_job *id, const char *kind,
                      const char *state, struct err *err);

/* What the job was submitted with, as Hadoop's job.xml: to `path`, or "-". */
int job_settings_write(struct chan *chan, const struct cl2jt_job *id, const char *path,
                       struct err *err);

#endif
