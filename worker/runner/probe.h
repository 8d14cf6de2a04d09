/* SPDX-License-Identifier: Apache-2.0
 * probe: `quern-task -probe [-json] PLUGIN`: load a plugin, check it, print what it is
 * (proto/task/probe) and exit. Exit code 0, or 1 with the line for the user on stderr. */
#ifndef QUERN_WORKER_RUNNER_PROBE_H
#define QUERN_WORKER_RUNNER_PROBE_H

#include "libcommon/base/mem.h"
#include "libcommon/proto/task/probe.h"

int probe_main(int argc, char **argv);

/* Ask a child process that does it; strings and lists live in the arena. The plugin's own code (its
 * constructors) runs in that child only. ERR_PLUGIN, also when it crashes or hangs. */
int probe_in_child(const char *plugin, struct arena *arena, struct task_probe *ret,
                   struct err *err);

#endif
