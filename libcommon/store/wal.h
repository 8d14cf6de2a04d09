/* SPDX-License-Identifier: Apache-2.0
 * wal: the record log that every acknowledged change goes through (the namenode's edits, the
 * jobtracker's log; later the raft log). Records have consecutive indexes and are never changed.
 *
 * Flow of a change, and who runs what:
 *
 *   loop    wal_append ............ encoded into memory, index known; nothing is durable yet
 *   loop    wal_take_batch ........ all that was appended since the last batch (one in flight at
 * most) thread  wal_write_batch ....... checksums, write to every directory, fdatasync every
 * directory loop    wal_batch_done ........ durable index moves up: replies that waited for it may
 * go out loop    wal_take_batch ........ the next batch: everything that came during that fsync
 *
 * So group commit needs no timer, and the driver needs three lines: call wal_take_batch after
 * appending, after wal_batch_done and every 50 ms; whenever it gives a batch, hand it to a thread.
 * The simulator calls the three in a row. The wal itself has no thread, lock or clock.
 *
 * Promises
 *   - After wal_batch_done said index n is durable, no crash loses a record up to n, and recovery
 *     never invents one, nor gives one altered.
 *   - Records that were appended but not yet durable may be there after a crash: always a beginning
 *     of what was appended, with nothing missing in the middle.
 *   - Damage is not mistaken for a crash: see "Torn or rotten" in walfile.h. A log that is damaged
 *     is refused, unchanged.
 *
 * Several directories: every record goes to all of them. One that fails is dropped: it is written
 * off in the survivors' watermark files first, then `notify` is told; all that is still tried on it
 * is to remove its own watermark, so that it is not believed alone. When the last one fails,
 * wal_batch_done returns an error and the caller must exit: nobody can know what the disk holds,
 * and a second fsync would lie. At the next open a directory that was written off, is empty, or is
 * damaged while another one is whole, is filled again from that one. A directory that the others
 * count on but that is missing makes open fail: it may hold newer records (take it out of the
 * configuration to say that it is gone).
 *
 * Room: segments are allocated ahead. When the next one cannot be, wal_is_full() is true while the
 * present one still takes records: the time for safe mode. It becomes false again by itself when
 * there is room. wal_append never promises what cannot be written: it answers ERR_NOSPC. */
#ifndef QUERN_STORE_WAL_H
#define QUERN_STORE_WAL_H

#include "libcommon/store/disk.h"

#define WAL_DIRS_MAX        8
#define WAL_PAYLOAD_MAX     (16U << 20) /* and half a segment */
#define WAL_SEGMENT_DEFAULT (32ULL << 20)
#define WAL_SEAL_IDLE_MS    50   /* an idle tail is sealed by the first take after this */
#define WAL_SEAL_BUSY_MS    1000 /* under load the watermark lags at most this much */

struct wal;       /* loop only, except through a batch */
struct wal_batch; /* belongs to the thread between take and done */

struct wal_record {
    uint64_t index;
    uint64_t term;
    uint16_t type; /* the user's; 0 is not allowed */
    struct slice payload;
};

/* Return 0 to go on; any other value ends the walk and becomes its result. */
typedef int (*wal_visit_fn)(void *arg, const struct wal_record *record);

struct wal_options {
    struct disk *disk;       /* borrowed for the wal's life */
    const char *const *dirs; /* copied; exist, are locked by the caller, one to WAL_DIRS_MAX */
    size_t dir_count;
    uint64_t segment_bytes; /* 0: WAL_SEGMENT_DEFAULT; a multiple of 4096, from 16384 */
    /* Told, on the loop (during open, close or wal_batch_done), one line each about what an
     * operator must know: a directory dropped or filled again, a torn tail cut, a full disk. May be
     * NULL. */
    void (*notify)(void *arg, const char *line);
    void *notify_arg;
    const char *advice; /* ends the message about damage: which command helps. May be NULL */
};

/* Make an empty log whose first record will be `first_index` (from 1) in every directory. `wal_id`
 * is random and keeps two logs' files apart. ERR_EXIST when a directory holds files of a log. */
int wal_create(const struct wal_options *options, uint64_t wal_id, uint64_t first_index,
               struct err *err);

/* Verify everything, then repair what a crash may leave (cut the torn tail, fill the directories
 * that lag, rewrite and fsync the unsealed segment), then give the log. ERR_NOENT: no log there;
 * ERR_CORRUPT: damaged or incomplete (nothing was changed); ERR_VERSION, ERR_FOREIGN: not for us.
 */
int wal_open(const struct wal_options *options, struct wal **ret_wal, struct err *err);

/* No batch may be in flight. Writes what is pending, seals, frees; an error means that the last
 * appended records may be lost (nobody was told that they are durable). */
