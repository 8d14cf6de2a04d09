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

#include "worker/plugin/context.h"
#include "worker/run/region.h"

struct mapper_conf {
    struct region *region; /* reserved with the task's memory */
    struct scratch *scratch;
    int memfd; /* where the run may go; -1 = none */
};

/* Runs the whole task. 0 with *done filled but for id and total time (lists and strings live in the
 * context); else a negative code, and context->failed tells. */
int mapper_run(struct context *c, const struct mapper_conf *conf, struct task_done *done);

/* A mapper without input: what is emitted by c->host comes from the reduce of the stage before
 * (reduce/onward). It takes all that is left of the region. 0, or context->failed tells; close it
 * in either case. */
struct mapper;
int mapper_open(struct context *c, const struct mapper_conf *conf, struct mapper **ret);
/* The run is made: done's parts, run_path and run_len. */
int mapper_finish(struct mapper *mapper, struct task_done *done);
void mapper_close(struct mapper *mapper); /* NULL is fine */

#endif
