/* SPDX-License-Identifier: Apache-2.0
 * locality: a stage's waiting tasks, indexed by the node and rack that hold their input. Pure.
 * Amortised O(1) per task and place: entries of tasks that no longer wait are dropped when met. */
#ifndef QUERN_JOBTRACKER_JOBS_LOCALITY_H
#define QUERN_JOBTRACKER_JOBS_LOCALITY_H

#include "jobtracker/jobs/job.h"

/* The task begins (again) to wait. ERR_NOMEM: it is then only found through stage->anywhere, or,
 * if even that failed, not at all. */
int jt_locality_add(struct jt_stage *stage, struct jt_task *task, const struct jt_fleet *fleet);

/* Drop what stands in front of the first task of the place that still waits. */
void jt_locality_trim(struct jt_stage *stage, struct jt_place *place);

/* A waiting task for this worker at no worse a level than `worst`, or NULL; *ret_level says which.
 * Tasks that failed on this worker are passed over unless `any_node`. */
struct jt_task *jt_locality_find(struct jt_stage *stage, const struct jt_worker *worker,
                                 enum jt_locality worst, bool any_node,
                                 enum jt_locality *ret_level);

#endif
