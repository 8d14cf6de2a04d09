/* SPDX-License-Identifier: Apache-2.0
 * queueing: the queues as the configuration has them (jobtracker.queues), and what of them stands
 * in the way of a submission. What they mean is jobs/queues. */
#ifndef QUERN_JOBTRACKER_QUEUEING_H
#define QUERN_JOBTRACKER_QUEUEING_H

#include "jobtracker/jobtracker.h"

/* Read them, at the start and whenever the configuration is read again; what a mistake is in stays
 * as it was. ERR_CONFIG says which queue and which word. */
int queueing_configure(struct jt_queues *queues, const struct conf *conf, struct err *err);
/* May a job be submitted there? ERR_NOENT names the queues there are, ERR_LIMIT says how full it
 * is. */
int queueing_check(const struct jt_queues *queues, struct slice name, struct err *err);
/* For a client; slices borrow from the core and `arena`. 0 or ERR_NOMEM. */
int queueing_describe(struct jobtracker *jt, struct arena *arena, struct cl2jt_queues *ret);

#endif
