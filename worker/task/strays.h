/* SPDX-License-Identifier: Apache-2.0
 * strays: processes that a job's code has started and left behind. A process group does not hold
 * them: setsid() is enough to leave it. So the task process, and the worker or the local driver
 * above it, adopt the orphans below them, and what is nobody's known child is killed.
 *
 *   task process   has no children of its own: after an attempt, all of them are strays
 *   worker         knows its runners; when one ends, what it leaves becomes a child here
 *
 * A worker that was killed can do nothing of it: its next life knows them by a mark that is handed
 * down, whatever they clear, close, leave and execute: a limit of file locks that nobody else has.
 * Only one that lowers its own is not known again (where there are control groups, task/fence finds
 * it, too). */
#ifndef QUERN_WORKER_TASK_STRAYS_H
#define QUERN_WORKER_TASK_STRAYS_H

#include <sys/types.h>

#include "libcommon/base/err.h"

/* Orphans below this process become its children from now on. */
void strays_adopt(void);

/* Is this child one that belongs here? */
typedef bool strays_known_fn(const void *arg, pid_t pid);

/* Kill and collect all children that are not known (NULL: none is). Returns how many are left:
 * those that are still dying, and what they leave; call it again after a moment. */
size_t strays_kill(strays_known_fn *is_known, const void *arg);
/* ... until none is left (true), or for so long. */
bool strays_end(strays_known_fn *is_known, const void *arg, unsigned most_ms);

/* Does a thread run in this process that is neither the main one nor the client library's? */
bool strays_has_threads(void);

/* This process and every one it starts from now on carry the mark of `id`, for good. ERR_NOTPERM:
 * it has a lower limit of file locks already, a task's or its user's, and may not raise it. */
int strays_mark(const char *id);
bool strays_is_marked(pid_t pid, const char *id);
/* Kill all others that carry it: an earlier life's. Returns how many there were. */
size_t strays_end_marked(const char *id);

#endif
