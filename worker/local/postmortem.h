/* SPDX-License-Identifier: Apache-2.0
 * postmortem: what became of an attempt whose process died: from its exit status, the progress page
 * it left behind, and its log. */
#ifndef QUERN_WORKER_LOCAL_POSTMORTEM_H
#define QUERN_WORKER_LOCAL_POSTMORTEM_H

#include "libcommon/proto/task/messages.h"
#include "libcommon/proto/task/progress.h"

#define POSTMORTEM_TAIL_BYTES 4096U

/* timed_out_ms: not 0 = we killed it for standing still so long. Strings live in the arena or are
 * the run's. */
void postmortem(const struct task_run *run, const struct progress_page *page, int status,
                uint64_t timed_out_ms, struct arena *arena, struct task_failed *ret);
/* The last bytes of a log, whole lines; empty when there are none. */
void postmortem_log_tail(const char *path, struct buf *out);

#endif
