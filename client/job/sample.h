/* SPDX-License-Identifier: Apache-2.0
 * sample: the keys a job makes of a little of its input, brought to the jobtracker as one more side
 * file: maps cut the reducers' ranges by them (QN_BY_RANGE). */
#ifndef QUERN_CLIENT_JOB_SAMPLE_H
#define QUERN_CLIENT_JOB_SAMPLE_H

#include "client/job/inputs.h"

struct job_sample {
    const char *plugin;                   /* path */
    const struct msg_pair_list *settings; /* the job's */
    const struct task_side_list *sides;
    const struct job_inputs *inputs;
    const char *fs_uri, *conf_file; /* conf_file: NULL = the usual one */
    const struct conf *conf;
};

/* Runs the maps over a few stretches of the input, here and now. `ret` is what the side file
 * TASK_SIDE_RANGES holds. */
int job_sample_take(const struct job_sample *sample, struct buf *ret, struct err *err);

#endif
