/* SPDX-License-Identifier: Apache-2.0
 * jobs: which jobs have published their output, and under which epoch, so that an older jobtracker
 * (or an older life of it) can never publish again. Journaled state. The oldest is forgotten when
 * there are more than NN_JOBS_MAX. */
#ifndef QUERN_NAMENODE_NAMESPACE_JOBS_H
#define QUERN_NAMENODE_NAMESPACE_JOBS_H

#include "libcommon/base/hmap.h"
#include "libcommon/base/list.h"
#include "libcommon/base/slice.h"

#define NN_JOBS_MAX 16384

struct nn_job {
    struct hmap_node by_name;
    struct list by_age; /* oldest first */
    char *name;
    uint64_t epoch;
};

struct nn_jobs {
    struct hmap names;
    struct list ages;
};

void nn_jobs_init(struct nn_jobs *jobs);
void nn_jobs_release(struct nn_jobs *jobs);
const struct nn_job *nn_jobs_find(const struct nn_jobs *jobs, struct slice name); /* or NULL */
/* New, or with a new epoch; becomes the youngest. ERR_NOMEM. */
int nn_jobs_put(struct nn_jobs *jobs, struct slice name, uint64_t epoch);

#endif
