/* SPDX-License-Identifier: Apache-2.0
 * logfile: an append-only file of lines, with rotation by size; the log and the audit log are such.
 *
 * One write(2) per line, from any thread, without a lock. The descriptor keeps its number when the
 * file is changed (rotation, reopening): a thread may be about to write to the old number, and were
 * that closed it could become a block file's in the meantime and the line would land there. */
#ifndef QUERN_BASE_LOGFILE_H
#define QUERN_BASE_LOGFILE_H

#include "libcommon/base/slice.h"

struct logfile {
    _Atomic int fd;  /* -1 = never opened */
    char path[1024]; /* "" = not open */
    uint64_t max_bytes;
    unsigned keep;
    _Atomic uint64_t written;
    _Atomic int rotating;
};
#define LOGFILE_INIT ((struct logfile){.fd = -1})

/* Keeps `keep` old files (path.1 ...) of at most max_bytes each; 0 = never rotates. May be called
 * again with another path; on failure everything stays as it was. */
int logfile_open(struct logfile *file, const char *path, uint64_t max_bytes, unsigned keep,
                 struct err *err);
/* Follow a rotation from outside: open the path anew. Nothing to do when not open. */
int logfile_reopen(struct logfile *file, struct err *err);
/* `line` ends with its newline. Dropped when not open; errors of the disk are dropped, too. */
void logfile_write(struct logfile *file, struct slice line);
/* Only when no thread can be writing any more. */
void logfile_close(struct logfile *file);

#endif
