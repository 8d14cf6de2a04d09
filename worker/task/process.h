/* SPDX-License-Identifier: Apache-2.0
 * process: a `quern-task` child and the socket pair to it (proto/task). It serves attempts of one
 * job, one after another; killed with its whole process group, and with what has left that
 * (strays).
 *
 *   started -> idle <-> busy -> gone      (idle runners end with their job) */
#ifndef QUERN_WORKER_TASK_PROCESS_H
#define QUERN_WORKER_TASK_PROCESS_H

#include "worker/task/fence.h"
#include "worker/task/sandbox.h"

struct wk_attempt;

struct wk_process {
    struct list link;
    struct worker *worker;
    uint64_t cluster_ms, job;
    pid_t pid;
    int fd; /* the conn's: descriptors go past it, when its queue is empty */
    struct conn *conn;
    struct wk_attempt *attempt; /* NULL = idle */
    struct loop_timer reap;
    struct fence fence; /* its limits are set for each attempt */
    bool was_killed;
};

/* An idle one of this job, or a new one as `user`. NULL with err. */
struct wk_process *process_get(struct worker *worker, uint64_t cluster_ms, uint64_t job,
                               const struct task_user *user, struct err *err);
/* Send RUN with its descriptors (borrowed). The process must be idle. */
int process_run(struct wk_process *process, const struct task_run *run, const int *fds,
                size_t fd_count, struct err *err);
void process_tell_outputs(struct wk_process *process, const struct task_outputs *outputs);
/* SIGKILL to its group; attempt_on_exit follows if it was busy. */
void process_kill(struct wk_process *process);
/* All processes of a job that are idle end; busy ones are killed. */
void process_end_job(struct worker *worker, uint64_t cluster_ms, uint64_t job);
void process_kill_all(struct worker *worker);

#endif
