/* SPDX-License-Identifier: Apache-2.0
 * attempt: one try at one task on this node.
 *
 *   waiting (for the job's files) -> running -> reporting (told the jobtracker, no answer yet) ->
 * gone
 *         \____________________/__ killed: gone at once, its process group SIGKILLed
 *
 * Running are all of a row that one process was given (task/row), also those it has not begun.
 *
 * What ends it is told once; while the jobtracker cannot be reached it stays in `reporting` and is
 * told again when the link is up. */
#ifndef QUERN_WORKER_TASK_ATTEMPT_H
#define QUERN_WORKER_TASK_ATTEMPT_H

#include "libcommon/base/sm.h"
#include "libcommon/proto/task/progress.h"
#include "worker/task/jobs.h"
#include "worker/task/process.h"

enum wk_attempt_state { WK_WAITING, WK_RUNNING, WK_REPORTING, WK_GONE };
extern const struct sm_table wk_attempt_states;

struct wk_attempt {
    struct list link;
    struct worker *worker;
    struct wk_job *job;
    unsigned state;
    struct buf bytes; /* the encoded jt2wk_task; `task` borrows from it */
    struct arena arena;
    struct jt2wk_task task;
    char name[96]; /* attempt_..._m_000012_0 */
    char job_name[64];
    struct task_log log;        /* its own, once it runs no more and has printed something */
    struct progress_page *page; /* its process's, and about it while it is in hand there */
    struct wk_process *process;
    uint64_t last_ticks, moved_ms, started_ms;
    uint64_t ordered_us; /* when the order came */
    bool timed_out;
    uint64_t outgrown_bytes; /* it was killed for using so much memory; 0 = it was not */
    /* while reporting */
    struct buf report; /* encoded task_done or task_failed */
    bool report_is_done;
    struct segment *segment;
    struct rpc_wait wait;
};

/* The order to run it, and those `behind` it in a row of `count`. An error is the answer to the
 * jobtracker: none of them was begun. */
int attempts_begin(struct wk_job *job, const struct jt2wk_task *tasks, size_t count,
                   struct err *err);
/* Is what it makes a run that others fetch? */
static inline bool attempt_makes_run(const struct wk_attempt *attempt)
{
    return attempt->task.kind == TASK_MAP ||
           (attempt->task.kind == TASK_REDUCE && attempt->task.makes > 0);
}
/* Of its split; 0 for a reduce. */
uint64_t attempt_input_bytes(const struct wk_attempt *attempt);
struct wk_attempt *attempt_find(const struct worker *worker, const struct task_attempt *id);
/* Something was printed: from now on it can be found under the attempt's name. */
void attempt_name_log(struct wk_attempt *attempt);
void attempt_kill(struct wk_attempt *attempt);
void attempts_end_job(struct wk_job *job);
/* why NULL: the job's files are here, waiting attempts may run. Else they fail. */
void attempts_ready(struct wk_job *job, const char *why);
/* Now and then: progress into `ret` (arena), and the end of those that stand still or outgrow their
 * memory. */
int attempts_progress(struct worker *worker, struct arena *arena, struct wk2jt_progress_list *ret);
void attempts_watch(struct worker *worker);
void attempts_link_up(struct worker *worker);
/* To those that fetch from the stages of these sources. 0 or ERR_NOMEM. */
int attempts_tell_outputs(struct wk_job *job, const struct task_source_list *sources);
void attempts_release(struct worker *worker);

/* From the process. */
void attempt_on_done(struct wk_attempt *attempt, const struct task_done *done);
void attempt_on_failed(struct wk_attempt *attempt, const struct task_failed *failed);
void attempt_on_fetch_failed(struct wk_attempt *attempt, const struct task_fetch_failed *failed);
void attempt_on_exit(struct wk_attempt *attempt, int wait_status);
/* It was not begun, or its answer will not be waited for: the jobtracker may have it run elsewhere.
 */
void attempt_give_back(struct wk_attempt *attempt, const char *why);

#endif
