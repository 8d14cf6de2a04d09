/* SPDX-License-Identifier: Apache-2.0
 * packing: which partitions each task of a packed stage reads. Decided once, when all of them are
 * made: from the bytes that went into them before combining, which are the same whatever ran where,
 * when and how often. The decision is in the journal before anything follows from it. */
#ifndef QUERN_JOBTRACKER_PACKING_H
#define QUERN_JOBTRACKER_PACKING_H

#include "jobtracker/jobtracker.h"

/* JT_PACK: decide, and tell the core. */
void packing_decide(struct jobtracker *jt, struct jt_stage *stage);
/* What the journal has of it. 0, or ERR_CORRUPT, ERR_NOMEM. */
int packing_resume(struct jobtracker *jt, struct jt_job *job, const struct joblog_packed *packed);
/* Was the number of its tasks said when the job was submitted? */
bool packing_is_fixed(const struct jt_stage *stage);
/* The partitions a task of a stage reads: of a packed one what was decided, else its own. In the
 * arena; 0 or ERR_NOMEM. */
int packing_of_task(const struct jt_task *task, struct arena *arena, struct msg_u64s *ret);

#endif
