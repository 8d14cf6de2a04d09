/* SPDX-License-Identifier: Apache-2.0
 * task_child: what only a process that loads the plugin can tell, asked of a quern-task of our own:
 * a plugin that crashes or prints hurts nobody. */
#ifndef QUERN_CLIENT_JOB_TASK_CHILD_H
#define QUERN_CLIENT_JOB_TASK_CHILD_H

#include "libcommon/base/buf.h"

struct task_child {
    const char *option; /* -probe */
    const char *plugin; /* NULL: it is in the input */
    struct slice input; /* on its stdin */
    const char *doing;  /* "while it was loaded": for the message about a crash */
    const char *name;   /* the plugin's, for messages */
};

/* Runs to its end; what it prints on stdout goes into `out`. ERR_PLUGIN with the first line it said
 * on stderr, when it failed. */
int task_child_ask(const struct task_child *child, struct buf *out, struct err *err);

#endif
