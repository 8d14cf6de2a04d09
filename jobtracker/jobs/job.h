/* SPDX-License-Identifier: Apache-2.0
 * job: what the jobtracker knows of a job: stages, their tasks, the attempts at them. Pure data and
 * its state machines; what happens when is events/, who runs what is schedule/.
 *
 *   job       waiting -> running -> committing -> succeeded
 *                 \__________\___________\______-> failed, killed
 *   task      blocked -> waiting <-> running -> done      (done -> waiting: its output was lost)
 *   attempt   running -> done | failed | killed
 *
 * A job is a row of stages: each names the stage it reads from. A stage may start to fetch once
 * the one before is fully handed out, and runs when that is done. MapReduce is map -> reduce ->
 * commit; nothing here counts on two.
 *
 * Which partitions a fetching task gets is known from the start where each gets one. A packed stage
 * is told when all it reads is there (jt_on_packed): its tasks get several partitions each, chosen
 * by what is in them, and it may be then only that the number of tasks is known. */
#ifndef QUERN_JOBTRACKER_JOBS_JOB_H
#define QUERN_JOBTRACKER_JOBS_JOB_H

#include "jobtracker/jobs/demand.h"
#include "jobtracker/jobs/middle.h"
#include "libcommon/base/ids.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/sm.h"

enum jt_job_state {
    JT_JOB_WAITING,
    JT_JOB_RUNNING,
    JT_JOB_COMMITTING,
    JT_JOB_SUCCEEDED,
    JT_JOB_FAILED,
    JT_JOB_KILLED,
};
extern const struct sm_table jt_job_states;

enum jt_task_state { JT_TASK_BLOCKED, JT_TASK_WAITING, JT_TASK_RUNNING, JT_TASK_DONE };
extern const struct sm_table jt_task_states;

enum jt_attempt_state {
    JT_ATTEMPT_RUNNING,
    JT_ATTEMPT_DONE,
    JT_ATTEMPT_FAILED,
    JT_ATTEMPT_KILLED,
};
extern const struct sm_table jt_attempt_states;

/* The numbers are those of enum task_kind on the wire. */
enum jt_stage_kind { JT_STAGE_MAP, JT_STAGE_MAP_OUT, JT_STAGE_REDUCE, JT_STAGE_COMMIT };

enum jt_locality { JT_NODE_LOCAL, JT_RACK_LOCAL, JT_REMOTE, JT_NO_PREFERENCE };

struct jt_queue;

/* What a job has of the cluster, and where it stands among those of its queue. */
struct jt_claim {
    struct jt_queue *queue;
    struct list of_queue;               /* all of the queue's that are not over */
    struct heap_node poor, rich, waits; /* in the queue's heaps of the same names */
    bool is_admitted;                   /* its tasks may run: the queue's running jobs have room */
    uint32_t weight;
    struct jt_need used;
    uint64_t wanted;         /* by tasks that could run now, in jt_units */
    uint64_t most_memory;    /* as the job wants it; 0 = any */
    uint64_t below_since_ms; /* since when it has too little (schedule/reclaim); 0 = it has not */
};

#define JT_NO_TASK   UINT32_MAX
#define JT_FAILED_ON 4
#define JT_NO_STAGE  UINT32_MAX
#define JT_ATTEMPTS  4
#define JT_NODE_FAILURES \
    8 /* refusals by nodes, at least, before they are taken for the task's own */
#define JT_STAGES_MAX   16
#define JT_SHUFFLES_MAX 8 /* TASK_SHUFFLES_MAX on the wire */

struct jt_attempt {
    struct list of_task;
    struct list of_stage;  /* while running: stage.attempts */
    struct list on_worker; /* while running: worker.attempts; while its output is there: .held */
    struct list in_row;    /* a ring, in order, of those that share a core (schedule/row) */
    struct jt_task *task;
    struct jt_worker *worker; /* stays known after the end, for history and outputs */
    unsigned state;
    uint32_t number;
    bool is_speculative;
    bool is_confirmed; /* while its worker registers: it has said that it has it */
    bool is_doubtful;  /* failed, or its output was bad: perhaps its node's fault */
    bool is_lost;      /* was done, and its output is gone */
    bool is_cut_off;   /* ran when its worker was lost */
    bool is_empty;     /* there is no record in what it made */
    bool is_probation; /* taken over from before a restart: its worker must still confirm it */
    enum jt_locality locality;
    struct jt_need taken;      /* of its worker, while it runs; nothing behind another in a row */
    uint64_t start_ms, end_ms; /* monotonic */
    uint64_t queue_ms;         /* that its task had waited for a core */
    uint64_t bytes_in, bytes_total, records_in, records_out; /* last told */
    uint64_t idle_ms;
    char *why; /* of a failure: owned, NULL if none */
};

