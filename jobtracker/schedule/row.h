/* SPDX-License-Identifier: Apache-2.0
 * row: short tasks, several at a time. Pure.
 *
 * A task of microseconds costs less than telling a worker of it. Where the last tasks of a stage
 * were all short, a core is given a row of them: the first takes the core and its memory, those
 * behind it take nothing, are told in the same order, and run one after another in the same
 * process. Whoever ends, however it ends, leaves the core to the one behind. Each is an attempt of
 * its own in every other way; what its worker has not begun it may give back (JT_FAULT_NONE), as it
 * does when one of the row turns out long.
 *
 * A stage begins with rows of one. One task that is not short, or a row given back, and it begins
 * again. */
#ifndef QUERN_JOBTRACKER_SCHEDULE_ROW_H
#define QUERN_JOBTRACKER_SCHEDULE_ROW_H

#include "jobtracker/jobs/core.h"

#define JT_ROW_MAX    32   /* attempts */
#define JT_ROW_US     2000 /* of work in one, as the last tasks tell */
#define JT_ROW_PROVEN 8    /* short tasks without a long one between them, before there are rows */

/* How many attempts a core may be given at once now. Never so many that other cores would find
 * nothing: the more is left, the more. */
uint32_t jt_row_size(const struct jt_stage *stage, const struct jt_fleet *fleet);
/* One of the stage is done; or one was given back (NULL). */
void jt_row_note(struct jt_stage *stage, const struct jt_progress *progress);
/* Put as many behind an attempt that has just begun as there may be, from no worse a place. */
void jt_row_extend(struct jt_core *core, struct jt_attempt *front, enum jt_locality level);

#endif
