/* SPDX-License-Identifier: Apache-2.0
 * report: what is told of an attempt that failed: besides the reason, the record it had in hand
 * (from the progress page, which outlives a crash) and its last words (from its log). */
#ifndef QUERN_WORKER_TASK_REPORT_H
#define QUERN_WORKER_TASK_REPORT_H

#include "worker/task/attempt.h"

/* Fill in what is missing; `tail` owns the log's end, for as long as `failed` is used. */
void report_complete(struct wk_attempt *attempt, struct task_failed *failed, struct buf *tail);
/* Tell the jobtracker, without caring for the answer. */
void report_fetch_failed(struct worker *worker, const struct task_fetch_failed *failed);

#endif
