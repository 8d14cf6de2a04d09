/* SPDX-License-Identifier: Apache-2.0
 * jobs_world: a simulated engine. One jobtracker: the real core (jobs, stages, tasks, attempts,
 * fleet, locality, pick, speculation, preemption), driven here instead of by loop and sockets, with
 * a journal that loses what was not synced (jobs_tracker.c). Workers that take as long as chance
 * says, crash, are cut off and lose map outputs (jobs_worker.c). Faults and checks: jobs.c. */
#ifndef QUERN_TESTS_SIM_JOBS_WORLD_H
#define QUERN_TESTS_SIM_JOBS_WORLD_H

#include "jobtracker/events/events.h"
#include "tests/sim/scenario.h"

#define WORKERS   6
#define JOBS_MAX  40
#define MAPS_MAX  60
#define MAP_BYTES 1000
#define RUN_MAX   128 /* two cores, and a row on each */
#define HELD_MAX  512

enum job_msg_kind {
    /* worker -> jobtracker, on its connection */
    REGISTER,
    BEAT,
    DONE,
    FAILED,
    FETCH_FAILED,
    /* jobtracker -> worker */
    REGISTERED,
    ACCEPTED,
    RUN,
    KILL,
    OUTPUT,
    END,
    JOB_MSG_KINDS
};

struct job_msg {
    struct sim_msg head;
    enum job_msg_kind kind;
    struct attempt_id id;
    uint64_t epoch, incarnation;
    bool flag;      /* ACCEPTED: yes; FAILED: counts; RUN: a reduce */
    bool is_behind; /* RUN: in a row with the one before; FAILED: it had not begun */
    bool is_brief;  /* RUN: it takes little; DONE: it took little */
    bool is_kept;   /* RUN: the output is fetched from here */
    uint32_t other; /* OUTPUT: worker index; RUN: maps of the job; FETCH_FAILED: worker index */
    uint32_t map;
    size_t count;           /* REGISTER: held and running; REGISTERED: unwanted */
    struct attempt_id *ids; /* owned */
    size_t cap;
    uint64_t bytes_in[RUN_MAX]; /* BEAT */
};

struct job_msg *job_msg_new(enum job_msg_kind kind);
void job_msg_name(struct job_msg *m, const struct attempt_id *id); /* one more in ids */

/* ---- workers ---- */

struct running {
    struct attempt_id id;
    bool is_used, is_reduce, is_kept, is_reported, is_done, is_begun, is_brief;
    uint64_t row, order; /* those of one row are begun one after another */
    uint32_t maps;
    uint64_t start_ms, done_at_ms;
    uint8_t fetched[MAPS_MAX];
};

struct source { /* where a worker was told that a map's output lies */
    uint64_t job;
    uint32_t map, attempt, worker;
};

struct worker {
    struct sim_host host;
    struct jobs_world *world;
    struct sim_conn *conn;
    uint64_t incarnation, epoch, speed;
    uint64_t rows, orders; /* so far */
    struct running running[RUN_MAX];
    struct attempt_id held[HELD_MAX];
    bool accepted[HELD_MAX];
    size_t held_count;
    struct source sources[HELD_MAX * 4];
    size_t source_count;
};

extern const struct sim_host_ops jobs_worker_ops;
void jobs_worker_live(struct worker *worker); /* a new process */
void jobs_worker_return(void *worker);        /* a crashed one; nothing when it is up */

/* ---- the jobtracker ---- */

enum log_type { LOG_SUBMIT, LOG_DONE, LOG_LOST, LOG_END };

struct log_record {
    enum log_type type;
    struct attempt_id id; /* job in id.job.number */
    uint32_t worker, maps, reduces;
    uint64_t bytes, ran_ms; /* of one that is done */
};

struct published {
    bool is_there;
    uint64_t winners; /* hash of who won what */
};

extern const struct sim_host_ops jobs_tracker_ops;
struct jobs_world;
void jobs_tracker_live(struct jobs_world *w); /* reads its journal; also the first time */
void jobs_tracker_die(struct jobs_world *w);
void jobs_tracker_return(void *w);
void jobs_tracker_carry_out(struct jobs_world *w); /* the effects of the last event */
void jobs_submit(void *w);                         /* again and again */
void jobs_meddle(void *w);                         /* kills, other priorities; the same */

/* ---- the whole ---- */

struct jobs_world {
    struct sim *sim;
    struct sim_host jt;
    struct jt_core core;
    bool is_live;
    uint64_t epoch;
    struct sim_conn *conns[WORKERS];
    struct worker workers[WORKERS];
    struct log_record *log;
    size_t log_count, log_cap, durable;
    /* attempt + 1 whose commit stands in the log; 0 = none. By job, stage, task. */
    uint32_t committed[JOBS_MAX + 1][3][MAPS_MAX];
    struct published published[JOBS_MAX + 1];
    bool accepted[JOBS_MAX + 1], ended[JOBS_MAX + 1];
    uint64_t submitted;
    uint32_t worker_count, cores; /* of each worker */
    bool faults;
    /* conditions, drawn from the seed */
    uint32_t fail_one_in;   /* attempts */
    uint32_t counts_one_in; /* failures that are the task's own */
    uint32_t refuse_one_in; /* publishes the namenode says no to; 0 = none */
    uint32_t sync_one_in;   /* records of the log that are synced at once */
    uint32_t kill_one_in;   /* jobs their user gives up; 0 = none */
    uint32_t slow_one_in;   /* lives of a worker */
    uint32_t long_one_in;   /* short tasks that turn out long */
    uint32_t brief_one_in;  /* jobs whose tasks are short */
    uint32_t pause_ms;      /* between faults, at most */
    uint32_t submit_ms;     /* between jobs, at most */
};

#endif
