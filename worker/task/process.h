/* SPDX-License-Identifier: Apache-2.0
 * process: a `quern-task` child and the socket pair to it (proto/task). It serves attempts of one
 * job, one after another; killed with its whole process group, and with what has left that
 * (strays).
 *
 *   blank -> idle <-> busy -> gone      (idle runners end with their job)
 *
 * A blank one has been executed and belongs to no job: the next job that comes takes it. No plugin
 * has run in it, and none is ever shared, so what a job's code does stays with that job. Only a
 * process whose last attempt was done well serves another. */
#ifndef QUERN_WORKER_TASK_PROCESS_H
#define QUERN_WORKER_TASK_PROCESS_H

#include "worker/task/fence.h"
#include "worker/task/sandbox.h"

struct wk_attempt;

struct wk_process {
    struct list link;
    struct worker *worker;
    uint64_t cluster_ms, job; /* job 0: blank */
    uint64_t memory;          /* of the largest task it has served: it keeps its buffers */
    uint32_t served;          /* attempts it was given */
    pid_t pid;
    int fd; /* the conn's: descriptors go past it, when its queue is empty */
    struct conn *conn;
    struct wk_attempt *attempt; /* NULL = idle */
    struct task_dirs dirs;      /* where its attempts work, one after another */
    bool dirs_kept;             /* a map output lies there */
    struct task_log log;        /* what they print, as long as they print nothing */
    int page_fd;                /* the attempt's progress page, again for each; -1 = not made yet */
    struct progress_page *page;
    int memory_fd; /* where a map puts its output, if that is small again for each; -1 = none */
    bool is_memory_used; /* more is in it than small outputs */
    bool has_fds;        /* the process has these three descriptors as they are here */
    struct loop_timer reap;
    struct fence fence; /* its limits are set for each attempt */
    struct work fencing;
    bool is_being_fenced; /* on a thread, before it serves anybody: the fence is not ours yet */
    bool was_killed;
    bool is_last; /* it has said that it serves no further attempt */
};

/* Who wants one, and what for. */
struct process_wish {
    uint64_t cluster_ms, job;
    uint64_t memory; /* of the task */
    const struct task_user *user;
};

/* An idle one of this job, else a blank one, else a new one, as that user. Idle ones of other jobs
 * end when the node's memory would not hold their buffers and this task. NULL with err. */
struct wk_process *process_get(struct worker *worker, const struct process_wish *wish,
                               struct err *err);
/* Have blank ones wait, worker.runners.blank of them, made one by one from now on. */
void process_keep_blanks(struct worker *worker);
/* Directories with nothing in them, for the attempt of that job; a log with nothing in it. */
int process_clear_dirs(struct wk_process *process, const struct wk_attempt *attempt,
                       struct err *err);
/* Its page, as new; its memfd, empty. 0 or an error. */
int process_clear_page(struct wk_process *process, struct err *err);
int process_clear_memory(struct wk_process *process, struct err *err);
/* Send RUN, with descriptors if there are new ones. The process must be idle. */
int process_run(struct wk_process *process, const struct task_run *run, struct err *err);
void process_tell_outputs(struct wk_process *process, const struct task_outputs *outputs);
/* SIGKILL to its group; attempt_on_exit follows if it was busy. */
void process_kill(struct wk_process *process);
/* Its attempt is over, well or not: it waits for the next of its job, or ends. `tasks_max`: so many
 * it may serve, 0 = without limit. */
void process_put(struct wk_process *process, bool was_done, uint32_t tasks_max);
/* All processes of a job that are idle end; busy ones are killed. */
void process_end_job(struct worker *worker, uint64_t cluster_ms, uint64_t job);
void process_kill_all(struct worker *worker);

#endif
