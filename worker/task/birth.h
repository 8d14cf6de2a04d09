/* SPDX-License-Identifier: Apache-2.0
 * birth: how a task process comes to be. One that was executed and linked and never runs a task,
 * the template, makes the others by a fork (worker/runner/twin): that takes a tenth of what an exec
 * takes, and they share its pages. They are our children, not its own. Without a template, which is
 * made anew when it has ended, each is forked and executed by us. Loop thread only. */
#ifndef QUERN_WORKER_TASK_BIRTH_H
#define QUERN_WORKER_TASK_BIRTH_H

#include <sys/types.h>

#include "libcommon/base/err.h"

struct birth {
    const char *program; /* borrowed: path of quern-task */
    pid_t pid;           /* of the template; 0 = none */
    int fd;              /* our end of its socket */
    uint32_t failures;   /* of templates, since one did what it was asked */
};

/* Start the template, so that it is ready when a process is wanted. That it cannot be is no error.
 */
void birth_open(struct birth *birth, const char *program);
/* A process whose descriptor 3 is `fd`, which is borrowed, in a process group of its own; its pid,
 * or 0 with err. Waits for the template, two seconds at the most. */
pid_t birth_make(struct birth *birth, int fd, struct err *err);
void birth_close(struct birth *birth);

#endif
