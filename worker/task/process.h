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
#include "worker/task/row.h"
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
    struct wk_row row; /* of attempts; over: idle */
    struct loop_timer row_look;
    struct task_dirs dirs; /* where its attempts work, one after another */
    bool dirs_kept;        /* a map output lies there */
    struct task_log log;   /* what they print, as long as they print nothing */
    int page_fd;           /* the attempt's progress page, again for each; -1 = not made yet */
    struct progress_page *page;
    int memory_fd; /* where a map puts its output, if that is small again for each; -1 = none */
    bool is_memory_used;     /* more is in it than small outputs */
    bool is_memory_old;      /* what an earlier job has left may be in it behind what is written */
    uint64_t memory_offered; /* to the attempts of the row, of what outputs may take in all */
    bool has_fds;            /* the process has these three descriptors as they are here */
    struct loop_timer reap;
    struct fence fence; /* its limits are set for each attempt */
    struct work fencing;
    bool is_being_fenced; /* on a thread, before it serves anybody: the fence is not ours yet */
    bool has_hung_up;     /* it closed its end, and went on */
    bool was_killed;
    bool is_last; /* it has said that it serves no further attempt */
};

/* Who wants one, and what for. */
struct process_wish {
    uint64_t cluster_ms, job;
    uint64_t memory; /* of the task */
    const struct task_user *user;
    uint32_t tasks; /* so many, in a row */
};

/* An idle one of this job, else a blank one, else a new one, as that user. Idle ones of other jobs
 * end when the node's memory would not hold their buffers and this task. NULL with err. */
struct wk_process *process_get(struct worker *worker, const struct process_wish *wish,
                               struct err *err);
/* Have blank ones wait, worker.runners.blank of them, made one by one from now on. */
void process_keep_blanks(struct worker *worker);
/* Send RUN, with descriptors if there are new ones. The process must be idle but for the row that
 * has just begun. */
int process_run(struct wk_process *process, const struct task_run *run, struct err *err);
void process_tell_outputs(struct wk_process *process, const struct task_outputs *outputs);
/* One of its row is not wanted any more, and nobody is told of its end: it is taken out, or, being
 * in hand, ends with its process. Others may be given back. */
void process_drop(struct wk_process *process, const struct wk_attempt *attempt);
/* None of its row is. */
void process_drop_row(struct wk_process *process);
/* SIGKILL to its group; attempt_on_exit follows if it was busy. */
void process_kill(struct wk_process *process);
/* All processes of a job that are idle end; busy ones are killed. */
void process_end_job(struct worker *worker, uint64_t cluster_ms, uint64_t job);
void process_kill_all(struct worker *worker);

#endif
