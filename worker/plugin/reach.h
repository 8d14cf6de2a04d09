/* SPDX-License-Identifier: Apache-2.0
 * reach: can a plugin's code change anything of its process but memory it gives back? Told from the
 * functions it imports, before any of it runs: whoever calls none but those that compute, allocate
 * and print leaves no signal handler, timer, thread, child, descriptor, environment or file behind,
 * and nobody need look for them after each of its tasks (runner/tidy, task/strays).
 *
 * It is a list of what is harmless, not of what is not: a function or a library that is not on it
 * makes the answer no. Machine code that asks the kernel itself is not seen; what such a job leaves
 * behind it leaves to its own tasks only, for no process serves two jobs. */
#ifndef QUERN_WORKER_PLUGIN_REACH_H
#define QUERN_WORKER_PLUGIN_REACH_H

#include <stdbool.h>

/* `handle` is dlopen's. */
bool reach_is_memory(void *handle);

#endif
