/* SPDX-License-Identifier: Apache-2.0
 * settings: a job's -D keys, checked before anything is submitted: the engine's own, the plugin's
 * options, Hadoop's that mean nothing here (told once). Anything else is an error that names the
 * near key. */
#ifndef QUERN_CLIENT_JOB_SETTINGS_H
#define QUERN_CLIENT_JOB_SETTINGS_H

#include "libcommon/base/conf.h"
#include "libcommon/daemon/config.h"
#include "libcommon/proto/task/probe.h"
#include "libcommon/proto/types/messages.h"

/* The pairs that travel with the job, in order of key; they live in the arena. */
int job_settings(const struct conf *conf, const struct config_foreign *foreign,
                 const struct task_probe *probe, struct arena *arena, struct msg_pair_list *ret,
                 struct err *err);
/* For a job that takes any key (streaming's go into the environment): a line on stderr for each
 * that is a slip away from a key that means something. */
void job_settings_doubt(const struct conf *conf, const struct config_foreign *foreign,
                        const struct task_probe *probe, struct arena *arena);

#endif
