/* SPDX-License-Identifier: Apache-2.0
 * report: what the local driver says: where it is, how it ended, why it failed. */
#ifndef QUERN_WORKER_LOCAL_REPORT_H
#define QUERN_WORKER_LOCAL_REPORT_H

#include <stdio.h>

#include "worker/local/job.h"

/* "job 1 ...": what is about to be done. */
void report_begin(FILE *out, const struct job *job, uint64_t file_count, uint64_t bytes);
/* One line of progress; is_terminal: redrawn in place. `done_bytes` of running tasks included. */
void report_progress(FILE *out, const struct job *job, uint64_t done_bytes, bool is_terminal);
/* Into a file, for programs. */
int report_counters(const char *path, struct job *job, struct err *err);
void report_done(FILE *out, struct job *job, const char *output, uint64_t wall_us, bool is_verbose);
void report_failed(FILE *out, const struct job *job);
/* "WHO: why", and where it was. */
void report_task_failed(FILE *out, const char *who, const struct task_failed *failed);
/* "map 12"; "reduce 2, task 12" of a second stage that reduces. `kind`: enum task_kind. */
char *report_task_name(uint32_t kind, const struct task_attempt *id, char *out, size_t cap);

#endif
