/* SPDX-License-Identifier: Apache-2.0
 * local: a job without any cluster: the command line for quern-task -local, which runs the same
 * map, run and reduce objects in a process tree over local files. */
#ifndef QUERN_CLIENT_JOB_LOCAL_H
#define QUERN_CLIENT_JOB_LOCAL_H

#include "client/job/plugin.h"
#include "client/job/run_args.h"
#include "libcommon/proto/types/messages.h"

/* All borrowed. */
struct job_local {
    const struct run_args *args;
    const struct conf *conf;
    const struct job_plugin *plugin;
    const struct input_paths *paths;
    const struct msg_pair_list *settings;
    const struct task_side_list *sides;
};

/* Replaces this process; returns only an exit code when that fails (err is filled). */
int job_run_local(const struct job_local *job, struct err *err);

#endif
