/* SPDX-License-Identifier: Apache-2.0
 * replay: from the journal to running jobs. Jobs without an END are begun again; what they had
 * done counts, as far as its worker still holds it (events/events: jt_on_resumed). */
#ifndef QUERN_JOBTRACKER_REPLAY_H
#define QUERN_JOBTRACKER_REPLAY_H

#include "jobtracker/jobtracker.h"

/* Also writes this life's EPOCH record. */
int replay(struct jobtracker *jt, struct err *err);

#endif
