/* SPDX-License-Identifier: Apache-2.0
 * commit: _MANIFEST, the list of a job's output files, one line each:
 *
 *     NAME TAB length in bytes TAB records TAB crc32c of the file in hex LF
 *
 * The lines come finished, in order of name (commit_line makes one), from whoever knows which
 * attempts won. */
#ifndef QUERN_WORKER_SINK_COMMIT_H
#define QUERN_WORKER_SINK_COMMIT_H

#include "libcommon/base/buf.h"
#include "worker/plugin/context.h"
#include "worker/run/region.h"

#define COMMIT_MANIFEST "_MANIFEST"
#define COMMIT_SUCCESS  "_SUCCESS"

/* Append the line of a file, without its end. */
void commit_line(const struct task_file *file, struct buf *out);
/* Writes run->manifest to run->out. As mapper_run. */
int commit_run(struct context *c, struct region *region, struct task_done *done);

#endif
