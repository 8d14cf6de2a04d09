/* SPDX-License-Identifier: Apache-2.0
 * disk: everything quern asks of a filesystem, as a table of operations. Nobody but libcommon/store
 * calls fsync and rename; daemons hold a `struct disk *` and call the functions below. There are
 * two tables: disk_real (the kernel) and the simulator's (tests/sim/disk.h: a disk that forgets
 * what was not synced). So the very code that must survive a power cut is run through thousands of
 * them.
 *
 * What a caller may rely on after a crash, with either table, and nothing more:
 *   - bytes: what was written before a successful disk_fsync or disk_fdatasync of that file (its
 *     length included; fdatasync may forget the mtime only). Of later writes any subset of 512-byte
 *     sectors may be there, in any order.
 *   - names: created, renamed and unlinked names once disk_fsync_dir of their directory succeeded;
 *     before that each of them alone may or may not have happened. A rename is never half done: the
 *     target is the old file or the new one.
 *   - a failed fsync means that the file is in an unknown state for good: never call it again in
 * the hope that it works now; drop the file, the directory or the process.
 *
 * Paths are C strings. Files are made with mode 0600, directories with 0700. A file handle is a
 * descriptor (with disk_real a real one, closed on exec, that may be passed to another process).
 * All functions return 0 (or a count) or a negative enum err_code, and may block: not for the loop
 * thread while serving. disk_real may be used from any thread.
 *
 * Fault points (base/fault.h), hit before the operation: disk.open disk.read disk.write disk.fsync
 * (fdatasync too) disk.truncate disk.allocate disk.rename disk.unlink disk.mkdir disk.fsyncdir
 * disk.list disk.stat disk.lock; and hit after it succeeded: disk.fsync.done disk.rename.done. They
 * work with both tables. `corrupt` flips one bit of what is read or written; `drop` lets a write,
 * fsync, rename or unlink claim success without doing it. */
#ifndef QUERN_STORE_DISK_H
#define QUERN_STORE_DISK_H

#include "libcommon/base/buf.h"

enum disk_flag {
    DISK_READ = 1, /* of a directory ERR_ISDIR, of a pipe, a link, a device ERR_CORRUPT */
    DISK_WRITE = 2,
    DISK_CREATE = 4,  /* when it is not there */
    DISK_EXCL = 8,    /* with CREATE: ERR_EXIST when it is there */
    DISK_TRUNC = 16,  /* cut to nothing */
    DISK_DIRECT = 32, /* past the page cache; caller aligns memory, offset and length to 4096.
                       * Silently left out where the filesystem cannot */
    DISK_DIR = 64,    /* open a directory (only for passing it on) */
};

struct disk_stat {
    uint64_t size_bytes;
    uint64_t allocated_bytes; /* what it really takes */
    uint64_t mtime_ms;
    bool is_dir;
};

struct disk_space {
    uint64_t total_bytes;
    uint64_t free_bytes; /* for us, not for root */
    uint64_t fs_id;      /* equal for two paths on one filesystem */
};

struct disk;

/* Return 0 to go on; any other value ends the listing and becomes its result. `name` is borrowed.
 */
typedef int (*disk_visit_fn)(void *arg, const char *name, bool is_dir);

/* The contract of each row is that of the function of the same name below. Rows may do less than
 * asked only for pread and pwrite (short counts); the functions loop. */
