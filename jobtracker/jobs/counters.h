/* SPDX-License-Identifier: Apache-2.0
 * counters: a job's sums (and peaks) over its winning attempts, by group and name. Pure. */
#ifndef QUERN_JOBTRACKER_JOBS_COUNTERS_H
#define QUERN_JOBTRACKER_JOBS_COUNTERS_H

#include "libcommon/base/hmap.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/slice.h"

#define COUNTERS_OWN     "Map-Reduce Framework" /* the engine's group */
#define COUNTERS_OWN_MAX 64                     /* places kept for it */
#define COUNTERS_MAX     1000 /* further names are counted in `dropped` and not kept */

struct jt_counter {
    struct hmap_node by_name;
    struct slice group, name; /* in the owner's arena, as this is */
    uint64_t value;
};

struct jt_counters {
    struct jt_counter **items; /* in the order they were met */
    size_t count, cap;
    struct hmap by_name;
    uint64_t dropped;
    struct arena arena;
};

void jt_counters_release(struct jt_counters *counters);
/* Copies the names it has not met. ERR_NOMEM: not added. */
int jt_counters_add(struct jt_counters *counters, struct slice group, struct slice name,
                    uint64_t value);
/* For what is no sum: the largest value is kept. */
int jt_counters_max(struct jt_counters *counters, struct slice group, struct slice name,
                    uint64_t value);
uint64_t jt_counters_get(const struct jt_counters *counters, const char *group, const char *name);

#endif
