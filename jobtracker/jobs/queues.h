/* SPDX-License-Identifier: Apache-2.0
 * queues: whose turn it is. Every job stands in one queue. The cluster is shared between queues by
 * their weights, and what a queue has between its jobs by their priorities: the next free core goes
 * to the queue, and in it to the job, that has least for its weight. Pure.
 *
 * What somebody has is counted in units: a thousandth of a core, or of a core's part of all memory,
 * whichever of the two is more.
 *
 * A queue keeps its jobs in heaps, so that a task that begins or ends costs O(log jobs):
 *   poor   jobs with tasks that could run now, who has least for his weight first
 *   rich   jobs with tasks that run, who has most for his weight first
 *   waits  jobs that may not run yet, because the queue runs as many as it may */
#ifndef QUERN_JOBTRACKER_JOBS_QUEUES_H
#define QUERN_JOBTRACKER_JOBS_QUEUES_H

#include "jobtracker/jobs/job.h"

#define JT_QUEUES_MAX    64
#define JT_QUEUE_DEFAULT "default" /* is always there */
#define JT_UNITS         1000      /* of one core */

/* What is wanted of a queue. */
struct jt_queue_conf {
    struct slice name;
    uint32_t weight;       /* at least 1 */
    uint32_t most_cores;   /* 0 = all there are */
    uint32_t most_percent; /* of all cores and memory; 0 = all there are */
    uint32_t most_running; /* jobs that run at a time; 0 = any number */
    uint32_t most_jobs;    /* that are not over; 0 = any number */
};

struct jt_queue {
    char *name; /* owned */
    struct jt_queue_conf conf;
    bool is_closed;   /* no longer configured: what is in it ends */
    struct list jobs; /* that are not over */
    uint32_t job_count, admitted;
    struct heap poor, rich, waits;
    struct jt_need used;
    uint64_t wanted;  /* by tasks that could run now */
    uint64_t weights; /* of its jobs that have or want something */
    uint64_t fair;    /* what it should have, as of the last jt_queues_share */
};

struct jt_queues {
    struct jt_queue *items[JT_QUEUES_MAX];
    uint32_t count;
};

/* As `confs` say from now on; a queue that is not among them is closed. 0 or ERR_NOMEM. */
int jt_queues_configure(struct jt_queues *queues, const struct jt_queue_conf *confs, size_t count);
void jt_queues_release(struct jt_queues *queues);
struct jt_queue *jt_queue_find(const struct jt_queues *queues, struct slice name); /* or NULL */

/* The job stands in that queue, or the default one. 0 or ERR_NOMEM. */
int jt_queue_enter(struct jt_queues *queues, struct jt_job *job, struct slice name);
void jt_queue_leave(struct jt_job *job);
/* A job that waited for its queue and may run now; NULL: none may. */
struct jt_job *jt_queue_admit(struct jt_queue *queue);

/* --- what a job has and wants --------------------------------------------------------------------
 */
uint64_t jt_units(const struct jt_fleet *fleet, struct jt_need need);
/* Tasks of the stage that could begin now, were there room; 0 also when its job is at a limit. */
uint32_t jt_stage_wants(const struct jt_stage *stage);
void jt_claim_take(struct jt_job *job, struct jt_need need);
void jt_claim_give_back(struct jt_job *job, struct jt_need need);
/* Something of the job has changed: its tasks, its priority, what it has. */
void jt_claim_update(struct jt_job *job, const struct jt_fleet *fleet, uint64_t now_ms);
/* What it should have of what its queue should have, in units. */
uint64_t jt_claim_share(const struct jt_job *job);

/* --- whose turn ----------------------------------------------------------------------------------
 */
/* The queue with least for its weight that wants something and is not in `passed` (by index), which
 * it then is; NULL: none. */
struct jt_queue *jt_queues_next(const struct jt_queues *queues, const struct jt_fleet *fleet,
                                uint64_t *passed);
/* What the queue may have at most, in units. */
uint64_t jt_queue_most(const struct jt_queue *queue, const struct jt_fleet *fleet);
/* May the job have so much more, by its own limit and its queue's, which got `gives` back before?
 */
bool jt_claim_has_room(const struct jt_job *job, const struct jt_fleet *fleet, struct jt_need need,
                       struct jt_need gives);
/* What each queue should have now: the cluster by weights, and what one does not want goes to the
 * others. */
void jt_queues_share(struct jt_queues *queues, const struct jt_fleet *fleet);

#endif
