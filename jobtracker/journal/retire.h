/* SPDX-License-Identifier: Apache-2.0
 * retire: what a jobtracker keeps of finished jobs does not stay for ever. Files of history/ and
 * blobs/ that were written longer ago than mapreduce.jobhistory.max-age-ms leave; a plugin or split
 * list of a job that is not over stays, however old. A client whose plugin has left brings it
 * again: it asks before each submission. */
#ifndef QUERN_JOBTRACKER_JOURNAL_RETIRE_H
#define QUERN_JOBTRACKER_JOURNAL_RETIRE_H

#include "libcommon/base/slice.h"
#include "libcommon/store/disk.h"

/* Remove the files of `dir` last written before `before_wall_ms`, but for those named in `kept`.
 * How many have left; what cannot be removed is logged and stays. Blocks: for a work queue. */
size_t retire_old(struct disk *disk, const char *dir, uint64_t before_wall_ms,
                  const struct slice *kept, size_t kept_count);

#endif
