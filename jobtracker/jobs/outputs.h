/* SPDX-License-Identifier: Apache-2.0
 * outputs: which worker holds which map output, and who has been told. Pure; part of the core. */
#ifndef QUERN_JOBTRACKER_JOBS_OUTPUTS_H
#define QUERN_JOBTRACKER_JOBS_OUTPUTS_H

#include "jobtracker/jobs/core.h"

/* The stages, a bit each, that feed others and whose outputs are all placed. */
uint32_t jt_outputs_complete(const struct jt_job *job);
/* Tell one worker what it has not been told yet. */
void jt_outputs_tell(struct jt_core *core, struct jt_link *link);
/* Jobs with many fetching workers: what these have not been told since the last tick. */
void jt_outputs_tell_untold(struct jt_core *core);
/* The winner of a task that feeds holds its output. 0, or ERR_NOMEM. */
int jt_output_place(struct jt_core *core, struct jt_attempt *attempt);
/* A done task whose output is gone runs again, if somebody still needs it; and what that would
 * fetch, if it is gone, too. */
void jt_output_lose(struct jt_core *core, struct jt_task *task);

#endif