/* What an attempt says of itself. */
struct jt_progress {
    uint64_t bytes_in, bytes_total, records_in, records_out, idle_ms;
    bool is_empty;    /* of one that is done: there is no record in what it made; */
    bool may_follow;  /* it left its process so that another could run right behind it; */
    uint64_t took_us; /* its process was at it for so long */
};

struct jt_task {
    struct jt_stage *stage;
    uint32_t index;
    unsigned state;
    struct list attempts;
    uint32_t next_attempt;
    uint32_t failures;      /* that count */
    uint32_t node_failures; /* that do not: the node could not even begin it */
    uint32_t running;
    uint32_t fetch_reports;
    struct jt_attempt *winner; /* of a done task */
    struct slice input;        /* encoded split: opaque here; lives in the job's arena */
    struct slice result;       /* encoded answer of the winner: opaque; owned (mem) */
    uint64_t bytes;            /* of its input, if known */
    uint64_t memory;           /* that it asks for, having had too little; 0 = as its stage */
    const char **nodes;        /* where its input lies: names in the job's arena */
    uint32_t node_count;
    const char **failed_on; /* JT_FAILED_ON last nodes it failed on, in the arena; NULL: none */
    uint64_t waiting_since_ms;
};

/* Waiting tasks that prefer one node or rack. Entries whose task no longer waits are skipped when
 * met and dropped from the front. */
struct jt_place {
    struct hmap_node by_name;
    const char *name; /* in the job's arena */
    uint32_t *tasks;
    size_t count, cap, next;
};

struct jt_stage {
    struct jt_job *job;
    uint32_t index;
    enum jt_stage_kind kind;
    uint32_t reads_from;         /* index of the stage before; JT_NO_STAGE for files */
    uint32_t partitions;         /* of what it reads; 0 for files */
    bool is_packed;              /* its tasks' partitions are chosen when all they read is there: */
    bool has_packing, has_asked; /* they are; somebody was asked to */
    bool feeds;                  /* its outputs are fetched by the next stage */
    uint32_t outputs_missing;    /* of one that feeds: its tasks whose output is not placed now */
    struct jt_task *tasks;
    uint32_t count, blocked, waiting, running, done;
    uint32_t max_attempts; /* failures of one task that end the job; 0 = as configured here */
    struct jt_demand asks; /* per task */
    bool no_copies;        /* of slow attempts */
    bool has_slowstart;
    uint32_t slowstart_percent; /* of the stage it reads from, done before it begins; its own */
    struct hmap nodes, racks;
    struct jt_place anywhere;     /* every waiting task is in here */
    struct jt_place unrestricted; /* those without a live node that holds their input */
    size_t fresh;                 /* of `anywhere`: nobody has looked at these yet */
    struct list attempts;         /* running, the oldest first */
    uint32_t copies;              /* tasks that run more than once now */
    uint32_t most_running;        /* tasks at a time, as its job wants it; 0 = any number */
    struct list matching;         /* in core.matching: free workers are to be found for it */
    struct heap_node delay;       /* in core.delays: when it declines less */
    struct heap_node check;       /* in core.checks: when to look for stragglers */
    uint64_t delay_since_ms;      /* since when we decline remote work; 0 = we do not */
    uint64_t short_since_ms;      /* since when no worker has had room for it; 0 = one had */
    struct jt_worker *reserved;   /* makes room for it; NULL: none does */
    uint64_t started_ms, ended_ms;
    uint64_t run_ms_sum;     /* what attempts that were done took, be their output lost since */
    struct jt_middle run_ms; /* the same */
    uint32_t locality[4];
    uint32_t failed_attempts, killed_attempts, speculative;
    struct jt_middle rates; /* bytes (or 1) per second of done tasks */
    uint32_t brief_count;   /* the last so many tasks were all short (schedule/row), */
    uint64_t brief_us;      /* and took so long */
};

/* What a worker has been told of a job. */
struct jt_link {
    struct list of_worker, of_job;
    struct list fetching;       /* in job.fetching, while reducing > 0 */
    struct hmap_node by_worker; /* in job.links_by_worker */
    struct jt_worker *worker;
    struct jt_job *job;
    bool told_job;
    size_t outputs_told;    /* of job->outputs */
    uint32_t told_complete; /* which stages, as jt_outputs_complete has them */
    uint32_t running;       /* attempts of the job there */
    uint32_t reducing;      /* of them, those that fetch */
    uint32_t failures;      /* of the job there: at 3 it gets no more of it */
    bool is_shunned;
};

/* One line of the job's list of placed map outputs: only ever appended, so a worker needs to be
 * told from where it stopped. A later entry for the same task replaces the earlier. */
struct jt_output {
    uint32_t stage, task, attempt;
    bool is_empty;
    struct jt_worker *worker;
};