struct disk_ops {
    int (*open)(struct disk *disk, const char *path, unsigned flags, int *ret_fd);
    void (*close)(struct disk *disk, int fd);
    int64_t (*pread)(struct disk *disk, int fd, void *data, size_t len, uint64_t off);
    int64_t (*pwrite)(struct disk *disk, int fd, const void *data, size_t len, uint64_t off);
    int (*sync)(struct disk *disk, int fd, bool data_only);
    int (*writeback)(struct disk *disk, int fd, uint64_t off, uint64_t len);
    void (*read_soon)(struct disk *disk, int fd, uint64_t off, uint64_t len);
    int (*truncate)(struct disk *disk, int fd, uint64_t size);
    int (*allocate)(struct disk *disk, int fd, uint64_t size);
    int (*copy)(struct disk *disk, int from_fd, int to_fd, uint64_t off, uint64_t len);
    int64_t (*next_data)(struct disk *disk, int fd, uint64_t off);
    int (*stat_fd)(struct disk *disk, int fd, struct disk_stat *ret);
    int (*stat)(struct disk *disk, const char *path, struct disk_stat *ret);
    int (*rename)(struct disk *disk, const char *from, const char *to);
    int (*unlink)(struct disk *disk, const char *path, bool is_dir);
    int (*mkdir)(struct disk *disk, const char *path);
    int (*fsync_dir)(struct disk *disk, const char *path);
    int (*list)(struct disk *disk, const char *path, disk_visit_fn visit, void *arg);
    int (*lock)(struct disk *disk, const char *path, int *ret_fd);
    int (*space)(struct disk *disk, const char *path, struct disk_space *ret);
};

struct disk {
    const struct disk_ops *ops;
};

/* The kernel's files. One for the whole process; nothing to release. */
struct disk *disk_real(void);

int disk_open(struct disk *disk, const char *path, unsigned flags, int *ret_fd);
void disk_close(struct disk *disk, int fd); /* fd < 0 is harmless */

/* Bytes read: len, or fewer only at the end of the file. */
int64_t disk_pread(struct disk *disk, int fd, void *data, size_t len, uint64_t off);
/* All or an error (after which any part may be written). */
int disk_pwrite(struct disk *disk, int fd, const void *data, size_t len, uint64_t off);
/* The same at the end of the file. One appender per file. */
int disk_append(struct disk *disk, int fd, const void *data, size_t len);

int disk_fsync(struct disk *disk, int fd);
int disk_fdatasync(struct disk *disk, int fd);
/* Ask for writing out this range to begin, so that a later fsync is short. Promises nothing. */
int disk_writeback(struct disk *disk, int fd, uint64_t off, uint64_t len);
/* Ask for reading of this range to begin, so that a later read need not wait. Promises nothing. */
void disk_read_soon(struct disk *disk, int fd, uint64_t off, uint64_t len);

int disk_truncate(struct disk *disk, int fd, uint64_t size);
/* Make the file `size` bytes long with room reserved for all of them; new bytes read as zero. A
 * filesystem that cannot reserve gets real zeros written. ERR_NOSPC leaves the length alone. */
int disk_allocate(struct disk *disk, int fd, uint64_t size);
/* Copy a range to the same place of another file, sharing the blocks where the filesystem can. */
int disk_copy(struct disk *disk, int from_fd, int to_fd, uint64_t off, uint64_t len);

/* The first offset from `off` on that may hold anything but zeros: a reader of a file that was
 * allocated and never filled need not read it. The file's size when there is none. */
int64_t disk_next_data(struct disk *disk, int fd, uint64_t off);

int disk_stat_fd(struct disk *disk, int fd, struct disk_stat *ret);
int disk_stat(struct disk *disk, const char *path, struct disk_stat *ret);

int disk_rename(struct disk *disk, const char *from, const char *to); /* replaces `to` */
int disk_unlink(struct disk *disk, const char *path);
int disk_rmdir(struct disk *disk, const char *path);
int disk_mkdir(struct disk *disk, const char *path); /* ERR_EXIST when there is anything */
int disk_fsync_dir(struct disk *disk, const char *path);
/* Every entry but "." and "..", in no order. The directory must not change meanwhile, save that the
 * entry just visited may be removed. */
int disk_list(struct disk *disk, const char *path, disk_visit_fn visit, void *arg);

/* Open (create) a file, or open a directory, and lock it for this process's life or until
 * disk_close; ERR_BUSY when another holds it. Not every filesystem locks directories. The handle
 * reads and writes. A forked child that outlives its parent must close its copy, else it keeps the
 * lock. */
int disk_lock(struct disk *disk, const char *path, int *ret_fd);
int disk_space(struct disk *disk, const char *path, struct disk_space *ret);

#endif
