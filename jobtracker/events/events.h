/* SPDX-License-Identifier: Apache-2.0
 * events: what happens to jobs, and what is to be done about it. The heart of the jobtracker, pure:
 * each call takes the core, one event and `now` (monotonic ms), changes the state, and leaves in
 * core->effects what the world must be told, in order.
 *
 * An event about an attempt nobody knows (any more) is not an error: messages cross. It is ignored,
 * or answered "not accepted", and the worker drops what it made. */
#ifndef QUERN_JOBTRACKER_EVENTS_EVENTS_H
#define QUERN_JOBTRACKER_EVENTS_EVENTS_H

#include "jobtracker/jobs/core.h"

/* number 0 = the next free one. NULL when memory is out. */
struct jt_job *jt_on_submit(struct jt_core *core, uint64_t number, const struct jt_submit *submit,
                            uint64_t now_ms);
void jt_on_kill(struct jt_core *core, struct jt_job *job, const char *why, uint64_t now_ms);
void jt_on_priority(struct jt_core *core, struct jt_job *job, uint32_t priority, uint64_t now_ms);
/* The namenode's answer: 0 = done. */
void jt_on_published(struct jt_core *core, struct jt_job *job, int code, const char *why,
                     uint64_t now_ms);

/* The answer to JT_PACK, or the journal's: task i of a packed stage reads what inputs[i] says
 * (opaque here, copied). No tasks: it cannot be told now, something it reads is gone; it is asked
 * again. */
void jt_on_packed(struct jt_core *core, struct jt_stage *stage, const struct slice *inputs,
                  uint32_t tasks, uint64_t now_ms);

/* A new incarnation of a known worker first loses what the old one ran and held; the same one
 * (a broken connection) keeps it. NULL when memory is out. */
struct jt_worker *jt_on_register(struct jt_core *core, const struct jt_worker_offer *offer,
                                 uint64_t now_ms);
/* After a register: does this worker's attempt still count? false = it must drop it. */
bool jt_on_held(struct jt_core *core, struct jt_worker *worker, const struct attempt_id *id,
                uint64_t now_ms);
/* That was all. An attempt we believe to be running there and that was not named never began: its
 * order went down with the connection. It runs again. */
void jt_on_held_all(struct jt_core *core, struct jt_worker *worker, uint64_t now_ms);
void jt_on_beat(struct jt_core *core, struct jt_worker *worker, uint64_t now_ms);
void jt_on_disconnect(struct jt_core *core, struct jt_worker *worker, uint64_t now_ms);

/* Is this attempt, as far as we know, running on this worker? */
bool jt_is_running(const struct jt_core *core, const struct jt_worker *worker,
                   const struct attempt_id *id);

void jt_on_progress(struct jt_core *core, struct jt_worker *worker, const struct attempt_id *id,
                    const struct jt_progress *progress, uint64_t now_ms);
/* `result` is copied. true = this attempt won; false = drop its output. */
bool jt_on_done(struct jt_core *core, struct jt_worker *worker, const struct attempt_id *id,
                const struct jt_progress *progress, struct slice result, uint64_t now_ms);
/* Whose fault it was that an attempt failed. */
enum jt_fault {
    JT_FAULT_NONE,       /* nobody's: given back before it was begun */
    JT_FAULT_NODE,       /* not the task's: it uses up none of its tries */
    JT_FAULT_NODE_SPENT, /* ... and nothing can begin there before the worker is started anew */
    JT_FAULT_TASK,       /* the task's */
    JT_FAULT_MEMORY, /* the task's, which wanted more memory: its next tries get twice as much */
};
void jt_on_failed(struct jt_core *core, struct jt_worker *worker, const struct attempt_id *id,
                  enum jt_fault fault, const char *why, uint64_t now_ms);
/* Somebody wants an attempt gone: killed, it uses up none of its task's tries, failed one. The node
 * is not to blame. `why` until the effects are carried out. false = it does not run. */
bool jt_on_stop(struct jt_core *core, struct jt_attempt *attempt, bool fails, const char *why,
                uint64_t now_ms);
/* A reduce could not fetch these maps' output from `source`. */
void jt_on_fetch_failed(struct jt_core *core, const struct attempt_id *reduce, struct slice source,
                        const uint64_t *maps, size_t count, uint64_t now_ms);

/* ... or has read them where they lie, and their sums are wrong: believed at once. */
void jt_on_output_damaged(struct jt_core *core, const struct attempt_id *reduce,
                          struct slice source, const uint64_t *maps, size_t count, uint64_t now_ms);

/* Weights and limits of queues are others now (jobs/queues): jobs that waited for theirs may
 * begin, and every free worker is offered again. */
void jt_on_queues_changed(struct jt_core *core, uint64_t now_ms);

/* Time passed: worker time-outs, delay scheduling, speculation. */
void jt_on_tick(struct jt_core *core, uint64_t now_ms);

/* Replay of the journal begins: jobs are submitted and changed again, and nothing is decided before
 * jt_on_resume_end. (Else a job that is all done would publish in the middle of it, where nobody
 * listens, and wait for the answer for good.) */
void jt_on_resume_begin(struct jt_core *core);
/* Replay of the journal: this attempt was accepted before the restart. Its output counts once its
 * worker comes back and says it holds it, or at once for stages whose output is in the
 * filesystem. */
struct jt_resumed {
    struct attempt_id id;
    struct slice worker, result;
    struct jt_progress progress; /* as it was at its end */
};
void jt_on_resumed(struct jt_core *core, struct jt_job *job, const struct jt_resumed *was,
                   uint64_t now_ms);
/* Replay: the output of that attempt was given up again. */
void jt_on_resumed_lost(struct jt_core *core, struct jt_job *job, const struct attempt_id *id);
/* Replay: it was over already. Nothing follows from it. `why`: of a job that did not succeed. */
void jt_on_resumed_end(struct jt_core *core, struct jt_job *job, enum jt_job_state state,
                       const char *why);
/* Replay is over: number further attempts apart from those of the last life, and go on. */
void jt_on_resume_end(struct jt_core *core, uint32_t epoch, uint64_t now_ms);

/* --- parts of jt_on_tick, each where its kind of event stands -----------------------------------
 */
void jt_lose_silent_workers(struct jt_core *core);
/* Outputs promised before a restart whose worker has not come back in time; and jobs that were
 * submitted meanwhile, for which no worker is large enough. */
void jt_end_probation(struct jt_core *core);

#endif
