/* SPDX-License-Identifier: Apache-2.0
 * sample: where a job's reducers get ranges of keys, the local driver takes the sample that cuts
 * them, and gives it to the tasks as one more side file. */
#ifndef QUERN_WORKER_LOCAL_SAMPLE_H
#define QUERN_WORKER_LOCAL_SAMPLE_H

#include "worker/local/job.h"

/* Nothing to do for other jobs, and for one reducer. The job is planned. */
int sample_for_job(struct job *job, size_t file_count, struct err *err);

#endif
