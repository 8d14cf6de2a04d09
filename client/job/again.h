/* SPDX-License-Identifier: Apache-2.0
 * again: `quern job -replay ID -task T [-gdb]`: fetches what a task of a job that failed was run
 * with - plugin, settings, side files, its part of the input - into a directory of its own, and
 * hands it to quern-task, which runs it alone in the foreground. */
#ifndef QUERN_CLIENT_JOB_AGAIN_H
#define QUERN_CLIENT_JOB_AGAIN_H

#include "libcommon/base/conf.h"
#include "libcommon/proto/cl_jt/messages.h"
#include "libcommon/wire/chan.h"

struct job_again {
    struct cl2jt_job id;
    const char *task; /* "m12", "r3" */
    bool with_gdb;
    bool only_record; /* of a map: only the record it failed on */
    const struct conf *conf;
};

/* Becomes quern-task; returns only when that failed: a negative code. */
int job_again(struct chan *chan, const struct job_again *what, struct arena *arena,
              struct err *err);

#endif
