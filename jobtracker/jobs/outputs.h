/* SPDX-License-Identifier: Apache-2.0
 * outputs: which worker holds which map output, and who has been told. Pure; part of the core. */
#ifndef QUERN_JOBTRACKER_JOBS_OUTPUTS_H
#define QUERN_JOBTRACKER_JOBS_OUTPUTS_H

#include "jobtracker/jobs/core.h"

/* Tell one worker what it has not been told yet. */
void jt_outputs_tell(struct jt_core *core, struct jt_link *link);
/* Reducing workers want the places of outputs; holding workers want to know that all maps are done
 * and their streams may end. */
void jt_outputs_tell_all(struct jt_core *core, struct jt_job *job);
/* A map's winner holds its output. 0, or ERR_NOMEM. */
int jt_output_place(struct jt_core *core, struct jt_attempt *attempt);
/* A done task whose output is gone runs again, if somebody still needs it. */
void jt_output_lose(struct jt_core *core, struct jt_task *task);

#endif
