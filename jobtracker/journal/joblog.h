/* SPDX-License-Identifier: Apache-2.0
 * joblog: the jobtracker's journal, in the same format as the namenode's edits (store/wal).
 *
 *   EPOCH   at each start: the life's number, when this history began, the next job number
 *   SUBMIT  a job: everything needed to run it again from nothing; answered when durable
 *   DONE    an attempt was accepted as its task's winner: written without waiting, together with
 *           what else comes within ten milliseconds, or with the next record that is waited for
 *   LOST    that output is gone, the task runs again: the same
 *   END     a final state; told to clients when durable
 *   PRIORITY  a job's new priority; answered when durable
 *   PACKED  which partitions each task of a stage reads, now that it is known what is in them;
 *           before the first of them is DONE. Never changes, whatever runs again
 *
 * A record that was written without waiting may be missing in the next life: then a task runs
 * again. Records of a job are dropped once no unfinished job is older. */
#ifndef QUERN_JOBTRACKER_JOURNAL_JOBLOG_H
#define QUERN_JOBTRACKER_JOURNAL_JOBLOG_H

#include "libcommon/event/workq.h"
#include "libcommon/proto/cl_jt/messages.h"
#include "libcommon/store/wal.h"

enum joblog_type {
    JOBLOG_EPOCH = 1,
    JOBLOG_SUBMIT,
    JOBLOG_DONE,
    JOBLOG_LOST,
    JOBLOG_END,
    JOBLOG_PRIORITY,
    JOBLOG_PACKED
};

#define JOBLOG_EPOCH_FIELDS(F, S, L) \
    F(U64, cluster_ms)               \
    F(U64, epoch)                    \
    F(U64, next_job)
MSG_STRUCT(joblog_epoch, JOBLOG_EPOCH_FIELDS)

#define JOBLOG_SUBMIT_FIELDS(F, S, L) \
    F(U64, number)                    \
    F(STR, user)                      \
    F(U64, wall_ms)                   \
    S(cl2jt_submit, job)
MSG_STRUCT(joblog_submit, JOBLOG_SUBMIT_FIELDS)

#define JOBLOG_DONE_FIELDS(F, S, L) \
    S(task_attempt, id)             \
    F(STR, worker)                  \
    F(BYTES, result) /* an encoded task_done */
MSG_STRUCT(joblog_done, JOBLOG_DONE_FIELDS)

#define JOBLOG_LOST_FIELDS(F, S, L) S(task_attempt, id)
MSG_STRUCT(joblog_lost, JOBLOG_LOST_FIELDS)

#define JOBLOG_END_FIELDS(F, S, L)        \
    F(U64, number)                        \
    F(U32, state) /* enum jt_job_state */ \
    F(STR, why)                           \
    F(U64, wall_ms)
MSG_STRUCT(joblog_end, JOBLOG_END_FIELDS)

#define JOBLOG_PRIORITY_FIELDS(F, S, L) \
    F(U64, number)                      \
    F(U32, priority)
MSG_STRUCT(joblog_priority, JOBLOG_PRIORITY_FIELDS)

#define JOBLOG_PACKED_FIELDS(F, S, L) \
    F(U64, number)                    \
    F(U32, stage)                     \
    F(U32, tasks)                     \
    F(U64S, task_of) /* per partition: the task of the stage that has it */
MSG_STRUCT(joblog_packed, JOBLOG_PACKED_FIELDS)

const struct msg_desc *joblog_desc(uint16_t type); /* NULL: not ours */

struct joblog;

/* Called on the loop when records up to `durable` are on disk; or with an error: exit. */
typedef void joblog_durable_fn(void *arg, uint64_t durable, const struct err *err);

struct joblog_options {
    struct disk *disk;
    const char *const *dirs;
    size_t dir_count;
    struct loop *loop;
    struct workq *workq;
    joblog_durable_fn *on_durable;
    void *arg;
};

/* Opens, or makes an empty log where there is none. */
int joblog_open(const struct joblog_options *options, struct joblog **ret, struct err *err);
/* Before the first append: every record, in order. */
int joblog_replay(struct joblog *log, wal_visit_fn visit, void *arg, struct err *err);
/* Returns the record's index, or 0 with err: nothing was written, and the process should end. It
 * leaves for the disk at the end of this turn of the loop, with all others of the turn; if nobody
 * waits for records of its type, later. */
uint64_t joblog_append(struct joblog *log, enum joblog_type type, const void *record,
                       struct err *err);
/* Somebody does wait for what was appended last. */
void joblog_hurry(struct joblog *log);
uint64_t joblog_durable(const struct joblog *log);
void joblog_drop_below(struct joblog *log, uint64_t index);
/* Hand no more batches to the work queue; then drain that, then close (which writes the rest). */
void joblog_stop(struct joblog *log);
int joblog_close(struct joblog *log, struct err *err);

#endif
