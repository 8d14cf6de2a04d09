/* SPDX-License-Identifier: Apache-2.0
 * endings: a job is over. Its END goes to the journal, people are told once that is on disk, and
 * its history follows a moment later, with that of the other jobs that ended meanwhile. Until then
 * the job's records stay in the journal, so a next life that finds an END without a history writes
 * it from those. Loop thread only. */
#ifndef QUERN_JOBTRACKER_ENDINGS_H
#define QUERN_JOBTRACKER_ENDINGS_H

#include "jobtracker/jobtracker.h"

/* The core says it is over. */
void endings_begin(struct jobtracker *jt, struct jt_job *job);
/* Replay: it was over in an earlier life, at this record of the journal, and has no history. */
void endings_resume(struct jobtracker *jt, struct jt_job *job, uint64_t end_index,
                    uint64_t wall_ms);
/* The journal has moved on: history of what has ended may be written. */
void endings_durable(struct jobtracker *jt);
/* Those nobody watches leave memory, oldest first: more than are kept, or over before then. */
void endings_forget(struct jobtracker *jt, uint64_t before_wall_ms);
/* No further history is begun. */
void endings_stop(struct jobtracker *jt);

#endif
