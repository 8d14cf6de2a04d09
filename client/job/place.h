/* SPDX-License-Identifier: Apache-2.0
 * place: does what was typed as a job's input or output lie where the job runs? A name in another
 * filesystem must never be taken for one of the same path in this one. */
#ifndef QUERN_CLIENT_JOB_PLACE_H
#define QUERN_CLIENT_JOB_PLACE_H

#include "client/fs/volume.h"
#include "libcommon/base/conf.h"

/* On a cluster: a plain path, or a URI of the volume's cluster, by whatever address. ERR_USAGE, or
 * why that other address does not answer. */
int job_place_check(const struct fs_volume *volume, const struct conf *conf, const char *word,
                    struct err *err);
/* Without one: a plain path or file:. ERR_USAGE. */
int job_place_check_local(const char *word, struct err *err);

#endif
