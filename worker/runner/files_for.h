/* SPDX-License-Identifier: Apache-2.0
 * files_for: which filesystem a job's files are in: local files without a fs_uri, else the
 * cluster's, one connection per process, opened with the first file. */
#ifndef QUERN_WORKER_RUNNER_FILES_FOR_H
#define QUERN_WORKER_RUNNER_FILES_FOR_H

#include "libcommon/proto/task/messages.h"
#include "worker/run/files.h"

/* NULL with err. Lives as long as the process. */
struct files *files_for(const struct task_run *run, struct err *err);
/* Connect while nobody waits for this process, if its tasks have opened no file yet: a reduce
 * after them will. Without waiting for a namenode that is down. */
void files_for_next(void);

#endif
