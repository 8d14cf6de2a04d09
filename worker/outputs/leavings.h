/* SPDX-License-Identifier: Apache-2.0
 * leavings: files that nobody needs any more, given back to the disk on a thread of their own. The
 * last close of a large file, or its unlink, takes as long as the filesystem likes: seconds, where
 * it tells the disk which blocks are free (mount -o discard). Who beats and answers does not wait
 * for it, and neither does a plugin that is being brought. Memory files have another thread: their
 * pages take an eighth of a second for each gigabyte, and do not wait for a disk.
 *
 * Loop thread only. Until it is opened, and where memory is out, it is done at once. */
#ifndef QUERN_WORKER_OUTPUTS_LEAVINGS_H
#define QUERN_WORKER_OUTPUTS_LEAVINGS_H

#include "libcommon/event/workq.h"
#include "libcommon/store/disk.h"

struct leavings {
    struct disk *disk;
    struct workq *files, *memory; /* one thread each; NULL: not open */
};

int leavings_open(struct leavings *leavings, struct loop *loop, struct disk *disk, struct err *err);
/* All that it was given is done first. */
void leavings_close(struct leavings *leavings);

/* Take the descriptor: of a file, of memory. */
void leavings_add_file(struct leavings *leavings, int fd);
void leavings_add_memory(struct leavings *leavings, int fd);
/* A file, or a directory with all in it. The path may not come into use again: give it another
 * name first. */
void leavings_add_tree(struct leavings *leavings, const char *path);

#endif
