/* SPDX-License-Identifier: Apache-2.0
 * check: are the options that somebody set what the job wants? Asked of its own .check, in a
 * quern-task of ours, before anything is asked of a cluster: what is wrong is told once, not by
 * every task. */
#ifndef QUERN_CLIENT_JOB_CHECK_H
#define QUERN_CLIENT_JOB_CHECK_H

#include "client/job/plugin.h"

/* Costs a process, if the job has a .check and one of its options is among the settings. ERR_CONFIG
 * with the job's own words. */
int job_check(const struct job_plugin *plugin, const struct msg_pair_list *settings,
              struct err *err);

/* The same with the settings among a command's words: -D key=value, -Dkey=value. */
int job_check_words(const struct job_plugin *plugin, const char *const *words, size_t count,
                    struct err *err);

#endif
