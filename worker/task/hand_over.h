/* SPDX-License-Identifier: Apache-2.0
 * hand_over: a row of attempts becomes the work of a process: one that is free for their job is
 * found or made, gets what they use (outfit), and one RUN that describes them all. */
#ifndef QUERN_WORKER_TASK_HAND_OVER_H
#define QUERN_WORKER_TASK_HAND_OVER_H

#include "worker/task/attempt.h"

/* They are of one stage; the row is the process's from then on. NULL with err: none was begun. */
struct wk_process *hand_over(struct wk_attempt *const *row, size_t count, struct err *err);

#endif
