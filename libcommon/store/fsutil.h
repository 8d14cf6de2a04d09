/* SPDX-License-Identifier: Apache-2.0
 * fsutil: whole files and directories, done so that a crash leaves the old state or the new one.
 * Everything goes through a `struct disk`, so the simulator cuts the power in the middle. Every
 * failure is one finished line in `err` that names the path. All of it blocks. */
#ifndef QUERN_STORE_FSUTIL_H
#define QUERN_STORE_FSUTIL_H

#include "libcommon/store/disk.h"

/* dir + "/" + name; mem_free it; NULL when memory is out. */
char *fsutil_join(const char *dir, const char *name);

/* Append the whole file to `out`. ERR_NOENT when it is not there, ERR_TOOBIG above max_bytes. */
int fsutil_read_all(struct disk *disk, const char *path, size_t max_bytes, struct buf *out,
                    struct err *err);

/* Create or overwrite in place and fsync. Not atomic and the name is not made durable: for files
 * nobody misses (a pid file, an export). Everything else wants fsutil_replace. */
int fsutil_write_all(struct disk *disk, const char *path, struct slice data, struct err *err);
/* All bytes to a pipe, a terminal, a socket, a file: no disk of quern's. */
int fsutil_write_fd(int fd, struct slice bytes);

/* The file is the old one or the new one, and the new one once this returned 0 (see outfile.h for
 * the steps). */
int fsutil_replace(struct disk *disk, const char *path, struct slice data, struct err *err);

/* Copy one file under a new name with the same promise as fsutil_replace. */
int fsutil_copy(struct disk *disk, const char *from, const char *to, struct err *err);

/* mkdir -p: each new level is made durable in its parent before the next is made, so after 0 the
 * whole path survives a crash, and after a crash a beginning of it may be there. */
int fsutil_mkdirs(struct disk *disk, const char *path, struct err *err);

/* fsync of the directory that holds `path`. */
int fsutil_sync_parent(struct disk *disk, const char *path, struct err *err);

/* rm -r, never following links; 0 also when nothing is there. Not durable until the parent is
 * synced: a crash may bring back any part. */
int fsutil_remove_tree(struct disk *disk, const char *path, struct err *err);
/* The files of a directory, not those below it, whose names end so. */
int fsutil_remove_endings(struct disk *disk, const char *dir, const char *ending, struct err *err);

/* Exists and is a directory with nothing in it (lost+found and in_use.lock do not count)? 1, 0, or
 * an error; ERR_NOENT when it is not there. */
int fsutil_is_empty_dir(struct disk *disk, const char *path);

/* One process per directory: `in_use.lock` is held locked by the kernel (so it never outlives the
 * process) and says "pid host program" for people. ERR_BUSY: "/srv/nn is in use by process 4711
 * (quern-namenode) on host1: ...". The name of the lock file is never removed by us; the directory
 * is locked, too, for where somebody else removed it. */
struct fsutil_lock {
    struct disk *disk;
    int fd, dir_fd; /* dir_fd -1: this filesystem locks no directories */
};
#define FSUTIL_LOCK_INIT ((struct fsutil_lock){NULL, -1, -1})
int fsutil_lock(struct disk *disk, const char *dir, struct fsutil_lock *ret, struct err *err);
void fsutil_unlock(struct fsutil_lock *lock); /* an unlocked one is harmless; so is twice */

#endif
