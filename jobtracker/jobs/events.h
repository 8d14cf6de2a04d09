/* SPDX-License-Identifier: Apache-2.0
 * events: what happens to jobs, and what is to be done about it. The heart of the jobtracker, pure:
 * each call takes the core, one event and `now` (monotonic ms), changes the state, and leaves in
 * core->effects what the world must be told, in order. The edge carries those out and clears them;
 * tests/sim does the same with virtual workers.
 *
 * An event about an attempt nobody knows (any more) is not an error: messages cross. It is ignored,
 * or answered "not accepted", and the worker drops what it made. */
#ifndef QUERN_JOBTRACKER_JOBS_EVENTS_H
#define QUERN_JOBTRACKER_JOBS_EVENTS_H

#include "jobtracker/jobs/job.h"

struct jt_config {
    uint32_t max_attempts;      /* failures of one task that end the job */
    uint64_t worker_timeout_ms; /* silence after which a worker is lost */
    uint64_t reconnect_ms;      /* ... when its connection broke */
    uint64_t locality_wait_ms;  /* how long a job declines a worse place, per level */
    uint64_t resume_grace_ms;   /* after a restart: how long workers may take to come back */
    uint64_t preempt_ms;        /* how long a re-run map waits before it displaces a reduce */
    uint32_t slowstart_percent; /* of the stage before that must be done before fetching starts */
    bool speculative;
    uint32_t speculate_percent; /* copies, of the tasks of a stage */
    uint32_t speculate_after_percent;
    uint32_t job_worker_failures; /* failures of a job on one worker after which it gets no more */
};
extern const struct jt_config jt_config_default;

enum jt_effect_kind {
    JT_TELL_JOB,     /* worker, job: before its first task there */
    JT_TELL_RUN,     /* worker, attempt */
    JT_TELL_KILL,    /* worker, attempt, why */
    JT_TELL_OUTPUTS, /* worker, job: job->outputs[from, to), complete */
    JT_TELL_END,     /* worker, job */
    JT_WRITE_DONE,   /* attempt: to the journal, without waiting */
    JT_WRITE_LOST,   /* attempt: its output is gone; same */
    JT_WRITE_END,    /* job reached a final state: to the journal, fsynced */
    JT_PUBLISH,      /* job: ask the namenode; answer with jt_on_published */
    JT_CLEAN_UP,     /* job: remove its temporary tree */
};

struct jt_effect {
    enum jt_effect_kind kind;
    struct jt_job *job;
    struct jt_worker *worker;
    struct jt_attempt *attempt;
    size_t from, to;
    bool complete;
    const char *why; /* a literal, or owned by the object named */
};

struct jt_core {
    struct jt_config config;
    struct jt_fleet fleet;
    struct hmap jobs;   /* by number */
    struct list all;    /* in order of number */
    struct list active; /* not over, by priority (high first), then number */
    uint64_t next_job;
    uint64_t now_ms;
    uint64_t start_ms;
    uint64_t next_speculation_ms;
    bool must_schedule;
    struct jt_effect *effects;
    size_t effect_count, effect_cap;
    bool out_of_memory; /* an effect could not be noted: the edge must stop the process */
};

/* What an attempt says of itself. */
struct jt_progress {
    uint64_t bytes_in, bytes_total, records_in, records_out, idle_ms;
};

void jt_core_init(struct jt_core *core, const struct jt_config *config, uint64_t now_ms);
void jt_core_release(struct jt_core *core);
void jt_effects_clear(struct jt_core *core);

/* number 0 = the next free one. NULL when memory is out. */
struct jt_job *jt_on_submit(struct jt_core *core, uint64_t number, const struct jt_submit *submit,
                            uint64_t now_ms);
void jt_on_kill(struct jt_core *core, struct jt_job *job, const char *why, uint64_t now_ms);
void jt_on_priority(struct jt_core *core, struct jt_job *job, uint32_t priority, uint64_t now_ms);
/* The namenode's answer: 0 = done. */
void jt_on_published(struct jt_core *core, struct jt_job *job, int code, const char *why,
                     uint64_t now_ms);

/* A new incarnation of a known worker first loses what the old one ran and held; the same one
 * (a broken connection) keeps it. NULL when memory is out. */
struct jt_worker *jt_on_register(struct jt_core *core, const struct jt_worker_offer *offer,
                                 uint64_t now_ms);
/* After a register: does this worker's attempt still count? false = it must drop it. */
bool jt_on_held(struct jt_core *core, struct jt_worker *worker, const struct attempt_id *id,
                uint64_t now_ms);
void jt_on_beat(struct jt_core *core, struct jt_worker *worker, uint64_t now_ms);
void jt_on_disconnect(struct jt_core *core, struct jt_worker *worker, uint64_t now_ms);

void jt_on_progress(struct jt_core *core, struct jt_worker *worker, const struct attempt_id *id,
                    const struct jt_progress *progress, uint64_t now_ms);
/* `result` is copied. true = this attempt won; false = drop its output. */
bool jt_on_done(struct jt_core *core, struct jt_worker *worker, const struct attempt_id *id,
                const struct jt_progress *progress, struct slice result, uint64_t now_ms);
/* counts: does it use up one of the task's tries (a kill or a lost node does not)? */
void jt_on_failed(struct jt_core *core, struct jt_worker *worker, const struct attempt_id *id,
                  bool counts, const char *why, uint64_t now_ms);
/* A reduce could not fetch these maps' output from `source`. */
void jt_on_fetch_failed(struct jt_core *core, const struct attempt_id *reduce, struct slice source,
                        const uint64_t *maps, size_t count, uint64_t now_ms);

/* Time passed: worker time-outs, delay scheduling, speculation. */
void jt_on_tick(struct jt_core *core, uint64_t now_ms);

/* Replay of the journal: this attempt was accepted before the restart. Its output counts once its
 * worker comes back and says it holds it, or at once for stages whose output is in the
 * filesystem. */
void jt_on_resumed(struct jt_core *core, struct jt_job *job, const struct attempt_id *id,
                   struct slice worker_name, struct slice result, uint64_t now_ms);
/* Replay: the output of that attempt was given up again. */
void jt_on_resumed_lost(struct jt_core *core, struct jt_job *job, const struct attempt_id *id);
/* Replay is over: number further attempts apart from those of the last life, and go on. */
void jt_on_resume_end(struct jt_core *core, uint32_t epoch, uint64_t now_ms);

struct jt_job *jt_core_job(const struct jt_core *core, uint64_t number); /* NULL: none */
/* Forget a finished job (its history is elsewhere). */
void jt_core_forget(struct jt_core *core, struct jt_job *job);
/* Why a job that should run does not: one line, or NULL. */
const char *jt_waits_for(const struct jt_core *core, const struct jt_job *job, char *out,
                         size_t cap);

/* --- for schedule/ --------------------------------------------------------------------------- */
struct jt_effect *jt_effect_add(struct jt_core *core, enum jt_effect_kind kind, struct jt_job *job);
/* Start an attempt of `task` on `worker`: tells the job and its outputs first if need be. */
bool jt_launch(struct jt_core *core, struct jt_task *task, struct jt_worker *worker,
               enum jt_locality locality, bool is_speculative);
/* End a running attempt on our own will; its task waits again if nothing else runs it. */
void jt_kill_attempt(struct jt_core *core, struct jt_attempt *attempt, const char *why);
uint64_t jt_task_memory(const struct jt_task *task, const struct jt_worker *worker);

#endif
