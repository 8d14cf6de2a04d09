/* SPDX-License-Identifier: Apache-2.0
 * jobs_world: a simulated engine. One jobtracker: the real core (jobs, stages, tasks, attempts,
 * fleet, locality, pick, speculation, preemption), driven here instead of by loop and sockets, with
 * a journal that loses what was not synced (jobs_tracker.c). Workers that take as long as chance
 * says, crash, are cut off and lose map outputs (jobs_worker.c). Faults and checks: jobs.c. */
#ifndef QUERN_TESTS_SIM_JOBS_WORLD_H
#define QUERN_TESTS_SIM_JOBS_WORLD_H

#include "jobtracker/jobs/events.h"
#include "tests/sim/scenario.h"

#define WORKERS  6
#define JOBS_MAX 40
#define RUN_MAX  16
#define HELD_MAX 512

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
    uint32_t other; /* OUTPUT: worker index; RUN: maps of the job; FETCH_FAILED: worker index */
    uint32_t map;
    size_t count; /* REGISTER: held and running; REGISTERED: unwanted */
    struct attempt_id ids[HELD_MAX / 8];
};

struct job_msg *job_msg_new(enum job_msg_kind kind);

/* ---- workers ---- */

struct running {
    struct attempt_id id;
    bool is_used, is_reduce, is_reported;
    uint32_t maps;
    uint64_t done_at_ms;
    uint8_t fetched[64];
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
    struct published published[JOBS_MAX + 1];
    bool accepted[JOBS_MAX + 1], ended[JOBS_MAX + 1];
    uint64_t submitted;
    uint32_t worker_count, cores; /* of each worker */
    bool faults;
};

#endif
