/* SPDX-License-Identifier: Apache-2.0
 * reclaim: who has waited below its share for long gets it. The youngest tasks of whoever has more
 * than its share make room: of another queue if this one is below its own share, else of another
 * job of the same, if that is room enough for one. They run again later, and it counts against
 * nobody. Pure.
 *
 * Nobody is brought below its share by a whole core, so nobody is robbed in return. */
#ifndef QUERN_JOBTRACKER_SCHEDULE_RECLAIM_H
#define QUERN_JOBTRACKER_SCHEDULE_RECLAIM_H

#include "jobtracker/jobs/core.h"

/* At each tick, behind jt_queues_share: looks at one job of each queue, the one with least. */
void jt_reclaim(struct jt_core *core);

#endif
