/* SPDX-License-Identifier: Apache-2.0
 * account: what a job's attempts recorded: summed up by stage, and as rows for whoever asks and for
 * the history. */
#ifndef QUERN_JOBTRACKER_ACCOUNT_H
#define QUERN_JOBTRACKER_ACCOUNT_H

#include "jobtracker/record.h"

/* What an attempt that failed told; the first thousand of a job are kept. */
#define ACCOUNT_FAILURES_MAX 1000U
struct account_failure {
    struct task_attempt id;
    uint32_t failure;  /* enum task_failure */
    struct slice path; /* in the record's arena */
    uint64_t offset;
    struct task_account account;
    struct task_times times;
};

void account_note_failure(struct record *record, const struct task_failed *failed);

/* A winner's report, with what only we know of it: how long it waited, and from where it read. */
int account_of(const struct jt_task *task, struct arena *arena, struct task_done *ret);

/* Totals of an attempt that is done, as its counters tell them. `job` may be NULL: it is gone. */
struct jt_progress account_progress(struct jt_job *job, const struct task_done *done);

/* Rows for attempts `from` on, at most `max` of them, and the partitions with the first. Slices
 * borrow from the job, the record and `arena`. 0 or ERR_NOMEM. */
int account_rows(const struct record *record, uint64_t from, uint64_t max, struct arena *arena,
                 struct cl2jt_attempts *ret);

/* What is needed to run a task of it by hand. */
int account_replay(const struct record *record, struct arena *arena, struct cl2jt_replay *ret);

const char *account_stage_name(const struct jt_stage *stage);

#endif
