/* SPDX-License-Identifier: Apache-2.0
 * execution: one attempt of a task, from its RUN to the DONE or FAILED that answers it. The same
 * for a runner process under a worker, under the local driver, and for the local driver's own
 * thread. */
#ifndef QUERN_WORKER_RUNNER_EXECUTION_H
#define QUERN_WORKER_RUNNER_EXECUTION_H

#include "worker/plugin/context.h"
#include "worker/reduce/reducer.h"
#include "worker/run/region.h"

/* What a process keeps from attempt to attempt. Zeroed = fresh. */
struct execution_process {
    struct region region;
    struct run_packing packing;  /* of runs that go to disk */
    struct plugin plugin;        /* handle NULL = none loaded yet */
    const struct identity *self; /* for connections to workers; NULL: none will be made */
    /* Where a job's files are; borrowed until the process ends. */
    struct files *(*files_for)(const struct task_run *run, struct err *err);
};
void execution_process_release(struct execution_process *process);

struct execution_conf {
    const struct task_run *run; /* borrowed until execution_release, as is all below */
    struct progress_page *page;
    int memfd; /* for a map's run; -1 = none */
    /* A reduce's news and complaints; as in reducer_conf. */
    int (*on_news)(void *arg, struct fetch *fetch, struct err *err);
    void (*on_blame)(void *arg, struct slice worker, const uint64_t *maps, size_t count,
                     const char *why, bool is_damaged);
    void *arg;
    int news_fd; /* -1 = none */
};

struct execution {
    struct context context;
    bool has_context;
    struct scratch scratch;
    struct arena arena;
    bool is_done;
    struct task_done done;     /* is_done */
    struct task_failed failed; /* otherwise */
};

/* The context the process works on now, for the crash handler; NULL between attempts. */
extern struct context *execution_now;

/* Runs it to its end. `execution` is filled; execution_release it after its message was encoded. */
void execution_run(struct execution *execution, struct execution_process *process,
                   const struct execution_conf *conf);
void execution_release(struct execution *execution);

#endif
