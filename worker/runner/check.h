/* SPDX-License-Identifier: Apache-2.0
 * check: `quern-task -check`: a job's own .check, with the plugin, the settings, the names of side
 * files and the paths of inputs in the task_run on stdin, before the job is submitted. Exits 0, or
 * 1 with the reason on stderr. */
#ifndef QUERN_WORKER_RUNNER_CHECK_H
#define QUERN_WORKER_RUNNER_CHECK_H

_Noreturn void check_main(void);

#endif
