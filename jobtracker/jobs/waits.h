/* SPDX-License-Identifier: Apache-2.0
 * waits: why nothing of a job runs, for whoever asks how it fares. Pure. Walks the workers. */
#ifndef QUERN_JOBTRACKER_JOBS_WAITS_H
#define QUERN_JOBTRACKER_JOBS_WAITS_H

#include "jobtracker/jobs/core.h"

/* One line in `out`, with the setting that would do where one would; NULL: something of it runs, or
 * will in a moment. */
const char *jt_waits_for(const struct jt_core *core, const struct jt_job *job, char *out,
                         size_t cap);

#endif
