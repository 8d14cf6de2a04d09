/* SPDX-License-Identifier: Apache-2.0
 * account: what a job's attempts recorded, for people: where the time went, what moved on each
 * arrow, what is known of the keys, and when what ran where. */
#ifndef QUERN_CLIENT_JOB_ACCOUNT_H
#define QUERN_CLIENT_JOB_ACCOUNT_H

#include <stdio.h>

#include "libcommon/proto/cl_jt/messages.h"
#include "libcommon/wire/chan.h"

/* All rows of a job; lists live in `arena`. 0, or what the jobtracker answered. */
int job_account_ask(struct chan *chan, const struct cl2jt_job *id, struct arena *arena,
                    struct cl2jt_attempts *ret, struct err *err);

/* Time, arrows and keys: for -status. */
void job_account_show(FILE *out, const struct cl2jt_status *status,
                      const struct cl2jt_attempts *rows);
/* A line an attempt, or, when they are many, two a node; then the slowest ones: for -history. */
void job_account_timeline(FILE *out, const struct cl2jt_status *status,
                          const struct cl2jt_attempts *rows);

#endif
