/* SPDX-License-Identifier: Apache-2.0
 * counters: numbers by group and name, the engine's own and the job's. A job that makes up names
 * without end does not grow without end: beyond the limit all further ones are one counter. */
#ifndef QUERN_WORKER_PLUGIN_COUNTERS_H
#define QUERN_WORKER_PLUGIN_COUNTERS_H

#include "include/quern/job.h"
#include "libcommon/base/hmap.h"
#include "libcommon/base/mem.h"
#include "libcommon/proto/types/messages.h"

#define COUNTERS_GROUP    "Map-Reduce Framework" /* the engine's, named as Hadoop names them */
#define COUNTERS_MAX      1000U
#define COUNTERS_OWN_MAX  64U  /* places kept for the engine's */
#define COUNTERS_NAME_MAX 255U /* bytes of a group or name; what is longer is cut */

struct counters {
    struct hmap by_name;
    struct arena arena;
    size_t max;
    struct qn_counter rest; /* all beyond the limit */
};

void counters_init(struct counters *counters, size_t max);
void counters_release(struct counters *counters);
/* Created at 0 when new; stays where it is until the release. Never NULL. */
struct qn_counter *counters_get(struct counters *counters, const char *group, const char *name);
void counters_add(struct counters *counters, const char *group, const char *name, uint64_t n);
/* All but zeros, in order of group and name; borrows the counters. 0 or ERR_NOMEM. */
int counters_list(const struct counters *counters, struct arena *arena,
                  struct msg_counter_list *ret);
/* Add one list to another's counters (sums over attempts). */
void counters_add_list(struct counters *counters, const struct msg_counter_list *list);

#endif
