/* SPDX-License-Identifier: Apache-2.0
 * sample: the keys that a job's maps make of a little of its input (map/ranges). A map task like
 * others, in a process of its own: whoever wants the sample loads no plugin. */
#ifndef QUERN_WORKER_RUNNER_SAMPLE_H
#define QUERN_WORKER_RUNNER_SAMPLE_H

#include "libcommon/proto/task/messages.h"

/* `quern-task -sample`: an encoded task_run of kind TASK_SAMPLE on stdin, the sample on stdout. The
 * exit code; what failed is one line on stderr. */
int sample_main(void);

/* The same in a child of this process, into the file `path`. */
int sample_in_child(const struct task_run *run, const char *path, struct err *err);

#endif
