/* SPDX-License-Identifier: Apache-2.0
 * onward: what the reduce of one stage emits goes on into the next, in the same task: through that
 * stage's map, if it has one, as the line of text it would have become in a file; then partitioned,
 * combined and sorted into a run, as a map's output is.
 *
 *   reduce --emit--> (line --> map --emit-->) combine --> spill --> run
 *
 * The next stage's callbacks see a task of their own: state, options, counters. */
#ifndef QUERN_WORKER_REDUCE_ONWARD_H
#define QUERN_WORKER_REDUCE_ONWARD_H

#include "worker/map/mapper.h"

struct onward {
    struct context *from; /* the reduce's */
    struct context c;     /* the next stage's */
    bool has_context;
    struct mapper *mapper;
    struct buf line;
    uint64_t records;
};

/* Borrows all of it until close. Takes the rest of the region. 0, or from->failed tells. */
int onward_open(struct onward *onward, struct context *from, const struct mapper_conf *conf);
/* 0, or a negative code: from->failed tells. */
int onward_emit(struct onward *onward, struct qn_slice key, struct qn_slice value);
/* The run is made; counters are the reduce's now, too. Lists of *done live in the reduce's context.
 */
int onward_finish(struct onward *onward, struct task_done *done);
void onward_close(struct onward *onward);

#endif
