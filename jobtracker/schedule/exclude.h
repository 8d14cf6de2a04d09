/* SPDX-License-Identifier: Apache-2.0
 * exclude: nodes where what goes well elsewhere keeps failing get no tasks for a while. Pure.
 *
 * A job that breaks is no evidence against a node, so what counts is a task that failed on a node
 * (or whose output rotted there) and was then done on another: once a job, and nothing having been
 * done there in between. After EXCLUDE_JOBS such jobs the node is left out for exclude_ms, the next
 * times for twice as long each, up to EXCLUDE_TIMES. It comes back by itself, on trial: one more
 * such job and it is out again, one task done and all is forgotten. So does one that registers
 * anew. Never more than a third of the live ones are out. What it runs, runs on; what it holds is
 * fetched. */
#ifndef QUERN_JOBTRACKER_SCHEDULE_EXCLUDE_H
#define QUERN_JOBTRACKER_SCHEDULE_EXCLUDE_H

#include "jobtracker/jobs/core.h"

#define EXCLUDE_JOBS  3
#define EXCLUDE_TIMES 8 /* exclude_ms, at most */

/* The task has just been done: who failed it may be at fault, and who did it is not. */
void jt_exclude_note(struct jt_core *core, const struct jt_task *task);
/* Nothing can begin there before it registers anew. The last one stays in, for jobs to fail on and
 * say why. */
void jt_exclude_for_good(struct jt_core *core, struct jt_worker *worker);
/* Whose time is over may take tasks again. */
void jt_exclude_end(struct jt_core *core);

#endif
