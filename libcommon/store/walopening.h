/* SPDX-License-Identifier: Apache-2.0
 * walopening: what recovery knows between reading (walopen.c) and changing (walrepair.c). Only for
 * those two. */
#ifndef QUERN_STORE_WALOPENING_H
#define QUERN_STORE_WALOPENING_H

#include "libcommon/store/walscan.h"
#include "libcommon/store/walstate.h"

enum wal_dir_state {
    WAL_DIR_EMPTY,      /* no file of a log */
    WAL_DIR_UNBORN,     /* the power went out while the log was made: no record was ever in it */
    WAL_DIR_UNFINISHED, /* segments but no watermark: the power went out while it was filled */
    WAL_DIR_BROKEN,     /* cannot be read, or its watermark is damaged; .err says how */
    WAL_DIR_STALE,      /* was written off */
    WAL_DIR_MEMBER,     /* the others count on it */
};

struct wal_found {
    enum wal_dir_state state;
    struct err err;
    struct walmark mark;
    struct walscan scan;
    bool is_whole; /* a member that has every durable record */
};

struct wal_opening {
    struct wal *wal;
    const char *advice;
    struct wal_found dirs[WAL_DIRS_MAX];
    const struct walmark *newest; /* of the watermarks */
    size_t best;                  /* the directory to copy from */
    uint64_t proven;
    struct buf tail;      /* the unsealed segment, closed after the last good record */
    bool members_changed; /* one of the list is missing or not whole */
};

/* Write a segment whole: allocated to `size` when there is room, durable and named when it returns.
 * *ret_fd (NULL: closed) writes it; *ret_size tells its length. */
int wal_put_segment(struct wal *wal, struct wal_dir *dir, uint64_t first, struct slice bytes,
                    uint64_t size, int *ret_fd, uint64_t *ret_size);
/* Unique within the log: the epoch is about to grow, and none comes twice. */
uint64_t wal_new_dir_id(const struct wal *wal, size_t i);
/* After the judgement: everything that changes files, until the wal can be used. */
int wal_repair(struct wal_opening *opening, struct err *err);

#endif