int wal_close(struct wal *wal, struct err *err);
/* Frees without touching a disk: for the child after fork, and for whoever exits after an error. */
void wal_abandon(struct wal *wal);

/* Every durable record from index `from` on (>= wal_first), in order. Only between open and the
 * first append. */
int wal_replay(struct wal *wal, uint64_t from, wal_visit_fn visit, void *arg, struct err *err);

uint64_t wal_first(const struct wal *wal); /* lowest index kept; last + 1 when there is none */
uint64_t wal_last(const struct wal *wal); /* highest index appended; first_index - 1 at the start */
uint64_t wal_durable(const struct wal *wal); /* highest index that survives a power cut */
bool wal_is_full(const struct wal *wal);
uint64_t wal_id(const struct wal *wal);
/* May wal_take_batch become due by time alone (an unsealed tail, a full disk)? When false, nobody
 * needs to call it before the next append. */
bool wal_needs_tick(const struct wal *wal);

/* Copies `payload`; gives the record's index. Nothing was appended on ERR_TOOBIG, ERR_NOMEM,
 * ERR_NOSPC (wal_is_full, and no room left for sure), ERR_RETRY (more is waiting to be written than
 * there is allocated room for: after the next wal_batch_done) and ERR_IO (the log has failed). */
int wal_append(struct wal *wal, uint64_t term, uint16_t type, struct slice payload,
               uint64_t *ret_index);

/* A batch to be written, or NULL when nothing is due or one is in flight. It may hold no records: a
 * seal of the watermark, a roll, a drop or a new try for room are due then. */
struct wal_batch *wal_take_batch(struct wal *wal, uint64_t now_ms);
void wal_write_batch(struct wal_batch *batch); /* on any thread; blocks */
/* 0, or the error that says every directory has failed: exit. Ends the batch in either case. */
int wal_batch_done(struct wal *wal, struct wal_batch *batch, struct err *err);

/* Start a new segment with the next batch. */
void wal_roll(struct wal *wal);
/* Records below `index` are not needed any more: segments that hold only such ones are removed with
 * a later batch. The last segment always stays. */
void wal_drop_below(struct wal *wal, uint64_t index);

/* How the directories stand: borrowed path of directory `i` (as given to open) and whether it still
 * takes every record. `i` < dir_count of the options. */
const char *wal_dir(const struct wal *wal, size_t i, bool *ret_alive);

/* ---- directories come and go while the log is in use (waljoin.c) ---- */

/* Any thread, any time: copy and verify the segments of directory `from` that are complete to `to`,
 * which holds no file of a log. *ret_have: all that begin below it are there now. Nothing of them
 * may be dropped until the join. */
int wal_copy_sealed(struct disk *disk, const char *from, const char *to, uint64_t *ret_have,
                    struct err *err);
/* A place for one more directory, or the one it has; not alive. Not while a batch is in flight.
 * ERR_LIMIT, ERR_NOMEM. */
int wal_add_dir(struct wal *wal, const char *path, size_t *ret_i);
/* No batch is in flight, and none is due that drops segments, or takes in or gives up directories.
 */
bool wal_is_settled(const struct wal *wal);
/* With the next batch directory `i`, which is not alive, gets what is missing and takes every
 * record from there on; wal_dir tells whether it did. That batch copies the present segment. */
void wal_join(struct wal *wal, size_t i, uint64_t have);
bool wal_is_joining(const struct wal *wal); /* asked for, and no batch has tried yet */
/* With the next batch directory `i` is given up, as if it had failed; never the last one. */
void wal_leave(struct wal *wal, size_t i);

/* Make segments that were copied from a log into `dir` a log of their own, whose only directory it
 * is: everything is verified, up to record `least` at least. ERR_CORRUPT, ERR_EOF. Blocks. */
int wal_adopt(struct disk *disk, const char *dir, uint64_t least, uint64_t *ret_last,
              struct err *err);

/* ---- for tools: read only ---- */

struct wal_inspection {
    uint64_t from;      /* visit records from this index on */
    wal_visit_fn visit; /* NULL: none */
    void *arg;
};
struct wal_report {
    uint64_t wal_id;       /* 0: not even that could be read */
    uint64_t first, last;  /* records that are whole; last < first when there are none */
    uint64_t acknowledged; /* watermark: all up to here was promised (the truth may be higher) */
    size_t segments;
    bool torn; /* something unfinished follows `last`: what a crash leaves, harmless */
};
/* Look at one directory of a log, also of a copy that was made while the log was in use, or at one
 * segment file. Damage ends it with ERR_CORRUPT, after the last good record before it was visited;
 * the report is filled then too. */
int wal_inspect(struct disk *disk, const char *path, const struct wal_inspection *what,
                struct wal_report *ret_report, struct err *err);

#endif
