/* SPDX-License-Identifier: Apache-2.0
 * counters: a job's counters in Hadoop's groups, under Hadoop's names and in its order: what its
 * tasks counted, and what is told of its stages and their account. Only what is known is shown:
 * nothing is made up to fill a group. */
#ifndef QUERN_CLIENT_JOB_COUNTERS_H
#define QUERN_CLIENT_JOB_COUNTERS_H

#include "libcommon/proto/cl_jt/messages.h"

#define JOB_COUNTERS_OWN 24U /* made of a job's stages, at most */

/* In the arena; names borrow from the status. 0 or ERR_NOMEM. */
int job_counters(const struct cl2jt_status *status, struct arena *arena,
                 struct msg_counter_list *ret);
/* One of them, by the names it is shown under (a space behind them may be missing), or by those of
 * Hadoop's classes: org.apache.hadoop.mapreduce.TaskCounter MAP_INPUT_RECORDS. 0: there is none. */
uint64_t job_counters_value(const struct msg_counter_list *list, const char *group,
                            const char *name);

#endif
