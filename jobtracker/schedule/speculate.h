/* SPDX-License-Identifier: Apache-2.0
 * speculate: notice a straggler, and run a second copy of its task elsewhere. Pure.
 *
 * After 75 % of a stage, or when one task is left of it: an attempt that should have ended and has
 * a third of the others' median rate (bytes per second), or is half as old again and has two thirds
 * of it, gets one copy on another node, at most 10 % of the stage's tasks at a time. Where no byte
 * is counted it does when it is a third as old again. A task that is merely big has a healthy rate
 * and is never copied. A worker with three slow attempts is a slow node: both limits are waived for
 * its attempts.
 */
#ifndef QUERN_JOBTRACKER_SCHEDULE_SPECULATE_H
#define QUERN_JOBTRACKER_SCHEDULE_SPECULATE_H

#include "jobtracker/jobs/core.h"

/* Remember how fast a finished attempt was. */
void jt_speculate_note(struct jt_stage *stage, const struct jt_attempt *attempt);
/* Launch copies in the stages that are due. */
void jt_speculate(struct jt_core *core);
/* Is this attempt slow against the finished ones of its stage? For tests and status. */
bool jt_attempt_is_slow(const struct jt_attempt *attempt, uint64_t now_ms);

#endif
