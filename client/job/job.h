/* SPDX-License-Identifier: Apache-2.0
 * job: `quern run` and `quern job`. Exit codes of run: 0 done, 1 the job failed, 2 usage, 3 killed,
 * 75 no cluster there (worth a retry), 130 interrupted (the job runs on). */
#ifndef QUERN_CLIENT_JOB_JOB_H
#define QUERN_CLIENT_JOB_JOB_H

#include "client/job/show.h"
#include "libcommon/wire/chan.h"

enum job_exit {
    JOB_EXIT_DONE = 0,
    JOB_EXIT_FAILED = 1,
    JOB_EXIT_USAGE = 2,
    JOB_EXIT_KILLED = 3,
    JOB_EXIT_NO_CLUSTER = 75,
    JOB_EXIT_INTERRUPTED = 130,
};

/* What a failure to reach or to be served means for scripts. */
int job_exit_of_error(int code);
/* The same before anything is asked of anybody: what was typed is wrong, be it a name. */
int job_exit_of_words(int code);
int job_exit_of_state(const struct cl2jt_status *status);

/* Follow a job to its end; `quiet` shows nothing meanwhile. Fills *ret (in `arena`) and returns its
 * exit code, or that of the failure (err is filled). */
int job_watch(struct chan *chan, const struct cl2jt_job *id, bool quiet, struct arena *arena,
              struct cl2jt_status *ret, struct err *err);

#endif