struct jt_job {
    struct hmap_node by_number;
    struct list all, active;
    uint64_t number;
    unsigned state;
    uint32_t priority;
    struct jt_claim claim; /* on the cluster: jobs/queues */
    struct list changed;   /* in core.changed: a stage may have become able to begin */
    struct list aside;     /* in core.aside: no worker had room for it; not offered for a moment */
    struct list
        cornered;       /* in core.cornered: a map waits, and reduces that wait for it hold cores */
    struct list untold; /* in core.untold: fetching workers are to be told of outputs */
    struct arena arena; /* spec strings, splits */
    char *name, *user;  /* in the arena */
    void *spec;         /* the edge's: what it was submitted with */
    struct jt_stage stages[JT_STAGES_MAX];
    uint32_t stage_count;
    struct list links;
    struct hmap links_by_worker;
    struct list fetching; /* links */
    uint32_t shunned;     /* workers that get no more of it */
    uint32_t reducing;    /* attempts that fetch */
    struct jt_output *outputs;
    size_t output_count, output_cap;
    uint64_t submitted_ms, ended_ms; /* monotonic */
    uint64_t version;
    char *why;               /* of a failed or killed job; owned */
    struct jt_task *culprit; /* first task that failed for good */
    bool is_resumed;
    bool has_published; /* PUBLISH was sent; only its answer ends the job now */
};

/* One split of a job's first stage. Borrowed until the submit returns. */
struct jt_split {
    struct slice input;
    uint64_t bytes;
    const struct slice *nodes;
    uint32_t node_count;
};

/* One reduce stage. */
struct jt_shuffle {
    uint32_t partitions; /* that the stage before makes for it */
    uint32_t tasks;      /* of a packed one; 0 = as many as jt_on_packed says */
    bool is_packed;      /* else each partition is a task */
};

struct jt_submit {
    struct slice name, user;
    struct slice queue; /* empty, or one that is not known: the default one */
    uint32_t priority;
    uint32_t most_maps, most_reduces; /* that run at a time; 0 = any number */
    uint64_t most_memory;             /* of all that run at a time; 0 = any */
    uint32_t partitions; /* one reduce stage of so many tasks, if `shuffles` says nothing */
    const struct jt_shuffle *shuffles;
    uint32_t shuffle_count;                 /* 0, and no partitions: no reduce stage */
    struct jt_demand map, reduce;           /* 0 cores = 1 */
    uint32_t map_attempts, reduce_attempts; /* 0 = as configured here */
    bool map_no_copies, reduce_no_copies;
    bool has_slowstart; /* its own share of maps that must be done, in percent */
    uint32_t slowstart_percent;
    const struct jt_split *splits;
    uint32_t split_count;
    void *spec; /* the edge's own: becomes job->spec before any effect is noted */
};

/* Builds stages and tasks, all blocked but the first stage's. NULL when memory is out. */
struct jt_job *jt_job_new(uint64_t number, const struct jt_submit *submit, uint64_t now_ms);
void jt_job_free(struct jt_job *job);

/* Other tasks instead of the ones it has, none of which has begun. 0 or ERR_NOMEM. */
int jt_stage_make_tasks(struct jt_stage *stage, uint32_t count);
void jt_task_move(struct jt_task *task, enum jt_task_state to); /* keeps the stage's counts */
struct jt_attempt *jt_attempt_new(struct jt_task *task, struct jt_worker *worker, uint64_t now_ms);
void jt_attempt_take_progress(struct jt_attempt *attempt, const struct jt_progress *progress);
struct jt_attempt *jt_attempt_find(const struct jt_task *task, uint32_t number);
struct jt_task *jt_job_task(struct jt_job *job, uint32_t stage, uint32_t task); /* NULL: none */
/* NULL when memory is out. */
struct jt_link *jt_link_get(struct jt_job *job, struct jt_worker *worker);
struct jt_link *jt_link_find(const struct jt_job *job, const struct jt_worker *worker);
/* It leaves both its lists. */
void jt_link_free(struct jt_link *link);

bool jt_stage_is_done(const struct jt_stage *stage);
/* One of its attempts is done, and took so long; and what they took in the mean, 0 of none. */
void jt_stage_note_run(struct jt_stage *stage, uint64_t ms);
uint64_t jt_stage_mean_ms(const struct jt_stage *stage);
/* Does somebody read this stage's output over the shuffle, and still need it? */
bool jt_stage_is_needed(const struct jt_stage *stage);
bool jt_job_is_over(const struct jt_job *job);
/* Remember that a task failed on this worker (the name outlives the job). */
void jt_task_blame(struct jt_task *task, const struct jt_worker *worker);
bool jt_task_failed_on(const struct jt_task *task, const struct jt_worker *worker);

#endif
