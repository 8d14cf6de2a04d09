/* SPDX-License-Identifier: Apache-2.0
 * core: all jobs and all workers, and the effects: what the world must be told because of the last
 * event, in order. Pure. The edge carries the effects out and clears them; tests/sim does the same
 * with virtual workers.
 *
 * What an event costs does not depend on how many jobs and workers there are: whatever it leads to
 * stands in a list or a heap here, and is found there (events/settle, schedule/). */
#ifndef QUERN_JOBTRACKER_JOBS_CORE_H
#define QUERN_JOBTRACKER_JOBS_CORE_H

#include "jobtracker/jobs/job.h"
#include "jobtracker/jobs/queues.h"

struct jt_config {
    uint32_t max_attempts;      /* failures of one task that end the job */
    uint64_t worker_timeout_ms; /* silence after which a worker is lost */
    uint64_t reconnect_ms;      /* ... when its connection broke */
    uint64_t locality_wait_ms;  /* how long a job declines a worse place, per level */
    uint64_t resume_grace_ms;   /* after a restart: how long workers may take to come back */
    uint64_t preempt_ms;        /* how long a re-run map waits before it displaces a reduce */
    uint32_t slowstart_percent; /* of the stage before that must be done before fetching starts */
    uint32_t speculate_percent; /* copies, of the tasks of a stage */
    uint32_t speculate_after_percent;
    uint32_t job_worker_failures; /* failures of a job on one worker after which it gets no more */
    uint64_t share_wait_ms; /* below its share for so long: others' tasks make room; 0 = never */
    uint64_t exclude_ms;    /* how long a node at fault gets no tasks (schedule/exclude); 0 = not */
    uint64_t reserve_ms;    /* so long no worker had room for a task: one is kept free for it */
};
extern const struct jt_config jt_config_default;

enum jt_effect_kind {
    JT_TELL_JOB,     /* worker, job: before its first task there */
    JT_TELL_RUN,     /* worker, attempt; is_behind: in a row with the one of the effect before */
    JT_TELL_KILL,    /* worker, attempt, why */
    JT_TELL_OUTPUTS, /* worker, job: job->outputs[from, to), complete */
    JT_TELL_END,     /* worker, job */
    JT_WRITE_DONE,   /* attempt: to the journal, without waiting */
    JT_WRITE_LOST,   /* attempt: its output is gone; same */
    JT_WRITE_END,    /* job reached a final state: to the journal, fsynced */
    JT_PUBLISH,      /* job: ask the namenode; answer with jt_on_published */
    JT_PACK,         /* job, stage: choose what its tasks read; answer with jt_on_packed */
    JT_CLEAN_UP,     /* job: remove its temporary tree */
    JT_SAY_EXCLUDED, /* worker is left out from now on, or no longer: for the log */
};

struct jt_effect {
    enum jt_effect_kind kind;
    struct jt_job *job;
    struct jt_worker *worker;
    struct jt_attempt *attempt;
    struct jt_stage *stage;
    size_t from, to;
    uint32_t complete; /* stages, as jt_outputs_complete has them */
    bool is_behind;
    const char *why; /* a literal, or owned by the object named */
};

struct jt_core {
    struct jt_config config;
    struct jt_fleet fleet;
    struct hmap jobs;   /* by number */
    struct list all;    /* in order of number */
    struct list active; /* not over, in order of number */
    struct jt_queues queues;
    struct list changed;  /* jobs of which a stage may have become able to begin */
    struct list matching; /* stages for which free workers are to be found */
    struct list aside;    /* jobs no worker had room for; offered again at the next tick */
    struct list cornered; /* jobs with a map that waits for what waits for it */
    struct list untold;   /* jobs of whose outputs fetching workers are to be told */
    struct list again;    /* workers offered to as many jobs as one event may ask */
    struct heap delays;   /* stages that decline worse places, by when they decline less */
    struct heap checks;   /* stages that may have stragglers, by when to look */
    size_t stage_count;   /* of active jobs: room for so many is kept in both */
    uint64_t steps; /* jobs, stages, tasks and workers looked at so far: what the work costs */
    uint64_t next_job;
    uint64_t now_ms;
    uint64_t start_ms;
    bool is_on_probation; /* outputs from before a restart may still have to be given up */
    bool is_resuming;     /* the journal is being told again: nothing follows from anything yet */
    struct jt_effect *effects;
    size_t effect_count, effect_cap;
    bool out_of_memory; /* an effect could not be noted: the edge must stop the process */
};

void jt_core_init(struct jt_core *core, const struct jt_config *config, uint64_t now_ms);
void jt_core_release(struct jt_core *core);
void jt_effects_clear(struct jt_core *core);
/* Never NULL: when memory is out, it goes nowhere and core->out_of_memory is set. */
struct jt_effect *jt_effect_add(struct jt_core *core, enum jt_effect_kind kind, struct jt_job *job);

struct jt_job *jt_core_job(const struct jt_core *core, uint64_t number); /* NULL: none */
struct jt_attempt *jt_core_attempt(const struct jt_core *core, const struct attempt_id *id);
/* Put a new job among the active ones, and in its queue. 0 or ERR_NOMEM. */
int jt_core_activate(struct jt_core *core, struct jt_job *job, struct slice queue);
/* Out of them, and of every list and heap that leads to it: it is over. */
void jt_core_deactivate(struct jt_core *core, struct jt_job *job);
/* The worker takes nothing but a task of this stage from now on; NULL: it may go back to all. */
void jt_reserve(struct jt_core *core, struct jt_stage *stage, struct jt_worker *worker);
/* What schedule/ is to look at. Free workers are to be found for what waits in this stage; */
void jt_match(struct jt_core *core, struct jt_stage *stage);
/* ... something of it waits, and if it is a map while reduces hold cores, they may make room; */
void jt_corner(struct jt_core *core, struct jt_stage *stage);
/* ... it is handed out, and may have stragglers, now and then from now on. */
void jt_check_later(struct jt_core *core, struct jt_stage *stage);
/* Forget a finished job (its history is elsewhere). */
void jt_core_forget(struct jt_core *core, struct jt_job *job);
#endif
