/* SPDX-License-Identifier: Apache-2.0
 * check: is what somebody typed what the job wants? Asked of its own .check, in a quern-task of
 * ours, before anything is asked of a cluster: what is wrong is told once, not by every task. */
#ifndef QUERN_CLIENT_JOB_CHECK_H
#define QUERN_CLIENT_JOB_CHECK_H

#include "client/job/plugin.h"
#include "client/job/sides.h"
#include "client/lib/input_paths.h"

/* How a job is called. */
struct job_call {
    struct msg_pair_list settings;
    const struct input_paths *paths; /* NULL: it has none of its own */
    const struct task_side_list *sides;
};
/* Costs a process, if the job has a .check. ERR_CONFIG with the job's own words. */
int job_check(const struct job_plugin *plugin, const struct job_call *call, struct err *err);

/* The same, as `quern job test` and `check` are told it. ERR_USAGE, too: inputs that are none of
 * the job's, side files that are not there. */
struct job_words {
    const char *const *passed; /* -D, -file, -input and their values */
    size_t passed_count;
    const char *const *inputs;
    size_t input_count;
};
int job_check_words(const struct job_plugin *plugin, const struct job_words *words,
                    struct err *err);

#endif
