/* SPDX-License-Identifier: Apache-2.0
 * outfit: what the attempts of a process use, one row after another: directories, a log, the page
 * of their progress, memory for their outputs. It is kept from row to row as long as nothing is
 * left in it. */
#ifndef QUERN_WORKER_TASK_OUTFIT_H
#define QUERN_WORKER_TASK_OUTFIT_H

#include "worker/task/attempt.h"

/* Directories with nothing in them, for the attempt of that job; a log with nothing in it. */
int outfit_clear_dirs(struct wk_process *process, const struct wk_attempt *attempt,
                      struct err *err);
/* Its page, as new; its memfd, empty. 0 or an error. */
int outfit_clear_page(struct wk_process *process, struct err *err);
int outfit_clear_memory(struct wk_process *process, struct err *err);
/* Instead of that: an output of the same user's whose pages are to be written over. Takes it. */
void outfit_use_memory(struct wk_process *process, int fd);
/* What is in its memory is `len` bytes long, and nothing is behind it. Nobody writes into it now.
 */
void outfit_cut_memory(struct wk_process *process, uint64_t len);
/* The directories go, but for what is kept of map outputs. */
void outfit_drop_dirs(struct wk_process *process);
/* All of it goes, with its process. */
void outfit_release(struct wk_process *process);

#endif
