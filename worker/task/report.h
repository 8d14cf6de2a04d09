/* SPDX-License-Identifier: Apache-2.0
 * report: what is told of an attempt that failed: besides the reason, the record it had in hand
 * (from the progress page, which outlives a crash) and its last words (from its log). */
#ifndef QUERN_WORKER_TASK_REPORT_H
#define QUERN_WORKER_TASK_REPORT_H

#include "worker/task/attempt.h"

#define REPORT_WHY_MAX 512U

/* Why its process ended with `status` though it had more to do: class, code and one line in `why`.
 * Told apart: its limit, the machine without memory, time-out, signal, exit code, never begun. */
void report_death(const struct wk_attempt *attempt, int status, struct task_failed *failed,
                  char why[REPORT_WHY_MAX]);
/* The process itself says that it failed. When the kernel has killed a child of it for memory, that
 * is the reason, and what it says the consequence. */
void report_limit(const struct wk_attempt *attempt, struct task_failed *failed,
                  char why[REPORT_WHY_MAX]);
/* Fill in what is missing; `tail` owns the log's end, for as long as `failed` is used. */
void report_complete(struct wk_attempt *attempt, struct task_failed *failed, struct buf *tail);
/* Tell the jobtracker, without caring for the answer. */
void report_fetch_failed(struct worker *worker, const struct task_fetch_failed *failed);

#endif
