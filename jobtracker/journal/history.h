/* SPDX-License-Identifier: Apache-2.0
 * history: finished jobs on disk, a few files each, written whole or not at all:
 *
 *   dir/job_<ms>_<n>.json     for people and tools: submission, stages, attempts, counters
 *   dir/job_<ms>_<n>.status   an encoded cl2jt_status: what `quern job -status` shows
 *   dir/job_<ms>_<n>.places   where each attempt ran, and so where its log lies
 *   dir/job_<ms>_<n>.attempts an encoded cl2jt_attempts: what every attempt recorded
 *   dir/job_<ms>_<n>.submit   of a job that did not succeed: an encoded cl2jt_replay
 *   dir/job_<ms>_<n>.log      reasons and last lines of the failed attempts, if any failed */
#ifndef QUERN_JOBTRACKER_JOURNAL_HISTORY_H
#define QUERN_JOBTRACKER_JOURNAL_HISTORY_H

#include "libcommon/base/buf.h"
#include "libcommon/base/ids.h"
#include "libcommon/store/outfile.h"

struct history {
    struct disk *disk;
    char *dir;
};

int history_init(struct history *history, struct disk *disk, const char *dir, struct err *err);
void history_release(struct history *history);

/* suffix: ".json", ".status", ".places", ".attempts", ".submit", ".log". Blocks: from a work queue.
 */
int history_write(struct history *history, struct job_id id, const char *suffix, struct slice data,
                  struct err *err);
/* The same for many: each begun, then each committed (outfile_commit_unnamed), so that the disk has
 * all of them at once; and then history_sync, until which they may be gone after a power cut. What
 * .status vouches for is synced before .status is begun. */
int history_begin(struct history *history, struct job_id id, const char *suffix, struct slice data,
                  struct outfile *ret, struct err *err);
int history_sync(struct history *history, struct err *err);
/* ERR_NOENT when it was never written or is gone. */
int history_read(struct history *history, struct job_id id, const char *suffix, struct buf *out,
                 struct err *err);
/* Is all of it there? `.status` is written last. */
bool history_has(const struct history *history, struct job_id id);
/* Newest first, at most `limit`; each number with the cluster_ms it belongs to. */
int history_list(struct history *history, size_t limit, struct job_id *ret_ids, size_t *ret_count);

#endif
