/* SPDX-License-Identifier: Apache-2.0
 * twin: a process like this one, made by a fork, whose parent is not we but our own parent. A task
 * process takes milliseconds to execute and link; one that has done so and never runs a task can
 * make others in a tenth of that, and they are the worker's children as if it had started them. */
#ifndef QUERN_WORKER_RUNNER_TWIN_H
#define QUERN_WORKER_RUNNER_TWIN_H

#include <sys/types.h>

#include "libcommon/base/err.h"

/* As fork: 0 in the twin, its pid here, or a negative error (ERR_UNSUPPORTED: not on this system,
 * or not in this build). The process must have one thread. What a fork loses (the signal that comes
 * when the parent dies) is for the caller to set again. */
pid_t twin_fork(void);
/* The same, with `fd` as descriptor `as`, in a process group of its own. */
pid_t twin_fork_with(int fd, int as);

#endif
