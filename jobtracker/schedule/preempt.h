/* SPDX-License-Identifier: Apache-2.0
 * preempt: a map that must run again may find every core held by reduces that wait for its output.
 * After preempt_ms the youngest of them makes room. Pure. */
#ifndef QUERN_JOBTRACKER_SCHEDULE_PREEMPT_H
#define QUERN_JOBTRACKER_SCHEDULE_PREEMPT_H

#include "jobtracker/jobs/core.h"

/* At most one reduce of the job per call. */
void jt_preempt(struct jt_core *core, struct jt_job *job);

#endif
