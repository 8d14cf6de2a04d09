/* SPDX-License-Identifier: Apache-2.0
 * walstate: the inside of a log, shared by wal.c (append and commit) and walopen.c (recovery). Not
 * for anybody else.
 *
 * Who may touch what: the part "loop" belongs to the loop always. The part "disk" belongs to
 * whoever holds the batch in flight, and to the loop while there is none. The loop learns what the
 * thread found out by copying it in wal_batch_done. */
#ifndef QUERN_STORE_WALSTATE_H
#define QUERN_STORE_WALSTATE_H

#include "libcommon/store/walfile.h"
#include "libcommon/store/walmark.h"

#define WAL_NEXT_FILE "log.next" /* allocated ahead, not yet a segment */

struct wal_dir {
    char *path;
    bool alive;
    bool has_next;
    bool is_lost; /* failed just now, not yet written off */
    int fd;       /* of the present segment */
    int mark_fd;  /* of the watermark */
    uint64_t id, mark_seq;
};

struct wal_join_wish {
    bool is_wanted;
    size_t dir;
    uint64_t have;
};

struct wal_batch {
    struct wal *wal;
    struct wal_join_wish join;
    unsigned leave;   /* bits of directories */
    struct buf bytes; /* records as appended; sealed by the thread */
    uint64_t drop_below;
    bool want_roll, want_seal, want_room;
    int rc; /* what the thread found */
    struct err err;
    struct buf notes; /* lines for notify, each ends in NUL */
};

struct wal {
    struct disk *disk;
    uint64_t segment_bytes;
    void (*notify)(void *arg, const char *line);
    void *notify_arg;

    /* ---- loop ---- */
    uint64_t first, last, durable, sealed;
    struct buf pending;
    struct wal_batch batch; /* the one there is */
    bool in_flight, failed, full, want_roll;
    uint64_t drop_below;
    struct wal_join_wish join;
    unsigned leave;
    uint64_t sure_room; /* bytes of records that surely have a place, when the batch began */
    uint64_t idle_since_ms, unsealed_since_ms, room_tried_ms;
    bool dir_alive[WAL_DIRS_MAX];

    /* ---- disk ---- */
    struct wal_dir dirs[WAL_DIRS_MAX];
    size_t dir_count;
    struct walmark mark; /* self and seq are each directory's own */
    uint64_t *firsts;    /* of the segments, ascending; the last is the present one */
    size_t segments, segment_cap;
    uint64_t seg_size, seg_off, seg_zeroed; /* the present one: allocated, used, zeros written */
    uint32_t chain;
    uint64_t disk_last, disk_last_term;
    bool disk_full;
};

/* Lines for people; from the thread they wait in the batch. */
void wal_note(struct wal *wal, struct buf *notes, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The living directories become the member list of the mark. */
void wal_list_members(struct wal *wal);

/* Write dir's watermark: one slot, or both when `twice`. */
int wal_write_mark(struct wal *wal, struct wal_dir *dir, bool twice);

/* Allocate the next segment in every directory that has none. Directories that fail are lost,
 * unless none has room; sets disk_full. True when one was lost. */
bool wal_prepare_next(struct wal *wal, struct buf *notes);

/* Give up on a directory: close it and tell. The caller makes that durable. */
void wal_lose_dir(struct wal *wal, struct wal_dir *dir, const char *doing, int code,
                  struct buf *notes);

/* Write the survivors' watermarks with a new epoch; those that fail are lost too. 0, or ERR_IO when
 * none is left. */
int wal_write_off(struct wal *wal, struct buf *notes);

/* In a batch (waljoin.c). True when the watermarks of all must be written: it joined, or failed. */
bool wal_join_now(struct wal *wal, size_t i, uint64_t have, struct buf *notes);

/* Bytes of records that can surely be written from now on. */
uint64_t wal_sure_room(const struct wal *wal);

#endif
