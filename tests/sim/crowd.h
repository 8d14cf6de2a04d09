/* SPDX-License-Identifier: Apache-2.0
 * crowd: a big cluster around the jobtracker's core, in virtual time and without faults: for
 * questions of how much and how fast. (tests/sim/scenarios/jobs asks what happens when things
 * break.) A task takes as long as the test says, times how slow its worker is; beats tell its
 * progress. */
#ifndef QUERN_TESTS_SIM_CROWD_H
#define QUERN_TESTS_SIM_CROWD_H

#include "jobtracker/events/events.h"
#include "libcommon/base/rand.h"

#define CROWD_TICK_MS 50
#define CROWD_BEAT_MS 200

struct crowd;

struct crowd_conf {
    uint32_t workers, cores, racks; /* racks 0 = one */
    uint64_t memory;                /* of each worker; 0 = 1 GiB a core */
    uint64_t seed;
    bool has_beats; /* progress is told: costs a look at every running task */
    /* What an attempt would take on a healthy worker; NULL = conf.task_ms. */
    uint64_t (*work_ms)(const struct crowd *crowd, const struct jt_attempt *attempt);
    uint64_t task_ms;
    struct slice input, result; /* of every map, of every attempt: bytes the core keeps; borrowed */
    /* After every event; may be NULL. */
    void (*watch)(struct crowd *crowd);
    void *arg;
};

/* What is known of a job once it is over. */
struct crowd_job {
    uint64_t begun_ms, ended_ms; /* virtual; begun: its first task */
    uint32_t locality[4];
    uint32_t copies, killed;
    unsigned state;
};

#define CROWD_JOBS_MAX 4096

struct crowd {
    struct crowd_conf conf;
    struct jt_core core;
    struct rand rand;
    uint64_t now;
    uint64_t next_tick_ms, next_beat_ms;
    struct heap due;   /* struct run: by when its attempt is done */
    struct hmap runs;  /* the same, by attempt */
    uint32_t *slow_by; /* of each worker, in percent: 100 = healthy */
    uint64_t starts, dones, kills, events;
    uint64_t event_steps;                  /* core.steps of all that was not a tick */
    uint64_t most_steps;                   /* of one event, a tick or not */
    struct crowd_job jobs[CROWD_JOBS_MAX]; /* by number */
};

struct crowd *crowd_new(const struct crowd_conf *conf);
void crowd_free(struct crowd *crowd);
void crowd_slow(struct crowd *crowd, uint32_t worker, uint32_t percent);
/* Maps with inputs on `replicas` nodes each, drawn at random; 0 = nowhere. */
struct jt_job *crowd_submit(struct crowd *crowd, struct jt_submit like, uint32_t maps,
                            uint32_t replicas);
/* On until then, or until no job is left. */
void crowd_run(struct crowd *crowd, uint64_t until_ms);
/* Tasks of the job that run now, of all its stages. */
uint32_t crowd_running(const struct jt_job *job);

#endif
