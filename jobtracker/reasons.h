/* SPDX-License-Identifier: Apache-2.0
 * reasons: from what a finished job's attempts recorded to explain()'s question, and its findings
 * into the record. */
#ifndef QUERN_JOBTRACKER_REASONS_H
#define QUERN_JOBTRACKER_REASONS_H

#include "jobtracker/record.h"

/* Fill record->findings; after record_finish. Without memory there are none. */
void reasons_find(const struct jobtracker *jt, struct record *record);

#endif
