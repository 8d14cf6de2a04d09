/* SPDX-License-Identifier: Apache-2.0
 * outfile: a file that appears whole or not at all. Bytes stream into `<path>.tmp`; commit makes
 * them durable and gives them their name.
 *
 *   1 open PATH.tmp (truncating what an earlier crash left)   crash: PATH is as before
 *   2 write, large writes buffered                            crash: PATH is as before
 *   3 fsync PATH.tmp                                          crash: PATH is as before
 *   4 rename PATH.tmp to PATH                                 crash: PATH is old or new, whole
 *   5 fsync the directory                                     from here on PATH is new
 *
 * Whoever starts after a crash ignores or removes `*.tmp`. One thread at a time. Errors stick:
 * after a failed append the commit fails with the same line, so callers may check once. */
#ifndef QUERN_STORE_OUTFILE_H
#define QUERN_STORE_OUTFILE_H

#include "libcommon/store/disk.h"

struct outfile {
    struct disk *disk; /* borrowed */
    char *path, *tmp_path;
    int fd;
    uint64_t off; /* bytes handed to the disk */
    struct buf pending;
    struct err failed; /* code 0 while all is well */
};

/* On failure nothing needs releasing. `path` is copied. */
int outfile_open(struct outfile *out, struct disk *disk, const char *path, struct err *err);
void outfile_append(struct outfile *out, const void *data, size_t len);
/* What is buffered begins its way to the disk: of many files that are then committed one after
 * another the first waits for it, and the others find it done. */
void outfile_flush(struct outfile *out);
/* Bytes appended so far. */
uint64_t outfile_offset(const struct outfile *out);
/* Ends the outfile in either case; on failure PATH is as before, unless only step 5 failed: then a
 * crash may still bring the old one back. */
int outfile_commit(struct outfile *out, struct err *err);
/* The same but for step 5, so that one fsync of the directory does for many: until then a crash may
 * bring the old file back, or leave none. */
int outfile_commit_unnamed(struct outfile *out, struct err *err);
void outfile_abort(struct outfile *out); /* ends it and removes the temporary file */

#endif
