/* SPDX-License-Identifier: Apache-2.0
 * reducer: a reduce task from the map outputs to its output file.
 *
 *   fetch --> pieces --> [merge neighbours, when too many] --> merge --> group --> reduce --> sink
 *
 * The task's memory is carved once: half for pieces received, a quarter for the key in hand and the
 * record it came with (which may be that long), the rest for reading, merging and the output. What
 * comes from descriptors needs a read buffer only. */
#ifndef QUERN_WORKER_REDUCE_REDUCER_H
#define QUERN_WORKER_REDUCE_REDUCER_H

#include "worker/plugin/context.h"
#include "worker/run/region.h"
#include "worker/shuffle/fetch.h"

struct reducer_conf {
    struct region *region; /* reserved with the task's memory */
    struct scratch *scratch;
    int memfd;                   /* where the run may go that a next stage reads; -1 = none */
    const struct identity *self; /* for connections to workers; NULL: files only */
    /* News of further outputs: called with the fetch they are for when `fd` is readable. */
    int (*on_news)(void *arg, struct fetch *fetch, struct err *err);
    void (*on_blame)(void *arg, struct slice worker, const uint64_t *maps, size_t count,
                     const char *why, bool is_damaged);
    void *arg;
    int fd; /* -1 = none */
};

/* As mapper_run. */
int reducer_run(struct context *c, const struct reducer_conf *conf, struct task_done *done);

#endif
