/* SPDX-License-Identifier: Apache-2.0
 * mapper: a map task from its split to its run (or, in a job without reduce, to its output file).
 *
 *   lines --> map / map_lines --emit--> combine or gather --> spill --> run
 *                                  `--------------------------^
 *                                  `---> sink (no reduce stage)
 *
 * The task's memory is carved once: a quarter for the longest line, an eighth for combining, a
 * sixteenth for reading and writing runs, the rest sorts. A record (a line, or what is emitted) may
 * be a quarter of the memory. */
#ifndef QUERN_WORKER_MAP_MAPPER_H
#define QUERN_WORKER_MAP_MAPPER_H

#include "worker/run/region.h"
#include "worker/runner/context.h"

struct mapper_conf {
    struct region *region; /* reserved with the task's memory */
    struct scratch *scratch;
    int memfd; /* where the run may go; -1 = none */
};

/* Runs the whole task. 0 with *done filled but for id and total time (lists and strings live in the
 * context); else a negative code, and context->failed tells. */
int mapper_run(struct context *c, const struct mapper_conf *conf, struct task_done *done);

#endif
