/* SPDX-License-Identifier: Apache-2.0
 * attempts: begin and end. Pure; part of the core, for events and schedule/. */
#ifndef QUERN_JOBTRACKER_JOBS_ATTEMPTS_H
#define QUERN_JOBTRACKER_JOBS_ATTEMPTS_H

#include "jobtracker/jobs/core.h"

/* The task waits for a worker from now on. */
void jt_task_wait(struct jt_core *core, struct jt_task *task);
/* So do all tasks of the stage that were blocked. */
void jt_stage_unblock(struct jt_core *core, struct jt_stage *stage);
/* The task, if no attempt of it runs any more, it is not done, and its job is not over. */
void jt_task_wait_if_idle(struct jt_core *core, struct jt_task *task);
/* What an attempt of it takes there: what the job asks for, or its cores' share of the memory; of a
 * task that had too little, twice that, or all there is there. */
struct jt_need jt_task_need(const struct jt_task *task, const struct jt_worker *worker);
/* Copy what the winner handed over. 0, or ERR_NOMEM: it cannot be taken as the winner. */
int jt_task_keep_result(struct jt_task *task, struct slice result);
void jt_task_kill_attempts(struct jt_core *core, struct jt_task *task, const char *why);

/* Tell the worker of the job, once. false = link is NULL. */
bool jt_tell_job(struct jt_core *core, struct jt_link *link);
/* Start an attempt of `task` on `worker`: tells the job and its outputs first if need be. NULL when
 * memory is out. */
struct jt_attempt *jt_launch(struct jt_core *core, struct jt_task *task, struct jt_worker *worker,
                             enum jt_locality locality, bool is_speculative);
/* The same at the end of the row of `front`, before anything else is told. */
struct jt_attempt *jt_launch_behind(struct jt_core *core, struct jt_task *task,
                                    struct jt_attempt *front, enum jt_locality locality);
/* The attempt stops running, whatever comes of it: what it took is given back, or has the next in
 * its row. */
void jt_attempt_end(struct jt_core *core, struct jt_attempt *attempt, enum jt_attempt_state to);
/* End a running attempt, as killed or failed, on the will of others than its worker; its task waits
 * again if nothing else runs it. */
void jt_stop_attempt(struct jt_core *core, struct jt_attempt *attempt, enum jt_attempt_state to,
                     const char *why);
/* The same on our own will. */
void jt_kill_attempt(struct jt_core *core, struct jt_attempt *attempt, const char *why);
/* The attempt that has the core of this one's row; itself, if it stands alone. */
struct jt_attempt *jt_row_front(struct jt_attempt *attempt);
/* All of its row, so that its core is free. */
void jt_kill_row(struct jt_core *core, struct jt_attempt *attempt, const char *why);

#endif
