/* SPDX-License-Identifier: Apache-2.0
 * sim/disk: a disk in memory that forgets what was not synced, behind the table of
 * libcommon/store/disk.h. Not a mock: the promises written there are kept, and not one more.
 *
 *   - A file is its durable bytes plus a list of unsynced sector versions (512 bytes each, the
 *     content of the sector after each write) and length changes. A crash lets any subset of them
 *     through, in order; with `garble` a sector caught in the middle may also be noise.
 *   - A directory is its durable names plus a list of unsynced name changes; a crash lets any
 * subset through. Syncing a file does not sync its name.
 *   - A failed sync behaves like Linux: the pages count as clean, so that a second sync "succeeds"
 *     while the bytes never reach the disk.
 *   - A crash *clone* is another disk as this one would look after a crash now; this one goes on.
 *
 * One thread. Everything random comes from seeds; listings are sorted. Descriptors are not the
 * kernel's. Paths are absolute; links do not exist. */
#ifndef QUERN_TESTS_SIM_DISK_H
#define QUERN_TESTS_SIM_DISK_H

#include "libcommon/base/rand.h"
#include "libcommon/store/disk.h"

enum sim_crash {
    SIM_CRASH_RANDOM,  /* power cut: any subset of what was unsynced */
    SIM_CRASH_NOTHING, /* power cut: nothing unsynced survives */
    SIM_CRASH_ALL,     /* the process was killed: the page cache survives, still unsynced */
};

struct sim_disk;

struct sim_disk *sim_disk_new(void); /* an empty root; NULL when memory is out */
void sim_disk_free(struct sim_disk *sim);
struct disk *sim_disk(struct sim_disk *sim); /* lives as long as sim */

/* Total of file lengths allowed; 0 = no limit. Growing beyond it is ERR_NOSPC. */
void sim_disk_set_capacity(struct sim_disk *sim, uint64_t bytes);
/* One in `one_in` unsynced sectors becomes noise in a random crash; 0 = never. */
void sim_disk_set_garble(struct sim_disk *sim, uint32_t one_in);

/* In place: all descriptors become invalid, all locks are gone. */
void sim_disk_crash(struct sim_disk *sim, enum sim_crash kind, uint64_t seed);
/* The same on a copy; free it. NULL when memory is out. */
struct sim_disk *sim_disk_clone(const struct sim_disk *sim, enum sim_crash kind, uint64_t seed);

/* The n-th changing operation from now (1 = the next) on a path under `prefix` answers `code`; with
 * `forever` all later ones too, and reads as well: a dead disk. n = 0 disarms. Changing operations
 * are creating open, write, sync, truncate, allocate, rename, unlink, mkdir and fsync_dir; a
 * failing write may have written some of it. */
void sim_disk_fail(struct sim_disk *sim, const char *prefix, uint64_t n, int code, bool forever);
/* Changing operations so far. */
uint64_t sim_disk_ops(const struct sim_disk *sim);
/* Called before each changing operation, with the number it will have: the place to take a clone.
 */
void sim_disk_on_op(struct sim_disk *sim, void (*before)(void *arg, uint64_t op), void *arg);

/* Flip one bit of a file's durable and cached bytes; ERR_NOENT or ERR_INVAL when it is not there.
 */
int sim_disk_flip(struct sim_disk *sim, const char *path, uint64_t bit);

#endif
