/* SPDX-License-Identifier: Apache-2.0
 * environment: what a command finds in its environment, as with Hadoop's streaming: every setting
 * of the job under its name, with underscores for what a variable's name cannot have, under the
 * names of before Hadoop 0.21 too; what -cmdenv says; and the task's directory, where side files
 * are, first in PATH: once an attempt. It becomes that of the task's own process, which has no
 * other use for its environment. */
#ifndef QUERN_JOBS_STREAM_ENVIRONMENT_H
#define QUERN_JOBS_STREAM_ENVIRONMENT_H

#include <quern/job.h>

/* 0, or -1 with errno. */
int environment_fill(struct qn_task *task);
/* What a mapper reads, told before each is started. */
int environment_fill_input(const struct qn_input *input);

#endif
