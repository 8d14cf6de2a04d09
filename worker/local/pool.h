/* SPDX-License-Identifier: Apache-2.0
 * pool: the local driver's runner processes: started once, each given one attempt after another
 * over its cord, watched through its progress page. A process that dies, or whose counters stand
 * still for the time-out, fails its attempt and is replaced. */
#ifndef QUERN_WORKER_LOCAL_POOL_H
#define QUERN_WORKER_LOCAL_POOL_H

#include <sys/types.h>

#include "libcommon/proto/task/messages.h"
#include "libcommon/proto/task/progress.h"

#define POOL_MAX 1024

struct pool_runner {
    pid_t pid; /* 0 = none */
    int fd;
    int page_fd;
    struct progress_page *page;
    void *task;          /* the owner's; NULL = idle */
    struct task_run run; /* under way; borrows the arena */
    struct arena arena;
    char *log_path;
    uint64_t ticks, moved_ms;
    bool has_timed_out;
    uint64_t outgrown; /* bytes: it was killed for using so many; 0 = it was not */
    bool is_last;      /* it has said that it serves no further attempt */
    char mark[64];     /* of it and all it starts */
};

struct pool_ops {
    void (*on_done)(void *arg, void *task, const struct task_done *done);
    void (*on_failed)(void *arg, void *task, const struct task_failed *failed);
    void *arg;
};

struct pool {
    struct pool_runner *runners;
    size_t count, busy;
    struct pool_ops ops;
    const char *log_dir; /* borrowed */
    uint64_t timeout_ms; /* 0 = none */
};

/* count: 1 .. POOL_MAX */
int pool_open(struct pool *pool, size_t count, const struct pool_ops *ops, const char *log_dir,
              uint64_t timeout_ms, struct err *err);
/* Kills what runs. */
void pool_close(struct pool *pool);

/* An idle runner, started when need be; NULL with err. There must be one: busy < count. */
struct pool_runner *pool_idle(struct pool *pool, struct err *err);
/* Hand it the attempt. `arena` (with all that run borrows) is taken. memfd is borrowed, -1 = none.
 */
int pool_run(struct pool *pool, struct pool_runner *runner, void *task, const struct task_run *run,
             struct arena *arena, int memfd, struct err *err);
/* Wait at most wait_ms for something to happen and tell it. */
int pool_wait(struct pool *pool, unsigned wait_ms, struct err *err);

#endif
