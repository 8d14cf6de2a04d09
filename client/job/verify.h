/* SPDX-License-Identifier: Apache-2.0
 * verify: are the files of a job's output what its manifests say, byte for byte? Every file is
 * read.
 *
 * _MANIFEST lists the files of the job that made the output. Jobs that added to it have manifests
 * of their own, _MANIFEST-<job>, which are looked at in the order they were written: a later line
 * about a name counts, and what a job has replaced (its first line is CL2NN_MANIFEST_PARTITION) is
 * all that earlier ones listed in the directories it has files in. */
#ifndef QUERN_CLIENT_JOB_VERIFY_H
#define QUERN_CLIENT_JOB_VERIFY_H

#include "libcommon/base/err.h"
#include "libcommon/daemon/config.h"

/* Says what it found on stdout, what is wrong on stderr. The exit code; with err when it came to no
 * answer. */
int job_verify(const char *out, const struct config_args *config, struct err *err);

#endif
